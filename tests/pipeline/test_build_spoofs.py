"""Spoofs from genuine clips: labelled with their method, paired with their origin, nothing twice, no clip a stop."""

import csv
import dataclasses
import errno
import json

import covo_checkpoint
import numpy as np
import pytest
import sound_files as sounds
import speech_and_model
from tone_generator import build_tone_model

from covoguard.core.errors import CovoguardError, UsageError
from covoguard.core.modelcard import open_model, seal_model
from covoguard.core.records import Audio, Posteriors
from covoguard.datasets.copies import COPIES
from covoguard.datasets.store import Store, StoredClip, StoreRow, StoreWriter, hash_of_samples
from covoguard.pipeline import mark_evidence
from covoguard.pipeline.build_damage import DEGRADING, CodecDamage, RandomDamage
from covoguard.pipeline.build_plan import BuildPlan, method_names
from covoguard.pipeline.build_spoofs import build_spoofs
from covoguard.pipeline.mark_evidence import load_recoverer
from covoguard.pipeline.token_resynthesis import PocketResynthesis, TokenModel, most_likely_tokens

GRIFFIN = BuildPlan(("griffin-lim",))
ROW = StoreRow("", "bonafide", speaker="anna", source="home", text_sha256="ab" * 32, licence="own", consent_ref="C-1")


@pytest.fixture
def genuine(tmp_path):
    """A store with two genuine clips of 0.4 s and a spoof."""
    with StoreWriter.open(tmp_path / "genuine") as writer:
        for number in range(3):
            row = dataclasses.replace(ROW, clip_id=f"clip{number}", file_sha256=f"{number}{'0' * 63}")
            if number == 2:
                row = dataclasses.replace(row, label="spoof", generator="elsewhere")
            writer.add(StoredClip(row, Audio(sounds.speech_like(0.4, 16_000, seed=number), 16_000)))
    return tmp_path / "genuine"


def clips_of(folder):
    with Store(folder) as store:
        return {clip.row.clip_id: clip for clip in store.clips()}


def statuses(records):
    return [record.status for record in records]


def level(audio):
    return float(np.sqrt(np.mean(audio.samples.astype(np.float64) ** 2)))


def test_each_genuine_clip_gives_a_spoof_that_says_how_it_was_made(genuine, tmp_path):
    records = list(build_spoofs(genuine, tmp_path / "new", dataclasses.replace(GRIFFIN, keep_bonafide=True, seed=3)))
    assert [(record.clip_id, record.method) for record in records] == [
        ("clip0", None), ("0000000000000000.griffin-lim", "griffin-lim"),
        ("clip1", None), ("1000000000000000.griffin-lim", "griffin-lim"),
    ]  # fmt: skip
    clips = clips_of(tmp_path / "new")
    assert list(clips) == [record.clip_id for record in records]
    origin = clips_of(genuine)["clip0"]
    kept, spoof = clips["clip0"], clips["0000000000000000.griffin-lim"]
    assert kept.row == origin.row
    assert np.array_equal(kept.audio.samples, origin.audio.samples)
    row = spoof.row
    assert (row.label, row.generator, row.family, row.kind) == (
        "spoof", "griffin-lim", "Griffin-Lim", "vocoder-copy-synthesis",
    )  # fmt: skip
    assert (row.speaker, row.source, row.text_sha256) == ("anna", "home", "ab" * 32)
    assert (row.consent_ref, row.mark, row.file_sha256, row.degradations) == ("C-1", None, None, ())
    assert (row.recipe.generator, row.recipe.seed) == ("griffin-lim", 3)
    sampling = dict(row.recipe.sampling)
    assert sampling["genuine_clip"] == "clip0"
    assert sampling["genuine_sha256"] == origin.row.file_sha256
    assert sampling["iterations"] == 32
    assert len(spoof.audio.samples) == len(origin.audio.samples)
    assert not np.array_equal(spoof.audio.samples, origin.audio.samples)
    assert level(spoof.audio) == pytest.approx(level(origin.audio), rel=1e-3)


def test_without_keep_bonafide_only_spoofs_are_stored(genuine, tmp_path):
    list(build_spoofs(genuine, tmp_path / "new", GRIFFIN))
    assert {clip.row.label for clip in clips_of(tmp_path / "new").values()} == {"spoof"}


def test_both_classes_are_degraded_alike(genuine, tmp_path):
    plan = BuildPlan(("griffin-lim",), keep_bonafide=True, degraded=4)
    records = list(build_spoofs(genuine, tmp_path / "new", plan))
    assert statuses(records) == ["added"] * 20
    clips = clips_of(tmp_path / "new")
    chains = set()
    for stem in ("0000000000000000", "1000000000000000"):
        for number in range(1, 5):
            ours, theirs = clips[f"{stem}.d{number}"].row, clips[f"{stem}.griffin-lim.d{number}"].row
            assert (ours.label, theirs.label) == ("bonafide", "spoof")
            assert (ours.generator, ours.recipe.generator) == (None, DEGRADING)
            assert ours.degradations == theirs.degradations
            assert ours.sample_count == theirs.sample_count
            assert "level" in ours.degradations
            chains.add(ours.degradations)
    assert len(chains) > 3, "clips and numbers draw their own chains"
    assert clips["clip0"].row.degradations == clips["0000000000000000.griffin-lim"].row.degradations == ()


def test_packets_are_lost_in_some_copies():
    names = [stage for seed in range(60) for stage in RandomDamage(1).apply(np.ones(800, np.float32) / 9, rng(seed))[1]]
    assert 0 < sum(name.startswith("packet_loss:0.") for name in names) < 20


def rng(seed):
    return np.random.default_rng(seed)


def test_a_clip_is_the_same_whatever_else_is_made_and_another_with_another_seed(genuine, tmp_path):
    list(build_spoofs(genuine, tmp_path / "one", GRIFFIN))
    list(build_spoofs(genuine, tmp_path / "two", BuildPlan(("griffin-lim",), keep_bonafide=True, degraded=1)))
    list(build_spoofs(genuine, tmp_path / "three", dataclasses.replace(GRIFFIN, seed=1)))
    one, two, three = (
        clips_of(tmp_path / name)["0000000000000000.griffin-lim"].row.samples_sha256 for name in ("one", "two", "three")
    )
    assert one == two != three


def test_the_same_command_goes_on_and_makes_nothing_twice(genuine, tmp_path, monkeypatch):
    plan = BuildPlan(("griffin-lim",), keep_bonafide=True, degraded=1)
    stopped = build_spoofs(genuine, tmp_path / "new", plan)
    next(stopped)
    stopped.close()
    assert statuses(build_spoofs(genuine, tmp_path / "new", plan)) == ["already"] * 4 + ["added"] * 4
    whole = clips_of(tmp_path / "new")
    monkeypatch.setattr(COPIES.get("griffin-lim"), "copy", None)  # nothing is computed again
    again = list(build_spoofs(genuine, tmp_path / "new", plan))
    assert statuses(again) == ["already"] * 8
    assert [record.degradations for record in again] == [whole[record.clip_id].row.degradations for record in again]
    assert len(clips_of(tmp_path / "new")) == 8


def test_a_store_made_with_another_seed_is_not_taken_for_the_same(genuine, tmp_path):
    list(build_spoofs(genuine, tmp_path / "new", GRIFFIN))
    with pytest.raises(UsageError, match="another seed"):
        list(build_spoofs(genuine, tmp_path / "new", dataclasses.replace(GRIFFIN, seed=1)))


def write_manifest(folder, names, label="bonafide"):
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip", "file", "label", "speaker", "text", "fold"])
        for name in names:
            writer.writerow([name, name, label, "anna", "hello there", ""])
    return folder / "manifest.csv"


def test_bad_clips_of_a_manifest_are_records_and_the_rest_goes_on(tmp_path):
    good = sounds.wave(sounds.pcm16(sounds.speech_like(0.4, 44_100)), rate_hz=44_100)
    (tmp_path / "good.wav").write_bytes(good)
    (tmp_path / "cut.wav").write_bytes(good[:9000])
    (tmp_path / "text.wav").write_text("words, and no sound")
    (tmp_path / "silent.wav").write_bytes(sounds.wave(bytes(9600)))
    manifest = write_manifest(tmp_path, ["cut.wav", "text.wav", "missing.wav", "silent.wav", "good.wav"])
    records = list(build_spoofs(manifest, tmp_path / "new", GRIFFIN))
    assert statuses(records) == ["failed"] * 4 + ["added"]
    assert [record.error.code for record in records[:4]] == ["partial", "not_audio", "not_found", "no_speech"]
    (clip,) = clips_of(tmp_path / "new").values()
    assert (clip.row.speaker, clip.row.original, clip.row.rate_hz) == ("anna", "good.wav", 16_000)
    assert clip.row.text_sha256 is not None


def test_a_damaged_clip_of_a_store_is_a_record(genuine, tmp_path):
    import h5py

    with h5py.File(genuine / "shard-00000.h5", "r+") as raw:
        raw["samples"][0] ^= 1
    records = list(build_spoofs(genuine, tmp_path / "new", GRIFFIN))
    assert statuses(records) == ["failed", "added"]
    assert records[0].error.code == "integrity"


@pytest.mark.parametrize("sound", [np.zeros(6400, np.float32), np.full(6400, np.nan, np.float32)])
def test_a_method_that_makes_no_sound_fails_for_that_clip_alone(genuine, tmp_path, monkeypatch, sound):
    plan = BuildPlan(("griffin-lim",), keep_bonafide=True)
    monkeypatch.setattr(COPIES.get("griffin-lim"), "copy", lambda self, samples, rng: sound)
    records = list(build_spoofs(genuine, tmp_path / "new", plan))
    assert statuses(records) == ["added", "failed"] * 2
    assert {record.error.code for record in records if record.error} == {"no_speech"}
    assert set(clips_of(tmp_path / "new")) == {"clip0", "clip1"}


def test_a_method_that_breaks_is_a_record_that_names_it(genuine, tmp_path, monkeypatch):
    def broken(self, samples, rng):
        raise ValueError("singular")

    monkeypatch.setattr(COPIES.get("griffin-lim"), "copy", broken)
    record = next(iter(build_spoofs(genuine, tmp_path / "new", GRIFFIN)))
    assert (record.status, record.method, record.error.code) == ("failed", "griffin-lim", "internal_error")
    assert "singular" in record.error.message


def test_collections_that_nothing_can_be_made_of_are_refused_before_anything_is_written(genuine, tmp_path):
    manifest = write_manifest(tmp_path, ["a.wav"], label="spoof")
    refused = {
        "none of its 1 clips is genuine": (manifest, GRIFFIN),
        "is the collection itself": (genuine, GRIFFIN),
        "no store": (tmp_path, GRIFFIN),
        "neither a store nor a CSV": (genuine / "shard-00000.h5", GRIFFIN),
        "nothing is made of it": (genuine, BuildPlan(("generate",))),
        "go together": (genuine, BuildPlan(("generate", "griffin-lim"))),
        "needs genuine speech": (None, GRIFFIN),
    }
    for message, (collection, plan) in refused.items():
        target = genuine if "itself" in message else tmp_path / "new"
        with pytest.raises(UsageError, match=message):
            list(build_spoofs(collection, target, plan))
    assert not (tmp_path / "new").exists()


def test_plans_that_would_give_no_dataset_to_trust_are_refused():
    with pytest.raises(UsageError, match="the damage tells the label"):
        BuildPlan(("griffin-lim",), degraded=1)
    with pytest.raises(UsageError, match="the damage tells the label"):
        BuildPlan(("generate",), codecs=(CodecDamage("mp3", 16_000),))
    for methods in ((), ("vocoder-9000",)):
        with pytest.raises(UsageError, match=r"generate, griffin-lim.*, pocket-resynthesis, world"):
            BuildPlan(methods)
    with pytest.raises(UsageError, match="once"):
        BuildPlan(("world", "world"))


def test_a_full_disk_stops_with_advice_and_the_command_goes_on_later(genuine, tmp_path, monkeypatch):
    from covoguard.datasets.store.journal import JournaledFile

    def full(self):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(JournaledFile, "commit", full)
        with pytest.raises(CovoguardError, match="make room") as caught:
            list(build_spoofs(genuine, tmp_path / "new", GRIFFIN))
    assert caught.value.code == "output_error"
    assert statuses(build_spoofs(genuine, tmp_path / "new", GRIFFIN)) == ["added"] * 2


# --- through tokens ----------------------------------------------------------------------------------------


def test_the_surest_grid_of_tokens_is_taken():
    probs = np.array([[0.2], [0.9], [0.3], [0.8], [0.1]], np.float32)
    ids = np.array([[1], [2], [3], [4], [5]], np.int32)
    row, chosen = most_likely_tokens(Posteriors(ids, probs, 1 - probs[:, 0], 50))
    assert (row, chosen.tolist()) == (1, [2, 4])
    row, chosen = most_likely_tokens(Posteriors(ids[:0], probs[:0], probs[:0, 0], 50))
    assert (row, chosen.tolist()) == (0, [])


@pytest.fixture(scope="module")
def pocket():
    return PocketResynthesis()


@pytest.mark.parametrize("count", [1, 160, 639, 16_000, 32_001])
def test_pocket_resynthesis_keeps_the_contract_of_copies(count, pocket):
    samples = speech_and_model.spoken(3.0)[4000 : 4000 + count]
    copied = pocket.copy(samples, rng(1))
    assert (copied.dtype, copied.shape) == (np.float32, samples.shape)
    assert np.isfinite(copied).all()
    assert np.array_equal(copied, pocket.copy(samples, rng(1)))
    assert not pocket.copy(np.zeros_like(samples), rng(1)).any()
    if count >= 160:
        assert copied[:80].any(), "no silence where the recording has none"
        assert copied[-80:].any()


@pytest.mark.parametrize("later", [0, 320])  # samples: on the grid of tokens, and half a token beside it
def test_pocket_resynthesis_keeps_the_tokens_of_pocket_speech_where_they_were(pocket, later):
    recoverer = load_recoverer()
    speech = pocket.copy(speech_and_model.spoken(3.0), rng(0))
    again = pocket.copy(np.pad(speech, (later, 0)), rng(2))[later:]
    _, before = most_likely_tokens(recoverer.recover(Audio(speech, 16_000)))
    _, after = most_likely_tokens(recoverer.recover(Audio(again, 16_000)))
    assert np.mean(before == after) > 0.6, "by chance 0.001"


def test_pocket_resynthesis_is_a_spoof_without_a_mark(genuine, tmp_path):
    records = list(build_spoofs(genuine, tmp_path / "new", BuildPlan(("pocket-resynthesis",))))
    assert statuses(records) == ["added"] * 2
    clip = clips_of(tmp_path / "new")["0000000000000000.pocket-resynthesis"]
    assert (clip.row.label, clip.row.family, clip.row.kind, clip.row.mark) == ("spoof", "pocket", "codec", None)
    assert len(clip.row.recipe.model_sha256) == 64
    assert len(clip.audio.samples) == 6400
    assert hash_of_samples(clip.audio.samples) == clip.row.samples_sha256


def test_the_methods_are_those_of_the_registry_and_ours():
    names = method_names()
    assert {*COPIES.names(), "pocket-resynthesis", "covo-resynthesis", "generate", "codec-mp3"} <= {*names}
    assert len({*names}) == len(names)


# --- codecs ------------------------------------------------------------------------------------------------


def test_a_codec_is_done_to_both_classes_and_no_label_changes(genuine, tmp_path):
    codecs = (CodecDamage.parse("mp3"), CodecDamage.parse("g722"))
    plan = BuildPlan(("griffin-lim",), keep_bonafide=True, codecs=codecs)
    assert statuses(build_spoofs(genuine, tmp_path / "new", plan)) == ["added"] * 12
    clips = clips_of(tmp_path / "new")
    for name, stage in (("mp3-16000", "mp3:16000"), ("g722", "g722")):
        ours, theirs = clips[f"0000000000000000.{name}"], clips[f"0000000000000000.griffin-lim.{name}"]
        assert (ours.row.label, theirs.row.label) == ("bonafide", "spoof")
        assert ours.row.degradations == theirs.row.degradations == (stage,)
        assert dict(ours.row.recipe.sampling)["codec"] == stage
        assert not np.array_equal(ours.audio.samples, clips["clip0"].audio.samples)


def test_a_codec_that_is_asked_for_as_a_spoof_is_labelled_with_its_name(genuine, tmp_path):
    plan = BuildPlan(("codec-amr-nb",), keep_bonafide=True)
    list(build_spoofs(genuine, tmp_path / "new", plan))
    row = clips_of(tmp_path / "new")["0000000000000000.codec-amr-nb"].row
    assert (row.label, row.generator, row.kind) == ("spoof", "codec-amr-nb", "codec")
    assert dict(row.recipe.sampling)["codec"] == "amr-nb:4750"


@pytest.mark.parametrize("wrong", ["mp9", "mp3:1", "mp3:x", "g722:64000"])
def test_a_codec_or_rate_that_is_not_there_is_refused(wrong):
    with pytest.raises(UsageError, match=r"known|bit rate"):
        CodecDamage.parse(wrong)


# --- through Covo-Audio ------------------------------------------------------------------------------------


class HearsAlwaysTheSame:
    """Stands for a recoverer of 64 codes: row n is token n modulo 64."""

    codebook_size = 64

    def __init__(self, model):
        self.model = model

    def recover(self, audio, *, speed=1.0):
        n = int(audio.duration_s * 50)
        ids = (np.arange(n, dtype=np.int32) // 2 % 64)[:, None]
        return Posteriors(ids, np.full((n, 1), 0.5, np.float32), np.full(n, 0.5, np.float32), 50)


@pytest.fixture(scope="module")
def covo(tmp_path_factory):
    """A tiny checkpoint, and a recoverer folder for it whose network nobody asks."""
    folder = covo_checkpoint.imported_checkpoint(tmp_path_factory.mktemp("covo") / "chat", voices=("ann", "bob"))
    model = open_model(folder)
    ears = folder.parent / "ears"
    ears.mkdir()
    build_tone_model(ears)
    card = json.loads((ears / "card.json").read_text())
    del card["generator"]
    card |= {"recoverer": "frames", "for_model": {"id": model.id, "model_sha256": model.model_sha256}}
    (ears / "card.json").write_text(json.dumps(card))
    seal_model(ears)
    return folder, ears


def test_covo_resynthesis_is_spoken_by_the_checkpoint_that_the_user_has(genuine, covo, tmp_path, monkeypatch):
    monkeypatch.setattr(mark_evidence, "load_recoverer", lambda folder: HearsAlwaysTheSame(open_model(folder)))
    plan = BuildPlan(("covo-resynthesis",), token_model=TokenModel(*covo, "cpu"))
    assert statuses(build_spoofs(genuine, tmp_path / "new", plan)) == ["added"] * 2
    clip = clips_of(tmp_path / "new")["0000000000000000.covo-resynthesis"]
    row, sampling = clip.row, dict(clip.row.recipe.sampling)
    assert (row.label, row.kind, row.mark, row.rate_hz) == ("spoof", "codec", None, 16_000)
    assert row.recipe.model_sha256 == open_model(covo[0]).model_sha256
    assert sampling["recoverer_sha256"] == open_model(covo[1]).model_sha256
    assert "academic" in sampling["licence"]
    assert row.family == "covo", "the family of what the generator says, so that splits keep them together"
    assert len(clip.audio.samples) == 6400


def test_covo_resynthesis_without_a_checkpoint_or_with_the_ears_of_another_is_refused(genuine, covo, tmp_path):
    plans = {
        "name its folder with --model": TokenModel(),
        "no recoverer": TokenModel(covo[0]),
        "reads the tokens of another model": TokenModel(
            covo_checkpoint.imported_checkpoint(tmp_path / "other", seed=1), covo[1]
        ),
    }
    for message, model in plans.items():
        with pytest.raises(CovoguardError, match=message):
            list(build_spoofs(genuine, tmp_path / "new", BuildPlan(("covo-resynthesis",), token_model=model)))
    assert not (tmp_path / "new").exists()
