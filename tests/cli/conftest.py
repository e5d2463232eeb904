"""Runs the real command line in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from speech_and_model import build_loudness_model, spoken, write_wav

# Judges by the score alone: the sounds of these tests are too poor for the default limits.
POLICY = """
name = "{name}"
version = 1

[about]
text = "For tests."

[thresholds]
synthetic_min_log10_lr = {synthetic}
no_evidence_max_log10_lr = {no_evidence}
suspicious_window_log10_lr = 9.0

[marks]
token_max_log10_p = -8.0

[quality]
no_speech_max_s = 0.25
min_speech_s = 0.5
min_snr_db = -100.0
min_bandwidth_hz = 0.0
max_clipping_share = 1.0

[effects]
no_speech = "not_analysable"
too_short = "not_analysable"
narrowband = "note"
low_snr = "note"
clipped = "note"
partial = "note"
too_long = "note"

[prior]
synthetic = 0.2
"""

COVOGUARD = str(Path(sys.executable).with_name("covoguard"))
"""The installed command."""

Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Run:
    """`run("scan", ...)`: the finished process, with standard output and error as bytes.

    It sees no keys of whoever runs the tests, unless a test sets $COVOGUARD_KEYS or gives `keys`.
    """
    no_keys = str(tmp_path_factory.mktemp("no-keys") / "keys")

    def run_command(
        *arguments, stdin: bytes = b"", keys: Path | None = None, **settings
    ) -> subprocess.CompletedProcess[bytes]:
        command = [COVOGUARD, *arguments]
        environment = {"COVOGUARD_KEYS": no_keys, **os.environ, "COLUMNS": "80"}
        if keys is not None:
            environment["COVOGUARD_KEYS"] = str(keys)
        return subprocess.run(command, input=stdin, capture_output=True, env=environment, check=False, **settings)

    return run_command


@pytest.fixture(scope="session")
def make_policy(tmp_path_factory) -> Callable[..., Path]:
    """`make_policy(synthetic, no_evidence)`: a policy file with these thresholds."""

    def write_policy(synthetic: float, no_evidence: float) -> Path:
        path = tmp_path_factory.mktemp("policy") / "policy.toml"
        name = f"test-{synthetic}-{no_evidence}".replace(".", "-")
        path.write_text(POLICY.format(name=name, synthetic=synthetic, no_evidence=no_evidence), encoding="utf-8")
        return path

    return write_policy


@pytest.fixture(scope="session")
def loudness_model(tmp_path_factory) -> Path:
    """A model folder: louder is "more synthetic"."""
    folder = tmp_path_factory.mktemp("loudness-model")
    build_loudness_model(folder)
    return folder


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> Path:
    """A folder with one clip for each verdict (of `policy`), a copy, and things that are none."""
    folder = tmp_path_factory.mktemp("clips")
    speech = spoken(4.0)
    write_wav(folder / "a-loud.wav", speech)
    write_wav(folder / "b-quiet.wav", 0.3 * speech)
    write_wav(folder / "c-middle.wav", 0.85 * speech)
    write_wav(folder / "d-silent.wav", 0 * speech)
    (folder / "e-text.wav").write_text("not sound", encoding="utf-8")
    (folder / "f-copy.wav").write_bytes((folder / "a-loud.wav").read_bytes())
    (folder / "notes.md").write_text("left out", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def policy(make_policy) -> Path:
    """Loud is synthetic, quiet is no evidence, between them it is inconclusive."""
    return make_policy(synthetic=0.0, no_evidence=-1.0)


@pytest.fixture(scope="session")
def covoguard() -> str:
    """Path of the installed command."""
    return COVOGUARD


@pytest.fixture
def scan(run, loudness_model, policy) -> Run:
    """`scan(...)`: `covoguard scan` with that model and policy."""

    def scan_with(*arguments, **settings):
        return run("scan", "--model", loudness_model, "--policy", policy, *arguments, **settings)

    return scan_with
