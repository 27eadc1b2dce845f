"""Formulas taken apart: the factors of a product, the terms of a sum, and put together again."""

from __future__ import annotations

import itertools

from tinygrad_edu.diagnosis.context import Context
from tinygrad_edu.sheets.syntax import Expr, is_transposed

Factors = list[tuple[Expr, int]]


def factors_of(e: Expr) -> list[tuple[Expr, int]]:
    """The factors of a product as written, left to right, with 1 or -1 for those divided by."""
    return _joined_by(e, "*", "/")


def terms_of(e: Expr) -> list[tuple[Expr, int]]:
    """The terms of a sum as written, left to right, with 1 or -1 for those taken away."""
    return _joined_by(e, "+", "-")


def _joined_by(e: Expr, op: str, inverse: str) -> list[tuple[Expr, int]]:
    found: list[tuple[Expr, int]] = []
    while e.op in (op, inverse):
        found.append((e.args[1], 1 if e.op == op else -1))
        e = e.args[0]
    found.append((e, 1))
    return found[::-1]


def product(context: Context, factors: list[tuple[Expr, int]]) -> Expr:
    """A product of factors and divisors, without a needless ``1 *``."""
    make, number = context.formulas.make, context.formulas.number
    ups = [f for f in factors if f[1] > 0]
    real = [f for f in ups if not (f[0].op == "number" and f[0].extra == 1)]
    if real and len(real) < len(ups):
        # 1 / m * x keeps its 1; 1 * x does not
        at = next(i for i, f in enumerate(factors) if f[1] > 0 and f not in real)
        if at + 1 >= len(factors) or factors[at + 1][1] > 0 or at > 0:
            factors = factors[:at] + factors[at + 1 :]
    if not factors:
        return number(1)
    if factors[0][1] < 0:
        first = next((i for i, f in enumerate(factors) if f[1] > 0), None)
        if first is None:
            factors = [(number(1), 1), *factors]
        else:
            factors = [factors[first], *factors[:first], *factors[first + 1 :]]
    e = factors[0][0]
    for f, power in factors[1:]:
        e = make("*" if power > 0 else "/", e, f)
    return e


def unsigned(e: Expr) -> Expr:
    """A formula without a minus in front of it."""
    return e.args[0] if e.op == "neg" else e


def untransposed(e: Expr) -> Expr:
    """A formula without a transpose around it."""
    return e.args[0] if is_transposed(e) else e


def flat(e: Expr) -> list[tuple[Expr, int]]:
    """All factors of a product, those in brackets on the right too."""
    factors: list[tuple[Expr, int]] = []
    for f, power in factors_of(e):
        if f.op in ("*", "/"):
            factors.extend((g, p * power) for g, p in flat(f))
        else:
            factors.append((f, power))
    return factors


def subproducts(context: Context, e: Expr) -> list[Expr]:
    """Products of two or three of the factors of `e`."""
    factors = flat(e)[:7]
    found = []
    for n in (1, 2, 3):
        for chosen in itertools.combinations(factors, n):
            if n == 1 and chosen[0][1] > 0:
                continue
            if len(chosen) < len(factors):
                found.append(product(context, list(chosen)))
    return found


def summands(context: Context, e: Expr) -> list[Expr]:
    """The terms of a sum, each with its sign and its share of what the sum is multiplied with."""
    make = context.formulas.make
    if e.op == "+":
        return summands(context, e.args[0]) + summands(context, e.args[1])
    if e.op == "-":
        return summands(context, e.args[0]) + [make("neg", t) for t in summands(context, e.args[1])]
    if e.op in ("*", "/"):
        left = summands(context, e.args[0])
        if len(left) > 1:
            return [make(e.op, t, e.args[1]) for t in left]
        if e.op == "*":
            right = summands(context, e.args[1])
            if len(right) > 1:
                return [make("*", e.args[0], t) for t in right]
    return [e]


def kind_of_product(e: Expr) -> str | None:
    """``"*"`` or ``"@"``, however it is written; None for what is no product."""
    if e.op in ("*", "@"):
        return e.op
    if e.op in ("call", "method") and e.function in ("dot", "matmul"):
        return "@"
    return "*" if e.op == "call" and e.function in ("multiply", "outer") else None


def all_factors(e: Expr) -> Factors:
    """The factors of a product, those of matrix products among them; signs and 1s left out."""
    factors: Factors = []
    for f, power in flat(e):
        if power > 0 and kind_of_product(f) == "@":
            for operand in f.args[:2]:
                factors.extend(all_factors(operand))
        elif power > 0 and f.op == "call" and f.function == "multiply":
            for operand in f.args:
                factors.extend(all_factors(operand))
        elif f.op == "neg":
            factors.extend(all_factors(f.args[0]))
        elif not (f.op == "number" and f.extra == 1):
            factors.append((f, power))
    return factors


def is_word(e: Expr) -> bool:
    """A name, or a name transposed."""
    return e.op == "name" or (e.op == "attribute" and e.args[0].op == "name")


def near(x: float, y: float) -> bool:
    """Are two numbers equal up to rounding?"""
    return abs(x - y) <= 1e-6 * abs(y)
