import pytest
import torch

from covoguard.generate.covo.config import VocoderShape
from covoguard.generate.covo.token2wav.vocoder import AntiAliasedSnake, CausalConv, Vocoder


def plain_activation(activation, hidden):
    """By the book: zeros put between, filter, x + sin^2(a x) / b, filter, every second number kept; in float64."""
    up, down = activation.upsample.filter[0, 0].double(), activation.downsample.lowpass.filter[0, 0].double()
    alpha, beta = activation.act.alpha.double().exp(), activation.act.beta.double().exp()
    out = torch.zeros_like(hidden, dtype=torch.float64)
    count = hidden.shape[-1]

    def at(row, n, last):
        return row[min(max(n, 0), last)]

    for channel, row in enumerate(hidden[0].double()):
        doubled = torch.stack(
            [
                sum(2 * at(row, (n - k + 5) // 2, count - 1) * up[k] for k in range(12) if (n - k) % 2)
                for n in range(2 * count)
            ]
        )
        doubled = doubled + (alpha[channel] * doubled).sin() ** 2 / beta[channel]
        for n in range(count):
            out[0, channel, n] = sum(at(doubled, 2 * n + k - 5, 2 * count - 1) * down[k] for k in range(12))
    return out


@pytest.mark.parametrize("count", [1, 2, 9])
def test_the_activation_is_that_of_the_book(count):
    torch.manual_seed(0)
    activation = AntiAliasedSnake(3).requires_grad_(False)
    for values in (activation.act.alpha, activation.act.beta, activation.upsample.filter):
        values.copy_(torch.randn(values.shape) * 0.3)
    hidden = torch.randn(1, 3, count)
    torch.testing.assert_close(activation(hidden).double(), plain_activation(activation, hidden), atol=1e-5, rtol=0)


def test_weight_norm_is_worked_out_at_loading(vocoder, decoder_state, decoder_config):
    for name in ("conv_pre", "ups.0.0", "resblocks.3.convs1.1"):
        length, direction = decoder_state[f"wavegan.{name}.weight_g"], decoder_state[f"wavegan.{name}.weight_v"]
        weight = vocoder.get_parameter(f"{name}.weight")
        norms = weight.flatten(1).norm(dim=1)
        torch.testing.assert_close(norms, length.flatten())
        cosine = torch.nn.functional.cosine_similarity(weight.flatten(1), direction.flatten(1))
        torch.testing.assert_close(cosine, torch.ones_like(cosine))


def test_plain_weights_load_as_well_and_missing_ones_are_named(vocoder, decoder_config, decoder_state):
    again = Vocoder(decoder_config.vocoder)
    again.load_state_dict(vocoder.state_dict())
    latents = torch.randn(1, 8, 3)
    assert torch.equal(again(latents), vocoder(latents))
    state = {name.removeprefix("wavegan."): value for name, value in decoder_state.items() if "wavegan" in name}
    del state["conv_post.weight_g"]
    with pytest.raises(RuntimeError, match=r"conv_post\.weight"):
        again.load_state_dict(state)


@pytest.mark.parametrize("chunk_frames", [1, 7, 40, 1000])
def test_chunks_are_the_whole(vocoder, chunk_frames):
    frames = 12 if chunk_frames == 1 else 60
    latents = torch.randn(1, 8, frames, generator=torch.Generator().manual_seed(2))
    whole = vocoder(latents)
    assert whole.shape == (1, 1, frames * vocoder.shape.hop_samples)
    torch.testing.assert_close(vocoder.render(latents, range(frames), chunk_frames), whole, atol=1e-5, rtol=0)
    part = vocoder.render(latents, range(3, 8), chunk_frames)
    hop = vocoder.shape.hop_samples
    torch.testing.assert_close(part, whole[..., 3 * hop : 8 * hop], atol=1e-5, rtol=0)


def test_no_latent_is_heard_outside_of_its_reach():
    torch.manual_seed(3)
    shape = VocoderShape(4, (3, 2), (6, 4), 16, (3, 5), ((1, 3), (1, 2)))
    vocoder = Vocoder(shape).double().requires_grad_(False)
    for name, taps in vocoder.named_buffers():
        # the real filters' outer taps are so small that they cannot be told from rounding
        taps.copy_(torch.randn(taps.shape) / 4)
        assert name.endswith("filter")
    before, after = vocoder.reach_frames
    frame, hop = before + after, shape.hop_samples
    latents = torch.randn(1, 4, 2 * frame, dtype=torch.float64)
    changed = latents.clone()
    changed[..., frame] += 5
    touched = (vocoder(changed) != vocoder(latents)).flatten().nonzero()
    first, last = (frame - after) * hop, (frame + before + 1) * hop - 1
    # all of it lies inside, and the reach is not a frame too large
    assert first <= touched.min() < first + hop
    assert last - hop < touched.max() <= last


def test_causal_layers_do_not_see_what_follows():
    layer = CausalConv(2, 2, 5, dilation=3)
    hidden = torch.randn(1, 2, 30)
    changed = hidden.clone()
    changed[..., 20:] = 0
    assert torch.equal(layer(hidden)[..., :20], layer(changed)[..., :20])


def test_bf16_comes_close(vocoder):
    latents = torch.randn(1, 8, 30, generator=torch.Generator().manual_seed(4))
    exact = vocoder(latents)
    rounded = vocoder.bfloat16()(latents.bfloat16()).float()
    assert (rounded - exact).std() / exact.std() < 0.1
