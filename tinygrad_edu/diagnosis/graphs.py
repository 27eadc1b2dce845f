"""A graph written down as a sheet, so that what is compared with it can be diagnosed as one."""

from __future__ import annotations

import contextlib
import keyword
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.calculus.axes import Examples
from tinygrad_edu.checking.flow import Entry, own_gradients, reads_others
from tinygrad_edu.checking.rows import Diagnosis
from tinygrad_edu.checking.verdict import judge
from tinygrad_edu.core.sweep import reachable
from tinygrad_edu.core.value import Value
from tinygrad_edu.diagnosis.diagnosing import diagnose
from tinygrad_edu.diagnosis.handed_in import HandedIn
from tinygrad_edu.diagnosis.lab import Lab
from tinygrad_edu.diagnosis.symbolic import Line
from tinygrad_edu.sheets import vocabulary
from tinygrad_edu.sheets.account import DIAGNOSING, Account, TooMuch
from tinygrad_edu.sheets.sheet import Sheet
from tinygrad_edu.sheets.syntax import Expr, Formulas, SheetError, show

#: Larger graphs and arrays are compared but not diagnosed.
MOST_NODES = 500
MOST_ENTRIES = 100_000


class _Writer(Lab):
    """As much of a laboratory as writing formulas down needs: no values, nothing simplified."""

    def __init__(self) -> None:
        self.formulas = Formulas()
        self.account = Account(DIAGNOSING)
        self.constants = {}

    def value(self, e: Expr, point: int = 0) -> Any:
        return None

    def simplest(self, e: Expr) -> tuple[float, Expr]:
        return 1.0, e

    def scalar(self, value: float, any_number: bool = False) -> Expr | None:
        whole = int(value) if float(value).is_integer() and abs(value) < 1e15 else float(value)
        return self.formulas.number(whole)

    def times(self, constant: float, e: Expr) -> Expr | None:
        if constant == 1:
            return e
        if constant == -1:
            return self.formulas.make("neg", e)
        below = 1 / constant
        if abs(below - round(below)) < 1e-9 * abs(below) and abs(below) > 1:
            return self.formulas.make("/", e, self.formulas.number(round(below)))
        number = self.scalar(constant)
        assert number is not None
        return self.formulas.make("*", number, e)


def sheet_of(cost: Value, examples: Examples | None = None) -> tuple[str, dict[str, Any]] | None:
    """The forward lines of a graph as a sheet, and its numbers; None where names forbid it."""
    order = reachable(cost, every=True)[::-1]
    names = [node.name for node in order if node.name is not None]
    if len(order) > MOST_NODES or len(set(names)) < len(names) or not all(map(_usable, names)):
        return None
    writer = _Writer()
    header, body, numbers = [], [], {}
    lines: dict[Value, Line] = {}
    if examples is not None and "m" not in names:
        header.append(f"m = {examples.m}")
    for node in order:
        name = node.name
        if node.op is None and name is None and node.size == 1:
            lines[node] = Line(
                writer, writer.formulas.number(1), (), float(np.ravel(node._data)[0])
            )
            continue
        if node.op is None and name is not None and node.shape == () and not node.requires_grad:
            number = float(node._data)  # a named constant, such as m
            header.append(f"{name} = {int(number) if number.is_integer() else number!r}")
            lines[node] = Line(writer, writer.formulas.name(name), ())
            continue
        if node.op is None:
            name = name or f"given{len(header)}"
            if node.size > MOST_ENTRIES:
                return None
            header.append(f"{name}: {node.shape}{_kind(node)}")
            numbers[name] = np.asarray(node._data, float)
        else:
            made = _computed(node, lines)
            if made is None:
                return None
            lines[node] = made
            if name is None and node is not cost:
                continue
            name = name or "J"
            body.append(f"{name} = {show(made.written())}")
        lines[node] = Line(writer, writer.formulas.name(name), node.shape)
    if "J" not in (*names, cost.name or "J"):
        body.append(f"J = 1.0 * {cost.name}")
    return "\n".join([*header, *body]) + "\n", numbers


def _usable(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name) and name not in vocabulary.MODULES


def _kind(node: Value) -> str:
    """The kind of a constant's numbers, to be seen in them; parameters are of no kind."""
    data = np.asarray(node._data)
    if node.requires_grad or not data.size:
        return ""
    if np.isin(data, (0.0, 1.0)).all():
        for axis in range(data.ndim):
            if data.ndim > 1 and data.shape[axis] > 1 and np.all(data.sum(axis=axis) == 1):
                return f" = onehot(axis={axis})"
        return " = binary"
    return " = positive" if (data > 0).all() else ""


def _computed(node: Value, lines: dict[Value, Line]) -> Line | None:
    inputs = [lines[p] for p in node.parents]
    op = node.op
    assert op is not None
    try:
        if op.definition is not None and op.name not in vocabulary.FUNCTIONS:
            made = op.definition(*inputs, **node.options)
        else:
            made = op(*inputs, **node.options)
    except (ValueError, TypeError, LookupError, ArithmeticError):
        return None
    return made if isinstance(made, Line) else None


def diagnosed(
    cost: Value,
    manual: Mapping[str, Any],
    entries: Mapping[str, Entry],
    wrong: Sequence[str],
    examples: Examples | None,
    convention: str,
) -> dict[str, Diagnosis]:
    """Diagnoses for the wrong entries of a comparison, those for which one is found.

    `manual` has the entries in order as they were handed in, `entries` as they were judged.
    """
    written = sheet_of(cost, examples)
    if written is None:
        return {}
    text, numbers = written
    m = None if examples is None else examples.m
    found: dict[str, Diagnosis] = {}
    formulas = {k: v for k, v in manual.items() if isinstance(v, str)}
    with np.errstate(all="ignore"), contextlib.suppress(TooMuch):
        if formulas:
            of = {name: entry.node.name for name, entry in entries.items()}
            claims = "".join(f"{k}: d{of[k]} = {_right_side(k, v)}\n" for k, v in formulas.items())
            try:
                judged, _ = judge(Sheet(text + claims, "graph", numbers), convention, m)
                found |= {k: d for k, d in diagnose(judged).items() if k in wrong}
            except SheetError:
                pass  # a formula that reads an entry given as numbers
        # Functions were shown the truth of what they read; numbers come from numbers.
        as_read = {name: replace(entry, given=entry.from_truth) for name, entry in entries.items()}
        right = [name for name in entries if name not in wrong]
        left = [n for n in wrong if n not in found and entries[n].from_truth is not None]
        reading = [name for name in left if reads_others(manual[name])]
        numbers_only = [name for name in left if name not in reading]
        own = own_gradients(entries)
        try:
            found |= HandedIn(written, cost, as_read, {}, convention, m).explained(reading, right)
            handed_in = HandedIn(written, cost, entries, own, convention, m)
            found |= handed_in.explained(numbers_only, right)
        except SheetError:
            pass  # a graph that no sheet can say
    return found


def _right_side(name: str, formula: str) -> str:
    left, equals, right = formula.partition("=")
    return " ".join((right if equals and left.strip() == name else formula).split())
