"""What we assert when we sign: how the content came to be, by what, and which of our marks is in it.

The library signs a wrong `digitalSourceType` or a withdrawn label without a word, so every definition is checked here
first. Terms: C2PA specification 2.2 (actions, soft binding), CAWG training and data mining 1.1, IPTC NewsCodes
`digitalsourcetype`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from ...core.credentialsfinding import ContentKind
from ...core.errors import UsageError
from ...core.keys import KEY_ID_PATTERN
from ...core.version import __version__

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
TOKEN_MARK_ALG = "org.covoguard.tokenmark.1"  # noqa: S105  (the name of a scheme)
"""Names our token mark in a soft binding. Private: it is not on C2PA's list of algorithms, so only we resolve it."""
ACTIONS_LABEL = "c2pa.actions.v2"
TRAINING_LABEL = "cawg.training-mining"
SOFT_BINDING_LABEL = "c2pa.soft-binding"
SOURCE_TYPE_OF: Mapping[ContentKind, str] = {
    "generated": f"{IPTC}trainedAlgorithmicMedia",
    "captured": f"{IPTC}digitalCapture",
    "edited": f"{IPTC}humanEdits",
}
_GENERATED_TERMS = (
    "trainedAlgorithmicMedia", "algorithmicMedia", "compositeSynthetic", "compositeWithTrainedAlgorithmicMedia",
    "dataDrivenMedia", "virtualRecording",
)  # fmt: skip
_CAPTURED_TERMS = ("digitalCapture", "computationalCapture", "compositeCapture", "multiFrameComputationalCapture")
_EDITED_TERMS = ("humanEdits", "minorHumanEdits", "algorithmicallyEnhanced", "composite")
_OTHER_TERMS = (
    "negativeFilm", "positiveFilm", "print", "digitalCreation", "digitalArt", "softwareImage", "screenCapture",
)  # fmt: skip
_TERMS = frozenset((*_GENERATED_TERMS, *_CAPTURED_TERMS, *_EDITED_TERMS, *_OTHER_TERMS))
_C2PA_TERMS = frozenset(f"http://c2pa.org/digitalsourcetype/{term}" for term in ("empty", "trainedAlgorithmicData"))
_BINDING_VALUE = re.compile(rf"({KEY_ID_PATTERN.pattern})\.([1-9][0-9]*)(?:\.([0-9]+)-([0-9]+)-([0-9]+))?")
_REVERSE_DNS = re.compile(r"[a-z][a-z0-9-]*(\.[a-z0-9][a-z0-9_-]*)+")
_USES = ("allowed", "notAllowed", "constrained")
_LABELS = (ACTIONS_LABEL, TRAINING_LABEL, SOFT_BINDING_LABEL)

TrainingUse = Literal["allowed", "notAllowed"]


@dataclass(frozen=True)
class MarkBinding:
    """Which token mark is in the sound: public names only, as `verify` reads them off it again.

    It names a key's epoch and, where there is one, the payload; many clips share it, for a mark holds no clip's number.
    """

    key_id: str
    epoch: int
    payload: tuple[int, int, int] | None = None
    """Model, tenant, day."""

    @property
    def value(self) -> str:
        """`k3e7670e85b.1`, with a payload `k3e7670e85b.1.4-17-20778`."""
        payload = "" if self.payload is None else ".{}-{}-{}".format(*self.payload)
        return f"{self.key_id}.{self.epoch}{payload}"

    @classmethod
    def parse(cls, value: str) -> Self:
        """Read `value` back. Raises `UsageError` for anything else."""
        found = _BINDING_VALUE.fullmatch(value)
        if found is None:
            raise UsageError(f"{value!r} names no token mark; give KEY_ID.EPOCH as `covoguard verify` shows it")
        model, tenant, day = found[3], found[4], found[5]
        return cls(found[1], int(found[2]), None if model is None else (int(model), int(tenant), int(day)))


@dataclass(frozen=True)
class Claim:
    """What is asserted of one file."""

    content: ContentKind
    title: str
    when_utc: str
    """When it was made, ISO 8601: the signer's word, no timestamp."""
    agent: str = "covoguard"
    """What made it: a generator's name."""
    agent_version: str | None = None
    model_sha256: str | None = None
    training: TrainingUse = "notAllowed"
    """Whether machines may be trained on it."""
    mark: MarkBinding | None = None


def manifest_definition(claim: Claim) -> dict[str, Any]:
    """The definition that is signed. Raises `UsageError` for a claim that the specification does not allow."""
    agent: dict[str, str] = {"name": claim.agent}
    if claim.agent_version is not None:
        agent["version"] = claim.agent_version
    if claim.model_sha256 is not None:
        agent["org.covoguard.model_sha256"] = claim.model_sha256
    created = {"action": "c2pa.created", "when": claim.when_utc, "softwareAgent": agent}
    actions: list[dict[str, Any]] = [{**created, "digitalSourceType": SOURCE_TYPE_OF.get(claim.content, "")}]
    assertions: list[dict[str, Any]] = [
        {"label": ACTIONS_LABEL, "data": {"actions": actions}},
        {"label": TRAINING_LABEL, "data": {"entries": _training_entries(claim.training)}},
    ]
    if claim.mark is not None:
        ours = {"name": "covoguard", "version": __version__}
        actions.append({"action": "c2pa.watermarked.bound", "softwareAgent": ours})
        blocks = [{"scope": {}, "value": claim.mark.value}]
        binding = {"alg": TOKEN_MARK_ALG, "blocks": blocks, "pad": ""}
        assertions.append({"label": SOFT_BINDING_LABEL, "data": binding})
    definition = {
        "claim_generator_info": [{"name": "covoguard", "version": __version__}],
        "title": claim.title,
        "assertions": assertions,
    }
    check_definition(definition)
    return definition


def check_definition(definition: Mapping[str, Any]) -> None:
    """Raise `UsageError` for what the library would sign all the same, though no reader could make sense of it."""
    problems = []
    for assertion in definition["assertions"]:
        label, data = assertion["label"], assertion["data"]
        if label not in _LABELS:
            problems.append(f"the label {label!r} is none of {', '.join(_LABELS)}")
        elif label == ACTIONS_LABEL:
            problems += action_remarks(data["actions"])
        elif label == TRAINING_LABEL:
            uses = [entry.get("use") for entry in data["entries"].values()]
            problems += [f"{use!r} is no use that {TRAINING_LABEL} knows" for use in uses if use not in _USES]
        elif not data.get("blocks") or not _REVERSE_DNS.fullmatch(data.get("alg", "")):
            problems.append("a soft binding needs blocks and a scheme in reverse-DNS form")
    if problems:
        raise UsageError(f"these credentials would be wrong: {'; '.join(problems)}; correct the claim")


def action_remarks(actions: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong with a list of actions, in words; empty when nothing is."""
    remarks = []
    if not actions or actions[0].get("action") not in ("c2pa.created", "c2pa.opened"):
        remarks.append("the first action is neither c2pa.created nor c2pa.opened")
    for action in actions:
        source_type = action.get("digitalSourceType")
        if source_type is None:
            if action.get("action") == "c2pa.created":
                remarks.append("c2pa.created names no digitalSourceType")
        elif not is_source_type(source_type):
            remarks.append(f"digitalSourceType {source_type!r} is not the URL of a known term")
    return remarks


def is_source_type(url: object) -> bool:
    """Whether this is the whole URL of a term that IPTC or C2PA defines."""
    return isinstance(url, str) and (url in _C2PA_TERMS or (url.startswith(IPTC) and url[len(IPTC) :] in _TERMS))


def content_of(source_types: Sequence[str]) -> ContentKind | None:
    """What digital source types come to; a bare term counts as its URL. None: they do not say."""
    terms = {source_type.rpartition("/")[2] for source_type in source_types}
    kinds: tuple[tuple[ContentKind, tuple[str, ...]], ...] = (
        ("generated", _GENERATED_TERMS), ("edited", _EDITED_TERMS), ("captured", _CAPTURED_TERMS),
    )  # fmt: skip
    return next((kind for kind, members in kinds if terms & set(members)), None)


def _training_entries(use: TrainingUse) -> dict[str, dict[str, str]]:
    # Not data mining nor inference: forbidding those would forbid looking for the mark.
    return {name: {"use": use} for name in ("cawg.ai_training", "cawg.ai_generative_training")}
