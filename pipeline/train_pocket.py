"""Makes the bundled pocket model from nothing but flite, step by step; each step keeps its result in `--work`.

    python -m covoguard.pipeline.train_pocket --work WORK --out MODEL_FOLDER [--noise DIR --rooms DIR]

Needs Debian's `flite` and `pip install covoguard[pocket-training]`. About three hours of one CPU core. A step whose
file is there is not done again, so a run that was stopped goes on where it stood.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import numpy as np
import soundfile
import torch
from safetensors.torch import load_file, save_file

from ..core.errors import CovoguardError, UsageError
from ..core.keys import SecretKey
from ..core.modelcard import CARD_NAME, seal_model
from ..core.rates import TOKEN_RATE_HZ
from ..core.records import Float32Array, Int32Array, Tokens
from ..core.version import __version__
from ..datasets.degrade.chain import Sounds
from ..datasets.degrade.journey import travel
from ..generate.backends.pocket import PocketGenerator
from ..generate.pocket.acoustics import CODEBOOK_SIZE, VOICES
from ..generate.pocket.hearing import Hearing
from ..generate.pocket.language_model import PocketLanguageModel, Shape
from ..generate.pocket.model import LETTERS, MARK_TABLE, WEIGHTS
from ..generate.pocket.recoverer import PocketRecoverer
from ..generate.pocket.recoverer_network import RecovererNetwork
from ..generate.pocket.sampling import Line, Sampling, sample_tokens
from ..generate.pocket.speech import PocketDecoder
from ..generate.pocket.text.front_end import TextFrontEnd
from ..generate.pocket.text.letter_to_sound import LetterToSound
from ..generate.pocket.text.symbols import PAUSE, PHONES
from ..generate.training import codec as codec_training
from ..generate.training import corpus, sentences
from ..generate.training.alignment import phone_ends_s
from ..generate.training.codec_network import CodecTrainer
from ..generate.training.language_model import Spoken, sequence_of, spoken, train_language_model
from ..generate.training.recoverer import Pair, make_pair, train_recoverer
from ..watermark.sampling import SlotGumbel
from .fit_mark_table import FittedTable, fit_table

_SEED = 1
_DOMAIN_SENTENCES, _OPEN_SENTENCES, _PART = 2400, 2800, 600
_CODEC_STEPS, _LANGUAGE_STEPS = 4000, 4000
_RECOVERER_STEPS = (3000, 14_500)
"""On corpus pairs, then on all."""
_CORPUS_PAIRS, _SAMPLED_LINES = 8500, 24_500
_TEMPERATURE = 0.8
_FITTED_CLIPS, _LINES_PER_CLIP = 80, 4
_LINES_AT_ONCE = 96


@dataclass(frozen=True)
class Workshop:
    """Where results are kept, and the sounds that damage training pairs."""

    work: Path
    sounds: Sounds

    def damage(self, samples: Float32Array, rng: np.random.Generator) -> tuple[Float32Array, float]:
        """The attack mix, as `training/recoverer.py` wants it."""
        journey = travel(samples, rng, self.sounds)
        return journey.samples, journey.speed


def teacher_corpus(shop: Workshop) -> list[corpus.Utterance]:
    """Domain and open sentences in turn, in parts of 600."""
    domain, _ = sentences.domain_split(_SEED, _DOMAIN_SENTENCES)
    wide = sentences.open_sentences(_OPEN_SENTENCES, _SEED)
    texts = [text for pair in zip(domain, wide, strict=False) for text in pair] + wide[len(domain) :]
    utterances: list[corpus.Utterance] = []
    for start in range(0, len(texts), _PART):
        path = shop.work / f"part{start // _PART}.npz"
        if not path.exists():
            made = (corpus.make_utterance(text, start + n) for n, text in enumerate(texts[start : start + _PART]))
            corpus.save((u for u in made if u is not None), path)
        utterances += corpus.load(path)
    return utterances


def held_out_corpus(shop: Workshop) -> list[corpus.Utterance]:
    """Domain sentences that nothing is trained on."""
    path = shop.work / "held.npz"
    if not path.exists():
        _, texts = sentences.domain_split(_SEED, _DOMAIN_SENTENCES)
        made = (corpus.make_utterance(text, 900_000 + n) for n, text in enumerate(texts[:120]))
        corpus.save((u for u in made if u is not None), path)
    return corpus.load(path)


Codec = tuple[CodecTrainer, codec_training.Normalisation]


def trained_codec(shop: Workshop, utterances: list[corpus.Utterance]) -> Codec:
    """Encoder, codebook and decoder, and the features' normalisation."""
    path = shop.work / "codec.safetensors"
    if not path.exists():
        trainer, normalisation, _ = codec_training.train_codec(utterances, _CODEC_STEPS, _SEED, report=click.echo)
        codec_training.save_codec(path, trainer, normalisation)
    return codec_training.load_codec(path)


def aligned(utterances: Sequence[corpus.Utterance], front: TextFrontEnd) -> list[Spoken]:
    """Utterances with the front end's phones at flite's times."""
    items = []
    for utterance in utterances:
        phones = front.phones_of(utterance.text)
        symbols, starts = (PAUSE, *phones.symbols), (True, *phones.word_start)
        ends_s = phone_ends_s(symbols, utterance.phones, utterance.phone_ends_s)
        items.append(spoken(utterance, [PHONES.index(symbol) for symbol in symbols], starts, ends_s))
    return items


def trained_language_model(
    shop: Workshop, codec: Codec, items: Sequence[Spoken], held: Sequence[Spoken]
) -> PocketLanguageModel:
    """The language model on tokens of the trained codec."""
    path = shop.work / "language.safetensors"
    model = PocketLanguageModel(Shape(len(PHONES)))
    if not path.exists():
        trained = train_language_model(items, held, codec, len(PHONES), _LANGUAGE_STEPS, _SEED, report=click.echo)
        save_file(trained.state_dict(), path)
    model.load_state_dict(load_file(path))
    return model.eval()


def corpus_pairs(shop: Workshop, codec: Codec, items: Sequence[Spoken], count: int, seed: int) -> Iterator[Pair]:
    """Pairs from tokens of teacher speech."""
    decoder, hearing, rng = decoder_of(codec), Hearing(), np.random.default_rng([seed, 1])
    for _ in range(count):
        sequence = sequence_of(items[int(rng.integers(len(items)))], *codec, rng)
        yield _pair(sequence.tokens, None, decoder, hearing, shop.damage, rng)


def sampled_pairs(
    shop: Workshop, codec: Codec, model: PocketLanguageModel, items: Sequence[Spoken], count: int, seed: int
) -> Iterator[Pair]:
    """Pairs from tokens that the language model samples at temperatures of 0.8 to 1.1."""
    decoder, hearing, rng = decoder_of(codec), Hearing(), np.random.default_rng([seed, 2])
    by_length = sorted(items, key=lambda item: len(item.windows))
    near = min(2 * _LINES_AT_ONCE, len(by_length))
    for _ in range(0, count, _LINES_AT_ONCE):
        first = int(rng.integers(max(1, len(by_length) - near)))
        chosen = rng.choice(near, min(_LINES_AT_ONCE, near), replace=False) + first
        lines = [
            Line(by_length[int(n)].windows, int(rng.integers(len(VOICES))), int(rng.integers(2**62))) for n in chosen
        ]
        for said in sample_tokens(model, lines, Sampling(float(rng.uniform(0.8, 1.1)))):
            if len(said.ids) > 10:
                yield _pair(said.ids, said.surprisal_bits, decoder, hearing, shop.damage, rng)


def _pair(
    ids: np.ndarray,
    surprisal_bits: np.ndarray | None,
    decoder: PocketDecoder,
    hearing: Hearing,
    damage: Callable[[Float32Array, np.random.Generator], tuple[Float32Array, float]],
    rng: np.random.Generator,
) -> Pair:
    """Decode in either voice: what is said in one may be heard in the other after resynthesis."""
    tokens = Tokens(ids, TOKEN_RATE_HZ, CODEBOOK_SIZE)
    sound = decoder.decode(tokens, voice=VOICES[int(rng.integers(len(VOICES)))], seed=int(rng.integers(2**31)))
    return make_pair(ids, surprisal_bits, sound.samples, damage, hearing, rng)


def decoder_of(codec: Codec) -> PocketDecoder:
    """The decoder as it will be shipped."""
    trainer, normalisation = codec
    return PocketDecoder(trainer.decoder.eval(), normalisation.mean, normalisation.deviation)


def sounds_in(noise: Path | None, rooms: Path | None) -> Sounds:
    """Recorded noises and room responses at 16 kHz from two folders."""

    def read(folder: Path | None) -> list[Float32Array]:
        return [soundfile.read(p, dtype="float32")[0] for p in sorted(folder.glob("*.*"))] if folder else []

    return Sounds(read(noise), read(rooms))


@click.command()
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder for what the steps make.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the finished weights.")
@click.option("--noise", type=click.Path(path_type=Path, exists=True), help="Folder of recorded noise, 16 kHz.")
@click.option("--rooms", type=click.Path(path_type=Path, exists=True), help="Folder of room responses, 16 kHz.")
def main(work: Path, out: Path, noise: Path | None, rooms: Path | None) -> None:
    """Train every part of the pocket model that is not there yet."""
    torch.set_num_threads(1)
    try:
        train_all(Workshop(work, sounds_in(noise, rooms)), out)
    except CovoguardError as error:
        raise click.ClickException(error.message) from error


def train_all(shop: Workshop, out: Path) -> None:
    """Every step in its order, then the weights in `out`; raises `UsageError` when a step lacks what it needs."""
    if not (out / LETTERS).is_file():
        raise UsageError(f"{out / LETTERS}: missing; make it with covoguard.generate.training.letter_to_sound")
    front = TextFrontEnd(LetterToSound.from_bytes((out / LETTERS).read_bytes()))
    shop.work.mkdir(parents=True, exist_ok=True)
    utterances = teacher_corpus(shop)
    codec = trained_codec(shop, utterances)
    items, held = aligned(utterances, front), aligned(held_out_corpus(shop), front)
    language = trained_language_model(shop, codec, items, held[:40])
    recoverer = trained_recoverer(shop, codec, language, items, held)
    write_weights(codec, language, recoverer.state_dict(), out / WEIGHTS)
    fitted = fitted_table(shop, out, [item.utterance.text for item in items])
    (out / MARK_TABLE).write_text(fitted.table.to_json(), encoding="utf-8")
    seal_model(out)
    report = {"bits_per_token": dict(fitted.bits_per_token), "next": "measure with benchmarks/, write the card"}
    click.echo(json.dumps(report))


def trained_recoverer(
    shop: Workshop, codec: Codec, language: PocketLanguageModel, items: Sequence[Spoken], held: Sequence[Spoken]
) -> RecovererNetwork:
    """First on tokens of teacher speech, then on these and sampled ones."""
    network = RecovererNetwork()
    path = shop.work / "recoverer.safetensors"
    if not path.exists():
        pairs = [*corpus_pairs(shop, codec, items, _CORPUS_PAIRS, _SEED)]
        check = [*sampled_pairs(shop, codec, language, held, _LINES_AT_ONCE, _SEED + 1)]
        first, second = _RECOVERER_STEPS
        train_recoverer(pairs, check, first, _SEED, network=network, report=click.echo)
        pairs += sampled_pairs(shop, codec, language, items, _SAMPLED_LINES, _SEED)
        train_recoverer(pairs, check, second, _SEED, network=network, peak_rate=1.8e-3, report=click.echo)
        save_file(network.state_dict(), path)
    network.load_state_dict(load_file(path))
    return network.eval()


def fitted_table(shop: Workshop, out: Path, texts: Sequence[str]) -> FittedTable:
    """The mark table, fitted to marked speech of the weights in `out` under the attack mix; writes a first card."""
    card = {
        "id": "pocket",
        "version": __version__,
        "generator": "pocket",
        "weights": WEIGHTS,
        "sampling": {"temperature": _TEMPERATURE, "top_p": 1.0},
    }
    (out / CARD_NAME).write_text(json.dumps(card), encoding="utf-8")
    seal_model(out)
    generator, recoverer = PocketGenerator.load(out), PocketRecoverer.load(out)

    def say(marks: Sequence[SlotGumbel], damaged: bool) -> list[tuple[Int32Array, Float32Array]]:
        rng = np.random.default_rng(_SEED)
        said = []
        for number, ids in enumerate(_marked_tokens(generator, marks, texts, rng)):
            tokens = Tokens(ids, TOKEN_RATE_HZ, CODEBOOK_SIZE)
            sound = generator.decoder.decode(tokens, voice=VOICES[number % len(VOICES)], seed=number).samples
            if damaged:
                sound = travel(sound, np.random.default_rng([_SEED, number]), shop.sounds, clean=0.2, paced=0).samples
            said.append((ids, sound))
        return said

    key = SecretKey.generate(created_utc="1970-01-01T00:00:00Z")
    return fit_table(
        f"pocket@{__version__}", recoverer, key, partial(say, damaged=True), partial(say, damaged=False), _FITTED_CLIPS
    )


def _marked_tokens(
    generator: PocketGenerator, marks: Sequence[SlotGumbel], texts: Sequence[str], rng: np.random.Generator
) -> list[Int32Array]:
    said = [np.zeros(0, dtype=np.int32) for _ in marks]
    for _ in range(_LINES_PER_CLIP):
        lines = [
            generator.line(
                texts[int(rng.integers(len(texts)))], n % len(VOICES), int(rng.integers(2**62)), mark, len(said[n])
            )
            for n, mark in enumerate(marks)
        ]
        for number, part in enumerate(generator.sample(lines)):
            said[number] = np.concatenate([said[number], part.ids])
    return said


def write_weights(
    codec: Codec,
    language: PocketLanguageModel,
    recoverer: dict[str, torch.Tensor],
    path: Path,
    logit_scale: float = 1.0,
) -> None:
    """All parts in half precision in one file, as `generate/pocket/model.py` reads them.

    `logit_scale` multiplies the recoverer's logits, so that its probabilities are calibrated.
    """
    trainer, normalisation = codec
    parts = {
        "decoder": trainer.decoder.state_dict(),
        "language": language.state_dict(),
        "recoverer": recoverer,
        "features": {"mean": normalisation.mean, "deviation": normalisation.deviation},
        "posteriors": {"logit_scale": torch.tensor(logit_scale)},
    }
    save_file(
        {f"{part}.{name}": value.half().contiguous() for part, state in parts.items() for name, value in state.items()},
        path,
    )


if __name__ == "__main__":
    main()
