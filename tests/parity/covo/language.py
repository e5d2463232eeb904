"""The language model beside the official one: what it hears, what it thinks of a prompt, and both rounds of a chat."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from covoguard.core.rates import COVO_RATE_HZ
from covoguard.generate.covo.config import CovoConfig
from covoguard.generate.covo.decoding.engine import Engine
from covoguard.generate.covo.decoding.requests import Reply, Request
from covoguard.generate.covo.decoding.sampling import CovoSampling
from covoguard.generate.covo.decoding.warpers import repetition_penalty, windowed_penalty
from covoguard.generate.covo.language.chat import Rounds, Wanted
from covoguard.generate.covo.language.features import EAR_RATE_HZ, FrontEnd, MelWindow, reference_wave
from covoguard.generate.covo.language.language_model import CovoLanguageModel

from ..report import Report
from .mel import LOG_MEL, WAVE, pcm

FEATURES = 3e-5
EMBEDS = 3e-5
LOGITS = 5e-4
NO_PENALTY = CovoSampling(greedy=True, repetition_penalty=1.0, window_penalty=1.0)
PENALTIES = CovoSampling(greedy=True)

Tensors = dict[str, Tensor]


def check(folder: Path, report: Report) -> None:
    """Compare all of `lm_golden.safetensors`, from the waveform to the second round."""
    meta = json.loads((folder / "lm_meta.json").read_text())
    golden = load_file(folder / "lm_golden.safetensors")
    model = load_model(folder)
    front = FrontEnd.of(model.config)
    wave = reference_wave(pcm(golden["wav_in_i16"]), meta["wav_sr_in"])
    _check_front_end(front, wave, golden, report)
    for kind, rounded in (("bf16mel", True), ("fp32mel", False)):
        _check_hearing(model, list(front.reference_windows(wave, round_to_bfloat16=rounded)), kind, golden, report)
    heard = model.hear(front.reference_windows(wave))
    report.exact("placeholders", len(heard), meta["num_audio_tokens"])
    prompt, later = golden["input_ids"][0], golden["input_ids_round1"][0]
    _check_structure(prompt, later, len(heard), meta["special_ids"], report)
    placeholder = meta["special_ids"]["<|cAUDIO|>"]
    embeds = model.embed(prompt, heard, placeholder)
    report.close("inputs_embeds", embeds, golden["inputs_embeds"], EMBEDS)
    report.close("prefill_logits", model(embeds)[0], golden["prefill_logits"], LOGITS)
    _check_greedy(model, embeds, prompt, golden, report)
    _check_rounds(model, heard, placeholder, meta, golden, report)


def load_model(folder: Path) -> CovoLanguageModel:
    """The model of the folder; its weights must be all that ours has, and no others."""
    path = folder / "lm_config.json"
    with torch.device("meta"):
        model = CovoLanguageModel(CovoConfig.from_json(json.loads(path.read_text()), str(path)))
    model.load_state_dict(load_file(folder / "lm_state.safetensors"), assign=True)
    model.reset_buffers()
    return model.requires_grad_(False).eval()


def _check_front_end(front: FrontEnd, wave: Tensor, golden: Tensors, report: Report) -> None:
    for n, segment in enumerate(torch.split(wave, front.window_samples * COVO_RATE_HZ // EAR_RATE_HZ)):
        if f"wav24k_seg{n}" in golden:
            report.close(f"wav24k_seg{n}", segment, golden[f"wav24k_seg{n}"], WAVE)
    segment = front.reference_segments(wave)[0]
    head = golden["wav16k_padded_head"]
    padded = torch.nn.functional.pad(segment, (0, front.window_samples - len(segment)))
    report.close("wav16k_padded_head", padded[: len(head)], head, WAVE)
    log_mel = front.log_mel(segment)
    report.close("logmel_seg0", log_mel[:, : golden["logmel_seg0"].shape[1]], golden["logmel_seg0"], LOG_MEL)
    report.close("logmel_seg0_last8", log_mel[:, -8:], golden["logmel_seg0_last8"], LOG_MEL)


def _check_hearing(
    model: CovoLanguageModel, windows: list[MelWindow], kind: str, golden: Tensors, report: Report
) -> None:
    frames = model.encoder(windows[0].log_mel[None]).last_hidden_state[0]
    expected = golden[f"encoder_out_{kind}_first64"]
    report.close(f"encoder_out_{kind}_first64", frames[: len(expected)], expected, FEATURES)
    rows = FrontEnd.of(model.config).rows_per_window
    name = "adapter_features" if kind == "bf16mel" else "adapter_features_fp32mel"
    report.close(name, model.hear(replace(window, rows=rows) for window in windows), golden[name], FEATURES)


def _check_structure(prompt: Tensor, later: Tensor, rows: int, special: dict[str, int], report: Report) -> None:
    """Where the special ids sit. The text between is the makers' own."""
    start, end = special["<|im_start|>"], special["<|im_end|>"]
    sound = [special["<|begofcAUDIO|>"], *[special["<|cAUDIO|>"]] * rows, special["<|endofcAUDIO|>"]]
    user = [start, *sound, end, start]
    for name, ids, expected in (("input_ids", prompt, [start, end, *user]), ("input_ids_round1", later, user)):
        report.exact(f"{name} special ids", [each for each in ids.tolist() if each in special.values()], expected)


def _check_greedy(model: CovoLanguageModel, embeds: Tensor, prompt: Tensor, golden: Tensors, report: Report) -> None:
    """Step by step with the plain forward pass, and the same ids from the engine."""
    for name, sampling, kept in (
        ("greedy64", NO_PENALTY, "greedy64_step_logits_first16"),
        ("greedy64_pen", PENALTIES, "greedy64_pen_step_scores_first8"),
    ):
        steps = len(golden[name])
        ids, scores = _greedy(model, embeds, prompt, sampling, steps)
        report.exact(name, ids, golden[name])
        report.close(kept, scores[: len(golden[kept])], golden[kept], LOGITS)
        request = Request(embeds, prompt, seed=0, sampling=replace(sampling, max_new_tokens=steps))
        report.exact(f"{name} of the engine", _answer(model, request, frozenset()).ids, golden[name])


def _greedy(
    model: CovoLanguageModel, embeds: Tensor, prompt: Tensor, sampling: CovoSampling, steps: int
) -> tuple[list[int], Tensor]:
    ids, scores, cache = prompt[None], [], None
    for _ in range(steps):
        logits, cache = model(embeds, cache)
        length = torch.tensor([ids.shape[1]])
        step = repetition_penalty(logits[-1:], ids, length, torch.tensor([sampling.repetition_penalty]))
        window, penalty = torch.tensor([sampling.window_tokens]), torch.tensor([sampling.window_penalty])
        scores.append(windowed_penalty(step, ids, length, penalty, window))
        ids = torch.cat([ids, scores[-1].argmax(dim=1, keepdim=True)], dim=1)
        embeds = model.embed(ids[0, -1:], None, placeholder_id=-1)
    return ids[0, -steps:].tolist(), torch.cat(scores)


def _answer(model: CovoLanguageModel, request: Request, stop_ids: frozenset[int]) -> Reply:
    max_tokens = request.prompt_tokens + request.sampling.max_new_tokens
    engine = Engine(model.llm, model.config.audio_ids, stop_ids, slots=1, max_tokens=max_tokens)
    _, reply = next(engine.run([request]))
    if not isinstance(reply, Reply):
        raise reply
    return reply


def _check_rounds(
    model: CovoLanguageModel, heard: Tensor, placeholder: int, meta: dict, golden: Tensors, report: Report
) -> None:
    """Both rounds as the official code plays them, and then with the stop id in the history."""
    stop = meta["round0_eos_id"]
    asked = [golden["input_ids"][0].tolist(), golden["input_ids_round1"][0].tolist()]
    # room for more than was written: the reply must stop by itself
    most = 2 * len(golden["round0_tokens"])
    settings = Wanted(replace(PENALTIES, max_new_tokens=most), seed=0)
    first_logits = {}
    for name, reference_history in (("", True), (" with the stop id fed", False)):
        rounds = Rounds(model, turn_end=stop, placeholder=placeholder, reference_history=reference_history)
        reply = _answer(model, rounds.request(asked[0], heard, settings), frozenset({stop}))
        rounds.receive(reply)
        later = replace(settings, sampling=replace(PENALTIES, max_new_tokens=len(golden["round1_tokens"])))
        request = rounds.request(asked[1], heard, later)
        first_logits[name] = _logits_after(model, request)
        if reference_history:
            report.exact("round0_tokens", reply.ids, golden["round0_tokens"])
            report.exact("round 0 stopped", reply.stopped, True)
            report.exact("length of the cache", reply.history.tokens, meta["round0_cache_len"])
            report.exact("round1_tokens", _answer(model, request, frozenset()).ids, golden["round1_tokens"])
    expected = golden["round1_first_step_logits"]
    report.close("round1_first_step_logits", first_logits[""], expected, LOGITS)
    difference = (first_logits[" with the stop id fed"] - expected).abs().max()
    known = np.array(meta["round1_nocache_with_eos_maxdiff"])
    report.close("difference that the stop id makes", difference, known, LOGITS)


def _logits_after(model: CovoLanguageModel, request: Request) -> Tensor:
    """Logits of a request's first step, by the plain forward pass on its history."""
    from transformers import DynamicCache

    cache = DynamicCache(config=model.llm.config)
    for layer, (keys, values) in enumerate(request.history.keys_values):
        cache.update(keys[None], values[None], layer)
    return model(request.embeds, cache)[0][-1]
