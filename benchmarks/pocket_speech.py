"""How well the bundled model's speech is understood, what the mark costs it, and how fast everything runs.

    python benchmarks/pocket_speech.py [--model DIR] [--sentences 90] [--work TRAINING_FOLDER] [-o FIGURES.json]

Word error rates by pocketsphinx: with a bigram model of the domain, and with its generic English model. `--work`
is the folder of `covoguard.pipeline.train_pocket`; with it the codec's reconstruction and flite itself are measured.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from intelligibility import Recogniser, spoken_words, word_error_rate

from covoguard.core.protocols import TokenMark
from covoguard.core.records import Audio, Float32Array, Int32Array, Prompt, Tokens
from covoguard.generate.backends.pocket import PocketGenerator
from covoguard.generate.pocket.acoustics import CODEBOOK_SIZE, VOICES
from covoguard.generate.pocket.recoverer import PocketRecoverer
from covoguard.generate.training.sentences import FREE_TEXT, domain_split
from covoguard.pipeline.mark_evidence import RecoveredPasses
from covoguard.pipeline.marking import table_of
from covoguard.watermark.evidence.presence import PresenceTest
from watermark import key_number, slot_mark


class TimedMark:
    """A mark that keeps count of the seconds that it takes."""

    def __init__(self, mark: TokenMark) -> None:
        """Times `mark`."""
        self.scheme, self._mark, self.spent_s = mark.scheme, mark, 0.0

    def sample(self, probs: Float32Array, slot: int) -> Int32Array:
        """As the mark does."""
        start = time.perf_counter()
        ids = self._mark.sample(probs, slot)
        self.spent_s += time.perf_counter() - start
        return ids


Say = Callable[[str, int], Float32Array]


def errors(say: Say, texts: Sequence[str], recogniser: Recogniser) -> dict[str, float | int]:
    """Word errors over `texts`, with the standard error of the rate over sentences."""
    counts = []
    for number, text in enumerate(texts):
        counts.append(word_error_rate([(spoken_words(text), recogniser.words(say(text, number)))]))
    wrong, words = np.array(counts).sum(axis=0)
    rng = np.random.default_rng(0)
    table = np.array(counts)
    resampled = table[rng.integers(len(table), size=(500, len(table)))].sum(axis=1)
    spread = float((resampled[:, 0] / resampled[:, 1]).std())
    return {"wer": round(float(wrong / words), 4), "words": int(words), "standard_error": round(spread, 4)}


def intelligibility(generator: PocketGenerator, texts: Sequence[str]) -> dict[str, Any]:
    """Marked and unmarked speech of the same held-out sentences, and free text."""
    table = table_of(generator.model)
    train, _ = domain_split(1)
    domain, generic = Recogniser(train), Recogniser()
    entropy: list[float] = []

    def unmarked(text: str, number: int) -> Float32Array:
        clip = generator.generate(Prompt(text, voice=VOICES[number % 2]), mark=None, seed=number)
        entropy.append(float(dict(clip.recipe.sampling)["entropy_bits_per_token"]))
        return clip.audio.samples

    def marked(text: str, number: int) -> Float32Array:
        mark = slot_mark(key_number(number % 10), table, number)
        return generator.generate(Prompt(text, voice=VOICES[number % 2]), mark=mark, seed=number).audio.samples

    figures = {
        "unmarked, held-out sentences, domain model": errors(unmarked, texts, domain),
        "marked, held-out sentences, domain model": errors(marked, texts, domain),
        "unmarked, held-out sentences, generic model": errors(unmarked, texts[:40], generic),
        "free text, generic model": errors(unmarked, FREE_TEXT, generic),
    }
    return figures | {"entropy_bits_per_token": round(float(np.mean(entropy)), 3)}


def of_the_teacher(work: Path) -> dict[str, Any]:
    """Flite itself and the codec's reconstruction of it."""
    from covoguard.generate.training import corpus
    from covoguard.generate.training.codec import load_codec, tokens_of
    from covoguard.generate.training.variation import vary
    from covoguard.pipeline.train_pocket import decoder_of

    codec = load_codec(work / "codec.safetensors")
    decoder = decoder_of(codec)
    held = {utterance.text: utterance for utterance in corpus.load(work / "held.npz")[:60]}
    train, _ = domain_split(1)

    def teacher(text: str, number: int) -> Float32Array:
        return corpus.speak(text, VOICES[number % 2], 1.0)[0]

    def rebuilt(text: str, number: int) -> Float32Array:
        frames, _, _ = vary(held[text], np.random.default_rng(number))
        ids = tokens_of(*codec, frames, held[text].voice)
        return decoder.decode(Tokens(ids, 25, CODEBOOK_SIZE), voice=held[text].voice).samples

    figures = {}
    for name, recogniser in (("domain", Recogniser(train)), ("generic", Recogniser())):
        figures[f"flite, {name} model"] = errors(teacher, list(held), recogniser)
        figures[f"reconstruction, {name} model"] = errors(rebuilt, list(held), recogniser)
    figures["flite, free text, generic model"] = errors(teacher, FREE_TEXT, recogniser)
    return figures


def speeds(generator: PocketGenerator, texts: Sequence[str]) -> dict[str, float]:
    """Times real time on one thread, in CPU seconds.

    The cost of the mark is the share of the time that is spent in its sampling, an ordinary draw's part included:
    marked against unmarked clips differ by more than that, from one run to the next. Each clip has a key of its own.
    """
    table, recoverer = table_of(generator.model), PocketRecoverer.load(generator.model.path)
    generator.generate(Prompt(texts[0]), mark=None, seed=0)
    spent_s, marking_s, made_s = 0.0, 0.0, 0.0
    for number, text in enumerate(texts[:48]):
        start = time.process_time()
        mark = TimedMark(slot_mark(key_number(number), table, number))
        clip = generator.generate(Prompt(text), mark=mark, seed=number)
        spent_s += time.process_time() - start
        marking_s += mark.spent_s
        made_s += clip.audio.duration_s
    minute = np.concatenate([generator.generate(Prompt(text), mark=None, seed=1).audio.samples for text in texts[:30]])
    audio = Audio(minute[: 60 * 16_000], 16_000)
    recoverer.recover(audio)
    start = time.process_time()
    recoverer.recover(audio)
    recovered = time.process_time() - start
    test = PresenceTest(table)
    tables = test.prepare(table.subkeys(key_number(99)))
    start = time.process_time()
    test.test(RecoveredPasses(recoverer, audio), tables)
    verified = time.process_time() - start
    return {
        "generation_times_real_time": round(made_s / spent_s, 1),
        "mark_cost_share_of_generation": round(marking_s / spent_s, 4),
        "recoverer_times_real_time": round(audio.duration_s / recovered, 1),
        "verify_60s_unmarked_times_real_time": round(audio.duration_s / verified, 1),
    }


def main() -> None:
    """Measure and print; write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--sentences", type=int, default=90)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--parts", nargs="*", default=["speed", "speech", "teacher"])
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = PocketGenerator.load(options.model)
    _, held = domain_split(1)
    texts = held[120 : 120 + options.sentences]
    figures: dict[str, Any] = {"model": generator.model.id}
    if "speed" in options.parts:
        figures["speed"] = speeds(generator, texts)
        print(figures["speed"], flush=True)
    if "speech" in options.parts:
        figures["speech"] = intelligibility(generator, texts)
        print(json.dumps(figures["speech"], indent=1), flush=True)
    if "teacher" in options.parts and options.work:
        figures["teacher"] = of_the_teacher(options.work)
        print(json.dumps(figures["teacher"], indent=1), flush=True)
    if options.output:
        options.output.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
