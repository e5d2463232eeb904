"""Training a recoverer end to end: it learns from sound alone, survives being killed, and refuses what cannot be."""

import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from marked_sound import a_key
from speech_and_model import build_loudness_model
from tone_generator import CODES, RATE_HZ, ToneGenerator, build_tone_model, tones

from covoguard.core.errors import CovoguardError, IntegrityError, ModelMissing, UsageError
from covoguard.core.modelcard import open_model, seal_model
from covoguard.core.records import Audio
from covoguard.datasets.degrade.chain import Sounds
from covoguard.generate.recovery.frames import FrameRecoverer
from covoguard.generate.recovery.network import RecovererShape
from covoguard.pipeline import training_folder
from covoguard.pipeline.mark_evidence import (
    BlindChecker,
    MarkChecker,
    load_mark_checker,
    load_marking_table,
    load_recoverer,
    load_table,
)
from covoguard.pipeline.models import model_page
from covoguard.pipeline.token_sources import PromptedTokens, RecordedTokens, SyntheticTokens, TokenClip, falling_chances
from covoguard.pipeline.train_recoverer import (
    RecovererPlan,
    check_decoder,
    check_device,
    surprisal_edges,
    train_recoverer_folder,
)
from covoguard.watermark.sampling import SlotGumbel

SHAPE = RecovererShape(CODES, width=48, blocks=1)
PLAN = RecovererPlan(pairs=36, steps=120, batch=4, fitted_clips=8, checkpoint_steps=40)
SMALL = replace(PLAN, pairs=4, steps=9, fitted_clips=3, checkpoint_steps=3)
WHERE = {"weights": "recoverer.safetensors", "table": "mark_table.json"}


class ToneDecoder:
    def __init__(self):
        self.decoded = 0

    def decode(self, tokens, *, voice, seed):
        assert tokens.codebook_size == CODES
        assert voice in ToneGenerator.voices
        self.decoded += 1
        return Audio(tones(tokens.ids), RATE_HZ)


class DecodingToneGenerator(ToneGenerator):
    codebook_size = CODES

    def __init__(self, model):
        super().__init__(model)
        self.decoder = ToneDecoder()


@pytest.fixture
def generator(tmp_path):
    (tmp_path / "tone").mkdir()
    build_tone_model(tmp_path / "tone")
    return DecodingToneGenerator(open_model(tmp_path / "tone"))


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def source_of(generator, tokens=75):
    return SyntheticTokens(CODES, generator.voices, 3.0, tokens)


def trained(generator, place, plan=SMALL, *, source=None, shape=SHAPE, report=lambda line: None):
    return train_recoverer_folder(
        check_decoder(generator), source or source_of(generator), place, shape, plan, sounds=Sounds(), report=report
    )


# --- what comes out ----------------------------------------------------------------------------------------


def test_it_learns_to_read_tokens_from_sound_and_a_mark_is_found_in_sound(generator, tmp_path):
    lines = []
    card = trained(generator, tmp_path / "out", PLAN, report=lines.append)
    measured = card["measured"]
    assert measured["top1"]["clean"] > 0.5 > 10 * measured["chance_top1"]
    assert measured["top5"]["attack_mix"] > measured["top1"]["attack_mix"] > 3 * measured["chance_top1"]
    assert measured["bits_per_token"]["clean"] > 0.2
    assert 0 < measured["seconds_at_1e-6"]["clean"] < 10
    assert card["for_model"] == {"id": "tone@1", "model_sha256": generator.model.model_sha256}
    assert (card["training"]["pairs"], card["training"]["steps"], card["training"]["device"]) == (36, 120, "cpu")
    assert card["training"]["hours"] == pytest.approx(36 * 3 / 3600, rel=0.2)
    assert card["training"]["seconds"] > 0
    assert open_model(tmp_path / "out").card == card
    assert not (tmp_path / "out.training").exists()
    assert any("top-1" in line for line in lines)
    page = model_page(None, tmp_path / "out")
    assert "Reads the speech tokens of tone@1" in page
    assert f"{100 * measured['top1']['clean']:.2f} %" in page
    assert_marks_are_found(generator, tmp_path / "out")


def assert_marks_are_found(generator, folder):
    """Under the key that marked, in sound alone; not under another, nor in sound without a mark."""
    recoverer = load_recoverer(folder)
    assert isinstance(recoverer, FrameRecoverer)
    table = load_table(recoverer)
    assert (table.model, table.codebook_size) == ("tone@1", CODES)
    key, other = a_key(5), a_key(6)
    mark = SlotGumbel.from_key(key, table, start_slot=99)
    (said,) = SyntheticTokens(CODES, generator.voices, 4.0, 250).marked([mark], seed=123)
    sound = Audio(0.5 * tones(said.ids), RATE_HZ)
    checker = load_mark_checker([key, other], folder)
    assert isinstance(checker, MarkChecker)
    reading = checker.check(sound)
    assert [each.status for each in reading.keys] == ["present", "absent"]
    assert reading.recoverer == "tone-recoverer@" + recoverer.model.card["version"]
    (plain,) = SyntheticTokens(CODES, generator.voices, 4.0, 250).clips([123])
    assert checker.check(Audio(tones(plain.ids), RATE_HZ)).status == "absent"


def test_a_generators_own_recoverer_is_found_in_its_folder_and_must_be_made_for_it(generator, tmp_path):
    folder = generator.model.path
    with pytest.raises(ModelMissing, match="no recoverer for model tone@1") as error:
        load_recoverer(folder)
    assert error.value.code == "no_recoverer"
    assert isinstance(load_mark_checker([a_key(1)], folder), BlindChecker)
    trained(generator, folder / "recoverer")
    assert load_recoverer(folder).model.path == folder / "recoverer"
    assert load_marking_table(folder) == load_table(load_recoverer(folder)) != load_table_of(generator)
    (folder / "w.bin").write_bytes(b"other weights")
    seal_model(folder)
    with pytest.raises(IntegrityError, match="reads the tokens of tone@1, not of tone@1 in"):
        load_mark_checker([a_key(1)], folder)


def test_the_folder_of_a_detector_is_refused(tmp_path):
    build_loudness_model(tmp_path)
    with pytest.raises(UsageError, match="a model of the detector"):
        load_recoverer(tmp_path)


@pytest.fixture
def killed(monkeypatch):
    """`killed(n)`: the n-th piece from now on is written, and then the process is gone."""
    whole = training_folder.TrainingFolder.save

    class Killed(BaseException):
        pass

    def arm(count):
        left = [count]

        def save(self, name, tensors, about):
            whole(self, name, tensors, about)
            left[0] -= 1
            if left[0] == 0:
                raise Killed

        monkeypatch.setattr(training_folder.TrainingFolder, "save", save)
        return Killed

    return arm


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_files(generator, tmp_path, killed):
    trained(generator, tmp_path / "whole")
    # three sets of one shard each and three checkpoints: every one of them is once the last thing done
    for _ in range(6):
        with pytest.raises(killed(1)):
            trained(generator, tmp_path / "torn")
    killed(99)
    before = generator.decoder.decoded
    lines = []
    trained(generator, tmp_path / "torn", report=lines.append)
    assert lines[0] == "going on after step 9 of 9"
    assert not any("pairs" in line for line in lines), "no pair is made twice"
    assert generator.decoder.decoded - before == 2 * 3 + 4, "only the marked clips of the table"
    for name in WHERE.values():
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "torn" / name).read_bytes()
    cards = [json.loads((tmp_path / place / "card.json").read_text()) for place in ("whole", "torn")]
    for card in cards:
        card["training"].pop("seconds")
    assert cards[0] == cards[1]


def test_a_kill_in_the_middle_of_a_checkpoint_leaves_the_one_before(generator, tmp_path, monkeypatch):
    trained(generator, tmp_path / "whole")
    written = []

    def write_half(path, pieces):
        written.append(path.name)
        if written.count("checkpoint.safetensors") == 2 and path.name == "checkpoint.safetensors":
            (content,) = pieces
            path.with_name(f".{path.name}.00.part").write_bytes(content[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        whole(path, pieces)

    whole = training_folder.write_whole
    monkeypatch.setattr(training_folder, "write_whole", write_half)
    with pytest.raises(CovoguardError, match="No space left on device; make room") as error:
        trained(generator, tmp_path / "torn")
    assert error.value.code == "output_error"
    monkeypatch.undo()
    lines = []
    trained(generator, tmp_path / "torn", report=lines.append)
    assert lines[0] == "going on after step 3 of 9"
    assert (tmp_path / "whole" / WHERE["weights"]).read_bytes() == (tmp_path / "torn" / WHERE["weights"]).read_bytes()


def test_the_number_of_threads_that_damage_sound_changes_nothing(generator, tmp_path):
    for jobs in (1, 3):
        trained(generator, tmp_path / str(jobs), replace(SMALL, jobs=jobs))
    assert len({(tmp_path / str(jobs) / WHERE["weights"]).read_bytes() for jobs in (1, 3)}) == 1


def test_a_decoder_that_takes_many_at_once_gets_many(generator, tmp_path):
    class ManyDecoder(ToneDecoder):
        def decode_many(self, tokens, *, voices, seeds):
            self.batches.append(len(tokens))
            return [self.decode(one, voice=v, seed=s) for one, v, s in zip(tokens, voices, seeds, strict=True)]

    generator.decoder = ManyDecoder()
    generator.decoder.batches = []
    trained(generator, tmp_path / "out")
    assert generator.decoder.batches[:3] == [4, 8, 8]


# --- where tokens come from --------------------------------------------------------------------------------


def test_synthetic_marked_tokens_have_the_stated_entropy():
    for bits in (0.5, 3.0, 5.0):
        chances = falling_chances(256, bits).astype(np.float64)
        assert -(chances[chances > 0] * np.log2(chances[chances > 0])).sum() == pytest.approx(bits, abs=0.01)
        assert (np.diff(chances) <= 0).all()


def test_sequences_depend_on_their_seed_alone(generator):
    source = source_of(generator)
    one, two = source.clips([5, 6]), source.clips([6])
    assert np.array_equal(one[1].ids, two[0].ids)
    assert not np.array_equal(one[0].ids, one[1].ids)
    assert ((one[0].ids >= 0) & (one[0].ids < CODES)).all()


def test_the_generators_own_language_model_says_the_prompts(generator, tmp_path):
    source = PromptedTokens(generator, ["one two three four five six", "unspeakable", "seven eight nine ten"])
    clips = source.clips(range(4))
    assert {len(clip.ids) for clip in clips} == {60, 40}
    assert not source.knows_surprisal
    with pytest.raises(UsageError, match="none of 8 prompts"):
        PromptedTokens(generator, ["unspeakable"]).clips([1])
    with pytest.raises(UsageError, match="no prompts"):
        PromptedTokens(generator, [])
    trained(generator, tmp_path / "out", source=source)


def test_a_generator_that_makes_many_at_once_is_asked_for_many(generator):
    class ManyGenerator(DecodingToneGenerator):
        batches = ()

        def generate_many(self, requests):
            requests = list(requests)
            self.batches = (*self.batches, len(requests))
            for each in requests:
                try:
                    yield self.generate(each.prompt, mark=each.mark, seed=each.seed)
                except UsageError as error:
                    yield error

    many = ManyGenerator(generator.model)
    prompts = ["one two three", "unspeakable"]
    together = PromptedTokens(many, prompts).clips(range(6))
    alone = PromptedTokens(generator, prompts).clips(range(6))
    assert [clip.ids.tolist() for clip in together] == [clip.ids.tolist() for clip in alone]
    assert many.batches[0] == 6
    assert 1 < len(many.batches) <= 8
    with pytest.raises(UsageError, match="none of 8 prompts"):
        PromptedTokens(many, ["unspeakable"]).clips([1])


def test_recorded_sequences_are_used_as_they_are(generator):
    recorded = [TokenClip(np.arange(n, n + 20, dtype=np.int32), None, "low") for n in (0, 10)]
    frequency = np.bincount(np.concatenate([clip.ids for clip in recorded]), minlength=CODES)
    synthetic = SyntheticTokens(CODES, generator.voices, 2.0, 40, frequency)
    source = RecordedTokens(recorded, synthetic)
    assert {int(clip.ids[0]) for clip in source.clips(range(20))} == {0, 10}
    mark = SlotGumbel.from_key(a_key(1), load_table_of(generator), start_slot=3)
    assert source.marked([mark], 1)[0].ids.max() < 30, "codes that the model never says are not said"
    with pytest.raises(UsageError, match="keeps no tokens"):
        RecordedTokens([], synthetic)


def load_table_of(generator):
    from covoguard.pipeline.marking import table_of

    return table_of(generator.model)


def test_classes_of_surprisal_need_estimates_that_differ():
    assert surprisal_edges(np.zeros(0)) == surprisal_edges(np.full(100, 3.0)) == ()
    low, high = surprisal_edges(np.linspace(0, 9, 100))
    assert (low, high) == (pytest.approx(3, abs=0.1), pytest.approx(6, abs=0.1))


# --- what is refused ---------------------------------------------------------------------------------------


def test_a_generator_without_a_decoder_is_told(tmp_path):
    (tmp_path / "tone").mkdir()
    build_tone_model(tmp_path / "tone")
    with pytest.raises(UsageError, match="tone: this generator gives no decoder"):
        check_decoder(ToneGenerator.load(tmp_path / "tone"))


@pytest.mark.parametrize("name", ["quantum", "cuda:99", "meta:x", ""])
def test_a_device_that_is_not_there_is_told(name):
    assert check_device("cpu") == "cpu"
    with pytest.raises(UsageError, match="cannot be used"):
        check_device(name)


def test_an_entropy_that_the_language_cannot_have_is_told(generator):
    with pytest.raises(UsageError, match="--entropy-bits"):
        SyntheticTokens(CODES, generator.voices, 6.0, 10)


def test_a_place_that_is_taken_and_other_work_in_progress_are_refused(generator, tmp_path, killed):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="taken: not empty"):
        trained(generator, tmp_path / "taken")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="file: not empty"):
        trained(generator, tmp_path / "file")
    with pytest.raises(UsageError, match="cannot be written"):
        trained(generator, tmp_path / "file" / "inside")
    with pytest.raises(killed(1)):
        trained(generator, tmp_path / "out")
    with pytest.raises(UsageError, match=r"differs in pairs, seed;"):
        trained(generator, tmp_path / "out", replace(SMALL, pairs=5, seed=2))
    assert list((tmp_path / "out.training").glob("train-*"))


def test_two_runs_at_once_are_refused(generator, tmp_path):
    with (
        training_folder.TrainingFolder.open(tmp_path / "out", {}),
        pytest.raises(UsageError, match="another run is writing here"),
    ):
        trained(generator, tmp_path / "out")


@pytest.mark.parametrize("name", ["train-00000.safetensors", "checkpoint.safetensors", "run.json"])
def test_a_damaged_piece_is_named(generator, tmp_path, killed, name):
    with pytest.raises(killed(4)):
        trained(generator, tmp_path / "out")
    path: Path = tmp_path / "out.training" / name
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(IntegrityError, match=f"{name}: damaged"):
        trained(generator, tmp_path / "out")


def test_a_checkpoint_of_another_network_is_refused(generator, tmp_path, killed):
    for place, shape in (("one", SHAPE), ("two", replace(SHAPE, width=32))):
        with pytest.raises(killed(4)):
            trained(generator, tmp_path / place, shape=shape)
    name = "checkpoint.safetensors"
    (tmp_path / "one.training" / name).write_bytes((tmp_path / "two.training" / name).read_bytes())
    with pytest.raises(IntegrityError, match="not the state of this training run"):
        trained(generator, tmp_path / "one")


def test_a_decoder_that_gives_no_sound_is_told(generator, tmp_path):
    generator.decoder.decode = lambda tokens, *, voice, seed: Audio(np.full(10, np.nan, np.float32), RATE_HZ)
    with pytest.raises(CovoguardError, match="not finite"):
        trained(generator, tmp_path / "out")
