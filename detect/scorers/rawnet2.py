"""RawNet2, a baseline of ASVspoof 2021."""

from ..registry import SCORERS
from ..released import ReleasedScorer


@SCORERS.register("rawnet2")
class RawNet2Scorer(ReleasedScorer):
    """Mean of spoof minus bona fide logit. Source: Tak et al. 2021, arXiv 2011.01108 (`detect/networks/rawnet2.py`)."""

    name = "rawnet2"
    how_to_get: str | None = "import the released file: covoguard models import rawnet2 WEIGHTS -o FOLDER"
