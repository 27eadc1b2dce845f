"""Mistakes in sums: terms lost or added, sums over examples, penalties, a softmax, a mean."""

from __future__ import annotations

import numpy as np

from tinygrad_edu.checking.formula import Expr, names_in, nodes, show
from tinygrad_edu.checking.parts import (
    Chain,
    Named,
    all_factors,
    cancel,
    flat,
    flips,
    is_zero,
    kind_of_product,
    near,
    product,
    summands,
    terms_of,
    without,
)
from tinygrad_edu.checking.products import Products
from tinygrad_edu.checking.roles import Roles
from tinygrad_edu.checking.rows import shape_text
from tinygrad_edu.checking.sheet import Key


class Sums:
    """Names a difference in what is added up."""

    def __init__(self, roles: Roles, products: Products) -> None:
        self.roles, self.lab, self.sheet = roles, roles.lab, roles.sheet
        self.make, self.number = self.lab.formulas.make, self.lab.formulas.number
        self.products = products

    def softmax(self, a: Expr, b: Expr, chain: Chain, of: Key | None) -> Named:
        """``dp * p * (1 - p)`` with p a softmax: its Jacobian taken for a diagonal."""
        factors = all_factors(chain[0][0])
        for f, _ in factors:
            if f.op != "name" or not self.roles.is_softmax(f.extra):
                continue
            other = self.make("-", self.number(1), f)
            rest = [g for g in factors if g[0] is not f and not self.lab.same(g[0], other)]
            if len(rest) != len(factors) - 2 or not rest:
                continue
            if self.roles.is_gradient_of(product(self.lab, rest), f.extra):
                return "softmax_jacobian_diagonal_only", (
                    f"{show(f)} is a softmax: each output depends on every input, so its "
                    "derivative is "
                    f"not only {show(f)} * (1 - {show(f)}); the sum over the others is missing."
                )
        return None

    def reduction(self, a: Expr, b: Expr, chain: Chain, of: Key | None) -> Named:
        """A sum or mean that is missing, or over another axis, or of something else."""

        def reducing(e: Expr) -> bool:
            return e.op in ("call", "method") and e.function in ("sum", "mean")

        if flips(a, b):
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

    def _summed_instead(self, a: Expr, b: Expr, of: Key | None) -> Named:
        """A sum where a matrix product belongs, or where nothing is to be added up."""
        if b is a.args[0]:
            kind = "sum_without_axis" if a.options.get("axis") is None else "wrong_sum_axis"
            return kind, f"Nothing is to be added up here: {show(b)} has the right shape already."
        if kind_of_product(b) != "@":
            return self._from_weight(a, of)
        rest = [f for f in b.args[:2] if f is not a.args[0]]
        return self.products.missing([(rest[0], 1)], of) if len(rest) == 1 else None

    def _other_shape(self, pair: tuple[Expr, Expr]) -> bool:
        x, y = (self.lab.value(e) for e in pair)
        return x is None or np.shape(x) != np.shape(y) or self._is_softmax_rule(pair[1])

    def _sums_more(self, a: Expr, b: Expr) -> bool:
        """Does the correction sum where the line does not?"""
        return any(e.function == "sum" for _, e in nodes(b)) and not any(
            e.function in ("sum", "mean") for _, e in nodes(a)
        )

    def _bias(self, a: Expr, b: Expr, of: Key | None) -> Named:
        """A sum over examples that is missing, or taken of something else."""
        if self._is_softmax_rule(b):
            return "softmax_jacobian_diagonal_only", (
                "softmax is not element-wise: each output depends on every input of its column, so "
                "its derivative has a second term, the sum."
            )
        from_weight = self._from_weight(a, of)
        if from_weight is not None:
            return from_weight
        inner = next((e for _, e in nodes(b) if e.function == "sum"), None)
        if inner is None:
            return None
        if a is inner.args[0] or a in [e for _, e in nodes(inner.args[0])] or self._is_bias(of):
            axis = inner.options.get("axis")
            where = f" (axis {show(axis)})" if axis is not None else ""
            return "bias_not_summed", (
                f"{of[0] if of else 'It'} was added for every example, so its gradient adds "
                "up over "
                f"the examples{where}; this line does not sum."
            )
        return None

    def _is_bias(self, of: Key | None) -> bool:
        return of in self.roles.parameters and of not in self.roles.matrices

    def _from_weight(self, a: Expr, of: Key | None) -> Named:
        """A bias' gradient that is made of the gradient of a weight."""
        for key in names_in(a):
            claim = self.sheet.claims.get(key[0])
            if of is not None and self._is_bias(of) and claim is not None:
                if (claim.of, 0) in self.roles.matrices:
                    return "bias_from_weight_gradient", (
                        f"The gradient of {of[0]} is not made of {key[0]}: it sums the gradient of "
                        "the layer over the examples."
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
                            if self.roles.computed(key):
                                return True
        return False

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

    def penalty(self, a: Expr, b: Expr, chain: Chain, of: Key | None) -> Named:
        """The share of the penalty: terms that are a constant times the parameter itself."""
        if of is None or of not in self.roles.parameters or len(chain) == 0:
            return None
        old, new = chain[0]
        before = list(summands(self.lab, old))
        after = list(summands(self.lab, new))
        name = of[0]
        own_before = [t for t in before if self.roles.proportional_to_parameter(t, of)]
        own_after = [t for t in after if self.roles.proportional_to_parameter(t, of)]
        if not own_before and not own_after:
            odd = [t for t in before if t not in after and self.roles.of_parameters(t)]
            share = [t for t in after if t not in before and self.roles.of_parameters(t)]
            if odd and share:  # of a penalty that is no sum of squares
                return "reg_term_wrong", (
                    f"The penalty's share of d{name} is {show(share[0])}, not {show(odd[0])}."
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
            share = [t for t in after if t not in before and self.roles.of_parameters(t)]
            if share:
                return "reg_term_wrong", (
                    f"The penalty's share of d{name} is {show(share[0])}, not "
                    f"{show(own_before[0])}."
                )
            return "reg_on_bias", f"The cost has no penalty on {name}, so d{name} has no such term."
        ratio = self.roles.ratio(own_before[0], own_after[0])
        if ratio is None or near(ratio, 1):
            return None
        if near(ratio, -1):
            return (
                "reg_sign",
                f"The penalty adds {show(own_after[0])} to d{name}; it is subtracted here.",
            )
        return "reg_factor", (
            f"The penalty's share of d{name} is {show(own_after[0])}; this line has "
            f"{ratio:.4g} times "
            "that."
        )

    def terms(self, a: Expr, b: Expr, chain: Chain, of: Key | None) -> Named:
        """Terms lost or added in a sum."""
        before, after = terms_of(self.lab, a), terms_of(self.lab, b)
        if len(before) < 2 and len(after) < 2:
            return None
        lost = without(after, before)
        extra = without(before, after)
        lost, extra = cancel(self.lab, lost, extra)
        if lost and not [t for t in extra if not is_zero(self.lab, t)]:
            what = show(lost[0])
            if self.roles.normalises():
                return "batchnorm_missing_term", (
                    f"One of the paths through mean and variance is missing: {what}."
                )
            return "missing_fan_out_term", (
                f"{of[0] if of else 'This'} reaches the cost along several paths, whose "
                "shares add up; "
                f"{what} is missing."
            )
        if extra and not lost:
            return "double_counted_path", f"A path is counted twice: {show(extra[0])} is too many."
        if len(extra) == 1 and len(before) == 1 and len(lost) == len(after) > 1:
            factors = [f for f, _ in all_factors(extra[0])]
            if any(self.roles.is_gradient_name(f) for f in factors):
                return "missing_fan_out_term", (
                    f"{of[0] if of else 'This'} reaches the cost along several paths, whose shares "
                    f"add up: {' and '.join(show(t) for t in lost)}."
                )
        return None
