"""AudioSeal with small random weights that were saved for the test; no claim about the real ones is possible here."""

import hashlib
import pickle

import pytest
from waveform_mark_parts import save_audioseal, voice

from covoguard.core.errors import IntegrityError, ModelMissing
from covoguard.core.records import Segment
from covoguard.core.waveformsettings import CheckpointFile, WaveformSettings
from covoguard.watermark.issued import IssuedMessages
from covoguard.watermark.waveform.audioseal import AudioSealMark

HEARD = b"\xbe\xef"


@pytest.fixture
def register(tmp_path, monkeypatch):
    """Empty; messages come out as a test sets them."""
    return IssuedMessages(tmp_path / "issued.sqlite")


def hearing(tmp_path, hears, register=None):
    detector = save_audioseal(tmp_path / "detector.pth", "detector", hears=hears)
    return AudioSealMark.open(WaveformSettings(audioseal_detector=detector, issued=register and register.path))


def test_below_the_threshold_no_bits_are_shown(tmp_path, register):
    finding = hearing(tmp_path, None, register).find(voice())
    assert (finding.status, finding.score, finding.message) == ("not_detected", 0.0, None)


def test_presence_alone_accuses_nobody(tmp_path, register):
    finding = hearing(tmp_path, HEARD, register).find(voice())
    assert (finding.status, finding.reason) == ("inconclusive", "mark_not_measured")
    assert (finding.score, finding.message, finding.p_value) == (1.0, "beef", None)
    assert finding.false_alarms is None
    assert finding.segments == (Segment(0.0, 4.0),)
    assert finding.issued_utc is None


@pytest.mark.parametrize(("others", "status"), [(0, "detected"), (64, "detected"), (65, "inconclusive")])
def test_a_message_that_was_issued_counts_while_messages_are_few(tmp_path, register, monkeypatch, others, status):
    drawn = iter([HEARD, *(number.to_bytes(2, "big") for number in range(others))])
    monkeypatch.setattr("secrets.token_bytes", lambda length: next(drawn))
    for _ in range(others + 1):
        register.issue("audioseal", 2)
    finding = hearing(tmp_path, HEARD, register).find(voice())
    assert (finding.status, finding.message) == (status, "beef")
    assert finding.p_value == pytest.approx((others + 1) / 2**16)
    assert finding.issued_utc is not None


def test_a_message_issued_for_another_mark_does_not_count(tmp_path, register, monkeypatch):
    monkeypatch.setattr("secrets.token_bytes", lambda length: HEARD)
    register.issue("another", 2)
    assert hearing(tmp_path, HEARD, register).find(voice()).status == "inconclusive"


def test_without_a_checkpoint_it_is_not_checked(tmp_path):
    finding = AudioSealMark.open(WaveformSettings(issued=tmp_path / "none")).find(voice())
    assert (finding.status, finding.reason) == ("not_checked", "no_checkpoint")
    assert "--audioseal-detector" in finding.detail


def test_another_checksum_is_refused_before_anything_is_loaded(tmp_path):
    path = tmp_path / "detector.pth"
    path.write_bytes(b"anything")
    with pytest.raises(IntegrityError, match=hashlib.sha256(b"anything").hexdigest()):
        AudioSealMark.open(WaveformSettings(audioseal_detector=CheckpointFile(path, "0" * 64)))
    with pytest.raises(ModelMissing, match=r"missing\.pth"):
        AudioSealMark.open(WaveformSettings(audioseal_detector=CheckpointFile(tmp_path / "missing.pth", "0" * 64)))


def test_a_checkpoint_that_would_run_code_is_refused_and_runs_none(tmp_path):
    touched = tmp_path / "touched"

    class Hostile:
        def __reduce__(self):
            return (open, (str(touched), "w"))

    detector = save_audioseal(tmp_path / "detector.pth", "detector", extra={"optimizer": Hostile()})
    mark = AudioSealMark.open(WaveformSettings(audioseal_detector=detector))
    touched.unlink(missing_ok=True)
    with pytest.raises(IntegrityError, match="tensors alone"):
        mark.find(voice())
    assert not touched.exists()


def test_what_is_no_checkpoint_is_named(tmp_path):
    pytest.importorskip("audioseal", reason="needs the extra audioseal")
    path = tmp_path / "detector.pth"
    path.write_bytes(pickle.dumps({"model": {}}))
    file = CheckpointFile(path, hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(IntegrityError, match=r"detector\.pth"):
        AudioSealMark.open(WaveformSettings(audioseal_detector=file)).find(voice())


def test_weights_that_give_no_numbers_give_no_answer(tmp_path):
    torch = pytest.importorskip("torch")
    path = save_audioseal(tmp_path / "detector.pth", "detector").path
    content = torch.load(path, weights_only=True)
    content["model"] = {name: value * float("nan") for name, value in content["model"].items()}
    torch.save(content, path)
    file = CheckpointFile(path, hashlib.sha256(path.read_bytes()).hexdigest())
    finding = AudioSealMark.open(WaveformSettings(audioseal_detector=file)).find(voice())
    assert (finding.status, finding.reason, finding.score) == ("not_checked", "mark_failed", None)


def test_another_message_gives_another_mark(tmp_path):
    mark = AudioSealMark.open(WaveformSettings(save_audioseal(tmp_path / "generator.pth", "generator")))
    marked = [mark.embed(voice(), message).samples for message in (b"\0\0", HEARD)]
    assert (marked[0] != marked[1]).any()
