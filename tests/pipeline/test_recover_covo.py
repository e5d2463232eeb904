"""A recoverer for Covo-Audio itself, end to end on a CPU: a tiny random checkpoint, its own decoder, sound alone.

Weights are random and the decoder is small, so that it takes seconds. Token embeddings and the flow's output are
larger than a random network's usual ones: otherwise nobody could hear in the sound which token was said.
"""

import covo_checkpoint
import numpy as np
import pytest
import torch
from marked_sound import a_key

from covoguard.core.records import Audio, Tokens
from covoguard.datasets.degrade.chain import Sounds
from covoguard.generate.backends.covo import CovoGenerator
from covoguard.generate.recovery.network import RecovererShape
from covoguard.pipeline.import_covo import ImportOptions, import_covo
from covoguard.pipeline.mark_evidence import MarkChecker, load_mark_checker, load_marking_table
from covoguard.pipeline.token_sources import SyntheticTokens
from covoguard.pipeline.train_recoverer import RecovererPlan, check_decoder, train_recoverer_folder
from covoguard.watermark.sampling import SlotGumbel

CODES = 64
AUDIBLE = {"token_embedding.weight": 16.0, "output_layer.linear.weight": 10.0}


@pytest.fixture
def generator(tmp_path, monkeypatch):
    whole = covo_checkpoint.decoder_json

    def small_decoder(*sizes):
        content = whole(*sizes)
        content["model"]["wavegan"] |= {
            "upsample_rates": [16, 15], "upsample_kernel_sizes": [32, 30], "upsample_initial_channel": 32,
            "resblock_kernel_sizes": [3], "resblock_dilation_sizes": [[1, 3, 5]],
        }  # fmt: skip
        content["inference"]["s_steps"] = 4
        return content

    monkeypatch.setattr(covo_checkpoint, "decoder_json", small_decoder)
    folder = covo_checkpoint.write_checkpoint(tmp_path / "covo", codes=CODES)
    weights = folder / "token2wav" / "model.pt"
    state = torch.load(weights, weights_only=True)
    for name, tensor in state.items():
        state[name] = tensor * next((gain for end, gain in AUDIBLE.items() if name.endswith(end)), 1.0)
    torch.save(state, weights)
    import_covo(str(folder), ImportOptions(accept_licence=True))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield CovoGenerator.load(folder)
    torch.set_num_threads(before)


def test_covos_tokens_are_read_from_sound_above_chance_and_the_mark_is_found_in_sound(generator):
    folder = generator.model.path
    decoding = check_decoder(generator)
    blind = load_mark_checker([a_key(5)], folder)
    assert blind.check(Audio(np.ones(48_000, np.float32), 24_000)).reason == "no_recoverer"
    card = train_recoverer_folder(
        decoding, SyntheticTokens(CODES, generator.voices, 3.0, 100), folder / "recoverer",
        RecovererShape(CODES, width=64, blocks=1),
        RecovererPlan(pairs=48, steps=350, batch=4, fitted_clips=6), sounds=Sounds(), report=lambda line: None,
    )  # fmt: skip
    assert card["serving"] == generator.model.card["serving"]
    top1 = card["measured"]["top1"]
    assert top1["clean"] > 4 / CODES
    assert top1["attack_mix"] > 3 / CODES
    assert card["measured"]["bits_per_token"]["clean"] > 0.03
    key, stranger = a_key(5), a_key(6)
    mark = SlotGumbel.from_key(key, load_marking_table(folder), start_slot=1234)
    (said,) = SyntheticTokens(CODES, generator.voices, 4.5, 900).marked([mark], seed=77)
    sound = generator.decoder.decode(Tokens(said.ids, 25, CODES), voice=said.voice, seed=8)
    checker = load_mark_checker([key, stranger], folder)
    assert isinstance(checker, MarkChecker)
    reading = checker.check(sound)
    assert [each.status for each in reading.keys] == ["present", "absent"]
    assert reading.log10_p < -6
    assert reading.model == generator.model.id
