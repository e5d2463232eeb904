"""How much of generated speech a recogniser understands: word error rates, with two language models.

    python benchmarks/intelligibility.py FOLDER TEXTS.csv [--seed 0] [-o figures.json]

FOLDER holds recordings, TEXTS.csv names them and what they say (columns `file` and `text`). The recogniser is
pocketsphinx with its own acoustic model, once with a bigram language model of the training sentences (`domain`: easy,
it knows the five hundred words that can come) and once with its generic English one (`generic`). Neither
replaces a listener; both compare versions of one voice.
"""

import argparse
import csv
import json
import math
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from covoguard.core.audio import AudioReader, open_input
from covoguard.core.rates import DETECTOR_RATE_HZ
from covoguard.core.records import Float32Array
from covoguard.generate.pocket.text.dictionary import cmu_dictionary
from covoguard.generate.pocket.text.normalize import checked_text, folded, normalized
from covoguard.generate.pocket.text.symbols import PAUSE, QUESTION, STOP
from covoguard.generate.training.edit_distance import edit_distance
from covoguard.generate.training.sentences import domain_split

_EDGE_S = 0.25
"""Silence put before and after a recording: the recogniser expects some."""
_PEAK = 0.7


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("texts", type=Path, help="CSV with the columns file and text")
    parser.add_argument("--seed", type=int, default=0, help="seed of the domain's training sentences")
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON too")
    options = parser.parse_args()
    with options.texts.open(encoding="utf-8", newline="") as file:
        rows = [(options.folder / row["file"], row["text"]) for row in csv.DictReader(file)]
    recordings = read_all([path for path, _ in rows])
    texts = [text for _, text in rows]
    figures: dict[str, float] = {"recordings": len(rows)}
    for name, sentences in (("domain", domain_split(options.seed)[0]), ("generic", None)):
        recogniser = Recogniser(sentences)
        pairs = [(spoken_words(text), recogniser.words(sound)) for text, sound in zip(texts, recordings, strict=True)]
        errors, words = word_error_rate(pairs)
        figures |= {"words": words, f"{name}_errors": errors, f"{name}_word_error_rate": errors / max(words, 1)}
    print(json.dumps(figures, indent=2))
    if options.output:
        options.output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def read_all(paths: Iterable[Path]) -> list[Float32Array]:
    """Samples of recordings at 16 kHz, mono."""
    with AudioReader() as reader:
        sounds = []
        for path in paths:
            with open_input(path) as opened:
                sounds.append(reader.read(opened).audio.samples)
    return sounds


def spoken_words(text: str) -> list[str]:
    """The words of a text as they are said: lower case, numbers written out, no punctuation."""
    known = cmu_dictionary()
    items = normalized(folded(checked_text(text))[0], lambda word: known.phones(word) is not None)
    return [item.rstrip(".") for item in items if item not in (PAUSE, STOP, QUESTION)]


def word_error_rate(pairs: Iterable[tuple[Sequence[str], Sequence[str]]]) -> tuple[int, int]:
    """Errors (substitutions, insertions, deletions) and words said, over pairs of what was said and heard."""
    errors, words = 0, 0
    for said, heard in pairs:
        errors += edit_distance(heard, said)
        words += len(said)
    return errors, words


class Recogniser:
    """pocketsphinx for whole recordings; each is heard afresh, so that their order does not matter."""

    def __init__(self, domain_sentences: Sequence[str] | None = None) -> None:
        """With sentences: their words and bigrams only. Without: the generic English language model."""
        from pocketsphinx import Decoder

        settings = {"loglevel": "FATAL", "cmn": "batch", "samprate": float(DETECTOR_RATE_HZ)}
        if domain_sentences is None:
            self._decoder = Decoder(**settings)
            return
        spoken = [spoken_words(sentence) for sentence in domain_sentences]
        with tempfile.TemporaryDirectory() as scratch:
            model, words = Path(scratch, "domain.arpa"), Path(scratch, "domain.dict")
            model.write_text(bigram_model(spoken), encoding="utf-8")
            words.write_text(
                restricted_dictionary({word for sentence in spoken for word in sentence}), encoding="utf-8"
            )
            self._decoder = Decoder(lm=str(model), dict=str(words), **settings)

    def words(self, samples: Float32Array) -> list[str]:
        """What is heard in samples (n,) at 16 kHz, at any level; digital silence is no words."""
        loudest = float(np.max(np.abs(samples), initial=0.0))
        if not loudest:
            return []
        edge = np.zeros(round(_EDGE_S * DETECTOR_RATE_HZ), np.float32)
        sound = np.concatenate([edge, samples * (_PEAK / loudest), edge])
        self._decoder.reinit_feat()
        self._decoder.start_utt()
        self._decoder.process_raw((sound * 32767).astype(np.int16).tobytes(), full_utt=True)
        self._decoder.end_utt()
        heard = self._decoder.hyp()
        return [word.partition("(")[0].rstrip(".") for word in heard.hypstr.split()] if heard else []


def restricted_dictionary(words: set[str]) -> str:
    """The dictionary's lines, all pronunciations, for some words.

    Raises `ValueError` naming the words that it does not list.
    """
    from pocketsphinx import get_model_path

    lines = Path(get_model_path("en-us/cmudict-en-us.dict")).read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line.split(" ", 1)[0].partition("(")[0] in words]
    missing = words - {line.split(" ", 1)[0] for line in kept}
    if missing:
        raise ValueError(f"not in the dictionary: {', '.join(sorted(missing))}")
    return "\n".join(kept) + "\n"


def bigram_model(sentences: Iterable[Sequence[str]]) -> str:
    """A bigram language model in ARPA format, smoothed after Witten and Bell (1991).

    After a word seen n times with t different successors, a known successor of count c has probability c / (n + t);
    what is left goes to the others in proportion to how often they occur at all.
    """
    unigrams: Counter[str] = Counter()
    successors: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sentence in sentences:
        padded = ["<s>", *sentence, "</s>"]
        unigrams.update(padded[1:])
        for before, after in pairwise(padded):
            successors[before][after] += 1
    total = sum(unigrams.values())
    share = {word: count / total for word, count in unigrams.items()}
    single, double = [], []
    for word in sorted({"<s>", *unigrams}):
        after = successors[word]
        seen, kinds = after.total(), len(after)
        unseen_share = 1.0 - sum(share[other] for other in after)
        backoff = kinds / (seen + kinds) / unseen_share if kinds and unseen_share > 0 else 1.0
        single.append(f"{_log10(share.get(word, 0.0))} {word} {_log10(backoff)}")
        double += [f"{_log10(count / (seen + kinds))} {word} {other}" for other, count in sorted(after.items())]
    head = ["\\data\\", f"ngram 1={len(single)}", f"ngram 2={len(double)}", ""]
    return "\n".join([*head, "\\1-grams:", *single, "", "\\2-grams:", *double, "", "\\end\\", ""])


def _log10(probability: float) -> str:
    """As ARPA files write it; -99 stands for zero."""
    return f"{math.log10(probability):.5f}" if probability > 0 else "-99"


if __name__ == "__main__":
    main()
