"""The bundled detector: small residual networks over log bands, run by onnxruntime.

Front end and networks are one ONNX graph (`detect/network.py`); torch is needed to train it, never to scan.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from ...core.errors import IntegrityError
from ...core.modelcard import ModelFolder
from ...core.records import Audio, Evidence, Float32Array, Segment
from ..calibration import Calibration
from ..domain import DOMAIN_NAME, Domain
from ..registry import SCORERS
from ..scoring import HeardWindow, hear_speech, open_bundled_or, read_calibration_if_any, read_domain, unusable
from ..session import EMBEDDING_OUTPUT, SAMPLES_INPUT, SCORE_OUTPUT, graph_errors, open_graph


@SCORERS.register("logband-resnet")
class LogBandResNetScorer:
    """Mean logit of the networks per window. Source: our own training, see the model's card."""

    name = "logband-resnet"
    how_to_get: str | None = None

    def __init__(
        self, model: ModelFolder, calibration: Calibration | None, session: Any, domain: Domain | None = None
    ) -> None:
        """`session` is an onnxruntime session that maps samples (1, n) to a score (1,).

        With a `domain` it has an embedding (1, d) for a second output.
        """
        self.model = model
        self._calibration = calibration
        self._session = session
        self._domain = domain
        self._outputs = [SCORE_OUTPUT] if domain is None else [SCORE_OUTPUT, EMBEDDING_OUTPUT]

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """Read a model folder (None: the bundled one). Raises `ModelMissing` or `IntegrityError`."""
        model = open_bundled_or(folder, cls.name)
        weights_name = str(model.card["weights"])
        with unusable(model, weights_name, *graph_errors()):
            session = open_graph(model.read_bytes(weights_name))
        domain = read_domain(model)
        if domain is not None:
            _check_embedding(model, session, domain)
        return cls(model, read_calibration_if_any(model), session, domain)

    def score(self, audio: Audio, *, regions: Sequence[Segment] | None = None) -> Evidence:
        """Score windows over `regions` (None: the whole clip); see `hear_speech`."""
        return hear_speech(audio, regions, self._hear_window, self.model, self._calibration, domain=self._domain)

    def _hear_window(self, samples: Float32Array) -> HeardWindow:
        scores, *embeddings = self._session.run(self._outputs, {SAMPLES_INPUT: samples[None]})
        return HeardWindow(float(scores[0]), embeddings[0][0] if embeddings else None)


def _check_embedding(model: ModelFolder, session: Any, domain: Domain) -> None:
    """Raise `IntegrityError` unless the graph gives embeddings of the gate's width."""
    shapes = {output.name: output.shape for output in session.get_outputs()}
    if shapes.get(EMBEDDING_OUTPUT, [])[1:] != [domain.dimensions]:
        raise IntegrityError(
            f"{model.path / DOMAIN_NAME}: made for embeddings of {domain.dimensions} numbers, but the network gives "
            f"{shapes.get(EMBEDDING_OUTPUT, 'none')}; train or install the model again"
        )
