"""A whole pocket model folder with random weights: it babbles, but every part of it runs, in the shapes as shipped.

Loaded by `conftest.py` under its own name, because the folders of `tests` are no packages.
"""

import json
import math
from pathlib import Path

import numpy as np

import covoguard
from covoguard.core.modelcard import seal_model
from covoguard.watermark.table import MarkTable

BUNDLED = Path(covoguard.__file__).parent / "generate/pocket/model"
CARD = {
    "id": "pocket-random",
    "version": 1,
    "generator": "pocket",
    "weights": "pocket.safetensors",
    "licence": "Apache-2.0",
    "sampling": {"temperature": 1.0, "top_p": 0.98},
}


def random_codec(seed: int = 0):
    """An untrained codec and a normalisation that makes audible, voiced sound of about 120 Hz of it."""
    import torch

    from covoguard.generate.training.codec import Normalisation
    from covoguard.generate.training.codec_network import CodecTrainer

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        trainer = CodecTrainer(3).eval()
        trainer.codebook.vectors.copy_(torch.randn_like(trainer.codebook.vectors))
        trainer.finished_decoder()
    tracks = trainer.decoder.frames.out_features // 4
    mean = torch.full((2, tracks), -5.0)
    mean[:, -3:] = torch.tensor([math.log(120), 0.3, -20.0])
    deviation = torch.ones(2, tracks)
    deviation[:, -3] = 0.1
    return trainer, Normalisation(mean, deviation)


def build_pocket_model(folder: Path, *, seed: int = 0) -> None:
    """Write the folder: random weights, the bundled letter-to-sound model, a flat mark table, card and checksums."""
    import torch

    from covoguard.generate.pocket.language_model import PocketLanguageModel, Shape
    from covoguard.generate.pocket.recoverer_network import RecovererNetwork
    from covoguard.generate.pocket.text.symbols import PHONES
    from covoguard.pipeline.train_pocket import write_weights

    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        language, recoverer = PocketLanguageModel(Shape(len(PHONES))), RecovererNetwork()
    # a large scale: rows differ as those of a trained recoverer do
    write_weights(random_codec(seed), language, recoverer.state_dict(), folder / "pocket.safetensors", 20.0)
    table = MarkTable(
        model="pocket-random@1",
        codebook_size=1024,
        cluster_of=np.arange(1024) // 4,
        mixtures=(((0.5, 1.0), (0.5, 8.0)),),
        nominal_bits_per_frame=2.0,
    )
    (folder / "mark_table.json").write_text(table.to_json(), encoding="utf-8")
    (folder / "letter_to_sound.safetensors").write_bytes((BUNDLED / "letter_to_sound.safetensors").read_bytes())
    (folder / "card.json").write_text(json.dumps(CARD), encoding="utf-8")
    seal_model(folder)


def rewrite_weights(folder: Path, changes: dict, *, without: str | None = None) -> None:
    """Store `changes` among the tensors of a folder, leave out `without`, and seal it again."""
    from safetensors.torch import load_file, save_file

    path = folder / "pocket.safetensors"
    tensors = {name: tensor for name, tensor in load_file(path).items() if name != without}
    save_file(tensors | changes, path)
    seal_model(folder)


def complete() -> bool:
    """Whether the bundled model folder holds the trained model."""
    return (BUNDLED / "SHA256SUMS").is_file()
