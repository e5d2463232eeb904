"""Speed of Covo-Audio in our code, beside its floors and beside the plain way, in one run, with random weights.

    python benchmarks/covo_gpu.py [--size full|small] [--device cuda] [-o FIGURES.json]

On a GPU with 48 GiB or more the sizes are the released ones; else they are small, and the figures say nothing of the
real model. Floors: bytes that a step must read over the copy bandwidth measured here, operations over the matrix rate
measured here. The plain way: `transformers.generate`, and a decoder in float32 with a dense attention bias
(`covo_reference_decoder.py`). Takes about 7 minutes on an H200.
"""

import argparse
import gc
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from covo_reference_decoder import reference_latents

from covoguard.core.keys import SecretKey
from covoguard.core.protocols import TokenMark
from covoguard.core.records import Tokens
from covoguard.generate.covo.config import (
    CovoConfig,
    DecoderConfig,
    EncoderShape,
    FlowShape,
    LanguageShape,
    VocoderShape,
)
from covoguard.generate.covo.decoding.engine import Engine, Request
from covoguard.generate.covo.decoding.sampling import CovoSampling
from covoguard.generate.covo.language.language_model import CovoLanguageModel
from covoguard.generate.covo.token2wav.decoder import CovoDecoder, VoicePrompt
from covoguard.generate.covo.token2wav.flow import FlowTransformer
from covoguard.generate.covo.token2wav.vocoder import Vocoder
from covoguard.watermark.sampling import SlotGumbel
from covoguard.watermark.table import MarkTable

AUDIO_SHARE = 0.75
"""Of a reply's tokens: 15 of 20."""
TOKENS_PER_S = 25


@dataclass(frozen=True)
class Size:
    """What is measured: shapes, prompt and reply lengths.

    Contexts and three times the steps stay within one reach of the cache (512 places), so that no graph is captured
    while the clock runs.
    """

    config: CovoConfig
    decoder: DecoderConfig
    voice_tokens: int
    batch: int
    context_tokens: int
    steps: int
    reply_s: float
    plain_tokens: int


RESBLOCKS = ((3, 7, 11), ((1, 3, 5),) * 3)
RATES, KERNELS = (5, 3, 2, 2, 2, 2), (10, 6, 4, 4, 4, 4)
FULL = Size(
    CovoConfig(
        LanguageShape(168055, 3584, 18944, 28, 28, 4, 1e6, 1e-6, 131072),
        EncoderShape(1280, 32, 20, 5120, 128, 1500), 151671, 8, None,
    ),
    DecoderConfig(
        FlowShape(4, 16384, 512, 64, 1024, 12, 1024, 4096, 16), VocoderShape(64, RATES, KERNELS, 1536, *RESBLOCKS),
        24_000, 10, 1.0, rescale=False,
    ),
    voice_tokens=291, batch=64, context_tokens=830, steps=64, reply_s=10.0, plain_tokens=64,
)  # fmt: skip
SMALL = Size(
    CovoConfig(
        LanguageShape(4096, 256, 768, 4, 8, 2, 1e6, 1e-6, 4096), EncoderShape(64, 2, 4, 128, 128, 1500), 3072, 8, None
    ),
    DecoderConfig(
        FlowShape(4, 1024, 64, 16, 64, 3, 128, 512, 4), VocoderShape(16, RATES, KERNELS, 128, *RESBLOCKS),
        24_000, 10, 1.0, rescale=False,
    ),
    voice_tokens=20, batch=8, context_tokens=200, steps=32, reply_s=2.0, plain_tokens=32,
)  # fmt: skip


class Clock:
    """Times work on a device, after waiting for what went before."""

    def __init__(self, device: torch.device) -> None:
        """On `device`."""
        self.device = device

    def wait(self) -> None:
        """Until the device is idle."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds(self, work: Callable[[], Any], repeats: int = 3, warm_up: int = 1) -> float:
        """The shortest of `repeats` runs."""
        for _ in range(warm_up):
            work()
        best = float("inf")
        for _ in range(repeats):
            self.wait()
            started = time.perf_counter()
            work()
            self.wait()
            best = min(best, time.perf_counter() - started)
        return best


def random_module(module: torch.nn.Module, device: torch.device, dtype: torch.dtype, deviation: float) -> None:
    """Fill a module that was made on the meta device: matrices at random, gains 1, the rest 0."""
    module.to_empty(device=device)
    generator = torch.Generator(device).manual_seed(1)
    for name, values in [*module.named_parameters(), *module.named_buffers()]:
        if values.dim() > 1:
            values.data.normal_(0, deviation, generator=generator)
        else:
            values.data.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
    module.to(dtype).requires_grad_(False).eval()


def language_model(size: Size, device: torch.device, dtype: torch.dtype) -> CovoLanguageModel:
    """Random weights; text ids are given even logits near 0, so that mostly audio is written, as in a long reply."""
    with torch.device("meta"):
        model = CovoLanguageModel(size.config)
    random_module(model, device, dtype, 0.02)
    model.llm.lm_head.weight.data[: size.config.first_audio_id] *= 0.01
    model.reset_buffers()
    return model


def decoder(size: Size, device: torch.device, dtype: torch.dtype, *, tf32: bool) -> CovoDecoder:
    """Random weights and a random voice of the released length."""
    flow_shape, vocoder_shape = size.decoder.flow, size.decoder.vocoder
    flow, vocoder = FlowTransformer(flow_shape), Vocoder(vocoder_shape)
    rng = np.random.default_rng(2)
    frames = flow_shape.upsample_factor * size.voice_tokens + 3
    voice = VoicePrompt(
        rng.integers(flow_shape.token_vocab_size, size=size.voice_tokens),
        rng.standard_normal((frames, flow_shape.latent_width), dtype=np.float32),
        rng.standard_normal(flow_shape.speaker_width, dtype=np.float32),
    )
    mean, variance = torch.zeros(flow_shape.latent_width), torch.ones(flow_shape.latent_width)
    return CovoDecoder(size.decoder, flow, vocoder, mean, variance, {"v": voice}, device=device, dtype=dtype, tf32=tf32)


def floors(clock: Clock, dtype: torch.dtype) -> dict[str, float]:
    """Copy bandwidth (read and written bytes) and matrix rate of this device."""
    on_gpu = clock.device.type == "cuda"
    source = torch.empty((1 << 30) if on_gpu else (1 << 26), dtype=torch.uint8, device=clock.device)
    target = torch.empty_like(source)
    copy_s = clock.seconds(lambda: target.copy_(source), 5)
    n = 8192 if on_gpu else 768
    a, b = (torch.randn(n, n, device=clock.device).to(dtype) for _ in range(2))
    product_s = clock.seconds(lambda: a @ b, 5)
    return {"copy_bytes_per_s": 2 * source.numel() / copy_s, "matrix_flop_per_s": 2 * n**3 / product_s}


def marks_for(size: Size, count: int) -> list[TokenMark]:
    """Marks of one key at start slots of their own."""
    codes = len(size.config.audio_ids)
    table = MarkTable("benchmark@1", codes, np.zeros(codes, np.int32), (((1.0, 4.0),),))
    key = SecretKey("k00000000be", 1, bytes(range(32)), created_utc="2026-01-01T00:00:00Z")
    return [SlotGumbel.from_key(key, table, start_slot=(977 * n) % table.n_slots) for n in range(count)]


def requests(
    model: CovoLanguageModel, size: Size, count: int, context: int, new_tokens: int, marks: Sequence[TokenMark] | None
) -> list[Request]:
    """`count` prompts of `context` random text ids, sampled at the official settings."""
    rng = np.random.default_rng(3)
    made = []
    for n in range(count):
        ids = torch.from_numpy(rng.integers(size.config.first_audio_id, size=context))
        made.append(
            Request(
                model.embed(ids, None, -1), ids, seed=n, sampling=CovoSampling(max_new_tokens=new_tokens),
                mark=marks[n] if marks else None,
            )
        )  # fmt: skip
    return made


def step_figures(
    model: CovoLanguageModel,
    size: Size,
    clock: Clock,
    rates: dict[str, float],
    batch: int,
    context: int,
    compiled: bool,
) -> dict[str, float]:
    """One step of the language model at `batch`, with and without marks, beside its floor."""
    language, itemsize = size.config.language, model.llm.lm_head.weight.element_size()
    read = sum(p.numel() for p in model.llm.parameters()) - model.llm.model.embed_tokens.weight.numel()
    cached = 2 * language.layers * language.kv_heads * language.head_width * (context + size.steps // 2) * batch
    floor_s = (read + cached) * itemsize / rates["copy_bytes_per_s"]
    flop_s = 2 * batch * read / rates["matrix_flop_per_s"]
    room = context + 4 * size.steps + 64
    engine = Engine(
        model.llm, size.config.audio_ids, frozenset(), slots=batch, max_tokens=room, compiled=compiled
    )  # no stop ids: every row goes on
    seconds = {}
    for name, marks in (("unmarked", None), ("marked", marks_for(size, batch))):
        engine.start(requests(model, size, batch, context, room - context, marks))
        seconds[name] = clock.seconds(lambda: [engine.step_once() for _ in range(size.steps)], 2) / size.steps
    return {
        "step_ms": 1e3 * seconds["unmarked"],
        "marked_step_ms": 1e3 * seconds["marked"],
        "mark_cost_share": seconds["marked"] / seconds["unmarked"] - 1,
        "memory_floor_ms": 1e3 * floor_s,
        "arithmetic_floor_ms": 1e3 * flop_s,
        "share_of_floor": max(floor_s, flop_s) / seconds["unmarked"],
        "tokens_per_s": batch / seconds["unmarked"],
    }


def plain_generate(model: CovoLanguageModel, size: Size, clock: Clock) -> dict[str, float]:
    """`transformers.generate` at batch 1 with the same settings but the windowed penalty, which it has not."""
    (request,) = requests(model, size, 1, 300 if size is FULL else 50, size.plain_tokens, None)

    def run() -> None:
        model.llm.generate(
            inputs_embeds=request.embeds[None], max_new_tokens=size.plain_tokens, min_new_tokens=size.plain_tokens,
            do_sample=True, temperature=0.5, top_k=50, top_p=0.9, repetition_penalty=1.05, pad_token_id=0,
        )  # fmt: skip

    step_s = clock.seconds(run, 2) / size.plain_tokens
    return {"step_ms": 1e3 * step_s, "tokens_per_s": 1 / step_s}


def flow_figures(size: Size, device: torch.device, dtype: torch.dtype, clock: Clock) -> dict[str, float]:
    """One reply through flow and vocoder; the flow beside the plain way, with the difference of the latents."""
    torch.manual_seed(7)
    ours = decoder(size, device, dtype, tf32=True)
    torch.manual_seed(7)
    plain = decoder(size, device, torch.float32, tf32=False)  # the same weights, before any rounding
    voice = ours.voices["v"]
    n = round(size.reply_s * TOKENS_PER_S)
    ids = np.random.default_rng(4).integers(size.decoder.flow.token_vocab_size, size=n)
    noise = ours.noise(5, size.voice_tokens + n)
    parts = (voice.latents, voice.speaker)
    all_ids, known, speaker, start = (
        torch.from_numpy(np.concatenate([voice.tokens, ids])).to(device),
        *(torch.from_numpy(each).to(device) for each in parts),
        noise.to(device),
    )
    expected = reference_latents(plain.flow, all_ids, known, speaker, start)
    found = ours.latents(ids, voice, noise)
    reference_s = clock.seconds(lambda: reference_latents(plain.flow, all_ids, known, speaker, start), 2)
    flow_s = clock.seconds(lambda: ours.latents(ids, voice, noise), 3)
    vocoder_s = clock.seconds(lambda: ours.waveform(found, voice), 3)
    difference = (found.float() - expected).norm() / expected.norm()
    return {
        "reply_s": size.reply_s,
        "flow_ms": 1e3 * flow_s,
        "reference_flow_ms": 1e3 * reference_s,
        "flow_speedup": reference_s / flow_s,
        "latents_relative_difference": float(difference),
        "flow_s_per_audio_s": flow_s / size.reply_s,
        "vocoder_s_per_audio_s": vocoder_s / size.reply_s,
    }


def pipeline_figures(
    model: CovoLanguageModel, size: Size, device: torch.device, dtype: torch.dtype, clock: Clock, compiled: bool
) -> dict[str, float]:
    """A full batch of replies, language model and then decoder: seconds of audio per second, without and with mark."""
    speak = decoder(size, device, dtype, tf32=True)
    audio_tokens = round(size.reply_s * TOKENS_PER_S)
    new_tokens = round(audio_tokens / AUDIO_SHARE)
    context = 300 if size is FULL else 50
    engine = Engine(
        model.llm, size.config.audio_ids, frozenset(),
        slots=size.batch, max_tokens=context + new_tokens, compiled=compiled,
    )  # fmt: skip
    rng = np.random.default_rng(6)
    codes = size.decoder.flow.token_vocab_size
    replies = [
        Tokens(rng.integers(codes, size=audio_tokens).astype(np.int32), TOKENS_PER_S, codes) for _ in range(size.batch)
    ]

    def write(marks: Sequence[TokenMark] | None) -> None:
        made = requests(model, size, size.batch, context, new_tokens, marks)
        assert len(list(engine.run(made))) == size.batch

    language_s = clock.seconds(lambda: write(None), 1)
    marked_s = clock.seconds(lambda: write(marks_for(size, size.batch)), 1)
    decoder_s = clock.seconds(
        lambda: speak.decode_many(replies, voices=["v"] * size.batch, seeds=list(range(size.batch))), 1
    )
    audio_s = size.batch * size.reply_s
    return {
        "batch": size.batch,
        "audio_s": audio_s,
        "language_model_s": language_s,
        "marked_language_model_s": marked_s,
        "decoder_s": decoder_s,
        "times_real_time": audio_s / (language_s + decoder_s),
        "marked_times_real_time": audio_s / (marked_s + decoder_s),
    }


def measure(size: Size, device: torch.device, compiled: bool) -> dict[str, Any]:
    """All figures."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    clock = Clock(device)
    figures: dict[str, Any] = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU, one thread",
        "torch": torch.__version__,
        "size": "full" if size is FULL else "small: says nothing of the real model",
        "dtype": str(dtype),
        "floors": floors(clock, dtype),
    }
    show("floors", figures["floors"])
    figures["flow"] = flow_figures(size, device, dtype, clock)
    show("flow", figures["flow"])
    model = language_model(size, device, dtype)
    figures["plain_generate"] = plain_generate(model, size, clock)
    show("plain generate", figures["plain_generate"])
    kinds = (("eager", False), ("compiled", True)) if compiled else (("eager", False),)
    for kind, is_compiled in kinds:
        for batch, context in ((1, 300 if size is FULL else 50), (size.batch, size.context_tokens)):
            row = step_figures(model, size, clock, figures["floors"], batch, context, is_compiled)
            if batch == 1:
                row["times_plain_generate"] = figures["plain_generate"]["step_ms"] / row["step_ms"]
            figures[f"step, batch {batch}, {kind}"] = row
            show(f"step, batch {batch}, {kind}", row)
            gc.collect()
    figures["pipeline"] = pipeline_figures(model, size, device, dtype, clock, compiled)
    show("pipeline", figures["pipeline"])
    if device.type == "cuda":
        figures["peak_memory_gib"] = torch.cuda.max_memory_allocated(device) / 2**30
        print(f"peak memory {figures['peak_memory_gib']:.1f} GiB")
    return figures


def show(title: str, row: dict[str, float]) -> None:
    """One line of figures."""
    print(f"{title}: {', '.join(f'{name} {value:.4g}' for name, value in row.items())}", flush=True)


def main() -> None:
    """Measure and print; write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("full", "small"))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(options.device)
    on_gpu = device.type == "cuda"
    has_room = on_gpu and torch.cuda.get_device_properties(device).total_memory >= 48 << 30
    size = {"full": FULL, "small": SMALL, None: FULL if has_room else SMALL}[options.size]
    figures = measure(size, device, compiled=on_gpu and not options.no_compile)
    if options.output:
        options.output.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
