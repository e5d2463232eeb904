"""Runs of an audit log as a graph of CASE 1.x and UCO 1.x in JSON-LD, for case management tools.

    Investigation ─object→ InvestigativeAction (a run: start, end, performer, instrument, object)
                               ├─subaction→ Analysis of one file ─result→ AnalyticResult with its ArtifactClassification
                               └─result→ ProvenanceRecord (exhibit number) ─object→ File (path, size, SHA-256)

Namespaces, classes and properties are those of the published ontologies (github.com/casework/CASE and ucoProject/UCO:
the Turtle files of `investigation`, `action`, `analysis`, `core`, `tool` and `types`; facets of `observable`,
`configuration:usesConfiguration` and the kind of relationship `has_role` as published examples use them). Graphs of
scans conform to CASE 1.3.0 by `case_validate` of case-utils 0.18.0.

Ids are version 5 UUIDs of hashes and names, so the same log always gives the same graph, and a file keeps its id in
every graph that holds the same bytes under the same path. `classificationConfidence` is stated in one case only: the
verdict `synthetic` where the policy has a prior, with the posterior that follows from it.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from ..core.audit.runs import LoggedEntry, LoggedRun
from ..core.errors import IntegrityError

Node = dict[str, Any]

_UCO = "https://ontology.unifiedcyberontology.org/uco/"
CONTEXT = {
    "case-investigation": "https://ontology.caseontology.org/case/investigation/",
    "kb": "urn:uuid:",
    **{
        f"uco-{name}": f"{_UCO}{name}/"
        for name in (
            "action", "analysis", "configuration", "core", "identity", "observable", "tool", "types",
        )
    },
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}  # fmt: skip
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:covoguard:case-uco:1")


def case_graph(log_id: str, runs: Sequence[LoggedRun]) -> dict[str, Any]:
    """The JSON-LD document of these runs of one log. Raises `IntegrityError` for facts of another form than ours."""
    try:
        nodes = _all_nodes(log_id, runs)
    except (KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(
            f"log {log_id}: an entry's facts are not of this version's form ({error!r}); export it with the version "
            "that wrote it"
        ) from error
    return {"@context": CONTEXT, "@graph": nodes}


def _all_nodes(log_id: str, runs: Sequence[LoggedRun]) -> list[Node]:
    nodes: dict[str, Node] = {}
    by_case: dict[str, list[str]] = {}
    for run in runs:
        made = _run_nodes(log_id, run)
        nodes |= {node["@id"]: node for node in made}
        if (case_id := run.case["id"]) is not None:
            by_case.setdefault(str(case_id), []).extend(node["@id"] for node in made)
    for case_id, ids in by_case.items():
        node = _node(
            "case-investigation:Investigation",
            f"case {case_id}",
            {"uco-core:name": case_id, "uco-core:object": _refs(ids)},
        )
        nodes[node["@id"]] = node
    return list(nodes.values())


def _run_nodes(log_id: str, run: LoggedRun) -> list[Node]:
    opened, files = run.opened, [_file(each) for each in run.files]
    tool = _tool(opened)
    analyses = [_analysis(entry, file, tool) for entry, file in zip(run.files, files, strict=True)]
    people = _people(run.case["examiner"])
    last = run.close or (run.files[-1] if run.files else opened)
    stands = f"Audit log {log_id}, entries {opened.entry.seq} to {last.entry.seq}, head {last.sha256}."
    results: list[Node] = []
    if files:
        results.append(
            _node(
                "case-investigation:ProvenanceRecord",
                f"provenance {opened.sha256}",
                {
                    "case-investigation:exhibitNumber": run.case["item"],
                    "uco-core:description": stands,
                    "uco-core:object": _refs(_unique(files)),
                },
            )
        )
    command = opened.entry.facts.get("command")
    outcome = run.close.entry.facts.get("outcome") if run.close else None
    action = _node(
        "case-investigation:InvestigativeAction",
        f"run {opened.sha256}",
        {
            "uco-core:name": f"covoguard {command}",
            "uco-core:description": stands,
            "uco-action:actionStatus": {"completed": "Complete/Finish", None: "Unknown"}.get(outcome, "Fail"),
            "uco-action:startTime": _time(opened),
            "uco-action:endTime": _time(run.close) if run.close else None,
            "uco-action:performer": _ref(people[0]["@id"]) if people else None,
            "uco-action:instrument": _refs([tool["@id"]]),
            "uco-action:object": _refs(_unique(files)),
            "uco-action:subaction": _refs(analysis[0]["@id"] for analysis in analyses),
            "uco-action:result": _refs(node["@id"] for node in results),
        },
    )
    return [action, tool, *people, *results, *files, *(node for analysis in analyses for node in analysis)]


def _file(logged: LoggedEntry) -> Node:
    """The file as it was found: its path and size, and its hash where it could be read."""
    facts = logged.entry.facts["input"]
    path, sha256 = str(facts["path"]), facts["sha256"]
    identity = f"{sha256 or logged.sha256} {path}"
    size = None if facts["size_bytes"] is None else _typed("xsd:integer", facts["size_bytes"])
    facets = [
        _node(
            "uco-observable:FileFacet",
            f"file facet {identity}",
            {
                "uco-observable:fileName": PurePath(path).name,
                "uco-observable:filePath": path,
                "uco-observable:sizeInBytes": size,
            },
        )
    ]
    if sha256 is not None:
        value = {"uco-types:hashMethod": "SHA256", "uco-types:hashValue": _typed("xsd:hexBinary", sha256)}
        content = {
            "uco-observable:hash": [_node("uco-types:Hash", f"hash {identity}", value)],
            "uco-observable:sizeInBytes": size,
        }
        facets.append(_node("uco-observable:ContentDataFacet", f"content facet {identity}", content))
    return _node("uco-observable:File", f"file {identity}", {"uco-core:hasFacet": facets})


def _analysis(logged: LoggedEntry, file: Node, tool: Node) -> list[Node]:
    """The analysis of one file, and its result unless it failed."""
    facts, error = logged.entry.facts, logged.entry.facts.get("error")
    described = f"Audit log entry {logged.entry.seq}, {logged.sha256}."
    analysis = _node(
        ["case-investigation:InvestigativeAction", "uco-analysis:Analysis"],
        f"analysis {logged.sha256}",
        {
            "uco-core:description": f"{described} {error['code']}: {error['message']}" if error else described,
            "uco-action:actionStatus": "Error" if error else "Success",
            "uco-action:endTime": _time(logged),
            "uco-action:instrument": _refs([tool["@id"]]),
            "uco-action:object": _refs([file["@id"]]),
        },
    )
    if error:
        return [analysis]
    classes = [_classification(logged, name, confidence) for name, confidence in _classes(facts)]
    facet = _node(
        "uco-analysis:ArtifactClassificationResultFacet",
        f"classification facet {logged.sha256}",
        {"uco-analysis:classification": classes},
    )
    result = _node(
        "uco-analysis:AnalyticResult",
        f"result {logged.sha256}",
        {
            "uco-analysis:originatingAnalysis": _ref(analysis["@id"]),
            "uco-core:statement": _statement(facts),
            "uco-core:hasFacet": [facet],
        },
    )
    analysis["uco-action:result"] = _refs([result["@id"]])
    return [analysis, result]


def _classes(facts: Mapping[str, Any]) -> list[tuple[str, float | None]]:
    """What the file was called, each with the confidence that it earned: None where it earned none."""
    found: list[tuple[str, float | None]] = []
    if decision := facts.get("decision"):
        is_earned = decision["verdict"] == "synthetic" and decision["posterior"] is not None
        found.append((str(decision["verdict"]), decision["posterior"] if is_earned else None))
    if mark := facts.get("token_mark"):
        found.append((f"token mark {mark['status']}", None))
    return found or [("not classified", None)]


def _classification(logged: LoggedEntry, name: str, confidence: float | None) -> Node:
    value = None if confidence is None else _typed("xsd:decimal", f"{confidence:.9f}")
    return _node(
        "uco-analysis:ArtifactClassification",
        f"classification {name} {logged.sha256}",
        {"uco-analysis:class": name, "uco-analysis:classificationConfidence": value},
    )


def _statement(facts: Mapping[str, Any]) -> str:
    """The result in words, with what it rests on."""
    said = []
    if decision := facts.get("decision"):
        policy = decision["policy"]
        said.append(f"Verdict {decision['verdict']} ({', '.join(decision['reasons'])}).")
        said.append(f"Policy {policy['id']}, SHA-256 {policy['sha256']}, prior {decision['prior']}.")
    for detector in facts.get("detectors", ()):
        ratio = f"log10 likelihood ratio {detector['log10_lr']}"
        said.append(f"Detector {detector['id']}, SHA-256 {detector['model_sha256']}: {ratio}.")
    if mark := facts.get("token_mark"):
        said.append(f"Token mark of the model {mark['model']}: {mark['status']}, certified log10 p {mark['log10_p']}.")
    said.append(f"SHA-256 of the record: {facts['record']['sha256']}.")
    return " ".join(said)


def _tool(opened: LoggedEntry) -> Node:
    facts = opened.entry.facts
    tool, machine = facts["tool"], facts["machine"]
    settings = {
        "configuration_sha256": facts["configuration_sha256"],
        "python": tool["python"],
        "onnxruntime": tool["onnxruntime"],
        "platform": machine["platform"],
    }
    identity = " ".join(f"{name}={value}" for name, value in {"version": tool["version"], **settings}.items())
    entries = [
        _node(
            "uco-configuration:ConfigurationEntry",
            f"setting {name} {identity}",
            {"uco-configuration:itemName": name, "uco-configuration:itemValue": value},
        )
        for name, value in settings.items()
        if value is not None
    ]
    configuration = _node(
        "uco-configuration:Configuration",
        f"configuration {identity}",
        {"uco-configuration:configurationEntry": entries},
    )
    return _node(
        ["uco-tool:AnalyticTool", "uco-tool:ConfiguredTool"],
        f"tool {identity}",
        {
            "uco-core:name": "covoguard",
            "uco-tool:toolType": "audio deepfake detection and provenance",
            "uco-tool:version": tool["version"],
            "uco-configuration:usesConfiguration": [configuration],
        },
    )


def _people(examiner: str | None) -> list[Node]:
    """The examiner's role, identity, and that the one is of the other; nothing where nobody was named."""
    if examiner is None:
        return []
    role = _node("case-investigation:Examiner", f"examiner {examiner}", {"uco-core:name": examiner})
    identity = _node("uco-identity:Identity", f"identity {examiner}", {"uco-core:name": examiner})
    relation = _node(
        "uco-core:Relationship",
        f"has role {examiner}",
        {
            "uco-core:source": _refs([identity["@id"]]),
            "uco-core:target": _ref(role["@id"]),
            "uco-core:kindOfRelationship": "has_role",
            "uco-core:isDirectional": _typed("xsd:boolean", "true"),
        },
    )
    return [role, identity, relation]


def _node(kind: str | list[str], identity: str, properties: Mapping[str, Any]) -> Node:
    """A node whose id follows from `identity`; properties that are None or empty are left out."""
    node = {"@id": f"kb:{uuid.uuid5(_NAMESPACE, identity)}", "@type": kind}
    return node | {name: value for name, value in properties.items() if value is not None and value != []}


def _unique(nodes: Iterable[Node]) -> list[str]:
    return list(dict.fromkeys(node["@id"] for node in nodes))


def _ref(identity: str) -> Node:
    return {"@id": identity}


def _refs(identities: Iterable[str]) -> list[Node]:
    return [_ref(identity) for identity in identities]


def _typed(kind: str, value: object) -> Node:
    return {"@type": kind, "@value": str(value)}


def _time(logged: LoggedEntry) -> Node:
    return _typed("xsd:dateTime", logged.entry.time)
