"""The library's report on a manifest, as our record. Everything in it was written by whoever made the file."""

from collections.abc import Mapping
from typing import Any

from ...core.credentialsfinding import CredentialAction, ManifestFacts, SoftBinding
from .manifest import ACTIONS_LABEL, SOFT_BINDING_LABEL, action_remarks, content_of

_ACTION_LABELS = (ACTIONS_LABEL, "c2pa.actions")
_MAX_ENTRIES = 1000
"""Of a list in a manifest; more are not looked at."""
_MAX_CHARACTERS = 500


def manifest_facts(report: Mapping[str, Any], trust_list: str | None) -> ManifestFacts:
    """What the active manifest of a report says."""
    label = str(report.get("active_manifest", ""))
    manifest = _mapping(_mapping(report.get("manifests")).get(label))
    assertions = [_mapping(entry) for entry in _list(manifest.get("assertions"))]
    action_lists = [
        [_mapping(action) for action in _list(_mapping(each.get("data")).get("actions"))]
        for each in assertions
        if str(each.get("label", "")).split("__")[0] in _ACTION_LABELS
    ]
    actions = [action for actions in action_lists for action in actions]
    signature = _mapping(manifest.get("signature_info"))
    source_types = [text for each in actions if (text := _text(each.get("digitalSourceType"))) is not None]
    return ManifestFacts(
        label=label,
        title=_text(manifest.get("title")),
        claim_generator=_software(next(iter(_list(manifest.get("claim_generator_info"))), None))
        or _text(manifest.get("claim_generator")),
        signer=_text(signature.get("common_name")),
        issuer=_text(signature.get("issuer")),
        trust_list=trust_list,
        actions=tuple(_action(each) for each in actions),
        content=content_of(source_types),
        soft_bindings=tuple(_soft_bindings(assertions)),
        remarks=tuple(remark[:_MAX_CHARACTERS] for actions in action_lists for remark in action_remarks(actions)),
    )


def status_codes(report: Mapping[str, Any], outcome: str) -> list[str]:
    """The active manifest's status codes of one outcome (`success`, `failure`), then those of its ingredients."""
    results = _mapping(report.get("validation_results"))
    active = _mapping(results.get("activeManifest"))
    deltas = [_mapping(_mapping(each).get("validationDeltas")) for each in _list(results.get("ingredientDeltas"))]
    entries = [entry for part in (active, *deltas) for entry in _list(part.get(outcome))]
    return list(dict.fromkeys(str(_mapping(entry).get("code"))[:_MAX_CHARACTERS] for entry in entries))


def _action(action: Mapping[str, Any]) -> CredentialAction:
    source_type = _text(action.get("digitalSourceType"))
    return CredentialAction(_text(action.get("action")) or "", source_type, _software(action.get("softwareAgent")))


def _soft_bindings(assertions: list[Mapping[str, Any]]) -> list[SoftBinding]:
    return [
        SoftBinding(_text(data.get("alg")) or "", value)
        for data in (_mapping(each.get("data")) for each in assertions if _is_binding(each))
        for block in _list(data.get("blocks"))
        if (value := _text(_mapping(block).get("value"))) is not None
    ]


def _is_binding(assertion: Mapping[str, Any]) -> bool:
    return str(assertion.get("label", "")).split("__")[0] == SOFT_BINDING_LABEL


def _software(value: object) -> str | None:
    """A name, with its version where there is one; older manifests hold a bare text."""
    if isinstance(value, str):
        return _text(value)
    name, version = (_text(_mapping(value).get(key)) for key in ("name", "version"))
    return f"{name} {version}" if name and version else name


def _text(value: object) -> str | None:
    """A text that JSON can hold, cut to a sensible length."""
    if not isinstance(value, str):
        return None
    return value[:_MAX_CHARACTERS].encode("utf-8", "replace").decode("utf-8")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value[:_MAX_ENTRIES] if isinstance(value, list) else []
