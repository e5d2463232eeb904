import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from covoguard.generate.training.sentences import domain_sentences

_SPEC = importlib.util.spec_from_file_location(
    "intelligibility", Path(__file__).parents[2] / "benchmarks" / "intelligibility.py"
)
intelligibility = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(intelligibility)

SENTENCES = domain_sentences(300, seed=2)


def test_errors_are_counted_in_words():
    pairs = [(["a", "b", "c"], ["a", "x", "c", "d"]), (["e", "f"], []), (["g"], ["g"])]
    assert intelligibility.word_error_rate(pairs) == (4, 6)


def test_spoken_words_have_numbers_written_out():
    assert intelligibility.spoken_words("Dr. Lee paid $5, OK?") == ["doctor", "lee", "paid", "five", "dollars", "ok"]


def test_the_bigram_model_is_a_probability_over_successors():
    text = intelligibility.bigram_model([["a", "b"], ["a", "c", "b"], ["b"]])
    singles, doubles = {}, {}
    for line in text.splitlines():
        if match := re.fullmatch(r"(-?[\d.]+) (\S+) (-?[\d.]+)", line):
            singles[match[2]] = float(match[1]), float(match[3])
        elif match := re.fullmatch(r"(-?[\d.]+) (\S+) (\S+)", line):
            doubles[match[2], match[3]] = float(match[1])
    for before in ("<s>", "a", "b", "c"):
        after = [
            10 ** doubles.get((before, word), singles[before][1] + singles[word][0])
            for word in singles
            if word != "<s>"
        ]
        assert sum(after) == pytest.approx(1.0, abs=1e-3)


def test_a_word_without_pronunciation_is_named():
    with pytest.raises(ValueError, match="glimber"):
        intelligibility.restricted_dictionary({"the", "glimber"})


@pytest.mark.skipif(shutil.which("flite") is None, reason="the flite synthesizer is not installed")
def test_clear_speech_is_understood_whatever_was_heard_before(tmp_path):
    recogniser = intelligibility.Recogniser(SENTENCES)
    paths = []
    for index, sentence in enumerate(SENTENCES[:3]):
        paths.append(tmp_path / f"{index}.wav")
        subprocess.run(["flite", "-voice", "rms", "-t", sentence, "-o", paths[-1]], check=True)
    sounds = intelligibility.read_all(paths)
    heard = [recogniser.words(sound) for sound in sounds]
    said = [intelligibility.spoken_words(sentence) for sentence in SENTENCES[:3]]
    errors, words = intelligibility.word_error_rate(zip(said, heard, strict=True))
    assert errors <= 0.2 * words
    assert [recogniser.words(sound) for sound in sounds[::-1]] == heard[::-1]
    assert recogniser.words(np.zeros(0, np.float32)) == recogniser.words(np.zeros(8000, np.float32)) == []
    assert recogniser.words(0.01 * sounds[0]) == heard[0]
