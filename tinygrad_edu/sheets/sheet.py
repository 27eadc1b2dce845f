"""A sheet: a derivation on paper as a text file, read line by line and interpreted, never run.

`load_sheet` gives a `Sheet`: what is given, the forward lines, the cost, the claims as formulas.
The forward lines can be computed again on other numbers (`Sheet.graph`): so verdicts are confirmed.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import io
import math
import re
import sys
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu.calculus.axes import Origins
from tinygrad_edu.core.files import opened, read_npz
from tinygrad_edu.core.primitive import GradError, asarray
from tinygrad_edu.core.signature import checked
from tinygrad_edu.core.value import Value
from tinygrad_edu.rules import Derivation, derive
from tinygrad_edu.sheets import vocabulary
from tinygrad_edu.sheets.account import (
    MOST_IN_GRAPH,
    READING,
    Account,
    TooMuch,
    entries_of,
)
from tinygrad_edu.sheets.claims import COSTS, claimed
from tinygrad_edu.sheets.origins import origins_of
from tinygrad_edu.sheets.paper import Unreadable, changed_by, read, target_of
from tinygrad_edu.sheets.syntax import (
    BINARY,
    Evaluator,
    Expr,
    Formulas,
    Reader,
    SheetError,
    Uncomputable,
    nodes,
)

LONGEST_SHEET = 200_000
#: Of the numbers beside a sheet, unpacked: those of a lecture's exercise are a thousandth of it.
MOST_BYTES = 64_000_000
MOST_STATEMENTS = 2_000
#: What a character costs to be read, a number to be drawn; how much dearer an operation of a graph
#: is than one that only computes: there and back, and on either side of a kink.
_READ, _DRAWN, _RECORDED = 10_000, 30, 10
#: The kinds of given numbers, with the arguments each takes.
KINDS = {
    "normal": "", "binary": "", "onehot": "axis", "probabilities": "axis", "integers": "low, high",
    "positive": "", "uniform": "low, high",
}  # fmt: skip
#: Kinds whose numbers are not parameters of anything.
_DISCRETE = ("binary", "onehot", "integers")

Key = tuple[str, int]


@dataclass(frozen=True)
class Given:
    """A given quantity: its name, shape and the kind of its numbers."""

    name: str
    shape: tuple[int, ...]
    kind: str
    options: tuple[float, ...]
    line: int
    sizes: tuple[str | None, ...] = ()  # what its lengths were declared by, where no number

    @property
    def is_data(self) -> bool:
        """Are these numbers of a kind that no parameter has?"""
        return self.kind in (*_DISCRETE, "probabilities")

    def draw(self, rng: np.random.Generator) -> Any:
        """Numbers of this kind."""
        shape, kind = self.shape, self.kind
        bounds: list[float] = list(self.options)
        if kind == "binary":
            return rng.integers(0, 2, shape).astype(float)
        if kind == "integers":
            return rng.integers(int(bounds[0]), int(bounds[1]), shape)
        if kind == "positive":
            return rng.uniform(0.3, 2.0, shape)
        if kind == "uniform":
            return rng.uniform(bounds[0], bounds[1], shape)
        if kind in ("onehot", "probabilities"):
            axis = int(self.options[0]) % max(len(shape), 1)
            if kind == "probabilities":
                raw = rng.uniform(0.1, 1.0, shape)
                return raw / raw.sum(axis=axis, keepdims=True)
            classes = np.arange(shape[axis]).reshape(
                [-1 if a == axis else 1 for a in range(len(shape))]
            )
            chosen = rng.integers(
                0, shape[axis], [1 if a == axis else n for a, n in enumerate(shape)]
            )
            return (classes == chosen).astype(float)
        return rng.normal(size=shape)


@dataclass(frozen=True)
class Statement:
    """One assignment: ``name = expr``; `version` counts the assignments to this name."""

    name: str
    version: int
    expr: Expr
    line: int
    text: str  # on one line, as the learner wrote it
    reader: LineReader = field(repr=False)
    plain: bool = True  # written NAME = expression, not += or NAME[…] = …

    @property
    def key(self) -> Key:
        """The name and which of its assignments this is."""
        return self.name, self.version


@dataclass(frozen=True)
class Claim:
    """A quantity the sheet derives: `name` is meant to be the gradient of `of`."""

    name: str
    of: str
    statements: tuple[Statement, ...]

    @property
    def last(self) -> Statement:
        """The statement that counts."""
        return self.statements[-1]


@dataclass(frozen=True)
class Unread:
    """A line that cannot be read: why, its text, the name it would assign to if that is known."""

    error: SheetError
    text: str
    name: str | None


@dataclass(frozen=True)
class Graph:
    """The forward lines computed on some numbers: every name's value, the cost, the numbers given,
    and the nodes that formulas of plain numbers have."""

    values: dict[Key, Any]
    cost: Value
    numbers: dict[str, Any]
    constants: dict[Expr, Any]


class Sheet:
    """A derivation as it was written; see `load_sheet`.

    Attributes: `name`, `source`, `givens` (by name), `forward` and `backward` (statements in
    order), `claims` (by the learner's name), `cost_name`, `numbers` (the sheet's own, by name),
    `cost` and `values` (the forward graph on those numbers, Values by name).
    """

    def __init__(
        self, source: str, name: str = "sheet", numbers: Mapping[str, Any] | None = None
    ) -> None:
        self.name, self.source = name, source
        self.formulas = Formulas()
        self.givens: dict[str, Given] = {}
        self.forward: list[Statement] = []
        self.backward: list[Statement] = []
        self.claims: dict[str, Claim] = {}
        self.unread: list[Unread] = []
        self.cost_name = "J"
        account = Account(READING)
        try:
            _Parser(self, account).parse()
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
            f"claims {', '.join(self.claims) or 'nothing'}>"
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
        facts = {
            self.main.values[name, 0]: (
                given.kind,
                int(given.options[0]) if given.options else None,
            )
            for name, given in self.givens.items()
            if given.kind in ("onehot", "probabilities", "binary")
        }
        plain = {name: v for name, v in self.values.items() if isinstance(v, np.ndarray)}
        origins = self.origins(self.main)
        return derive(self.cost, wrt, convention, m, every, plain, facts, origins)

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

    @contextlib.contextmanager
    def line_of(self, line: int) -> Iterator[None]:
        """Where an account is used up inside, this line of the sheet was too much."""
        try:
            yield
        except TooMuch as error:
            raise SheetError(str(error), line, 1, self.name) from None

    def _checked_data(self, numbers: Mapping[str, Any]) -> dict[str, Any]:
        checked = {}
        for name, given in self.givens.items():
            if name not in numbers:
                continue
            try:
                array = asarray(numbers[name])
            except TypeError as error:
                raise SheetError(f"{name}: {error}", given.line, 1, self.name) from None
            if array.dtype.kind not in "fiub":
                raise SheetError(
                    f"the data for {name} are not real numbers", given.line, 1, self.name
                )
            if array.dtype.itemsize > 8:
                raise SheetError(
                    f"the data for {name} are {array.dtype}: save x.astype(float)",
                    given.line,
                    1,
                    self.name,
                )
            if array.shape != given.shape:
                raise SheetError(
                    f"{name} is declared {given.shape}, its data have shape {array.shape}",
                    given.line,
                    1,
                    self.name,
                )
            checked[name] = array if given.kind == "integers" else array.astype(float)
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
                for _, e in nodes(statement.expr)
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
        self,
        numbers: Mapping[str, Any],
        account: Account | None = None,
        without_tiny: bool = False,
    ) -> Graph:
        """The forward lines computed on `numbers`; every name's Value carries that name.

        With `without_tiny`, numbers such as the 1e-8 in ``log(A + 1e-8)`` are zero.

        Raises SheetError where a line cannot be computed, or is more than `account` allows.
        """
        account = account or Account(READING)
        claimed = {claim.of for claim in self.claims.values()}
        values: dict[Key, Any] = {}
        for name, given in self.givens.items():
            if given.kind == "integers":
                values[name, 0] = np.asarray(numbers[name]).astype(np.int64)
            else:
                differentiable = given.kind not in _DISCRETE or name in claimed
                values[name, 0] = Value(np.asarray(numbers[name], float), name, differentiable)
        constants: dict[Expr, Any] = {}
        first = account.kept
        with np.errstate(all="ignore"):
            for statement in self.forward:
                bare = self._bare.get(statement.key) if without_tiny else None
                expr = bare or statement.expr
                value = self._forward_value(statement, expr, values, account, constants)
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    if statement.name in claimed:  # a number one wants the gradient of
                        at = numbers.get(statement.name, value)
                        value = Value(float(at), statement.name)
                elif isinstance(value, Value):
                    if value.name is not None or value.op is None:
                        value = +value  # another name for it is a node of its own
                    value.name = statement.name
                values[statement.key] = value
                if account.kept - first > MOST_IN_GRAPH:
                    raise SheetError(str(TooMuch()), statement.line, 1, self.name)
        account.keep(account.kept - first)  # a gradient for each
        cost = values[self.cost_name, self._cost_version]
        where = next(s for s in reversed(self.forward) if s.name == self.cost_name)
        if not isinstance(cost, Value):
            raise SheetError(
                f"the cost {self.cost_name} does not depend on anything given",
                where.line,
                1,
                self.name,
            )
        if cost.size != 1:
            raise SheetError(
                f"the cost {self.cost_name} must be a single number, it has shape {cost.shape}",
                where.line,
                1,
                self.name,
            )
        return Graph(values, cost, dict(numbers), constants)

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
    ) -> Any:
        evaluator = Evaluator(values, account, constants)
        before = account.left
        try:
            with self.line_of(statement.line):
                value = evaluator.value(expr)
                account.spend((before - account.left) * (_RECORDED - 1))
            return value
        except Uncomputable as error:
            if any(statement is other for other in self.forward[len(self.above_cost) :]):
                return None  # the cost does not need it
            column = statement.reader.columns.get(error.expr, 1)
            raise SheetError(str(error), statement.line, column, self.name) from None

    @property
    def above_cost(self) -> list[Statement]:
        """The forward lines down to the cost itself."""
        last = max(i for i, s in enumerate(self.forward) if s.name == self.cost_name)
        return self.forward[: last + 1]

    @property
    def _cost_version(self) -> int:
        return max(s.version for s in self.forward if s.name == self.cost_name)

    def versions(self, name: str) -> list[Key]:
        """Every state a given or forward name had, oldest first."""
        first = [(name, 0)] if name in self.givens else []
        return first + [s.key for s in self.forward if s.name == name]


def _is_tiny(e: Expr) -> bool:
    """Is a formula a number that is added only to keep away from zero?"""
    return e.op == "number" and isinstance(e.extra, float) and 0 < e.extra <= 1e-4


#: Where Python ends a line; `str.splitlines` ends it at more.
_NEWLINE = re.compile(r"\r\n|\r|\n")


#: A text with formulas in it, and how long a sheet is that may not have any.
_FORMATTED, _LONG = re.compile(r"""\b(?:f|fr|rf)['"]""", re.IGNORECASE), 20_000


class _Parser:
    """Turns the text of a sheet into givens, statements and claims."""

    def __init__(self, sheet: Sheet, account: Account) -> None:
        self.sheet, self.account = sheet, account
        self.known: set[str] = set()  # given and forward names
        self.claim_of: dict[str, str] = {}
        self.latest: dict[str, int] = {}
        self.statements: dict[str, list[Statement]] = {}
        self.in_backward = False
        self.count = 0  # of statements
        #: What the forward lines so far are where they are plain numbers: shapes are made of them.
        self.plain: dict[Key, Any] = {}
        self.computed = 0
        self.source = sheet.source.replace("\ufeff", "")
        #: The lines as Python counts them, as UTF-8, which is what it counts columns in.
        self.lines = [line.encode("utf-8", "surrogatepass") for line in _NEWLINE.split(self.source)]

    def parse(self) -> None:
        sheet = self.sheet
        if len(sheet.source) > LONGEST_SHEET:
            line = sheet.source.count("\n", 0, LONGEST_SHEET) + 1
            raise SheetError(f"a sheet has at most {LONGEST_SHEET} characters", line, 1)
        self._refuse_texts()
        self.source, statements = read(self.source)
        self.lines = [line.encode("utf-8", "surrogatepass") for line in _NEWLINE.split(self.source)]
        self.cost_line = self._find_cost(statements)
        for node in statements:
            try:
                self._line(node)
            except SheetError as error:
                if not self._below_cost(error.line):
                    raise  # what is to be derived is not known
                self._unread(error, node)
        if not any(s.name == sheet.cost_name for s in sheet.forward):
            raise SheetError(
                "there is no cost: a forward line must define J (or L, cost, loss, E), before the "
                "first claim",
                1,
                1,
            )
        quantities = list(self.claim_of.values())
        for name, of in self.claim_of.items():
            made = [s for s in sheet.backward if s.name == name]
            if quantities.count(of) > 1 and all(s.expr.op == "number" for s in made):
                continue  # W_grad = 0.0, to start from, where dW is derived
            sheet.claims[name] = Claim(name, of, tuple(made))

    def _find_cost(self, statements: list[ast.stmt | Unreadable]) -> int:
        """The line that defines the cost, by its name."""
        assigned = {}
        for node in statements:
            if isinstance(node, Unreadable):
                assigned[target_of(node.text)[0]] = node.line
            elif isinstance(node, (ast.Assign, ast.AugAssign)):
                if not isinstance(node.value, ast.Constant):
                    assigned[_plain_target(node)] = node.lineno
        self.sheet.cost_name = next((name for name in COSTS if name in assigned), "J")
        return assigned.get(self.sheet.cost_name, 0)

    def _below_cost(self, line: int) -> bool:
        return line > self.cost_line and any(
            s.name == self.sheet.cost_name for s in self.sheet.forward
        )

    def _line(self, node: ast.stmt | Unreadable) -> None:
        if isinstance(node, Unreadable):
            raise SheetError(node.message, node.line, node.column)
        try:
            with self.sheet.line_of(node.lineno):
                self.statement(node)
        except RecursionError:
            raise SheetError("this line is nested too deeply", node.lineno, 1) from None

    def _refuse_texts(self) -> None:
        """Python takes quadratic time for ``f"{a}{b}…"``, which no formula has."""
        if len(self.source) > _LONG:
            for number, line in enumerate(self.source.split("\n"), 1):
                if _FORMATTED.search(line.partition("#")[0]):
                    raise SheetError("a text cannot stand in a sheet's formula", number, 1)

    # --- one statement -------------------------------------------------------------------------

    def statement(self, node: ast.stmt) -> None:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self._only_numpy(node)
        elif isinstance(node, ast.Expr):
            self._expression(node)
        elif isinstance(node, ast.AnnAssign):
            self._annotated(node)
        elif isinstance(node, ast.Assign):
            reader = self._reader(node)
            again = self._shifted(node)
            value = reader.read(again.value)
            for target, shifted in zip(node.targets, again.targets, strict=True):
                self._assign(node, target, shifted, value, reader)
        elif isinstance(node, ast.AugAssign):
            self._augmented(node)
        elif not isinstance(node, ast.Pass):
            what = {
                ast.For: "a loop", ast.While: "a loop", ast.FunctionDef: "a function",
                ast.If: "a condition", ast.ClassDef: "a class", ast.With: "a with-block",
            }.get(type(node), "this statement")  # fmt: skip
            raise SheetError(
                f"{what} cannot stand in a sheet: write the lines out",
                node.lineno,
                node.col_offset + 1,
            )

    def _only_numpy(self, node: ast.Import | ast.ImportFrom) -> None:
        names = (
            [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        )
        if any(name.split(".")[0] not in ("numpy", "math", "__future__") for name in names):
            raise SheetError("a sheet imports nothing but numpy", node.lineno, node.col_offset + 1)

    def _expression(self, node: ast.Expr) -> None:
        call = node.value
        if isinstance(call, ast.Constant) and isinstance(call.value, str):
            return  # a remark
        if isinstance(call, ast.Call) and ast.unparse(call.func) in (
            "np.add.at",
            "numpy.add.at",
            "add.at",
        ):
            if len(call.args) == 3 and isinstance(call.args[0], ast.Name) and not call.keywords:
                name = call.args[0].id
                reader = self._reader(node)
                shifted = self._shifted(node)
                target, index, new = shifted.value.args
                parts = index.elts if isinstance(index, ast.Tuple) else [index]
                read = [reader.read(part) for part in (target, *parts, new)]
                self._add(node, name, self.sheet.formulas.make("addat", *read), reader, plain=False)
                return
        raise SheetError(
            "this line computes something and keeps it nowhere; write NAME = …",
            node.lineno,
            node.col_offset + 1,
        )

    def _annotated(self, node: ast.AnnAssign) -> None:
        if not isinstance(node.target, ast.Name):
            raise SheetError("a name is needed before the colon", node.lineno, node.col_offset + 1)
        name, note = node.target.id, node.annotation
        of = claimed(note.id, self.known) if isinstance(note, ast.Name) else None
        if of is not None:
            if node.value is None:
                raise SheetError(f"{name} is declared but not derived", node.lineno, 1)
            self.claim_of[name] = of
            self.in_backward = True
            reader = self._reader(node)
            value = self._shifted(node).value
            assert value is not None
            self._add(node, name, reader.read(value), reader)
            return
        if self.in_backward:
            raise SheetError(
                f"{ast.unparse(note)} is not d + a name of the forward lines", node.lineno,
                note.col_offset + 1,
            )  # fmt: skip
        self._given(node, name)

    def _given(self, node: ast.AnnAssign, name: str) -> None:
        if name in self.known:
            raise SheetError(f"{name} is given twice", node.lineno, node.col_offset + 1)
        shape = self._numbers(node.annotation, "the shape")
        if isinstance(shape, (int, np.integer)):
            shape = (shape,)
        if not isinstance(shape, tuple) or not all(
            isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n > 0 for n in shape
        ):
            raise SheetError(
                f"the shape of {name} is written (rows, columns), of whole numbers above 0",
                node.annotation.lineno,
                node.annotation.col_offset + 1,
            )
        try:
            shape = vocabulary._checked_shape(shape)
        except ValueError as error:
            raise SheetError(str(error), node.lineno, node.annotation.col_offset + 1) from None
        kind, options = self._kind(node, shape)
        self.known.add(name)
        self.latest[name] = 0
        note = node.annotation
        written = note.elts if isinstance(note, ast.Tuple) else [note]
        sizes = tuple(None if isinstance(n, ast.Constant) else ast.unparse(n) for n in written)
        self.sheet.givens[name] = Given(name, shape, kind, options, node.lineno, sizes)

    def _kind(self, node: ast.AnnAssign, shape: tuple[int, ...]) -> tuple[str, tuple[float, ...]]:
        value = node.value
        if value is None:
            return "normal", ()
        call = isinstance(value, ast.Call)
        head = value.func if isinstance(value, ast.Call) else value
        if not isinstance(head, ast.Name) or head.id not in KINDS:
            raise SheetError(
                f"{ast.unparse(value)[:40]} is not a kind of numbers; there are {', '.join(KINDS)}",
                value.lineno,
                value.col_offset + 1,
            )
        kind = head.id
        wanted = [w for w in KINDS[kind].split(", ") if w]
        given = dict(zip(wanted, value.args)) if isinstance(value, ast.Call) else {}
        if isinstance(value, ast.Call):
            if len(value.args) > len(wanted) or any(k.arg not in wanted for k in value.keywords):
                raise SheetError(
                    f"{kind}({KINDS[kind]}) was given something else", value.lineno,
                    value.col_offset + 1,
                )  # fmt: skip
            given |= {str(k.arg): k.value for k in value.keywords}
        if kind in ("onehot", "probabilities") and "axis" not in given:
            if call or len(shape) != 1:
                raise SheetError(f"{kind} needs axis=", value.lineno, value.col_offset + 1)
            return kind, (0.0,)
        if len(given) != len(wanted):
            raise SheetError(f"{kind} needs {KINDS[kind]}", value.lineno, value.col_offset + 1)
        numbers = tuple(self._one_number(given[w], w) for w in wanted)
        bad = (
            (kind in ("onehot", "probabilities") and not -len(shape) <= numbers[0] < len(shape))
            or (kind == "integers" and not numbers[0] < numbers[1])
            or (kind == "uniform" and not numbers[0] <= numbers[1])
        )
        if bad:
            raise SheetError(
                f"{ast.unparse(value)[:60]} fits no shape {shape}",
                value.lineno,
                value.col_offset + 1,
            )
        return kind, numbers

    def _one_number(self, node: ast.expr, what: str) -> float:
        number = self._numbers(node, what)
        if isinstance(number, bool) or not isinstance(number, (int, float, np.number)):
            raise SheetError(f"{what} is a number", node.lineno, node.col_offset + 1)
        exact = float(number)
        if not abs(exact) <= 1e9:
            raise SheetError(f"{what} is too large", node.lineno, node.col_offset + 1)
        return exact

    def _numbers(self, node: ast.expr, what: str) -> Any:
        """A shape or limit computed from the numbers known so far."""
        reader = Reader(self.sheet.formulas, self.sheet.source, self._version)
        try:
            e = Reader.read(reader, _at_start(node, ast.unparse(node), reader))
            for statement in self.sheet.forward[self.computed :]:
                value = Evaluator(self.plain, self.account).get(statement.expr)
                if value is not None:  # else computed from arrays, of no use for a shape
                    self.account.keep(entries_of(value))
                    self.plain[statement.key] = value
            self.computed = len(self.sheet.forward)
            return Evaluator(self.plain, self.account).value(e)
        except (SheetError, Uncomputable) as error:
            message = error.message if isinstance(error, SheetError) else str(error)
            raise SheetError(f"{what}: {message}", node.lineno, node.col_offset + 1) from None

    def _assign(
        self,
        node: ast.Assign,
        target: ast.expr,
        shifted: ast.expr,
        value: Expr,
        reader: LineReader,
    ) -> None:
        if isinstance(target, ast.Name):
            self._add(node, target.id, value, reader)
        elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            self._put(node, shifted, value, reader)
        elif isinstance(target, (ast.Tuple, ast.List)):
            names = [t.id for t in target.elts if isinstance(t, ast.Name)]
            if len(names) != len(target.elts):
                raise SheetError("names are needed on the left", node.lineno, node.col_offset + 1)
            for i, name in enumerate(names):
                if value.op in ("tuple", "list") and len(value.args) == len(names):
                    part = value.args[i]
                else:
                    part = self.sheet.formulas.make("index", value, self.sheet.formulas.number(i))
                self._add(node, name, part, reader, advance=False)
            for name in names:
                self.latest[name] = self.statements[name][-1].version
        else:
            raise SheetError(
                "on the left stands a name, or an array of your own with an index",
                node.lineno,
                target.col_offset + 1,
            )

    def _augmented(self, node: ast.AugAssign) -> None:
        if type(node.op) not in BINARY:
            raise SheetError(
                "this operator has no place in a sheet", node.lineno, node.col_offset + 1
            )
        reader = self._reader(node)
        shifted = self._shifted(node)
        new = reader.read(shifted.value)
        make = self.sheet.formulas.make
        if isinstance(node.target, ast.Name):
            old = self.sheet.formulas.name(node.target.id, self._version(node.target.id))
            self._add(
                node, node.target.id, make(BINARY[type(node.op)], old, new), reader, plain=False
            )
        elif isinstance(shifted.target, ast.Subscript):
            old = reader.read(shifted.target)
            self._put(node, shifted.target, make(BINARY[type(node.op)], old, new), reader)
        else:
            raise SheetError("a name is needed on the left", node.lineno, node.col_offset + 1)

    def _put(self, node: ast.stmt, target: ast.expr, new: Expr, reader: LineReader) -> None:
        """``NAME[index] = new`` as a new state of NAME."""
        if not isinstance(target, ast.Subscript) or not isinstance(target.value, ast.Name):
            raise SheetError("one index after a name is allowed on the left", node.lineno, 1)
        name = target.value.id
        if self._version(name) < 0:
            similar = vocabulary.suggestion(name, self.latest)
            raise SheetError(f"{name} is not defined{similar}", node.lineno, node.col_offset + 1)
        old = reader.read(target)
        make = self.sheet.formulas.make
        changed = make("setitem", old.args[0], *old.args[1:], new)
        self._add(node, name, changed, reader, plain=False)

    def _add(
        self,
        node: ast.stmt,
        name: str,
        expr: Expr,
        reader: LineReader,
        plain: bool = True,
        advance: bool = True,
    ) -> None:
        sheet = self.sheet
        if name in vocabulary.MODULES:
            raise SheetError(f"{name} is the name of a module", node.lineno, 1)
        self.count += 1
        if self.count > MOST_STATEMENTS:
            raise SheetError(
                f"a sheet has at most {MOST_STATEMENTS} lines that assign", node.lineno, 1
            )
        if self._below_cost(node.lineno) and name not in self.claim_of:
            of = claimed(name, self.known)
            if of is not None and name not in self.known:
                self.claim_of[name] = of
                self.in_backward = True
        made = self.statements.setdefault(name, [])
        version = self.latest[name] + 1 if name in self.latest else 0
        statement = Statement(name, version, expr, node.lineno, reader.text, reader, plain)
        made.append(statement)
        if self.in_backward:
            sheet.backward.append(statement)
        else:
            sheet.forward.append(statement)
            self.known.add(name)
        if advance:
            self.latest[name] = version
        elif name not in self.latest:
            self.latest[name] = version

    def _version(self, name: str) -> int:
        """Which assignment a name means here; -1 for a name not assigned yet."""
        return self.latest.get(name, -1)

    def _unread(self, error: SheetError, node: ast.stmt | Unreadable) -> None:
        """A line that cannot be read: its names have no value from here on, the rest is judged."""
        sheet = self.sheet
        if isinstance(node, Unreadable):
            name, note = target_of(node.text)
            text, names = node.text, [name] if name else []
        else:
            text = " ".join((ast.get_source_segment(self.source, node) or "").split())
            names, note = changed_by(node)
        sheet.unread.append(Unread(error, text, names[-1] if names else None))
        reader = LineReader(sheet.formulas, text, self._version, ast.Pass(lineno=error.line))
        expr = sheet.formulas.make("unread", extra=(error.message, error.line))
        self.in_backward = True
        of = claimed(note, self.known) if note else None
        for name in names:
            if of is not None:
                self.claim_of[name] = of
            if name not in vocabulary.MODULES:
                self._add(ast.Pass(lineno=error.line), name, expr, reader, plain=False)

    def _reader(self, node: ast.stmt) -> LineReader:
        text = _one_line(self._text(node))
        self.account.spend(_READ * len(text))
        self._parsed = self._reparsed(text, node)
        reader = LineReader(self.sheet.formulas, text, self._version, node)
        return reader

    def _text(self, node: ast.stmt) -> str:
        """The source of a statement: `ast.get_source_segment` splits all of it for each."""
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        lines = self.lines[first : last + 1]
        lines[-1] = lines[-1][: node.end_col_offset]
        lines[0] = lines[0][node.col_offset :]
        return b"\n".join(lines).decode("utf-8", "surrogatepass")

    def _reparsed(self, text: str, node: ast.stmt) -> ast.stmt:
        try:
            return ast.parse(text).body[0]
        except (SyntaxError, IndexError, ValueError):
            raise SheetError("this line cannot be read", node.lineno, 1) from None

    def _shifted(self, node: Any) -> Any:
        """The statement parsed again from its one-line form, whose columns the reader counts in."""
        return self._parsed


class LineReader(Reader):
    """A reader whose errors name the line of the sheet."""

    def __init__(self, formulas: Formulas, text: str, resolve: Any, node: ast.stmt) -> None:
        super().__init__(formulas, text, resolve)
        self.text = text
        self.line = node.lineno

    def error(self, message: str, node: ast.AST) -> SheetError:
        return SheetError(message, self.line, getattr(node, "col_offset", 0) + 1)


def _at_start(node: ast.expr, text: str, reader: Reader) -> ast.expr:
    reader.source = text.encode()
    return ast.parse(text, mode="eval").body


def _plain_target(node: ast.Assign | ast.AugAssign) -> str | None:
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    return target.id if isinstance(target, ast.Name) else None


def _one_line(text: str) -> str:
    """A statement on one line, without comments."""
    if "\n" not in text and "#" not in text:
        return text.strip()
    parts: list[str] = []
    end = (1, 0)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER):
            continue
        if parts and (token.start[0] != end[0] or token.start[1] != end[1]):
            parts.append(" ")
        parts.append(token.string)
        end = token.end
    line = "".join(parts)
    return re.sub(r"([(\[]) | (?=[)\]])", r"\1", line).strip()


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
        source = _standard_input()
    else:
        path = Path(path)
        name = str(path)
        try:
            with opened(path) as file:
                source = file.read(4 * LONGEST_SHEET + 1).decode()
        except UnicodeDecodeError:
            raise SheetError("this file is not text in UTF-8", 1, 1, name) from None
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


def _standard_input() -> str:
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
