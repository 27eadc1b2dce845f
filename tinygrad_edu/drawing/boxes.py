"""The lines of a picture: a table a value, an ellipse an operation, edges both ways."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.sweep import needed
from tinygrad_edu.core.value import Value
from tinygrad_edu.drawing import folding, local, numbers
from tinygrad_edu.drawing.text import markup, quoted, superscripted, visible, wide
from tinygrad_edu.rules import derive
from tinygrad_edu.rules.layers import layers

#: A leaf used more often is drawn again, small, at each use: long edges tie a layout in knots.
OFTEN = 8
#: The rules are written on the backward edges where there are at most this many operations.
OTHER_SWEEPS = "its .grad is of other sweeps, too"
RULES = 40

GRADIENT = "#a11d33"
FONT = "Arial"
_SOFT = "#555555"
_GIVEN = re.compile(r"[xyXY][\d₀-₉⁰¹²³⁴-⁹_]*")


class Role(NamedTuple):
    """How a kind of value looks: told apart by fill and by border, so that grey print is enough."""

    fill: str
    table: str  # attributes of its HTML-like table
    plain: str  # attributes of a plain node


ROLES = {
    "input": Role("#dcebf7", 'BORDER="1" STYLE="dashed"', 'style="filled,dashed"'),
    "parameter": Role("#fdebc8", 'BORDER="3"', "style=filled penwidth=3"),
    "intermediate": Role("#ffffff", 'BORDER="1" STYLE="rounded"', 'style="filled,rounded"'),
    "result": Role("#dff0d8", 'BORDER="3" STYLE="rounded"', 'style="filled,rounded" penwidth=3'),
    "constant": Role("#f2f2f2", 'BORDER="1" STYLE="dotted"', 'style="filled,dotted"'),
}


def role_of(node: Any, root: Any, name: str | None) -> str:
    """What part a value plays: a leaf that learns is a parameter, another with a name an input.

    What is called x or y, as ``X`` or ``x1``, is an input even where its gradient is asked for.
    """
    if node is root:
        return "result"
    if node.op is not None:
        return "intermediate"
    if name and _GIVEN.fullmatch(name):
        return "input"
    if node.requires_grad:
        return "parameter"
    return "input" if name or node.shape else "constant"


def op_label(node: Value) -> str:
    """An operation in a picture: its symbol, with the options that change what it computes."""
    assert node.op is not None
    symbol = node.op.symbol.replace("∗", "*")  # few fonts have the operator's own sign
    options = node.options
    if not options:
        return symbol
    if node.op.name == "power_constant":
        return f"x^{numbers.number(options['n'])}"
    told = [f"{k}={v}" for k, v in options.items() if v is not None and v is not False]
    return visible(" ".join([symbol, *told]), 30)


class Drawing:
    """One picture in the making: what is in it, under which ids, and its lines of DOT.

    `nodes`: oldest first; the last is the result. `limit`: fold above this many. `verdicts`: what
    to mark, by name. `ids`: give every box and edge an id in the SVG, for the step-through page.
    """

    def __init__(
        self,
        nodes: Sequence[Any],
        show: str,
        names: dict[Any, str],
        limit: int | None,
        verdicts: Mapping[str, str] | None = None,
        ids: bool = False,
    ) -> None:
        self.nodes = nodes
        self.root = nodes[-1]
        self.forward = show != "backward"
        self.backward = show != "forward"
        self.names = names
        self.verdicts = verdicts or {}
        self.ids = ids
        self.needed = needed(nodes)
        self.grad = local.swept(self.root) if self.backward else {}
        self.number = {node: i for i, node in enumerate(nodes)}
        self.owner = folding.owners(nodes, names)
        self.layers = layers(names)
        self.groups = (
            [folding.Group("", [node]) for node in nodes]
            if limit is None or len(nodes) <= limit
            else folding.fold(nodes, names, limit)
        )
        self.folded = (
            f"{len(nodes)} values, folded into {len(self.groups)} boxes "
            "(max_nodes=None draws all of them)"
            if len(self.groups) < len(nodes)
            else ""
        )
        self.arrives: dict[Any, str] = {}  # where what a node is computed from goes in
        self.leaves: dict[Any, str] = {}  # where its value comes out
        for i, group in enumerate(self.groups):
            for node in group.members:
                alone = len(group.members) == 1
                self.leaves[node] = f"n{self.number[node]}" if alone else f"g{i}"
                self.arrives[node] = f"o{self.number[node]}" if alone else f"g{i}"
        self.alone = [group.members[0] for group in self.groups if len(group.members) == 1]
        self.operations = sum(node.op is not None for node in self.alone)
        scalars = not any(node.shape for node in self.alone)
        self.direction = "LR" if self.operations <= 12 and scalars else "TB"
        self.uses = Counter(parent for node in nodes for parent in node.parents)
        self.recorded: dict[Any, Any] = {}  # the numbers the graph was computed from
        for node in nodes:
            self.recorded.setdefault(node, node._data)
            for parent, x in zip(node.parents, node._inputs):
                if parent.op is None:
                    self.recorded[parent] = x
        self._name_everything()

    def _name_everything(self) -> None:
        """A name for what has none, and what each gradient is called in the rules.

        Where an unnamed value's gradient is just handed on (``W1 @ X`` in ``Z1 = W1 @ X + b1``), it
        keeps the name it came with: so the rule for W1 reads ``dZ1 @ Xᵀ``, as on paper.
        """
        self.called: dict[Any, local.Written] = {}
        inputs = [parent for node in self.alone for parent in node.parents]
        for node in self.nodes if self.ids else dict.fromkeys([*self.alone, *inputs]):
            name = self.names.get(node)
            if name is None and (node.op is not None or node.shape or node in self.needed):
                name = f"v{self.number[node]}"
            if name is not None:
                self.called[node] = local.Written.named(name, self._shape(node), self._layer(node))
        self.gradient = {node: written.gradient() for node, written in self.called.items()}
        self.back: dict[Any, list[local.Contribution]] = {}
        self.arriving: dict[Any, list[Any]] = {}
        self.derived: dict[Any, str] = {}
        if not self.backward or self.operations > RULES:
            return
        self.derived = self._derive()
        for node in reversed(self.alone):
            self.back[node] = self._contributions(node)
            for sent in self.back[node]:
                self.arriving.setdefault(sent.parent, []).append(sent.amount)
                if (
                    sent.parent not in self.names
                    and self.uses[sent.parent] == 1
                    and sent.rule.text == self.gradient[node].text
                    and sent.rule.shape == self._shape(sent.parent)
                ):
                    self.gradient[sent.parent] = sent.rule

    def _derive(self) -> dict[Any, str]:
        """The line of each named computed quantity, as derived, on the scale of the numbers shown.

        Formulas without names in between grow out of bounds: where most steps have none, there is
        nothing short to write.
        """
        named = {name: node for node, name in self.names.items() if node.op is not None}
        if self.root.shape != () or not self.root.requires_grad:
            return {}
        if self.operations > 4 * len(named):
            return {}
        try:
            rules = derive(self.root, convention="calculus", names=named).rules
        except GradError:  # two quantities of one name, say: the picture does without
            return {}
        lines = {rule.name: rule.text for rule in rules}
        found = {node: lines.get(f"d{name}") for name, node in named.items()}
        return {node: line for node, line in found.items() if line}

    def _layer(self, node: Any) -> tuple[str, int] | None:
        """The letters and the layer of a node whose name tells its layer."""
        return self.layers.get(node)

    def _shape(self, node: Any) -> Any:
        return np.shape(self.recorded[node])

    def sent(self, node: Any) -> list[local.Contribution]:
        """What `node` sends back to each of its inputs."""
        if node not in self.back:
            self.back[node] = self._contributions(node)
        return self.back[node]

    def _contributions(self, node: Any) -> list[local.Contribution]:
        return local.contributions(node, self.called, self.gradient, self.grad.get(node))

    # --- boxes ---------------------------------------------------------------------------------

    def lines(self) -> list[str]:
        """The picture in DOT."""
        outside: list[str] = []
        clusters: dict[str, list[str]] = {}
        for i, group in enumerate(self.groups):
            if len(group.members) > 1:
                outside.append(f"\tg{i} [label=<{self._group_box(group)}>{self._id(f'g{i}')}]\n")
                continue
            [node] = group.members
            if not self._shown(node):
                continue
            where = outside
            if not self.folded and node in self.owner:
                where = clusters.setdefault(self.owner[node], [])
            n = self.number[node]
            where.append(f"\tn{n} [label=<{self._box(node)}>{self._id(f'n{n}')}]\n")
            if node.op is not None:
                where.append(
                    f"\to{n} [label={quoted(op_label(node))} shape=ellipse "
                    f'margin="0.04,0.02" height=0.3 width=0.4 style=filled fillcolor=white '
                    f'color="{_SOFT}"{self._id(f"o{n}")}]\n'
                )
        lines = []
        for i, (title, inside) in enumerate(clusters.items()):
            lines.append(
                f"\tsubgraph cluster_{i} {{\n\tlabel=<{markup(title)}> labelloc=t "
                f'style="dashed,rounded" color="#999999" fontcolor="{_SOFT}"\n'
            )
            lines += inside
            lines.append("\t}\n")
        return lines + outside + self._edges()

    def _shown(self, node: Any) -> bool:
        """The backward pass alone goes nowhere but to what needs a gradient."""
        return self.forward or node in self.needed or node is self.root

    def _id(self, name: str) -> str:
        return f' id="{name}"' if self.ids else ""

    def _gradient_of(self, node: Any) -> str:
        """Marks a cell as part of a gradient that is known: the page keeps it until it is reached.

        Graphviz writes the id of a cell only where it makes the cell a link, as a target does.
        """
        known = self.ids and self.grad.get(node) is not None
        return f' ID="d{self.leaves[node]}" TITLE="gradient" TARGET="_self"' if known else ""

    def edge(self, node: Any, k: int) -> str:
        """What the edge of a node's k-th input is called in the SVG, after an f or a b."""
        source, into = self.leaves[node.parents[k]], self.arrives[node]
        alone = source[0] == "n" and into[0] == "o"
        return f"{self.number[node]}_{k}" if alone else f"{source}_{into}"

    def role(self, node: Any) -> str:
        """What part a value of this picture plays."""
        return role_of(node, self.root, self.names.get(node))

    def heading(self, node: Any) -> str:
        """What stands at the head of a node's box: ``Z¹``; without a name ``v6 = W1 @ X``."""
        name = self.names.get(node)
        if name is not None:
            found = self._layer(node)
            return superscripted(*found) if found else name
        if node not in self.called:
            return ""
        called = self.called[node].text
        text = "" if node.op is None else local.formula(node, self.called).text
        return f"{called} = {text}" if 0 < len(text) <= 24 else called

    def _box(self, node: Any) -> str:
        role = ROLES[self.role(node)]
        data = self.recorded[node]
        name = visible(self.heading(node))
        kind = "" if not node.shape and node.dtype == np.float64 else f" {node.dtype}"
        width = f' WIDTH="{wide(name)}"' if wide(name) else ""
        title = markup(name)
        if node in self.names:
            title = f"<B>{title}</B>"
        rows = [
            f'<TR><TD COLSPAN="2"{width}>{title} '
            f'<FONT POINT-SIZE="9" COLOR="{_SOFT}">{node.shape}{kind}</FONT></TD></TR>'
        ]
        if self.forward:
            rows.append(_row("value", numbers.html_like(data)))
            if data is not node._data:
                rows.append(_row("", '<FONT POINT-SIZE="9"><I>replaced since</I></FONT>'))
        if self.backward and node in self.needed:
            g, part = self.grad.get(node), self._gradient_of(node)
            shown = "<I>not computed</I>" if g is None else numbers.html_like(g)
            rows.append(_row("grad", f'<FONT COLOR="{GRADIENT}">{shown}</FONT>', part))
            if g is not None and node._grad is not None and not np.array_equal(g, node._grad):
                rows.append(_row("", f'<FONT POINT-SIZE="9"><I>{OTHER_SWEEPS}</I></FONT>', part))
            told = self._sum(node)
            if told:
                told = f'<FONT POINT-SIZE="9" COLOR="{GRADIENT}">{told}</FONT>'
                rows.append(_row("", told, part))
            if node in self.derived:
                line = markup(self.derived[node].replace("∗", "*"), 60)
                line = f'<FONT POINT-SIZE="9" COLOR="{GRADIENT}">{line}</FONT>'
                rows.append(f'<TR><TD COLSPAN="2"{part}>{line}</TD></TR>')
        verdict = self.verdicts.get(self.names.get(node, ""))
        if verdict:
            rows.append(
                f'<TR><TD COLSPAN="2" BORDER="1" COLOR="{GRADIENT}"><FONT COLOR="{GRADIENT}"><B>'
                f"{markup(verdict, 60)}</B></FONT></TD></TR>"
            )
        return (
            f'<TABLE {role.table} CELLBORDER="0" CELLSPACING="1" CELLPADDING="3" '
            f'BGCOLOR="{role.fill}" COLOR="#333333">{"".join(rows)}</TABLE>'
        )

    def _sum(self, node: Any) -> str:
        """How the gradient of a value used several times came together."""
        sent = self.arriving.get(node, ())
        if self.folded or len(sent) < 2 or any(g is None for g in sent):
            return ""
        if node.shape or len(sent) > 4:
            return f"sum of {len(sent)} contributions"
        return "= " + " + ".join(
            f"({numbers.number(g)})" if g < 0 else numbers.number(g) for g in sent
        )

    def _group_box(self, group: folding.Group) -> str:
        computed = [node for node in group.members if node.op is not None]
        learned = [node for node in group.members if node.op is None and node in self.needed]
        ops = Counter(op_label(node) for node in computed).most_common()
        parts = [f"{n} {op}" if n > 1 else op for op, n in ops[:6]] + ["…"] * (len(ops) > 6)
        lines = [", ".join(parts)] if parts else []
        gradient = ""
        named = [self.names[node] for node in group.members if node in self.names]
        if named:
            some = ", ".join(visible(name, 12) for name in named[:4])
            lines.append(some + (" …" if len(named) > 4 else ""))
        if learned:
            total = sum(node.size for node in learned)
            lines.append(f"{total} parameter" + "s" * (total > 1))
            if self.backward:
                known = [g for g in map(self.grad.get, learned) if g is not None]
                if len(known) == len(learned):
                    lines.append(f"‖grad‖ {_norm(known)}")
                    gradient = self._gradient_of(learned[0])
                else:
                    lines.append("grad not computed")
        title = group.title or f"{len(group.members)} values"
        rows = f"<TR><TD><B>{markup(title)}</B></TD></TR>" + "".join(
            f'<TR><TD{gradient if line.startswith("‖") else ""}><FONT POINT-SIZE="9">'
            f"{markup(line, 80)}</FONT></TD></TR>"
            for line in lines
        )
        return (
            '<TABLE BORDER="1" CELLBORDER="0" CELLSPACING="1" CELLPADDING="3" BGCOLOR="#eeeeee" '
            f'STYLE="rounded" COLOR="#333333">{rows}</TABLE>'
        )

    # --- edges ---------------------------------------------------------------------------------

    def _edges(self) -> list[str]:
        lines: list[str] = []
        between: dict[tuple[str, str], list[Any]] = {}
        for node in self.nodes:
            if node.op is None:
                continue
            n, into = self.number[node], self.arrives[node]
            alone = into[0] == "o"
            if not self._shown(node):
                continue
            if alone:
                lines += self._edge(into, f"n{n}", str(n), node in self.needed)
            sent = {c.input: c for c in self.back.get(node, ())}
            for k, parent in enumerate(node.parents):
                source = self.leaves[parent]
                if alone and source[0] == "n":
                    if parent.op is None and self.uses[parent] > OFTEN and self._shown(parent):
                        source = f"r{n}_{k}"
                        text = markup(self.heading(parent)) or numbers.html_like(
                            self.recorded[parent]
                        )
                        lines.append(
                            f'\t{source} [label=<<FONT COLOR="{_SOFT}"><I>{text}</I></FONT>>]\n'
                        )
                    flows = parent in self.needed and node.op.differentiable
                    lines += self._edge(source, into, f"{n}_{k}", flows, sent.get(k))
                elif source != into:
                    between.setdefault((source, into), []).append(parent)
        for (source, into), crossing in between.items():
            lines += self._folded_edge(source, into, crossing)
        return lines

    def _folded_edge(self, source: str, into: str, crossing: list[Any]) -> list[str]:
        """All edges from one box to another as one: how many, and how large the gradient is."""
        lines = []
        key = f"{source}_{into}"
        if self.forward:
            label = f'label="{len(crossing)} ×" fontcolor="{_SOFT}"' if crossing[1:] else ""
            marks = f"{label}{self._id(f'f{key}')}".strip()
            lines.append(f"\t{source} -> {into}{f' [{marks}]' if marks else ''}\n")
        flowing = list(dict.fromkeys(node for node in crossing if node in self.needed))
        if self.backward and flowing:
            known = [g for g in map(self.grad.get, flowing) if g is not None]
            label = f" label=<&#160;‖grad‖ {_norm(known)}>" if len(known) == len(flowing) else ""
            lines.append(
                f'\t{source} -> {into} [dir=back style=dashed color="{GRADIENT}" '
                f'fontcolor="{GRADIENT}"{label}{self._id(f"b{key}")}]\n'
            )
        return lines

    def _edge(
        self, tail: str, head: str, key: str, flows: bool, sent: local.Contribution | None = None
    ) -> list[str]:
        """A solid edge forward and a dashed one back, on which its rule stands."""
        lines = []
        if self.forward:
            mark = f" [{self._id(f'f{key}')[1:]}]" if self.ids else ""
            lines.append(f"\t{tail} -> {head}{mark}\n")
        if self.backward and flows:
            label = ""
            if sent is not None:
                text = sent.rule.text
                if sent.amount is not None and not np.ndim(sent.amount):
                    amount = numbers.number(sent.amount)
                    text = text if text == amount else f"{text} = {amount}"
                label = f" label=<&#160;{markup(text, 48)}>"
            lines.append(
                f'\t{tail} -> {head} [dir=back style=dashed color="{GRADIENT}" '
                f'fontcolor="{GRADIENT}"{label}{self._id(f"b{key}")}]\n'
            )
        return lines

    # --- legend --------------------------------------------------------------------------------

    def legend(self) -> str:
        """The roles that occur, and what the two kinds of edges are, as an HTML-like table."""
        present = {self.role(node) for node in self.alone if self._shown(node)}
        cells = [
            f'<TD><TABLE {look.table} CELLBORDER="0" CELLSPACING="1" CELLPADDING="2" '
            f'BGCOLOR="{look.fill}" COLOR="#333333"><TR><TD>{role}</TD></TR></TABLE></TD>'
            for role, look in ROLES.items()
            if role in present
        ]
        if self.forward:
            cells.append("<TD>solid: value</TD>")
        if self.backward:
            cells.append(f'<TD><FONT COLOR="{GRADIENT}">dashed: gradient, by its rule</FONT></TD>')
        rows = [f"<TR>{''.join(cells)}</TR>"]
        if self.folded:
            rows.append(f'<TR><TD COLSPAN="{len(cells)}">{markup(self.folded, 400)}</TD></TR>')
        return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="4">{"".join(rows)}</TABLE>'


def _norm(arrays: Sequence[Any]) -> str:
    """The Euclidean norm of several arrays taken together."""
    with np.errstate(over="ignore", invalid="ignore"):
        return numbers.number(np.sqrt(sum(float(np.sum(np.square(a))) for a in arrays)))


def _row(what: str, content: str, part: str = "") -> str:
    told = f'<FONT POINT-SIZE="9" COLOR="{_SOFT}">{what}</FONT>' if what else ""
    return f'<TR><TD ALIGN="LEFT"{part}>{told}</TD><TD ALIGN="RIGHT"{part}>{content}</TD></TR>'


def plain(nodes: Sequence[Any], names: Mapping[Any, str], show: str) -> list[str]:
    """Every value as a line of DOT, operations and edges below it: for graphs of many thousands."""
    lines = []
    gradients = show != "forward"
    root = nodes[-1]
    ids = {node: str(i) for i, node in enumerate(nodes)}
    looks = {
        role: f'\\l" shape=box fillcolor="{look.fill}" {look.plain}]\n'
        for role, look in ROLES.items()
    }
    signs: dict[Any, str] = {}
    swept = root._grad is not None  # a sweep for the picture would take as long as the picture
    for node, me in ids.items():
        op, g, x = node.op, node._grad if swept else None, node._data
        text = f"{x:.4g}" if type(x) is float else f"{node.shape}"
        if gradients and node.requires_grad:
            if g is None:
                text += r"\lgrad not computed"
            elif type(g) is float:
                text += rf"\lgrad {g:.4g}"
            else:
                text += rf"\l‖grad‖ {np.linalg.norm(g):.4g}"
        if names and node in names:
            text = quoted(names[node])[1:-1] + r"\l" + text
        look = looks[
            "intermediate" if op and node is not root else role_of(node, root, names.get(node))
        ]
        if op is None:
            lines.append(f'\tn{me} [label="{text}{look}')
            continue
        sign = None if node.options else signs.get(op)
        if sign is None:
            sign = quoted(op_label(node))
            if not node.options:
                signs[op] = sign
        edges = "".join([f"\tn{ids[parent]} -> o{me}\n" for parent in node.parents])
        lines.append(
            f'\tn{me} [label="{text}{look}\to{me} [label={sign} shape=ellipse]\n'
            f"\to{me} -> n{me}\n{edges}"
        )
    return lines
