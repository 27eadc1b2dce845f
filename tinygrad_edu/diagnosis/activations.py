"""Where one named quantity is a function of another, element by element, and its derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.checking.samples import MASKING
from tinygrad_edu.checking.truth import equal
from tinygrad_edu.checking.verdict import Judged
from tinygrad_edu.core.ops import arithmetic, elementwise
from tinygrad_edu.core.ops.reductions import sum as tg_sum
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.sweep import reachable, sweep
from tinygrad_edu.core.value import Value
from tinygrad_edu.diagnosis.context import Activation, Context
from tinygrad_edu.diagnosis.derived import Reading, Unwritable
from tinygrad_edu.diagnosis.parts import kind_of_product
from tinygrad_edu.rules.deriving import Deriving
from tinygrad_edu.sheets.account import Account
from tinygrad_edu.sheets.evaluate import Evaluator
from tinygrad_edu.sheets.lines import Key
from tinygrad_edu.sheets.syntax import ORDERING, Expr, show, walk

ELEMENTWISE = frozenset(
    op
    for family in (arithmetic, elementwise)
    for op in vars(family).values()
    if hasattr(op, "rules")
)
#: What it costs to look at a formula as an activation, and to find its slopes or write them; and
#: for each of its tokens, to sweep it, twice where that meets a nan.
_SOUGHT, _FITTED, _SWEPT = 30_000, 500_000, 60_000


def context_of(judged: Judged, account: Account) -> Context:
    """The context of a judged sheet, with the activations in its forward lines."""
    context = Context(judged, account)
    context.use_elementwise(Activations(context).found())
    return context


class Activations:
    """The activations in the forward lines of a context's sheet."""

    def __init__(self, context: Context) -> None:
        self.context, self.formulas = context, context.formulas

    def found(self) -> list[Activation]:
        """All of them: from name to name, and from what has no name."""
        return self._named() + self._of_unnamed()

    def _named(self) -> list[Activation]:
        found: list[Activation] = []
        for statement in self.context.sheet.forward:
            value = self.context.graph.values.get(statement.key)
            if not isinstance(value, Value) or not value.requires_grad:
                continue
            stack = [(statement.expr, False)]
            while stack:
                e, multiplied = stack.pop()
                if e.op in ("name", "number"):
                    continue
                whole = e is statement.expr
                activation = self._activation(e, statement.key, whole, multiplied)
                if activation is None or not activation.forms:
                    multiplied = multiplied or kind_of_product(e) == "@"
                    stack.extend((a, multiplied) for a in e.args)
                if activation is not None and (activation.forms or whole):
                    found.append(activation)
        return found

    def _of_unnamed(self) -> list[Activation]:
        """Activations of something that has no name: ``h = np.tanh(W @ x)``."""
        found = []
        for statement in self.context.sheet.forward:
            key, e = statement.key, statement.expr
            inner = _innermost_sums(e)
            if len(inner) != 1 or inner[0] is e:
                continue
            u, stand_in = inner[0], self.formulas.name("?", -1)
            outer = self.formulas.substituted(e, {u: stand_in})
            arguments = [self.context.value(u, i) for i in range(len(self.context.samples))]
            if not all(isinstance(x, np.ndarray) for x in arguments):
                continue
            slopes, masking = self._slopes(outer, stand_in.extra, arguments)
            result = self.context.name(key)
            forms = tuple(self._forms(e, u, result, slopes, masking)) if slopes else ()
            if forms:
                before = (show(u), -1)
                found.append(Activation(before, key, e, result, forms, tuple(slopes), masking))
        return found

    def _activation(self, e: Expr, within: Key, whole: bool, multiplied: bool) -> Activation | None:
        """A formula as an activation: a function of one named quantity element by element.

        It is the `whole` of the line `within`, or part of it. `multiplied`: it stands in a matrix
        product, so that its shape is not that of the line.
        """
        values = self.context.graph.values
        self.context.account.spend(_SOUGHT)
        names = e.names
        read = [k for k in names if isinstance(values.get(k), Value) and values[k].requires_grad]
        computed = [k for k in read if values[k].op is not None]
        before = computed if whole and len(computed) == 1 else read
        if len(before) != 1 or (not whole and not _curved(e)):
            return None
        key = before[0]
        if not whole and any(np.ndim(self.context.plain.get(k, 0.0)) for k in names - {key}):
            return None  # a mask or another array takes part: look deeper
        shape = np.shape(self.context.plain[key])
        if not whole and not multiplied and shape != values[within].shape:
            return None  # the loss is no activation
        self.context.account.spend(_FITTED)
        slopes, masking = self._slopes(e, key, [s.plain[key] for s in self.context.samples])
        if not slopes:
            return None
        result = self.context.name(within) if whole else e
        forms = tuple(self._forms(e, self.context.name(key), result, slopes, masking))
        made = e if whole else None
        return Activation(key, within, made, result, forms, tuple(slopes), masking)

    def _slopes(self, e: Expr, key: Key, arguments: list[Any]) -> tuple[list[Any], bool]:
        """The derivative of a formula by one name, for what that is on each sample, and whether it
        can switch a unit off; nothing where the formula is not computed element by element."""
        slopes, masking = [], False
        for sample, x in zip(self.context.samples, arguments, strict=True):
            self.context.account.spend(_SWEPT * e.length)
            p = Value(x)
            n = Evaluator({**sample.plain, key: p}, self.context.account).get(e)
            if not isinstance(n, Value) or n.shape != p.shape or not n.requires_grad:
                return [], False
            made = [node for node in reachable(n) if node is not p]
            if any(node.op not in ELEMENTWISE or node.shape != n.shape for node in made):
                return [], False
            if not np.isfinite(n._data).all():
                return [], False
            masking = any(node.op in MASKING for node in made)
            slope = sweep(n, np.ones(n.shape) if n.shape else 1.0).get(p)
            if slope is None:
                return [], False
            slopes.append(np.broadcast_to(np.asarray(slope), n.shape) if n.shape else float(slope))
        return slopes, masking

    def _forms(
        self, e: Expr, p: Expr, result: Expr, values: list[Any], masking: bool
    ) -> list[Expr]:
        """Ways to write g'(P) of a formula `e` of P whose `result` is N, those in N first.

        `values` are what it is on all samples.
        """
        make, number, call = self.formulas.make, self.formulas.number, self.formulas.call
        self.context.account.spend(_FITTED + 500 * sum(np.size(v) for v in values))
        # The rule first: on a kink it has the side that corrections have.
        candidates = [*filter(None, (self._rule(e, p, result), self._rule(e, p, None)))]
        if masking:
            zero = number(0)
            candidates += [make(">", p, zero), make(">", result, zero), make(">=", p, zero)]
        candidates.append(make("-", number(1), make("**", call("tanh", p), number(2))))
        candidates += [call(prime, p) for prime in self.context.primes]
        own = p.names | result.names
        return [
            x
            for x in dict.fromkeys(candidates)
            if not any(self.context.depends(self.context.name(key)) for key in x.names - own)
            and self._has_values(x, values)
        ]

    def _has_values(self, e: Expr, values: list[Any]) -> bool:
        for i, want in enumerate(values):
            v = self.context.value(e, i)
            if v is None or np.ndim(v) > np.ndim(want):
                return False
            v = np.asarray(v, float)
            if not equal(v if v.ndim else np.broadcast_to(v, np.shape(want)), want):
                return False
        return True

    def _rule(self, e: Expr, p: Expr, result: Expr | None) -> Expr | None:
        """The derivative of a formula of P by the rules' engine, in N too where it is to be."""
        before = Value(self.context.value(p) * 1.0, "before")
        constants: dict[Expr, Any] = {}
        stand_in = self.formulas.name("?", -1)
        line = self.formulas.substituted(e, {p: stand_in})
        known = {**self.context.plain, ("?", -1): before}
        after = Evaluator(known, self.context.account, constants).get(line)
        if not isinstance(after, Value):
            return None
        names: dict[str, Any] = {"before": before} | ({} if result is None else {"after": after})
        names |= {name: x for (name, _), x in known.items() if isinstance(x, np.ndarray)}
        try:
            work = Deriving(tg_sum(after), "calculus", None, names, {})
            lines = work.lines([before])
            reading = Reading(self.context, work, lines, constants)
            reading.known |= {"before": p, **({} if result is None else {"after": result})}
            return reading.expr(lines[-1].tree)
        except (Unwritable, GradError):
            return None


def _innermost_sums(e: Expr) -> list[Expr]:
    """The parts of a formula that hold a matrix product and are nothing but sums of such."""
    if not any(kind_of_product(sub) == "@" for sub in walk(e)):
        return []
    if e.op in ("+", "-") or kind_of_product(e) == "@":
        return [e]
    return [part for a in e.args for part in _innermost_sums(a)]


def _curved(e: Expr) -> bool:
    """Is a formula more than sums and constant multiples?"""
    return any(sub.op in ("call", "method", "**", "/", *ORDERING) for sub in walk(e))
