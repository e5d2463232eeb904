"""The plots of an evaluation: (title, SVG) of each that its scores define."""

from collections.abc import Iterator, Sequence
from statistics import NormalDist

from ..core.evaluationrecord import Curves, Estimate, Evaluation
from .svg import BONAFIDE, NEUTRAL, SPOOF, Axis, Frame, level_bars, plot, round_values
from .text import printable

_LEGEND = (("bona fide", BONAFIDE), ("generated", SPOOF))
_DET_RATES = (0.001, 0.01, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 0.99)
_DET_EDGE = 0.0005
_SHARES = tuple((step / 5, f"{20 * step} %") for step in range(6))
N_BARS = 30


def evaluation_plots(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    """DET, histograms, reliability, Tippett, coverage against error, and the worst generators."""
    curves = evaluation.curves
    threshold = evaluation.threshold.value if evaluation.threshold else None
    scale = "log10 likelihood ratio" if evaluation.system.scale == "log10_lr" else "score"
    if curves.det is not None:
        yield "Detection error trade-off (DET)", _det(curves.det)
    if curves.histogram is not None:
        yield "Scores by class", _histograms(*curves.histogram, threshold, scale)
    if curves.reliability is not None:
        yield "Reliability, at even prior odds", _reliability(curves)
    if curves.tippett is not None:
        yield "Tippett plot", _tippett(curves.tippett)
    if curves.risk_coverage is not None:
        yield "Coverage against error, the surest clips first", _coverage(curves.risk_coverage)
    for table in evaluation.tables:
        measured = [each for each in table.groups if each.eer.value is not None][:N_BARS]
        if table.name == "generator" and measured:
            title = f"EER by generator, the worst {len(measured)}"
            yield (
                title,
                level_bars(
                    title, [(printable(g.name), 2 * (g.eer.value or 0), _interval_text(g.eer)) for g in measured]
                ),
            )


def _interval_text(estimate: Estimate) -> str:
    text = f"{100 * (estimate.value or 0):.1f} %"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} ({100 * estimate.low:.0f} to {100 * estimate.high:.0f})"


def _det(points: Sequence[tuple[float, float]]) -> str:
    marks = [(_deviate(rate), f"{100 * rate:g}") for rate in _DET_RATES]
    low, high = _deviate(_DET_EDGE), _deviate(1 - _DET_EDGE)
    frame = Frame(Axis("bona fide flagged, %", low, high, marks), Axis("generated missed, %", low, high, marks))
    curve = [(_deviate(fpr), _deviate(fnr)) for fpr, fnr in points]
    return plot(
        "DET", frame, [frame.line([(low, low), (high, high)], NEUTRAL, is_dashed=True), frame.line(curve, SPOOF)]
    )


def _deviate(rate: float) -> float:
    return NormalDist().inv_cdf(min(1 - _DET_EDGE, max(_DET_EDGE, rate)))


def _histograms(
    edges: Sequence[float], bonafide: Sequence[int], spoof: Sequence[int], threshold: float | None, scale: str
) -> str:
    shares = [[count / max(1, sum(side)) for count in side] for side in (bonafide, spoof)]
    top = max(max(side) for side in shares) or 1.0
    frame = Frame(
        Axis(scale, edges[0], edges[-1], _marks(edges[0], edges[-1])),
        Axis("share of the class", 0.0, top, _percent_marks(top)),
    )
    layers = [frame.bars(edges, side, colour) for side, colour in zip(shares, (BONAFIDE, SPOOF), strict=True)]
    if threshold is not None and edges[0] <= threshold <= edges[-1]:
        layers.append(frame.upright(threshold))
    return plot("Histograms of scores", frame, layers, _LEGEND)


def _reliability(curves: Curves) -> str:
    frame = Frame(Axis("stated probability", 0.0, 1.0, _SHARES), Axis("share generated", 0.0, 1.0, _SHARES))
    points = [(stated, observed) for stated, observed, _, _ in curves.reliability or ()]
    diagonal = frame.line([(0, 0), (1, 1)], NEUTRAL, is_dashed=True)
    return plot("Reliability", frame, [diagonal, frame.line(points, SPOOF), frame.dots(points, SPOOF)])


def _tippett(points: Sequence[tuple[float, float, float]]) -> str:
    low, high = points[0][0], points[-1][0]
    frame = Frame(
        Axis("log10 likelihood ratio", low, high, _marks(low, high)),
        Axis("share at or above", 0.0, 1.0, _SHARES),
    )
    layers = [
        frame.line([(ratio, bonafide) for ratio, bonafide, _ in points], BONAFIDE),
        frame.line([(ratio, spoof) for ratio, _, spoof in points], SPOOF),
    ]
    if low <= 0 <= high:
        layers.append(frame.upright(0.0))
    return plot("Tippett", frame, layers, _LEGEND)


def _coverage(points: Sequence[tuple[float, float]]) -> str:
    top = max(error for _, error in points) or 0.01
    frame = Frame(
        Axis("clips decided", 0.0, 1.0, _SHARES),
        Axis("of these, wrong", 0.0, top, _percent_marks(top)),
    )
    return plot("Coverage against error", frame, [frame.line(points, SPOOF)])


def _marks(low: float, high: float) -> list[tuple[float, str]]:
    return [(value, f"{value:g}") for value in round_values(low, high)]


def _percent_marks(top: float) -> list[tuple[float, str]]:
    return [(value, f"{100 * value:g} %") for value in round_values(0.0, top)]
