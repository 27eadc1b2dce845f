"""The lines of a picture: a box for each line of the computation, edges both ways."""

from __future__ import annotations

import html
import re
import textwrap
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.core.value import Value
from tinygrad_edu.drawing import folding, local, numbers
from tinygrad_edu.drawing.content import Content
from tinygrad_edu.drawing.text import markup, superscripted, visible, wide
from tinygrad_edu.words import Words

#: A leaf used more often is drawn again, small, at each use: long edges tie a layout in knots.
OFTEN = 8
GRADIENT = "#a11d33"
FONT = "Arial"
#: Sizes of letters in points: at its own size a picture has none below 12 px.
SIZE, SMALL = 12, 10
#: Letters of a formula in a box, in each of at most so many rows; and of a caption.
FORMULA, ROWS, CAPTION = 24, 4, 72
#: Where no arrow crosses the title of a layer: what it reads comes from the left, or from above.
TITLE = {"right": "labelloc=t labeljust=r", "down": "labelloc=b labeljust=l"}
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


def role_of(node: Any, results: Collection[Any], name: str | None) -> str:
    """What part a value plays: a leaf that learns is a parameter, another with a name an input.

    What is called x or y, as ``X`` or ``x1``, is an input even where its gradient is asked for.
    """
    if node in results:
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


class Drawing(Content):
    """One picture in the making: its boxes and arrows as lines of DOT.

    `verdicts`: what to mark, by name. `ids`: give every box and edge an id in the SVG, for the
    step-through page. The rest is that of `Content`.
    """

    def __init__(
        self,
        nodes: Sequence[Any],
        names: dict[Any, str],
        show: str = "both",
        limit: int | None = None,
        whole: bool = True,
        convention: str = "calculus",
        words: Words | None = None,
        verdicts: Mapping[str, str] | None = None,
        ids: bool = False,
        results: Sequence[Any] = (),
    ) -> None:
        backward = show != "forward"
        super().__init__(
            nodes,
            names,
            limit,
            whole,
            ids,
            backward,
            convention,
            words or Words("en"),
            results or nodes[-1:],
        )
        self.forward = show != "backward"
        self.verdicts = verdicts or {}
        self.ids = ids

    # --- boxes ---------------------------------------------------------------------------------
    def dot(self, direction: str) -> list[str]:
        """The picture in DOT."""
        outside = [
            f"\t{box} [label=<{self._fold(group, box)}>{self._id(box)}]\n"
            for box, group in self.folds.items()
        ]
        clusters: dict[str, list[str]] = {}
        for node in self.alone:
            if self._shown(node):
                box, where = self.box[node], outside
                if not self.folded and node in self.owner and node.op is not None:
                    where = clusters.setdefault(self.owner[node], [])
                where.append(f"\t{box} [label=<{self._box(node)}>{self._id(box)}]\n")
        found = []
        for i, (title, inside) in enumerate(clusters.items()):
            found.append(
                f"\tsubgraph cluster_{i} {{\n\tlabel=<{self._title(title)}> {TITLE[direction]} "
                f'style="dashed,rounded" color="#999999" fontcolor="{_SOFT}"\n'
            )
            found += [*inside, "\t}\n"]
        return found + outside + self._edges()

    def _shown(self, node: Any) -> bool:
        """The backward pass alone goes nowhere but to what needs a gradient."""
        return self.forward or node in self.needed or node in self.results

    def _id(self, name: str) -> str:
        return f' id="{name}"' if self.ids else ""

    def _gradient_of(self, node: Any) -> str:
        """Marks a cell as part of a gradient that is known: the page keeps it until it is reached.

        Graphviz writes the id of a cell only where it makes the cell a link, as a target does.
        """
        known = self.ids and self.grad.get(node) is not None
        return f' ID="d{self.box[node]}" TITLE="gradient" TARGET="_self"' if known else ""

    def _title(self, owner: str) -> str:
        """A layer in the picture's language; a prefix as it is."""
        said = re.sub(r"layer (?=\d)", f"{self.words['draw.layer']} ", owner)
        return markup(owner) if said == owner else self._said(said)

    def _said(self, sentence: str) -> str:
        """A sentence of the catalogue, in its own direction."""
        escaped = html.escape(sentence)
        return f"\u2067{escaped}\u2069" if self.words.direction == "rtl" else escaped

    def role(self, node: Any) -> str:
        """What part a value of this picture plays."""
        return role_of(node, self.results, self.names.get(node))

    def heading(self, node: Any) -> str:
        """What a value is called at the head of its box: ``Z¹``, or ``v6`` without a name."""
        name = self.names.get(node)
        if name is not None:
            return superscripted(*self.layers[node]) if node in self.layers else name
        return self.called[node].text if node in self.called else ""

    def formula(self, node: Any) -> str:
        """What a value is computed by, in the names of the picture; nothing for what is given."""
        return "" if node.op is None else local.formula(node, self.called).text

    def _box(self, node: Any) -> str:
        role, data = ROLES[self.role(node)], self.recorded[node]
        name = visible(self.heading(node))
        kind = "" if node.dtype == np.float64 else f" {node.dtype}"
        title = f"<B>{markup(name)}</B>" if node in self.names else markup(name)
        size = _small(f" {node.shape}{kind}", _SOFT) if node.shape or kind else ""
        rows = [f'<TR><TD COLSPAN="2"{_room(name)}>{title}{size}</TD></TR>']
        if node.op is not None:
            rows.append(_across(_rows(f"= {self.formula(node)}"), _SOFT))
        if self.forward:
            rows.append(_row(self.words["draw.value"], numbers.html_like(data)))
            if data is not node._data:
                rows.append(_across(f"<I>{self.words['draw.replaced']}</I>", _SOFT))
        if self.backward and node in self.needed:
            rows += self._gradient_rows(node)
        verdict = self.verdicts.get(self.names.get(node, ""))
        if verdict:
            rows.append(
                f'<TR><TD COLSPAN="2" BORDER="1" COLOR="{GRADIENT}"><FONT COLOR="{GRADIENT}"><B>'
                f"{_rows(verdict)}</B></FONT></TD></TR>"
            )
        return (
            f'<TABLE {role.table} CELLBORDER="0" CELLSPACING="1" CELLPADDING="3" '
            f'BGCOLOR="{role.fill}" COLOR="#333333">{"".join(rows)}</TABLE>'
        )

    def _gradient_rows(self, node: Any) -> list[str]:
        """The numbers of a gradient, how it came together, and the line of it."""
        g, part = self.grad.get(node), self._gradient_of(node)
        label = f"{self.symbol} · grad" if self.scaled(node) else "grad"
        told = f"<I>{self.words['draw.unknown']}</I>"
        told = told if g is None else numbers.html_like(self.shown(node, g))
        rows = [_row(markup(label), f'<FONT COLOR="{GRADIENT}">{told}</FONT>', part)]
        if g is not None and node._grad is not None and not np.array_equal(g, node._grad):
            rows.append(_across(f"<I>{self.words['draw.sweeps']}</I>", _SOFT, part))
        if sum_ := self._sum(node):
            rows.append(_across(sum_, GRADIENT, part))
        line = self._line(node)
        return [*rows, _across(_rows(line), GRADIENT, part)] if line else rows

    def _line(self, node: Any) -> str:
        """The rule of a gradient as it stands in its box."""
        arriving = self.arriving.get(node, ())
        if node in self.derived:
            return self.derived[node].text.replace("∗", "*")
        if len(arriving) == 1 and node in self.called and node not in self.results:
            return f"d{self.called[node].text} = {arriving[0].rule.text}"
        return ""

    def _sum(self, node: Any) -> str:
        """How the gradient of a value used several times came together."""
        sent = [self.shown(node, c.amount) for c in self.arriving.get(node, ())]
        if sent and node in self.seeds:  # a result that another is computed from
            sent.append(self.seeds[node])
        if self.folded or len(sent) < 2 or any(g is None for g in sent):
            return ""
        if node.shape or len(sent) > 4:
            return self.words.said("draw.sum", {"n": len(sent)})
        return "= " + " + ".join(
            f"({numbers.number(g)})" if g < 0 else numbers.number(g) for g in sent
        )

    def _fold(self, group: folding.Group, box: str) -> str:
        """The box of many values: what they are, how much they learn, how large the gradient is."""
        computed = [node for node in group.members if node.op is not None]
        learned = [node for node in group.members if node.op is None and node in self.needed]
        ops = Counter(op_label(node) for node in computed).most_common()
        parts = [f"{n} {op}" if n > 1 else op for op, n in ops[:6]] + ["…"] * (len(ops) > 6)
        told = [", ".join(parts)] if parts else []
        gradient = ""
        named = [self.names[node] for node in group.members if node in self.names]
        if named:
            some = ", ".join(visible(name, 12) for name in named[:4])
            told.append(some + (" …" if len(named) > 4 else ""))
        if learned:
            told.append(self.words.said("draw.learned", {"n": sum(node.size for node in learned)}))
            known = [g for g in map(self.grad.get, learned) if g is not None]
            if self.backward and len(known) == len(learned):
                told.append(f"‖grad‖ {_norm(known)}")
                gradient = self._gradient_of(learned[0])
            elif self.backward:
                told.append(f"grad {self.words['draw.unknown']}")
        many = self.words.said("draw.values", {"n": len(group.members)})
        title = self._title(group.title) if group.title else self._said(many)
        rows = f"<TR><TD><B>{title}</B></TD></TR>"
        for line in told:
            part = gradient if line.startswith("‖") else ""
            rows += f"<TR><TD{part}>{_small(markup(line, 80))}</TD></TR>"
        return (
            '<TABLE BORDER="1" CELLBORDER="0" CELLSPACING="1" CELLPADDING="3" BGCOLOR="#eeeeee" '
            f'STYLE="rounded" COLOR="#333333">{rows}</TABLE>'
        )

    # --- edges ---------------------------------------------------------------------------------

    def edge(self, head: Any, i: int) -> str:
        """What the edge of a line's i-th input is called in the SVG, after an f or a b."""
        source, into = self.box[self.inputs[head][i]], self.box[head]
        return f"{self.number[head]}_{i}" if "g" not in source + into else f"{source}_{into}"

    def _edges(self) -> list[str]:
        found: list[str] = []
        between: dict[tuple[str, str], list[Any]] = {}
        for head, read in self.reading():
            if not self._shown(head):
                continue
            into = self.box[head]
            sent = {c.input: c for c in self.back.get(head, ())}
            for i, parent in enumerate(read):
                source = self.box[parent]
                if source[0] == "n" == into[0]:
                    if parent.op is None and self.uses[parent] > OFTEN and self._shown(parent):
                        source = f"r{self.number[head]}_{i}"
                        text = markup(self.heading(parent)) or numbers.html_like(
                            self.recorded[parent]
                        )
                        found.append(f"\t{source} [label=<{_small(f'<I>{text}</I>', _SOFT)}>]\n")
                    flows = self._flows(head, parent)
                    found += self._edge(
                        source, into, self.edge(head, i), flows, sent.get(i), parent
                    )
                elif source != into:
                    between.setdefault((source, into), []).append((head, parent))
        for (source, into), crossing in between.items():
            found += self._folded_edge(source, into, crossing)
        return found

    def _flows(self, head: Any, parent: Any) -> bool:
        """Does a gradient go back here?"""
        return head in self.needed and parent in self.needed and _differentiable(self.lines[head])

    def _folded_edge(self, source: str, into: str, crossing: list[tuple[Any, Any]]) -> list[str]:
        """All edges from one box to another as one: how many, and how large the gradient is."""
        found = []
        key = f"{source}_{into}"
        if self.forward:
            label = f'label="{len(crossing)} ×" fontcolor="{_SOFT}"' if crossing[1:] else ""
            marks = f"{label}{self._id(f'f{key}')}".strip()
            found.append(f"\t{source} -> {into}{f' [{marks}]' if marks else ''}\n")
        flowing = list(dict.fromkeys(parent for _, parent in crossing if parent in self.needed))
        if self.backward and flowing:
            known = [g for g in map(self.grad.get, flowing) if g is not None]
            text = f"‖grad‖ {_norm(known)}" if len(known) == len(flowing) else ""
            found.append(self._back(source, into, text, key))
        return found

    def _edge(
        self,
        tail: str,
        head: str,
        key: str,
        flows: bool,
        sent: local.Contribution | None,
        parent: Any,
    ) -> list[str]:
        """A solid edge forward and a dashed one back, with its rule where several arrive."""
        found = []
        if self.forward:
            weight = 1 if parent.op is None else 8  # the computation goes straight
            found.append(f"\t{tail} -> {head} [weight={weight}{self._id(f'f{key}')}]\n")
        if self.backward and flows:
            text = ""
            if sent is not None and len(self.arriving[sent.parent]) > 1:
                text = sent.rule.text
                if sent.amount is not None and not np.ndim(sent.amount):
                    amount = numbers.number(sent.amount)
                    text = text if text == amount else f"{text} = {amount}"
            found.append(self._back(tail, head, text, key))
        return found

    def _back(self, tail: str, head: str, text: str, key: str) -> str:
        label = f" label=<&#160;{markup(text, 48)}>" if text else ""
        return (
            f'\t{tail} -> {head} [dir=back style=dashed color="{GRADIENT}" '
            f'fontcolor="{GRADIENT}"{label}{self._id(f"b{key}")}]\n'
        )

    # --- caption -------------------------------------------------------------------------------

    def caption(self) -> str:
        """The roles that occur, what the arrows are and in which scale the gradients, in words."""
        present = {self.role(node) for node in self.alone if self._shown(node)}
        cells = [
            f'<TD><TABLE {look.table} CELLBORDER="0" CELLSPACING="1" CELLPADDING="2" '
            f'BGCOLOR="{look.fill}" COLOR="#333333"><TR><TD{_room(self.words[f"draw.{role}"])}>'
            f"{_small(self.words[f'draw.{role}'])}</TD></TR></TABLE></TD>"
            for role, look in ROLES.items()
            if role in present
        ]
        rows = [f"<TR>{''.join(cells)}</TR>"] if cells else []
        for said in self.said():
            broken = "<BR/>".join(map(self._said, textwrap.wrap(said, CAPTION)))
            rows.append(f'<TR><TD COLSPAN="{max(len(cells), 1)}">{_small(broken)}</TD></TR>')
        return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="4">{"".join(rows)}</TABLE>'

    def said(self) -> list[str]:
        """The sentences of the caption."""
        arrows = "both" if self.forward and self.backward else "forward"
        found = [self.words[f"draw.{arrows if self.forward else 'backward'}"]]
        if self.backward:
            found.append(self.scale(self._cost()))
        return [*found, *([self.folded] if self.folded else [])]

    def _cost(self) -> str:
        """What the gradients are the derivatives of; of several results, their sum."""
        if len(self.results) == 1:
            name = self.names.get(next(iter(self.results)), "")
            if name.isidentifier():
                return visible(name, 12)
        swept = [z for z in self.results if z._grad is not None] or list(self.results)
        called = [visible(self.heading(z), 12) for z in swept]
        return " + ".join(called) if all(called) else self.words["draw.the_result"]

    def scale(self, cost: str) -> str:
        """Which derivatives the numbers are."""
        of = [f"d{name}" for node, name in self.names.items() if self.scaled(node)]
        values = {"cost": cost, "m": self.symbol, "number": self.m, "names": ", ".join(of[::-1])}
        return self.words.said("draw.lecture" if of else "draw.calculus", values)


def _differentiable(line: Sequence[Any]) -> bool:
    return all(node.op is None or node.op.differentiable for node in line)


def _norm(arrays: Sequence[Any]) -> str:
    """The Euclidean norm of several arrays taken together."""
    with np.errstate(over="ignore", invalid="ignore"):
        return numbers.number(np.sqrt(sum(float(np.sum(np.square(a))) for a in arrays)))


def _small(text: str, colour: str = "") -> str:
    colour = f' COLOR="{colour}"' if colour else ""
    return f'<FONT POINT-SIZE="{SMALL}"{colour}>{text}</FONT>'


def _room(text: str) -> str:
    """Of a cell: room for letters that Graphviz has no widths of."""
    return f' WIDTH="{wide(text)}"' if wide(text) else ""


def _row(what: str, content: str, part: str = "") -> str:
    """What a number is, beside it; above an array, so that the box is no wider than that."""
    told, room = _small(what, _SOFT), _room(what)
    if "</TD><TD" in content:  # columns
        rows = (f'<TR><TD COLSPAN="2"{place}{part}>' for place in (room, ""))
        return "".join(f"{row}{text}</TD></TR>" for row, text in zip(rows, (told, content)))
    return (
        f'<TR><TD ALIGN="LEFT"{room}{part}>{told}</TD><TD ALIGN="RIGHT"{part}>{content}</TD></TR>'
    )


def _across(text: str, colour: str, part: str = "") -> str:
    return f'<TR><TD COLSPAN="2"{part}>{_small(text, colour)}</TD></TR>'


def _rows(text: str) -> str:
    """A formula in a few short rows, broken between its parts."""
    whole = re.sub(r"\([^()]{1,10}\)", lambda part: part[0].replace(" ", "\xa0"), text)
    rows = textwrap.wrap(visible(whole, FORMULA * ROWS), FORMULA)
    if len(rows) > ROWS:
        rows = [*rows[: ROWS - 1], f"{rows[ROWS - 1][: FORMULA - 1]}…"]
    return "<BR/>".join(markup(row) for row in rows)
