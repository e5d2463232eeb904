"""Broken and hostile inputs, each with the error code that its record must carry (None: it is analysed).

Used by the tests of decoding and by those of whole scans. Loaded by `conftest.py`.
"""

import os
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import sound_files as sounds

Builder = Callable[[Path], None]

SECRET_NAME = "other-local-file.wav"
"""A good file in the same folder, which playlists point to and which must never be opened through them."""


def build_hostile_files(folder: Path) -> dict[str, str | None]:
    """Create all inputs inside `folder`: file name -> expected error code, None where the file is analysed."""
    speech = sounds.speech_like(1.0, 16_000)
    (folder / SECRET_NAME).write_bytes(sounds.wave(sounds.pcm16(speech)))
    expected: dict[str, str | None] = {SECRET_NAME: None, "missing.wav": "not_found"}
    for name, code, data in [*_other_content(), *_broken_headers(speech), *_cut_files(speech), *_odd_sound(speech)]:
        (folder / name).write_bytes(data)
        expected[name] = code
    for name, code, build in _odd_kinds():
        build(folder / name)
        expected[name] = code
    return expected


def _other_content() -> list[tuple[str, str, bytes]]:
    random = np.random.default_rng(7).bytes
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{SECRET_NAME}\n#EXT-X-ENDLIST\n".encode()
    concat = f"ffconcat version 1.0\nfile {SECRET_NAME}\n".encode()
    png = b"\x89PNG\r\n\x1a\n" + bytes.fromhex("0000000d49484452000000010000000108060000001f15c489") + random(200)
    return [
        ("page.mp3", "not_audio", b"<!DOCTYPE html><html><body>404 not found</body></html>"),
        ("notes.wav", "not_audio", "Überraschung: nur Text.\n".encode() * 300),
        ("notes-utf16.wav", "not_audio", "only text\n".encode("utf-16")),
        ("playlist.m3u8", "not_audio", playlist),
        ("playlist-renamed.mp3", "not_audio", playlist),
        ("concat.ffconcat", "not_audio", concat),
        ("concat-renamed.mp3", "not_audio", concat),
        ("picture.flac", "not_audio", png),
        ("document.m4a", "not_audio", b"%PDF-1.7\n" + random(400)),
        ("random-small.mp3", "encrypted_or_unknown", random(3_000)),
        ("random-large.ogg", "encrypted_or_unknown", random(300_000)),
        ("one-byte.wav", "encrypted_or_unknown", b"\x00"),
        ("zeros.wav", "encrypted_or_unknown", bytes(50_000)),
    ]


def _broken_headers(speech: sounds.Float32Array) -> list[tuple[str, str | None, bytes]]:
    data = sounds.pcm16(speech)
    good = sounds.wave(data)
    mp4 = sounds.encode("mp4", "aac", speech, 16_000, bit_rate=32_000)
    flac = sounds.encode("flac", "flac", speech, 16_000)
    return [
        ("zero-hz.wav", "bad_header", sounds.wave(data, rate_hz=0)),
        ("two-gigahertz.wav", "bad_header", sounds.wave(data, rate_hz=2_000_000_000)),
        ("ten-hz.wav", "bad_header", sounds.wave(data, rate_hz=10)),
        ("no-channels.wav", "bad_header", sounds.wave(data, channels=0)),
        ("200-channels.wav", "bad_header", sounds.wave(data, channels=200)),
        ("header-only.wav", "nothing_decoded", good[:44]),
        ("unknown-codec.wav", "unsupported_codec", sounds.wave(data, tag=0x4242)),
        ("header-destroyed.wav", "encrypted_or_unknown", b"\xa5" * 64 + good[64:]),
        ("mp4-without-moov.m4a", "nothing_decoded", mp4[: mp4.index(b"moov") - 4]),
        ("flac-magic-only.flac", "nothing_decoded", flac[:4]),
        ("flac-head-only.flac", "nothing_decoded", flac[:42]),
        ("video-only.mp4", "no_audio_stream", sounds.video_without_sound()),
        ("wrong-suffix.mp3", None, flac),
    ]


def _cut_files(speech: sounds.Float32Array) -> list[tuple[str, str | None, bytes]]:
    wav = sounds.wave(sounds.pcm16(speech))
    flac = sounds.encode("flac", "flac", speech, 16_000)
    mp3 = sounds.encode("mp3", "libmp3lame", speech, 16_000, bit_rate=32_000)
    return [
        ("cut-half.wav", None, wav[: len(wav) // 2]),
        ("cut-half.flac", None, flac[: len(flac) // 2]),
        ("cut-half.mp3", None, mp3[: len(mp3) // 2]),
        ("cut-5-bytes.wav", "nothing_decoded", wav[:5]),
        ("cut-30-bytes.wav", "nothing_decoded", wav[:30]),
        ("cut-100-bytes.mp3", "nothing_decoded", mp3[:100]),
    ]


def _odd_sound(speech: sounds.Float32Array) -> list[tuple[str, str | None, bytes]]:
    broken = speech.copy()
    broken[1000:1100] = np.nan
    broken[2000:2100] = np.inf
    seven = np.stack([speech * gain for gain in (1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)])
    return [
        ("nan.wav", None, sounds.wave(broken.astype("<f4").tobytes(), bits=32, tag=3)),
        ("seven-channels.wav", None, sounds.wave(sounds.pcm16(seven), channels=7)),
        ("opposite-phase.wav", None, sounds.wave(sounds.pcm16(np.stack([speech, -speech])), channels=2)),
        ("silence.wav", None, sounds.wave(bytes(2 * 32_000))),
        ("ten-milliseconds.wav", None, sounds.wave(sounds.pcm16(speech[:160]))),
        ('new\nline <b>&"markup"[red].wav', None, sounds.wave(sounds.pcm16(speech))),
    ]


def _odd_kinds() -> list[tuple[str, str | None, Builder]]:
    kinds: list[tuple[str, str | None, Builder]] = [
        ("empty.wav", "empty_file", Path.touch),
        ("folder.wav", "not_a_file", Path.mkdir),
        ("pipe.wav", "not_a_file", os.mkfifo),
        ("device.wav", "not_a_file", lambda path: path.symlink_to("/dev/zero")),
        ("socket.wav", "not_a_file", _make_socket),
        ("broken-link.wav", "not_found", lambda path: path.symlink_to("nowhere")),
        ("archive.wav", "not_audio", _make_zip),
        ("three-hours.flac", None, lambda path: sounds.flac_of_silence(path, 3 * 3600)),
    ]
    if os.geteuid() != 0:  # root may read everything
        kinds.append(("forbidden.wav", "no_permission", _make_forbidden))
    return kinds


def _make_socket(path: Path) -> None:
    # The name is bound relative to its folder: socket paths are limited to about a hundred characters.
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"/proc/self/fd/{descriptor}/{path.name}" if os.path.exists("/proc/self/fd") else str(path))
    finally:
        os.close(descriptor)


def _make_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inside.wav", sounds.wave(bytes(1000)))


def _make_forbidden(path: Path) -> None:
    path.write_bytes(sounds.wave(bytes(1000)))
    path.chmod(0)
