"""What the pages and the default policy say is what the shipped models' cards say."""

from pathlib import Path

import pytest

from covoguard.core.modelcard import CARD_NAME
from covoguard.detect.policy import load_policy
from covoguard.pipeline.models import installed_models, model_page

ROOT = Path(__file__).resolve().parents[1]
MODELS = {installed.name: installed for installed in installed_models()}
DETECTORS = [name for name, installed in MODELS.items() if installed.kind == "detector"]


@pytest.mark.parametrize("name", MODELS)
def test_the_page_of_every_model_is_fresh(name):
    installed = MODELS[name]
    if installed.kind == "generator" and not (installed.path / CARD_NAME).exists():
        pytest.skip(f"{name} has no model card yet: {installed.problem}")
    page = (ROOT / "docs" / "models" / f"{name}.md").read_text(encoding="utf-8")
    assert page.rstrip() == model_page(name, None).rstrip()


@pytest.mark.parametrize("detector", DETECTORS)
def test_the_readme_states_the_figures_of_the_cards(detector):
    figures = MODELS[detector].card["figures"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in ("eer_pooled", "eer_macro_mean_over_families", "eer_matched_voices", "eer_unseen_sources"):
        assert f"{100 * figures[name]:.1f} %" in readme
    for value in MODELS[detector].card["shortcut_probe_eer"].values():
        assert f"{100 * value:.1f} %" in readme


def test_the_default_policy_is_at_least_as_careful_as_the_measured_operating_point():
    point = MODELS["logband-resnet"].card["figures"]["operating_point"]
    thresholds = load_policy(None).thresholds
    assert thresholds.synthetic_min_log10_lr >= point["synthetic_min_log10_lr"]
    assert thresholds.suspicious_window_log10_lr >= point["synthetic_min_log10_lr"]
    assert thresholds.no_evidence_max_log10_lr <= point["no_evidence_max_log10_lr"]


def test_held_out_false_alarms_stay_within_the_bound_where_the_policy_decides():
    rates = MODELS["logband-resnet"].card["figures"]["operating_point"]["transferred_across_folds"]
    assert rates["clean"]["bonafide_synthetic"] <= 0.01
    assert rates["clean"]["spoof_synthetic"] > 10 * rates["clean"]["bonafide_synthetic"]
