"""What a mistake is called, and the sentence about it: from what the changed parts *are*.

A wrong line and its correction are compared part by part down to where they differ. What the
differing parts are is asked of their values: is this the derivative of an activation, of which
layer, a weight, a dropout mask, a gradient, a constant, a term of the penalty?
"""

from __future__ import annotations

import itertools

import numpy as np

from tinygrad_edu.checking.edits import Edit
from tinygrad_edu.checking.formula import Expr, show
from tinygrad_edu.checking.lab import Lab
from tinygrad_edu.checking.parts import (
    Chain,
    Named,
)
from tinygrad_edu.checking.products import Products
from tinygrad_edu.checking.roles import Roles
from tinygrad_edu.checking.rows import shape_text
from tinygrad_edu.checking.sheet import Key, Statement
from tinygrad_edu.checking.slopes import Slopes
from tinygrad_edu.checking.sums import Sums
from tinygrad_edu.checking.verdict import Judgement
from tinygrad_edu.checking.wholes import Wholes
from tinygrad_edu.checking.words import LONGEST_SEARCHED


class Namer:
    """Names the mistakes of one judged sheet."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.roles = Roles(lab)
        self.wholes = Wholes(self.roles)
        self.slopes = Slopes(self.roles)
        self.products = Products(self.roles, self.slopes)
        self.sums = Sums(self.roles, self.products)

    def name(
        self, judgement: Judgement, line: Expr, edit: Edit | None, statement: Statement
    ) -> tuple[str, str]:
        """The class of a wrong line, and what to say about it."""
        of = judgement.truth[0] if judgement.truth else None
        stale = self.wholes.updated(line, statement, judgement)
        if stale is not None:
            return "updated_weights", (
                f"{stale} was already updated when this line reads it. The gradient belongs to the "
                f"{stale} of the forward pass: move the update below this line."
            )
        if self.wholes.only_overwrites(line, judgement):
            if not self.wholes.repeats(line):
                return "lost_accumulation", (
                    "= overwrites the share that these entries hold already; it is to be added, "
                    "with +=."
                )
            return "lost_accumulation", (
                "Where an index occurs several times, NAME[index] += keeps only the last share; "
                "np.add.at adds them all."
            )
        swapped = self.wholes.softmax_axis(judgement)
        if swapped is not None:
            return swapped
        constant = self.wholes.constant(line, judgement) or self.wholes.mask(line, judgement)
        if constant is not None:
            return constant
        if edit is None or line.length > LONGEST_SEARCHED:
            return "other", self.wholes.shapes(line, judgement)
        found = self._difference(line, edit, of)
        if found is None:
            return "other", self.wholes.shapes(line, judgement)
        return found

    def _difference(self, line: Expr, edit: Edit, of: Key | None) -> Named:
        penalty = self.sums.penalty(line, edit.expr, [(line, edit.expr)], of)
        if edit.kind == "brackets" and penalty is None:
            return "operator_precedence", (
                "Python reads this with other brackets than meant: * and / bind before + and -."
            )
        if edit.kind == "comparison":
            return "relu_mask_boundary", (
                f"{show(edit.removed[0])} is true in the wrong places: {show(edit.added[0])} "
                "is meant."
            )
        if edit.kind == "index":
            return "other", _other_entries(edit.removed[0], edit.added[0])
        if edit.kind in ("column",):
            e = edit.removed[0]
            return "broadcast_1d_target", (
                f"{show(e)} has shape {shape_text(np.shape(self.lab.value(e)))}; against a "
                "column it "
                "is broadcast to a square. Make it a column."
            )
        if edit.first is not None:
            for one in (edit, edit.first):
                if one.kind == "product" and one.removed and one.added:
                    found = self.products.product(one.removed[0], one.added[0], [], of)
                    if found is not None:
                        return found
        return self._difference_of(line, edit.expr, of)

    def _difference_of(self, old: Expr, new: Expr, of: Key | None) -> Named:
        chain = [(old, new)]
        while True:
            a, b = chain[-1]
            step = self._descend(a, b)
            if step is None:
                break
            chain.append(step)
        for (whole, _), (a, b) in itertools.pairwise(chain):
            index = {"index": whole.args[1:], "setitem": whole.args[1:-1]}.get(whole.op, ())
            if a in index:
                return "other", _other_entries(a, b)
        a, b = chain[-1]
        return self._named(a, b, chain, of)

    def _descend(self, a: Expr, b: Expr) -> tuple[Expr, Expr] | None:
        """The one argument in which two formulas of the same operation differ."""
        if a.op == b.op and len(a.args) == len(b.args) and a.extra == b.extra:
            different = [(x, y) for x, y in zip(a.args, b.args, strict=True) if x is not y]
            if len(different) == 1 and a.op not in ("number", "name"):
                return different[0]
        return None

    def _named(self, a: Expr, b: Expr, chain: Chain, of: Key | None) -> Named:
        slopes, products, sums = self.slopes, self.products, self.sums
        for step in (
            slopes.quotient, sums.penalty, sums.softmax, sums.reduction, slopes.derivative,
            products.renamed, products.product, products.bracketed, sums.terms, products.factors,
        ):  # fmt: skip
            found = step(a, b, chain, of)
            if found is not None:
                return found
        return None


def _other_entries(a: Expr, b: Expr) -> str:
    return f"{show(a)} takes other entries than {show(b)}, which belong here."
