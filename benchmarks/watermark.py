"""How often the token mark is found, after what, at which certified p; and the same for published marks.

    python benchmarks/watermark.py [--model DIR] [--clips 100] [--only ROW …] [-o FIGURES.json]

Every clip is speech of the bundled model from held-out sentences, each under a key of its own. Thresholds come from
theory: `found` is p <= 1e-6 with the certified p of each test. Baselines read the same recoverer's best guesses,
corrected for two grid phases, and are told the true speed and tempo, which ours has to find.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from attacks import ATTACKS
from baseline_marks import HashedGumbelMark, TournamentMark, hashed_gumbel_log10_p, tournament_log10_p

from covoguard.core.keys import SecretKey
from covoguard.core.rates import TOKEN_RATE_HZ
from covoguard.core.records import Audio, Float32Array, Int32Array, Posteriors, Tokens
from covoguard.generate.backends.pocket import PocketGenerator
from covoguard.generate.pocket.acoustics import CODEBOOK_SIZE, RATE_HZ, VOICES
from covoguard.generate.pocket.recoverer import PocketRecoverer
from covoguard.generate.pocket.sampling import Line, SampledTokens
from covoguard.generate.training.sentences import domain_split
from covoguard.pipeline.mark_evidence import RecoveredPasses
from covoguard.pipeline.marking import table_of
from covoguard.watermark.evidence.presence import PresenceTest
from covoguard.watermark.evidence.reading import MarkReading
from covoguard.watermark.kgw import GreenListMark, green_log10_p
from covoguard.watermark.sampling import SlotGumbel
from covoguard.watermark.table import MarkTable

ALPHA = 1e-6
LINES_AT_ONCE = 50
PACE = {"speed +5 %": 1.05, "speed -5 %": 0.95, "tempo +5 %": 1.05, "tempo -5 %": 0.95}


@dataclass(frozen=True)
class Spoken:
    """A clip's tokens and how they were drawn, under which key, in which voice, and the words."""

    tokens: Int32Array
    key: SecretKey
    voice: str
    entropy_bits: float
    texts: tuple[str, ...]
    said: tuple[SampledTokens, ...]


MarkMaker = Callable[[SecretKey, int], Any]


def key_number(number: int, seed: int = 0) -> SecretKey:
    """A key for measuring only, the same on every run with `seed`."""
    master = np.random.default_rng([77, seed, number]).bytes(32)
    return SecretKey("k" + f"{number:010x}", 1, master, created_utc="2026-01-01T00:00:00Z")


def speak(
    generator: PocketGenerator, count: int, seconds: float, make_mark: MarkMaker | None, seed: int, part: int
) -> list[Spoken]:
    """`count` clips of at least `seconds`, each of as many held-out sentences as that takes.

    `part` keeps the draws of several calls apart.
    """
    _, sentences = domain_split(1)
    rng = np.random.default_rng([seed, part])
    keys = [key_number(n, seed) for n in range(count)]
    marks = [make_mark(key, n) if make_mark else None for n, key in enumerate(keys)]
    voices = [n % len(VOICES) for n in range(count)]
    said: list[list[SampledTokens]] = [[] for _ in range(count)]
    texts: list[list[str]] = [[] for _ in range(count)]
    wanted = math.ceil(seconds * TOKEN_RATE_HZ)
    while pending := [n for n in range(count) if length_of(said[n]) < wanted]:
        for start in range(0, len(pending), LINES_AT_ONCE):
            batch = pending[start : start + LINES_AT_ONCE]
            lines: list[Line] = []
            for n in batch:
                texts[n].append(sentences[int(rng.integers(len(sentences)))])
                seed_of_line = int(rng.integers(2**62))
                lines.append(generator.line(texts[n][-1], voices[n], seed_of_line, marks[n], length_of(said[n])))
            for n, part in zip(batch, generator.sample(lines), strict=True):
                said[n].append(part)
    return [
        Spoken(
            np.concatenate([part.ids for part in said[n]]),
            keys[n],
            VOICES[voices[n]],
            float(np.concatenate([part.entropy_bits for part in said[n]]).mean()),
            tuple(texts[n]),
            tuple(said[n]),
        )
        for n in range(count)
    ]


def length_of(said: Sequence[SampledTokens]) -> int:
    """Tokens so far."""
    return sum(len(part.ids) for part in said)


def sound(generator: PocketGenerator, spoken: Spoken, seconds: float, voice: str | None = None) -> Float32Array:
    """The first `seconds` of a clip."""
    ids = spoken.tokens[: round(seconds * TOKEN_RATE_HZ)]
    tokens = Tokens(ids, TOKEN_RATE_HZ, CODEBOOK_SIZE)
    return generator.decoder.decode(tokens, voice=voice or spoken.voice, seed=len(ids)).samples


class OurTest:
    """The shipped test under each clip's key."""

    def __init__(self, table: MarkTable, recoverer: PocketRecoverer) -> None:
        """Keys are expanded when first met; the last one is kept."""
        self._table, self._recoverer = table, recoverer
        self._test = PresenceTest(table, ALPHA)
        self._prepared: dict[str, Any] = {}

    def read(self, samples: Float32Array, key: SecretKey) -> MarkReading:
        """The reading of 16 kHz samples."""
        if key.key_id not in self._prepared:
            self._prepared = {key.key_id: self._test.prepare(self._table.subkeys(key))}
        return self._test.test(RecoveredPasses(self._recoverer, Audio(samples, RATE_HZ)), self._prepared[key.key_id])


def hard_tokens(posteriors: Posteriors, rate: float) -> list[Int32Array]:
    """The best guess per token for each of two grid phases, the token rate known."""
    streams = []
    for phase in (0.0, 1.0):
        cells = np.floor(phase + 2 * rate * np.arange(len(posteriors.ids)) + 0.5).astype(int)
        cells = cells[cells < len(posteriors.ids)]
        streams.append(posteriors.ids[cells, 0])
    return streams


@dataclass(frozen=True)
class Baseline:
    """A published mark: how it is put on, and the exact p of hard tokens."""

    name: str
    make: MarkMaker
    log10_p: Callable[[Int32Array, SecretKey], float]


def subkey_of(key: SecretKey, table: MarkTable, purpose: str) -> bytes:
    """A subkey for a baseline."""
    return key.subkey(purpose, model=table.model, table_sha256=table.sha256)


def baselines(table: MarkTable) -> list[Baseline]:
    """KGW with fixed and context-hashed lists, SynthID's tournament, context-hashed Gumbel."""

    def kgw(seeding: str) -> Baseline:
        return Baseline(
            "KGW h=0" if seeding == "fixed" else "KGW h=1",
            lambda key, n: GreenListMark(table, {"green": subkey_of(key, table, "green")}, seed=n, seeding=seeding),
            lambda ids, key: green_log10_p(ids, table, subkey_of(key, table, "green"), seeding=seeding),
        )

    return [
        kgw("fixed"),
        kgw("context1"),
        Baseline(
            "tournament h=1",
            lambda key, n: TournamentMark(subkey_of(key, table, "tournament"), n),
            lambda ids, key: tournament_log10_p(ids, subkey_of(key, table, "tournament"), table.codebook_size),
        ),
        Baseline(
            "Gumbel h=1",
            lambda key, n: HashedGumbelMark(subkey_of(key, table, "hashed"), n),
            lambda ids, key: hashed_gumbel_log10_p(ids, subkey_of(key, table, "hashed"), table.codebook_size),
        ),
    ]


def baseline_log10_p(
    baseline: Baseline, samples: Float32Array, row: str, key: SecretKey, recoverer: PocketRecoverer
) -> float:
    """Smallest p over two phases, times two; the pace is given away."""
    pace = PACE.get(row, 1.0)
    speed, rate = (pace, 1.0) if row.startswith("speed") else (1.0, 1.0 / pace)
    posteriors = recoverer.recover(Audio(samples, RATE_HZ), speed=speed)
    return min(0.0, math.log10(2) + min(baseline.log10_p(ids, key) for ids in hard_tokens(posteriors, rate)))


def summary(log10_p: Sequence[float]) -> dict[str, float | int]:
    """Shares found and the median."""
    values = np.array(log10_p)
    return {
        "clips": len(values),
        "found_1e-6": float((values <= -6).mean()),
        "found_1e-3": float((values <= -3).mean()),
        "median_log10_p": round(float(np.median(values)), 2),
    }


def measure_ours(
    generator: PocketGenerator, test: OurTest, clips: Sequence[Spoken], only: Sequence[str]
) -> dict[str, Any]:
    """Every row for our mark."""
    rows: dict[str, Any] = {}
    for name, attack in ATTACKS.items():
        if only and name not in only:
            continue
        readings = [test.read(attack(sound(generator, clip, 10.0), n), clip.key) for n, clip in enumerate(clips)]
        rows[name] = summary([reading.log10_p or 0.0 for reading in readings])
        rows[name]["median_log10_p_sharp"] = round(float(np.median([r.log10_p_sharp or 0.0 for r in readings])), 2)
        print(f"{name:24} {rows[name]}", flush=True)
    return rows


def measure_special(
    generator: PocketGenerator,
    test: OurTest,
    recoverer: PocketRecoverer,
    clips: Sequence[Spoken],
    unmarked: Sequence[Spoken],
) -> dict[str, Any]:
    """Short clips, a span in a minute, resynthesis in the other voice, another key."""
    rows: dict[str, Any] = {}
    short = [test.read(sound(generator, clip, 5.0), clip.key) for clip in clips]
    rows["5 s clean"] = summary([reading.log10_p or 0.0 for reading in short])
    rows["10 s in 60 s"] = embedded(generator, test, clips, unmarked)
    rows["20 s, resynthesis in the other voice"] = resynthesised(generator, test, recoverer, clips)
    wrong = [test.read(sound(generator, clip, 10.0), key_number(10_000 + n)) for n, clip in enumerate(clips)]
    rows["another key"] = summary([reading.log10_p or 0.0 for reading in wrong]) | {
        "largest_log10_e": round(max(reading.log10_e or -99.0 for reading in wrong), 2)
    }
    for name, row in rows.items():
        print(f"{name:24} {row}", flush=True)
    return rows


def embedded(
    generator: PocketGenerator, test: OurTest, clips: Sequence[Spoken], unmarked: Sequence[Spoken]
) -> dict[str, Any]:
    """10 s of marked speech at a random place in 60 s of unmarked speech of the same model."""
    rng = np.random.default_rng(5)
    rest = np.concatenate([sound(generator, clip, 20.0) for clip in unmarked])
    log10_p, overlaps = [], []
    for clip in clips:
        start = int(rng.integers(0, len(rest) - 60 * RATE_HZ))
        minute = rest[start : start + 60 * RATE_HZ].copy()
        place = int(rng.integers(0, 50 * RATE_HZ))
        minute[place : place + 10 * RATE_HZ] = sound(generator, clip, 10.0)
        reading = test.read(minute, clip.key)
        log10_p.append(reading.log10_p or 0.0)
        truth = (place / RATE_HZ, place / RATE_HZ + 10.0)
        if (reading.log10_p or 0.0) <= -6:
            overlaps.append(overlap(truth, [(span.start_s, span.end_s) for span in reading.spans]))
    return summary(log10_p) | {"mean_iou_of_found": round(float(np.mean(overlaps)), 3) if overlaps else None}


def overlap(truth: tuple[float, float], spans: Sequence[tuple[float, float]]) -> float:
    """Intersection over union of the true stretch and all spans, in steps of 10 ms."""
    grid = np.arange(0, 60, 0.01)
    true = (grid >= truth[0]) & (grid < truth[1])
    found = np.zeros_like(true)
    for start_s, end_s in spans:
        found |= (grid >= start_s) & (grid < end_s)
    return float((true & found).sum() / max(1, (true | found).sum()))


def resynthesised(
    generator: PocketGenerator, test: OurTest, recoverer: PocketRecoverer, clips: Sequence[Spoken]
) -> dict[str, Any]:
    """Tokens read from 20 s of sound and decoded again in the other voice."""
    log10_p = []
    for clip in clips:
        posteriors = recoverer.recover(Audio(sound(generator, clip, 20.0), RATE_HZ))
        other = VOICES[1 - VOICES.index(clip.voice)]
        tokens = Tokens(hard_tokens(posteriors, 1.0)[0], TOKEN_RATE_HZ, CODEBOOK_SIZE)
        again = generator.decoder.decode(tokens, voice=other, seed=1)
        log10_p.append(test.read(again.samples, clip.key).log10_p or 0.0)
    return summary(log10_p)


def measure_baselines(
    generator: PocketGenerator,
    table: MarkTable,
    recoverer: PocketRecoverer,
    count: int,
    only: Sequence[str],
    schemes: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    """Every row for every published mark."""
    figures: dict[str, Any] = {}
    for baseline in baselines(table):
        if schemes and baseline.name not in schemes:
            continue
        clips = speak(generator, count, 10.0, baseline.make, seed, part=4)
        rows = figures[baseline.name] = {}
        for name, attack in ATTACKS.items():
            if only and name not in only:
                continue
            values = [
                baseline_log10_p(baseline, attack(sound(generator, clip, 10.0), n), name, clip.key, recoverer)
                for n, clip in enumerate(clips)
            ]
            rows[name] = summary(values)
            print(f"{baseline.name:16} {name:24} {rows[name]}", flush=True)
    return figures


def recovery(generator: PocketGenerator, recoverer: PocketRecoverer, clips: Sequence[Spoken]) -> dict[str, Any]:
    """Top-1 and top-5 of sampled tokens, the grid known, two cells averaged per token."""
    rows = {}
    for name in (
        "clean",
        "mp3 32k",
        "opus 16k",
        "opus 8k",
        "telephone, mu-law",
        "reverb 0.25 s",
        "noise 20 dB",
        "noise 10 dB",
    ):
        first = fifth = total = 0
        for n, clip in enumerate(clips):
            posteriors = recoverer.recover(Audio(ATTACKS[name](sound(generator, clip, 10.0), n), RATE_HZ))
            for t, true in enumerate(clip.tokens[:250]):
                pooled: dict[int, float] = {}
                for cell in (2 * t, 2 * t + 1):
                    for code, prob in zip(posteriors.ids[cell], posteriors.probs[cell], strict=True):
                        pooled[int(code)] = pooled.get(int(code), 0.0) + float(prob)
                best = sorted(pooled, key=lambda code: -pooled[code])[:5]
                first += best[0] == true
                fifth += int(true) in best
                total += 1
        rows[name] = {"top1": round(first / total, 4), "top5": round(fifth / total, 4), "tokens": total}
        print(f"recovery {name:20} {rows[name]}", flush=True)
    return rows


def main() -> None:
    """Measure and print; write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--parts", nargs="*", default=["ours", "special", "recovery", "baselines"])
    parser.add_argument("--only", nargs="*", default=[], help="rows, by name")
    parser.add_argument("--schemes", nargs="*", default=[], help="published marks, by name")
    parser.add_argument("--seed", type=int, default=2, help="of sentences, keys and sampling")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator, recoverer = PocketGenerator.load(options.model), PocketRecoverer.load(options.model)
    table = table_of(generator.model)
    test = OurTest(table, recoverer)
    started = time.process_time()
    clips = speak(generator, options.clips, 20.0, lambda key, n: slot_mark(key, table, n), options.seed, part=3)
    figures: dict[str, Any] = {
        "model": generator.model.id,
        "seed": options.seed,
        "table": table.sha256,
        "entropy_bits": round(float(np.mean([clip.entropy_bits for clip in clips])), 3),
    }
    print(figures, flush=True)
    if "ours" in options.parts:
        figures["ours"] = measure_ours(generator, test, clips, options.only)
    if "special" in options.parts:
        unmarked = speak(generator, 8, 20.0, None, options.seed, part=9)
        figures["special"] = measure_special(generator, test, recoverer, clips, unmarked)
    if "recovery" in options.parts:
        figures["recovery"] = recovery(generator, recoverer, clips[:40])
    if "baselines" in options.parts:
        figures["baselines"] = measure_baselines(
            generator, table, recoverer, options.clips, options.only, options.schemes, options.seed
        )
    figures["cpu_s"] = round(time.process_time() - started)
    if options.output:
        options.output.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def slot_mark(key: SecretKey, table: MarkTable, number: int) -> SlotGumbel:
    """Our mark at a start slot drawn for the clip."""
    start_slot = int(np.random.default_rng([3, number]).integers(table.n_slots))
    return SlotGumbel.from_key(key, table, start_slot=start_slot)


if __name__ == "__main__":
    main()
