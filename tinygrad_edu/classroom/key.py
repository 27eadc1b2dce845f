"""A key: the sheet whose net, cost and claims the sheets handed in must have."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_edu.checking.table import Row
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.value import Value
from tinygrad_edu.reports import SheetReport, check_sheet
from tinygrad_edu.sheets.claims import claimed
from tinygrad_edu.sheets.sheet import Graph, Sheet, sheet_of_text
from tinygrad_edu.sheets.syntax import SheetError

#: On how many draws of numbers the forward lines must agree with the key's.
DRAWS = 3
#: ``H: A1 = np.tanh(Z1)`` or ``V: W1``: a name of one's own for one of the key's.
_OWN_NAME = re.compile(r"^([^\W\d]\w*)[ \t]*:[ \t]*([^\W\d]\w*)[ \t]*(=(?!=)|(?=#|\r?\n|\Z))", re.M)


@dataclass(frozen=True)
class Key:
    """A key and what its claims are worth. `asked`: the rows of its claims, by their quantity."""

    sheet: Sheet
    asked: Mapping[str, Row]
    points: Mapping[str, float]
    follows: float
    convention: str
    m: int | None
    graphs: list[Graph]

    def judged(self, text: str, name: str) -> SheetReport:
        """A text handed in, judged: the key's net and cost, and all that the key claims."""
        try:
            text_here, names = self._without_own_names(text)
            theirs = {key: own for own, key in names.items()}
            data = {theirs.get(of, of): array for of, array in self.sheet.data.items()}
            sheet = sheet_of_text(text_here, data, name)
            self._refuse_another_net(sheet, theirs)
            report = replace(check_sheet(sheet, None, self.convention, self.m), source=text)
        except SheetError as error:
            report = SheetReport(name, error=error.said, place=(error.line, error.column))
            names = {}
        return replace(report, rows=self.marked(report.rows, names))

    # --- the same net, perhaps under other names -----------------------------------------------

    def _without_own_names(self, text: str) -> tuple[str, dict[str, str]]:
        """The text with its own names declared as a sheet does, and the key's name of each."""
        computed = {statement.name for statement in self.sheet.forward}
        names: dict[str, str] = {}

        def declared(match: re.Match[str]) -> str:
            own, key, equals = match.groups()
            given = self.sheet.givens.get(key)
            if own in computed or own in self.sheet.givens:
                return match[0]
            if given is not None and not equals:
                names[own] = key
                return f"{own}: {given.declared}"
            if key in computed and equals:
                names[own] = key
                return f"{own} ="
            return match[0]

        changed = _OWN_NAME.sub(declared, text)
        for key, count in Counter(names.values()).items():
            if count > 1:
                raise SheetError(f"{key} has {count} names here")
        return changed, names

    def _refuse_another_net(self, sheet: Sheet, theirs: Mapping[str, str]) -> None:
        """Raise SheetError where what is given, a forward line or the cost is not the key's."""
        for name, given in self.sheet.givens.items():
            own = theirs.get(name, name)
            other = sheet.givens.get(own)
            if other is None:
                raise SheetError(
                    f"{name}: {given.declared} is given in the key and not here; under a name "
                    f"of your own write NAME: {name}", sheet=sheet.name,
                )  # fmt: skip
            if other.declared != given.declared:
                raise SheetError(
                    f"{own} is {other.declared} here, and {given.declared} in the key",
                    other.line, 1, sheet.name,
                )  # fmt: skip
        for graph in self.graphs:
            numbers = {theirs.get(name, name): array for name, array in graph.numbers.items()}
            unknown = {n: g.draw(np.random.default_rng(1)) for n, g in sheet.givens.items()}
            self._compare(graph, sheet, sheet.graph(unknown | numbers), theirs)

    def _compare(self, graph: Graph, sheet: Sheet, other: Graph, theirs: Mapping[str, str]) -> None:
        """Raise SheetError at the first forward line that has not the key's numbers."""
        other.cost.backward()
        lines = {statement.name: statement.line for statement in sheet.forward}
        for same in (_same, _same_gradient):
            for name in dict.fromkeys(key[0] for key in graph.values):
                own = theirs.get(name, name)
                if own not in (*lines, *sheet.givens):
                    continue  # a step of the key's that is part of another line here
                mine, yours = (
                    [at.values[key] for key in of.versions(known)]
                    for at, of, known in ((graph, self.sheet, name), (other, sheet, own))
                )
                if len(mine) != len(yours) or not all(map(same, mine, yours)):
                    raise SheetError(
                        f"{own} is not what it is in the key: the forward lines and the cost must "
                        "be the key's", lines.get(own, 1), 1, sheet.name,
                    )  # fmt: skip
        if not _same(graph.cost, other.cost):
            cost = sheet.cost_name
            raise SheetError(f"the cost {cost} is not the key's", lines[cost], 1, sheet.name)

    # --- marks ---------------------------------------------------------------------------------

    def marked(self, rows: list[Row], names: Mapping[str, str]) -> list[Row]:
        """The rows with their points, and a row for every claim of the key that is missing.

        Where one quantity is claimed twice, the worse claim counts. What a template left blank
        and nobody has filled in is no claim.
        """
        rows = [row for row in rows if not (row.formula or "").endswith("=")]
        quantities = [row.of or claimed(row.name, self.asked) for row in rows]
        for of, row in self.asked.items():
            here = [i for i, own in enumerate(quantities) if own and names.get(own, own) == of]
            possible = self.points[of]
            if not here:
                shape = row.expected_shape
                rows.append(Row(row.name, of, "missing", None, shape, points=(0.0, possible)))
                continue
            counts = min(here, key=lambda i: self._share(rows[i], row))
            earned = possible * self._share(rows[counts], row)
            rows[counts] = replace(rows[counts], points=(earned, possible))
        return rows

    def _share(self, row: Row, asked: Row) -> float:
        """Which share of the points a claim earns."""
        if row.error is not None or (row.verdict == "unchecked" != asked.verdict):
            return 0.0
        return {"follows": self.follows, "wrong": 0.0}.get(row.verdict, 1.0)


def key_of(
    text: str,
    name: str,
    data: Any = None,
    convention: str = "auto",
    m: int | None = None,
    points: float | Mapping[str, float] = 1.0,
    follows: float = 1.0,
) -> Key:
    """The key that a text is; GradError where it claims nothing, or a line of it is not right.

    `points`: of each claim, or of some by name, the others being worth 1; `follows`: the share of
    them for a line that is right by itself, with something wrong above it.
    """
    sheet = sheet_of_text(text, data, name)
    report = check_sheet(sheet, None, convention, m)
    if not report.ok:
        bad = ", ".join(row.name for row in report.rows if not row.ok)
        why = f"{bad} cannot stand in it" if bad else "it claims nothing"
        raise GradError(f"{name} is no key: {why}; tinygrad-edu check {name} says more")
    asked = {row.of: row for row in report.rows if row.of is not None}
    graphs = [sheet.graph(sheet.draw(seed) | sheet.data) for seed in range(DRAWS)]
    for graph in graphs:
        graph.cost.backward()
    worth = _worth(points, asked, name)
    if not 0 <= follows <= 1:
        raise GradError(f"a line that follows earns a share from 0 to 1, not {follows}")
    return Key(sheet, asked, worth, follows, convention, m, graphs)


def _worth(
    points: float | Mapping[str, float], asked: Mapping[str, Row], name: str
) -> dict[str, float]:
    """The points of each claim, by its quantity."""
    if isinstance(points, Mapping):
        of = {row.name: quantity for quantity, row in asked.items()}
        for claim in points:
            if claim not in of:
                raise GradError(f"points for {claim}: {name} claims {', '.join(of)}")
        worth = dict.fromkeys(asked, 1.0) | {of[c]: float(n) for c, n in points.items()}
    else:
        worth = dict.fromkeys(asked, float(points))
    if not all(0 <= n < float("inf") for n in worth.values()) or not any(worth.values()):
        raise GradError("points are numbers from 0, and not all of them 0")
    return worth


def _same(one: Any, other: Any) -> bool:
    """Are these the same numbers, up to rounding?"""
    return _close(*(value.data if isinstance(value, Value) else value for value in (one, other)))


def _same_gradient(one: Any, other: Any) -> bool:
    """Has the other the gradient of the one, if that has one?"""
    grad = getattr(one, "grad", None)
    return grad is None or _close(grad, getattr(other, "grad", None))


def _close(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    a, b = np.asarray(one), np.asarray(other)
    if a.shape != b.shape or a.dtype == object or b.dtype == object:
        return False
    scale = float(np.max(np.abs(a), initial=0.0, where=np.isfinite(a)))
    return bool(np.allclose(a, b, rtol=1e-6, atol=1e-9 * scale, equal_nan=True))
