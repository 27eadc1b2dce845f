"""A sheet: a derivation on paper as a text file, read line by line and interpreted, never run.

`load_sheet` gives a `Sheet`: what is given, the forward lines, the cost, the claims as formulas.
The forward lines can be computed again on other numbers (`Sheet.graph`): so verdicts are confirmed.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu.calculus.axes import Origins
from tinygrad_edu.core.files import opened, read_npz
from tinygrad_edu.core.primitive import GradError, asarray
from tinygrad_edu.core.signature import checked
from tinygrad_edu.core.value import Value
from tinygrad_edu.rules import Derivation, derive
from tinygrad_edu.sheets.account import MOST_IN_GRAPH, READING, Account, TooMuch
from tinygrad_edu.sheets.entries import Entries
from tinygrad_edu.sheets.evaluate import Evaluator, Uncomputable
from tinygrad_edu.sheets.kinds import DISCRETE
from tinygrad_edu.sheets.lines import Key, Lines, Statement, too_much_in
from tinygrad_edu.sheets.origins import origins_of
from tinygrad_edu.sheets.parsing import LONGEST_SHEET, NEWLINE, parse
from tinygrad_edu.sheets.syntax import Expr, SheetError, walk
from tinygrad_edu.words import say

#: Of the numbers beside a sheet, unpacked: those of a lecture's exercise are a thousandth of it.
MOST_BYTES = 64_000_000
#: What a number costs to be drawn; how much dearer an operation of a graph is than one that only
#: computes: there and back, and on either side of a kink.
_DRAWN, _RECORDED = 30, 10
#: No state of a name, but its entries when they were written; below, with those it began with.
ENTRIES = -2


@dataclass(frozen=True)
class Graph:
    """The forward lines computed on some numbers: every name's value, the cost, the numbers given,
    the nodes that formulas of plain numbers have, and the `entries` of arrays that are filled."""

    values: dict[Key, Any]
    cost: Value
    numbers: dict[str, Any]
    constants: dict[Expr, Any]
    entries: dict[Key, Value]

    def node(self, key: Key) -> Any:
        """What a claim may be the gradient of: a state of a name, or its entries."""
        return self.entries[key] if key in self.entries else self.values[key]


class Sheet(Lines):
    """A derivation as it was written; see `load_sheet`.

    Attributes: `name`, `source`, `givens` (by name), `forward` and `backward` (statements in
    order), `claims` (by the learner's name), `cost_name`, `numbers` (the sheet's own, by name),
    `cost` and `values` (the forward graph on those numbers, Values by name).
    """

    def __init__(
        self, source: str, name: str = "sheet", numbers: Mapping[str, Any] | None = None
    ) -> None:
        self.name, self.source = name, source
        account = Account(READING)
        try:
            super().__init__(**vars(parse(source, account)))
        except SheetError as error:
            raise SheetError(error.message, error.line, error.column, name) from None
        self.data = self._checked_data(numbers or {})
        self.numbers = self.draw(0, account) | self.data
        main = self.graph(self.numbers, account)
        self.cost = main.cost
        self.main = main
        self.values = {key[0]: value for key, value in main.values.items()}

    def __repr__(self) -> str:
        return (
            f"<Sheet {self.name}: {len(self.givens)} given, cost {self.cost_name}, "
            f"claims {', '.join([*self.claims, *self.jacobians]) or 'nothing'}>"
        )

    def derive(
        self,
        wrt: Any = None,
        convention: str = "lecture",
        every: bool = False,
        m: int | None = None,
    ) -> Derivation:
        r"""The rules for this sheet's cost; see `tinygrad_edu.derive`. What is declared is known to
        them: the columns of a one-hot Y sum to 1, and what whole numbers are called.

        >>> sheet = Sheet("m = 4\nw: ()\nx: (4,)\nJ = np.sum(w * x) / m")
        >>> print(sheet.derive("w"))
        dw = (1/m) np.sum(x)
        """
        plain = {name: v for name, v in self.values.items() if isinstance(v, np.ndarray)}
        facts, origins = self.facts(self.main), self.origins(self.main)
        return derive(self.cost, wrt, convention, m, every, plain, facts, origins)

    def facts(self, graph: Graph) -> dict[Any, tuple[str, int | None]]:
        """What is declared of given data, by the nodes of one of this sheet's graphs."""
        return {
            graph.values[name, 0]: (given.kind, int(given.options[0]) if given.options else None)
            for name, given in self.givens.items()
            if given.kind in ("onehot", "probabilities", "binary")
        }

    def with_line(self, statement: Statement, text: str) -> Sheet | None:
        """The sheet with another text for one of its lines, on the same numbers; None where that is
        no sheet, or the line cannot be told from others in its row."""
        rows = NEWLINE.split(self.source)
        row, was = rows[statement.line - 1], statement.looped or statement.text
        if row.count(was) != 1:
            return None
        rows[statement.line - 1] = row.replace(was, text)
        try:
            return Sheet("\n".join(rows), self.name, self.data)
        except SheetError:
            return None

    # --- numbers -------------------------------------------------------------------------------

    def draw(self, seed: int, account: Account | None = None) -> dict[str, Any]:
        """Fresh numbers for all that is given, each of its kind; the same for the same seed.

        Raises SheetError where they are more than `account` allows.
        """
        account = account or Account(READING)
        rng = np.random.default_rng([20240, seed])
        found = {}
        for name, given in self.givens.items():
            with self.line_of(given.line):
                account.charge(math.prod(given.shape), _DRAWN)
                account.keep(math.prod(given.shape))
            found[name] = given.draw(rng)
        return found

    def _error(self, message: str, line: int, column: int = 1) -> SheetError:
        return SheetError(message, line, column, self.name)

    def line_of(self, line: int) -> AbstractContextManager[None]:
        """Where an account is used up inside, this line of the sheet was too much."""
        return too_much_in(line, self.name)

    def _checked_data(self, numbers: Mapping[str, Any]) -> dict[str, Any]:
        checked = {}
        for name, given in self.givens.items():
            if name not in numbers:
                continue
            try:
                array = asarray(numbers[name], f"the data for {name}")
            except TypeError as error:
                raise self._error(str(error), given.line) from None
            if array.dtype.itemsize > 8:
                said = f"the data for {name} are {array.dtype}: save x.astype(float)"
                raise self._error(said, given.line)
            if array.shape != given.shape:
                shapes = {"declared": given.shape, "shape": array.shape}
                raise self._error(say("error.declared_shape", name=name, **shapes), given.line)
            checked[name] = array if given.is_whole else array.astype(float)
        return checked

    # --- forward -------------------------------------------------------------------------------

    @functools.cached_property
    def _bare(self) -> dict[Key, Expr]:
        """The forward lines that add a tiny number for safety, with zero in its place."""
        zero = self.formulas.number(0.0)
        tiny = {s.key for s in self.forward if s.expr.op == "number" and _is_tiny(s.expr)}
        found = {}
        for statement in self.forward:
            added = {
                part: zero
                for e in walk(statement.expr)
                if e.op == "+"
                for part in e.args
                if _is_tiny(part) or (part.op == "name" and part.extra in tiny)
            }
            if added:
                found[statement.key] = self.formulas.substituted(statement.expr, added)
        return found

    @property
    def adds_tiny(self) -> bool:
        """Does a forward line add a number such as 1e-8, for safety only?"""
        return bool(self._bare)

    def graph(
        self, numbers: Mapping[str, Any], account: Account | None = None, without_tiny: bool = False
    ) -> Graph:
        """The forward lines computed on `numbers`; every name's Value carries that name.

        With `without_tiny`, numbers such as the 1e-8 in ``log(A + 1e-8)`` are zero.

        Raises SheetError where a line cannot be computed, or is more than `account` allows.
        """
        account = account or Account(READING)
        claimed = {claim.of for claim in self.claims.values()}
        values: dict[Key, Any] = {}
        for name, given in self.givens.items():
            if given.kind == "integers" or (given.is_whole and name not in claimed):
                values[name, 0] = np.asarray(numbers[name]).astype(np.int64)
            else:
                differentiable = given.kind not in DISCRETE or name in claimed
                values[name, 0] = Value(np.asarray(numbers[name], float), name, differentiable)
        constants: dict[Expr, Any] = {}
        entries = {name: Entries(name) for name in claimed if self._is_filled(name)}
        first = account.kept
        with np.errstate(all="ignore"):
            for statement in self.forward:
                bare = self._bare.get(statement.key) if without_tiny else None
                expr = bare or statement.expr
                into = entries.get(statement.name)
                value = self._forward_value(statement, expr, values, account, constants, into)
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    value = numbers.get(statement.name, value)
                    if statement.name in claimed:  # a number one wants the gradient of
                        value = Value(float(value), statement.name)
                elif isinstance(value, Value):
                    if value.name is not None or value.op is None:
                        value = +value  # another name for it is a node of its own
                    value.name = statement.name
                values[statement.key] = value
                if account.kept - first > MOST_IN_GRAPH:
                    raise self._error(str(TooMuch()), statement.line)
        account.keep(account.kept - first)  # a gradient for each
        cost = self._checked_cost(values[self.above_cost[-1].key])
        nodes = {
            (name, ENTRIES - i): node
            for name, filled in entries.items() for i, node in enumerate(filled.nodes())
        }  # fmt: skip
        return Graph(values, cost, dict(numbers), constants, nodes)

    def _checked_cost(self, cost: Any) -> Value:
        where = self.above_cost[-1].line
        if not isinstance(cost, Value):
            raise self._error(say("error.cost_of_nothing", name=self.cost_name), where)
        if cost.size != 1:
            said = say("error.cost_single", name=self.cost_name, shape=cost.shape)
            raise self._error(said, where)
        return cost

    def origins(self, graph: Graph) -> Origins:
        """Where the numbers of one of this sheet's graphs come from."""
        made = {s.key: s.expr for s in self.forward}
        return origins_of(self.givens, made, graph.values, graph.constants)

    def _forward_value(
        self,
        statement: Statement,
        expr: Expr,
        values: dict[Key, Any],
        account: Account,
        constants: dict[Expr, Any],
        filled: Entries | None,
    ) -> Any:
        evaluator = Evaluator(values, account, constants)
        before = account.left
        try:
            with self.line_of(statement.line):
                value = evaluator.value(expr)
                if filled is not None:
                    value = filled.added(self.formulas, expr, value, evaluator)
                account.spend((before - account.left) * (_RECORDED - 1))
            return value
        except Uncomputable as error:
            if any(statement is other for other in self.forward[len(self.above_cost) :]):
                return None  # the cost does not need it
            column = statement.reader.columns.get(error.expr, 1)
            raise self._error(error.args[0], statement.line, column) from None

    @property
    def above_cost(self) -> list[Statement]:
        """The forward lines down to the cost itself."""
        last = max(i for i, s in enumerate(self.forward) if s.name == self.cost_name)
        return self.forward[: last + 1]

    def versions(self, name: str) -> list[Key]:
        """Every state a given or forward name had, oldest first."""
        first = [(name, 0)] if name in self.givens else []
        return first + [s.key for s in self.forward if s.name == name]

    def quantities(self, name: str, graph: Graph) -> list[Key]:
        """What the gradient of a name may be meant of: every state of it, and its entries."""
        return self.versions(name) + [key for key in graph.entries if key[0] == name]

    def _is_filled(self, name: str) -> bool:
        """Is a name an array into which forward lines write one part after another?"""
        ops = [s.expr.op for s in self.forward if s.name == name]
        return name not in self.givens and {*ops[1:]} == {"setitem"} and "dict" not in ops


def _is_tiny(e: Expr) -> bool:
    """Is a formula a number that is added only to keep away from zero?"""
    return e.op == "number" and isinstance(e.extra, float) and 0 < e.extra <= 1e-4


@checked
def load_sheet(path: str | Path, data: str | Path | Mapping[str, Any] | None = None) -> Sheet:
    """Read a sheet: what is given, the forward lines up to the cost, and the claims after it.

    `path`: a file, or "-" for standard input. `data`: numbers for what is given, as a dict or an
    ``.npz`` file; without it the file of the same stem with suffix ``.npz`` beside the sheet, if
    there is one. What has no numbers is drawn by its kind.

    Raises SheetError, with line and column, for anything that is not a sheet; OSError for a file
    that cannot be opened.
    """
    if str(path) == "-":
        name, beside = "standard input", None
        source = standard_input()
    else:
        path = Path(path)
        name = str(path)
        try:
            with opened(path) as file:
                source = file.read(4 * LONGEST_SHEET + 1).decode()
        except UnicodeDecodeError:
            raise SheetError(say("error.not_utf8"), 1, 1, name) from None
        except GradError as error:
            raise SheetError(f"{error}; a sheet may be piped in under the name -") from None
        beside = path.with_suffix(".npz")
    if data is None and beside is not None and beside.exists() and beside != path:
        data = beside
    return sheet_of_text(source, data, name)


def sheet_of_text(
    text: str, data: str | Path | Mapping[str, Any] | None = None, name: str = "text"
) -> Sheet:
    """The sheet that a text is; see `load_sheet`."""
    numbers = _load_numbers(data) if isinstance(data, (str, Path)) else data
    return Sheet(text, name, numbers)


def standard_input() -> str:
    """All of standard input, as much of it as a sheet may have and a little more."""
    if sys.stdin is None:  # `<&-`
        raise SheetError("it is closed", sheet="standard input")
    binary = getattr(sys.stdin, "buffer", None)
    if binary is None:  # something that stands in for it
        return sys.stdin.read(LONGEST_SHEET + 1)
    try:
        return str(binary.read(4 * LONGEST_SHEET + 1).decode())
    except UnicodeDecodeError:
        raise SheetError("this is not text in UTF-8", 1, 1, "standard input") from None


def _load_numbers(path: str | Path) -> dict[str, Any]:
    """The arrays of an ``.npz`` file; pickled objects are refused."""
    try:
        return read_npz(path, most=MOST_BYTES)
    except GradError as error:
        raise SheetError(str(error)) from None
