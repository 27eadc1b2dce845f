"""How near a correction is to what the learner wrote, and how natural.

Right by its numbers is not enough: nobody writes ``1 * x``, ``a + a`` or a division that cancels.
"""

from __future__ import annotations

import itertools
import re

import numpy as np

from tinygrad_edu.checking.edits import Edit
from tinygrad_edu.checking.formula import Expr, assigns, nodes
from tinygrad_edu.checking.lab import Lab
from tinygrad_edu.checking.parts import flat
from tinygrad_edu.checking.truth import is_scalar
from tinygrad_edu.checking.words import Words

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
    """How unlike anything a person would write a right formula is, in tokens."""
    lab = words.lab
    penalty = 0.0
    before = {sub for _, sub in nodes(line)} | words.known
    for _, sub in nodes(e):
        if sub.op in ("*", "/"):
            penalty += _cancelling(lab, sub, before)
        if assigns(sub) and sub is not e:
            penalty += 20  # an assignment is no part of a formula
        if sub in before:
            continue
        if sub.op in ("+", "-") and (
            sub.args[0] is sub.args[1] or any(a.op == "number" and a.extra == 0 for a in sub.args)
        ):
            penalty += 3
        if sub.op == "*" and any(
            a.op == "number" and a.extra in (1, 0, -1) and not isinstance(a.extra, bool)
            for a in sub.args
        ):
            penalty += 3
        if sub.op == "/" and isinstance(lab.value(sub.args[1]), np.ndarray):
            penalty += 8
        if sub.function == "maximum" and any(a.op in (">", ">=", "<", "<=") for a in sub.args):
            penalty += 6
        if sub.op == "neg":
            penalty += 1.5
            if sub.args[0].op in ("neg", "number"):
                penalty += 1.5
        if sub.op == "number" and isinstance(sub.extra, float):
            penalty += 1
        if sub.op == "name" and sub.extra[0].startswith("?"):
            penalty += 50
        if sub.op == "@" and any(a.op == "number" for a in sub.args):
            penalty += 5
        if sub.op == "**" and is_scalar(lab.value(sub.args[0])) and not lab.depends(sub):
            penalty += 1
        if (
            sub.op == "call"
            and len(sub.args) == 1
            and sub.function in ("exp", "log", "tanh", "sqrt")
        ):
            penalty += 4  # a function of something nobody mentioned
        if sub.op in ("+", "-"):
            terms = _terms(sub)
            penalty += 3 * (len(terms) - len(set(terms)))
            if any(s is not t and s in (f for f, _ in flat(t)) for s in terms for t in terms):
                penalty += 2  # x * y + x
    return penalty


def _cancelling(lab: Lab, e: Expr, before: set[Expr]) -> float:
    """How bad a product is in which two factors cancel, or one stands twice, newly."""
    if e in before:
        return 0.0
    factors = [(f, p) for f, p in flat(e) if f.op != "number"]
    for whole, p in factors[:]:  # (m * W) @ dZ is m * (W @ dZ)
        if whole.op == "@":
            inside = [pair for a in whole.args for pair in flat(a) if a.op in ("*", "/")]
            factors += [(f, p * q) for f, q in inside if is_scalar(lab.value(f))]
    penalty = 0.0
    for (f, p), (g, q) in itertools.combinations(factors, 2):
        if f is g:
            penalty += 5 if p != q else 3
        elif isinstance(lab.value(f), np.ndarray) and isinstance(lab.value(g), np.ndarray):
            a, b = lab.value(f), lab.value(g)
            if a.shape == b.shape and a.dtype.kind == b.dtype.kind == "f":
                with np.errstate(all="ignore"):
                    one = a * b if p == q else a / b
                if np.allclose(one, 1.0, equal_nan=False):
                    penalty += 8
    return penalty


def _terms(e: Expr) -> list[Expr]:
    terms: list[Expr] = []
    while e.op in ("+", "-"):
        terms.append(e.args[1])
        e = e.args[0]
    return [*terms, e]
