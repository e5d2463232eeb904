"""A model's card as a page to read: what it was trained on, how it fares, what it must not be used for."""

from collections.abc import Mapping, Sequence
from typing import Any

from .markdown import bullets, card_head, table

CONDITIONS_NOTE = "All rates come from folds that the scoring model was not trained on; see the limits."


def render_model_card(card: Mapping[str, Any], model_sha256: str) -> str:
    """`card.json` as Markdown."""
    figures: Mapping[str, Any] = card["figures"]
    return (
        "\n\n".join(
            [
                *card_head(card, model_sha256),
                "## Data and training",
                _data(card["training"]),
                "## Shortcut probe",
                _probe(card["shortcut_probe_eer"]),
                *(_figures(card) if figures else ["## Figures", "None: all clips were trained on."]),
            ]
        ).rstrip()
        + "\n"
    )


def _figures(card: Mapping[str, Any]) -> list[str]:
    """The sections of what was measured."""
    figures: Mapping[str, Any] = card["figures"]
    return [
        f"## Figures\n\n{CONDITIONS_NOTE}",
        _headline(figures),
        "### EER by test condition",
        table(["condition", "EER"], [[k, _percent(v)] for k, v in figures["eer_by_condition"].items()]),
        "### Verdicts on single clips, with calibration and thresholds from the other folds",
        _conditions(figures, "transferred_across_folds"),
        "### The same for genuine sources that stand in one fold only, and so were never heard in training",
        _conditions(figures, "transferred_across_folds_unseen_sources"),
        "### Verdicts on longer files (four clips of one voice or generator), likewise",
        _conditions(figures, "transferred_across_folds_joined"),
        *_calibration(figures.get("calibration_by_length", [])),
        *_domain(card.get("domain")),
        "### By kind of generation",
        table(["kind", "EER"], [[k, _percent(v)] for k, v in figures.get("eer_by_kind", {}).items()]),
        "### By generator family, hardest first",
        table(
            ["family", "EER", "clips"],
            [[k, _percent(v["eer"]), v["clips"]] for k, v in figures.get("eer_by_family", {}).items()],
        ),
        "### Genuine speech flagged as synthetic, by source",
        table(
            ["source", "flagged", "clips"],
            [[k, _percent(v["fpr"]), v["clips"]] for k, v in figures["false_alarms_by_source"].items()],
        ),
    ]


def _headline(figures: Mapping[str, Any]) -> str:
    low, high = figures["eer_pooled_ci95"] or (None, None)
    rows: Sequence[Sequence[object]] = [
        ["EER, pooled over the folds", f"{_percent(figures['eer_pooled'])} ({_percent(low)} to {_percent(high)})"],
        ["EER, macro mean over families", _percent(figures.get("eer_macro_mean_over_families"))],
        ["EER, genuine and generated speech of the same voices", _percent(figures["eer_matched_voices"])],
        ["EER against genuine speech of sources never heard in training", _percent(figures["eer_unseen_sources"])],
        ["AUC", _number(figures["auc"])],
        ["minDCF / actDCF (ASVspoof 5)", f"{_number(figures['min_dcf'])} / {_number(figures['act_dcf_cross_fitted'])}"],
        ["min Cllr / Cllr", f"{_number(figures['min_cllr'])} / {_number(figures['cllr_cross_fitted'])}"],
        ["trials", f"{figures['trials']['bonafide']} bona fide, {figures['trials']['spoof']} spoof"],
    ]
    return table(["measure", "value"], rows)


def _conditions(figures: Mapping[str, Any], tally: str) -> str:
    transferred = figures["operating_point"][tally]
    verdicts = ("bonafide_synthetic", "spoof_synthetic", "bonafide_no_evidence", "spoof_no_evidence")
    counts = ", ".join(f"{count} {label}" for label, count in sorted(transferred["trials"].items()))
    rows = [
        [name, *(_percent(rates[verdict]) for verdict in verdicts)]
        for name, rates in transferred.items()
        if name != "trials"
    ]
    header = ["condition", "genuine: synthetic", "spoof: synthetic", "genuine: no evidence", "spoof: no evidence"]
    return f"{counts} trials.\n\n" + table(header, rows)


def _calibration(lengths: Sequence[Mapping[str, Any]]) -> list[str]:
    """A section of its own for cards that have it."""
    if not lengths:
        return []
    header = ["speech from", "genuine", "spoof", "EER", "Cllr with the map of whole clips", "Cllr", "min Cllr"]
    rows = [
        [
            f"{each['min_speech_s']:g} s",
            each["trials"]["bonafide"],
            each["trials"]["spoof"],
            _percent(each["eer"]),
            *(_number(each[name]) for name in ("cllr_one_map", "cllr", "min_cllr")),
        ]
        for each in lengths
    ]
    return ["### Calibration by length of file, cross-fitted over all conditions", table(header, rows)]


def _domain(domain: Mapping[str, Any] | None) -> list[str]:
    """A section of its own for models that know what they were made for."""
    if domain is None:
        return []
    return [
        "### What the detector was made for",
        f"Of {domain['held_out_recordings']} held-out recordings 1 % lie further out than "
        f"{domain['edge_distance']:.2f} and 0.1 % further than {domain['out_distance']:.2f}; what lies beyond that is "
        "called out of domain.",
    ]


def _data(training: Mapping[str, Any]) -> str:
    clips = training["clips"]
    return bullets(
        [
            f"{clips['bonafide']} bona fide clips of {training['bonafide_sources']} sources, {clips['spoof']} spoof "
            f"clips of {training['families']} generator families",
            f"{len(training['folds'])} folds; {training.get('members', 'the detector is the mean of the fold models')}",
            f"manifest sha256 `{training['manifest_sha256']}`",
            *(f"{name}: {value}" for name, value in training["recipe"].items()),
        ]
    )


def _probe(probe: Mapping[str, float | None]) -> str:
    lines = [f"{name.replace('_', ' ')}: {_percent(value)}" for name, value in probe.items()]
    return (
        "EER of gradient boosting that never hears the speech, over the same folds. 50 % is chance; the further below, "
        "the more the collection gives its labels away:\n\n" + bullets(lines)
    )


def _percent(value: float | None) -> str:
    return "not measured" if value is None else f"{100 * value:.1f} %"


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"
