"""`covoguard keys`."""

import json

import click

from ..core.keyfile import KeyFile
from ..core.keyring import KeyRing
from ..core.keys import SecretKey
from ..reports.text import printable
from .options import verbose_option

PUBLIC_ID_VERSION = 1

_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object per key and line.")


@click.group()
def keys() -> None:
    """Make, list and rotate the secret keys that speech is marked with.

    Whoever holds a key can mark speech under it and find the marks. Keys lie in $COVOGUARD_KEYS, or else in
    ~/.config/covoguard/keys, readable by you alone; back that folder up. KEY is an id, the beginning of one, or
    a label. No command prints a secret.

    \b
    Example:
      covoguard keys new --label newsroom-eu
      covoguard keys list
    """


@keys.command("new", short_help="Make a key and store it.")
@click.option("--label", metavar="WORD", help="A name of your own for the key: lower-case letters, digits, . - _")
@click.option("--default", "as_default", is_flag=True, help="Mark with this key when none is named.")
@_json_option
@verbose_option
def new_key(label: str | None, as_default: bool, as_json: bool) -> None:
    """Make a key from the operating system's random bytes and store it.

    \b
    Example:
      covoguard keys new
      covoguard keys new --label newsroom-eu --default
    """
    ring = KeyRing.open()
    key = ring.new(label)
    if as_default:
        ring.set_default(key.key_id)
    _print_key(ring, key.key_id, as_json=as_json)
    click.echo("this file is the key: back it up, and show it to nobody", err=True)


@keys.command("list", short_help="List the keys, the oldest first.")
@_json_option
@verbose_option
def list_keys(as_json: bool) -> None:
    """List the keys, the oldest first, and say which one marks when none is named.

    \b
    Example:
      covoguard keys list
      covoguard keys list --json
    """
    ring = KeyRing.open()
    files = ring.files()
    if not files:
        click.echo(printable(f"{ring.folder}: no keys yet; `covoguard keys new` makes one"), err=True)
        return
    default = ring.default_id()
    for file in files:
        click.echo(_as_json(file, default) if as_json else _as_row(file, default))


@keys.command("show", short_help="Show all about a key but its secret.")
@click.argument("key", required=False)
@_json_option
@verbose_option
def show_key(key: str | None, as_json: bool) -> None:
    """Show a key's id, label, epochs, fingerprints and file, but never its secret.

    Without KEY, the key that marks when none is named.

    \b
    Example:
      covoguard keys show newsroom-eu
    """
    ring = KeyRing.open()
    _print_key(ring, key or ring.default().key_id, as_json=as_json)


@keys.command("rotate", short_help="Begin the next epoch of a key.")
@click.argument("key")
@_json_option
@verbose_option
def rotate_key(key: str, as_json: bool) -> None:
    """Begin the next epoch of a key: a new secret under the same id.

    Speech is marked with the newest epoch only; the older ones are kept, so that what they marked is still
    found. Rotate on a schedule, and at once when a secret may have leaked.

    \b
    Example:
      covoguard keys rotate newsroom-eu
    """
    ring = KeyRing.open()
    rotated = ring.rotate(key)
    _print_key(ring, rotated.key_id, as_json=as_json)
    click.echo("the file has changed: back it up again", err=True)


@keys.command("set-default", short_help="Choose the key that marks when none is named.")
@click.argument("key")
@_json_option
@verbose_option
def set_default_key(key: str, as_json: bool) -> None:
    """Choose the key that marks when none is named; until one is chosen, it is the oldest.

    \b
    Example:
      covoguard keys set-default newsroom-eu
    """
    ring = KeyRing.open()
    chosen = ring.set_default(key)
    _print_key(ring, chosen.key_id, as_json=as_json)


@keys.command("export-public-id", short_help="Print what may be published of a key.")
@click.argument("key", required=False)
@click.option("--epoch", type=click.IntRange(min=1), help="Which epoch. Default: the newest.")
@verbose_option
def export_public_id(key: str | None, epoch: int | None) -> None:
    """Print a key's id, epoch and fingerprint as JSON, for publication.

    The fingerprint commits to the secret without telling anything of it. The label is left out. Without KEY,
    the key that marks when none is named.

    \b
    Example:
      covoguard keys export-public-id newsroom-eu > newsroom-eu.public.json
    """
    ring = KeyRing.open()
    click.echo(json.dumps(_public_id(ring.get(key or ring.default().key_id, epoch)), indent=2))


def _public_id(key: SecretKey) -> dict[str, str | int]:
    return {
        "covoguard_public_key_id": PUBLIC_ID_VERSION,
        "key_id": key.key_id,
        "epoch": key.epoch,
        "fingerprint": key.fingerprint,
    }


def _print_key(ring: KeyRing, key_id: str, *, as_json: bool) -> None:
    file, default = ring.find(key_id), ring.default_id()
    click.echo(_as_json(file, default) if as_json else _as_text(file, default))


def _as_json(file: KeyFile, default: str | None) -> str:
    return json.dumps(
        {
            "key_id": file.key_id,
            "label": file.label,
            "default": file.key_id == default,
            "path": str(file.path),
            "epochs": [
                {
                    "epoch": key.epoch,
                    "created_utc": key.created_utc,
                    "retired_utc": key.retired_utc,
                    "fingerprint": key.fingerprint,
                }
                for key in file.epochs
            ],
        }
    )


def _as_row(file: KeyFile, default: str | None) -> str:
    """One line of the list."""
    mark = "default" if file.key_id == default else ""
    row = f"{file.key_id}  epoch {file.active.epoch}  {file.active.created_utc[:10]}  {mark:7}  {file.label or ''}"
    return row.rstrip()


def _as_text(file: KeyFile, default: str | None) -> str:
    """The page of one key."""
    lines = [
        f"{file.key_id}{' (default)' if file.key_id == default else ''}",
        f"  label: {file.label or 'none'}",
        f"  file: {printable(str(file.path))}",
    ]
    for key in file.epochs:
        retired = f", retired {key.retired_utc}" if key.retired_utc else ""
        lines += [
            f"  epoch {key.epoch}: created {key.created_utc}{retired}",
            f"    fingerprint: {key.fingerprint}",
        ]
    return "\n".join(lines)
