"""AASIST, the best known detector of its time; near chance on modern generators."""

from ..registry import SCORERS
from ..released import ReleasedScorer


@SCORERS.register("aasist")
class AasistScorer(ReleasedScorer):
    """Mean of spoof minus bona fide logit. Source: Jung et al. 2022, arXiv 2110.01200 (`detect/networks/aasist.py`)."""

    name = "aasist"
    how_to_get: str | None = "import the released file: covoguard models import aasist WEIGHTS -o FOLDER"
