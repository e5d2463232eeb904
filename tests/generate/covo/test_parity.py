"""Our Covo-Audio gives what the official code gave, by the command that compares them."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def compare(*arguments):
    command = [sys.executable, "-m", "tests.parity.covo", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def goldens():
    folder = ROOT.parent / "shared/goldens/covo"
    if not folder.is_dir():
        pytest.skip("needs ../shared/goldens/covo beside the repository")
    return folder


def test_every_reference_output_is_met(goldens):
    done = compare(goldens)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "FAIL" not in done.stdout


def test_a_difference_is_told_by_name_and_exit_code(goldens, tmp_path):
    for path in goldens.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "global_mean_var.npy").unlink()
    content = bytearray((goldens / "global_mean_var.npy").read_bytes())
    content[-1] ^= 1  # the exponent of the last variance
    (tmp_path / "global_mean_var.npy").write_bytes(content)
    done = compare(tmp_path)
    assert done.returncode == 1
    assert "beyond tolerance: " in done.stdout


def test_another_folder_is_refused_with_what_it_lacks(tmp_path):
    done = compare(tmp_path)
    assert done.returncode == 2
    assert "lm_config.json" in done.stderr
