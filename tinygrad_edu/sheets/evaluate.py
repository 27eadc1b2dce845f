"""Formulas computed, on arrays or on Values: each part once, and no more than an account allows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinygrad_edu.core.value import Value
from tinygrad_edu.sheets import vocabulary
from tinygrad_edu.sheets.account import OBJECT, READING, Account, entries_of
from tinygrad_edu.sheets.applying import apply
from tinygrad_edu.sheets.syntax import CASTS, Expr, is_length, show
from tinygrad_edu.words import say

#: Numbers that one evaluator remembers the results of formulas in: 16 MB.
MOST_REMEMBERED = 2_000_000


class Uncomputable(Exception):
    """A formula has no value: shapes, an unknown name, a limit; `expr` says where."""

    def __init__(self, message: str, expr: Expr) -> None:
        super().__init__(message)
        self.expr = expr


#: What an operation raises where it has no value.
_RAISED = (ValueError, TypeError, IndexError, KeyError, ArithmeticError, MemoryError)
FAILURES = (*_RAISED, Uncomputable)

_UNKNOWN = object()
#: Where a number with names meets a Value these names are kept: in arithmetic and comparisons, …
_OPERATORS = frozenset({"+", "-", "*", "/", "@", "**", ">", ">=", "<", "<=", "==", "!="})
_FUNCTIONS = frozenset(
    {"add", "subtract", "multiply", "divide", "true_divide", "maximum", "minimum", "where"}
)
#: … and in these, of numbers alone.
_OF_NUMBERS = frozenset({"sqrt", "exp", "log", "square", "power", "abs", "absolute"})


def in_numbers(x: Any, of: Callable[[Value], Any], made: dict[int, Any] | None = None) -> Any:
    """A value with numbers in the place of Values, `of` each, in lists and dictionaries too.

    `made`: those of lists that were met before, by their identity.
    """
    if isinstance(x, Value):
        return of(x)
    if isinstance(x, dict):
        return {key: in_numbers(part, of, made) for key, part in x.items()}
    if not isinstance(x, (list, tuple)):
        return x
    made = {} if made is None else made
    if id(x) not in made:
        made[id(x)] = type(x)([in_numbers(part, of, made) for part in x])
    return made[id(x)]


class Evaluator:
    """Computes formulas, on arrays or on Values; each node once.

    `known` has the value of every name, by name and assignment. With `constants`, a dictionary to
    keep them in, the formulas make a graph: a number that has a name, or is a length, becomes a
    node where it meets a Value, so that pictures and rules can show it and know where it comes
    from. Raises Uncomputable, and TooMuch where `account` is used up.
    """

    def __init__(
        self,
        known: Mapping[tuple[str, int], Any],
        account: Account | None = None,
        constants: dict[Expr, Any] | None = None,
    ) -> None:
        self.known = known
        self.constants = constants
        self.account = account or Account(READING)
        self.values: dict[Expr, Any] = {}
        self.remembered = 0  # how many numbers those are, about

    def value(self, e: Expr) -> Any:
        """The value of a formula."""
        if e in self.values:
            found = self.values[e]
            if isinstance(found, Uncomputable):
                raise found
            return found
        try:
            result = self._compute(e)
        except Uncomputable as error:
            self.values[e] = error
            raise
        except _RAISED as error:
            self.account.spend(2_000 * e.length)  # it is written out
            self.values[e] = failure = Uncomputable(_message(e, error), e)
            raise failure from None
        self.values[e] = result
        if e.op != "name":  # which somebody else keeps
            self._remember(result)
        return result

    def _remember(self, result: Any) -> None:
        """Forget all results when they fill too much memory: what is needed is computed again.

        Those of a graph stay in it, and are kept on the account.
        """
        if self.constants is not None:
            self.account.keep(entries_of(result))
            return
        self.remembered += OBJECT + entries_of(result)
        if self.remembered > MOST_REMEMBERED:
            self.remembered = 0
            for e in [e for e, v in self.values.items() if not isinstance(v, Uncomputable)]:
                del self.values[e]

    def get(self, e: Expr) -> Any:
        """The value of a formula, or None where it has none."""
        try:
            return self.value(e)
        except Uncomputable as error:
            forget(error)
            return None

    def array(self, e: Expr) -> Any:
        """`get` for what is meant to be a gradient, see `as_array`."""
        return as_array(self.get(e))

    def value_where(self, e: Expr, others: dict[Expr, Any], names: set[tuple[str, int]]) -> Any:
        """The value of a formula where some `names` have other values; `others` has these, and is
        given the values of all parts that read them. Other parts are computed once and for all.

        Raises one of `FAILURES` where there is no value, and TooMuch.
        """
        if e in others:
            return others[e]
        if e.names.isdisjoint(names):
            return self.value(e)
        args = [self.value_where(a, others, names) for a in e.args]
        result = others[e] = apply(e.op, e.extra, args, self.account)
        return result

    def _compute(self, e: Expr) -> Any:
        op = e.op
        if op == "number":
            return e.extra
        if op == "unread":
            raise Uncomputable(e.extra[0], e)
        if op == "name":
            if e.extra not in self.known:
                names = {key[0] for key, value in self.known.items() if value is not None}
                name = e.extra[0]
                self.account.spend(10_000 * len(names))
                similar = vocabulary.suggestion(name, sorted(names)) if self.account.ample else ""
                raise Uncomputable(say("error.not_defined", name=name, similar=similar), e)
            value = self.known[e.extra]
            if value is None:
                raise Uncomputable(say("error.no_value", name=e.extra[0]), e)
            return value
        values = self.values
        args = []
        for a in e.args:
            value = values.get(a, _UNKNOWN)
            if value is _UNKNOWN or type(value) is Uncomputable:
                value = self.value(a)
            args.append(value)
        if self.constants is not None and (op in _OPERATORS or e.function in _FUNCTIONS):
            if any(isinstance(x, Value) for x in args):
                args = [self._node(a, x) for a, x in zip(e.args, args, strict=True)]
        result = apply(op, e.extra, args, self.account)
        self._keep(e, result)
        return result

    def _keep(self, e: Expr, result: Any) -> None:
        """What is reshaped or picked goes into a graph's dictionary each time it is computed: its
        lengths may have names, and so may an index."""
        if self.constants is None:
            return
        if e.function == "reshape" or (e.op == "index" and isinstance(result, Value)):
            key = e if e not in self.constants else Expr(e.op, e.args, e.extra, e.number)
            self.constants[key] = result

    def _node(self, e: Expr, x: Any) -> Any:
        """A plain number with names in its formula (``2 * m``) as nodes of these names; a plain
        array as a node that is known by its formula."""
        if self.constants is None or not isinstance(x, (int, float, np.ndarray)):
            return x
        if e in self.constants:
            return self.constants[e]
        if isinstance(x, np.ndarray):
            name = e.extra[0] if e.op == "name" else None
            self.constants[e] = Value(x, name, requires_grad=False) if x.ndim else x
            return self.constants[e]
        node: Any = x
        if e.op == "name":
            node = Value(float(x), e.extra[0], requires_grad=False)
        elif is_length(e):
            node = Value(float(x), requires_grad=False)
        elif e.function in CASTS and len(e.args) == 1:
            node = self._node(e.args[0], x)
        elif e.op in ("+", "-", "*", "/", "**", "neg", "pos") or e.function in _OF_NUMBERS:
            parts = [self._node(a, self.value(a)) for a in e.args]
            if any(isinstance(part, Value) for part in parts):
                node = apply(e.op, e.extra, parts, self.account)
        self.constants[e] = node
        return node


def forget(error: BaseException) -> None:
    """An error is remembered, and with its traceback every array that was in use would be."""
    error.__traceback__ = error.__context__ = None


def as_array(found: Any) -> Any:
    """A value that is meant to be a gradient: a list is the array it stands for, if any, and a
    dictionary is none."""
    if isinstance(found, dict):
        return None
    if type(found) is np.ndarray:
        return found
    try:
        return vocabulary.array(found)
    except (ValueError, TypeError):
        return None


def _message(e: Expr, error: Exception) -> str:
    text = str(error).split("\n")[0][:200] or type(error).__name__
    if "core dimension" in text:  # NumPy's words for a matrix product that does not fit
        text = "these shapes do not chain in a matrix product; is a transpose (.T) missing?"
    if "broadcast" in text and e.op == "*":
        text += "; a matrix product is written @"
    return f"{show(e)[:60]}: {text}"
