"""What is damaged or cut yields what is readable, and says so."""

import numpy as np
import pytest
import sound_files as sounds

from covoguard.core.errors import InputError

SECONDS = 1.5

# Everything whose container, framing or checksums can tell that its end is missing.
SELF_DESCRIBING = [
    ("wav", "pcm_s16le", 16_000, {}),
    ("w64", "pcm_s16le", 16_000, {}),
    ("aiff", "pcm_s16be", 16_000, {}),
    ("au", "pcm_s16be", 16_000, {}),
    ("caf", "alac", 44_100, {}),
    ("flac", "flac", 44_100, {}),
    ("wv", "wavpack", 44_100, {}),
    ("mp3", "libmp3lame", 44_100, {"bit_rate": 64_000}),
    ("ipod", "aac", 44_100, {}),
    ("mp4", "aac", 44_100, {"options": {"movflags": "faststart"}}),
    ("mp4", "aac", 44_100, {"with_video": True, "options": {"movflags": "faststart"}}),
    ("ogg", "libopus", 48_000, {}),
    ("ogg", "flac", 44_100, {}),
    ("webm", "libopus", 48_000, {}),
    ("matroska", "aac", 44_100, {"with_video": True}),
    ("asf", "wmav2", 44_100, {"bit_rate": 64_000}),
    ("avi", "libmp3lame", 44_100, {"with_video": True}),
    ("flv", "aac", 44_100, {}),
]

UNREADABLE = {"nothing_decoded", "encrypted_or_unknown"}


def _outcome(read_bytes, data):
    """What was decoded, or the code of the error."""
    try:
        return read_bytes(data)
    except InputError as error:
        return error.code


@pytest.mark.parametrize(("container", "codec", "rate_hz", "how"), SELF_DESCRIBING)
def test_a_cut_anywhere_is_reported(read_bytes, container, codec, rate_hz, how):
    whole = sounds.encode(container, codec, sounds.speech_like(SECONDS, rate_hz), rate_hz, **how)
    full = read_bytes(whole).facts
    assert not full.partial
    rng = np.random.default_rng(len(whole))
    at_blocks = [44 + 4096 * k for k in range(1, 6)]  # where a demuxer's own reads end
    cuts = {*rng.integers(1, len(whole), 12).tolist(), *at_blocks, len(whole) - 1, len(whole) - 40}
    for cut in sorted(cut for cut in cuts if cut < len(whole)):
        outcome = _outcome(read_bytes, whole[:cut])
        if isinstance(outcome, str):
            assert outcome in UNREADABLE, f"cut at {cut} of {len(whole)}"
        else:
            assert outcome.facts.partial, f"cut at {cut} of {len(whole)} went unnoticed"
            assert outcome.facts.duration_s <= full.duration_s + 0.03


def test_a_cut_wave_file_tells_how_much_is_missing(read_bytes):
    whole = sounds.wave(sounds.pcm16(sounds.speech_like(2.0, 16_000)))
    facts = read_bytes(whole[: 44 + 16_000]).facts
    assert facts.duration_s == pytest.approx(0.5)
    assert facts.declared_duration_s == pytest.approx(2.0)


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0xFFFFFFFF])
def test_a_wave_file_written_to_a_pipe_is_whole(read_bytes, size):
    whole = bytearray(sounds.wave(sounds.pcm16(sounds.speech_like(1.0, 16_000))))
    whole[40:44] = size.to_bytes(4, "little")
    facts = read_bytes(bytes(whole)).facts
    assert not facts.partial
    assert facts.duration_s == 1.0
    assert facts.declared_duration_s is None


@pytest.mark.parametrize(
    ("container", "codec", "how"),
    [
        ("flac", "flac", {}),
        ("wv", "wavpack", {}),
        ("mp3", "libmp3lame", {"bit_rate": 64_000}),
        ("ipod", "aac", {}),
        ("adts", "aac", {}),
        ("ogg", "flac", {}),
    ],
)
def test_damage_in_the_middle_costs_only_its_surroundings(read_bytes, container, codec, how):
    sound = sounds.speech_like(6.0, 44_100)
    data = bytearray(sounds.encode(container, codec, sound, 44_100, **how))
    middle = len(data) // 2
    data[middle : middle + 200] = np.random.default_rng(3).bytes(200)
    facts = read_bytes(bytes(data)).facts
    assert facts.partial
    assert 3.9 < facts.duration_s <= 6.1


def test_damage_at_many_places_never_crashes_the_decoder(read_bytes):
    """Whatever comes out is a record of some kind; a crash would be `decoder_crashed`."""
    rng = np.random.default_rng(11)
    kinds = [("mp3", "libmp3lame"), ("ipod", "aac"), ("ogg", "libopus"), ("webm", "libopus"), ("flac", "flac")]
    for container, codec in kinds:
        good = sounds.encode(container, codec, sounds.speech_like(1.0, 48_000), 48_000)
        for _ in range(25):
            data = bytearray(good)
            for _ in range(int(rng.integers(1, 30))):
                data[int(rng.integers(0, len(data)))] = int(rng.integers(0, 256))
            outcome = _outcome(read_bytes, bytes(data))
            if isinstance(outcome, str):
                assert outcome in {*UNREADABLE, "bad_header", "unsupported_codec", "no_audio_stream"}
            else:
                assert np.isfinite(outcome.audio.samples).all()


def test_samples_that_are_not_numbers_count_as_damage(read_bytes):
    sound = sounds.speech_like(1.0, 16_000)
    sound[100:200] = np.nan
    sound[300] = -np.inf
    decoded = read_bytes(sounds.wave(sound.astype("<f4").tobytes(), bits=32, tag=3))
    assert decoded.facts.partial
    assert decoded.audio.samples[100:200].tolist() == [0.0] * 100
    assert decoded.audio.samples[300] == 0
    np.testing.assert_array_equal(decoded.audio.samples[400:], sound[400:])


def test_random_bytes_are_never_taken_for_sound(read_bytes):
    for seed in range(40):
        rng = np.random.default_rng(seed)
        with pytest.raises(InputError) as caught:
            read_bytes(rng.bytes(int(10 ** rng.uniform(1.5, 5.5))))
        assert caught.value.code == "encrypted_or_unknown", seed
