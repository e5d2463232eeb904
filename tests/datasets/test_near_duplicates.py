"""Copies of a recording are found through codecs, cuts, noise and gain; other sentences of a voice are not."""

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from covoguard.core.audio import resample
from covoguard.datasets.degrade.codec import CODECS, round_trip
from covoguard.datasets.degrade.noise import add_at_snr
from covoguard.datasets.near_duplicates import HOP_S, find_near_duplicates, fingerprint

CORPUS = Path(__file__).resolve().parents[2].parent / "shared" / "corpus"
RATE_HZ = 16_000


def utterance(seed, seconds=3.5, pitch_hz=120.0):
    """A made-up voice: a pulse train through resonances that move from sound to sound."""
    rng = np.random.default_rng(seed)
    pieces = []
    while sum(map(len, pieces)) < seconds * RATE_HZ:
        length = int(rng.uniform(0.08, 0.25) * RATE_HZ)
        pitch = pitch_hz * rng.uniform(0.8, 1.25)
        source = (np.diff(np.floor(np.arange(length + 1) * pitch / RATE_HZ)) > 0) + 0.05 * rng.standard_normal(length)
        for centre in (rng.uniform(300, 800), rng.uniform(900, 2200), rng.uniform(2300, 3200)):
            source = signal.lfilter([1], [1, -1.96 * np.cos(2 * np.pi * centre / RATE_HZ), 0.96], source)
        pieces.append(source / np.abs(source).max() * rng.uniform(0.1, 0.5))
    return np.concatenate(pieces)[: int(seconds * RATE_HZ)].astype(np.float32)


def noisy(samples):
    noise = np.random.default_rng(0).standard_normal(len(samples)).astype(np.float32)
    return add_at_snr(samples, noise, 20.0)


COPIES = {
    "same": lambda samples: samples,
    "mp3": lambda samples: round_trip(samples, CODECS["mp3"], 32_000),
    "opus": lambda samples: round_trip(samples, CODECS["opus"], 16_000),
    "telephone": lambda samples: round_trip(samples, CODECS["mu-law"]),
    "resampled": lambda samples: resample(resample(samples, RATE_HZ, 22_050), 22_050, RATE_HZ),
    "quiet": lambda samples: samples * np.float32(0.05),
    "later": lambda samples: np.concatenate([np.zeros(8000, np.float32), samples]),
    "cut": lambda samples: samples[8000:],
    "noisy": noisy,
}


def pairs(found):
    return {(pair.first, pair.second) for pair in found}


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_is_found_and_nothing_else(kind):
    clips = [utterance(seed) for seed in range(8)]
    found = find_near_duplicates([fingerprint(each) for each in [*clips, COPIES[kind](clips[3])]])
    assert pairs(found) == {(3, 8)}
    assert found[0].bit_error_rate < (0.001 if kind == "same" else 0.2)


@pytest.mark.parametrize(("kind", "offset_s"), [("later", -0.5), ("cut", 0.5), ("same", 0.0)])
def test_the_offset_is_where_the_second_begins_in_the_first(kind, offset_s):
    samples = utterance(1)
    (pair,) = find_near_duplicates([fingerprint(samples), fingerprint(COPIES[kind](samples))])
    assert pair.offset_s == pytest.approx(offset_s, abs=2 * HOP_S)


def test_a_long_recording_holds_an_excerpt():
    whole = np.concatenate([utterance(seed) for seed in range(12)])
    found = find_near_duplicates([fingerprint(whole[20 * RATE_HZ : 23 * RATE_HZ]), fingerprint(whole)])
    assert [round(pair.offset_s, 1) for pair in found] == [-20.0]


def test_many_copies_are_all_linked():
    clips = [utterance(5) * np.float32(0.9**n) for n in range(40)]
    found = find_near_duplicates([fingerprint(each) for each in [*clips, utterance(6)]])
    reached, edges = {0}, pairs(found)
    for _ in clips:
        reached |= {b for a, b in edges if a in reached} | {a for a, b in edges if b in reached}
    assert reached == set(range(40))
    assert len(found) < 40 * 12, "not every pair is compared"


@pytest.mark.parametrize(
    "clip",
    [np.zeros(0, np.float32), np.zeros(160, np.float32), np.zeros(48_000, np.float32), np.ones(48_000, np.float32)],
    ids=["nothing", "10 ms", "silence", "DC"],
)
def test_what_holds_no_sound_matches_nothing(clip):
    prints = [fingerprint(clip), fingerprint(clip), fingerprint(utterance(0))]
    assert find_near_duplicates(prints) == []
    assert not prints[0].is_loud.any()


def test_clips_that_share_only_their_ends_are_not_compared_beyond_them():
    samples = utterance(3)
    ends = [samples[:-8000], samples[-24_000:], samples[-4800:]]
    found = find_near_duplicates([fingerprint(each) for each in [samples, *ends]])
    assert (0, 1) in pairs(found)
    assert (0, 2) in pairs(found)
    assert all(3 not in pair for pair in pairs(found)), "0.3 s are too little to tell"


def test_no_clips_have_no_pairs():
    assert find_near_duplicates([]) == []


def test_blocks_do_not_show_in_a_fingerprint(monkeypatch):
    samples = utterance(2)
    whole = fingerprint(samples)
    monkeypatch.setattr("covoguard.datasets.near_duplicates._BLOCK_FRAMES", 7)
    assert np.array_equal(fingerprint(samples).words, whole.words)


@pytest.fixture(scope="module")
def sentences():
    """Genuine LJSpeech clips: one voice, one room, other words."""
    if not (CORPUS / "manifest.csv").exists():
        pytest.skip("the shared corpus of real speech is not here")
    import soundfile

    with (CORPUS / "manifest.csv").open(newline="", encoding="utf-8") as file:
        lines = [line for line in csv.DictReader(file) if line["speaker"] == "LJ" and line["label"] == "bonafide"]
    paths = {line["path"]: CORPUS / line["file"] for line in lines}
    return [soundfile.read(path, dtype="float32")[0] for path in list(paths.values())[:24]]


@pytest.mark.parametrize("kind", ["mp3", "opus", "later", "noisy"])
def test_real_speech_of_one_voice(sentences, kind):
    prints = [fingerprint(each) for each in [*sentences, *map(COPIES[kind], sentences[:6])]]
    found = pairs(find_near_duplicates(prints))
    assert {(n, len(sentences) + n) for n in range(6)} <= found
    originals = {(a, b) for a, b in found if b < len(sentences)}
    assert len(originals) <= 1, "other sentences of the voice are other recordings"
