"""Which token sequences a recoverer is trained on, as the user says it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..core.errors import UsageError
from ..core.protocols import Generator
from .ledger import read_ledger
from .token_sources import LineSampler, PromptedTokens, RecordedTokens, SyntheticTokens, TokenClip, TokenSource
from .train_recoverer import DecodingGenerator

TOKENS_PER_CLIP = 250
"""Of synthetic sequences: ten seconds."""
_BUILT_IN_PROMPTS = 2000


def token_source(
    generator: Generator,
    decoding: DecodingGenerator,
    tokens: str | None,
    prompts: Sequence[str] | None,
    entropy_bits: float,
) -> TokenSource:
    """The source called `tokens`: `lm`, `uniform`, or the path of a generated dataset's manifest.

    None: `lm` where prompts are given or the generator speaks text by itself, else `uniform`. `prompts` None: built-in
    English sentences. Raises `UsageError` and `IntegrityError`.
    """
    if tokens is None:
        tokens = "lm" if prompts is not None or isinstance(generator, LineSampler) else "uniform"
    if tokens == "lm":
        return PromptedTokens(generator, _built_in_prompts() if prompts is None else prompts)
    if prompts is not None:
        raise UsageError(f"prompts are for --tokens lm, not for {tokens}; leave one of the two out")
    if tokens == "uniform":
        return SyntheticTokens(decoding.codebook_size, decoding.voices, entropy_bits, TOKENS_PER_CLIP)
    return _recorded(Path(tokens), decoding, entropy_bits)


def _recorded(manifest: Path, generator: DecodingGenerator, entropy_bits: float) -> RecordedTokens:
    """The clips of the manifest that this very model has made."""
    clips = []
    counts = np.zeros(generator.codebook_size)
    for listed in read_ledger(manifest).by_sha256.values():
        record = listed.record
        if record.model_sha256 != generator.model.model_sha256 or not record.tokens:
            continue
        ids = np.asarray(record.tokens, np.int64)
        if not 0 <= ids.min() <= ids.max() < generator.codebook_size:
            raise UsageError(
                f"{manifest}, line {listed.number}: tokens outside the {generator.codebook_size} codes of "
                f"{generator.model.id}; give a manifest of this model"
            )
        voice = record.speaker if record.speaker in generator.voices else generator.voices[0]
        clips.append(TokenClip(ids.astype(np.int32), None, str(voice)))
        counts += np.bincount(ids, minlength=generator.codebook_size)
    frequency = counts if counts.any() else None
    synthetic = SyntheticTokens(generator.codebook_size, generator.voices, entropy_bits, TOKENS_PER_CLIP, frequency)
    return RecordedTokens(clips, synthetic)


def _built_in_prompts() -> list[str]:
    from ..generate.training.sentences import open_sentences

    return open_sentences(_BUILT_IN_PROMPTS, 1)
