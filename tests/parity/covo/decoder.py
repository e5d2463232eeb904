"""The decoder: probes of single layers, whole cases from tokens to sound, and how far the vocoder reaches."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from covoguard.generate.covo.config import DecoderConfig
from covoguard.generate.covo.token2wav.decoder import CovoDecoder, VoicePrompt
from covoguard.generate.covo.token2wav.flow import FlowClip, FlowPlan, FlowTransformer
from covoguard.generate.covo.token2wav.solver import Guidance, evaluation_times, solve
from covoguard.generate.covo.token2wav.vocoder import AntiAliasedSnake, Vocoder

from ..report import Report

TOLERANCE = 1e-5


def check(folder: Path, report: Report) -> None:
    """Compare the decoder of `folder` with the reference's outputs."""
    name = folder / "t2w_config.json"
    config = DecoderConfig.from_json(json.loads(name.read_text()), str(name))
    state = load_file(folder / "t2w_state.safetensors")
    golden = load_file(folder / "t2w_golden.safetensors")
    meta = json.loads((folder / "t2w_meta.json").read_text())
    flow, vocoder = FlowTransformer(config.flow).eval(), Vocoder(config.vocoder).eval()
    flow.load_state_dict(_part(state, "token2latent."))
    vocoder.load_state_dict(_part(state, "wavegan."))
    report.exact("decoder: tensors of the state", len(state), meta["state_keys_total"])
    report.exact("decoder: samples per latent", config.vocoder.hop_samples, meta["hop"])
    mean, variance = torch.from_numpy(np.load(folder / "global_mean_var.npy"))
    with torch.inference_mode():
        _check_flow_probes(flow, golden, report)
        _check_first_case(CovoDecoder(config, flow, vocoder, mean, variance, {}), golden, report)
        for case in [key for key, value in meta.items() if isinstance(value, dict) and "frames" in value]:
            decoder = CovoDecoder(_settings(case, meta[case], config), flow, vocoder, mean, variance, {})
            _check_case(decoder, case, meta[case], golden, report)
        _check_vocoder_probes(vocoder, golden, report)
        _check_reach(vocoder, golden["probe.voc_in"], meta["vocoder_reach"], report)


def _part(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def _check_flow_probes(flow: FlowTransformer, golden: dict[str, Tensor], report: Report) -> None:
    """Time, attention, one block and the whole vector field."""
    time, speaker = golden["probe.vf_t"], golden["spkr_embed"][0]
    report.close("time_embed", flow.time_embedder(time), golden["probe.time_embed"], TOLERANCE)
    given = golden["probe.block_in"]
    plan, block = _plan_of(flow, given.shape[1], speaker, time), flow.blocks[0]
    # in the plan's two rows stand the velocities with and without tokens; here both get the same
    attended = block.attn(given.expand(2, -1, -1), plan.frames)[:1]
    report.close("attn0_out", attended, golden["probe.attn0_out"], TOLERANCE)
    modulation = block.modulation(golden["probe.block_cond"])[0]
    blocked = block(given.expand(2, -1, -1), modulation, plan.frames)[:1]
    report.close("block0_out", blocked, golden["probe.block0_out"], TOLERANCE)
    widths = [flow.shape.width, flow.shape.latent_width, flow.shape.latent_width]
    features, known, noisy = golden["probe.vf_in"][0].split(widths, dim=-1)
    plan = flow.plan([FlowClip(features, known)], speaker, time)
    report.close("vf_out", flow.velocities(plan, noisy, 0)[:1], golden["probe.vf_out"], TOLERANCE)


def _plan_of(flow: FlowTransformer, frames: int, speaker: Tensor, time: Tensor) -> FlowPlan:
    """The plan of one clip without any conditions."""
    features, known = torch.zeros(frames, flow.shape.width), torch.zeros(frames, flow.shape.latent_width)
    return flow.plan([FlowClip(features, known)], speaker, time)


def _check_first_case(decoder: CovoDecoder, golden: dict[str, Tensor], report: Report) -> None:
    """What leads to the latents of the case with everything: conditions, then the state at every point."""
    config, voice = decoder.config, _voice("full", golden, decoder.config)
    clip = decoder.clip(golden["target_token"][0].numpy(), voice)
    report.close("full: token_proj", clip.features[None], golden["full.token_proj"], TOLERANCE)
    report.close("full: latent_cond", clip.known[None], golden["full.latent_cond"], TOLERANCE)
    plan = decoder.flow.plan([clip], golden["spkr_embed"][0], evaluation_times(config.steps))
    guidance = Guidance(config.guidance, config.rescale)
    states = solve(decoder.flow, plan, golden["full.noise"][0], config.steps, guidance)
    report.close("full: traj", torch.stack(list(states)), golden["full.traj"], TOLERANCE)


def _check_case(
    decoder: CovoDecoder, case: str, facts: dict[str, float], golden: dict[str, Tensor], report: Report
) -> None:
    """One case from its tokens and noise to its sound."""
    voice, noise = _voice(case, golden, decoder.config), golden[f"{case}.noise"][0]
    ids = golden.get(f"{case}.target_token", golden["target_token"])[0].numpy()
    latents = decoder.latents(ids, voice, noise)
    sound = torch.from_numpy(decoder.waveform(latents, voice))
    report.exact(f"{case}: frames", len(latents), facts["frames"])
    report.exact(f"{case}: samples", len(sound), facts["wav_len"])
    report.close(f"{case}: latents_norm", latents[None], golden[f"{case}.latents_norm"], TOLERANCE)
    made = decoder.vocoder_input(latents, voice)
    report.close(f"{case}: vocoder_in", made, golden[f"{case}.vocoder_in"], TOLERANCE)
    report.close(f"{case}: wav", sound[None, None], golden[f"{case}.wav"], TOLERANCE)


def _voice(case: str, golden: dict[str, Tensor], config: DecoderConfig) -> VoicePrompt:
    """The voice prompt of a case; its name says what is left out."""
    tokens, latents, speaker = (golden[name][0].numpy() for name in ("prompt_token", "prompt_latent", "spkr_embed"))
    if "noprompt" in case:
        return VoicePrompt(speaker=speaker)
    if "nospk" in case:
        return VoicePrompt(tokens, latents[: config.flow.upsample_factor * len(tokens)])
    return VoicePrompt(tokens, latents, speaker)


def _settings(case: str, facts: dict[str, float], config: DecoderConfig) -> DecoderConfig:
    """The configuration with what the name of a case and its record say."""
    strength = re.search(r"alpha(-?[0-9.]+)", case)
    return replace(
        config,
        steps=int(facts["steps_points"]),
        guidance=float(strength[1]) if strength else config.guidance,
        rescale=config.rescale or "rescale" in case,
    )


def _check_vocoder_probes(vocoder: Vocoder, golden: dict[str, Tensor], report: Report) -> None:
    """The filters as we work them out, and the vocoder layer by layer, each from the reference's own input to it."""
    designed = AntiAliasedSnake(1)
    report.close("aa_up_filter", designed.upsample.filter, golden["probe.aa_up_filter"], TOLERANCE)
    report.close("aa_down_filter", designed.downsample.lowpass.filter, golden["probe.aa_down_filter"], TOLERANCE)
    block = vocoder.resblocks[0]
    steps = (
        ("voc_conv_pre", vocoder.conv_pre, "voc_in"),
        ("voc_up0", vocoder.ups[0][0], "voc_conv_pre"),
        ("act_out", block.activations[0], "voc_up0"),
        ("voc_resblock0", block, "voc_up0"),
        ("voc_out", vocoder, "voc_in"),
    )
    for name, layer, given in steps:
        report.close(name, layer(golden[f"probe.{given}"]), golden[f"probe.{name}"], TOLERANCE)


def _check_reach(vocoder: Vocoder, latents: Tensor, facts: dict[str, int], report: Report) -> None:
    """Samples that change with one latent: as many as in the reference, and none that chunks would leave out.

    How large the reference's change was is not recorded, so that its first and last sample are limits, not values.
    """
    hop, frame = vocoder.shape.hop_samples, facts["frame"]
    report.exact("vocoder_reach: frame_start", frame * hop, facts["frame_start"])
    exact = Vocoder(vocoder.shape).double().eval()
    exact.load_state_dict(vocoder.state_dict())
    touched = _touched(exact, latents.double(), frame)
    covered = touched[0] <= facts["first"] and facts["last"] <= touched[1]
    report.exact("vocoder_reach: as far as the reference", covered, True)
    before, after = vocoder.reach_frames
    middle = before + after
    first, last = _touched(exact, latents.double().repeat(1, 1, 1 + 2 * middle // latents.shape[-1]), middle)
    inside = (middle - after) * hop <= first and last < (middle + before + 1) * hop
    report.exact("vocoder_reach: within what chunks keep", inside, True)


def _touched(vocoder: Vocoder, latents: Tensor, frame: int) -> tuple[int, int]:
    """First and last sample that change with the latents of one frame."""
    changed = latents.clone()
    changed[..., frame] += 1
    samples = (vocoder(changed) != vocoder(latents)).flatten().nonzero()
    return int(samples.min()), int(samples.max())
