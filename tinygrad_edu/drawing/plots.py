"""Plots as SVG inside the page; every text in them is a text, every colour one of the page's."""

from __future__ import annotations

import html
import itertools
import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

Range = tuple[float, float]
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_ids = itertools.count(1)


class Html(str):
    """A piece of a page, put in as it is."""


def number(x: float, digits: int = 3) -> str:
    """With a real minus sign, and none before zero.

    >>> number(-0.25, 1), number(-0.0001, 2)
    ('−0.2', '0.00')
    """
    text = f"{x:.{digits}f}"
    if re.fullmatch(r"-0\.?0*", text):
        text = text[1:]
    return text.replace("-", "−")


def power(exponent: int) -> str:
    """``10⁻³``."""
    return "10" + str(exponent).translate(_SUPERSCRIPT)


def scientific(x: float) -> str:
    """One digit and a power of ten.

    >>> scientific(3.5e-16), scientific(0.0)
    ('3.5·10⁻¹⁶', '0')
    """
    if x == 0 or not math.isfinite(x):
        return "0" if x == 0 else str(x)
    exponent = math.floor(math.log10(abs(x)))
    return f"{number(x / 10**exponent, 1)}·{power(exponent)}"


def size(x: float) -> str:
    """Three digits, or a power of ten where they would say little.

    >>> size(0.25), size(0.0001), size(0.0)
    ('0.250', '1.0·10⁻⁴', '0')
    """
    return number(x, 3) if x >= 0.01 else scientific(x)


def text(
    x: float, y: float, said: str, kind: str = "", anchor: str = "middle", size: int = 16
) -> str:
    """A text of a picture."""
    return (
        f'<text x="{x:.4g}" y="{y:.4g}" class="{kind}" text-anchor="{anchor}" '
        f'font-size="{size}">{said}</text>'
    )


def letters(text: str) -> str:
    """Letters with an index and a layer for a picture: ``dz_1^2`` is dz₁⁽²⁾, layer in brackets."""
    base, _, above = text.partition("^")
    base, _, below = base.partition("_")
    above, tail = (above[:1], above[1:]) if above else ("", "")
    if not above and below:
        below, tail = re.match(r"(\w*)(.*)", below).groups()  # type: ignore[union-attr]
    shown = re.sub(r"[A-Za-z]", r'<tspan class="i">\g<0></tspan>', base)
    if above and below:
        back = max(0.06, 0.9 - 0.41 * len(below))
        shown += (
            f'<tspan class="s" dy="-.72em">[{above}]</tspan><tspan class="s" dx="-1.3em" '
            f'dy="1.14em">{below}</tspan><tspan dx="{back:.2f}em" dy="-.285em">&#8203;</tspan>'
        )
    elif above:
        shown += f'<tspan class="s" dy="-.6em">[{above}]</tspan><tspan dy=".39em">&#8203;</tspan>'
    elif below:
        shown += f'<tspan class="s" dy=".38em">{below}</tspan><tspan dy="-.25em">&#8203;</tspan>'
    return shown + tail


def svg(width: float, height: float, body: str, title: str, least: int = 0, more: str = "") -> Html:
    """A picture with its title, never shown narrower than `least`."""
    name = f"p{next(_ids)}"
    style = f' style="min-width:{least}px"' if least else ""
    return Html(
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-labelledby="{name}"{style} '
        f'{more}><title id="{name}">{html.escape(title)}</title>{body}</svg>'
    )


def begin() -> None:
    """Titles are numbered from one again: the same page has the same numbers."""
    global _ids
    _ids = itertools.count(1)


class Plot:
    """A frame with two scales; a logarithmic y is given as powers of ten."""

    def __init__(
        self, box: tuple[float, float, float, float], xs: Range, ys: Range, log: bool = False
    ) -> None:
        self.x, self.y, self.w, self.h = box
        self.xs, self.ys, self.log = xs, ys, log

    def right(self, x: float) -> float:
        """Where a number lies from left to right."""
        return self.x + (x - self.xs[0]) / (self.xs[1] - self.xs[0]) * self.w

    def down(self, y: float) -> float:
        """Where a number lies from above."""
        if self.log:
            y = math.log10(y) if y > 0 else math.nan
        return self.y + self.h - (y - self.ys[0]) / (self.ys[1] - self.ys[0]) * self.h

    def axes(
        self,
        xs: Iterable[float],
        ys: Iterable[float],
        x_text: Callable[[Any], str] = lambda x: number(x, 0),
        y_text: Callable[[Any], str] = lambda y: f"{y:g}".replace("-", "−"),
    ) -> str:
        """The frame, its lines and the numbers beside them."""
        found = [
            f'<rect x="{self.x}" y="{self.y}" width="{self.w}" height="{self.h}" class="plotbg"/>'
        ]
        for x in xs:
            at = self.right(x)
            found.append(
                _line(
                    at, self.y, at, self.y + self.h, "axis" if x == 0 and not self.log else "grid"
                )
            )
            found.append(text(at, self.y + self.h + 21, x_text(x), "mut"))
        for y in ys:
            at = self.down(10.0**y if self.log else y)
            kind = "axis" if y == 0 and not self.log else "grid"
            found.append(_line(self.x, at, self.x + self.w, at, kind))
            found.append(text(self.x - 6, at + 5.6, y_text(y), "mut", "end"))
        return "".join(found)

    def curve(self, points: Iterable[tuple[float, float]], kind: str) -> str:
        """A line through the points that are numbers."""
        pieces: list[list[str]] = [[]]
        for x, y in points:
            at = self.down(y)
            if math.isfinite(at):
                pieces[-1].append(f"{self.right(x):.1f},{at:.1f}")
            elif pieces[-1]:
                pieces.append([])
        path = "".join(f"M{' '.join(piece)}" for piece in pieces if piece)
        return f'<path d="{path}" class="{kind}"/>' if path else ""

    def point(self, x: float, y: float, kind: str, radius: float = 6.5) -> str:
        """A dot, where the number is one."""
        at = self.down(y)
        if not math.isfinite(at):
            return ""
        return f'<circle class="{kind}" r="{radius}" cx="{self.right(x):.1f}" cy="{at:.1f}"/>'

    def boundary(self, grid: Any) -> str:
        """Where a grid of probabilities is above one half: the region and its edge."""
        cells = np.asarray(grid) > 0.5
        return (
            f'<path class="reg" d="{self._region(cells)}"/>'
            f'<path class="cont" d="{self._edge(np.asarray(grid))}"/>'
        )

    def _region(self, cells: Any) -> str:
        n = len(cells)
        w, h = self.w / n, self.h / n
        found = []
        for row, above in enumerate(cells):
            y = self.y + self.h - (row + 1) * h
            for inside, run in itertools.groupby(range(n), key=above.__getitem__):
                columns = list(run)
                if inside:
                    width = len(columns) * w
                    found.append(
                        f"M{self.x + columns[0] * w:.1f} {y:.1f}h{width:.1f}v{h + 0.3:.1f}"
                        f"h{-width:.1f}z"
                    )
        return "".join(found)

    def _edge(self, grid: Any) -> str:
        """Marching squares at one half."""
        n = len(grid)
        w, h = self.w / (n - 1), self.h / (n - 1)
        found = []
        for row, column in itertools.product(range(n - 1), repeat=2):
            corners = [(column, row), (column + 1, row), (column + 1, row + 1), (column, row + 1)]
            crossings = []
            for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1]):
                a, b = grid[y0][x0], grid[y1][x1]
                if (a > 0.5) != (b > 0.5):
                    t = (0.5 - a) / (b - a)
                    x, y = (x0 + t * (x1 - x0)) * w, (y0 + t * (y1 - y0)) * h
                    crossings.append(f"{self.x + x:.1f} {self.y + self.h - y:.1f}")
            for start, end in zip(crossings[::2], crossings[1::2]):
                found.append(f"M{start}L{end}")
        return "".join(found)


def four_points(title: str, body: Callable[[Plot], str], targets: Sequence[float]) -> Html:
    """The corners of the unit square as two classes, crosses and dots, above what `body` draws."""
    plot = Plot((40, 16, 300, 300), (-0.5, 1.5), (-0.5, 1.5))
    drawn = plot.axes((0, 1), (0, 1)) + body(plot)
    for (a, b), target in zip(((0, 0), (0, 1), (1, 0), (1, 1)), targets):
        drawn += mark(plot, a, b, bool(target), 9)
    drawn += text(190, 354, letters("x_1"), "v") + text(16, 171, letters("x_2"), "v")
    return svg(354, 364, drawn, title, more='class="mw" data-plot="[40, 16, 300]"')


def mark(plot: Plot, x: float, y: float, dot: bool, size: float) -> str:
    """An example: a dot for class 1, a cross for class 0."""
    if dot:
        return plot.point(x, y, "c1", size)
    a, b = plot.right(x) - size, plot.down(y) - size
    d = 2 * size
    return f'<path d="M{a:.1f} {b:.1f}l{d} {d}M{a:.1f} {b + d:.1f}l{d} {-d}" class="c0"/>'


def grid_of(f: Callable[[Any], Any], xs: Range, ys: Range, n: int = 48) -> Any:
    """The values of f, which takes columns, on a grid."""
    a, b = np.meshgrid(np.linspace(*xs, n), np.linspace(*ys, n))
    return np.asarray(f(np.stack([a.ravel(), b.ravel()]))).reshape(n, n)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'
