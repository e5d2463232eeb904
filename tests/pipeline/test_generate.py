"""A run of clips is whole, marked and recorded, loses nothing and doubles nothing, whatever interrupts it."""

import errno
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from secret_leaks import assert_no_secret
from tone_generator import CODES, ToneGenerator, ToneRecoverer, build_tone_model

from covoguard.core.cliprecord import clip_line, read_clip_line
from covoguard.core.errors import CovoguardError, IntegrityError, ModelMissing, UsageError
from covoguard.core.keyring import KeyRing
from covoguard.core.markrecord import TokenMark
from covoguard.core.modelcard import sha256_of_file
from covoguard.core.records import Clip, Prompt
from covoguard.generate.prompts import PromptList
from covoguard.pipeline import clip_check, clip_folder, generate, mark_evidence
from covoguard.pipeline.clip_check import reading_back
from covoguard.pipeline.generate import GenerationPlan, PayloadPlan, open_generation
from covoguard.pipeline.mark_evidence import WrittenClip
from covoguard.pipeline.marking import Marking, table_of
from covoguard.pipeline.prompted_clips import clip_seed

LONG = " ".join(["word"] * 26)
"""10.4 s as tones."""
PLAN = GenerationPlan(seed=1)
PROMPTS = PromptList.of_texts(["one two", "", "three four", "unspeakable", "five"])


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tone-model")
    build_tone_model(folder)
    return folder


@pytest.fixture
def generator(model_folder, monkeypatch):
    monkeypatch.setattr(mark_evidence, "load_recoverer", lambda folder: ToneRecoverer(ToneGenerator.load(folder).model))
    return ToneGenerator.load(model_folder)


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    return KeyRing(tmp_path_factory.mktemp("keys") / "ring")


@pytest.fixture
def key(ring):
    return ring.default_or_new()


def found_in(path: Path, *, status="present", log10_p=-9.0, extra_s=0.0) -> WrittenClip:
    """What reading back may say of a clip."""
    samples, rate_hz = soundfile.read(path)
    mark = TokenMark(
        status, None, -6.0, log10_p, -log10_p, None, 1.0, None, (), (), "tone@1", "0" * 64, "tone@1", "0" * 64
    )
    return WrittenClip(sha256_of_file(path), len(samples) / rate_hz + extra_s, mark)


@pytest.fixture
def make(generator, key, tmp_path):
    """`make(...)`: run to the end, or for `stop_after` records; -> the records that this run made."""

    def run(
        prompts=PROMPTS, *, folder=tmp_path / "out", plan=PLAN, key=key, read_back=found_in,
        generator=generator, stop_after=None,
    ):  # fmt: skip
        with open_generation(folder, prompts, generator, plan, key=key, read_back=read_back) as generation:
            made = []
            for record in generation.records():
                made.append(record)
                if len(made) == stop_after:
                    break
            return made

    return run


def content_of(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in ("run.json", ".lock"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


# --- what is made ------------------------------------------------------------------------------------------


def test_marked_clips_are_found_again_by_the_real_test(generator, key, tmp_path):
    prompts = PromptList.of_texts([LONG, "hi"])
    with (
        reading_back(generator, key) as read_back,
        open_generation(
            tmp_path / "o", prompts, generator, GenerationPlan(seed=1), key=key, read_back=read_back
        ) as run,
    ):
        long, short = run.records()
    assert long.check.status == "mark_found"
    assert long.check.log10_p < -20
    assert short.check.status in ("mark_found", "too_short")
    assert (long.mark.key_id, long.mark.epoch, long.mark.scheme) == (key.key_id, key.epoch, "gumbel-slot-1")
    assert long.mark.table_sha256 == table_of(generator.model).sha256
    assert run.tally.failures == 0


def test_a_clip_marked_under_another_key_fails_its_check(generator, key, ring, tmp_path):
    other = ring.new()
    prompts, plan = PromptList.of_texts([LONG]), GenerationPlan(seed=1)
    with (
        reading_back(generator, other) as read_back,
        open_generation(tmp_path / "o", prompts, generator, plan, key=key, read_back=read_back) as run,
    ):
        (record,) = run.records()
    assert record.check.status == "mark_not_found"
    assert record.is_failure
    assert run.tally.failures == 1


def test_unmarked_clips_say_so_and_are_read_back_all_the_same(generator, tmp_path):
    prompts, plan = PromptList.of_texts(["one two"]), GenerationPlan(seed=1)
    with (
        reading_back(generator, None) as read_back,
        open_generation(tmp_path / "o", prompts, generator, plan, key=None, read_back=read_back) as run,
    ):
        (record,) = run.records()
    assert record.mark is None
    assert record.check.status == "not_marked"
    assert json.loads((tmp_path / "o" / "run.json").read_text())["settings"]["key"] is None


def test_a_record_says_all_that_is_needed_to_make_the_clip_again(make, generator, key, tmp_path):
    prompts = PromptList("x", "jsonl", b'{"text": "a b", "voice": "high", "id": "p1"}\n{"text": "c"}')
    made = make(prompts, plan=GenerationPlan(seed=5, takes=2, voice="low"))
    assert [(r.index, r.take, r.speaker, r.prompt.id) for r in made] == [
        (0, 0, "high", "p1"), (1, 1, "high", "p1"), (2, 0, "low", None), (3, 1, "low", None),
    ]  # fmt: skip
    for record in made:
        path = tmp_path / "out" / record.path
        assert record.sha256 == sha256_of_file(path)
        assert soundfile.info(path).duration == len(record.tokens) / 25 == record.duration_s
        mark = Marking(key, table_of(generator.model)).mark_for(record.seed)
        again = generator.generate(prompt_of(record), mark=mark, seed=record.seed)
        assert again.tokens.ids.tolist() == list(record.tokens)
        assert record.label == "spoof"
        assert read_clip_line(clip_line(record)) == record
    assert len({record.seed for record in made}) == 4


def prompt_of(record):
    return Prompt(text=record.prompt.text, voice=record.speaker)


def test_the_manifest_is_what_was_made_and_the_spreadsheet_agrees(make, tmp_path):
    made = make()
    lines = (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()
    assert [read_clip_line(line) for line in lines] == made
    rows = (tmp_path / "out" / "manifest.csv").read_text().splitlines()
    assert len(rows) == len(made) + 1
    assert rows[1].startswith("000000,clips/000000.flac,spoof,tone,tone,speech-lm,covoguard generate,low,CC0-1.0,")


def test_a_formula_in_a_prompt_is_no_formula_in_the_spreadsheet(make, tmp_path):
    make(PromptList.of_texts(["=1+1", "@cmd"]))
    rows = (tmp_path / "out" / "manifest.csv").read_text().splitlines()
    assert ",'=1+1," in rows[1]
    assert ",'@cmd," in rows[2]


def test_one_bad_prompt_is_a_record_and_the_rest_goes_on(make):
    prompts = PromptList("x", "jsonl", b'{"text": "a"}\nno\n{"text": "unspeakable"}\n{"text": "a", "voice": "x"}\n'
                         b'{"text": "crash"}\n{"text": "b"}')  # fmt: skip
    made = make(prompts)
    assert [record.error and record.error.code for record in made] == [
        None, "bad_prompt", "bad_prompt", "bad_prompt", "internal_error", None,
    ]  # fmt: skip
    assert "'x'" in made[3].error.message
    assert all(record.path is None and record.check is None for record in made[1:5])


def test_wav_is_written_on_request(make, tmp_path):
    (record,) = make(PromptList.of_texts(["a"]), plan=GenerationPlan(seed=1, suffix=".wav"))
    assert record.path == "clips/000000.wav"
    assert soundfile.info(tmp_path / "out" / record.path).format == "WAV"


@pytest.mark.parametrize("broken", [{"extra_s": 0.04}, {"status": "absent", "log10_p": -1.0}])
def test_a_clip_that_is_not_what_was_ordered_is_recorded_and_counted(make, broken):
    (record,) = make(PromptList.of_texts([LONG]), read_back=lambda path: found_in(path, **broken))
    assert record.is_failure
    assert record.check.status == ("wrong_length" if "extra_s" in broken else "mark_not_found")


def test_a_short_or_weak_clip_is_too_short_and_no_failure(make):
    absent = {"status": "absent", "log10_p": -1.0}
    (short,) = make(PromptList.of_texts(["a"]), read_back=lambda path: found_in(path, **absent))
    assert short.check.status == "too_short"
    assert not short.is_failure
    assert clip_check._judged(_written(-3.5), 20.0).status == "too_short"
    assert clip_check._judged(_written(-2.5), 20.0).status == "mark_not_found"


def _written(log10_p):
    mark = TokenMark(
        "absent", None, -6.0, log10_p, 0.0, None, 1.0, None, (), (), "tone@1", "0" * 64, "tone@1", "0" * 64
    )
    return WrittenClip("0" * 64, 20.0, mark)


def test_a_file_that_is_damaged_on_the_disk_is_unreadable(generator, tmp_path, make, monkeypatch):
    write = generate.write_audio

    def damage(path, samples, rate_hz):
        write(path, samples, rate_hz)
        path.write_bytes(b"ruined")

    monkeypatch.setattr(generate, "write_audio", damage)
    with reading_back(generator, None) as read_back:
        (record,) = make(PromptList.of_texts(["a"]), key=None, read_back=read_back)
    assert record.check.status == "unreadable"
    assert record.is_failure


@pytest.mark.parametrize("field", ["tokens", "samples"])
def test_a_generator_that_gives_nonsense_costs_one_record(make, generator, field, monkeypatch):
    real = generator.generate

    def nonsense(prompt, *, mark, seed):
        clip = real(prompt, mark=mark, seed=seed)
        if prompt.text != "bad":
            return clip
        if field == "tokens":
            return Clip(clip.audio, None, clip.recipe)
        return Clip(replace(clip.audio, samples=np.full(640, np.nan, np.float32)), clip.tokens, clip.recipe)

    monkeypatch.setattr(generator, "generate", nonsense)
    made = make(PromptList.of_texts(["bad", "good"]))
    assert [record.error and record.error.code for record in made] == ["internal_error", None]


def test_what_concerns_every_clip_stops_the_run(make, generator, monkeypatch):
    def gone(prompt, *, mark, seed):
        raise ModelMissing("the model is gone")

    monkeypatch.setattr(generator, "generate", gone)
    with pytest.raises(ModelMissing):
        make()


def test_no_file_holds_anything_of_the_key(make, key, generator, tmp_path):
    make(PromptList.of_texts(["one two three"]))
    marking = Marking(key, table_of(generator.model))
    subkeys = [*marking.table.subkeys(key).values(), marking._start_subkey]
    for content in content_of(tmp_path / "out").values():
        assert_no_secret(content, key, *subkeys)
    assert_no_secret((tmp_path / "out" / "run.json").read_bytes(), key, *subkeys)
    assert_no_secret(repr(marking), key, *subkeys)


def test_start_slots_are_spread_evenly_and_hang_on_the_key(generator, key, ring):
    table = table_of(generator.model)
    marking, other = Marking(key, table), Marking(ring.new(), table)
    slots = [marking.start_slot(seed) for seed in range(4096)]
    assert slots == [marking.start_slot(seed) for seed in range(4096)]
    counts = np.bincount(slots, minlength=table.n_slots)
    assert ((counts - 16) ** 2 / 16).sum() < 370  # chi-square, 255 degrees of freedom, p about 1e-5
    assert np.mean(np.array(slots) == [other.start_slot(seed) for seed in range(4096)]) < 0.02


def test_a_payload_is_put_in_and_recorded(make, tmp_path):
    plan = GenerationPlan(seed=1, payload=PayloadPlan(3, 42))
    first = make(plan=plan, stop_after=1)
    rest = make(plan=plan)
    days = {record.mark.payload[2] for record in [*first, *rest] if record.mark}
    assert first[0].mark.payload[:2] == (3, 42)
    assert first[0].mark.scheme.endswith("payload")
    assert len(days) == 1
    with pytest.raises(UsageError, match="tenant"):
        make(folder=tmp_path / "b", plan=GenerationPlan(seed=1, payload=PayloadPlan(3, 1024)))


def test_marks_seeded_by_context_work_and_carry_no_payload(tmp_path, key, make):
    (tmp_path / "model").mkdir()
    build_tone_model(tmp_path / "model", seeding="context1")
    generator = ToneGenerator.load(tmp_path / "model")
    (record,) = make(PromptList.of_texts(["a"]), generator=generator)
    assert record.mark.scheme == "gumbel-context1-1"
    assert max(record.tokens) < CODES
    with pytest.raises(UsageError, match="payload"):
        make(generator=generator, folder=tmp_path / "b", plan=GenerationPlan(payload=PayloadPlan(1, 1)))


# --- going on where it was stopped ------------------------------------------------------------------------


@pytest.mark.parametrize("stop_after", [1, 2, 4])
def test_a_run_that_was_stopped_goes_on_and_ends_as_if_it_had_not_been(make, tmp_path, stop_after):
    whole = make(folder=tmp_path / "whole")
    first = make(stop_after=stop_after)
    second = make()
    assert first + second == whole
    assert content_of(tmp_path / "out") == content_of(tmp_path / "whole")
    assert make() == []
    assert content_of(tmp_path / "out") == content_of(tmp_path / "whole")


def test_the_seed_that_was_drawn_is_kept(make, tmp_path):
    plan = GenerationPlan()
    first = make(plan=plan, stop_after=1)
    seed = json.loads((tmp_path / "out" / "run.json").read_text())["settings"]["seed"]
    rest = make(plan=plan)
    assert [record.seed for record in first + rest] == [clip_seed(seed, index) for index in range(5)]


@pytest.mark.parametrize("torn", [b'{"schema_version":1,"ind', b"\0" * 5000, b'{"index":99}', b"x" * 200_000])
def test_a_torn_last_line_is_mended(make, tmp_path, torn):
    make(folder=tmp_path / "whole")
    make(stop_after=2)
    with (tmp_path / "out" / "manifest.jsonl").open("ab") as file:
        file.write(torn)
    make()
    assert content_of(tmp_path / "out") == content_of(tmp_path / "whole")


def test_a_manifest_with_nothing_but_a_torn_line_starts_again(make, tmp_path):
    make(folder=tmp_path / "whole")
    make(stop_after=1)
    (tmp_path / "out" / "manifest.jsonl").write_bytes(b'{"schema')
    make()
    assert content_of(tmp_path / "out") == content_of(tmp_path / "whole")


def test_what_a_killed_writer_left_is_removed(make, tmp_path):
    make(stop_after=1)
    left = [tmp_path / "out" / "clips" / ".000001.flac.0123456789abcdef.part", tmp_path / "out" / ".run.json.00.part"]
    for path in left:
        path.write_bytes(b"half")
    make()
    assert not any(path.exists() for path in left)


def test_a_line_damaged_in_the_middle_stops_with_advice(make, tmp_path):
    make()
    manifest = tmp_path / "out" / "manifest.jsonl"
    lines = manifest.read_bytes().splitlines(keepends=True)
    for damaged in ([b"{}\n", *lines[1:]], lines[1:], [lines[0], lines[0], *lines[1:]], [b"[" * 9000 + b"\n", *lines]):
        manifest.write_bytes(b"".join(damaged))
        with pytest.raises(IntegrityError, match=r"manifest\.jsonl, line \d"):
            make()


def test_a_clip_that_is_gone_is_not_passed_over(make, tmp_path):
    (first, *_) = make()
    (tmp_path / "out" / first.path).unlink()
    with pytest.raises(IntegrityError, match=r"000000\.flac"):
        make()


def test_another_command_is_refused_and_told_what_differs(make, tmp_path, key, ring):
    make()
    before = content_of(tmp_path / "out")
    others = {
        "prompts_sha256": {"prompts": PromptList.of_texts(["other"])},
        "seed": {"plan": GenerationPlan(seed=2)},
        "takes": {"plan": GenerationPlan(seed=1, takes=2)},
        "voice": {"plan": GenerationPlan(seed=1, voice="high")},
        "format": {"plan": GenerationPlan(seed=1, suffix=".wav")},
        "payload": {"plan": GenerationPlan(seed=1, payload=PayloadPlan(1, 1))},
        "key": {"key": ring.new()},
        "key, mark_table_sha256": {"key": None},
    }
    for name, changed in others.items():
        with pytest.raises(UsageError, match=f"differs in {name};"):
            make(**changed)
    assert content_of(tmp_path / "out") == before


def test_a_key_that_is_rotated_in_between_goes_on_in_its_next_epoch(make, ring, tmp_path):
    old = ring.new()
    make(key=old, stop_after=1)
    make(key=ring.rotate(old.key_id))
    records = [read_clip_line(line) for line in (tmp_path / "out" / "manifest.jsonl").read_bytes().splitlines()]
    assert [record.mark.epoch for record in records if record.mark] == [1, 2, 2]
    with pytest.raises(UsageError, match="retired"):
        make(key=ring.get(old.key_id, 1), folder=tmp_path / "b")


# --- folders that will not do -----------------------------------------------------------------------------


def test_a_folder_with_other_things_is_refused_and_left_alone(make, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    (tmp_path / "out" / ".draft.part").write_text("mine too")
    with pytest.raises(UsageError, match="not empty"):
        make()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".draft.part", "thesis.txt"]


def test_a_place_that_is_no_folder_is_refused(make, tmp_path):
    (tmp_path / "out").write_text("a file")
    for folder in (tmp_path / "out", tmp_path / "out" / "below", Path("/proc/none"), Path("a\0b")):
        with pytest.raises(UsageError, match="choose another folder"):
            make(folder=folder)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"schema_version": 1, "settings": {}}', b"[" * 9999])
def test_a_damaged_run_file_is_refused(make, tmp_path, content):
    make(stop_after=1)
    (tmp_path / "out" / "run.json").write_bytes(content)
    with pytest.raises(IntegrityError, match=r"run\.json"):
        make()


def test_two_runs_do_not_write_one_folder(generator, make, tmp_path, key):
    plan = GenerationPlan(seed=1)
    with (
        open_generation(tmp_path / "out", PROMPTS, generator, plan, key=key, read_back=found_in),
        pytest.raises(UsageError, match="another run"),
    ):
        make()
    assert len(make()) == 5


def test_a_full_disk_keeps_what_is_done_and_the_run_goes_on_later(make, tmp_path, monkeypatch):
    make(folder=tmp_path / "whole")
    write, written = generate.write_audio, []

    def full(path, samples, rate_hz):
        if written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        written.append(path)
        write(path, samples, rate_hz)

    monkeypatch.setattr(generate, "write_audio", full)
    with pytest.raises(CovoguardError, match="No space left") as raised:
        make()
    assert raised.value.code == "output_error"
    assert len((tmp_path / "out" / "manifest.jsonl").read_bytes().splitlines()) == 2
    monkeypatch.setattr(generate, "write_audio", write)
    make()
    assert content_of(tmp_path / "out") == content_of(tmp_path / "whole")


def test_a_disk_that_fills_in_the_middle_of_a_line_leaves_a_whole_manifest(make, tmp_path, monkeypatch):
    make(folder=tmp_path / "whole")
    sync = os.fsync

    def full(descriptor):
        manifest = tmp_path / "out" / "manifest.jsonl"
        if manifest.exists() and os.path.samestat(os.fstat(descriptor), manifest.stat()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(clip_folder.os, "fsync", full)
    with pytest.raises(CovoguardError, match="No space left"):
        make()
    assert (tmp_path / "out" / "manifest.jsonl").read_bytes() == b""
    monkeypatch.setattr(clip_folder.os, "fsync", sync)
    make()
    assert content_of(tmp_path / "out") == content_of(tmp_path / "whole")


def test_an_unknown_voice_is_refused_before_anything_is_made(make, tmp_path):
    with pytest.raises(UsageError, match="low, high"):
        make(plan=GenerationPlan(voice="tenor"))
    assert not (tmp_path / "out").exists()


# --- kill -9 ----------------------------------------------------------------------------------------------

KILLED = """
import importlib.util, os, signal, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("tone_generator", sys.argv[1])
tone = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tone)
from covoguard.core.keyring import KeyRing
from covoguard.core.audio import write as write_module
from covoguard.generate.prompts import PromptList
from covoguard.pipeline import clip_folder, generate
from covoguard.pipeline.mark_evidence import WrittenClip
from covoguard.core.modelcard import sha256_of_file

where, model, keys, out = sys.argv[2], *map(Path, sys.argv[3:6])
calls = 0

def die_at(real, at):
    def call(*arguments, **options):
        global calls
        calls += 1
        if calls == at:
            if where == "line":
                arguments[0].write(arguments[1][:40])
                arguments[0].flush()
            elif where == "clip":
                arguments[0].with_name(f".{arguments[0].name}.00ff.part").write_bytes(b"half a clip")
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)
    return call

if where == "line":
    clip_folder._append = die_at(clip_folder._append, 3)
elif where == "clip":
    generate.write_audio = die_at(generate.write_audio, 2)
else:
    clip_folder.ClipFolder.add = die_at(clip_folder.ClipFolder.add, 3)

def read_back(path):
    import soundfile
    samples, rate_hz = soundfile.read(path)
    return WrittenClip(sha256_of_file(path), len(samples) / rate_hz, None)

prompts = PromptList.of_texts(["one two", "", "three four", "unspeakable", "five"])
with generate.open_generation(
    out, prompts, tone.ToneGenerator.load(model), generate.GenerationPlan(), key=KeyRing(keys).default(),
    read_back=read_back,
) as generation:
    list(generation.records())
"""


@pytest.mark.parametrize("where", ["line", "clip", "between"])
def test_after_kill_9_the_same_command_loses_and_doubles_nothing(where, make, model_folder, ring, key, tmp_path):
    helper = str(Path(__file__).parents[1] / "tone_generator.py")
    arguments = [helper, where, str(model_folder), str(ring.folder), str(tmp_path / "out")]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    seed = json.loads((tmp_path / "out" / "run.json").read_text())["settings"]["seed"]
    unread = {"read_back": lambda path: replace(found_in(path), token_mark=None)}
    make(plan=GenerationPlan(), **unread)
    make(folder=tmp_path / "whole", plan=GenerationPlan(seed=seed), **unread)
    assert content_of(tmp_path / "out") == content_of(tmp_path / "whole")
