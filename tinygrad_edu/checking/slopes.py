"""Mistakes about the derivative of an activation: its formula, its argument, its place."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from tinygrad_edu.checking.formula import Expr, names_in, nodes, show
from tinygrad_edu.checking.links import Link
from tinygrad_edu.checking.parts import (
    ORDERED,
    Chain,
    Factors,
    Named,
    all_factors,
    factor_difference,
    product,
)
from tinygrad_edu.checking.roles import Roles
from tinygrad_edu.checking.sheet import Key
from tinygrad_edu.checking.truth import equal, is_scalar


class Slopes:
    """Names a difference that has to do with the derivative of an activation."""

    def __init__(self, roles: Roles) -> None:
        self.roles, self.lab, self.sheet = roles, roles.lab, roles.sheet
        self.make, self.number = self.lab.formulas.make, self.lab.formulas.number

    def quotient(self, a: Expr, b: Expr, chain: Chain, of: Key | None) -> Named:
        """A part that gives way to itself times the derivative of an activation."""
        if a.op == "number" or b.op != "name":
            return None
        kind = self.roles.role_of_name(b.extra).kind
        return self.lacking(a, b) if kind in ("gradient", "scratch") else None

    def lacking(self, a: Expr, b: Expr) -> Named:
        """Is one formula the other times the derivative of an activation?"""
        for link in self.lab.links:
            if link.forms and link.forms[0].op != "number":
                if self.lab.same(self.make("*", a, link.forms[0]), b):
                    return "missing_activation_derivative", self.lacks(link)
        return None

    def derivative(self, a: Expr, b: Expr, chain: Chain, of: Key | None) -> Named:
        """Something about the derivative of an activation."""
        for x, y in chain:
            if x.op in ("*", "/") and y.op in ("*", "/"):
                lost, extra, before = factor_difference(self.lab, x, y)
                if lost:
                    found = self._part_of_derivative(lost, extra, before)
                    if found is not None:
                        return found
                break
        for x, y in reversed(chain):
            role = self.roles.role(y)
            if role is None or role.kind != "derivative":
                continue
            return self.wrong_derivative(role.of, x, y, a, b)
        return None

    def wrong_derivative(self, link: Link, x: Expr, y: Expr, a: Expr, b: Expr) -> Named:
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
        was = self.roles.role(x)
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
        rest = [f for f in all_factors(x) if not self.roles.is_gradient_name(f[0])]
        if rest and len(rest) < len(all_factors(x)):
            if self.lab.same(product(self.lab, rest), y):
                return None  # a right share of a sum
        if (
            x.op != "name"
            and not link.masking
            and any(self.roles.is_gradient_name(sub) for _, sub in nodes(x))
        ):
            return "derivative_at_wrong_point", f"{show(x)} is formed from a gradient; {right}."
        if x.op in ORDERED and y.op in ORDERED:
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
        role = self.roles.role(x)
        if role is not None and role.kind in ("gradient", "weight"):
            return None
        return None

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

    def _wrong_argument_of_forms(self, x: Expr, link: Link) -> Named:
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

    def _part_of_derivative(
        self,
        lost: Factors,
        extra: Factors,
        before: Factors,
    ) -> Named:
        """``a`` or ``1 - a`` where ``a * (1 - a)`` belongs: kept factors are part of g'."""
        if any(f.op == "name" and f.extra in self.roles.masks for f, _ in lost):
            return None
        kept = [f for f in before if f not in extra]
        for n in (1, 2):
            for chosen in itertools.combinations(kept, n):
                whole = product(self.lab, [*lost, *chosen])
                role = self.roles.role(whole)
                if role is not None and role.kind == "derivative":
                    x = product(self.lab, [*extra, *chosen])
                    return self.wrong_derivative(role.of, x, whole, x, whole)
        return None

    def lacks(self, link: Link) -> str:
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


def _float(x: Any) -> Any:
    return None if x is None else np.asarray(x) * 1.0
