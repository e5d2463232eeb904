"""The configuration: its example says the defaults, and whatever is wrong is named with file, table and key."""

import dataclasses

import pytest

from covoguard.core.errors import UsageError
from covoguard.pipeline.record_toml import names_of
from covoguard.pipeline.training_config import TrainingConfig, example_config, read_training_config
from covoguard.pipeline.training_tables import DataConfig

DATA = '[data]\ncollection = "clips/manifest.csv"\n'


@pytest.fixture
def read(tmp_path):
    def read_text(text):
        path = tmp_path / "detector.toml"
        path.write_text(text)
        return read_training_config(path)

    return read_text


def test_the_example_parses_to_the_defaults(read, tmp_path):
    config = read(example_config())
    assert config == TrainingConfig(DataConfig(tmp_path / "corpus" / "manifest.csv"))
    assert config == dataclasses.replace(read(DATA), data=config.data)


def test_the_example_has_every_key_and_explains_most(read):
    text = example_config()
    config = read(text)
    for field in dataclasses.fields(config):
        for name in names_of(type(getattr(config, field.name))):
            assert f"\n{name} = " in text or f"\n# {name} = " in text
    assert "# Chance of a room, recorded or made up.\nroom = 0.25" in text


def test_every_value_is_taken_and_paths_are_seen_from_the_file(read, tmp_path):
    config = read(
        DATA + 'rooms = "rooms"\n[augmentation]\ncopies = 0\nrawboost = 1\nsnr_db = [0, 10.5]\n'
        '[training]\nseeds = [3, 4]\nepochs = 2\nprecision = "bfloat16"\n[about]\nnot_for = ["proof"]\n'
        '[copy_synthesis]\nmethods = ["griffin-lim"]\nshare = 0.25\n'
    )
    assert config.data.rooms == tmp_path / "rooms"
    assert config.augmentation.copies == 0
    assert (config.chain.rawboost, config.chain.snr_db, config.chain.room) == (1.0, (0.0, 10.5), 0.25)
    assert (config.members.seeds, config.recipe.epochs, config.seed) == ((3, 4), 2, 3)
    assert config.sampling_recipe().paired == 0.25
    assert config.about.not_for == ("proof",)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", ["[data]", "'collection'", "a path"]),
        ("[data\n", ["not a TOML file"]),
        (DATA + "[trainin]\n", ["'trainin'", "training"]),
        ("data = 3\n", ["'data' must be a table"]),
        (DATA + "[training]\nepoch = 3\n", ["[training]", "'epoch'", "epochs"]),
        (DATA + '[training]\nepochs = "many"\n', ["[training] epochs is 'many'", "whole number"]),
        (DATA + "[training]\nepochs = true\n", ["[training] epochs is True"]),
        (DATA + "[training]\nepochs = 0\n", ["[training] epochs is 0", "above 0"]),
        (DATA + "[training]\nlearning_rate = nan\n", ["[training] learning_rate is nan"]),
        (DATA + '[training]\nprecision = "half"\n', ["[training] precision is 'half'", "bfloat16"]),
        (DATA + "[training]\nseeds = []\n", ["[training] seeds is []"]),
        (DATA + "[training]\nseeds = [1, 1]\n", ["[training] seeds"]),
        (DATA + "[training]\npair_weight = 0.5\n", ["pair_weight needs pairs", "[copy_synthesis]"]),
        (DATA + '[detector]\nkind = "cnn"\n', ["[detector] kind is 'cnn'", "logband-resnet", "lfcc-gmm"]),
        (DATA + '[detector]\nkind = "ssl"\n', ["[detector]", "checkpoint"]),
        (DATA + '[detector]\nkind = "ssl"\ncheckpoint = "x"\n', ["final", "none"]),
        (DATA + "[detector]\ntrain_encoder = true\n", ["[detector] checkpoint and train_encoder"]),
        (DATA + "[augmentation]\nroom = 1.5\n", ["[augmentation] room is 1.5", "from 0 to 1"]),
        (DATA + "[augmentation]\nsnr_db = [20, 10]\n", ["[augmentation] snr_db is [20.0, 10.0]"]),
        (DATA + "[augmentation]\nsnr_db = [1, 2, 3]\n", ["[augmentation] snr_db is [1, 2, 3]", "a list of"]),
        (DATA + "[augmentation]\nrawboost_algorithms = [9]\n", ["[augmentation] rawboost_algorithms", "1 to 8"]),
        (DATA + "[augmentation]\ncrop_s = 0.1\n", ["[augmentation] crop_s is 0.1"]),
        (DATA + '[copy_synthesis]\nmethods = ["wrld"]\nshare = 0.1\n', ["[copy_synthesis]", "'wrld'", "world"]),
        (DATA + '[copy_synthesis]\nmethods = ["world"]\n', ["[copy_synthesis] share is 0"]),
        (DATA + "[sampling]\nbatch = 1\n", ["[sampling] batch is 1"]),
        (DATA + "[early_stop]\nshare = 0.9\n", ["[early_stop] share is 0.9"]),
        (DATA + '[validation]\nmode = "some"\n', ["[validation] mode is 'some'", "'folds'"]),
        (DATA + '[detector]\nkind = "lfcc-gmm"\n[sampling]\nbatch = 4\n', ["[sampling] has no effect on lfcc-gmm"]),
        (DATA + '[detector]\nkind = "lfcc-gmm"\n[training]\nepochs = 4\n', ["[training]", "'epochs'", "seeds"]),
        (DATA + '[detector]\nkind = "lfcc-gmm"\n[augmentation]\ncopies = 0\n', ["copies", "lfcc-gmm"]),
    ],
)
def test_what_is_wrong_is_named(read, text, named):
    with pytest.raises(UsageError) as caught:
        read(text)
    assert "detector.toml" in caught.value.message
    for words in named:
        assert words in caught.value.message


def test_a_configuration_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"absent\.toml: the configuration cannot be read"):
        read_training_config(tmp_path / "absent.toml")


def test_what_does_not_change_the_networks_is_no_part_of_their_identity(read):
    same = read(DATA + '[validation]\nmode = "final"\n[about]\nsummary = "x"\n[training]\ncheckpoint_interval_s = 1\n')
    assert same.identity() == read(DATA).identity()
    assert read(DATA + "[augmentation]\nroom = 0.5\n").identity() != read(DATA).identity()
