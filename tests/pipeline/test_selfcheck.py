"""The self-check counts what it says it counts, and notices a test that cries wolf."""

import numpy as np
import pytest
from marked_sound import RATE_HZ, TABLE, SpelledRecoverer, a_key, audio_of, marked_tokens, plain_tokens, spelled_model

from covoguard.core.records import Audio
from covoguard.pipeline import selfcheck
from covoguard.pipeline.selfcheck import SelfCheckRun
from covoguard.reports.selfcheck import selfcheck_lines
from covoguard.watermark.evidence.presence import PresenceTest
from covoguard.watermark.evidence.reading import MarkReading


@pytest.fixture(scope="module")
def recoverer(tmp_path_factory):
    return SpelledRecoverer(spelled_model(tmp_path_factory.mktemp("spelled")))


SOUNDS = [("plain.wav", audio_of(plain_tokens(30))), ("marked.wav", audio_of(marked_tokens(a_key(1), 30)))]


def run(recoverer, n_keys, jobs=2, sounds=SOUNDS, seed=5):
    check = SelfCheckRun(recoverer, TABLE, sounds, seed=seed)
    assert list(check.keys(n_keys, jobs)) == list(range(1, n_keys + 1 if check.summary().files else 1))
    return check.summary()


def test_real_sound_stays_within_the_bounds_under_any_key(recoverer):
    result = run(recoverer, 40)
    assert (result.outcome, result.files, result.keys, result.pairs) == ("within_bounds", 2, 40, 80)
    assert result.largest_e_path in ("plain.wav", "marked.wav")
    assert 0 < result.mean_e < 10
    for share in result.shares:
        assert share.share == share.pairs / 80 <= share.upper_limit <= 1
    assert [share.bound for share in result.shares] == [0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6]
    text = "\n".join(selfcheck_lines(result))
    assert "2 files x 40 dummy keys = 80 pairs (seed 5)" in text
    assert "keeps its promise" in text


def test_the_same_seed_gives_the_same_result_with_any_number_of_threads(recoverer):
    assert run(recoverer, 6, jobs=1) == run(recoverer, 6, jobs=3)
    assert run(recoverer, 6, seed=6) != run(recoverer, 6)


def test_what_is_done_can_be_summed_up_in_the_middle(recoverer):
    check = SelfCheckRun(recoverer, TABLE, SOUNDS, seed=5)
    done = check.keys(1000, 2)
    for _ in range(3):
        next(done)
    done.close()
    assert (check.summary().keys, check.summary().pairs) == (3, 6)


def test_silence_is_left_out_and_nothing_at_all_is_said_to_be_nothing(recoverer):
    silent = ("silent.wav", Audio(np.zeros(16_000, np.float32), RATE_HZ))
    assert run(recoverer, 2, sounds=[silent, *SOUNDS]).files == 2
    result = run(recoverer, 2, sounds=[silent])
    assert (result.outcome, result.pairs, result.shares, result.mean_e) == ("nothing_tested", 0, (), None)
    assert "Nothing was tested" in selfcheck_lines(result)[-1]


def test_a_test_that_cries_wolf_is_found_out(recoverer, monkeypatch):
    def eager(self, posteriors, tables, speech=None):
        p = np.random.default_rng(list(tables.subkeys["token"][:4])).random() ** 2
        return MarkReading("absent", None, float(np.log10(p)), 0.0, None, 1.0)

    monkeypatch.setattr(PresenceTest, "test", eager)
    result = run(recoverer, 200)
    assert result.outcome == "above_bounds"
    assert result.shares[0].above
    assert "NO" in "\n".join(selfcheck_lines(result))


def test_upper_limits_are_clopper_and_pearsons():
    share = selfcheck._share(0.1, np.full(100, -0.5))
    assert (share.pairs, share.above) == (0, False)
    assert share.upper_limit == pytest.approx(1 - 0.05 ** (1 / 100))
    assert selfcheck._share(0.1, np.full(100, -2.0)).upper_limit == 1.0
