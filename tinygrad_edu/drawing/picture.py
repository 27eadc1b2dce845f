"""From a graph to a picture: values as tables, operations as ellipses, gradients dashed."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import graphviz  # type: ignore[import-untyped]

from tinygrad_edu.core.habits import no_argument
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.shown import fitted
from tinygrad_edu.core.signature import checked
from tinygrad_edu.core.sweep import reachable
from tinygrad_edu.core.value import Value
from tinygrad_edu.drawing import renderer
from tinygrad_edu.drawing.boxes import FONT, SIZE, SMALL, Drawing
from tinygrad_edu.drawing.expand import expanded
from tinygrad_edu.drawing.outline import outline
from tinygrad_edu.drawing.page import StepThrough
from tinygrad_edu.words import Words

#: More boxes than this are folded unless ``max_nodes`` says otherwise: more are not looked at.
MAX_NODES = 60
#: Above this many values a picture of all is plain: a line of text a value, forward edges only.
PLAIN = 1000

SHOW = ("forward", "backward", "both")
DETAIL = ("lines", "operations", "parts")
RANKDIR = {"right": "LR", "down": "TB"}
CONVENTION = ("calculus", "lecture")


class Picture(graphviz.Digraph):  # type: ignore[misc]
    """A `graphviz.Digraph` that draws itself with and without the system's Graphviz.

    `folded` says what was left out; empty where everything is shown.
    """

    folded: str = ""

    def __repr__(self) -> str:
        arrows = sum("->" in line for line in self.body)
        return f'<Picture with {arrows} arrows; .render("graph") writes graph.svg>'

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> Any:
        """What a notebook shows: the picture, and a text where pictures are not shown or drawn."""
        try:
            shown = super()._repr_mimebundle_(include, exclude)
        except (GradError, OSError) as error:
            return {"text/plain": f"{self!r}: {error}"}
        if "image/svg+xml" in shown:
            shown["image/svg+xml"] = fitted(shown["image/svg+xml"])
        return {"text/plain": repr(self)} | shown

    def pipe(
        self, format: str | None = None, *_: Any, encoding: str | None = None, **__: Any
    ) -> Any:
        """The picture as bytes, or as text with `encoding`: ``svg``, ``png`` or ``pdf``.

        Raises GradError where it cannot be drawn.
        """
        content = renderer.to_bytes(self.source, format or self.format)
        return content.decode(encoding) if encoding else content

    def render(
        self,
        filename: Any = None,
        directory: Any = None,
        view: bool = False,
        cleanup: bool = False,
        format: str | None = None,
        *_: Any,
        outfile: Any = None,
        **__: Any,
    ) -> str:
        """Write the picture to ``filename.format`` or to `outfile`; returns its path.

        Unlike `graphviz`, no DOT source is left beside it. Raises GradError where it cannot be
        drawn, FileNotFoundError where the folder does not exist.
        """
        format = format or (Path(outfile).suffix[1:] if outfile else None) or self.format
        path = Path(outfile) if outfile else Path(f"{filename or self.filename}.{format}")
        path = Path(directory or "") / path
        if not path.parent.is_dir():
            renderer.write(path, b"")  # says which folder is missing, before the layout is computed
        written = renderer.write(path, self.pipe(format))
        if view:
            self._view(written, format=format, quiet=True)
        return os.fspath(written)


@checked
def draw(
    cost: Value | Sequence[Value],
    show: str = "both",
    names: Mapping[str, Any] | None = None,
    max_nodes: int | None = MAX_NODES,
    detail: str = "lines",
    direction: str = "right",
    convention: str = "calculus",
    legend: bool = True,
    verdicts: Mapping[str, str] | None = None,
    language: str = "en",
) -> Picture:
    """The graph `cost` was computed from, with shapes, values and gradients; of several results,
    in a list, one picture.

    `show`: ``"forward"``, ``"backward"`` or ``"both"``. `names`: names for values that have none,
    such as ``locals()``. Above `max_nodes` boxes the graph is folded, and says so; ``None`` draws
    all. `detail`: ``"lines"`` has a box for each line, steps without a name being part of the line
    that uses them (an affine map, a loss), ``"operations"`` one for each operation, ``"parts"``
    operations made of simpler ones in their parts. `direction`: where the computation goes,
    ``"right"``, as a line is read and a screen is wide, or ``"down"``. `convention`:
    ``"calculus"`` shows each gradient as ``.grad`` has it, ``"lecture"`` as `derive` writes it,
    m·∂J/∂Z; the caption says which. `verdicts`: words to mark nodes with, by name, such as
    ``{"W1": "wrong: the 1/m is missing"}``. `language`: of the captions, ``"en"`` or ``"fa"``.

    Gradients are those of one sweep of this graph, from what `backward` left at its results (of
    several: those of their sum, as `tg.backward` gives them); without that, none are shown,
    whatever another graph's sweep has left at a parameter. (More than 1,000 values drawn one by one
    have those that `backward` left them.) Nothing is changed.

    Raises TypeError for what is not a Value, GradError for an option that does not exist.

    >>> x = tg.Value(3.0, "x")
    >>> tg.draw(x * x).source.count("n0 -> n1")  # both uses of x, forward and back
    4
    """
    nodes, found, results = _graph(cost, show, names, max_nodes, detail, direction, convention)
    if PLAIN < len(nodes) <= (max_nodes or len(nodes)):
        return _picture(outline(nodes, found, show, results), direction)
    words, whole = Words(language), detail == "lines"
    drawing = Drawing(
        nodes, found, show, max_nodes, whole, convention, words, verdicts, results=results
    )
    return _drawn(drawing, direction, legend)


def _graph(
    cost: Value | Sequence[Value], show: str, names: Mapping[str, Any] | None,
    max_nodes: int | None, detail: str, direction: str, convention: str,
) -> tuple[list[Any], dict[Any, str], list[Value]]:  # fmt: skip
    """The nodes to draw, oldest first, the names of those that have one, and the results."""
    for what, value, known in (
        ("show", show, SHOW), ("detail", detail, DETAIL), ("direction", direction, tuple(RANKDIR)),
        ("convention", convention, CONVENTION),
    ):  # fmt: skip
        if value not in known:
            one_of = f"{', '.join(map(repr, known[:-1]))} or {known[-1]!r}"
            raise GradError(f"draw: {what} is {one_of}, not {value!r}")
    if max_nodes is not None and (type(max_nodes) is not int or max_nodes < 1):
        raise GradError(f"draw: max_nodes is a positive number or None, not {max_nodes!r}")
    results = [cost] if isinstance(cost, Value) else list(dict.fromkeys(cost))
    if not results:
        raise GradError("draw: the results are Values, one or more, in a list: this one is empty")
    nodes = _leading_to(results)
    found = _names(nodes, names)
    if detail == "parts":
        results, found = expanded(nodes, found, results)
        nodes = _leading_to(results)
    return nodes, found, results


def _leading_to(results: Sequence[Value]) -> list[Any]:
    """The nodes that results were computed from, and these themselves, oldest first."""
    found = reachable(results[0], every=True)
    if len(results) > 1:
        found = list({*found, *(node for z in results[1:] for node in reachable(z, every=True))})
    return sorted(found, key=attrgetter("_created"))


def _drawn(drawing: Drawing, direction: str, legend: bool) -> Picture:
    picture = _picture(drawing.dot(direction), direction)
    picture.folded = drawing.folded
    if legend:
        picture.graph_attr["label"] = f"<{drawing.caption()}>"
    elif drawing.folded:
        picture.graph_attr["label"] = drawing.folded
    return picture


def _names(nodes: Sequence[Any], given: Mapping[str, Any] | None) -> dict[Any, str]:
    """The name of each node that has one: its own, else one of those given."""
    found = {node: node.name for node in nodes if node.name}
    if given:
        drawn = set(nodes)
        for name, value in given.items():
            if isinstance(value, Value) and value.name is None and value in drawn:
                found.setdefault(value, str(name))
    return found


def _picture(body: Iterable[str], direction: str) -> Picture:
    picture = Picture(
        graph_attr={
            "rankdir": RANKDIR[direction],
            "fontname": FONT,
            "fontsize": f"{SIZE}",
            "nodesep": "0.25",
            "ranksep": "0.35",
            "labelloc": "b",
        },
        node_attr={"fontname": FONT, "fontsize": f"{SIZE}", "shape": "plain"},
        edge_attr={"fontname": FONT, "fontsize": f"{SMALL}", "arrowsize": "0.7"},
        format="svg",
    )
    picture.body.extend(body)
    return picture


@checked
def render(
    cost: Value | Sequence[Value],
    path: str | os.PathLike[str],
    title: str | None = None,
    **options: Any,
) -> Path:
    """Write a graph to a file, by suffix: svg, png, pdf, dot, or html. Returns its path.

    ``.html`` is a page to step through, forward and backward, with `title` as its heading.
    `options` are those of `draw`. The file is written whole or not at all.

    Raises GradError for another suffix and where the graph cannot be drawn, FileNotFoundError where
    the folder does not exist.
    """
    path = Path(path)
    format = path.suffix[1:].lower()
    if format not in ("svg", "png", "pdf", "dot", "html"):
        raise GradError(f"render: the suffix of {path.name!r} must be .svg .png .pdf .dot or .html")
    known = inspect.signature(draw).parameters
    if foreign := [key for key in options if key not in known]:
        raise no_argument("render", foreign[0], [*known, "path", "title"])
    if format == "html":
        return renderer.write(path, step_through(cost, title, **options).html().encode())
    picture = draw(cost, **options)
    if format == "dot":
        return renderer.write(path, picture.source.encode())
    return Path(picture.render(outfile=path, format=format))


@checked
def step_through(
    cost: Value | Sequence[Value],
    title: str | None = None,
    show: str = "both",
    names: Mapping[str, Any] | None = None,
    max_nodes: int | None = MAX_NODES,
    detail: str = "lines",
    direction: str = "right",
    convention: str = "calculus",
    verdicts: Mapping[str, str] | None = None,
    language: str = "en",
) -> StepThrough:
    """The page to step through a graph; the options are those of `draw`."""
    nodes, found, results = _graph(cost, show, names, max_nodes, detail, direction, convention)
    words, whole = Words(language), detail == "lines"
    drawing = Drawing(
        nodes, found, show, max_nodes, whole, convention, words, verdicts, ids=True, results=results
    )
    return StepThrough(drawing, _drawn(drawing, direction, legend=False).source, title)
