"""From a graph to a picture: values as tables, operations as ellipses, gradients dashed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import graphviz  # type: ignore[import-untyped]
import numpy as np

from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.sweep import reachable
from tinygrad_edu.core.value import Value
from tinygrad_edu.drawing import folding, numbers, renderer
from tinygrad_edu.drawing.text import layer_of, markup, quoted, superscripted, visible, wide

#: More values than this are folded unless ``max_nodes`` says otherwise.
MAX_NODES = 200
#: A leaf used more often is drawn again, small, at each use: long edges tie a layout in knots.
OFTEN = 8
#: Above this many values a picture is plain: one line of text a value, forward edges only.
PLAIN = 1000

_SHOW = ("forward", "backward", "both")
_GRADIENT = "#a11d33"
_FONT = "Arial"


class Role(NamedTuple):
    """How a kind of value looks: told apart by fill and by border, so that grey print is enough."""

    fill: str
    table: str  # attributes of its HTML-like table
    plain: str  # attributes of a plain node


ROLES = {
    "input": Role("#dcebf7", 'BORDER="1" STYLE="dashed"', 'style="filled,dashed"'),
    "parameter": Role("#fdebc8", 'BORDER="3"', "style=filled penwidth=3"),
    "intermediate": Role("#ffffff", 'BORDER="1" STYLE="rounded"', 'style="filled,rounded"'),
    "cost": Role("#dff0d8", 'BORDER="3" STYLE="rounded"', 'style="filled,rounded" penwidth=3'),
    "constant": Role("#f2f2f2", 'BORDER="1" STYLE="dotted"', 'style="filled,dotted"'),
}


def role_of(node: Any, root: Any) -> str:
    """What part a value plays: a leaf that learns is a parameter, a named other one an input."""
    if node is root:
        return "cost"
    if node.op is not None:
        return "intermediate"
    if node.requires_grad:
        return "parameter"
    return "input" if node.name or node.shape else "constant"


class Picture(graphviz.Digraph):  # type: ignore[misc]
    """A `graphviz.Digraph` that draws itself with and without the system's Graphviz.

    `folded` says what was left out; empty where everything is shown.
    """

    folded: str = ""

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


def draw(
    cost: Value,
    show: str = "both",
    names: Mapping[str, Any] | None = None,
    max_nodes: int | None = MAX_NODES,
) -> Picture:
    """The graph `cost` was computed from, with shapes, values and gradients.

    `show`: ``"forward"``, ``"backward"`` or ``"both"``. `names`: names for values that have none,
    such as ``locals()``. Above `max_nodes` values the graph is folded, and says so; ``None`` draws
    all. Gradients are shown as `backward` left them, and never changed.

    Raises TypeError for what is not a Value, GradError for an unknown `show` or `max_nodes`.

    >>> x = Value(3.0, "x")
    >>> draw(x * x).source.count("n0 -> o1 ")  # both uses of x, and their gradients
    4
    """
    if not isinstance(cost, Value):
        raise TypeError(f"draw: a Value is needed, not {type(cost).__name__}")
    if show not in _SHOW:
        raise GradError(f"draw: show is 'forward', 'backward' or 'both', not {show!r}")
    if max_nodes is not None and (type(max_nodes) is not int or max_nodes < 1):
        raise GradError(f"draw: max_nodes is a positive number or None, not {max_nodes!r}")
    nodes = reachable(cost, every=True)[::-1]
    whole = max_nodes is None or len(nodes) <= max_nodes
    if whole and len(nodes) > PLAIN:
        return _picture(_plain(nodes, show), [], "LR")
    return _Drawing(nodes, show, _names(nodes, names), None if whole else max_nodes).picture()


def _names(nodes: Sequence[Any], given: Mapping[str, Any] | None) -> dict[Any, str]:
    """The name of each node that has one: its own, else one of those given."""
    named = {id(value): name for name, value in reversed(list((given or {}).items()))}
    found = {}
    for node in nodes:
        name = node.name if node.name is not None else named.get(id(node))
        if name:
            found[node] = str(name)
    return found


def _picture(body: Iterable[str], notes: Sequence[str], rankdir: str) -> Picture:
    picture = Picture(
        graph_attr={
            "rankdir": rankdir, "fontname": _FONT, "fontsize": "11", "nodesep": "0.25",
            "ranksep": "0.35", "labelloc": "b",
        },
        node_attr={"fontname": _FONT, "fontsize": "11", "shape": "plain"},
        edge_attr={"fontname": _FONT, "fontsize": "10", "arrowsize": "0.7"},
        format="svg",
    )  # fmt: skip
    if notes:
        picture.graph_attr["label"] = "<" + "<BR/>".join(map(markup_line, notes)) + ">"
    picture.body.extend(body)
    return picture


def markup_line(text: str) -> str:
    """A sentence of our own, in full."""
    return markup(text, longest=400)


class _Drawing:
    """One picture in the making."""

    def __init__(
        self, nodes: Sequence[Any], show: str, names: dict[Any, str], limit: int | None
    ) -> None:
        self.nodes = nodes
        self.root = nodes[-1]
        self.show = show
        self.names = names
        self.id = {node: i for i, node in enumerate(nodes)}
        self.owner = folding.owners(nodes, names)
        self.folded = ""
        if limit is None:
            groups = [folding.Group("", [node]) for node in nodes]
        else:
            groups = folding.fold(nodes, names, limit)
            self.folded = (
                f"{len(nodes)} values, folded into {len(groups)} boxes "
                "(max_nodes=None draws all of them)"
            )
        self.groups = groups
        self.arrives: dict[Any, str] = {}  # where what a node is computed from goes in
        self.leaves: dict[Any, str] = {}  # where its value comes out
        for i, group in enumerate(groups):
            for node in group.members:
                box = f"n{self.id[node]}" if len(group.members) == 1 else f"g{i}"
                self.leaves[node] = box
                self.arrives[node] = f"o{self.id[node]}" if len(group.members) == 1 else box
        self.uses = Counter(
            parent for node in nodes for parent in node.parents if parent.op is None
        )

    def picture(self) -> Picture:
        few = sum(
            len(group.members) == 1 and group.members[0].op is not None for group in self.groups
        )
        picture = _picture(
            self.lines(), [self.folded] if self.folded else [], "LR" if few <= 12 else "TB"
        )
        picture.folded = self.folded
        return picture

    # --- boxes ---------------------------------------------------------------------------------

    def lines(self) -> list[str]:
        outside: list[str] = []
        clusters: dict[str, list[str]] = {}
        for i, group in enumerate(self.groups):
            if len(group.members) > 1:
                outside.append(f"\tg{i} [label=<{self.group_box(group)}>]\n")
                continue
            [node] = group.members
            where = outside
            if not self.folded and node in self.owner:
                where = clusters.setdefault(self.owner[node], [])
            where.append(f"\tn{self.id[node]} [label=<{self.box(node)}>]\n")
            if node.op is not None:
                label = quoted(op_label(node))
                where.append(
                    f'\to{self.id[node]} [label={label} shape=ellipse margin="0.04,0.02" '
                    f'height=0.3 width=0.4 style=filled fillcolor=white color="#555555"]\n'
                )
        lines = []
        for i, (title, inside) in enumerate(clusters.items()):
            lines.append(
                f"\tsubgraph cluster_{i} {{\n\tlabel=<{markup(title)}> labelloc=t "
                f'style="dashed,rounded" color="#999999" fontcolor="#555555"\n'
            )
            lines += inside
            lines.append("\t}\n")
        return lines + outside + self.edges()

    def name(self, node: Any) -> str:
        """What a node is called; one without a name is called after what computes it."""
        name = self.names.get(node)
        if name is None:
            return "" if node.op is None else op_label(node)
        found = layer_of(name)
        if found and self.owner.get(node) == f"layer {found[1]}":
            return superscripted(*found)
        return name

    def box(self, node: Any) -> str:
        role = ROLES[role_of(node, self.root)]
        name = visible(self.name(node))
        kind = f"{node.shape}" + (
            "" if node.dtype == np.float64 and not node.shape else f" {node.dtype}"
        )
        width = f' WIDTH="{wide(name)}"' if wide(name) else ""
        title = f"<B>{markup(name)}</B> " if name.strip() else ""
        rows = [
            f'<TR><TD COLSPAN="2"{width}>{title}'
            f'<FONT POINT-SIZE="9" COLOR="#555555">{kind}</FONT></TD></TR>'
        ]
        if self.show != "backward":
            rows.append(_row("value", numbers.html_like(node._data)))
        if self.show != "forward" and node.requires_grad:
            g = node._grad
            shown = "<I>not computed</I>" if g is None else numbers.html_like(g)
            rows.append(_row("grad", f'<FONT COLOR="{_GRADIENT}">{shown}</FONT>'))
        return (
            f'<TABLE {role.table} CELLBORDER="0" CELLSPACING="1" CELLPADDING="3" '
            f'BGCOLOR="{role.fill}" COLOR="#333333">{"".join(rows)}</TABLE>'
        )

    def group_box(self, group: folding.Group) -> str:
        computed = [node for node in group.members if node.op is not None]
        learned = [node for node in group.members if node.op is None and node.requires_grad]
        ops = Counter(op_label(node) for node in computed).most_common()
        parts = [f"{n} {op}" if n > 1 else op for op, n in ops[:6]] + ["…"] * (len(ops) > 6)
        lines = [", ".join(parts)] if parts else []
        named = [self.names[node] for node in group.members if node in self.names]
        if named:
            lines.append(
                ", ".join(visible(n, 12) for n in named[:4]) + (" …" if len(named) > 4 else "")
            )
        if learned:
            total = sum(node.size for node in learned)
            lines.append(f"{total} parameter" + "s" * (total > 1))
            if self.show != "forward":
                known = [node._grad for node in learned if node._grad is not None]
                if len(known) == len(learned):
                    norm = float(np.sqrt(sum(float(np.sum(np.square(g))) for g in known)))
                    lines.append(f"‖grad‖ {numbers.number(norm)}")
                else:
                    lines.append("grad not computed")
        title = group.title or f"{len(group.members)} values"
        rows = f"<TR><TD><B>{markup(title)}</B></TD></TR>" + "".join(
            f'<TR><TD><FONT POINT-SIZE="9">{markup(line, 80)}</FONT></TD></TR>' for line in lines
        )
        return (
            '<TABLE BORDER="1" CELLBORDER="0" CELLSPACING="0" CELLPADDING="3" BGCOLOR="#eeeeee" '
            f'SIDES="LRTB" STYLE="rounded" COLOR="#333333">{rows}</TABLE>'
        )

    # --- edges ---------------------------------------------------------------------------------

    def edges(self) -> list[str]:
        lines: list[str] = []
        folded: Counter[tuple[str, str]] = Counter()
        forward, backward = self.show != "backward", self.show != "forward"
        for node in self.nodes:
            if node.op is None:
                continue
            i, into = self.id[node], self.arrives[node]
            single = into[0] == "o"
            if single:
                lines += self.edge(into, f"n{i}", forward, backward and node.requires_grad)
            for k, parent in enumerate(node.parents):
                source = self.leaves[parent]
                if single and source[0] == "n":
                    if self.uses[parent] > OFTEN:
                        source = f"r{i}_{k}"
                        text = markup(self.name(parent)) or numbers.html_like(parent._data)
                        lines.append(
                            f'\t{source} [label=<<FONT COLOR="#555555"><I>{text}</I></FONT>>]\n'
                        )
                    lines += self.edge(source, into, forward, backward and parent.requires_grad)
                elif source != into:
                    folded[source, into] += 1
        for (source, into), count in folded.items():
            label = f' [label="{count} ×" fontcolor="#555555"]' if count > 1 else ""
            lines.append(f"\t{source} -> {into}{label}\n")
        return lines

    def edge(self, tail: str, head: str, forward: bool, backward: bool) -> list[str]:
        lines = [f"\t{tail} -> {head} \n"] if forward else []
        if backward:
            lines.append(f'\t{tail} -> {head} [dir=back style=dashed color="{_GRADIENT}"]\n')
        return lines


def _row(what: str, content: str) -> str:
    return (
        f'<TR><TD ALIGN="LEFT"><FONT POINT-SIZE="9" COLOR="#555555">{what}</FONT></TD>'
        f'<TD ALIGN="RIGHT">{content}</TD></TR>'
    )


def op_label(node: Value) -> str:
    """An operation in a picture: its symbol, with the options that change what it computes."""
    assert node.op is not None
    options = node.options
    symbol = node.op.symbol.replace("∗", "*")  # few fonts have the operator's own sign
    if not options:
        return symbol
    if node.op.name == "power_constant":
        return f"x^{numbers.number(options['n'])}"
    told = [f"{key}={value}" for key, value in options.items() if value not in (None, False)]
    return visible(" ".join([symbol, *told]))


def _plain(nodes: Sequence[Any], show: str) -> list[str]:
    """Every value on one line of DOT: what a graph of ten thousand can afford."""
    lines = []
    gradients = show != "forward"
    root = nodes[-1]
    number = {node: i for i, node in enumerate(nodes)}
    looks = {
        role: f' shape=box fillcolor="{look.fill}" {look.plain}]\n' for role, look in ROLES.items()
    }
    for node, i in number.items():
        op, g, x = node.op, node._grad, node._data
        x = f"{x:.4g}" if type(x) is float else f"{node.shape}"
        if gradients and node.requires_grad:
            if g is None:
                x += r"\lgrad not computed"
            else:
                x += (
                    rf"\lgrad {g:.4g}" if type(g) is float else rf"\l‖grad‖ {np.linalg.norm(g):.4g}"
                )
        if node.name:
            x = quoted(node.name)[1:-1] + r"\l" + x
        lines.append(f'\tn{i} [label="{x}\\l"{looks[role_of(node, root)]}')
        if op is not None:
            lines.append(f"\to{i} [label={quoted(op_label(node))} shape=ellipse]\n\to{i} -> n{i}\n")
            for parent in node.parents:
                lines.append(f"\tn{number[parent]} -> o{i}\n")
    return lines


def render(cost: Value, path: str | os.PathLike[str], **options: Any) -> Path:
    """Write the picture of a graph to a file, by suffix: svg, png, pdf or dot. Returns its path.

    `options` are those of `draw`. The file is written whole or not at all.

    Raises GradError for another suffix and where the picture cannot be drawn, FileNotFoundError
    where the folder does not exist.
    """
    path = Path(path)
    format = path.suffix[1:].lower()
    if format not in ("svg", "png", "pdf", "dot"):
        raise GradError(f"render: the suffix of {path.name!r} must be .svg, .png, .pdf or .dot")
    picture = draw(cost, **options)
    if format == "dot":
        return renderer.write(path, picture.source.encode())
    return Path(picture.render(outfile=path, format=format))
