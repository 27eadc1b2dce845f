"""A correction as a person would leave it: what an edit has made cancel is struck out.

Only what is new is touched: ``x * 2 / 2``, ``b / b``, ``1 * x``, ``--x``, ``x + -y``,
``0.3 * x * 2``, ``(x**2)**3`` and ``x**1``.
"""

from __future__ import annotations

import numpy as np

from tinygrad_edu.diagnosis.context import Context
from tinygrad_edu.diagnosis.parts import Factors, factors_of, product
from tinygrad_edu.sheets.syntax import Expr, walk

#: A number of a product is written as one if it has no more characters than this.
_LONGEST_NUMBER = 6


def simplified(context: Context, e: Expr, line: Expr) -> Expr:
    """A formula without what cancels in it, parts of the learner's line left as they are."""
    own = set(walk(line))
    done: dict[Expr, Expr] = {}

    def simple(x: Expr) -> Expr:
        if x in own or x.op in ("number", "name"):
            return x
        if x not in done:
            args = tuple(map(simple, x.args))
            new = x if args == x.args else context.formulas.make(x.op, *args, extra=x.extra)
            done[x] = _product(context, _power(context, _signed(context, new)), own)
        return done[x]

    return simple(e)


def _signed(context: Context, x: Expr) -> Expr:
    """``--x`` as ``x``, ``x + -y`` as ``x - y``, also where -y is the first factor of a product."""
    make = context.formulas.make
    if x.op == "neg" and x.args[0].op == "neg":
        return x.args[0].args[0]
    if x.op not in ("+", "-"):
        return x
    (first, power), *rest = factors_of(x.args[1])
    if first.op != "neg" or power < 0:
        return x
    return make(
        "-" if x.op == "+" else "+", x.args[0], product(context, [(first.args[0], 1), *rest])
    )


def _power(context: Context, x: Expr) -> Expr:
    """``(x**p)**q`` as one power, and ``x**1`` as x."""
    if x.op != "**":
        return x
    base, exponent = x.args[0], context.constant(x.args[1])
    if base.op == "**" and exponent is not None:
        inner = context.constant(base.args[1])
        if inner is None:
            return x
        base, exponent = base.args[0], inner * exponent
        number = int(exponent) if exponent.is_integer() else exponent
        x = context.formulas.make("**", base, context.formulas.number(number))
    return base if exponent == 1 else x


def _product(context: Context, x: Expr, own: set[Expr]) -> Expr:
    """A product without factors that cancel, without a new 1, its numbers multiplied."""
    if x.op not in ("*", "/"):
        return x
    factors = factors_of(x)
    kept = _joined(context, _uncancelled(context, factors))
    ones = [
        (f, power)
        for f, power in kept
        if f.op == "number" and f.extra == 1 and (power < 0 or f not in own)
    ]
    rest = [f for f in kept if f not in ones]
    if any(power > 0 for _, power in rest):
        kept = rest
    if kept == factors:
        return x
    return product(context, kept) if kept else context.formulas.number(1)


def _uncancelled(context: Context, factors: Factors) -> Factors:
    """Factors but for those that are divided by again; arrays may be 0 and are left."""
    kept = list(factors)
    for f, power in factors:
        if power > 0 and (f, 1) in kept and (f, -1) in kept:
            if f.op == "number" or not isinstance(context.value(f), np.ndarray):
                kept.remove((f, 1))
                kept.remove((f, -1))
    return kept


def _joined(context: Context, factors: Factors) -> Factors:
    """Factors, the decimal numbers among them multiplied: ``0.3 * x * 2`` as ``0.6 * x``."""
    numbers = [
        f for f in factors if f[0].op == "number" and f[1] > 0 and type(f[0].extra) in (int, float)
    ]
    if len(numbers) < 2 or not any(type(f.extra) is float for f, _ in numbers):
        return factors
    whole = float(np.prod([f.extra for f, _ in numbers]))
    short = float(f"{whole:.12g}")
    if len(f"{short:g}") > _LONGEST_NUMBER or float(f"{short:g}") != short:
        return factors
    at = factors.index(numbers[0])
    number = context.formulas.number(int(short) if short.is_integer() else short)
    return [
        (number, 1) if i == at else f for i, f in enumerate(factors) if i == at or f not in numbers
    ]
