"""Checks of a collection find what was planted, name every clip, and stay silent on a clean one."""

import csv

import numpy as np
import pytest
import soundfile

from covoguard.core.errors import InputError, UsageError
from covoguard.core.records import Audio
from covoguard.datasets.manifest import read_manifest
from covoguard.datasets.splits import fold_shares
from covoguard.datasets.store import StoredClip, StoreRow, StoreWriter
from covoguard.pipeline.dataset_check import CheckPlan, check_dataset, split_dataset

RATE_HZ = 16_000


def sound(seed, seconds=1.0, drawn_anew=False):
    """Noise in syllables, of another level each; drawn anew, other noise in the same syllables."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    noise = rng.standard_normal(len(time))
    beats = np.arange(0, seconds + 0.2, 0.15)
    syllables = 0.02 + np.interp(time, beats, rng.uniform(0, 1, len(beats))) ** 2
    samples = syllables * (np.random.default_rng(seed + 1000).standard_normal(len(time)) if drawn_anew else noise)
    return (rng.uniform(0.05, 0.1) * samples / np.std(samples)).astype(np.float32)


@pytest.fixture
def collection(tmp_path):
    """`collection(changes, sounds)`: eight clean clips in two folds, with some lines and sounds replaced."""

    def make(changes=None, sounds=None, columns=()):
        lines = []
        for n in range(8):
            label = "spoof" if n % 2 else "bonafide"
            line = {"clip": f"c{n}", "file": f"c{n}.wav", "label": label, "fold": str(n // 4)}
            line |= {"family": f"F{n}" if n % 2 else "", "speaker": f"s{n}", "source": f"S{n}", "text": f"text {n}"}
            lines.append(line | dict.fromkeys(columns, "") | (changes or {}).get(n, {}))
            if (content := (sounds or {}).get(n, sound(n))) is not None:
                samples, rate_hz = content if isinstance(content, tuple) else (content, RATE_HZ)
                soundfile.write(tmp_path / f"c{n}.wav", samples, rate_hz, subtype="FLOAT")
        with (tmp_path / "manifest.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(lines[0]))
            writer.writeheader()
            writer.writerows(lines)
        return tmp_path / "manifest.csv"

    return make


def found(result, *, but=("shortcut", "no_probe")):
    """Kind of each finding -> its clips; the probe has its own tests, eight clips tell it nothing."""
    return {finding.kind: finding.clips for finding in result.findings if finding.kind not in but}


def test_a_clean_collection_has_no_findings(collection):
    result = check_dataset(collection(), CheckPlan(near_duplicates=True))
    assert found(result) == {}
    assert (result.clips, result.usable, result.rates_hz, result.leaks) == (8, 8, ((RATE_HZ, 8),), ())
    assert [(part.name, part.bonafide, part.spoof) for part in result.parts] == [("0", 2, 2), ("1", 2, 2)]


def test_every_clip_that_cannot_be_used_is_named_with_its_fault(collection):
    broken = sound(4)
    broken[100] = np.nan
    sounds = {0: None, 1: sound(1, 0.01), 2: np.zeros(RATE_HZ, np.float32), 4: broken}
    manifest = collection(sounds=sounds)
    (manifest.parent / "c5.wav").write_text("no sound at all")
    (manifest.parent / "c6.wav").write_bytes(b"")
    result = check_dataset(manifest)
    unusable = {finding.kind: finding.clips for finding in result.findings if finding.severity == "unusable"}
    assert unusable == {
        "not_found": ("c0",),
        "too_short": ("c1",),
        "silent": ("c2",),
        "damaged": ("c4",),
        "not_audio": ("c5",),
        "empty_file": ("c6",),
    }
    assert result.usable == 2


def test_rates_that_differ_or_are_not_what_the_manifest_says(collection):
    manifest = collection(
        {n: {"rate_hz": "16000"} for n in range(8)}, {3: (sound(3), 8000), 5: (sound(5), 8000)}, columns=["rate_hz"]
    )
    result = check_dataset(manifest)
    assert found(result) == {"mixed_rates": ("c3", "c5"), "wrong_rate": ("c3", "c5")}
    assert result.rates_hz == ((8000, 2), (16_000, 6))


def test_the_same_sound_is_found_within_a_fold_across_folds_and_under_both_labels(collection):
    result = check_dataset(collection(sounds={2: sound(0), 7: sound(4)}))
    assert found(result) == {
        "duplicates": ("c0", "c2", "c4", "c7"),
        "contradiction": ("c4", "c7"),
    }
    across = check_dataset(collection(sounds={2: sound(2), 4: sound(0), 7: sound(7)}))
    assert found(across) == {"duplicates": ("c0", "c4"), "leak": ("c0", "c4")}
    assert [(leak.key, leak.parts, leak.clips) for leak in across.leaks] == [("content", ("0", "1"), ("c0", "c4"))]


def test_the_same_recording_is_found_when_asked_for(collection):
    longer = {n: sound(n, 2.5) for n in range(8)}
    copy = np.concatenate([np.zeros(3000, np.float32), 0.3 * longer[1]]).astype(np.float32)
    manifest = collection(sounds=longer | {6: copy})
    assert found(check_dataset(manifest)) == {}
    result = check_dataset(manifest, CheckPlan(near_duplicates=True, jobs=2))
    assert found(result) == {"near_duplicates": ("c1", "c6"), "leak": ("c1", "c6")}
    assert "both labels" in next(each.message for each in result.findings if each.kind == "near_duplicates")
    assert [(leak.key, leak.clips) for leak in result.leaks] == [("near_duplicate", ("c1", "c6"))]
    both = check_dataset(manifest, CheckPlan(near_duplicates=True, utterances=True))
    assert found(both) == found(result), "a recording that comes twice is not told twice"


def test_an_utterance_that_comes_twice_is_found_when_asked_for(collection):
    sounds = {n: sound(n, 2.5) for n in range(8)} | {6: sound(1, 2.5, drawn_anew=True)}
    manifest = collection(sounds=sounds)
    assert found(check_dataset(manifest, CheckPlan(near_duplicates=True))) == {}
    result = check_dataset(manifest, CheckPlan(utterances=True, jobs=2))
    assert found(result) == {"same_utterance": ("c1", "c6"), "leak": ("c1", "c6")}
    assert "1 pairs are a genuine clip" in next(each.message for each in result.findings)
    assert [(leak.key, leak.clips) for leak in result.leaks] == [("utterance", ("c1", "c6"))]


def test_leaks_are_named_but_not_those_that_are_meant(collection):
    manifest = collection({4: {"speaker": "s0"}, 6: {"text": "TEXT, 1!"}, 7: {"family": "F1"}, 5: {"source": "S2"}})
    result = check_dataset(manifest)
    assert {(leak.key, leak.value): leak.clips for leak in result.leaks} == {
        ("family", "F1"): ("c1", "c7"),
        ("speaker", "s0"): ("c0", "c4"),
        ("source", "S2"): ("c2", "c5"),
        ("text", "text 1"): ("c1", "c6"),
    }
    assert {count.key: (count.values, count.clips) for count in result.leak_counts}["speaker"] == (1, 2)
    assert found(check_dataset(manifest, CheckPlan(keys=("speaker",), spread=("speaker=s0",)))) == {}


def test_labels_and_folds_that_cannot_be_measured_on(collection):
    assert found(check_dataset(collection({n: {"label": "spoof"} for n in range(8)})))["one_label"] == ()
    lone = check_dataset(collection({4: {"fold": "2"}, 6: {"fold": ""}, 7: {"clip": "c5"}}))
    assert found(lone) == {"no_fold": ("c6",), "repeated_lines": ("c5", "c5"), "fold_without_class": ()}
    assert {each.message for each in lone.findings if each.kind == "fold_without_class"} == {
        "fold 1 has no bonafide clip",
        "fold 2 has no spoof clip",
    }


@pytest.mark.parametrize("planted", [True, False])
def test_a_shortcut_is_found_where_one_is_planted(tmp_path, planted):
    rng = np.random.default_rng(5)
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip", "file", "label", "fold", "orig_format"])
        for n in range(90):
            spoof = bool(rng.random() < 0.5)
            cue = spoof if planted else bool(rng.random() < 0.5)
            soundfile.write(tmp_path / f"{n}.flac", sound(n, 0.6) + 0.02 * cue, RATE_HZ)
            label = "spoof" if spoof else "bonafide"
            writer.writerow([n, f"{n}.flac", label, n % 3, "mp3" if cue else "wav"])
    result = check_dataset(tmp_path)
    eers = {reading.numbers: reading.eer for reading in result.probe}
    assert set(eers) == {"recording_metadata", "file_format", "simple_statistics"}
    assert eers["file_format"] == pytest.approx(0.5, abs=0.1), "all files are of one kind"
    shortcuts = [finding.message.split(" alone")[0] for finding in result.findings if finding.kind == "shortcut"]
    if planted:
        assert eers["recording_metadata"] == 0.0
        assert eers["simple_statistics"] < 0.1
        assert shortcuts == ["simple statistics", "recording metadata"]
    else:
        assert all(low <= eers[reading.numbers] <= high for reading in result.probe for low, high in [(0.3, 0.7)])


def test_folds_that_cannot_teach_a_probe_are_said_so(collection):
    result = check_dataset(collection({n: {"fold": "0"} for n in range(8)}))
    assert {finding.kind for finding in result.findings} == {"no_probe"}
    assert {reading.eer for reading in result.probe} == {None}


def test_a_folder_without_a_manifest_is_checked_for_its_sounds(collection):
    manifest = collection(sounds={3: sound(0), 5: np.zeros(RATE_HZ, np.float32)})
    manifest.unlink()
    result = check_dataset(manifest.parent)
    assert (result.has_labels, result.clips, result.parts, result.probe) == (False, 8, (), ())
    first, second = (str(manifest.parent / name) for name in ("c0.wav", "c3.wav"))
    assert found(result) == {"silent": (str(manifest.parent / "c5.wav"),), "duplicates": (first, second)}


def test_what_is_no_collection_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no sound file"):
        check_dataset(tmp_path)
    with pytest.raises(InputError, match="CSV"):
        check_dataset(tmp_path / "none.csv")


def test_a_split_keeps_what_was_asked_apart_and_the_old_manifest_as_it_was(collection, tmp_path):
    manifest = collection({n: {"fold": "", "speaker": f"s{n // 2 % 3}"} for n in range(8)})
    before = manifest.read_bytes()
    new = tmp_path / "new.csv"
    report = split_dataset(manifest, new, by=["speaker"], shares=fold_shares(2), seed=1)
    assert (report.groups, report.balanced_by, report.lacking) == (3, "clips", ())
    assert manifest.read_bytes() == before
    rows = read_manifest(new)
    for speaker in ("s0", "s1", "s2"):
        assert len({row.split for row in rows if row.speaker == speaker}) == 1
    assert check_dataset(new, CheckPlan(keys=("speaker",))).leaks == ()
    with pytest.raises(UsageError, match="there already"):
        split_dataset(manifest, new, by=["speaker"], shares=fold_shares(2), seed=1)


def test_a_store_is_checked_like_a_manifest(tmp_path):
    with StoreWriter.open(tmp_path / "store") as writer:
        for n in range(8):
            row = StoreRow(
                clip_id=f"c{n}",
                label="spoof" if n % 2 else "bonafide",
                generator="G" if n % 2 else None,
                speaker=f"s{n}",
                split=str(n // 4),
                text_sha256="same" if n in (2, 6) else None,
            )
            samples = np.zeros(RATE_HZ, np.float32) if n == 3 else sound(0 if n == 4 else n)
            writer.add(StoredClip(row, Audio(samples, RATE_HZ)))
    result = check_dataset(tmp_path / "store")
    assert (result.clips, result.usable, result.rates_hz) == (8, 7, ((RATE_HZ, 8),))
    assert found(result)["silent"] == ("c3",)
    assert found(result)["duplicates"] == ("c0", "c4")
    assert {leak.key: leak.clips for leak in result.leaks} == {
        "family": ("c1", "c3", "c5", "c7"),
        "text": ("c2", "c6"),
        "content": ("c0", "c4"),
    }
