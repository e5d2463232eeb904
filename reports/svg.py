"""Small plots as inline SVG, made by hand: no library, no script, nothing to load.

A plot is a frame with axes and layers on top. Values outside the axes are drawn at their edge.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 420, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 20, 12, 44
BONAFIDE, SPOOF, NEUTRAL = "#1f6fb2", "#c8472d", "#555555"


def round_values(low: float, high: float, at_most: int = 7) -> list[float]:
    """Round numbers from `low` to `high` for an axis: multiples of 1, 2 or 5 times a power of ten."""
    if not (math.isfinite(low) and math.isfinite(high) and high > low):
        return [low] if math.isfinite(low) else []
    power = 10.0 ** math.floor(math.log10((high - low) / at_most))
    step = next(size * power for size in (1, 2, 5, 10) if (high - low) / (size * power) <= at_most)
    digits = max(0, -math.floor(math.log10(step)))
    # a hair beyond the end: 0.3 is no multiple of 0.1 in binary
    n_values = math.floor((high - math.ceil(low / step) * step) / step + 1e-9) + 1
    return [round((math.ceil(low / step - 1e-9) + n) * step, digits) for n in range(n_values)]


@dataclass(frozen=True)
class Axis:
    """One axis: what it shows, its ends, and where it has marks, as (value, text)."""

    title: str
    low: float
    high: float
    marks: Sequence[tuple[float, str]]

    def place(self, value: float) -> float:
        """Where `value` lies between the ends, from 0 to 1."""
        span = self.high - self.low
        return min(1.0, max(0.0, (value - self.low) / span)) if span > 0 else 0.5


@dataclass(frozen=True)
class Frame:
    """The area of a plot: turns values into places."""

    x: Axis
    y: Axis

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Place of a point, in SVG units."""
        return (
            round(_LEFT + self.x.place(x) * (WIDTH - _LEFT - _RIGHT), 1),
            round(HEIGHT - _BOTTOM - self.y.place(y) * (HEIGHT - _TOP - _BOTTOM), 1),
        )

    def line(self, points: Points, colour: str, *, is_dashed: bool = False) -> str:
        """A line through the points."""
        places = " ".join(f"{x},{y}" for x, y in (self.at(*point) for point in points))
        dashes = ' stroke-dasharray="4 4"' if is_dashed else ""
        return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="1.6"{dashes}/>'

    def dots(self, points: Points, colour: str) -> str:
        """A disc at each point."""
        places = (self.at(*point) for point in points)
        return "".join(f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in places)

    def bars(self, edges: Sequence[float], heights: Sequence[float], colour: str) -> str:
        """Upright bars between neighbouring `edges`, through which one sees."""
        drawn = []
        for (low, high), height in zip(pairwise(edges), heights, strict=True):
            (left, top), (right, bottom) = self.at(low, height), self.at(high, self.y.low)
            size = f'width="{max(0.5, right - left):.1f}" height="{bottom - top:.1f}"'
            drawn.append(f'<rect x="{left}" y="{top}" {size} fill="{colour}" fill-opacity="0.5"/>')
        return "".join(drawn)

    def upright(self, x: float, colour: str = NEUTRAL) -> str:
        """A dashed line from bottom to top."""
        return self.line([(x, self.y.low), (x, self.y.high)], colour, is_dashed=True)


def plot(title: str, frame: Frame, layers: Sequence[str], legend: Sequence[tuple[str, str]] = ()) -> str:
    """A whole plot; `legend` are (text, colour). The title is read aloud by screen readers."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title>'
        + _axes(frame)
        + "".join(layers)
        + "".join(
            f'<text x="{WIDTH - _RIGHT - 4}" y="{_TOP + 14 + 14 * line}" text-anchor="end" fill="{colour}" '
            f'stroke="#fff" stroke-width="3" paint-order="stroke">{escape(text)}</text>'
            for line, (text, colour) in enumerate(legend)
        )
        + "</svg>"
    )


def level_bars(title: str, rows: Sequence[tuple[str, float, str]]) -> str:
    """Lying bars, one under the other: (name, share in [0, 1], text behind the bar)."""
    line_height, name_width, longest = 18, 190, 140
    height = line_height * len(rows) + 6
    parts = []
    for number, (name, share, text) in enumerate(rows):
        base = line_height * number + 14
        shown = name if len(name) <= 30 else f"{name[:29]}…"
        width = round(longest * min(1.0, max(0.0, share)), 1)
        whole = f"<title>{escape(name)}</title>"
        parts.append(
            f'<text x="{name_width - 6}" y="{base}" text-anchor="end">{whole}{escape(shown)}</text>'
            f'<rect x="{name_width}" y="{base - 10}" width="{width}" height="12" fill="{SPOOF}" fill-opacity="0.7"/>'
            f'<text x="{name_width + width + 4}" y="{base}">{escape(text)}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + 20} {height}" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title>' + "".join(parts) + "</svg>"
    )


def _axes(frame: Frame) -> str:
    (left, bottom), (right, top) = frame.at(frame.x.low, frame.y.low), frame.at(frame.x.high, frame.y.high)
    parts = [
        f'<rect x="{left}" y="{top}" width="{right - left:.1f}" height="{bottom - top:.1f}" fill="none" stroke="#999"/>'
    ]
    for value, text in frame.x.marks:
        x, y = frame.at(value, frame.y.low)
        parts.append(
            f'<path d="M{x} {y}v4" stroke="#999"/><text x="{x}" y="{y + 16}" text-anchor="middle">{text}</text>'
        )
    for value, text in frame.y.marks:
        x, y = frame.at(frame.x.low, value)
        parts.append(
            f'<path d="M{x} {y}h-4" stroke="#999"/><text x="{x - 7}" y="{y + 4}" text-anchor="end">{text}</text>'
        )
    middle = (top + bottom) / 2
    turned = f'transform="rotate(-90 14 {middle})"'
    parts.append(
        f'<text x="{(left + right) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(frame.x.title)}</text>'
        f'<text x="14" y="{middle}" text-anchor="middle" {turned}>{escape(frame.y.title)}</text>'
    )
    return "".join(parts)
