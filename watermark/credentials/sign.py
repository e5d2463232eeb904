"""Signs files: the manifest goes inside where the container can hold one, and into a sidecar where it cannot.

The library empties a file that is signed onto itself and hides why a write failed, so it only ever writes to a new file
beside the target, through a handle that remembers its failure.
"""

import contextlib
import io
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ...core.audio import OpenedInput, open_input
from ...core.audio.source import named
from ...core.errors import CovoguardError, InputError, UsageError
from ...core.modelcard import sha256_of_file
from ...core.wholefile import PARTIAL_SUFFIX, sync, write_whole
from .container import OTHER_FORMAT, embeddable_format, sidecar_to_write, sidecars_to_read
from .library import context, library, read_report
from .manifest import Claim, manifest_definition
from .signer import ManifestSigner, native_signer


@dataclass(frozen=True)
class SignedFile:
    """A file that is signed now."""

    path: Path
    sidecar: Path | None
    """Where the manifest lies; None: inside."""
    manifest: bytes
    manifest_label: str
    """The manifest's id."""
    sha256: str
    """Of the signed file."""
    source_sha256: str
    """Of the file before."""


def sign_file(
    source: Path, target: Path, claim: Claim, signer: ManifestSigner, *, in_place: bool = False
) -> SignedFile:
    """Write a signed copy of `source` as `target`, whole or not at all; the source's sound is not touched.

    A container that holds no manifest gets a sidecar beside `target`; `target` may then be `source`, which stays as it
    is. `in_place`: `target` is `source`, which its signed copy replaces at once.

    Raises `UsageError` for a target that is the source, without the library, and for a wrong claim; `InputError` for a
    source that cannot be read or parsed or has credentials (already_signed), and for a target that is there
    (output_exists); `CovoguardError` when the signer fails (signing_failed) or the disk is full (output_error).
    """
    with open_input(source) as opened:
        media_type = embeddable_format(opened.file)
        _check_unsigned(opened)
        definition = manifest_definition(claim)
        if media_type is None:
            return _with_sidecar(opened, target, definition, signer)
        if in_place != _is_same(source, target):
            raise UsageError(f"{target}: a file is never signed onto itself; name another place with -o")
        if not in_place:
            _check_free(target)
        with _beside(target) as temporary:
            with _new_file(temporary) as destination:
                manifest = _signed(opened, definition, signer, media_type, destination)
            opened.check_unchanged()
            label, sha256 = _label_of(temporary, None), sha256_of_file(temporary)
            _put(temporary, target)
    return SignedFile(target, None, manifest, label, sha256, opened.sha256)


def _with_sidecar(opened: OpenedInput, target: Path, definition: dict[str, Any], signer: ManifestSigner) -> SignedFile:
    sidecar, copies = sidecar_to_write(target), not _is_same(opened.path, target)
    for path in (sidecar, target) if copies else (sidecar,):
        _check_free(path)
    with tempfile.TemporaryFile(prefix="covoguard-") as unused:  # the library must copy the asset somewhere
        manifest = _signed(opened, definition, signer, None, unused)
    opened.check_unchanged()
    label = _label_of(opened.path, manifest)
    with _writing(target):
        if copies:
            opened.file.seek(0)
            with _beside(target) as temporary:
                with _new_file(temporary) as destination:
                    shutil.copyfileobj(opened.file, destination)
                _put(temporary, target)
        write_whole(sidecar, [manifest])
    return SignedFile(target, sidecar, manifest, label, opened.sha256, opened.sha256)


def _signed(
    opened: OpenedInput,
    definition: dict[str, Any],
    signer: ManifestSigner,
    media_type: str | None,
    destination: BinaryIO,
) -> bytes:
    """The manifest; the signed file is in `destination`."""
    c2pa = library()
    opened.file.seek(0)
    with native_signer(signer) as native, context() as settings:
        builder = c2pa.Builder({**definition, "format": media_type or OTHER_FORMAT}, settings)
        if media_type is None:
            builder.set_no_embed()
        try:
            manifest = builder.sign(native, media_type or OTHER_FORMAT, opened.file, destination)
        finally:
            failure = getattr(getattr(destination, "raw", None), "failure", None)
            if failure is not None:
                raise _unwritable(Path(destination.name), failure) from failure
    return bytes(manifest)


def _check_unsigned(opened: OpenedInput) -> None:
    """A second signature would silently take the place of the first, so there is none."""
    c2pa = library()
    try:
        read_report(opened.file, (), manifest=None, online=False)
    except (c2pa.C2paError.ManifestNotFound, c2pa.C2paError.NotSupported):
        if not any(path.exists() for path in sidecars_to_read(opened.path)):
            return
    except c2pa.C2paError as error:
        if not str(error).startswith("Remote"):
            raise InputError(
                f"{named(opened.path)}: damaged, so it cannot be signed ({error})", code="read_error"
            ) from error
    raise InputError(
        f"{named(opened.path)}: has credentials, inside or in a sidecar, and signing again drops them; leave it so",
        code="already_signed",
    )


def _label_of(path: Path, manifest: bytes | None) -> str:
    """The id of the manifest that was just written. A file that does not read back is an error here, not later."""
    with path.open("rb") as file:
        return str(read_report(file, (), manifest=manifest, online=False)["active_manifest"])


def _is_same(source: Path, target: Path) -> bool:
    return target.exists() and os.path.samefile(source, target)


def _check_free(target: Path) -> None:
    if os.path.lexists(target):
        raise InputError(f"{target}: is there already and is not overwritten; name another place", code="output_exists")


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A name beside `target` for what is to become it."""
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}{PARTIAL_SUFFIX}")
    with _writing(target):
        try:
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)


def _put(temporary: Path, target: Path) -> None:
    sync(temporary)
    os.replace(temporary, target)
    sync(target.parent)


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unwritable(target, error) from error


def _unwritable(target: Path, error: OSError) -> CovoguardError:
    advice = "make room, or name another place; the source is as it was"
    return CovoguardError(f"{target}: cannot be written: {error.strerror or error}; {advice}", code="output_error")


class _Remembering(io.FileIO):
    """A new file that keeps the failure to write it, which callers in foreign code swallow."""

    failure: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.failure = error
            raise


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    with io.BufferedRandom(_Remembering(path, "x+b")) as file:
        yield file
