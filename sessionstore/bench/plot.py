"""One picture of a run: time, memory or rates against the number of sessions or processes, on logarithmic axes, as SVG.

Written by hand, since it is two axes and some lines: no library is needed to see it.
Not here: the figures (figures), tables (report).
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from sessionstore.bench.figures import Figures
from sessionstore.bench.report import amount

_COLOURS = ("#1f6feb", "#d29922", "#2da44e", "#cf222e", "#8250df", "#0a7ea4", "#bf3989", "#57606a")
_WIDTH, _HEIGHT, _LEFT, _TOP, _ROW = 860, 440, 80, 40, 20
Point = tuple[float, float]


def lines_of(figures: Figures, unit: str = "s") -> dict[str, list[Point]]:
    """Return seconds an operation (or ``MB``, or a rate) against size, for cases measured at more than one size."""
    found: dict[str, list[Point]] = {}
    for each in figures:
        if each.size and each.unit in (unit, f"/{unit}") and each.median > 0:
            value = each.median if each.unit == unit else 1 / each.median
            found.setdefault(f"{each.workload} {each.case}: {each.system}", []).append((each.size, value))
    return {name: sorted(points) for name, points in found.items() if len({x for x, _ in points}) > 1}


def draw(figures: Figures, title: str, unit: str = "s", base: int = 10, all_systems: bool = False) -> str | None:
    """Return the picture; None when nothing was measured at two sizes.

    Args:
        base: sizes are shown as powers of it.
        all_systems: draw the other systems, too.
    """
    found = lines_of(figures, unit)
    lines = {name: points for name, points in found.items() if all_systems or name.endswith(": sessionstore")}
    if not lines:
        return None
    x_low, x_high = _powers([x for points in lines.values() for x, _ in points], base)
    y_low, y_high = _powers([y for points in lines.values() for _, y in points])

    def place(point: Point) -> tuple[float, float]:
        across = (math.log(point[0], base) - x_low) / (x_high - x_low)
        up = (math.log10(point[1]) - y_low) / (y_high - y_low)
        return _LEFT + across * (_WIDTH - _LEFT - 50), _TOP + (1 - up) * (_HEIGHT - _TOP - 40)

    parts = [_text(_LEFT, 22, title, "bold")]
    parts += _grid([float(base) ** x for x in range(x_low, x_high + 1)], range(y_low, y_high + 1), place, unit)
    for number, (name, points) in enumerate(lines.items()):
        parts += _line([place(each) for each in points], _COLOURS[number % len(_COLOURS)], number // len(_COLOURS))
        y = _HEIGHT + 14 + _ROW * number
        parts += _line([(_LEFT, y - 4), (_LEFT + 30, y - 4)], _COLOURS[number % len(_COLOURS)], number // len(_COLOURS))
        parts.append(_text(_LEFT + 40, y, name if all_systems else name.removesuffix(": sessionstore")))
    height = _HEIGHT + _ROW * (len(lines) + 1)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#ffffff"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _powers(values: Sequence[float], base: int = 10) -> tuple[int, int]:
    low, high = math.floor(math.log(min(values), base) + 1e-9), math.ceil(math.log(max(values), base) - 1e-9)
    return low, max(high, low + 1)


def _grid(xs: Sequence[float], ys: range, place: object, unit: str) -> list[str]:
    assert callable(place)
    parts = []
    for x in xs:
        (left, top), (_, bottom) = place((x, 10.0 ** ys[-1])), place((x, 10.0 ** ys[0]))
        parts.append(f'<path d="M{left:.1f} {top:.1f}V{bottom:.1f}" stroke="#d0d7de"/>')
        parts.append(_text(left - 14, bottom + 18, f"{x:,.0f}"))
    for y in ys:
        (left, level), (right, _) = place((xs[0], 10.0**y)), place((xs[-1], 10.0**y))
        parts.append(f'<path d="M{left:.1f} {level:.1f}H{right:.1f}" stroke="#d0d7de"/>')
        parts.append(_text(12, level + 4, amount(10.0**y, unit)))
    return parts


def _line(points: Sequence[tuple[float, float]], colour: str, style: int) -> list[str]:
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    dashes = ("", ' stroke-dasharray="6 3"', ' stroke-dasharray="2 3"')[style % 3]
    line = f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>'
    return [line, *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points)]


def _text(x: float, y: float, text: str, weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-weight="{weight}">{html.escape(text)}</text>'
