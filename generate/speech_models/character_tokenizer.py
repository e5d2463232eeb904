"""Reads SentencePiece models of single characters, SpeechT5's, without the package sentencepiece."""

import json
from pathlib import Path
from typing import Any

from ...core.errors import IntegrityError

FILE_NAME = "spm_char.model"
_CHARACTER_MODEL = 4
"""`TrainerSpec.ModelType.CHAR` of sentencepiece_model.proto."""
_SPACE = "\u2581"


def load_character_tokenizer(folder: Path) -> Any:
    """A tokenizer of transformers that gives the ids of the model in `folder`, and no special tokens.

    Raises `IntegrityError` for a file that is no character model.
    """
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.normalizers import Normalizer, Precompiled, Prepend, Replace, Sequence, Strip
    from tokenizers.pre_tokenizers import Split
    from transformers import PreTrainedTokenizerFast
    from transformers.convert_slow_tokenizer import import_protobuf

    # the library has no types for these
    sentencepiece_format: Any = import_protobuf
    tokenizer_class: Any = PreTrainedTokenizerFast
    path = folder / FILE_NAME
    try:
        model = sentencepiece_format().ModelProto.FromString(path.read_bytes())
        if model.trainer_spec.model_type != _CHARACTER_MODEL or not model.pieces:
            raise ValueError("not a character model")
        ids = {piece.piece: number for number, piece in enumerate(model.pieces)}
        unknown = next(piece.piece for piece in model.pieces if piece.type == piece.UNKNOWN)
        rules = model.normalizer_spec
        steps: list[Normalizer] = []
        if rules.precompiled_charsmap:
            steps.append(Precompiled(rules.precompiled_charsmap))
        if rules.remove_extra_whitespaces:
            steps += [Strip(), Replace(Regex(" {2,}"), " ")]
        if rules.add_dummy_prefix:
            steps.append(Prepend(" "))
        steps.append(Replace(" ", _SPACE))
    except Exception as error:
        raise IntegrityError(f"{path}: no character model of SentencePiece ({error}); get it again") from error
    tokenizer = Tokenizer(WordLevel(ids, unk_token=unknown))
    tokenizer.normalizer = Sequence(steps)
    tokenizer.pre_tokenizer = Split(Regex(r"[\s\S]"), "isolated")
    return tokenizer_class(tokenizer_object=tokenizer, unk_token=unknown)


def spells_numbers(folder: Path) -> bool:
    """Whether the tokenizer's settings ask for numbers in words before anything else."""
    path = folder / "tokenizer_config.json"
    try:
        return path.is_file() and bool(json.loads(path.read_bytes()).get("normalize", False))
    except (ValueError, AttributeError, RecursionError) as error:
        raise IntegrityError(f"{path}: no settings of a tokenizer; get the checkpoint again") from error
