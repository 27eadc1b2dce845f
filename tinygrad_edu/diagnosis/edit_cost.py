"""How near a correction is to what the learner wrote, and how natural.

Right by its numbers is not enough: nobody writes ``1 * x``, ``a + a`` or a division that cancels.
"""

from __future__ import annotations

import itertools
import re

import numpy as np

from tinygrad_edu.checking.truth import is_scalar
from tinygrad_edu.diagnosis.context import Context
from tinygrad_edu.diagnosis.edits import Edit
from tinygrad_edu.diagnosis.parts import factors_of, flat, terms_of, unsigned
from tinygrad_edu.diagnosis.words import Words
from tinygrad_edu.sheets.syntax import ORDERING, Expr, walk

_TOKEN = re.compile(r"\d+\.?\d*(?:e[-+]?\d+)?|\.\d+|\w+|\*\*|//|[<>=!]=|\S")


def tokens(text: str) -> list[str]:
    """A formula cut into names, numbers and signs."""
    return _TOKEN.findall(text)


def distance(a: list[str], b: list[str]) -> int:
    """How many tokens must be put in, taken out or exchanged (Levenshtein)."""
    while a and b and a[0] == b[0]:
        a, b = a[1:], b[1:]
    while a and b and a[-1] == b[-1]:
        a, b = a[:-1], b[:-1]
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def cost_of(edit: Edit, d: int, line: Expr, words: Words) -> float:
    """What an edit costs: its distance in tokens, and more the less natural it is.

    Leaving something out is one step, however long what is left out.
    """
    cost = float(d)
    if edit.kind in ("delete factor", "delete term") and edit.first is None:
        cost = min(cost, 2.0 * max(len(edit.removed), 1) + 0.1 * d)
    if edit.kind == "brackets" and edit.first is None and edit.removed[0].op != "neg":
        return cost  # nothing but what the learner wrote
    if edit.kind == "function":
        cost += 1.5
    if edit.first is not None:
        cost += 1.5
    return cost + unnatural(edit.expr, line, words)


def unnatural(e: Expr, line: Expr, words: Words) -> float:
    """How unlike anything a person would write a right formula is, in tokens.

    Only what is new in it counts: neither parts of the learner's line nor of the sheet.
    """
    context = words.context
    own = set(walk(line))
    known = own | words.known
    parts = walk(e)
    new = [sub for sub in parts if sub not in known]
    cost = sum(_cancelling(context, sub, known) for sub in parts if sub.op in ("*", "/"))
    cost += sum(rule(context, sub) for sub in new for rule in _RULES)
    # What the learner wrote himself may stay, changed inside.
    ones = sum(map(_of_one, new)) - sum(_of_one(sub) for sub in own if sub not in words.known)
    divided = sum(_by_array(context, sub) for sub in new)
    divided -= sum(_by_array(context, sub) for sub in own.difference(parts))
    shared = sum(map(_shares_factor, new)) - sum(map(_shares_factor, own))
    cost += 3.0 * max(ones, 0) + 8.0 * max(divided, 0) + 2.0 * max(shared, 0)
    return cost + sum(4.0 for sub in new if _unmentioned(sub) and not _own_call(sub, own))


def _of_one(e: Expr) -> bool:
    """Is a formula a product with 1, 0 or -1?"""
    return e.op == "*" and any(
        a.op == "number" and a.extra in (1, 0, -1) and not isinstance(a.extra, bool) for a in e.args
    )


def _by_array(context: Context, e: Expr) -> bool:
    return e.op == "/" and isinstance(context.value(e.args[1]), np.ndarray)


def _shares_factor(e: Expr) -> bool:
    """Is a sum like ``x * y + x`` or ``x * y + 2 * x``, where x could be taken out?"""
    if e.op not in ("+", "-"):
        return False
    factors = [{f for f, _ in flat(t) if f.op != "number"} for t, _ in terms_of(e)]
    return any(a & b and 1 in (len(a), len(b)) for a, b in itertools.combinations(factors, 2))


def _unmentioned(e: Expr) -> bool:
    """Is this a function of something that nobody has mentioned?"""
    return e.op == "call" and len(e.args) == 1 and e.function in ("exp", "log", "tanh", "sqrt")


def _own_call(e: Expr, own: set[Expr]) -> bool:
    """Did the learner write this call himself, with another sign inside?"""
    inside = unsigned(e.args[0])
    return any(
        call.op == "call" and call.function == e.function and unsigned(call.args[0]) is inside
        for call in own
        if call.args
    )


def _number_of_products(context: Context, e: Expr) -> float:
    """Two numbers in one product: a person would have multiplied them."""
    if e.op not in ("*", "/"):
        return 0.0
    factors = [f for f, _ in factors_of(e)]
    factors += [g for f in factors if f.op == "@" for a in f.args for g, _ in factors_of(a)]
    numbers = [f for f in factors if f.op == "number" and f.extra != 1]
    return 2.0 * max(len(numbers) - 1, 0)


def _sum_of_equals(context: Context, e: Expr) -> float:
    """``a + a``, ``a + 0``, ``a + b + a``."""
    if e.op not in ("+", "-"):
        return 0.0
    zero = any(a.op == "number" and a.extra == 0 for a in e.args)
    terms = [t for t, _ in terms_of(e)]
    return 3.0 * (zero or e.args[0] is e.args[1]) + 3.0 * (len(terms) - len(set(terms)))


def _divided_again(context: Context, e: Expr) -> float:
    """``k * (a / k + b)``."""
    if e.op != "*" or e.args[1].op not in ("+", "-"):
        return 0.0
    outside = {f for f, power in factors_of(e.args[0]) if power > 0}
    return 5.0 * any((f, -1) in factors_of(t) for t, _ in terms_of(e.args[1]) for f in outside)


def _outer(context: Context, e: Expr) -> float:
    """An outer product by broadcasting both factors."""
    if e.op != "*":
        return 0.0
    one, other = (np.shape(context.value(a)) for a in e.args)
    both = np.shape(context.value(e))
    return 3.0 * (len(both) == 2 and bool(one) and bool(other) and both not in (one, other))


def _signs(context: Context, e: Expr) -> float:
    if e.op != "neg":
        return 0.0
    return 3.0 if e.args[0].op in ("neg", "number") else 1.5


def _odd_numbers(context: Context, e: Expr) -> float:
    """A decimal number, one that multiplies matrices, a power of a constant, what has no name."""
    if e.op == "number":
        return 1.0 * isinstance(e.extra, float)
    if e.op == "name":
        return 50.0 if e.extra[0].startswith("?") else 0.0
    if e.op == "@":
        return 5.0 * any(a.op == "number" for a in e.args)
    return 1.0 * (e.op == "**" and context.constant(e) is not None)


def _masks_compared(context: Context, e: Expr) -> float:
    return 6.0 * (e.function == "maximum" and any(a.op in ORDERING for a in e.args))


_RULES = (
    _sum_of_equals, _divided_again, _outer, _signs, _odd_numbers, _masks_compared,
    _number_of_products,
)  # fmt: skip


def _cancelling(context: Context, e: Expr, before: set[Expr]) -> float:
    """How bad a product is in which two factors cancel, or one stands twice, newly."""
    if e in before:
        return 0.0
    factors = [(f, p) for f, p in flat(e) if f.op != "number"]
    for whole, p in factors[:]:  # (m * W) @ dZ is m * (W @ dZ)
        if whole.op == "@":
            inside = [pair for a in whole.args for pair in flat(a) if a.op in ("*", "/")]
            factors += [(f, p * q) for f, q in inside if is_scalar(context.value(f))]
    penalty = 0.0
    for (f, p), (g, q) in itertools.combinations(factors, 2):
        if f is g:
            penalty += 5 if p != q else 3
        elif isinstance(context.value(f), np.ndarray) and isinstance(context.value(g), np.ndarray):
            a, b = context.value(f), context.value(g)
            if a.shape == b.shape and a.dtype.kind == b.dtype.kind == "f":
                with np.errstate(all="ignore"):
                    one = a * b if p == q else a / b
                if np.allclose(one, 1.0, equal_nan=False):
                    penalty += 8
    return penalty
