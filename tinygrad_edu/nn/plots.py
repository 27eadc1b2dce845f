"""Plots as SVG or PNG files: curves (costs, accuracies, norms against depth), decision boundaries.

matplotlib draws them, an extra: ``pip install "tinygrad-edu[plots]"``. Never through its pyplot, so
no window opens, and the reader's current figure and settings stay as they are.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.core.files import write_whole
from tinygrad_edu.core.numbers import numbers
from tinygrad_edu.core.primitive import GradError, asarray
from tinygrad_edu.core.recording import no_grad
from tinygrad_edu.core.shown import fitted
from tinygrad_edu.core.signature import checked
from tinygrad_edu.core.value import Value
from tinygrad_edu.nn.network import Network

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Told apart by colour-blind eyes (M. Okabe and K. Ito, "Color Universal Design", 2008); with the
#: line styles beside them also in grey.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
STYLES = ("-", "-.", ":", (0, (3, 1, 1, 1, 1, 1)))
CLASSES = (("#e69f00", "o"), ("#0072b2", "^"))  # a colour and a marker for class 0 and for class 1
SETTINGS = {
    "svg.hashsalt": "tinygrad-edu",  # the same plot is the same file, byte for byte
    "svg.fonttype": "none",  # text stays text: small, and read by search and by screen readers
    "axes.grid": True, "grid.color": "#dddddd", "axes.axisbelow": True,
    "axes.spines.top": False, "axes.spines.right": False,
    "lines.linewidth": 1.8, "lines.markersize": 5,
}  # fmt: skip
FEW = 40  # so few steps are marked one by one
ROWS = 16  # of a legend, in one column
GRID = 100  # points of a decision boundary's grid, each way
_settings = threading.Lock()  # matplotlib's settings are the process's: one plot at a time


class Plot:
    """A plot that is in no file: a notebook shows it; `svg` is its text."""

    def __init__(self, title: str) -> None:
        self.title, self.svg = title, ""

    def __repr__(self) -> str:
        title = f" {self.title!r}" if self.title else ""
        return f"<Plot{title}; with a path as the first argument it is written to a file>"

    def _repr_html_(self) -> str:
        return fitted(self.svg)


@checked
def line_chart(
    path: str | os.PathLike[str] | None,
    curves: Mapping[str, Sequence[float]],
    *,
    title: str = "",
    x_label: str = "",
    y_label: str = "",
    first_x: float = 0,
    log: bool = False,
    dashed: Sequence[str] = (),
) -> Plot | None:
    """Write named curves, one number per step of x from `first_x`, to an SVG or PNG file.

    Without a path (None) the `Plot` is returned, which a notebook shows.
    With `log` the y axis is logarithmic. What is not finite (or not positive, with `log`) is a gap.
    `dashed`: names of curves drawn so, bounds for example. Raises GradError with nothing to draw
    and for another suffix, ImportError without matplotlib.
    """
    drawn = {}
    for name, curve in curves.items():
        y = np.array(numbers(curve, what=f"line_chart: {name}"), dtype=float, ndmin=1)
        y[~np.isfinite(y) | (log & (y <= 0))] = math.nan
        drawn[name] = y
    if not any(np.isfinite(y).any() for y in drawn.values()):
        raise GradError("line_chart: no curve has a finite number to draw")
    if len(drawn) == 1:
        y_label = y_label or next(iter(drawn))
    with _plot(path, title, x_label, y_label) as (figure, axes, plot):
        for i, (name, y) in enumerate(drawn.items()):
            axes.plot(
                float(first_x) + np.arange(y.size), y, label=name, color=COLOURS[i % len(COLOURS)],
                linestyle="--" if name in dashed else STYLES[i % len(STYLES)],
                marker="." if y.size <= FEW else "",
            )  # fmt: skip
        axes.locator_params(axis="x", integer=float(first_x).is_integer())
        if log:
            axes.set_yscale("log")
        if len(drawn) > 1:
            _legend(figure)
    return plot


@checked
def decision_boundary(
    path: str | os.PathLike[str] | None,
    f: Callable[[Any], Any],
    X: Any,
    Y: Any,
    *,
    title: str = "",
    x_label: str = "x₁",
    y_label: str = "x₂",
) -> Plot | None:
    """Write what `f` says of every point of the plane to an SVG or PNG file, with the examples.

    Without a path (None) the `Plot` is returned, which a notebook shows.

    `f` takes points as columns, (2, m), and gives the probability ŷ of class 1 for each: numbers or
    a Value of shape (m,), (1, m), or (2, m), one row per class; a `Network`, for example. X (2, m)
    are the examples, Y (m,) or (1, m) their classes, 0 or 1. Of a network with ``rows=True`` all
    that is transposed. The boundary is where ŷ = 1/2; a function that is on one side of it
    everywhere has none. Where ŷ is nan the plane is white.

    Raises GradError for other shapes and labels, for what is no probability, and for another
    suffix; ImportError without matplotlib.
    """
    rows = isinstance(f, Network) and f.rows
    given, y = np.asarray(numbers(X, what="decision_boundary: X"), dtype=float), asarray(Y)
    X, y = (given.T, y.T) if rows else (given, y)
    if X.ndim != 2 or len(X) != 2 or not X.size or not np.isfinite(X).all():
        wanted = "rows, (m, 2)" if rows else "columns, (2, m)"
        raise GradError(
            f"decision_boundary: X of shape {given.shape} must be finite points as {wanted}"
        )
    if y.shape not in ((X.shape[1],), (1, X.shape[1])) or not np.isin(y, (0, 1)).all():
        raise GradError(
            f"decision_boundary: Y of shape {np.shape(Y)} must be one class per "
            f"{'row' if rows else 'column'} of X, 0 or 1"
        )
    low, high = X.min(axis=1), X.max(axis=1)
    margin = np.where(high > low, 0.15 * (high - low), 1.0)
    x1, x2 = np.linspace(low - margin, high + margin, GRID, axis=1)
    plane = np.array(np.meshgrid(x1, x2)).reshape(2, -1)
    chance = _probabilities((lambda points: f(points.T).T) if rows else f, plane)
    chance = chance.reshape(GRID, GRID)
    with _plot(path, title, x_label, y_label) as (figure, axes, plot):
        from matplotlib.colors import LinearSegmentedColormap

        shades = LinearSegmentedColormap.from_list("classes", ["#f6c667", "#ffffff", "#7fb8dc"])
        tenths = np.linspace(0.0, 1.0, 11)
        areas = axes.contourf(x1, x2, chance, tenths, cmap=shades)
        if (chance < 0.5).any() and (chance > 0.5).any():
            axes.contour(x1, x2, chance, [0.5], colors="black", linewidths=1.8)
        for label, (colour, marker) in enumerate(CLASSES):
            x1, x2 = X[:, y.ravel() == label]
            axes.scatter(
                x1, x2, s=50, c=colour, marker=marker, edgecolors="black",
                label=f"class {label}", zorder=3,
            )  # fmt: skip
        axes.grid(False)
        figure.colorbar(areas, label="ŷ, the probability of class 1", ticks=tenths[::2])
        _legend(figure)
    return plot


def _probabilities(f: Callable[[Any], Any], points: Any) -> Any:
    """What `f` says of points as columns, (m,)."""
    with no_grad():
        result = f(points)
    result = result.data if isinstance(result, Value) else result
    result = np.asarray(numbers(result, what="decision_boundary: ŷ"), dtype=float)
    m = points.shape[1]
    if result.shape not in ((m,), (1, m), (2, m)):
        raise GradError(
            f"decision_boundary: for {m} points the function gave shape {result.shape}, and must "
            f"give a probability for each: ({m},), (1, {m}), or (2, {m}) with one row per class"
        )
    result = result.reshape(-1, m)[-1]  # of one row per class, that of class 1
    beyond = result[(result < 0) | (result > 1)]
    if beyond.size:
        raise GradError(
            "decision_boundary: the function must give probabilities, from 0 to 1, and gave "
            f"{beyond[0]:.3g}; does it lack a sigmoid?"
        )
    return result


@contextlib.contextmanager
def _plot(
    path: str | os.PathLike[str] | None, title: str, x_label: str, y_label: str
) -> Iterator[tuple[Figure, Axes, Plot | None]]:
    """A figure and its axes to draw on; afterwards the file is written, whole or not at all, or,
    without a path, the plot has its text."""
    format = "svg" if path is None else Path(path).suffix[1:].lower()
    if format not in ("svg", "png"):
        raise GradError(f"the suffix of a plot, {Path(path or '').name!r}, must be .svg or .png")
    try:
        from matplotlib import style
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(
            'plots are drawn by matplotlib: pip install "tinygrad-edu[plots]"'
        ) from None
    with _settings, style.context(["default", SETTINGS]):
        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(title, parse_math=False)  # a $ is a $
        axes.set_xlabel(x_label, parse_math=False)
        axes.set_ylabel(y_label, parse_math=False)
        plot = Plot(title) if path is None else None
        yield figure, axes, plot
        about = {"Title": title, "Date": None} if format == "svg" else {"Title": title}
        made = io.BytesIO()
        figure.savefig(made, format=format, metadata=about)
        if plot is not None:
            plot.svg = made.getvalue().decode()
        elif path is not None:
            write_whole(Path(path), lambda file: file.write(made.getvalue()))


def _legend(figure: Figure) -> None:
    """What each curve or kind of point is called, beside the plot."""
    names = figure.axes[0].get_legend_handles_labels()[1]
    columns = -(-len(names) // ROWS)
    legend = figure.legend(loc="outside right upper", ncols=columns, frameon=False, handlelength=3)
    for text in legend.get_texts():
        text.set_parse_math(False)
