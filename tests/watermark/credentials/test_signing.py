"""What signing refuses, and what is left on the disk when it fails."""

import errno
import io
import os

import pytest
from signed_files import CLAIM, sound_bytes

from covoguard.core.errors import CovoguardError, InputError, UsageError
from covoguard.watermark.credentials import sign
from covoguard.watermark.credentials.container import embeddable_format
from covoguard.watermark.credentials.read import read_credentials
from covoguard.watermark.credentials.sign import sign_file


class BrokenSigner:
    """A token that was pulled out."""

    def __init__(self, signer, sign):
        self.chain_pem, self.algorithm, self.sign = signer.chain_pem, signer.algorithm, sign


@pytest.fixture
def plain(tmp_path):
    path = tmp_path / "plain.wav"
    path.write_bytes(sound_bytes("wav", 0.2))
    return path


def names_in(folder):
    return sorted(each.name for each in folder.iterdir())


def test_a_file_is_never_signed_onto_itself(plain, signer, tmp_path):
    before = plain.read_bytes()
    link = tmp_path / "link.wav"
    link.symlink_to(plain)
    for target in (plain, link, tmp_path / "." / "plain.wav"):
        with pytest.raises(UsageError, match="onto itself"):
            sign_file(plain, target, CLAIM, signer)
    assert plain.read_bytes() == before


def test_in_place_the_signed_copy_takes_the_place_of_the_file(plain, signer, trust):
    signed = sign_file(plain, plain, CLAIM, signer, in_place=True)
    assert signed.sha256 != signed.source_sha256
    assert read_credentials(plain, trust=[trust]).state == "trusted"
    assert names_in(plain.parent) == ["plain.wav"]


def test_nothing_is_overwritten(plain, signer, tmp_path):
    (tmp_path / "there.wav").write_bytes(b"precious")
    with pytest.raises(InputError, match="not overwritten") as caught:
        sign_file(plain, tmp_path / "there.wav", CLAIM, signer)
    assert caught.value.code == "output_exists"
    ogg = tmp_path / "a.ogg"
    ogg.write_bytes(sound_bytes("ogg", 0.2))
    (tmp_path / "b.c2pa").write_bytes(b"precious")
    with pytest.raises(InputError, match="not overwritten"):
        sign_file(ogg, tmp_path / "b.ogg", CLAIM, signer)
    assert not (tmp_path / "b.ogg").exists()


def test_what_is_signed_is_not_signed_again(plain, signer, tmp_path):
    signed = sign_file(plain, tmp_path / "one.wav", CLAIM, signer).path
    with pytest.raises(InputError) as caught:
        sign_file(signed, tmp_path / "two.wav", CLAIM, signer)
    assert caught.value.code == "already_signed"
    ogg = tmp_path / "a.ogg"
    ogg.write_bytes(sound_bytes("ogg", 0.2))
    sign_file(ogg, ogg, CLAIM, signer)
    with pytest.raises(InputError, match="sidecar"):
        sign_file(ogg, tmp_path / "b.ogg", CLAIM, signer)


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "empty_file"), (None, "not_found"), ("folder", "not_a_file"), ("cut", "read_error")],
)
def test_bad_sources(plain, signer, tmp_path, content, code):
    source = tmp_path / "source.wav"
    if content == "folder":
        source.mkdir()
    elif content == "cut":
        signed = sign_file(plain, tmp_path / "whole.wav", CLAIM, signer).path
        source.write_bytes(signed.read_bytes()[: plain.stat().st_size + 2000])
    elif content is not None:
        source.write_bytes(content)
    before = names_in(tmp_path)
    with pytest.raises(InputError) as caught:
        sign_file(source, tmp_path / "target.wav", CLAIM, signer)
    assert caught.value.code == code
    assert names_in(tmp_path) == before


def test_a_full_disk_is_said_and_leaves_nothing(signer, tmp_path, monkeypatch):
    class FullDisk(io.FileIO):
        def write(self, _data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    class Remembering(sign._Remembering, FullDisk):
        """The product's file on a full disk."""

    monkeypatch.setattr(sign, "_Remembering", Remembering)
    for name in ("plain.wav", "plain.ogg"):
        source = tmp_path / name
        source.write_bytes(sound_bytes(name[-3:], 0.2))
        before = source.read_bytes()
        with pytest.raises(CovoguardError, match="No space left") as caught:
            sign_file(source, tmp_path / f"target{source.suffix}", CLAIM, signer)
        assert caught.value.code == "output_error"
        assert source.read_bytes() == before
    assert names_in(tmp_path) == ["plain.ogg", "plain.wav"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_refuses_the_file(plain, signer, tmp_path):
    folder = tmp_path / "sealed"
    folder.mkdir(mode=0o500)
    with pytest.raises(CovoguardError, match="cannot be written") as caught:
        sign_file(plain, folder / "clip.wav", CLAIM, signer)
    assert caught.value.code == "output_error"


def test_a_missing_folder(plain, signer, tmp_path):
    with pytest.raises(CovoguardError, match="cannot be written"):
        sign_file(plain, tmp_path / "gone" / "clip.wav", CLAIM, signer)


def pulled_out(_data):
    raise RuntimeError("the token was pulled out")


@pytest.mark.parametrize(
    ("fault", "message"),
    [(pulled_out, "pulled out"), (lambda data: b"", "cannot be signed"), (lambda data: b"x" * 64, "cannot be signed")],
)
def test_a_signer_that_fails_leaves_the_file_whole(plain, signer, tmp_path, fault, message):
    before = plain.read_bytes()
    with pytest.raises(CovoguardError, match=message) as caught:
        sign_file(plain, plain, CLAIM, BrokenSigner(signer, fault), in_place=True)
    assert caught.value.code == "signing_failed"
    assert plain.read_bytes() == before
    assert names_in(tmp_path) == ["plain.wav"]


def test_any_class_with_a_chain_and_a_sign_method_is_a_signer(plain, signer, trust, tmp_path):
    asked = []

    def sign_elsewhere(data):
        asked.append(data)
        return signer.sign(data)

    sign_file(plain, tmp_path / "clip.wav", CLAIM, BrokenSigner(signer, sign_elsewhere))
    assert len(asked) == 1
    assert read_credentials(tmp_path / "clip.wav", trust=[trust]).state == "trusted"


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"RIFF\0\0\0\0WAVE", "audio/wav"),
        (b"RIFF\0\0\0\0AVI ", None),
        (b"fLaC\0", "audio/flac"),
        (b"\0\0\0\x20ftypM4A ", "audio/mp4"),
        (b"\xff\xfb\x90\x00", "audio/mpeg"),
        (b"\xff\xf1\x50\x80", None),
        (b"ID3\x04\0\0\0\0\0\x00\xff\xfb", "audio/mpeg"),
        (b"ID3\x04\0\0\0\0\0\x00fLaC", "audio/flac"),
        (b"ID3\x04\0\0\0\0\x40\x00" + bytes(1 << 13) + b"fLaC", "audio/flac"),
        (b"ID3\x04\0\0\0\x7f\x7f\x7f", None),
        (b"OggS", None),
        (b"", None),
    ],
)
def test_containers_are_told_by_their_bytes(head, media_type):
    file = io.BytesIO(head)
    assert embeddable_format(file) == media_type
    assert file.tell() == 0


def test_flac_behind_a_tag_is_signed_and_decodes(signer, trust, tmp_path):
    tag = b"ID3\x04\0\0" + bytes([0, 0, 0x40, 0]) + bytes(1 << 13)
    source = tmp_path / "tagged.flac"
    source.write_bytes(tag + sound_bytes("flac", 0.2))
    signed = sign_file(source, tmp_path / "clip.flac", CLAIM, signer)
    assert signed.sidecar is None
    assert read_credentials(signed.path, trust=[trust]).state == "trusted"
