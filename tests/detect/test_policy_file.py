import hashlib
import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from covoguard.core.errors import UsageError
from covoguard.core.reasons import REASONS
from covoguard.detect.policy import (
    EFFECTS,
    PROVENANCE_CODES,
    QUALITY_CODES,
    SCORE_CODES,
    MarkLimits,
    Prior,
    QualityLimits,
    StabilityLimits,
    Thresholds,
    load_policy,
)

DEFAULT_TEXT = files("covoguard.detect.policies").joinpath("default.toml").read_text(encoding="utf-8")


def test_bundled_policy():
    policy = load_policy()
    assert policy == load_policy(None)
    assert policy.sha256 == hashlib.sha256(DEFAULT_TEXT.encode()).hexdigest()
    assert re.fullmatch(r"default@[1-9]\d*", policy.id)
    assert policy.prior is None
    assert "false-alarm" in policy.about
    assert policy.effects["no_speech"] == policy.effects["too_short"] == "not_analysable"
    assert {*QUALITY_CODES, *SCORE_CODES, *PROVENANCE_CODES} <= set(REASONS)


def write(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_value_of_the_file_is_taken_over(tmp_path):
    changed = DEFAULT_TEXT.replace('name = "default"', 'name = "hotline-2"').replace("version = 4", "version = 7")
    numbers = {
        "synthetic_min_log10_lr": 3, "no_evidence_max_log10_lr": -2.5, "suspicious_window_log10_lr": 2.25,
        "no_speech_max_s": 0.125, "min_speech_s": 4.5, "min_snr_db": -3.0, "min_bandwidth_hz": 3000,
        "max_clipping_share": 0.5, "token_max_log10_p": -7, "max_range_log10_lr": 0.75,
    }  # fmt: skip
    for key, value in numbers.items():
        changed = re.sub(rf"^{key} = .*$", f"{key} = {value}", changed, flags=re.MULTILINE)
    codes = (*QUALITY_CODES, *SCORE_CODES)
    effects = dict(zip(codes, sorted([*EFFECTS, *EFFECTS, *EFFECTS], key=EFFECTS.index), strict=False))
    effects |= {code: allowed[-2] for code, allowed in PROVENANCE_CODES.items()}
    effects |= {"trusted_generated": "note", "waveform_mark": "synthetic"}
    for code, effect in effects.items():
        changed = re.sub(rf"^{code} = .*$", f'{code} = "{effect}"', changed, flags=re.MULTILINE)
    path = write(tmp_path, changed + "\n[prior]\nsynthetic = 0.2\n")
    policy = load_policy(path)
    assert policy.id == "hotline-2@7"
    assert policy.thresholds == Thresholds(3.0, -2.5, 2.25)
    assert policy.quality == QualityLimits(0.125, 4.5, -3.0, 3000.0, 0.5)
    assert policy.marks == MarkLimits(-7.0)
    assert policy.stability == StabilityLimits(0.75)
    assert isinstance(policy.thresholds.synthetic_min_log10_lr, float)
    assert policy.effects == effects
    assert policy.prior == Prior(0.2)
    assert policy.about == tomllib.loads(changed)["about"]["text"].strip()
    assert policy.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def with_about(line):
    changed, count = re.subn(r'^text = """.*?"""', line, DEFAULT_TEXT, flags=re.MULTILINE | re.DOTALL)
    assert count == 1
    return changed


def edit(pattern, replacement):
    changed, count = re.subn(pattern, replacement, DEFAULT_TEXT, count=1, flags=re.MULTILINE)
    assert count == 1
    return changed


@pytest.mark.parametrize(
    ("text", "named"),
    [
        # unknown keys
        ("colour = 1\n" + DEFAULT_TEXT, ["'colour'", "thresholds", "prior"]),
        (edit(r"^\[quality\]$", "[quality]\nmin_level = 1"), ["[quality]", "'min_level'", "min_snr_db"]),
        (edit(r"^\[thresholds\]$", "[thresholds]\nx = 1"), ["[thresholds]", "'x'", "synthetic_min_log10_lr"]),
        (edit(r"^\[effects\]$", '[effects]\nstrong_artifacts = "note"'), ["[effects]", "'strong_artifacts'"]),
        (edit(r"^\[about\]$", '[about]\nauthor = "x"'), ["[about]", "'author'"]),
        (DEFAULT_TEXT + "[prior]\nsynthetic = 0.1\nother = 1\n", ["[prior]", "'other'", "synthetic"]),
        # missing keys
        ("", ["'name'"]),
        (edit(r"^version = .*$", ""), ["'version'"]),
        (edit(r"^synthetic_min_log10_lr.*$", ""), ["[thresholds]", "'synthetic_min_log10_lr'"]),
        (edit(r"^min_snr_db.*$", ""), ["[quality]", "'min_snr_db'"]),
        (edit(r"^token_max_log10_p.*$", ""), ["[marks]", "'token_max_log10_p'"]),
        (edit(r"^partial.*$", ""), ["[effects]", "'partial'"]),
        (edit(r"^max_range_log10_lr.*$", ""), ["[stability]", "'max_range_log10_lr'"]),
        (edit(r"^max_range_log10_lr.*$", "max_range_log10_lr = -1"), ["[stability] max_range_log10_lr", "0 to 20"]),
        (edit(r"^out_of_domain.*$", 'out_of_domain = "ignore"'), ["[effects] out_of_domain", "'ignore'"]),
        (edit(r"^weak_waveform_mark.*$", 'weak_waveform_mark = "synthetic"'), ["weak_waveform_mark", "'synthetic'"]),
        (edit(r"^low_snr.*$", 'low_snr = "synthetic"'), ["[effects] low_snr", "'synthetic'"]),
        (DEFAULT_TEXT + "[prior]\n", ["[prior]", "'synthetic'"]),
        # wrong types
        (edit(r'^name = "default"$', "name = 3"), ["name is 3", "lower-case"]),
        (edit(r'^name = "default"$', 'name = "A policy@2"'), ["A policy@2", "lower-case"]),
        (edit(r"^version = .*$", 'version = "1"'), ["version", "whole number"]),
        (edit(r"^version = .*$", "version = 1.0"), ["version", "whole number"]),
        (edit(r"^version = .*$", "version = true"), ["version", "whole number"]),
        (edit(r"^version = .*$", "version = 0"), ["version", "whole number"]),
        (edit(r"^min_snr_db.*$", 'min_snr_db = "5"'), ["[quality] min_snr_db", "-100 to 100"]),
        (edit(r"^min_snr_db.*$", "min_snr_db = true"), ["[quality] min_snr_db", "number"]),
        (edit(r"^clipped.*$", "clipped = 1"), ["[effects] clipped", "no_clearance"]),
        (edit(r"^clipped.*$", 'clipped = "ignore"'), ["[effects] clipped", "'ignore'", "note"]),
        (with_about('text = " "'), ["[about] text"]),
        (with_about("text = 1"), ["[about] text"]),
        ('prior = 0.5\n' + DEFAULT_TEXT, ["'prior'", "[prior]"]),
        # wrong ranges
        (edit(r"^min_snr_db.*$", "min_snr_db = nan"), ["[quality] min_snr_db", "nan"]),
        (edit(r"^min_snr_db.*$", "min_snr_db = inf"), ["[quality] min_snr_db", "inf"]),
        (edit(r"^min_bandwidth_hz.*$", "min_bandwidth_hz = 8001"), ["min_bandwidth_hz", "0 to 8000"]),
        (edit(r"^max_clipping_share.*$", "max_clipping_share = 1.5"), ["max_clipping_share", "0 to 1"]),
        (edit(r"^token_max_log10_p.*$", "token_max_log10_p = -5.9"), ["[marks] token_max_log10_p", "-300 to -6"]),
        (edit(r"^no_speech_max_s.*$", "no_speech_max_s = -1"), ["no_speech_max_s", "0 to 3600"]),
        (edit(r"^synthetic_min_log10_lr.*$", "synthetic_min_log10_lr = 11"), ["synthetic_min", "-10 to 10"]),
        (DEFAULT_TEXT + "[prior]\nsynthetic = 0\n", ["[prior] synthetic", "between 0 and 1"]),
        (DEFAULT_TEXT + "[prior]\nsynthetic = 1.0\n", ["[prior] synthetic", "between 0 and 1"]),
        # wrong order
        (edit(r"^synthetic_min_log10_lr.*$", "synthetic_min_log10_lr = -10"), ["synthetic_min", "above"]),
        (edit(r"^no_evidence_max_log10_lr.*$", "no_evidence_max_log10_lr = 10"), ["no_evidence_max"]),
        (edit(r"^suspicious_window.*$", "suspicious_window_log10_lr = -10"), ["suspicious_window", "above"]),
        (edit(r"^no_speech_max_s.*$", "no_speech_max_s = 3600"), ["no_speech_max_s", "below min_speech_s"]),
        (edit(r"^no_speech = .*$", 'no_speech = "inconclusive"'), ["no_speech", "milder than too_short"]),
        # not TOML
        ("name = ", ["not a TOML file"]),
        ("name = 'a'\nname = 'b'", ["not a TOML file"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_the_file_and_what_is_allowed(tmp_path, text, named):
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load_policy(path)
    for part in (str(path), *named):
        assert part in caught.value.message


def test_older_policies_decide_as_they_always_did(tmp_path):
    old = re.sub(r"^\[stability\]\n.*$", "", DEFAULT_TEXT, flags=re.MULTILINE)
    for code in (*SCORE_CODES, *PROVENANCE_CODES):
        old = re.sub(rf"^{code} = .*$", "", old, flags=re.MULTILINE)
    policy = load_policy(write(tmp_path, old))
    assert policy.stability is None
    assert {policy.effects[code] for code in (*SCORE_CODES, *PROVENANCE_CODES)} == {"note"}
    assert {load_policy().effects[code] for code in SCORE_CODES} == {"inconclusive"}


def test_files_that_cannot_be_read_are_usage_errors(tmp_path):
    with pytest.raises(UsageError, match="check the path"):
        load_policy(tmp_path / "absent.toml")
    with pytest.raises(UsageError, match="check the path"):
        load_policy(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe4"')
    with pytest.raises(UsageError, match="not a TOML file"):
        load_policy(tmp_path / "latin.toml")


def test_a_file_without_end_is_refused_before_it_is_read():
    with pytest.raises(UsageError, match="not a policy file"):
        load_policy(Path("/dev/zero"))
