"""No command goes to the network: each is run under a filter that kills whatever asks for an internet socket."""

import shutil
import sys
from pathlib import Path

import pytest
from covo_checkpoint import write_checkpoint
from labelled_clips import write_collection
from no_network import KILLED, can_forbid, run_without_network
from pocket_model import build_pocket_model
from speech_and_model import build_loudness_model, spoken, write_wav

from covoguard.cli.main import COMMANDS

COVOGUARD = str(Path(sys.executable).with_name("covoguard"))
TRAINING = """
[data]
collection = "clips/manifest.csv"
cache = "cache"
[detector]
kind = "lfcc-gmm"
[augmentation]
copies = 1
crop_s = 0.5
clean = 1.0
[validation]
mode = "folds"
[about]
licence = "Apache-2.0"
not_for = ["anything real"]
"""
PRESENT = {
    "scan": [["scan", "speech.wav", "--waveform-marks", "--exit-zero"], ["scan", "folder", "-o", "scan.jsonl", "-q"]],
    "verify": [["verify", "speech.wav"], ["verify", "signed.wav", "--trust", "signer/authority.pem"]],
    "sign": [["sign", "speech.wav", "--content", "captured", "--signer", "signer", "-o", "signed"]],
    "credentials": [["credentials", "init", "signer-2"], ["credentials", "show", "signed.wav", "speech.wav"]],
    "inspect": [["inspect", "speech.wav"]],
    "redecide": [["redecide", "results.jsonl"]],
    "report": [["report", "speech.wav", "-o", "sound.html"], ["report", "results.jsonl", "-o", "run.html"]],
    "dataset": [
        ["dataset", "add", "folder", "-o", "store", "--label", "bonafide", "--licence", "own"],
        ["dataset", "info", "store", "--verify"],
        ["dataset", "check", "clips/manifest.csv"],
        ["dataset", "corpora", "list"],
        ["dataset", "build", "store", "-o", "copies", "--spoof", "griffin-lim"],
    ],
    "train": [["train", "detector.toml", "-o", "detector"]],
    "evaluate": [["evaluate", "spoken.csv", "--model", "model", "--bootstrap", "0", "--min-clips", "1"]],
    "generate": [["generate", "--text", "Good morning.", "-o", "generated"]],
    "mark": [["mark", "perth", "speech.wav", "-o", "marked.wav"]],
    "ask": [["models", "import", "covo", "covo", "--accept-licence"],
            ["ask", "--model", "covo", "--audio", "speech.wav", "Who speaks?"]],
    "recover": [["recover", "train", "--model", "pocket", "-o", "recoverer", "--prompts", "lines.txt", "--pairs", "3",
                 "--steps", "2", "--width", "16", "--blocks", "1", "--jobs", "1"]],
    "keys": [["keys", "new", "--label", "second"], ["keys", "list"]],
    "audit": [["audit", "verify", "case.log"], ["audit", "show", "case.log"]],
    "watermark": [["watermark", "selfcheck", "--keys", "2", "speech.wav"]],
    "demo": [["demo"]],
    "doctor": [["doctor"]],
    "models": [["models", "list"], ["models", "show"]],
    "completion": [["completion", "zsh"]],
    "explain": [["explain", "token_mark"]],
}  # fmt: skip
LONG = ("demo", "train")
NOT_INSTALLED = 4
"""Exit code of `mark` without the package; what it does before that is tested."""
SPOKEN = [("b0", "bonafide", 0), ("b1", "bonafide", 1), ("s0", "spoof", 0), ("s1", "spoof", 1)]

pytestmark = pytest.mark.skipif(not can_forbid(), reason="this kernel takes no filter of system calls")


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with something for each command."""
    desk = tmp_path_factory.mktemp("desk")
    write_wav(desk / "speech.wav", spoken(3.0))
    (desk / "folder").mkdir()
    shutil.copy(desk / "speech.wav", desk / "folder")
    write_collection(desk / "clips", 16, duration_s=0.8)
    lines = [f"{clip},{clip}.wav,{label},{fold},G,S,{clip}" for clip, label, fold in SPOKEN]
    (desk / "spoken.csv").write_text("\n".join(["clip,file,label,fold,generator,source,speaker", *lines]))
    for number, (clip, *_) in enumerate(SPOKEN):
        write_wav(desk / f"{clip}.wav", (0.5 + number / 8) * spoken(3.0))
    (desk / "detector.toml").write_text(TRAINING)
    (desk / "lines.txt").write_text("Hello.\nGo on.\n")
    (desk / "model").mkdir()
    build_loudness_model(desk / "model")
    build_pocket_model(desk / "pocket")
    write_checkpoint(desk / "covo")
    for command in (
        ["keys", "new"],
        ["credentials", "init", "signer"],
        ["sign", "speech.wav", "--content", "captured", "--signer", "signer"],
        ["scan", "speech.wav", "-o", "results.jsonl", "--audit-log", "case.log", "--case", "1"],
    ):
        done = run(desk, command)
        assert done.returncode == 0, done.stderr.decode()
    shutil.move(desk / "speech.signed.wav", desk / "signed.wav")
    return desk


def run(desk, arguments):
    places = {name: str(desk / name.lower()) for name in ("COVOGUARD_KEYS", "COVOGUARD_DATA", "COVOGUARD_REGISTRY")}
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(desk), "OMP_NUM_THREADS": "1", **places}
    return run_without_network([COVOGUARD, *arguments], cwd=desk, env=environment)


def test_the_filter_catches_whoever_tries():
    for attempt in ("socket.create_connection(('127.0.0.1', 9))", "socket.getaddrinfo('example.org', 80)"):
        done = run_without_network([sys.executable, "-I", "-c", f"import socket; {attempt}"])
        assert done.returncode == KILLED, attempt
    in_a_child = "import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-Ic', '{}']).returncode != -31)"
    done = run_without_network([sys.executable, "-c", in_a_child.format("import socket; socket.socket()")])
    assert done.returncode == 0


def test_a_loaded_detector_stays_silent(desk):
    """ONNX Runtime would send telemetry some seconds after it was loaded, when most commands have ended."""
    program = (
        "import time; from covoguard.pipeline.models import load_scorer;"
        "from covoguard.core.audio import VoiceActivity;"
        "import numpy as np; from covoguard.core.records import Audio;"
        "sound = Audio(np.zeros(16000, np.float32), 16000); VoiceActivity().segments(sound);"
        "load_scorer(None, None).score(sound, regions=()); time.sleep(14)"
    )
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(desk), "OMP_NUM_THREADS": "1"}
    done = run_without_network([sys.executable, "-c", program], env=environment, cwd=desk)
    assert done.returncode == 0, done.stderr.decode()


def test_every_command_is_tried():
    assert list(PRESENT) == list(COMMANDS)


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in PRESENT])
def test_no_command_asks_for_a_socket(desk, name):
    for arguments in PRESENT[name]:
        done = run(desk, arguments)
        told = f"{arguments}: {done.returncode}\n{done.stderr.decode()}"
        expected = NOT_INSTALLED if name == "mark" and b"not installed" in done.stderr else 0
        assert done.returncode == expected, told
        assert b"decoder_crashed" not in done.stdout + done.stderr, told
