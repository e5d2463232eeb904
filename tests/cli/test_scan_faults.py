"""`covoguard scan` when things fail around it: models, pipes, disks, streams, signals."""

import os
import signal
import subprocess

import pytest
from scan_output import lines, names


def test_a_damaged_or_missing_model_is_code_4(run, clips, loudness_model, tmp_path):
    damaged = tmp_path / "model"
    damaged.mkdir()
    for file in loudness_model.iterdir():
        (damaged / file.name).write_bytes(file.read_bytes())
    with (damaged / "model.onnx").open("ab") as file:
        file.write(b"x")
    result = run("scan", clips, "--model", damaged, "-o", tmp_path / "out.csv")
    assert result.returncode == 4
    assert result.stderr.startswith(b"covoguard: error: ")
    assert result.stderr.count(b"\n") == 1
    (damaged / "SHA256SUMS").unlink()
    assert run("scan", clips, "--model", damaged).returncode == 4
    assert not (tmp_path / "out.csv").exists()


def test_a_closed_pipe_ends_the_scan_quietly(covoguard, clips, loudness_model):
    arguments = [covoguard, "scan", clips, "--model", loudness_model, "-q"]
    for output in ("jsonl", "table", "csv", "parquet"):
        process = subprocess.Popen([*arguments, "-f", output], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait() == 1
        assert errors == b""
        process.stderr.close()


@pytest.mark.parametrize("command", [["scan", "-f", "jsonl"], ["scan", "-f", "table"], ["explain"]])
def test_a_full_disk_is_one_clear_line(command, covoguard, clips, loudness_model):
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "wb") as full:
        process = subprocess.run(
            [covoguard, *command, *([clips / "e-text.wav", "--model", loudness_model] if command[0] == "scan" else [])],
            stdout=full, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    assert process.returncode == 1
    assert b"No space left" in process.stderr
    assert process.stderr.count(b"\n") == 1
    assert b"internal" not in process.stderr


def test_a_list_or_file_to_scan_is_never_overwritten(scan, clips, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_bytes(os.fsencode(clips / "a-loud.wav"))
    for arguments in (["--files-from", listed], [listed]):
        result = scan(*arguments, "-o", tmp_path / "." / "list.txt")
        assert result.returncode == 2
        assert b"never overwritten" in result.stderr
    assert listed.read_bytes() == os.fsencode(clips / "a-loud.wav")


def _with_closed(descriptors, *command) -> subprocess.CompletedProcess[bytes]:
    closings = " ".join(f"{descriptor}>&-" for descriptor in descriptors)
    shell = ["sh", "-c", f'exec "$@" {closings}', "sh", *command]
    return subprocess.run(shell, stdin=subprocess.DEVNULL, capture_output=True, check=False)


def test_closed_standard_streams_cost_nothing_but_what_goes_through_them(covoguard, clips, loudness_model, tmp_path):
    command = [covoguard, "scan", "--model", loudness_model, "--exit-zero"]
    output = tmp_path / "out.jsonl"
    result = _with_closed([0, 1, 2], *command, clips / "a-loud.wav", "-o", output)
    assert result.returncode == 0
    assert names(output.read_bytes()) == ["a-loud.wav"]
    result = _with_closed([2], *command, clips / "a-loud.wav", "-f", "jsonl")
    assert result.returncode == 0
    assert names(result.stdout) == ["a-loud.wav"]
    result = _with_closed([1], *command, clips / "a-loud.wav")
    assert result.returncode == 1
    assert b"standard output: cannot be written" in result.stderr
    result = _with_closed([0], *command, "-", "-f", "jsonl")
    (record,) = lines(result.stdout)
    assert record["error"]["code"] == "read_error"
    assert "cannot be read" in record["error"]["message"]


@pytest.mark.parametrize("order", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_scan_keeps_what_is_done_and_exits_130(order, covoguard, clips, loudness_model, tmp_path):
    read, write = os.pipe()
    output = tmp_path / "out.jsonl"
    process = subprocess.Popen(
        [covoguard, "scan", "--files-from", "-", "--model", loudness_model,
         "-f", "jsonl", "-o", output],
        stdin=read, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(read)
    os.write(write, os.fsencode(clips / "a-loud.wav") + b"\n")
    # The record comes although the list goes on: results do not wait for the end of the input.
    first = process.stdout.readline()
    process.send_signal(order)
    rest, errors = process.communicate()
    os.close(write)
    assert process.returncode == 130
    assert not output.exists()
    assert (tmp_path / "out.jsonl.partial").read_bytes() == first + rest
    assert names(first) == ["a-loud.wav"]
    assert b"out.jsonl.partial" in errors
    assert b"Traceback" not in errors


# --- inputs ------------------------------------------------------------------------------------------------


def test_a_failure_inside_shows_its_details_only_with_v(run, clips, loudness_model):
    quiet = run("scan", clips / "a-loud.wav", "--model", loudness_model, "--policy", clips)
    assert quiet.returncode == 2
    assert b"Traceback" not in quiet.stderr
    loud = run("scan", clips / "a-loud.wav", "--model", loudness_model, "--policy", clips, "-v")
    assert b"Traceback" in loud.stderr
