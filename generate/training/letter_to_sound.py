"""Trains the letter-to-sound model from the pronouncing dictionary: align, learn, measure, write.

    python -m covoguard.generate.training.letter_to_sound letter_to_sound.safetensors

Alignment: every letter gives no phone, one, or two; the probabilities P(phones | letter) are estimated by hard
expectation maximisation (Black, Lenzo and Pagel 1998), starting from what is possible at all.
Takes about three minutes of one core.
"""

import argparse
import json
import math
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import save
from torch import Tensor, nn

from ..pocket.text.dictionary import cmu_dictionary
from ..pocket.text.letter_to_sound import CONTEXT_CLASSES, CONTEXT_LETTERS, EDGE, LETTERS, NO_PHONE, LetterToSound
from ..pocket.text.symbols import PHONES
from .edit_distance import edit_distance

Phones = tuple[str, ...]
Costs = Mapping[str, Mapping[Phones, float]]
"""Per letter: -ln of the probability that it gives these phones."""

_HELD_OUT_SHARE = 20
_EM_ROUNDS = 5
_EM_WORDS = 12_000
_UNSEEN_COST = 14.0
_MIN_CLASS_COUNT = 40
_EMBEDDING, _HIDDEN_1, _HIDDEN_2 = 16, 320, 160
_BATCH, _EPOCHS, _LEARNING_RATE = 2048, 8, 3e-3


def main() -> None:
    """Train, write, and print the accuracy on held-out words."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    words = spelt_as_said(cmu_dictionary().entries())
    train, held_out = split(words)
    content = trained(train, options.seed)
    options.output.write_bytes(content)
    figures = {"bytes": len(content), "words": len(train), **accuracy(LetterToSound.from_bytes(content), held_out)}
    print(json.dumps(figures, indent=2))  # noqa: T201


def spelt_as_said(entries: Mapping[str, Phones]) -> dict[str, Phones]:
    """The words that can be learned from: letters and apostrophes only, and a vowel among the letters."""
    return {
        word: phones
        for word, phones in entries.items()
        if set(word) <= set(LETTERS) and set(word) & set("aeiouy") and len(word) > 1 and len(phones) <= 2 * len(word)
    }


def split(words: Mapping[str, Phones]) -> tuple[dict[str, Phones], dict[str, Phones]]:
    """Words to train on and one in twenty to measure with, chosen by a checksum of the spelling."""
    held_out = {word: said for word, said in words.items() if not zlib.crc32(word.encode()) % _HELD_OUT_SHARE}
    return {word: said for word, said in words.items() if word not in held_out}, held_out


def accuracy(model: LetterToSound, words: Mapping[str, Phones]) -> dict[str, float]:
    """Share of words said exactly as in the dictionary, and phone error rate (edit distance over phones)."""
    exact, errors, total = 0, 0, 0
    for word, phones in words.items():
        said = model(word)
        exact += said == phones
        errors += edit_distance(said, phones)
        total += len(phones)
    return {"held_out_words": len(words), "word_accuracy": exact / len(words), "phone_error_rate": errors / total}


def align(word: str, phones: Phones, costs: Costs) -> list[Phones] | None:
    """The cheapest way to give each letter zero to two of the phones, in order; None when there is none."""
    letters, sounds = len(word), len(phones)
    best = [[math.inf] * (sounds + 1) for _ in range(letters + 1)]
    back = [[0] * (sounds + 1) for _ in range(letters + 1)]
    best[0][0] = 0.0
    for i, letter in enumerate(word):
        cost = costs[letter]
        for j in range(max(0, sounds - 2 * (letters - i)), min(sounds, 2 * i) + 1):
            for size in range(min(2, sounds - j) + 1):
                total = best[i][j] + cost.get(phones[j : j + size], _UNSEEN_COST * max(size, 1))
                if total < best[i + 1][j + size]:
                    best[i + 1][j + size], back[i + 1][j + size] = total, size
    if best[letters][sounds] == math.inf:
        return None
    pieces, j = [], sounds
    for i in range(letters, 0, -1):
        pieces.append(phones[j - back[i][j] : j])
        j -= back[i][j]
    return pieces[::-1]


def alignment_costs(words: Mapping[str, Phones]) -> Costs:
    """P(phones | letter) by hard expectation maximisation; the first round spreads phones evenly over letters."""
    counts: defaultdict[str, Counter[Phones]] = defaultdict(Counter)
    for word, phones in words.items():
        for place, letter in enumerate(word):
            near = round(place * len(phones) / len(word))
            for start in range(max(0, near - 1), min(len(phones), near + 2)):
                counts[letter][phones[start : start + 1]] += 1
            counts[letter][()] += 1
    for _ in range(_EM_ROUNDS):
        costs = _negative_logs(counts)
        counts = defaultdict(Counter)
        for word, phones in words.items():
            for letter, given in zip(word, align(word, phones, costs) or (), strict=False):
                counts[letter][given] += 1
    return _negative_logs(counts)


def _negative_logs(counts: Mapping[str, Counter[Phones]]) -> Costs:
    table: dict[str, dict[Phones, float]] = {letter: {(): _UNSEEN_COST} for letter in LETTERS}
    for letter, counter in counts.items():
        total = sum(counter.values())
        table[letter] = {given: -math.log(count / total) for given, count in counter.items()}
    return table


def trained(words: Mapping[str, Phones], seed: int) -> bytes:
    """A `letter_to_sound.safetensors` learned from the words."""
    rng = np.random.default_rng(seed)
    some = rng.permutation(sorted(words))[:_EM_WORDS]
    costs = alignment_costs({str(word): words[str(word)] for word in some})
    aligned = {word: pieces for word, phones in words.items() if (pieces := align(word, phones, costs))}
    counts = Counter(piece for pieces in aligned.values() for piece in pieces)
    classes = sorted(piece for piece, count in counts.items() if count >= _MIN_CLASS_COUNT)
    letters, said, target = examples(aligned, {piece: index for index, piece in enumerate(classes)})
    torch.manual_seed(seed)
    network = Network(len(classes))
    fit(network, letters, said, target, rng)
    padded = [[PHONES.index(phone) for phone in piece] + [NO_PHONE] * (2 - len(piece)) for piece in classes]
    return save({"class_phones": np.array(padded, np.uint8), **network.arrays()})


def examples(aligned: Mapping[str, list[Phones]], class_of: Mapping[Phones, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Per letter of all words: the window of letters, the classes before, the class to give.

    Words with a rare piece, mostly foreign names, are left out.
    """
    windows: list[list[int]] = []
    histories: list[list[int]] = []
    targets: list[int] = []
    edges = [EDGE] * CONTEXT_LETTERS
    for word, pieces in aligned.items():
        if any(piece not in class_of for piece in pieces):
            continue
        spelt = [*edges, *(LETTERS.index(letter) for letter in word), *edges]
        given = [len(class_of)] * CONTEXT_CLASSES + [class_of[piece] for piece in pieces]
        for place in range(len(word)):
            windows.append(spelt[place : place + 2 * CONTEXT_LETTERS + 1])
            histories.append(given[place : place + CONTEXT_CLASSES])
            targets.append(given[place + CONTEXT_CLASSES])
    return torch.tensor(windows), torch.tensor(histories), torch.tensor(targets)


class Network(nn.Module):
    """The network of `LetterToSound`, to be trained."""

    def __init__(self, classes: int) -> None:
        """Size the last layer for so many classes."""
        super().__init__()
        self.letter_embedding = nn.Embedding(len(LETTERS) + 1, _EMBEDDING)
        self.class_embedding = nn.Embedding(classes + 1, _EMBEDDING)
        seen = (2 * CONTEXT_LETTERS + 1 + CONTEXT_CLASSES) * _EMBEDDING
        self.layers = nn.ModuleList([nn.Linear(seen, _HIDDEN_1), nn.Linear(_HIDDEN_1, _HIDDEN_2)])
        self.layers.append(nn.Linear(_HIDDEN_2, classes))

    def forward(self, letters: Tensor, said: Tensor) -> Tensor:
        """Logits (batch, classes)."""
        hidden = torch.cat([self.letter_embedding(letters).flatten(1), self.class_embedding(said).flatten(1)], dim=1)
        for layer in self.layers[:-1]:
            hidden = torch.relu(layer(hidden))
        logits: Tensor = self.layers[-1](hidden)
        return logits

    def arrays(self) -> dict[str, npt.NDArray[np.float16]]:
        """The weights by the names of `LetterToSound`."""
        names = {"letter_embedding.weight": "letter_embedding", "class_embedding.weight": "class_embedding"}
        for number in range(len(self.layers)):
            names |= {f"layers.{number}.{kind}": f"{kind}_{number + 1}" for kind in ("weight", "bias")}
        return {name: self.state_dict()[key].numpy().astype(np.float16) for key, name in names.items()}


def fit(network: Network, letters: Tensor, said: Tensor, target: Tensor, rng: np.random.Generator) -> None:
    """Cross-entropy with AdamW; the learning rate falls along a cosine."""
    steps_per_epoch = len(target) // _BATCH
    optimizer = torch.optim.AdamW(network.parameters(), lr=_LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps_per_epoch * _EPOCHS)
    for batch in _batches(len(target), steps_per_epoch, rng):
        loss = nn.functional.cross_entropy(network(letters[batch], said[batch]), target[batch])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()


def _batches(examples_: int, steps_per_epoch: int, rng: np.random.Generator) -> Iterable[Tensor]:
    for _ in range(_EPOCHS):
        order = torch.from_numpy(rng.permutation(examples_))
        for step in range(steps_per_epoch):
            yield order[step * _BATCH : (step + 1) * _BATCH]


if __name__ == "__main__":
    main()
