import ast

import pytest
import torch

from covoguard.generate.covo.config import CovoConfig, EncoderShape, LanguageShape
from covoguard.generate.covo.language.audio_encoder import AudioAdapter
from covoguard.generate.covo.language.features import FrontEnd, MelWindow
from covoguard.generate.covo.language.language_model import WINDOWS_AT_ONCE, CovoLanguageModel

OFFICIAL = CovoConfig(
    language=LanguageShape(168055, 3584, 18944, 28, 28, 4, 1e6, 1e-6, 131072),
    encoder=EncoderShape(1280, 32, 20, 5120, 128, 1500),
    first_audio_id=151671,
    adapter_downsample=8,
    placeholder_id=None,
)


def sound(seconds, seed=0):
    return 0.1 * torch.randn(round(seconds * 16000), generator=torch.Generator().manual_seed(seed))


def test_names_and_shapes_at_full_size_are_the_official_ones(goldens):
    with torch.device("meta"):
        model = CovoLanguageModel(OFFICIAL)
    lines = [line.split("\t") for line in (goldens / "full_size_keys.tsv").read_text().splitlines()]
    expected = {name: ast.literal_eval(shape) for name, shape, *_ in lines}
    decoder = ("token2latent.", "wavegan.")
    assert {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()} == {
        name: shape for name, shape in expected.items() if not name.startswith(decoder)
    }


@pytest.mark.parametrize(("stages", "frames", "rows"), [(3, 1500, 188), (3, 50, 7), (3, 1, 1), (1, 7, 4), (2, 8, 2)])
def test_the_adapter_halves_once_per_stage_rounding_up(stages, frames, rows):
    adapter = AudioAdapter(16, 32, stages)
    assert adapter(torch.zeros(2, frames, 16)).shape == (2, rows, 32)
    assert len(adapter.downsample_layers) == stages


def test_a_long_sound_gives_one_row_per_begun_sixth_of_a_second(model, config):
    front = FrontEnd.of(config)
    for seconds in (0.01, 0.9, 1.0, 3.21):
        wave = sound(seconds)
        assert model.hear(front.windows(wave)).shape == (front.rows(len(wave)), config.language.hidden_size)


def test_windows_heard_together_are_as_heard_alone(model, config):
    windows = list(FrontEnd.of(config).windows(sound(1.5 * WINDOWS_AT_ONCE)))
    assert len(windows) > WINDOWS_AT_ONCE
    together = model.hear(windows)
    alone = torch.cat([model.hear([window]) for window in windows])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_rows_of_a_window_depend_on_that_window_only(model, config):
    front = FrontEnd.of(config)
    first, second = sound(front.spans(10**5)[0].stop / 16000, seed=1), sound(0.5, seed=2)
    windows = list(front.windows(torch.cat([first, second])))
    assert [window.rows for window in windows] == [6, 4]
    heard = model.hear(windows)
    torch.testing.assert_close(heard[6:], model.hear(front.windows(second)), atol=1e-5, rtol=1e-5)
    assert (heard[:4] - heard[6:]).abs().max() > 1e-3, "the model must tell sounds apart for this to mean anything"


def test_nothing_heard_is_no_rows(model, config):
    assert model.hear([]).shape == (0, config.language.hidden_size)


def test_rows_take_the_place_of_placeholders_in_their_order(model):
    ids = torch.tensor([5, 9, 9, 7, 9])
    heard = torch.arange(3 * 32, dtype=torch.float32).view(3, 32)
    embeds = model.embed(ids, heard, placeholder_id=9)
    table = model.llm.model.embed_tokens.weight
    assert torch.equal(embeds[[1, 2, 4]], heard)
    assert torch.equal(embeds[[0, 3]], table[[5, 7]])
    assert torch.equal(model.embed(ids[:1], None, placeholder_id=9), table[[5]])


@pytest.mark.parametrize("rows", [0, 2, 4])
def test_rows_and_placeholders_must_be_as_many(model, rows):
    with pytest.raises(ValueError, match=f"{rows} rows of sound for 3 placeholders"):
        model.embed(torch.tensor([5, 9, 9, 7, 9]), torch.zeros(rows, 32), placeholder_id=9)


def test_the_placeholder_is_that_of_the_configuration_if_it_has_one(model, make_config):
    with pytest.raises(ValueError, match="placeholder"):
        model.embed(torch.tensor([5]), None)
    named = CovoLanguageModel(make_config(placeholder_id=9))
    assert named.embed(torch.tensor([9]), torch.ones(1, 32)).equal(torch.ones(1, 32))


def test_the_cache_goes_on_where_it_was(model):
    embeds = model.embed(torch.arange(20), None, placeholder_id=99)
    whole, _ = model(embeds)
    _, cache = model(embeds[:12])
    rest, _ = model(embeds[12:], cache)
    torch.testing.assert_close(rest, whole[12:], atol=1e-5, rtol=1e-5)


def test_a_model_made_without_weights_is_the_same_once_they_are_assigned(model, config):
    with torch.device("meta"):
        made = CovoLanguageModel(config)
    made.load_state_dict(model.state_dict(), assign=True)
    made.reset_buffers()
    embeds = model.embed(torch.arange(20), None, placeholder_id=99)
    assert torch.equal(made.eval()(embeds)[0], model(embeds)[0])
    assert all(not tensor.is_meta for tensor in (*made.parameters(), *made.buffers()))


def test_rotary_frequencies_stay_exact_when_the_model_is_cast(config):
    model = CovoLanguageModel(config)
    exact = model.llm.model.rotary_emb.inv_freq.clone()
    model.to(torch.bfloat16).reset_buffers()
    assert torch.equal(model.llm.model.rotary_emb.inv_freq, exact)
    window = MelWindow(torch.zeros(20, 100), 3)
    assert model.eval().hear([window]).dtype == torch.bfloat16
