"""What a mistake is called, and the sentence about it: from what the changed parts *are*.

A wrong line and its correction are compared part by part down to where they differ. What the
differing parts are is asked of their values: is this the derivative of an activation, of which
layer, a weight, a dropout mask, a gradient, a constant, a term of the penalty?
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.checking.correction import Edit, flat, product, summands
from tinygrad_edu.checking.formula import Expr, names_in, nodes, show
from tinygrad_edu.checking.lab import Lab, Link, equal, is_scalar
from tinygrad_edu.checking.rows import shape_text
from tinygrad_edu.checking.sheet import Key, Statement
from tinygrad_edu.checking.verdict import Judgement
from tinygrad_edu.core.sweep import reachable
from tinygrad_edu.core.value import Value

Factors = list[tuple[Expr, int]]
_ORDERED = (">", ">=", "<", "<=", "==", "!=")


@dataclass(frozen=True)
class Role:
    """What a formula is: `kind`, the quantity or link concerned, and a name for sentences."""

    kind: str
    of: Any = None


class Namer:
    """Names the mistakes of one judged sheet."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.sheet = lab.sheet
        self.make = lab.formulas.make
        self.number = lab.formulas.number
        graph = lab.points[0].graph
        self.parameters = [
            (name, 0) for name in self.sheet.givens if isinstance(graph.values[name, 0], Value)
        ]
        self.examples = lab.judged.examples
        self.matrices, self.operands = self._products()
        self.masks = [
            key for key in self.parameters
            if self.sheet.givens[key[0]].kind == "binary" and self._multiplies(key)
        ]  # fmt: skip
        self.sizes = self._sizes()

    # --- facts ---------------------------------------------------------------------------------

    def _products(self) -> tuple[set[Key], set[Key]]:
        """Given matrices that are multiplied with something (weights), and what they multiply."""
        weights: set[Key] = set()
        operands: set[Key] = set()
        for statement in self.sheet.forward:
            for _, e in nodes(statement.expr):
                if e.op == "@" or (e.op in ("call", "method") and e.function in ("dot", "matmul")):
                    for a in e.args[:2]:
                        for key in names_in(a):
                            (weights if self._is_weight(key) else operands).add(key)
        return weights, operands

    def _is_weight(self, key: Key) -> bool:
        value = self.lab.points[0].graph.values.get(key)
        if not isinstance(value, Value) or value.op is not None:
            return False
        if self.examples is not None and self.examples.carriers is not None:
            main = self.lab.judged.sheet.main.values[key]
            return not self.examples.has(main)
        return True

    def _multiplies(self, key: Key) -> bool:
        name = self.lab.name(key)
        return any(
            e.op == "*" and name in e.args for s in self.sheet.forward for _, e in nodes(s.expr)
        )

    def _scales(self, key: Key) -> bool:
        """Is a given vector multiplied with something larger, as a gain is?"""
        size = np.size(self.lab.points[0].plain[key])
        return self._multiplies(key) and any(
            np.size(self.lab.points[0].plain[k]) > size > 1 for k in self.parameters
        )

    def _sizes(self) -> set[float]:
        """Numbers that count examples: what an average divides by."""
        sizes = {float(self.examples.m)} if self.examples is not None else set()
        plain = self.lab.judged.points[0].plain
        lengths = {n for key in self.parameters for n in np.shape(plain[key]) if n > 1}
        for key, value in plain.items():
            if key[0] not in self.sheet.givens and is_scalar(value) and value in lengths:
                if key not in self.lab.graph_scalars:
                    sizes.add(float(value))
        return sizes

    # --- roles ---------------------------------------------------------------------------------

    def role(self, e: Expr) -> Role | None:
        """What a formula is by its values; None for nothing in particular."""
        value = self.lab.value(e)
        if value is None:
            return None
        if is_scalar(value) and not self.lab.depends(e):
            return Role("scalar", float(value))
        if e.op == "name":
            return self._role_of_name(e.extra)
        for link in self.lab.links:
            if not link.forms or link.forms[0].op == "number":
                continue
            if self._is(e, link.values):
                return Role("derivative", link)
        for key in self.lab.forward_keys:
            if self.lab.same(e, self.lab.name(key)) and isinstance(value, np.ndarray):
                return self._role_of_name(key)
        for name, judgement in self.lab.judged.judgements.items():
            if judgement.truth is not None and self._is_truth(e, judgement):
                return Role("gradient", name)
        return None

    def _is(self, e: Expr, values: Iterable[Any]) -> bool:
        return all(
            (got := self.lab.value(e, i)) is not None
            and equal(np.asarray(got) * 1.0, np.asarray(v))
            for i, v in enumerate(values)
        )

    def _is_truth(self, e: Expr, judgement: Judgement) -> bool:
        assert judgement.truth is not None
        for i in range(len(self.lab.points)):
            value = self.lab.value(e, i)
            if value is None or not equal(value, self.lab.truth(*judgement.truth, i)):
                return False
        return True

    def _role_of_name(self, key: Key) -> Role:
        if key in self.masks:
            return Role("mask", key)
        if key not in self.lab.points[0].graph.values:
            name = key[0]
            if name in self.sheet.claims:
                return Role("gradient", name)
            forward = any(k[0] == name for k in self.lab.forward_keys)
            return Role("updated" if forward else "scratch", key)
        if key in self.matrices:
            return Role("weight", key)
        value = self.lab.points[0].graph.values[key]
        if isinstance(value, Value) and value not in self.lab.points[0].reached:
            return Role(
                "gradient" if self._is_gradient_like(self.lab.name(key)) else "scratch", key
            )
        if isinstance(value, Value) and value.op is None and key not in self.operands:
            return Role("given", key)
        return Role("forward", key)

    def _proportional_to_parameter(self, term: Expr, of: Key | None) -> bool:
        """Is a term a constant times the parameter itself, as a penalty's share is?"""
        if of is None or of not in self.parameters:
            return False
        ratio: float | None = None
        for i in range(len(self.lab.points)):
            value = self.lab.value(term, i)
            own = self.lab.points[i].plain[of]
            if value is None:
                return False
            try:
                value = np.broadcast_to(np.asarray(value, float), np.shape(own))
            except ValueError:
                return False
            with np.errstate(all="ignore"):
                here = float(np.sum(value * own) / np.sum(own * own))
                kept = np.abs(value) > 1e-12
            if not here or not np.allclose(value[kept], here * np.asarray(own)[kept], rtol=1e-5):
                return False
            if ratio is not None and abs(here - ratio) > 1e-6 * abs(ratio):
                return False
            ratio = here
        return True

    def _regularised(self, key: Key | None) -> bool:
        """Does the cost use this parameter directly, not only through the net?"""
        if key is None:
            return False
        for statement in self.sheet.forward:
            if statement.name == self.sheet.cost_name:
                if key in names_in(statement.expr):
                    return True
                for other in self.sheet.forward:
                    if other.key in names_in(statement.expr) and key in names_in(other.expr):
                        if is_scalar(self.lab.points[0].plain.get(other.key)):
                            return True
        return False

    # --- naming --------------------------------------------------------------------------------

    def name(
        self, judgement: Judgement, line: Expr, edit: Edit | None, statement: Statement
    ) -> tuple[str, str]:
        """The class of a wrong line, and what to say about it."""
        of = judgement.truth[0] if judgement.truth else None
        stale = self._updated(line, statement, judgement)
        if stale is not None:
            return "updated_weights", (
                f"{stale} was already updated when this line reads it. The gradient belongs to the "
                f"{stale} of the forward pass: move the update below this line."
            )
        if self.only_overwrites(line, judgement):
            if not self._repeats(line):
                return "lost_accumulation", (
                    "= overwrites the share that these entries hold already; it is to be added, "
                    "with +=."
                )
            return "lost_accumulation", (
                "Where an index occurs several times, NAME[index] += keeps only the last share; "
                "np.add.at adds them all."
            )
        swapped = self._softmax_axis(judgement)
        if swapped is not None:
            return swapped
        constant = self._constant(line, judgement) or self._mask(line, judgement)
        if constant is not None:
            return constant
        if edit is None:
            return "other", self._shapes(line, judgement)
        found = self._difference(line, edit, of)
        if found is None and edit.first is not None:
            found = self._difference(line, edit.first, of) or self._difference_of(
                edit.first.expr, edit.expr, of
            )
        if found is None:
            return "other", self._shapes(line, judgement)
        return found

    def _shapes(self, line: Expr, judgement: Judgement) -> str:
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
        return line.op == "setitem" and self._is_truth(self._adding(line), judgement)

    def accumulated(self, line: Expr) -> str | None:
        """``NAME[index] = new`` as a line that adds up, repeated indices too; None for others."""
        if line.op != "setitem":
            return None
        added = self._adding(line)
        old, *index, new = added.args
        where = ", ".join(show(part) for part in index)
        if self._repeats(line):
            return (
                f"np.add.at({show(old)}, {f'({where})' if len(index) > 1 else where}, {show(new)})"
            )
        sign, new = ("-", new.args[0]) if new.op == "neg" else ("+", new)
        return f"{show(old)}[{where}] {sign}= {show(new)}"

    def _repeats(self, line: Expr) -> bool:
        """Does the index of ``NAME[index] = new`` name an entry more than once?"""
        parts = []
        for part in line.args[1:-1]:
            value = self.lab.value(part)
            if isinstance(value, (list, np.ndarray)) and np.asarray(value).dtype.kind in "iu":
                parts.append(np.ravel(value))
        try:
            rows = np.stack(np.broadcast_arrays(*parts), axis=1) if parts else np.zeros((0, 0))
        except ValueError:
            return True
        return len(np.unique(rows, axis=0)) < len(rows)

    def _adding(self, line: Expr) -> Expr:
        if line.op != "setitem":
            return line
        old, index, new = line.args[0], line.args[1:-1], line.args[-1]
        before = self.make("index", old, *index)
        if new.op == "+" and before in new.args:
            new = new.args[1] if new.args[0] is before else new.args[0]
        return self.make("addat", old, *index, new)

    def _updated(self, line: Expr, statement: Statement, judgement: Judgement) -> str | None:
        """A forward name read after the learner's own update, if that is all that is wrong."""
        mapping = {}
        for key in names_in(line):
            original = [k for k in self.lab.forward_keys if k[0] == key[0]]
            if original and key not in self.lab.points[0].graph.values:
                mapping[self.lab.name(key)] = self.lab.name(original[-1])
        if not mapping:
            return None
        restored = self.lab.formulas.substituted(line, mapping)
        if self._is_truth(restored, judgement):
            return str(next(iter(mapping)).extra[0])
        return None

    def _softmax_axis(self, judgement: Judgement) -> tuple[str, str] | None:
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

    # --- constants -----------------------------------------------------------------------------

    def _constant(self, line: Expr, judgement: Judgement) -> tuple[str, str] | None:
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
        keep = [v for v in self._keep_probabilities() if v != 1.0]
        for size in self.sizes:
            m = f"{size:g}"
            if _near(magnitude * size, 1) or _near(magnitude * size**2, 1):
                if any(e.function == "mean" for _, e in nodes(line)):
                    return "mean_instead_of_sum", prefix + (
                        f"np.mean divides by {m} although the 1/{m} is inside already: use np.sum."
                    )
                return "one_over_m_twice", prefix + (
                    f"This is 1/{m} of the gradient: the average over {m} examples is taken twice."
                )
            if _near(magnitude / size, 1) or _near(magnitude / size**2, 1):
                return "one_over_m_missing", prefix + (
                    f"This is {m} times the gradient: the cost is an average over {m}, and "
                    f"1/{m} is "
                    "missing here."
                )
        for p in keep:
            if any(_near(magnitude, x) for x in (p, 1 / p, p * p, 1 / p**2)):
                return "dropout_scale", prefix + (
                    f"This is {magnitude:.4g} times the gradient: dropout's 1/keep_prob is counted "
                    "a different number of times than in the forward pass."
                )
        whole = any(_near(x, round(x)) and round(x) <= 100 for x in (magnitude, 1 / magnitude))
        if not whole:
            return None  # any ratio is constant on single numbers; only a nice one is a slip
        return "constant_factor", prefix + f"This is {ratio:.6g} times the gradient."

    def _keep_probabilities(self) -> list[float]:
        """Numbers the forward pass divides (or multiplies) by where it applies a mask."""
        found = []
        for key, value in self.lab.judged.points[0].plain.items():
            if is_scalar(value) and 0 < value < 1 and key not in self.lab.graph_scalars:
                if self._goes_with_mask(key):
                    found.append(float(value))
        return found

    def _goes_with_mask(self, key: Key) -> bool:
        """Does a number stand beside a mask, or scale what a mask was applied to just before?"""
        masked = {s.key for s in self.sheet.forward if names_in(s.expr) & set(self.masks)}
        return any(
            key in (read := names_in(s.expr)) and (s.key in masked or read & masked)
            for s in self.sheet.forward
        )

    def _mask(self, line: Expr, judgement: Judgement) -> tuple[str, str] | None:
        """A line that is right but for a mask of the forward pass (and perhaps its scale)."""
        for key in self.masks:
            masked = self.make("*", line, self.lab.name(key))
            value = self.lab.value(masked)
            if np.shape(value) != np.shape(self.lab.value(line)) or self.lab.same(masked, line):
                continue
            found = self._constant(masked, judgement)
            if self._is_truth(masked, judgement) or (found and found[0] == "dropout_scale"):
                return "dropout_mask_missing", (
                    f"The forward pass multiplies with {key[0]}; its gradient does too."
                )
        return None

    # --- differences ---------------------------------------------------------------------------

    def _difference(self, line: Expr, edit: Edit, of: Key | None) -> tuple[str, str] | None:
        penalty = self._penalty(line, edit.expr, [(line, edit.expr)], of)
        if edit.kind == "brackets" and penalty is None:
            return "operator_precedence", (
                "Python reads this with other brackets than meant: * and / bind before + and -."
            )
        if edit.kind == "comparison":
            return "relu_mask_boundary", (
                f"{show(edit.removed[0])} is true in the wrong places: {show(edit.added[0])} "
                "is meant."
            )
        if edit.kind in ("column",):
            e = edit.removed[0]
            return "broadcast_1d_target", (
                f"{show(e)} has shape {shape_text(np.shape(self.lab.value(e)))}; against a "
                "column it "
                "is broadcast to a square. Make it a column."
            )
        if edit.first is not None:
            both = (*edit.removed, *edit.added, *edit.first.removed, *edit.first.added)
            if len(both) == 4 and all(_is_word(e) for e in both):
                found = self._renamed(edit.removed[0], edit.added[0], [(line, edit.expr)], of)
                if found is not None:
                    return found
            for one in (edit, edit.first):
                if one.kind == "product" and one.removed and one.added:
                    found = self._product(one.removed[0], one.added[0], [], of)
                    if found is not None:
                        return found
        return self._difference_of(line, edit.expr, of)

    def _difference_of(self, old: Expr, new: Expr, of: Key | None) -> tuple[str, str] | None:
        chain = [(old, new)]
        while True:
            a, b = chain[-1]
            step = self._descend(a, b)
            if step is None:
                break
            chain.append(step)
        a, b = chain[-1]
        return self._named(a, b, chain, of)

    def _descend(self, a: Expr, b: Expr) -> tuple[Expr, Expr] | None:
        """The one argument in which two formulas of the same operation differ."""
        if a.op == b.op and len(a.args) == len(b.args) and a.extra == b.extra:
            different = [(x, y) for x, y in zip(a.args, b.args, strict=True) if x is not y]
            if len(different) == 1 and a.op not in ("number", "name"):
                return different[0]
        return None

    def _named(
        self, a: Expr, b: Expr, chain: list[tuple[Expr, Expr]], of: Key | None
    ) -> tuple[str, str] | None:
        for step in (
            self._quotient, self._penalty, self._softmax, self._reduction, self._derivative,
            self._renamed, self._product, self._bracketed, self._terms, self._factors,
        ):  # fmt: skip
            found = step(a, b, chain, of)
            if found is not None:
                return found
        return None

    # each of the following looks at the differing parts (a → b) and answers or passes

    def _quotient(
        self, a: Expr, b: Expr, chain: list[tuple[Expr, Expr]], of: Key | None
    ) -> tuple[str, str] | None:
        """A part that gives way to itself times the derivative of an activation."""
        if a.op == "number" or b.op != "name" or self._role_of_name(b.extra).kind != "gradient":
            return None
        for link in self.lab.links:
            if link.forms and link.forms[0].op != "number":
                if self.lab.same(self.make("*", a, link.forms[0]), b):
                    return "missing_activation_derivative", self._lacks(link)
        return None

    def _softmax(
        self, a: Expr, b: Expr, chain: list[tuple[Expr, Expr]], of: Key | None
    ) -> tuple[str, str] | None:
        """``dp * p * (1 - p)`` with p a softmax: its Jacobian taken for a diagonal."""
        factors = self._all_factors(chain[0][0])
        for f, _ in factors:
            if f.op != "name" or not self._is_softmax(f.extra):
                continue
            other = self.make("-", self.number(1), f)
            rest = [g for g in factors if g[0] is not f and not self.lab.same(g[0], other)]
            if len(rest) != len(factors) - 2 or not rest:
                continue
            if self._is_gradient_of(product(self.lab, rest), f.extra):
                return "softmax_jacobian_diagonal_only", (
                    f"{show(f)} is a softmax: each output depends on every input, so its "
                    "derivative is "
                    f"not only {show(f)} * (1 - {show(f)}); the sum over the others is missing."
                )
        return None

    def _is_softmax(self, key: Key) -> bool:
        value = self.lab.points[0].plain.get(key)
        if not isinstance(value, np.ndarray) or value.size < 2 or not self._computed(key):
            return False
        sums = (
            [value.sum()] if value.ndim < 2 else [*(value.sum(axis=i) for i in range(value.ndim))]
        )
        return bool(np.all(value >= 0)) and any(np.allclose(s, 1.0) for s in [*sums, value.sum()])

    def _is_gradient_of(self, e: Expr, key: Key) -> bool:
        for i, point in enumerate(self.lab.points):
            value, true = self.lab.value(e, i), np.asarray(point.gradient(key))
            if value is None or np.shape(value) != true.shape or not np.any(true):
                return False
            at = int(np.argmax(np.abs(true)))
            ratio = float(np.asarray(value, float).flat[at] / true.flat[at])
            if not ratio or not equal(value, ratio * true):
                return False
        return True

    def _reduction(
        self, a: Expr, b: Expr, chain: list[tuple[Expr, Expr]], of: Key | None
    ) -> tuple[str, str] | None:
        def reducing(e: Expr) -> bool:
            return e.op in ("call", "method") and e.function in ("sum", "mean")

        if self._flips(a, b):
            return None
        core = [f for f, _ in flat(b) if reducing(f)]
        if reducing(a) and len(core) == 1 and core[0].args[0] is a.args[0]:
            if core[0] is not b and a.options.get("axis") is not core[0].options.get("axis"):
                return self._two_reductions(a, core[0], same_function=True)
        if not reducing(b):
            outer = next(
                (p for p in reversed(chain[:-1]) if reducing(p[0]) and reducing(p[1])), None
            )
            if outer is not None and a.op in ("number", "tuple") and a in outer[0].options.values():
                a, b = outer
            elif reducing(a) and not reducing(b):
                return self._summed_instead(a, b, of)
            elif not self._sums_more(a, b) or not self._other_shape(chain[0]):
                return None
            else:
                return self._bias(a, b, of)
        if reducing(a):
            if a.args[0] is b.args[0]:
                return self._two_reductions(a, b)
            return self._bias(a, b, of)
        return self._bias(a, b, of)

    def _summed_instead(self, a: Expr, b: Expr, of: Key | None) -> tuple[str, str] | None:
        """A sum where a matrix product belongs, or where nothing is to be added up."""
        if b is a.args[0]:
            kind = "sum_without_axis" if a.options.get("axis") is None else "wrong_sum_axis"
            return kind, f"Nothing is to be added up here: {show(b)} has the right shape already."
        if self._kind_of_product(b) != "@":
            return None
        rest = [f for f in b.args[:2] if f is not a.args[0]]
        return self._missing([(rest[0], 1)], of) if len(rest) == 1 else None

    def _other_shape(self, pair: tuple[Expr, Expr]) -> bool:
        x, y = (self.lab.value(e) for e in pair)
        return x is None or np.shape(x) != np.shape(y) or self._is_softmax_rule(pair[1])

    def _sums_more(self, a: Expr, b: Expr) -> bool:
        """Does the correction sum where the line does not?"""
        return any(e.function == "sum" for _, e in nodes(b)) and not any(
            e.function in ("sum", "mean") for _, e in nodes(a)
        )

    def _bias(self, a: Expr, b: Expr, of: Key | None) -> tuple[str, str] | None:
        """A sum over examples that is missing, or taken of something else."""
        if self._is_softmax_rule(b):
            return "softmax_jacobian_diagonal_only", (
                "softmax is not element-wise: each output depends on every input of its column, so "
                "its derivative has a second term, the sum."
            )
        is_bias = of is not None and of in self.parameters and of not in self.matrices
        for key in names_in(a):
            claim = self.sheet.claims.get(key[0])
            if claim is not None and (claim.of, 0) in self.matrices and is_bias:
                return "bias_from_weight_gradient", (
                    f"The gradient of {of[0] if of else 'a bias'} is not made of {key[0]}: "
                    "it sums the "
                    "gradient of the layer over the examples."
                )
        inner = next((e for _, e in nodes(b) if e.function == "sum"), None)
        if inner is None:
            return None
        if a is inner.args[0] or a in [e for _, e in nodes(inner.args[0])] or is_bias:
            axis = inner.options.get("axis")
            where = f" (axis {show(axis)})" if axis is not None else ""
            return "bias_not_summed", (
                f"{of[0] if of else 'It'} was added for every example, so its gradient adds "
                "up over "
                f"the examples{where}; this line does not sum."
            )
        return None

    def _is_softmax_rule(self, e: Expr) -> bool:
        """Does a formula contain ``x - sum(x * p)`` with p a softmax?"""
        for _, sub in nodes(e):
            if sub.function == "sum":
                for key in names_in(sub):
                    value = self.lab.points[0].plain.get(key)
                    if isinstance(value, np.ndarray) and value.size > 1 and np.all(value >= 0):
                        ndim = value.ndim
                        if np.isclose(value.sum(), 1.0) or any(
                            np.allclose(value.sum(axis=i), 1.0) for i in range(ndim)
                        ):
                            if self._computed(key):
                                return True
        return False

    def _computed(self, key: Key) -> bool:
        value = self.lab.points[0].graph.values.get(key)
        return isinstance(value, Value) and value.op is not None

    def _two_reductions(self, a: Expr, b: Expr, same_function: bool = False) -> tuple[str, str]:
        x, y = a.options, b.options
        if a.function != b.function and not same_function:
            if a.function == "mean":
                return "mean_instead_of_sum", (
                    "np.mean divides once more by the number of terms; the 1/m is inside already."
                )
            return "one_over_m_missing", "The cost is an average, this line a sum."
        keeps = [o.get("keepdims") is not None and o["keepdims"].extra is True for o in (x, y)]
        axis_a, axis_b = x.get("axis"), y.get("axis")
        if axis_a is None and len(a.positional) > 1:
            axis_a = a.positional[1]
        if axis_a is None and axis_b is not None:
            return "sum_without_axis", (
                "Without axis= np.sum adds up everything to one number; only the examples "
                "are to be "
                f"added up (axis={show(axis_b)})."
            )
        if axis_a is not axis_b:
            return "wrong_sum_axis", (
                f"This sums over axis {show(axis_a) if axis_a else '…'}; the examples lie "
                "along axis "
                f"{show(axis_b) if axis_b else '…'}."
            )
        if keeps[1] and not keeps[0]:
            return "missing_keepdims", (
                "np.sum drops the axis it sums over; keepdims=True keeps the shape "
                f"{shape_text(np.shape(self.lab.value(b)))}."
            )
        return "wrong_sum_axis", "The axis is kept where it is to be dropped."

    def _penalty(
        self, a: Expr, b: Expr, chain: list[tuple[Expr, Expr]], of: Key | None
    ) -> tuple[str, str] | None:
        """The share of the penalty: terms that are a constant times the parameter itself."""
        if of is None or of not in self.parameters or len(chain) == 0:
            return None
        old, new = chain[0]
        before = list(summands(self.lab, old))
        after = list(summands(self.lab, new))
        name = of[0]
        own_before = [t for t in before if self._proportional_to_parameter(t, of)]
        own_after = [t for t in after if self._proportional_to_parameter(t, of)]
        if not own_before and not own_after:
            if self._regularised(of):
                odd = [t for t in before if t not in after and self._of_parameters(t)]
                if odd:
                    return "reg_term_wrong", (
                        f"The penalty's share of d{name} is a constant times {name} itself."
                    )
            return None
        if own_after and not own_before:
            others = [t for t in before if t not in after]
            if others and len(before) >= len(after):
                return "reg_term_wrong", (
                    f"The penalty's share of d{name} is {show(own_after[0])}, not "
                    f"{show(others[0])}."
                )
            return "missing_reg_term", (
                f"The cost has a penalty on {name}; its share {show(own_after[0])} is missing."
            )
        if own_before and not own_after:
            share = [t for t in after if t not in before and self._of_parameters(t)]
            if share:
                return "reg_term_wrong", (
                    f"The penalty's share of d{name} is {show(share[0])}, not "
                    f"{show(own_before[0])}."
                )
            return "reg_on_bias", f"The cost has no penalty on {name}, so d{name} has no such term."
        x, y = self.lab.value(own_before[0]), self.lab.value(own_after[0])
        if x is None or y is None or np.shape(x) != np.shape(y):
            return "reg_term_wrong", f"The penalty's share of d{name} is {show(own_after[0])}."
        top = int(np.argmax(np.abs(np.asarray(y))))
        ratio = float(np.asarray(x).flat[top] / np.asarray(y).flat[top])
        if _near(ratio, 1):
            return None
        if _near(ratio, -1):
            return (
                "reg_sign",
                f"The penalty adds {show(own_after[0])} to d{name}; it is subtracted here.",
            )
        return "reg_factor", (
            f"The penalty's share of d{name} is {show(own_after[0])}; this line has "
            f"{ratio:.4g} times "
            "that."
        )

    def _of_parameters(self, t: Expr) -> bool:
        keys = [k for k in names_in(t) if k not in self.lab.forward_keys or self.lab.depends(
            self.lab.name(k))]  # fmt: skip
        return bool(keys) and all(k in self.parameters for k in keys)

    def _derivative(
        self, a: Expr, b: Expr, chain: list[tuple[Expr, Expr]], of: Key | None
    ) -> tuple[str, str] | None:
        """Something about the derivative of an activation."""
        for x, y in chain:
            if x.op in ("*", "/") and y.op in ("*", "/"):
                lost, extra, before = self._factor_difference(x, y)
                if lost:
                    found = self._part_of_derivative(lost, extra, before)
                    if found is not None:
                        return found
                break
        for x, y in reversed(chain):
            role = self.role(y)
            if role is None or role.kind != "derivative":
                continue
            return self._wrong_derivative(role.of, x, y, a, b)
        return None

    def _wrong_derivative(
        self, link: Link, x: Expr, y: Expr, a: Expr, b: Expr
    ) -> tuple[str, str] | None:
        """`x` stands where the derivative `y` of a link belongs; they differ in `a` and `b`."""
        n, p = show(link.result), link.before[0]
        right = f"the derivative of {n} with respect to {p} is {show(link.forms[0])}"
        if is_scalar(self.lab.value(x)) and not self.lab.depends(x):
            return None
        if a.op == "name" and b.op == "name" and x is not a:
            return self._wrong_argument(link, a.extra, right, x)
        if self.lab.same(x, self.lab.name(link.before)) and link.before != link.after:
            return "multiplied_by_Z", (
                f"{p} is a factor here; g'({p}) means the derivative *at* {p}, not a product with "
                f"it: {right}."
            )
        was = self.role(x)
        if was is not None and was.kind == "derivative":
            return "derivative_at_wrong_layer", (
                f"{show(x)} is the derivative of {show(was.of.result)}; here {right}."
            )
        if self._is_activation_of(x, link):
            return "g_instead_of_gprime", (
                f"{show(x)} is the activation itself where its derivative belongs: {right}."
            )
        other = self._other_derivative(x, link)
        if other is not None:
            return "derivative_of_other_activation", (
                f"{show(x)} is the derivative of {other}, and {n} is not {other}: {right}."
            )
        rest = [f for f in self._all_factors(x) if not self._is_gradient_name(f[0])]
        if rest and len(rest) < len(self._all_factors(x)):
            if self.lab.same(product(self.lab, rest), y):
                return None  # a right share of a sum
        if (
            x.op != "name"
            and not link.masking
            and any(self._is_gradient_name(sub) for _, sub in nodes(x))
        ):
            return "derivative_at_wrong_point", f"{show(x)} is formed from a gradient; {right}."
        if x.op in _ORDERED and y.op in _ORDERED:
            names = set(names_in(x))
            if names == names_in(y) or names <= {link.before, link.within}:
                return "relu_mask_boundary", (f"{show(x)} is true in the wrong places; {right}.")
        where = self._wrong_argument_of_forms(x, link)
        if where is not None:
            return where[0], f"{show(x)} is taken at {where[1]}; {right}."
        for used in sorted(names_in(x)):
            for own in {link.before, link.within} - {used}:
                mapping = {self.lab.name(used): self.lab.name(own)}
                if self.lab.same(self.lab.formulas.substituted(x, mapping), y):
                    return self._wrong_argument(link, used, right, x)
        if set(names_in(x)) & {link.before, link.within}:
            return "wrong_derivative_formula", f"{show(x)} is not it: {right}."
        role = self.role(x)
        if role is not None and role.kind in ("gradient", "weight"):
            return None
        return None

    def _is_gradient_name(self, e: Expr) -> bool:
        return e.op == "name" and self._role_of_name(e.extra).kind == "gradient"

    def _wrong_argument(self, link: Link, used: Key, right: str, x: Expr) -> tuple[str, str]:
        for other in self.lab.links:
            if other.before != link.before and used in (other.before, other.after):
                if used not in (link.before, link.after, link.within):
                    return "derivative_at_wrong_layer", (
                        f"{show(x)} uses {used[0]}, which belongs to another layer; {right}."
                    )
        return "derivative_at_wrong_point", (
            f"{show(x)} has the right form but is taken at {used[0]}; {right}."
        )

    def _wrong_argument_of_forms(self, x: Expr, link: Link) -> tuple[str, str] | None:
        """Is `x` the right derivative, with another quantity put in?"""
        patterns = [
            (form, self.lab.name(next(iter(names_in(form)))))
            for form in self._forms_in_one_name(link)
        ]
        patterns += [(form, link.result) for form in link.forms if form is not link.result]
        for form, inner in patterns:
            for _, e in nodes(x):
                if e.op == "number" or self.lab.value(e) is None:
                    continue
                put = self.lab.formulas.substituted(form, {inner: e})
                if put is form:
                    continue
                if self.lab.same(put, x):
                    key = e.extra if e.op == "name" else None
                    for other in self.lab.links:
                        if other.before != link.before and key in (other.before, other.after):
                            return "derivative_at_wrong_layer", show(e)
                    return "derivative_at_wrong_point", show(e)
        return None

    def _forms_in_one_name(self, link: Link) -> list[Expr]:
        forms = list(link.forms)
        for statement in self.sheet.forward:
            if statement.key == link.after and names_in(statement.expr) == {link.before}:
                after = self.lab.name(link.after)
                for form in link.forms:
                    forms.append(self.lab.formulas.substituted(form, {after: statement.expr}))
        return [f for f in forms if len(names_in(f)) == 1]

    def _is_activation_of(self, x: Expr, link: Link) -> bool:
        """Is `x` the activation itself: its value, or its function of anything?"""
        if self.lab.same(x, link.result) or self.lab.same(x, self.lab.name(link.within)):
            return True
        for statement in self.sheet.forward:
            if statement.key == link.after and link.before in names_in(statement.expr):
                for _, e in nodes(x):
                    if e is x or e.op == "number":
                        continue
                    put = self.lab.formulas.substituted(
                        statement.expr, {self.lab.name(link.before): e}
                    )
                    if self.lab.same(put, x):
                        return True
        return False

    def _other_derivative(self, x: Expr, link: Link) -> str | None:
        """Is `x` what another activation's derivative would be in this place?"""
        make, number = self.make, self.number
        one, two, zero = number(1), number(2), number(0)
        n, p, named = link.result, self.lab.name(link.before), self.lab.name(link.within)
        tanh, sigmoid = self.lab.formulas.call("tanh", p), self.lab.formulas.call("sigmoid", p)
        candidates = {
            "a sigmoid": [make("*", a, make("-", one, a)) for a in (n, named, sigmoid)],
            "a tanh": [make("-", one, make("**", a, two)) for a in (n, named, tanh)],
            "a ReLU": [
                make(">", p, zero), make(">", n, zero), make(">=", p, zero),
                make("*", make(">", p, zero), one),
            ],
        }  # fmt: skip
        for slope in (0.01, 0.1, 0.2):
            leaky = self.lab.formulas.call("where", make(">", p, zero), one, number(slope))
            candidates.setdefault("a leaky ReLU", []).append(leaky)
        for name, forms in candidates.items():
            for form in forms:
                if all(
                    equal(_float(self.lab.value(x, i)), _float(self.lab.value(form, i)))
                    for i in range(len(self.lab.points))
                ):
                    return name
        return None

    def _renamed(
        self, a: Expr, b: Expr, chain: list[tuple[Expr, Expr]], of: Key | None
    ) -> tuple[str, str] | None:
        if a.op == "attribute" and b.op == "attribute":
            a, b = a.args[0], b.args[0]
        if a.op == "**" and self._ratio(a.args[0], b) is not None:
            return "wrong_derivative_formula", (
                f"{show(a)} is the square itself; its derivative has a power less."
            )
        root = chain[0][0]
        branch = any(x.function == "where" and a in x.args for x, _ in chain)
        branch = branch and not any(self._is_gradient_like(e) for _, e in nodes(b))
        if a.op == "number" and (branch or (b.op == "number" and root.op == "setitem")):
            return "wrong_derivative_formula", f"{show(a)} stands where {show(b)} belongs."
        if a.op == "name" and b.op == "call" and b.args == (a,):
            return "wrong_layer_variable", f"{show(a)} stands where {show(b)} belongs."
        if a.op != "name" or b.op not in ("name", "attribute"):
            return None
        was, now = self._role_of_name(a.extra), self.role(b)
        for mask in self.masks:
            masked = self.make("*", a, self.lab.name(mask))
            if self._ratio(masked, b) is not None and not self.lab.same(masked, a):
                return "dropout_mask_missing", (
                    f"{show(b)} is {show(a)} with the mask {mask[0]}; the forward pass goes on "
                    f"with {show(b)}."
                )
        claim = self.sheet.claims.get(a.extra[0])
        is_bias = of is not None and of in self.parameters and of not in self.matrices
        if is_bias and claim is not None and (claim.of, 0) in self.matrices:
            return "bias_from_weight_gradient", (
                f"The gradient of {of[0] if of else 'a bias'} is not made of {a.extra[0]}: "
                "it sums the "
                f"gradient {show(b)} of the layer over the examples."
            )
        if (
            was.kind in ("gradient", "scratch")
            and now is not None
            and now.kind in ("weight", "given", "forward")
        ):
            return "gradient_instead_of_parameter", (
                f"{show(a)} is a gradient; what belongs here is the value {show(b)} itself."
            )
        if was.kind in ("updated",):
            return (
                "updated_weights",
                f"{show(a)} is the updated value; the gradient uses the old one.",
            )
        if now is not None and now.kind == "gradient" and was.kind == "gradient":
            return "wrong_layer_variable", f"{show(a)} stands where {show(b)} belongs."
        if b.op == "name":
            return "wrong_layer_variable", f"{show(a)} stands where {show(b)} belongs."
        return None

    def _product(
        self, a: Expr, b: Expr, chain: list[tuple[Expr, Expr]], of: Key | None
    ) -> tuple[str, str] | None:
        kinds = (self._kind_of_product(a), self._kind_of_product(b))
        if None not in kinds:
            mine, theirs = self._operands_of(a), self._operands_of(b)
            if mine == theirs:
                if kinds == ("*", "@"):
                    return "elementwise_instead_of_matmul", (
                        f"{show(a)} multiplies element by element (NumPy broadcasts the "
                        "shapes); the sum "
                        "over the inner axis needs the matrix product @."
                    )
                if kinds == ("@", "*"):
                    return "matmul_instead_of_elementwise", (
                        f"{show(a)} is a matrix product; here every element is multiplied "
                        "with its own "
                        "factor: *."
                    )
                return "missing_transpose", f"A transpose is missing or too many in {show(a)}."
        if self._flips(a, b):
            return "missing_transpose", (
                f"{show(a)} stands where {show(b)} belongs: only so do the shapes mean what "
                "they should."
            )
        return None

    def _flips(self, a: Expr, b: Expr) -> bool:
        """Is one formula the other transposed?"""
        return any(
            y.op == "attribute" and y.extra == "T" and y.args[0] is x for x, y in ((a, b), (b, a))
        )

    def _kind_of_product(self, e: Expr) -> str | None:
        if e.op in ("*", "@"):
            return e.op
        if e.op in ("call", "method") and e.function in ("dot", "matmul"):
            return "@"
        return "*" if e.op == "call" and e.function in ("multiply", "outer") else None

    def _operands_of(self, e: Expr) -> set[Expr]:
        return {a.args[0] if a.op == "attribute" and a.extra == "T" else a for a in e.args[:2]}

    def _bracketed(
        self, a: Expr, b: Expr, chain: list[tuple[Expr, Expr]], of: Key | None
    ) -> tuple[str, str] | None:
        if {a.op, b.op} == {"+", "-"} and set(a.args) == set(b.args):
            return "sign", f"{show(a)} has a wrong sign inside: it is {show(b)}."
        if (a.op == "neg" and a.args[0] is b) or (b.op == "neg" and b.args[0] is a):
            return "sign", f"{show(a)} has the wrong sign."
        if a.op == b.op == "-" and a.args == b.args[::-1]:
            return "sign", f"{show(a)} has the wrong sign: it is {show(b)}."
        return None

    def _terms(
        self, a: Expr, b: Expr, chain: list[tuple[Expr, Expr]], of: Key | None
    ) -> tuple[str, str] | None:
        """Terms lost or added in a sum."""
        before, after = self._added(a), self._added(b)
        if len(before) < 2 and len(after) < 2:
            return None
        lost = _without(after, before)
        extra = _without(before, after)
        lost, extra = self._cancel(lost, extra)
        if lost and not [t for t in extra if not self._is_zero(t)]:
            what = show(lost[0])
            if self._normalises():
                return "batchnorm_missing_term", (
                    f"One of the paths through mean and variance is missing: {what}."
                )
            return "missing_fan_out_term", (
                f"{of[0] if of else 'This'} reaches the cost along several paths, whose "
                "shares add up; "
                f"{what} is missing."
            )
        if extra and not lost:
            if any(e.function == "sum" for t in extra for _, e in nodes(t)) and self._normalises():
                return "double_counted_path", f"{show(extra[0])} is counted though it has no share."
            return "double_counted_path", f"A path is counted twice: {show(extra[0])} is too many."
        if len(extra) == 1 and len(before) == 1 and len(lost) == len(after) > 1:
            factors = [f for f, _ in self._all_factors(extra[0])]
            if any(self._is_gradient_name(f) for f in factors):
                return "missing_fan_out_term", (
                    f"{of[0] if of else 'This'} reaches the cost along several paths, whose shares "
                    f"add up: {' and '.join(show(t) for t in lost)}."
                )
        if len(lost) == len(extra) == 1:
            x, y = extra[0], lost[0]
            ratio = self._ratio(x, y)
            if ratio is not None:
                if _near(ratio, -1):
                    return "sign", f"The term {show(x)} has the wrong sign."
                for m in self.sizes:
                    if _near(ratio, m) or _near(ratio, m * m):
                        if self._normalises():
                            return "batchnorm_missing_term", (
                                f"In the term {show(x)} the division by {m:g} is missing."
                            )
                        return (
                            "one_over_m_missing",
                            f"In the term {show(x)} the 1/{m:g} is missing.",
                        )
                    if _near(ratio * m, 1):
                        return (
                            "one_over_m_twice",
                            f"In the term {show(x)} there is a 1/{m:g} too many.",
                        )
                return (
                    "constant_factor",
                    f"The term {show(x)} is {ratio:.4g} times what it should be.",
                )
        return None

    def _added(self, e: Expr) -> list[Expr]:
        """The terms of a sum as written, with their signs."""
        if e.op == "+":
            return self._added(e.args[0]) + self._added(e.args[1])
        if e.op == "-":
            return self._added(e.args[0]) + [self.make("neg", t) for t in self._added(e.args[1])]
        return [e]

    def _is_zero(self, e: Expr) -> bool:
        value = self.lab.value(e)
        return value is not None and not np.any(np.asarray(value, float))

    def _normalises(self) -> bool:
        """Does the forward pass subtract a mean over examples and divide by a deviation?"""
        centred = divided = False
        for statement in self.sheet.forward:
            for _, e in nodes(statement.expr):
                if e.function in ("mean", "var", "std"):
                    centred = True
                if e.op == "-":
                    shapes = [np.shape(self.lab.value(a)) for a in e.args]
                    centred = centred or (() not in shapes and shapes[0] != shapes[1])
                if e.function in ("sqrt", "std") or (
                    e.op == "**" and e.args[1].op in ("neg", "number") and show(e.args[1]) == "-0.5"
                ):
                    divided = True
        return centred and divided

    def _ratio(self, x: Expr, y: Expr) -> float | None:
        ratio: float | None = None
        for i in range(len(self.lab.points)):
            a, b = self.lab.value(x, i), self.lab.value(y, i)
            if a is None or b is None or np.shape(a) != np.shape(b) or not np.size(b):
                return None
            a, b = np.asarray(a, float), np.asarray(b, float)
            at = int(np.argmax(np.abs(b)))
            if b.flat[at] == 0:
                if b.shape == () and not a:
                    continue  # a single unit that is off
                return None
            here = float(a.flat[at] / b.flat[at])
            if not here or not equal(a, here * b) or (ratio and abs(here / ratio - 1) > 1e-6):
                return None
            ratio = here
        return ratio

    def _cancel(self, xs: list[Expr], ys: list[Expr]) -> tuple[list[Expr], list[Expr]]:
        """What is left of two lists when pairs of equal value are struck out."""
        ys = list(ys)
        left = []
        for x in xs:
            for y in ys:
                if self.lab.same(x, y):
                    ys.remove(y)
                    break
            else:
                left.append(x)
        return left, ys

    def _factors(
        self, a: Expr, b: Expr, chain: list[tuple[Expr, Expr]], of: Key | None
    ) -> tuple[str, str] | None:
        """Factors lost, added or exchanged in a product; matrix products included."""
        lost, extra, _ = self._factor_difference(a, b)
        if lost and not extra:
            return self._missing(lost, of)
        if extra and not lost:
            return self._too_many(extra)
        if lost and extra:
            x, y = product(self.lab, extra), product(self.lab, lost)
            role = self.role(y)
            if role is not None and role.kind == "derivative":
                found = self._wrong_derivative(role.of, x, y, x, y)
                if found is not None:
                    return found
            reals = [f for f in extra if not is_scalar(self.lab.value(f[0]))]
            if not reals:
                return self._missing(lost, of)
            ratio = self._ratio(x, y)
            if ratio is not None:
                return "constant_factor", f"{show(x)} is {ratio:.4g} times {show(y)}."
            if self._kind_of_product(a) == "*" and self._kind_of_product(b) == "@":
                return (
                    "elementwise_instead_of_matmul",
                    f"{show(a)} should be the matrix product {show(b)}.",
                )
            if len(extra) == len(lost) == 1:
                was, now = self.role(extra[0][0]), self.role(lost[0][0])
                if was is not None and now is not None:
                    if was.kind == "gradient" and now.kind in ("weight", "forward", "given"):
                        return "gradient_instead_of_parameter", (
                            f"{show(x)} is a gradient; the value {show(y)} belongs here."
                        )
                    return "wrong_layer_variable", f"{show(x)} stands where {show(y)} belongs."
            derivative = self._contains_derivative(y)
            if derivative is not None:
                return self._wrong_derivative(derivative, x, y, x, y) or (
                    "missing_activation_derivative", self._lacks(derivative),
                )  # fmt: skip
            return self._missing(lost, of)
        return None

    def _factor_difference(self, a: Expr, b: Expr) -> tuple[Factors, Factors, Factors]:
        """The factors only the correction has, those only the line has, and all of the line."""
        before, after = self._all_factors(a), self._all_factors(b)
        lost = _without(after, before)
        extra = _without(before, after)
        kept, gone = self._cancel([f for f, _ in lost], [f for f, _ in extra])
        lost = [f for f in lost if f[0] in kept]
        extra = [f for f in extra if f[0] in gone]
        return lost, extra, before

    def _part_of_derivative(
        self,
        lost: Factors,
        extra: Factors,
        before: Factors,
    ) -> tuple[str, str] | None:
        """``a`` or ``1 - a`` where ``a * (1 - a)`` belongs: kept factors are part of g'."""
        if any(f.op == "name" and f.extra in self.masks for f, _ in lost):
            return None
        kept = [f for f in before if f not in extra]
        for n in (1, 2):
            for chosen in itertools.combinations(kept, n):
                whole = product(self.lab, [*lost, *chosen])
                role = self.role(whole)
                if role is not None and role.kind == "derivative":
                    x = product(self.lab, [*extra, *chosen])
                    return self._wrong_derivative(role.of, x, whole, x, whole)
        return None

    def _contains_derivative(self, e: Expr) -> Link | None:
        for _, sub in nodes(e):
            role = self.role(sub)
            if role is not None and role.kind == "derivative":
                return role.of  # type: ignore[no-any-return]
        return None

    def _all_factors(self, e: Expr) -> Factors:
        factors: Factors = []
        for f, power in flat(e):
            if power > 0 and self._kind_of_product(f) == "@":
                for operand in f.args[:2]:
                    factors.extend(self._all_factors(operand))
            elif power > 0 and f.op == "call" and f.function == "multiply":
                for operand in f.args:
                    factors.extend(self._all_factors(operand))
            elif f.op == "neg":
                factors.extend(self._all_factors(f.args[0]))
            elif not (f.op == "number" and f.extra == 1):
                factors.append((f, power))
        return factors

    def _missing(self, lost: Factors, of: Key | None) -> tuple[str, str] | None:
        whole = product(self.lab, lost)
        what = show(whole)
        role = self.role(whole)
        arrays = [f for f in lost if not self._constant_number(f[0])]
        if self._normalises() and len(arrays) == 1 and arrays[0][0].op == "name":
            key = arrays[0][0].extra
            if key in self.parameters and np.ndim(self.lab.points[0].plain[key]) <= 2:
                if key not in self.matrices and (
                    f"d{key[0]}" in self.sheet.claims or self._scales(key)
                ):
                    return (
                        "batchnorm_missing_term",
                        f"The gain {what} of the normalisation is missing.",
                    )
        bare = [f.args[0] if f.op == "attribute" and f.extra == "T" else f for f, _ in arrays]
        roles = [self.role(f) for f in bare]
        upstream = any(r is not None and r.kind == "gradient" for r in roles)
        if not upstream and any(r is not None and r.kind == "mask" for r in roles):
            return "dropout_mask_missing", (
                f"The forward pass multiplies with {what}; its gradient does too."
            )
        if not arrays:
            value = float(np.asarray(self.lab.value(whole)))
            for m in self.sizes:
                if _near(value * m, 1):
                    return "one_over_m_missing", f"The factor {what} is missing."
                if _near(value, m):
                    return "one_over_m_twice", f"A factor 1/{m:g} is too many."
            return "constant_factor", f"The factor {what} is missing."
        if role is not None and role.kind == "derivative":
            return "missing_activation_derivative", self._lacks(role.of)
        reals = product(self.lab, arrays)
        inner = self.role(reals)
        for r in (inner, *roles):
            if r is not None and r.kind == "derivative":
                return "missing_activation_derivative", self._lacks(r.of)
        for r, (f, _) in zip(roles, arrays, strict=True):
            if r is not None and r.kind == "weight":
                return "missing_weight_factor", f"The weight {show(f)} on the path is left out."
        for r, (f, _) in zip(roles, arrays, strict=True):
            if (r is not None and r.kind in ("gradient", "scratch")) or self._is_gradient_like(f):
                return "missing_upstream_factor", (
                    f"The derivative of what follows, {show(f)}, is left out."
                )
        derivative = self._contains_derivative(whole)
        if derivative is not None:
            return "missing_activation_derivative", self._lacks(derivative)
        if any(e.op in _ORDERED for _, e in nodes(whole)):
            return "missing_activation_derivative", (
                f"{what} is missing: only where the forward pass lets a number through does its "
                "gradient come back."
            )
        if of not in self.parameters:
            for f, _ in arrays:
                if f.op == "name" and f.extra in self.parameters:
                    return "missing_weight_factor", f"The weight {show(f)} on the path is left out."
        link = next(
            (x for x in self.lab.links if x.before == of and self._slope_of(reals, x)), None
        )
        if link is not None:
            return "missing_activation_derivative", self._lacks(link)
        for f, _ in arrays:
            if f.op == "name" and of is not None and self._made_from(f.extra, of):
                return "missing_upstream_factor", (
                    f"The derivative of what follows has {what} as a factor; it is left out."
                )
        return "missing_input_factor", f"The factor {what} of the product is left out."

    def _slope_of(self, e: Expr, link: Link) -> bool:
        """Is a formula a constant multiple of a link's derivative?"""
        return bool(link.forms) and self._ratio(e, link.forms[0]) is not None

    def _made_from(self, key: Key, of: Key) -> bool:
        """Is a forward name computed from another, directly or through others?"""
        value, start = (self.lab.points[0].graph.values.get(k) for k in (key, of))
        if not isinstance(value, Value) or value is start:
            return False
        return any(node is start for node in reachable(value, every=True))

    def _lacks(self, link: Link) -> str:
        """What to say of a derivative left out, in the lecture's notation too."""
        symbol = "g'"
        if link.before[1] >= 0:
            p = self.lab.name(link.before)
            for name, g in (("sigmoid", "σ'"), ("tanh", "tanh'"), ("relu", "ReLU'")):
                if self.lab.same(link.result, self.lab.formulas.call(name, p)):
                    symbol = g
        return (
            f"{symbol}({link.before[0]}) is missing: the derivative of the activation "
            f"{show(link.result)} with respect to {link.before[0]}, {show(link.forms[0])}."
        )

    def _constant_number(self, e: Expr) -> bool:
        return is_scalar(self.lab.value(e)) and not self.lab.depends(e)

    def _is_gradient_like(self, e: Expr) -> bool:
        """Is a formula a multiple of some quantity's gradient, such as ``a - y``?"""
        node = self.lab.points[0].graph.values.get(e.extra) if e.op == "name" else None
        if self.lab.value(e) is None or (
            isinstance(node, Value) and node.op is not None and node in self.lab.points[0].reached
        ):
            return False
        for key in self.lab.forward_keys:
            node = self.lab.points[0].graph.values[key]
            if (
                not isinstance(node, Value)
                or node.op is None
                or node not in self.lab.points[0].reached
            ):
                continue
            ratio: float | None = None
            for i, point in enumerate(self.lab.points):
                value, true = self.lab.value(e, i), np.asarray(point.gradient(key))
                if true.shape == () and not true and is_scalar(value) and not value:
                    continue  # a single unit that is off
                if value is None or np.shape(value) != true.shape or not np.any(true):
                    break
                at = int(np.argmax(np.abs(true)))
                here = float(np.asarray(value, float).flat[at] / true.flat[at])
                if not here or not equal(value, here * true) or (ratio and not _near(here, ratio)):
                    break
                ratio = here
            else:
                return True
        return False

    def _too_many(self, extra: Factors) -> tuple[str, str] | None:
        whole = product(self.lab, extra)
        what = show(whole)
        role = self.role(whole)
        if role is not None and role.kind == "scalar":
            for m in self.sizes:
                if _near(role.of * m, 1):
                    return "one_over_m_twice", f"The factor {what} is too many."
                if _near(role.of, m):
                    return "one_over_m_missing", f"The factor {what} is too many."
            return "constant_factor", f"The factor {what} is too many."
        if role is not None and role.kind == "derivative":
            return "extra_activation_derivative", (
                f"{what} is the derivative of {show(role.of.result)}, which does not belong "
                "here: it has "
                "cancelled already, or is applied twice."
            )
        for f, _ in extra:
            r = self.role(f)
            if r is not None and r.kind == "forward":
                for link in self.lab.links:
                    if r.of == link.before and link.before != link.after:
                        return "multiplied_by_Z", (
                            f"{show(f)} is a factor here; g'({show(f)}) means the derivative *at* "
                            f"{show(f)}, not a product with it."
                        )
                return "extra_activation_derivative", (
                    f"{what} does not belong here: what it stands for has cancelled already."
                )
            if r is not None and r.kind == "mask":
                return "dropout_mask_missing", f"The mask {show(f)} is applied once too often."
        if self._contains_derivative(whole) is not None or any(
            names_in(f) & {link.after for link in self.lab.links} for f, _ in extra
        ):
            return "extra_activation_derivative", f"{what} does not belong here."
        return "other", f"The factor {what} does not belong here."


def _is_word(e: Expr) -> bool:
    """A name, or a name transposed."""
    return e.op == "name" or (e.op == "attribute" and e.args[0].op == "name")


def _float(x: Any) -> Any:
    return None if x is None else np.asarray(x) * 1.0


def _near(x: float, y: float) -> bool:
    return abs(x - y) <= 1e-6 * abs(y)


def _without(xs: list[Any], ys: list[Any]) -> list[Any]:
    """`xs` without the members of `ys`, each counted as often as it occurs."""
    rest = list(ys)
    left = []
    for x in xs:
        if x in rest:
            rest.remove(x)
        else:
            left.append(x)
    return left
