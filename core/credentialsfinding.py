"""What Content Credentials (C2PA manifests) say about one file, and whether they hold.

The attribute names are the keys of the JSON form. Credentials are what a signer asserts, bound to the bytes that it
signed. That they hold says who asserts it; whether it is true is not in the file.
"""

from dataclasses import dataclass
from typing import Literal

from .records import Evidence

CredentialState = Literal[
    "trusted", "valid_untrusted", "invalid", "absent", "unreadable", "sidecar", "recovered", "not_checked"
]
CREDENTIAL_STATES: tuple[CredentialState, ...] = (
    "trusted", "valid_untrusted", "invalid", "absent", "unreadable", "sidecar", "recovered", "not_checked",
)  # fmt: skip
Validation = Literal["trusted", "valid_untrusted", "invalid"]
ContentKind = Literal["generated", "captured", "edited"]
CONTENT_KINDS: tuple[ContentKind, ...] = ("generated", "captured", "edited")

METHOD = "c2pa"


@dataclass(frozen=True)
class CredentialAction:
    """One step of the file's history as the signer tells it, e.g. `c2pa.created`."""

    action: str
    digital_source_type: str | None
    """The IPTC term's URL, as it stands there."""
    agent: str | None
    """The software, with its version where it is given."""


@dataclass(frozen=True)
class SoftBinding:
    """A mark in the sound that the manifest names: whose scheme, and the value that it carries."""

    alg: str
    value: str


@dataclass(frozen=True)
class ManifestFacts:
    """What the active manifest says, whether or not it holds."""

    label: str
    """The manifest's own id, `urn:c2pa:…`."""
    title: str | None
    claim_generator: str | None
    signer: str | None
    """Common name in the certificate."""
    issuer: str | None
    """Organisation in the certificate."""
    trust_list: str | None
    """Name of the list of authorities that vouches for the signer; None: none of those given."""
    actions: tuple[CredentialAction, ...]
    content: ContentKind | None
    """What the digital source types come to: generated wherever a machine made some of it; None: they do not say."""
    soft_bindings: tuple[SoftBinding, ...]
    remarks: tuple[str, ...]
    """Departures from the specification that validation does not look at."""


@dataclass(frozen=True)
class CredentialsFinding:
    """The answer for one file.

    `absent` is the normal state of honest recordings: most tools drop credentials. `sidecar` and `recovered` keep what
    their manifest is worth in `validation`; for `recovered` that leaves out the bytes, which differ by nature.
    """

    state: CredentialState
    reason: str
    """A code of `core/reasons.py`."""
    words: str
    """The reason for this file, for people."""
    validation: Validation | None = None
    """None: there is no manifest, or it cannot be read."""
    manifest: ManifestFacts | None = None
    failures: tuple[str, ...] = ()
    """C2PA's own status codes of what failed, in the order of the validation."""
    sidecar: str | None = None
    """Path of the sidecar that was read."""
    signed_sha256: str | None = None
    """Of `recovered`: hash of the file that was signed."""

    @property
    def is_broken(self) -> bool:
        """Whether a manifest that belongs to these bytes does not hold."""
        return self.validation == "invalid" and self.state != "recovered"

    def to_evidence(self) -> Evidence:
        """The part of it that counts in a verdict; credentials carry no likelihood ratio.

        The status of a manifest that belongs to these bytes is what it is worth, wherever it was found.
        """
        status = self.state if self.validation is None or self.state == "recovered" else self.validation
        content = None if self.manifest is None else self.manifest.content
        return Evidence("credentials", METHOD, status, says=content, reason=self.reason)
