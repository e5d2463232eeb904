"""Before a run: does the server mark at all? A processor that was not loaded would be missed by nobody else."""

import logging
from collections.abc import Callable, Sequence

from ...core.errors import IntegrityError
from ...core.protocols import BatchGenerator, SpeechRequest
from ...core.records import Clip, Prompt
from .mark_request import RemoteMark

log = logging.getLogger(__name__)

SELF_TEST_CLIPS = 3
SELF_TEST_TEXTS = (
    "Please tell me, at some length, how bread is made.",
    "Please describe, in many words, a walk along the sea in winter.",
    "Please explain slowly and thoroughly why the sky is blue.",
)
"""Questions that ask for long replies: a long clip says more."""

IsMarked = Callable[[Clip], bool | None]
"""Whether a clip carries the mark; None when it is too short to tell."""


def check_server_marks(
    generator: BatchGenerator,
    mark: RemoteMark,
    is_marked: IsMarked,
    *,
    seed: int,
    clips: int = SELF_TEST_CLIPS,
    texts: Sequence[str] = SELF_TEST_TEXTS,
) -> None:
    """Have `clips` made under the key and looked at; `seed` is of the first, the next ones follow it.

    Raises `IntegrityError` when one of them is not marked, or when none could be told; and as the generator does.
    """
    requests = [SpeechRequest(Prompt(text=texts[each % len(texts)]), mark, seed + each) for each in range(clips)]
    verdicts: list[bool | None] = []
    for outcome in generator.generate_many(requests):
        if isinstance(outcome, Exception):
            log.warning("self-test: %s", outcome)
            verdicts.append(None)
        else:
            verdicts.append(is_marked(outcome))
    if False in verdicts:
        raise IntegrityError(
            f"the server does not mark: of {clips} clips that were asked for under {mark.key_id}, "
            f"{verdicts.count(False)} carry no mark; start it with --logits-processors "
            "covoguard.pipeline.serving:TokenMarkProcessor and this key in its key ring"
        )
    if True not in verdicts:
        raise IntegrityError(
            f"whether the server marks could not be told: none of {clips} test clips was long enough to say; "
            "allow longer replies"
        )
