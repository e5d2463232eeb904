import importlib.util
from pathlib import Path

import pytest
import torch

from covoguard.generate.covo.token2wav.flow import FlowClip
from covoguard.generate.covo.token2wav.solver import Guidance, evaluation_times, solve

_SPEC = importlib.util.spec_from_file_location(
    "covo_reference_decoder", Path(__file__).parents[3] / "benchmarks" / "covo_reference_decoder.py"
)
reference = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(reference)


def random_clip(flow, tokens, known_frames, seed):
    """Ids, prompt latents and noise of one clip."""
    generator = torch.Generator().manual_seed(seed)
    frames = flow.shape.upsample_factor * tokens
    known = torch.randn(known_frames, flow.shape.latent_width, generator=generator)
    noise = torch.randn(frames, flow.shape.latent_width, generator=generator)
    return torch.randint(flow.shape.token_vocab_size, (tokens,), generator=generator), known, noise


def conditions(flow, ids, known):
    features = flow.token_features(ids)
    padded = torch.zeros(len(features), flow.shape.latent_width)
    padded[: len(known)] = known
    return FlowClip(features, padded)


def solved(flow, clips, speaker, steps=10, guidance=1.0, rescale=False):
    """The last state of each clip."""
    plan = flow.plan([conditions(flow, ids, known) for ids, known, _ in clips], speaker, evaluation_times(steps))
    noise = torch.cat([noise for _, _, noise in clips])
    *_, last = solve(flow, plan, noise, steps, Guidance(guidance, rescale))
    return [last[start:end] for start, end in plan.frames.spans]


@pytest.fixture
def speaker(flow):
    return torch.randn(flow.shape.speaker_width, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize(("steps", "guidance"), [(10, 1.0), (4, 0.5), (2, 0.0)])
def test_shared_work_gives_what_working_everything_out_anew_gives(flow, speaker, steps, guidance):
    ids, known, noise = random_clip(flow, tokens=13, known_frames=19, seed=0)
    plain = reference.reference_latents(flow, ids, known, speaker, noise, steps=steps, guidance=guidance)
    (shared,) = solved(flow, [(ids, known, noise)], speaker, steps, guidance)
    torch.testing.assert_close(shared, plain, atol=1e-5, rtol=0)


@pytest.mark.parametrize("rescale", [False, True])
def test_a_clip_in_a_batch_of_other_lengths_is_as_alone(flow, speaker, rescale):
    sizes = [(9, 11), (1, 0), (23, 30), (9, 8)]
    clips = [random_clip(flow, tokens, known, seed) for seed, (tokens, known) in enumerate(sizes)]
    together = solved(flow, clips, speaker, rescale=rescale)
    for clip, made in zip(clips, together, strict=True):
        torch.testing.assert_close(made, solved(flow, [clip], speaker, rescale=rescale)[0], atol=1e-5, rtol=0)


def test_rescaling_keeps_the_standard_deviation_of_the_velocity_with_tokens(flow, speaker):
    ids, known, noise = random_clip(flow, tokens=8, known_frames=5, seed=3)
    plan = flow.plan([conditions(flow, ids, known)], speaker, evaluation_times(3))
    velocities = flow.velocities(plan, noise, 1)
    guided = Guidance(2.0, rescale=True)(velocities, plan)
    torch.testing.assert_close(guided.std(), velocities[0].std())
    assert not torch.allclose(Guidance(2.0, rescale=False)(velocities, plan).std(), velocities[0].std(), rtol=1e-2)


def test_what_the_guidance_leaves_out_is_the_tokens_alone(flow, speaker):
    ids, known, noise = random_clip(flow, tokens=8, known_frames=10, seed=4)
    times = evaluation_times(2)
    plan = flow.plan([conditions(flow, ids, known)], speaker, times)
    silent = conditions(flow, ids, known)
    silent = FlowClip(torch.zeros_like(silent.features), silent.known)
    without = flow.velocities(flow.plan([silent], speaker, times), noise, 0)
    torch.testing.assert_close(without[0], without[1], atol=1e-6, rtol=0)
    torch.testing.assert_close(flow.velocities(plan, noise, 0)[1], without[1], atol=1e-6, rtol=0)
    other_prompt = FlowClip(silent.features, silent.known + 1)
    for changed in (flow.plan([other_prompt], speaker, times), flow.plan([silent], speaker + 1, times)):
        assert not torch.allclose(flow.velocities(changed, noise, 0)[1], without[1], atol=1e-3)


def test_no_token_is_a_zero_vector(flow):
    ids = torch.tensor([3, -1, 5])
    changed = flow.token_embedding.weight.clone()
    with_none = flow.token_features(ids)
    flow.token_embedding.weight.zero_()
    zeros = flow.token_features(torch.tensor([0, 0, 0]))
    flow.token_embedding.weight.copy_(changed)
    factor = flow.shape.upsample_factor
    # the upsampling of a token reaches half a token into its neighbours
    middle = slice(factor + factor // 2, 2 * factor - factor // 2)
    assert torch.equal(with_none[middle], zeros[middle])
    assert not torch.equal(with_none[:factor], flow.token_features(torch.tensor([4, -1, 5]))[:factor])


def test_evaluations_are_at_the_beginning_and_the_middle_of_each_step():
    torch.testing.assert_close(evaluation_times(3), torch.tensor([0, 0.25, 0.5, 0.75]))
    assert len(evaluation_times(10)) == 18


def test_midpoint_steps_follow_an_equation_that_can_be_solved_by_hand(flow, speaker, monkeypatch):
    """dx/dt = 2 t x: a midpoint step of size h from t multiplies by 1 + h (2 t + h) (1 + h t)."""
    ids, known, noise = random_clip(flow, tokens=3, known_frames=0, seed=6)
    times = evaluation_times(5)
    plan = flow.plan([conditions(flow, ids, known)], speaker, times)
    monkeypatch.setattr(flow, "velocities", lambda plan, state, n: torch.stack([2 * times[n] * state] * 2))
    *_, last = solve(flow, plan, noise, 5, Guidance(1.0, rescale=False))
    factor = 1.0
    for t in (0, 0.25, 0.5, 0.75):
        factor *= 1 + 0.25 * (2 * t + 0.25) * (1 + 0.25 * t)
    torch.testing.assert_close(last, noise * factor)


def test_bf16_layers_come_close_to_float32(flow, speaker):
    clip = random_clip(flow, tokens=20, known_frames=20, seed=7)
    (exact,) = solved(flow, [clip], speaker)
    flow.set_compute_dtype(torch.bfloat16)
    assert flow.compute_dtype == torch.bfloat16
    assert {flow.time_embedder.mlp[0].weight.dtype, flow.blocks[0].modulation_layer[1].weight.dtype} == {torch.float32}
    assert flow.blocks[0].attn.rotary.inv_freq.dtype == torch.float32
    (rounded,) = solved(flow, [clip], speaker)
    assert rounded.dtype == torch.float32
    error = (rounded - exact).std() / exact.std()
    assert 0 < error < 0.02
