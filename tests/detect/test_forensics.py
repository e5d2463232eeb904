"""Each check fires on what it is for, and stays silent on a plain recording."""

import io
import json
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import sound_files as sounds
from forensic_sound import RATE_HZ, facts, plain, rounded

from covoguard.core.audio import resample
from covoguard.core.errors import UsageError
from covoguard.core.jsonrecord import from_json, json_line
from covoguard.core.observationrecord import Observation
from covoguard.core.records import Audio, Segment
from covoguard.detect.forensics import CHECKS, Examination, Exhibit, examination, observation_kinds
from covoguard.detect.forensics.checks.bandwidth import cutoff
from covoguard.detect.forensics.riff import wave_structure
from covoguard.detect.forensics.runs import RunFinder
from covoguard.detect.forensics.software import programs_in

SOUND_CHECKS = [name for name in CHECKS.names() if name != "codec-grid"]
"""The grid has tests of its own, because it takes a second."""


def examined(
    sound, *, rate_hz=RATE_HZ, data=None, tags=(), checks=SOUND_CHECKS, block=5_000, tmp_file=None, speech=(), **changes
):
    """An examination of samples (n,) or (channels, n), heard in blocks, and its observations by code."""
    examination = Examination(checks)
    sound = np.atleast_2d(sound)
    for start in range(0, sound.shape[1], block):
        examination.hear(sound[:, start : start + block].copy(), rate_hz)
    audio = Audio(resample(sound.mean(axis=0, dtype=np.float32), rate_hz, RATE_HZ), RATE_HZ)
    exhibit = Exhibit(
        tmp_file or io.BytesIO(), len(data or b""), facts(rate_hz=rate_hz, **changes), tags, audio, speech
    )
    return examination, {observation.code: observation for observation in examination.observe(exhibit)}


def observed(sound, **given):
    return examined(sound, **given)[1]


@pytest.fixture
def observed_file(tmp_path):
    """As `observed`, with the bytes of a file and hardly any sound."""

    def observe(data, **changes):
        path = tmp_path / "exhibit"
        path.write_bytes(data)
        with path.open("rb") as file:
            return observed(np.zeros((1, 4), np.float32), data=data, tmp_file=file, **changes)

    return observe


def codes_notable(found):
    return {code for code, observation in found.items() if observation.strength == "notable"}


# --- the whole ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_a_plain_recording_gives_nothing(seed):
    assert observed(plain(seed=seed)) == {}


@pytest.mark.parametrize("block", [160, 1_000, 64_000])
def test_what_is_seen_does_not_depend_on_the_blocks(block):
    sound = plain()
    sound[20_000:22_000] = 0
    sound[30_000:] += 0.05
    sound[52_000:60_000] = sound[40_000:48_000]
    reference = observed(rounded(sound), block=7_777)
    assert observed(rounded(sound), block=block) == reference
    assert {"digital_silence", "repeated_stretch", "dc_jump"} <= reference.keys()


@pytest.mark.parametrize("seconds", [0.0001, 0.01, 0.3])
def test_very_short_sounds_are_no_trouble(seconds):
    assert codes_notable(observed(plain(seconds))) == set()


def test_silence_is_silence_and_nothing_else():
    found = observed(np.zeros(RATE_HZ, np.float32))
    assert found.keys() == {"digital_silence"}
    assert found["digital_silence"].strength == "note"
    assert "whole file" in found["digital_silence"].seen


def test_a_change_of_format_is_seen_and_the_rest_left_alone():
    examination = Examination(SOUND_CHECKS)
    examination.hear(plain(1.0)[None], RATE_HZ)
    examination.hear(np.zeros((2, 8_000), np.float32), 8_000)
    exhibit = Exhibit(io.BytesIO(), 0, facts(), (), Audio(plain(1.0), RATE_HZ), ())
    assert [each.code for each in examination.observe(exhibit)] == ["format_change"]


def test_every_kind_of_observation_is_known_with_its_reading_and_limits():
    kinds = observation_kinds()
    sources = [path.read_text(encoding="utf-8") for path in Path(examination.__file__).parent.rglob("*.py")]
    named = sum(len(re.findall(r"[=:] Kind\(", source)) for source in sources)
    assert len(kinds) == named
    assert all(kind.reading and kind.limits for kind in kinds.values())


def test_checks_are_known_by_name():
    assert Examination().names == tuple(CHECKS.names())
    with pytest.raises(UsageError, match="codec-grid"):
        Examination(["grid"])


def test_an_observation_survives_json():
    sound = plain()
    sound[20_000:22_000] = 0
    observation = observed(sound)["digital_silence"]
    assert from_json(Observation, json.loads(json_line(observation))) == observation
    assert observation.reading
    assert observation.limits


# --- samples -----------------------------------------------------------------------------------------------


def test_runs_are_found_across_pieces():
    rng = np.random.default_rng(5)
    mask = rng.random(3_000) < 0.8
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]))).reshape(-1, 2)
    expected = [(start, end) for start, end in edges.tolist() if end - start >= 6]
    for piece in (1, 7, 3_000):
        finder = RunFinder(6)
        for start in range(0, len(mask), piece):
            finder.add(mask[start : start + piece])
        assert finder.finish() == expected
        assert finder.samples == sum(end - start for start, end in expected)


def test_zeros_within_the_sound_are_notable_with_their_times():
    sound = plain()
    sound[20_000:20_800] = 0
    silence = observed(sound)["digital_silence"]
    assert silence.strength == "notable"
    (where,) = silence.segments
    assert (where.start_s, where.end_s) == pytest.approx((1.25, 1.3), abs=0.001)


def test_zeros_at_the_ends_are_a_note():
    sound = np.concatenate([np.zeros(3_000, np.float32), plain(), np.zeros(2_000, np.float32)])
    assert observed(sound, checks=["digital-silence"])["digital_silence"].strength == "note"


def test_a_value_that_stands_still():
    sound = plain()
    sound[20_000:20_800] = 0.25
    assert observed(sound, checks=["digital-silence"])["constant_value"].segments[0].start_s == pytest.approx(
        1.25, abs=0.001
    )


def test_clipping_is_a_note_at_full_scale_and_notable_below():
    loud = np.clip(6 * plain(), -1, 1 - 2**-15)
    assert observed(loud, checks=["clipping"])["clipping_plateaus"].strength == "note"
    lowered = observed(rounded(0.6 * loud), checks=["clipping"])["clipping_plateaus"]
    assert lowered.strength == "notable"
    assert lowered.values[1].value == pytest.approx(0.6, abs=0.01)


def test_sixteen_bits_in_twenty_four():
    sound = plain()
    assert observed(sound, bits_per_sample=24)["unused_bits"].values[1].value == 16
    assert "unused_bits" not in observed(rounded(0.77 * sound, 24), bits_per_sample=24)
    assert "unused_bits" not in observed(sound, bits_per_sample=None)


def test_one_channel_twice():
    sound = plain()
    assert "identical_channels" in observed(np.stack([sound, sound]), channels=2)
    assert "identical_channels" not in observed(np.stack([sound, 0.5 * sound]), channels=2)


def test_offset_and_its_jump():
    sound = plain()
    assert observed(rounded(sound + 0.01), checks=["dc-offset"])["dc_offset"].values[0].value == pytest.approx(
        0.01, abs=0.001
    )
    sound[32_000:] += 0.01
    jump = observed(rounded(sound), checks=["dc-offset"])["dc_jump"]
    assert jump.segments[0].start_s <= 2.0 <= jump.segments[0].end_s


def test_a_copy_is_found_with_both_places():
    sound = plain()
    sound[40_000:44_000] = sound[9_000:13_000]
    copy = observed(sound, checks=["repeats"])["repeated_stretch"]
    first, second = copy.segments
    assert second.start_s - first.start_s == pytest.approx(31_000 / RATE_HZ)
    assert first.duration_s > 0.15


def test_a_steady_tone_is_no_copy():
    tone = rounded(0.3 * np.sin(2 * np.pi * 1_000 * np.arange(4 * RATE_HZ) / RATE_HZ))
    assert observed(tone, checks=["repeats"]) == {}


# --- spectrum ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("through_hz", "usual"), [(8_000, "telephone"), (24_000, "24 kHz")])
def test_sound_from_a_lower_rate_ends_sharply(through_hz, usual):
    sound = rounded(resample(resample(plain(rate_hz=48_000), 48_000, through_hz), through_hz, 48_000))
    ends = observed(sound, rate_hz=48_000, checks=["bandwidth"])["spectral_cutoff"]
    assert ends.strength == "notable"
    assert ends.values[0].value == pytest.approx(through_hz / 2, rel=0.08)
    assert usual in ends.seen


def test_a_high_bit_rate_with_the_shelf_of_a_low_one():
    sound = resample(resample(plain(rate_hz=44_100), 44_100, 32_000), 32_000, 44_100)
    lossy = {"codec": "mp3", "container": "mp3", "bits_per_sample": None}
    assert "cutoff_below_bit_rate" in observed(
        sound, rate_hz=44_100, checks=["bandwidth"], bit_rate_bps=320_000, **lossy
    )
    assert "cutoff_below_bit_rate" not in observed(
        sound, rate_hz=44_100, checks=["bandwidth"], bit_rate_bps=128_000, **lossy
    )


def test_a_change_of_bandwidth_has_its_time():
    narrow = resample(resample(plain(5.0), RATE_HZ, 8_000), 8_000, RATE_HZ)
    change = observed(rounded(np.concatenate([plain(5.0, seed=1), narrow])), checks=["bandwidth"])["cutoff_change"]
    assert change.segments[0].start_s <= 5.0 <= change.segments[0].end_s


def test_a_spectrum_that_fades_by_itself_has_no_cutoff():
    falling = 10.0 ** (-np.linspace(0, 8, 1025))
    assert cutoff(falling, RATE_HZ) is None


WORDS = tuple(Segment(second + 0.4, second + 1.0) for second in range(8))


def spoken(background):
    """A word in every second over a background (n,) of 8 s."""
    sound = background.copy()
    for word in WORDS:
        sound[round(word.start_s * RATE_HZ) : round(word.end_s * RATE_HZ)] += plain(0.6)
    return rounded(sound)


def test_a_background_that_changes_has_its_time():
    background = 0.002 * np.random.default_rng(1).standard_normal(8 * RATE_HZ).astype(np.float32)
    assert observed(spoken(background), checks=["noise-floor"], speech=WORDS) == {}
    background[4 * RATE_HZ :] *= 5
    change = observed(spoken(background), checks=["noise-floor"], speech=WORDS)["noise_floor_change"]
    (where,) = change.segments
    assert (where.start_s, where.end_s) == (3.4, 4.0)
    assert change.values[1].value == pytest.approx(14, abs=1.5)


def test_a_check_that_cannot_look_says_so():
    examination, found = examined(plain(1.0), checks=["digital-silence", "noise-floor", "wave-structure"])
    assert examination.skipped == ("noise-floor", "wave-structure")
    assert found == {}


# --- bytes and tags ----------------------------------------------------------------------------------------


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def with_chunks(*chunks):
    plain_wave = sounds.wave(sounds.pcm16(plain(0.1)))
    body = plain_wave[12:] + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def test_chunks_name_the_software(observed_file):
    info = chunk(b"LIST", b"INFO" + chunk(b"ISFT", b"Lavf61.1.100\0\0"))
    xmp = chunk(b"_PMX", b"<x:xmpmeta>Adobe Audition CC 2024.0 2024-02-03T10:00:00 2021-01-01T08:00:00</x:xmpmeta>")
    found = observed_file(with_chunks(info, xmp, chunk(b"odd!", b"x")))
    assert "Adobe Audition" in found["editor_named"].seen
    assert "FFmpeg" in found["encoder_named"].seen
    assert "odd!" in found["wave_unknown_chunks"].seen
    assert found["dates_disagree"].strength == "notable"
    assert codes_notable(found) == {"editor_named", "dates_disagree"}


def test_a_generator_that_signs_is_named(observed_file):
    found = observed_file(b"", container="mp3", tags=(("TSSE", "ElevenLabs export"), ("title", "monologue")))
    assert "ElevenLabs" in found["generator_named"].seen


@pytest.mark.parametrize("text", ["my lament", "flames", "a suspicious sunosoft", "Zoological", "murfreesboro"])
def test_a_name_inside_a_word_is_no_program(text):
    assert programs_in(text) == []


def test_sizes_that_lie_and_bytes_behind_the_end(observed_file):
    whole = with_chunks()
    assert "wave_sizes" not in observed_file(whole)
    assert "wave_sizes" in observed_file(whole[:-500])
    trailing = observed_file(whole + b"PK\x03\x04" + bytes([1]) * 100)
    assert "ZIP" in trailing["trailing_bytes"].seen
    assert "wave_sizes" in trailing


@pytest.mark.parametrize("seed", range(20))
def test_damaged_headers_give_observations_with_reading_and_limits_or_none(observed_file, seed):
    rng = np.random.default_rng(seed)
    data = bytearray(with_chunks(chunk(b"bext", b"Pro Tools" + bytes(600)), chunk(b"ds64", bytes(28))))
    for at in rng.integers(0, 700, 12):
        data[at % len(data)] = rng.choice([0, 0xFF, int(rng.integers(256))])
    found = observed_file(bytes(data[: int(rng.integers(1, len(data)))]))
    assert all(each.seen and each.reading and each.limits for each in found.values())


def test_a_chunk_list_without_end_is_walked_so_far_only():
    data = b"RIFF\xff\xff\xff\xffWAVE" + b"abcd\0\0\0\0" * 5_000
    structure = wave_structure(lambda offset, count: data[offset : offset + count], len(data))
    assert structure is not None
    assert len(structure.chunks) == 1_000


def test_encoder_delay_of_mp3_and_opus(observed_file):
    speech = sounds.speech_like(1.0, 48_000)
    lame = observed_file(sounds.encode("mp3", "libmp3lame", speech, 48_000), container="mp3", codec="mp3")
    assert lame["encoder_delay"].values[0].unit == "samples"
    opus = observed_file(sounds.encode("ogg", "libopus", speech, 48_000), container="ogg", codec="opus")
    assert opus["encoder_delay"].values[0].value == 312
    cut = sounds.encode("mp3", "libmp3lame", speech, 48_000)[2_000:]
    assert "encoder_delay_missing" in observed_file(cut, container="mp3", codec="mp3")


def test_an_unusual_delay(observed_file):
    tags = (("iTunSMPB", " 00000000 00000C99 000001CA 00000000003F31F6"),)
    found = observed_file(b"", container="mp4", codec="aac", bits_per_sample=None, tags=tags)
    assert found["encoder_delay_unusual"].values[0].value == 0xC99
    nonsense = observed_file(b"", container="mp4", tags=(("iTunSMPB", "not hexadecimal"),))
    assert not {"encoder_delay", "encoder_delay_unusual"} & nonsense.keys()


def test_a_gap_as_long_as_an_encoders_delay():
    sound = np.concatenate([np.zeros(1105, np.float32), plain()[1_000:]])
    assert observed(sound)["start_gap"].values[0].value == pytest.approx(1105, abs=48)
    assert "start_gap" not in observed(np.concatenate([np.zeros(5_000, np.float32), plain()]))
