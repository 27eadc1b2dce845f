"""Mistakes in products: a factor lost, added or exchanged; `*` and `@`; transposes; signs."""

from __future__ import annotations

import numpy as np

from tinygrad_edu.checking.formula import Expr, masks, names_in, nodes, show
from tinygrad_edu.checking.parts import (
    ORDERED,
    Chain,
    Factors,
    Named,
    factor_difference,
    flips,
    is_word,
    kind_of_product,
    near,
    operands_of,
    product,
)
from tinygrad_edu.checking.roles import Roles
from tinygrad_edu.checking.rows import shape_text
from tinygrad_edu.checking.sheet import Key
from tinygrad_edu.checking.slopes import Slopes
from tinygrad_edu.checking.truth import is_scalar


class Products:
    """Names a difference in a product, or of one name from another."""

    def __init__(self, roles: Roles, slopes: Slopes) -> None:
        self.roles, self.lab, self.sheet = roles, roles.lab, roles.sheet
        self.make, self.number = self.lab.formulas.make, self.lab.formulas.number
        self.slopes = slopes

    def renamed(self, a: Expr, b: Expr, chain: Chain, of: Key | None) -> Named:
        """One name, or number, where another belongs."""
        if a.op == "**" and self.roles.ratio(a.args[0], b) is not None:
            return "wrong_derivative_formula", (
                f"{show(a)} is the square itself; its derivative has a power less."
            )
        root = chain[0][0]
        branch = any(x.function == "where" and a in x.args for x, _ in chain)
        branch = branch and not any(self.roles.is_gradient_like(e) for _, e in nodes(b))
        if a.op == "number" and (branch or (b.op == "number" and masks(root))):
            return "wrong_derivative_formula", f"{show(a)} stands where {show(b)} belongs."
        if a.op == "name" and b.op == "call" and b.args == (a,):
            return "wrong_layer_variable", f"{show(a)} stands where {show(b)} belongs."
        if a.op == "name" and b.op == "index" and b.args[0] is a:
            return "broadcast_1d_target", (
                f"{show(a)} has shape {shape_text(np.shape(self.lab.value(a)))}; against one axis "
                f"it is broadcast to a square. Take {show(b)}."
            )
        if a.op != "name" or b.op not in ("name", "attribute"):
            return None
        value = b.args[0] if b.op == "attribute" else b
        was, now = self.roles.role_of_name(a.extra), self.roles.role(value)
        for mask in self.roles.masks:
            masked = self.make("*", a, self.lab.name(mask))
            if self.roles.ratio(masked, b) is not None and not self.lab.same(masked, a):
                return "dropout_mask_missing", (
                    f"{show(b)} is {show(a)} with the mask {mask[0]}; the forward pass goes on "
                    f"with {show(b)}."
                )
        claim = self.sheet.claims.get(a.extra[0])
        is_bias = of is not None and of in self.roles.parameters and of not in self.roles.matrices
        if is_bias and claim is not None and (claim.of, 0) in self.roles.matrices:
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
        if now is not None and now.kind == "gradient" and was.kind == "gradient":
            return "wrong_layer_variable", f"{show(a)} stands where {show(b)} belongs."
        if b.op == "name":
            return "wrong_layer_variable", f"{show(a)} stands where {show(b)} belongs."
        return None

    def product(self, a: Expr, b: Expr, chain: Chain, of: Key | None) -> Named:
        """``*`` for ``@`` or the other way round; a transpose."""
        kinds = (kind_of_product(a), kind_of_product(b))
        if None not in kinds:
            mine, theirs = operands_of(a), operands_of(b)
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
        if flips(a, b):
            return "missing_transpose", (
                f"{show(a)} stands where {show(b)} belongs: only so do the shapes mean what "
                "they should."
            )
        return None

    def bracketed(self, a: Expr, b: Expr, chain: Chain, of: Key | None) -> Named:
        """A sign, inside a sum or in front."""
        if {a.op, b.op} == {"+", "-"} and set(a.args) == set(b.args):
            return "sign", f"{show(a)} has a wrong sign inside: it is {show(b)}."
        if (a.op == "neg" and a.args[0] is b) or (b.op == "neg" and b.args[0] is a):
            return "sign", f"{show(a)} has the wrong sign."
        if a.op == b.op == "-" and a.args == b.args[::-1]:
            return "sign", f"{show(a)} has the wrong sign: it is {show(b)}."
        return None

    def factors(self, a: Expr, b: Expr, chain: Chain, of: Key | None) -> Named:
        """Factors lost, added or exchanged in a product; matrix products included."""
        lost, extra, _ = factor_difference(self.lab, a, b)
        if lost and not extra:
            return self.missing(lost, of)
        if extra and not lost:
            return self._too_many(extra)
        if lost and extra:
            x, y = product(self.lab, extra), product(self.lab, lost)
            lacking = self.slopes.lacking(x, y)
            if lacking is not None:
                return lacking
            role = self.roles.role(y)
            if role is not None and role.kind == "derivative":
                found = self.slopes.wrong_derivative(role.of, x, y, x, y)
                if found is not None:
                    return found
            reals = [f for f in extra if not is_scalar(self.lab.value(f[0]))]
            if not reals:
                return self.missing(lost, of)
            ratio = self.roles.ratio(x, y)
            if ratio is not None:
                return "constant_factor", f"{show(x)} is {ratio:.4g} times {show(y)}."
            if kind_of_product(a) == "*" and kind_of_product(b) == "@":
                return (
                    "elementwise_instead_of_matmul",
                    f"{show(a)} should be the matrix product {show(b)}.",
                )
            if len(extra) == len(lost) and all(is_word(f) for f, _ in (*extra, *lost)):
                were, are = (" and ".join(show(f) for f, _ in part) for part in (extra, lost))
                s = "s" if len(lost) == 1 else ""
                return "wrong_layer_variable", f"{were} stand{s} where {are} belong{s}."
            derivative = self.roles.contains_derivative(y)
            if derivative is not None:
                return self.slopes.wrong_derivative(derivative, x, y, x, y) or (
                    "missing_activation_derivative", self.slopes.lacks(derivative),
                )  # fmt: skip
            return self.missing(lost, of)
        return None

    def missing(self, lost: Factors, of: Key | None) -> Named:
        """What factors are that the line leaves out."""
        whole = product(self.lab, lost)
        what = show(whole)
        role = self.roles.role(whole)
        arrays = [f for f in lost if not self.roles.constant_number(f[0])]
        if self.roles.normalises() and len(arrays) == 1 and arrays[0][0].op == "name":
            key = arrays[0][0].extra
            if key in self.roles.parameters and np.ndim(self.lab.points[0].plain[key]) <= 2:
                if key not in self.roles.matrices and (
                    key[0] in {claim.of for claim in self.sheet.claims.values()}
                    or self.roles.scales(key)
                ):
                    return (
                        "batchnorm_missing_term",
                        f"The gain {what} of the normalisation is missing.",
                    )
        bare = [f.args[0] if f.op == "attribute" and f.extra == "T" else f for f, _ in arrays]
        roles = [self.roles.role(f) for f in bare]
        upstream = any(r is not None and r.kind == "gradient" for r in roles)
        if not upstream and any(r is not None and r.kind == "mask" for r in roles):
            return "dropout_mask_missing", (
                f"The forward pass multiplies with {what}; its gradient does too."
            )
        if not arrays:
            value = float(np.asarray(self.lab.value(whole)))
            for m in self.roles.sizes:
                if near(value * m, 1):
                    return "one_over_m_missing", f"The factor {what} is missing."
                if near(value, m):
                    return "one_over_m_twice", f"A factor 1/{m:g} is too many."
            return "constant_factor", f"The factor {what} is missing."
        if role is not None and role.kind == "derivative":
            return "missing_activation_derivative", self.slopes.lacks(role.of)
        reals = product(self.lab, arrays)
        inner = self.roles.role(reals)
        for r in (inner, *roles):
            if r is not None and r.kind == "derivative":
                return "missing_activation_derivative", self.slopes.lacks(r.of)
        for r, (f, _) in zip(roles, arrays, strict=True):
            if r is not None and r.kind == "weight":
                return "missing_weight_factor", f"The weight {show(f)} on the path is left out."
        for r, (f, _) in zip(roles, arrays, strict=True):
            if (r is not None and r.kind in ("gradient", "scratch")) or self.roles.is_gradient_like(
                f
            ):
                return "missing_upstream_factor", (
                    f"The derivative of what follows, {show(f)}, is left out."
                )
        derivative = self.roles.contains_derivative(whole)
        if derivative is not None:
            return "missing_activation_derivative", self.slopes.lacks(derivative)
        if any(e.op in ORDERED for _, e in nodes(whole)):
            return "missing_activation_derivative", (
                f"{what} is missing: only where the forward pass lets a number through does its "
                "gradient come back."
            )
        if of not in self.roles.parameters:
            for f, _ in arrays:
                if f.op == "name" and f.extra in self.roles.parameters:
                    return "missing_weight_factor", f"The weight {show(f)} on the path is left out."
        link = next(
            (x for x in self.lab.links if x.before == of and self.roles.slope_of(reals, x)), None
        )
        if link is not None:
            return "missing_activation_derivative", self.slopes.lacks(link)
        for f, _ in arrays:
            if f.op == "name" and of is not None and self.roles.made_from(f.extra, of):
                return "missing_upstream_factor", (
                    f"The derivative of what follows has {what} as a factor; it is left out."
                )
        return "missing_input_factor", f"The factor {what} of the product is left out."

    def _too_many(self, extra: Factors) -> Named:
        whole = product(self.lab, extra)
        what = show(whole)
        role = self.roles.role(whole)
        if role is not None and role.kind == "scalar":
            for m in self.roles.sizes:
                if near(role.of * m, 1):
                    return "one_over_m_twice", f"The factor {what} is too many."
                if near(role.of, m):
                    return "one_over_m_missing", f"The factor {what} is too many."
            return "constant_factor", f"The factor {what} is too many."
        if role is not None and role.kind == "derivative":
            return "extra_activation_derivative", (
                f"{what} is the derivative of {show(role.of.result)}, which does not belong "
                "here: it has "
                "cancelled already, or is applied twice."
            )
        for f, _ in extra:
            r = self.roles.role(f)
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
        if self.roles.contains_derivative(whole) is not None or any(
            names_in(f) & {link.after for link in self.lab.links} for f, _ in extra
        ):
            return "extra_activation_derivative", f"{what} does not belong here."
        return "other", f"The factor {what} does not belong here."
