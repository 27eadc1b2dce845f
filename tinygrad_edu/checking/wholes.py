"""Mistakes that are seen in a line as a whole, before anything in it is corrected."""

from __future__ import annotations

import numpy as np

from tinygrad_edu.checking.formula import Expr, names_in, nodes, show
from tinygrad_edu.checking.parts import (
    Named,
    near,
)
from tinygrad_edu.checking.roles import Roles
from tinygrad_edu.checking.rows import shape_text
from tinygrad_edu.checking.sheet import Key, Statement
from tinygrad_edu.checking.truth import equal
from tinygrad_edu.checking.verdict import Judgement


class Wholes:
    """Names a line by its values: off by a constant, a mask, an update, an overwriting =."""

    def __init__(self, roles: Roles) -> None:
        self.roles, self.lab, self.sheet = roles, roles.lab, roles.sheet
        self.make, self.number = self.lab.formulas.make, self.lab.formulas.number

    def shapes(self, line: Expr, judgement: Judgement) -> str:
        """What is to be said where no name is found: shapes that differ, or only numbers."""
        value = self.lab.value(line)
        assert judgement.truth is not None
        wanted = np.shape(self.lab.truth(*judgement.truth, 0))
        if value is None:
            return f"This line cannot be computed; the gradient has shape {shape_text(wanted)}."
        if np.shape(value) != wanted:
            return (
                f"This line has shape {shape_text(np.shape(value))}, the gradient "
                f"{shape_text(wanted)}."
            )
        return "The shape is right and the numbers are not; none of the usual slips explains them."

    def only_overwrites(self, line: Expr, judgement: Judgement) -> bool:
        """Is ``NAME[index] = new`` wrong only in that the share should be added?"""
        return line.op == "setitem" and self.roles.is_truth(self._adding(line), judgement)

    def accumulated(self, line: Expr) -> str:
        """``NAME[index] = new`` as a line that adds up, repeated indices too."""
        added = self._adding(line)
        old, *index, new = added.args
        where = ", ".join(show(part) for part in index)
        if self.repeats(line):
            return (
                f"np.add.at({show(old)}, {f'({where})' if len(index) > 1 else where}, {show(new)})"
            )
        sign, new = ("-", new.args[0]) if new.op == "neg" else ("+", new)
        return f"{show(old)}[{where}] {sign}= {show(new)}"

    def repeats(self, line: Expr) -> bool:
        """Does the index of ``NAME[index] = new`` name an entry more than once?"""
        parts = []
        for part in line.args[1:-1]:
            value = self.lab.value(part)
            if isinstance(value, (list, np.ndarray)) and np.asarray(value).dtype.kind in "iu":
                parts.append(np.ravel(value))
        rows = np.stack(np.broadcast_arrays(*parts), axis=1) if parts else np.zeros((0, 0))
        return len(np.unique(rows, axis=0)) < len(rows)

    def _adding(self, line: Expr) -> Expr:
        old, index, new = line.args[0], line.args[1:-1], line.args[-1]
        before = self.make("index", old, *index)
        if new.op == "+" and before in new.args:
            new = new.args[1] if new.args[0] is before else new.args[0]
        return self.make("addat", old, *index, new)

    def updated(self, line: Expr, statement: Statement, judgement: Judgement) -> str | None:
        """A forward name read after the learner's own update, if that is all that is wrong."""
        mapping = {}
        for key in names_in(line):
            original = [k for k in self.lab.forward_keys if k[0] == key[0]]
            if original and key not in self.lab.points[0].graph.values:
                mapping[self.lab.name(key)] = self.lab.name(original[-1])
        if not mapping:
            return None
        restored = self.lab.formulas.substituted(line, mapping)
        if self.roles.is_truth(restored, judgement):
            return str(next(iter(mapping)).extra[0])
        return None

    def softmax_axis(self, judgement: Judgement) -> Named:
        """Is the softmax of the forward pass taken over another axis than the targets' one?"""
        hot = [g for g in self.sheet.givens.values() if g.kind in ("onehot", "probabilities")]
        for given in hot:
            axis = int(given.options[0]) % max(len(given.shape), 1)
            for key in self.lab.forward_keys:
                value = self.lab.points[0].plain[key]
                if np.shape(value) != given.shape or len(given.shape) < 2:
                    continue
                sums = [
                    np.allclose(np.sum(value, axis=a), 1.0) and bool(np.all(value > 0))
                    for a in range(len(given.shape))
                ]
                if any(sums) and not sums[axis] and key[0] not in self.sheet.givens:
                    over = sums.index(True)
                    if self._reads(judgement, key):
                        return "forward_softmax_axis", (
                            f"The forward pass normalises {key[0]} over axis {over}, but "
                            f"{given.name} "
                            f"is one-hot along axis {axis}: the softmax belongs over axis "
                            f"{axis}. For the "
                            "forward pass as it stands, the gradient is the corrected line."
                        )
        return None

    def _reads(self, judgement: Judgement, key: Key) -> bool:
        return key in names_in(judgement.claim.last.expr)

    def constant(self, line: Expr, judgement: Judgement) -> Named:
        """A line that is right but for one constant."""
        assert judgement.truth is not None
        ratio: float | None = None
        for i in range(len(self.lab.points)):
            value = self.lab.value(line, i)
            true = np.asarray(self.lab.truth(*judgement.truth, i))
            if value is None or np.shape(value) != true.shape or not true.size:
                return None
            at = int(np.argmax(np.abs(true)))
            if true.flat[at] == 0:
                if true.shape == () and not value:
                    continue  # a single unit that is off
                return None
            here = float(np.asarray(value, float).flat[at] / true.flat[at])
            if not here or not equal(value, here * true):
                return None
            if ratio is not None and abs(here / ratio - 1) > 1e-6:
                return None
            ratio = here
        if ratio is None:
            return None
        sign, magnitude = np.sign(ratio), abs(ratio)
        if abs(magnitude - 1) < 1e-6:
            return "sign", "Every number of this line has the wrong sign: a minus is lost or added."
        prefix = "The sign is wrong as well. " if sign < 0 else ""
        keep = [v for v in self.roles.keep_probabilities() if v != 1.0]
        for size in self.roles.sizes:
            m = f"{size:g}"
            if near(magnitude * size, 1) or near(magnitude * size**2, 1):
                if any(e.function == "mean" for _, e in nodes(line)):
                    return "mean_instead_of_sum", prefix + (
                        f"np.mean divides by {m} although the 1/{m} is inside already: use np.sum."
                    )
                return "one_over_m_twice", prefix + (
                    f"This is 1/{m} of the gradient: the average over {m} examples is taken twice."
                )
            if near(magnitude / size, 1) or near(magnitude / size**2, 1):
                return "one_over_m_missing", prefix + (
                    f"This is {m} times the gradient: the cost is an average over {m}, and "
                    f"1/{m} is "
                    "missing here."
                )
        for p in keep:
            if any(near(magnitude, x) for x in (p, 1 / p, p * p, 1 / p**2)):
                return "dropout_scale", prefix + (
                    f"This is {magnitude:.4g} times the gradient: dropout's 1/keep_prob is counted "
                    "a different number of times than in the forward pass."
                )
        whole = any(near(x, round(x)) and round(x) <= 100 for x in (magnitude, 1 / magnitude))
        if not whole:
            return None  # any ratio is constant on single numbers; only a nice one is a slip
        return "constant_factor", prefix + f"This is {ratio:.6g} times the gradient."

    def mask(self, line: Expr, judgement: Judgement) -> Named:
        """A line that is right but for a mask of the forward pass (and perhaps its scale)."""
        for key in self.roles.masks:
            masked = self.make("*", line, self.lab.name(key))
            value = self.lab.value(masked)
            if np.shape(value) != np.shape(self.lab.value(line)) or self.lab.same(masked, line):
                continue
            found = self.constant(masked, judgement)
            if self.roles.is_truth(masked, judgement) or (found and found[0] == "dropout_scale"):
                return "dropout_mask_missing", (
                    f"The forward pass multiplies with {key[0]}; its gradient does too."
                )
        return None
