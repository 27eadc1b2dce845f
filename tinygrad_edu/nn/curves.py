"""Curves as an SVG picture, without a plotting library: training histories, norms against depth."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from tinygrad_edu.core.primitive import GradError

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#777777")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 420, 80, 200, 40, 50


def ticks(low: float, high: float) -> list[float]:
    """About five round numbers from `low` to `high`.

    >>> ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    rough = (high - low) / 5 or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def line_chart(
    path: str | os.PathLike[str],
    curves: Mapping[str, Sequence[float]],
    *,
    title: str = "",
    x_label: str = "",
    y_label: str = "",
    first_x: float = 0,
    log: bool = False,
    dashed: Sequence[str] = (),
) -> None:
    """Write named curves, one number per step of x from `first_x`, to an SVG file.

    With `log` the y axis is logarithmic. What is not finite (or not positive, with `log`) is a gap.
    `dashed`: names of curves drawn so, bounds for example. Raises GradError with nothing to draw.
    """

    def height(y: float) -> float:
        if not math.isfinite(y) or (log and y <= 0):
            return math.nan
        return math.log10(y) if log else y

    points = {
        name: [(first_x + i, height(float(y))) for i, y in enumerate(ys)]
        for name, ys in curves.items()
    }
    heights = [y for curve in points.values() for _, y in curve if y == y]
    if not heights:
        raise GradError("line_chart: no curve has a finite number to draw")
    low, high = min(heights), max(heights)
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    last_x = max(max(len(curve) for curve in points.values()) - 1 + first_x, first_x + 1)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - first_x) / (last_x - first_x)
        return (
            LEFT + across * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - TOP - BOTTOM),
        )

    def text(x: float, y: float, words: str, anchor: str = "middle", more: str = "") -> str:
        return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(words)}</text>'

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12"><title>{escape(title)}</title>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        text((LEFT + WIDTH - RIGHT) / 2, 24, title, more=' font-size="15"'),
        text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x_label),
        text(16, HEIGHT / 2, y_label, more=f' transform="rotate(-90 16 {HEIGHT / 2})"'),
    ]
    for y in ticks(low, high):
        x0, at = place(first_x, y)
        parts.append(f'<path d="M{x0:.1f} {at:.1f}H{WIDTH - RIGHT}" stroke="#dddddd"/>')
        parts.append(text(x0 - 6, at + 4, f"{10**y:.2g}" if log else f"{y:g}", "end"))
    for x in ticks(first_x, last_x):
        at, bottom = place(x, low)
        parts.append(text(at, bottom + 18, f"{x:g}"))
    for i, (name, curve) in enumerate(points.items()):
        colour = COLOURS[i % len(COLOURS)]
        style = f'stroke="{colour}" fill="none" stroke-width="1.8"'
        style += ' stroke-dasharray="6 4"' if name in dashed else ""
        pen, path_data = "M", ""
        for x, y in curve:
            if y == y:
                path_data += "{}{:.1f} {:.1f}".format(pen, *place(x, y))
            pen = "L" if y == y else "M"
        at = TOP + 18 * i
        parts.append(f'<path d="{path_data}" {style}/>')
        parts.append(f'<path d="M{WIDTH - RIGHT + 12} {at}h22" {style}/>')
        parts.append(text(WIDTH - RIGHT + 40, at + 4, name, "start"))
    Path(path).write_text("\n".join([*parts, "</svg>\n"]), encoding="utf-8")
