"""Small pictures for a page, as inline SVG: errors by regime, and errors over the argument."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from conformance.record.plain import as_float
from conformance.report.words import clean, size, ulps

BAR, GAP, HALF = 9, 2, 9  # pixels: a bar's width, the gap, and the height of the whole budget


def strip(regimes: Mapping[str, Mapping[str, Any]]) -> Markup:
    """Errors by regime: the line is the budget; bars rise to it in hundredths, and beyond it by powers of 10."""
    inside: list[str] = []
    outside: list[str] = []
    for i, item in enumerate(regimes.values()):
        ratio = as_float(item["worst_ratio"]) or 0.0
        (outside if ratio > 1 else inside).append(_bar(i, ratio))
    width = len(regimes) * (BAR + GAP)
    said = "; ".join(f"{clean(name)}: {size(item) or 'exact'}" for name, item in regimes.items())
    bars = "".join(f'<path class="{name}" d="{"".join(d)}"/>' for name, d in (("in", inside), ("out", outside)) if d)
    return Markup(
        f'<svg class="strip" role="img" width="{width}" height="{2 * HALF}"><title>{escape(said)}</title>{bars}'
        f'<path class="budget" d="M0 {HALF}h{width}"/></svg>'
    )


def _bar(i: int, ratio: float) -> str:
    if ratio <= 1:
        height = HALF * max(0.0, 1 + math.log10(ratio) / 2) if ratio > 0 else 0.0
    else:
        height = HALF + min(HALF, 1 + math.log10(ratio) * 1.6) if math.isfinite(ratio) else 2 * HALF
    tall = max(1, round(height))
    return f"M{i * (BAR + GAP)} {2 * HALF}v-{tall}h{BAR}v{tall}z"


WIDTH, HEIGHT, LEFT, BOTTOM = 320, 110, 44, 18
TICKS = (-100.0, -1.0, -0.01, 0.0, 0.01, 1.0, 100.0)
# How far along the way from 0 to an end these powers of 10 stand: there is more room where ordinary numbers are.
POWERS, PLACES = (-8.0, -2.0, 2.0, 8.0), (0.0, 0.2, 0.85, 1.0)


def plot(points: Sequence[Sequence[float]]) -> Markup:
    """Ulps over the argument, on logarithmic axes, the argument's on either side of 0. Needs `axes` in the page."""
    highest = max((size for _, size in points), default=1.0)
    top = max(1, math.ceil(math.log10(highest)) if highest > 1 else 1)
    heights: dict[int, float] = {}
    for at, error in points:
        heights[_x(at)] = max(error, heights.get(_x(at), 0.0))
    marks = "".join(f"M{x} {_y(error, top)}h0" for x, error in sorted(heights.items()))
    at, worst = max(points, key=lambda point: point[1], default=(0.0, 0.0))
    unit = _y(1.0, top)
    return Markup(
        f'<svg class="plot" role="img" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
        f'<title>{escape(f"largest error {ulps(worst)}, at {at:.3g}")}</title><use href="#axes"/>'
        f'<path class="axis" d="M{LEFT} {unit}H{WIDTH}"/><text x="{LEFT - 5}" y="{unit + 4}">1</text>'
        f'<text x="{LEFT - 5}" y="12">{10 if top == 1 else f"1e{top}"}</text><path class="marks" d="{marks}"/></svg>'
    )


def axes() -> Markup:
    """What every plot has in common, to stand once in a page."""
    floor = HEIGHT - BOTTOM
    lines = "".join(f"M{_x(tick)} 4V{floor}" for tick in TICKS) + f"M{LEFT} 8H{WIDTH}M{LEFT} {floor}H{WIDTH}"
    labels = "".join(f'<text class="tick" x="{_x(t)}" y="{HEIGHT - 5}">{_label(t)}</text>' for t in TICKS)
    return Markup(
        f'<svg class="unseen" aria-hidden="true"><defs><g id="axes"><path class="axis" d="{lines}"/>{labels}'
        f'<text x="{LEFT - 5}" y="{floor + 4}">0.01</text></g></defs></svg>'
    )


def _label(tick: float) -> str:
    return f"{tick:g}".replace("e+0", "e").replace("-", "−")


def _x(at: float) -> int:
    """The argument's place: 0 in the middle, 1e8 and all beyond it at the ends."""
    middle, half = (LEFT + WIDTH) / 2, (WIDTH - LEFT) / 2 - 12
    power = math.log10(abs(at)) if at else -math.inf
    after = bisect.bisect_left(POWERS, power)
    if at == 0 or after in (0, len(POWERS)):
        share = float(after > 0)
    else:
        part = (power - POWERS[after - 1]) / (POWERS[after] - POWERS[after - 1])
        share = PLACES[after - 1] + part * (PLACES[after] - PLACES[after - 1])
    return round(middle + math.copysign(share * half, at))


def _y(size: float, top: int) -> int:
    """The error's place: below a hundredth of an ulp at the floor."""
    share = 0.0 if size <= 0.01 else min((math.log10(size) + 2) / (top + 2), 1.0)
    return round(HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - 8))
