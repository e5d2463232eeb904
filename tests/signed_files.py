"""Signers, sounds in every container, and ways to harm a signed file. Loaded by `conftest.py` under its own name."""

import datetime
import io
from pathlib import Path

import av
import sound_files as sounds

from covoguard.watermark.credentials.authority import make_test_signer
from covoguard.watermark.credentials.library import context, library
from covoguard.watermark.credentials.manifest import Claim, MarkBinding, manifest_definition
from covoguard.watermark.credentials.signer import PemSigner, native_signer
from covoguard.watermark.credentials.trust import TrustList

CONTAINERS = ("wav", "mp3", "flac", "m4a", "ogg")
EMBEDDED = ("wav", "mp3", "flac", "m4a")
MEDIA_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg", "flac": "audio/flac", "m4a": "audio/mp4"}
MARK = MarkBinding("k3e7670e85b", 1)
CLAIM = Claim("generated", "a clip", "2026-11-21T12:00:00Z", "pocket", "0.1.0", "ab" * 32, mark=MARK)
_ENCODINGS = {"mp3": ("mp3", "libmp3lame"), "flac": ("flac", "flac"), "m4a": ("ipod", "aac"), "ogg": ("ogg", "libopus")}


def sound_bytes(container: str, seconds: float = 1.0) -> bytes:
    """A sound in a container of `CONTAINERS`."""
    speech = sounds.speech_like(seconds, 16_000)
    if container == "wav":
        return sounds.wave(sounds.pcm16(speech))
    return sounds.encode(*_ENCODINGS[container], speech, 16_000)


def signer_files(*, lifetime: datetime.timedelta = datetime.timedelta(days=1)) -> dict[str, bytes]:
    return make_test_signer("Radio Example", now=datetime.datetime.now(datetime.UTC), lifetime=lifetime)


def signer_of(files: dict[str, bytes]) -> PemSigner:
    return PemSigner.from_pem(files["chain.pem"], files["key.pem"], "test signer")


def trust_in(files: dict[str, bytes], name: str = "radio.pem") -> TrustList:
    return TrustList.from_pem(name, files["authority.pem"], name)


def detached_manifest(path: Path, signer: PemSigner) -> bytes:
    """A manifest for any file, as other tools write it into sidecars."""
    return _built(path, signer, io.BytesIO(), media_type="application/octet-stream", remote_url=None)


def write_remote_only(path: Path, signer: PemSigner, url: str) -> None:
    """Replace a sound by its copy that only names a URL where its manifest is."""
    signed = io.BytesIO()
    _built(path, signer, signed, media_type=MEDIA_TYPES[path.suffix[1:]], remote_url=url)
    path.write_bytes(signed.getvalue())


def remux(source: Path, target: Path) -> None:
    """Copy the encoded sound into a new container of the same kind, as `ffmpeg -c copy` does."""
    with source.open("rb") as file, av.open(file) as read, av.open(str(target), "w") as written:
        stream = written.add_stream_from_template(read.streams.audio[0])
        for packet in read.demux(read.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                written.mux(packet)


def flip_sound_byte(path: Path) -> None:
    """Change one bit of the encoded sound."""
    data = bytearray(path.read_bytes())
    # Where there is sound and no manifest: at the end for those that have it in front, in the middle for WAV
    at = len(data) // 4 if path.suffix == ".wav" else len(data) - 60
    data[at] ^= 1
    path.write_bytes(data)


def _built(path: Path, signer: PemSigner, target: io.BytesIO, *, media_type: str, remote_url: str | None) -> bytes:
    with path.open("rb") as source, native_signer(signer) as native, context() as settings:
        builder = library().Builder(manifest_definition(CLAIM), settings)
        builder.set_no_embed()
        if remote_url is not None:
            builder.set_remote_url(remote_url)
        return builder.sign(native, media_type, source, target)
