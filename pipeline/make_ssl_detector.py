"""Make a detector of a self-supervised encoder that the user has, with a new head: a start for training."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import IntegrityError, ModelMissing, UsageError
from ..core.modelcard import ModelFolder, open_model, sha256_of_file
from ..core.rates import DETECTOR_RATE_HZ
from ..detect.released import WEIGHTS_NAME
from ..detect.scorers.ssl import ENCODER_CONFIG_NAME, SslScorer
from ..generate.speech_models.loading import load_feature_extractor, load_model
from .new_model_folder import new_model_folder, write_card

if TYPE_CHECKING:
    from ..detect.networks.ssl import SslDesign, SslNetwork

_CONFIG_NAME = "config.json"
_CHECKPOINT_NAMES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""In transformers' order of preference; an index names the parts of a large checkpoint."""
_DIGEST_DIGITS = 12


def make_ssl_model(encoder_folder: Path, out: Path, *, head: str = "attentive", seed: int = 0) -> ModelFolder:
    """Make the new folder `out` of a checkpoint as transformers lays it out, with a random head drawn from `seed`.

    The checkpoint is a wav2vec2 (XLS-R too), WavLM or HuBERT model at 16 kHz; `head` is attentive, mean or aasist.
    The card says that the head is untrained, and the detector refuses to score with it. Same checkpoint, head and
    seed, same bytes. Raises `UsageError` for another kind of checkpoint, an unknown head, or a folder that is there
    already or cannot be written, `ModelMissing` for a file that is not there, and `IntegrityError` for weights that
    do not fit.
    """
    from ..detect.networks.ssl import SslDesign
    from ..detect.networks.weights import digest, to_safetensors

    if out.exists():
        raise UsageError(f"{out}: is there already; name a new folder")
    kind = _kind_of(encoder_folder)
    try:
        design = SslDesign(kind, head, _wants_normalised(encoder_folder))
    except ValueError as error:
        raise UsageError(f"{encoder_folder}: {error}; choose one of these") from error
    origin_sha256 = _origin_sha256(encoder_folder)
    network, encoder_config = _network(encoder_folder, design, seed)
    state = network.state_dict()
    with new_model_folder(out) as staged:
        (staged / WEIGHTS_NAME).write_bytes(to_safetensors(state))
        (staged / ENCODER_CONFIG_NAME).write_text(json.dumps(encoder_config, indent=2) + "\n", encoding="utf-8")
        write_card(staged, _card(design, digest(state)[:_DIGEST_DIGITS], encoder_folder.resolve().name, origin_sha256))
    return open_model(out)


def _network(folder: Path, design: "SslDesign", seed: int) -> tuple["SslNetwork", dict[str, Any]]:
    """The checkpoint's encoder with a head drawn from `seed`, and the encoder's configuration as JSON has it."""
    import torch

    from ..detect.networks.ssl import SslNetwork, encoder_class

    with torch.random.fork_rng(devices=[]):  # also for the loader, which draws weights before it reads them
        encoder = load_model(encoder_class(design.encoder), folder, torch.device("cpu"))
        config: dict[str, Any] = json.loads(encoder.config.to_json_string(use_diff=False))
        torch.manual_seed(seed)
        network = SslNetwork(design, config)
    network.encoder.load_state_dict(encoder.state_dict())
    return network, config


def _kind_of(folder: Path) -> str:
    """`model_type` of the checkpoint; whether it is one that can be used is not looked at."""
    path = folder / _CONFIG_NAME
    try:
        config = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelMissing(
            f"{path}: cannot be read ({error.strerror}); give the folder of a checkpoint for transformers"
        ) from error
    except ValueError as error:
        raise IntegrityError(f"{path}: not JSON ({error}); get the checkpoint again") from error
    kind = config.get("model_type") if isinstance(config, dict) else None
    if not isinstance(kind, str):
        raise IntegrityError(f"{path}: does not say 'model_type'; give the folder of a checkpoint for transformers")
    return kind


def _wants_normalised(folder: Path) -> bool:
    """Whether the encoder hears sound of mean 0 and deviation 1; which it is does not show in the weights."""
    extractor = load_feature_extractor(folder)
    rate_hz = getattr(extractor, "sampling_rate", None)
    if rate_hz != DETECTOR_RATE_HZ:
        raise UsageError(f"{folder}: for sound at {rate_hz} Hz; give an encoder for {DETECTOR_RATE_HZ} Hz")
    return bool(getattr(extractor, "do_normalize", False))


def _origin_sha256(folder: Path) -> str:
    for name in _CHECKPOINT_NAMES:
        if (folder / name).is_file():
            return sha256_of_file(folder / name)
    raise ModelMissing(f"{folder}: no weights here ({', '.join(_CHECKPOINT_NAMES[::2])}); get the whole checkpoint")


def _card(design: "SslDesign", version: str, source: str, origin_sha256: str) -> dict[str, Any]:
    return {
        "id": f"{design.encoder}-{design.head}",
        "detector": SslScorer.name,
        "version": version,
        "licence": "that of the encoder's checkpoint; ask its maker",
        "weights": WEIGHTS_NAME,
        "network": asdict(design),
        "trained": False,
        "summary": f"UNTRAINED: {design.encoder} encoder with a random {design.head} head, to be trained.",
        "not_for": ["Anything but training: a random head says nothing about a recording."],
        "limits": ["No figures: nothing was trained or measured yet."],
        "released": {"source": f"the checkpoint folder {source}", "origin_sha256": origin_sha256},
        "training": {"data": ["the encoder: see its checkpoint; the head: nothing yet"]},
        "figures": {"eer_by_test_set": []},
    }
