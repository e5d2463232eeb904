"""The promise about false alarms, on real recordings: P(p <= a) <= a over keys that marked nothing."""

from pathlib import Path

import pytest
import soundfile
from pocket_model import complete

from covoguard.core.records import Audio
from covoguard.pipeline.mark_evidence import load_recoverer, load_table
from covoguard.pipeline.selfcheck import SelfCheckRun


def recordings(root: Path, count: int) -> list[tuple[str, Audio]]:
    """The `count` smallest files of the collection, which are its shortest clips."""
    if not complete():
        pytest.skip("the bundled model is not complete")
    paths = sorted((root.parent / "shared/corpus/audio").glob("*.flac"), key=lambda path: path.stat().st_size)
    if not paths:
        pytest.skip("needs ../shared/corpus beside the repository")
    return [(path.name, Audio(*soundfile.read(path, dtype="float32"))) for path in paths[:count]]


def check(sounds: list[tuple[str, Audio]], n_keys: int):
    recoverer = load_recoverer()
    run = SelfCheckRun(recoverer, load_table(recoverer), sounds, seed=3)
    assert list(run.keys(n_keys, 2))[-1] == n_keys
    return run.summary()


def test_real_speech_keeps_the_bound(request):
    found = check(recordings(request.config.rootpath, 12), 20)
    assert found.outcome == "within_bounds"
    assert found.pairs == 240
    assert found.shares[-1].pairs == 0
    assert found.largest_log10_e < 6


@pytest.mark.slow
def test_a_hundred_thousand_pairs_of_real_speech_keep_the_bound(request):
    """About an hour of one core."""
    found = check(recordings(request.config.rootpath, 500), 200)
    assert found.pairs == 100_000
    assert not any(share.above for share in found.shares)
    assert found.shares[-1].pairs == 0
