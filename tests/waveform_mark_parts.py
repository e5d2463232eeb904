"""What the tests of waveform marks hear and use: a voice, a tiny AudioSeal, and a stand-in for the program audiowmark.

Loaded by `conftest.py` under its own name, because the folders of `tests` are no packages.
"""

import hashlib
import os
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from covoguard.core.records import Audio
from covoguard.core.waveformsettings import CheckpointFile


def voice(rate_hz=16_000, duration_s=4.0, seed=0) -> Audio:
    """A gliding buzz with syllables over a little noise, in whole steps of 16 bits."""
    time = np.arange(int(rate_hz * duration_s)) / rate_hz
    phase = 2 * np.pi * np.cumsum(130 + 30 * np.sin(2 * np.pi * 0.6 * time)) / rate_hz
    buzz = sum(np.sin(k * phase) / k for k in range(1, 25)) * np.clip(np.sin(2 * np.pi * 2.5 * time) + 0.4, 0, None)
    noisy = 0.3 * buzz / np.abs(buzz).max() + np.random.default_rng(seed).normal(0, 0.003, len(time))
    return Audio((np.rint(noisy * 2**15) / 2**15).astype(np.float32), rate_hz)


def install_program(folder: Path, get: str = "", *, code: int = 0) -> None:
    """Put a program `audiowmark` into `folder` that hides the message in the lowest bits of the first 128 samples.

    `get` replaces what it does when it is asked for a message.
    """
    honest = textwrap.dedent(
        """
        bits = "".join(str(sample & 1) for sample in samples[:128])
        print(f"pattern  0:00 {int(bits, 2):032x} 1.358 0.059 A")
        print("pattern  0:01 c6141f3d25720eb0dbd0e38ee2355ff4 0.185 0.382 B")
        """
    )
    program = folder / "audiowmark"
    program.write_text(
        f"#!{sys.executable} -IS\n"
        + textwrap.dedent(
            """
            import array, sys, time, wave
            command, key_option, key, *rest = sys.argv[1:]
            assert key_option == "--key" and open(key).read() == "a key", sys.argv
            with wave.open(next(name for name in rest if name.endswith(".wav"))) as file:
                parameters, samples = file.getparams(), array.array("h", file.readframes(file.getnframes()))
            if command == "add":
                for i, bit in enumerate(f"{int(rest[2], 16):0128b}"):
                    samples[i] = samples[i] & ~1 | int(bit)
                with wave.open(rest[1], "wb") as file:
                    file.setparams(parameters)
                    file.writeframes(samples.tobytes())
                sys.exit()
            """
        )
        + (get or honest)
        + f"\nsys.exit({code})\n"
    )
    program.chmod(0o755)


def key_file(folder: Path) -> Path:
    """What the stand-in takes for a key."""
    path = folder / "mark.key"
    path.write_text("a key")
    path.chmod(0o600)
    return path


SEANET = {
    "activation": "ELU", "activation_params": {"alpha": 1.0}, "causal": False, "channels": 1, "compress": 2,
    "dilation_base": 2, "dimension": 8, "disable_norm_outer_blocks": 0, "kernel_size": 7, "last_kernel_size": 7,
    "lstm": 0, "n_filters": 4, "n_residual_layers": 1, "norm": "weight_norm", "norm_params": {},
    "pad_mode": "constant", "ratios": [8, 5, 4, 2], "residual_kernel_size": 3, "true_skip": True,
}  # fmt: skip
GENERATOR = {
    "nbits": 16,
    "seanet": SEANET,
    "decoder": {"final_activation": None, "final_activation_params": None, "trim_right_ratio": 1.0},
}
DETECTOR = {"nbits": 16, "seanet": SEANET, "detector": {"output_dim": 32}}


def save_audioseal(path: Path, part: str, *, hears: bytes | None = None, extra=None) -> CheckpointFile:
    """A checkpoint with small random weights; a detector that hears the message `hears` in everything, or nothing."""
    torch = pytest.importorskip("torch")
    os.environ.setdefault("NO_TORCH_COMPILE", "1")  # read when the package is imported
    pytest.importorskip("audioseal", reason="needs the extra audioseal")
    from audioseal import builder
    from audioseal.loader import AudioSeal

    torch.manual_seed(1)
    config, kind, create = {
        "generator": (GENERATOR, builder.AudioSealWMConfig, builder.create_generator),
        "detector": (DETECTOR, builder.AudioSealDetectorConfig, builder.create_detector),
    }[part]
    network = create(AudioSeal.parse_config(config, config_type=kind))
    if part == "detector":
        last = network.detector[-1]
        with torch.no_grad():
            last.weight.zero_()
            last.bias[:2] = torch.tensor([0.0, -9.0 if hears is None else 9.0])
            last.bias[2:] = torch.from_numpy(np.unpackbits(np.frombuffer(hears or b"\0\0", np.uint8)) * 8.0 - 4.0)
    weights = {name.replace("inner_conv.", ""): value for name, value in network.state_dict().items()}
    torch.save({"xp.cfg": config, "model": weights, **(extra or {})}, path)
    return CheckpointFile(path, hashlib.sha256(path.read_bytes()).hexdigest())
