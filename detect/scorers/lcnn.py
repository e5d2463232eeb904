"""LFCC-LCNN-LSTM, a baseline of the ASVspoof challenges."""

from ..registry import SCORERS
from ..released import ReleasedScorer


@SCORERS.register("lcnn")
class LcnnScorer(ReleasedScorer):
    """Mean logit, turned round. Source: Wang and Yamagishi 2021, arXiv 2103.11326 (`detect/networks/lcnn.py`)."""

    name = "lcnn"
    how_to_get: str | None = "import the released file: covoguard models import lcnn WEIGHTS -o FOLDER"
