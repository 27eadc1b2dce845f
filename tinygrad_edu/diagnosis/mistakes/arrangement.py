"""The right parts otherwise arranged: brackets, comparisons, axes, ``@`` and ``*``, transposes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_edu.diagnosis import advice
from tinygrad_edu.diagnosis import statements as say
from tinygrad_edu.diagnosis.claims import Claim, Finding
from tinygrad_edu.diagnosis.differences import chain
from tinygrad_edu.diagnosis.evidence import Case
from tinygrad_edu.diagnosis.parts import kind_of_product, near
from tinygrad_edu.sheets.syntax import Expr, is_transposed, masks, walk


def changed(case: Case) -> tuple[Claim, ...]:
    """With the corrected part for the learner's the line is right."""
    assert case.fixed is not None
    for x, y in reversed(chain(case.line, case.fixed)):
        if x.op != "slice":
            claim = say.with_for(y, x)
            if x is case.line:
                return (say.rearranged(),) if case.rearranged else ()
            if claim.holds(case):
                return (claim,)
    return ()


def edited(case: Case) -> Iterator[Finding]:
    """Edits that are a mistake by themselves."""
    edit = case.edit
    if edit is None or case.fixed is None:
        return
    kinds = {edit.kind} | ({edit.first.kind} if edit.first is not None else set())
    turned = any(e.op == "neg" for e in edit.removed) and edit.first is None
    if any(kind.startswith("brackets") for kind in kinds) and not turned:
        yield Finding(
            "operator_precedence", changed(case) or (say.bracketed(),), advice=advice.BRACKETS
        )
    if not edit.removed or not edit.added:
        return
    a, b = edit.removed[0], edit.added[0]
    put = say.with_for(b, a)
    if edit.kind.startswith("comparison"):
        yield Finding("relu_mask_boundary", (put,), (say.true_everywhere(a),))
    if edit.kind == "order":
        yield Finding("other", (put, say.other_order(a)))
    if edit.kind.startswith("index"):
        yield Finding("other", (put,))
    if edit.kind.startswith("column") or (b.op == "index" and b.args[0] is a and not case.fits):
        yield from _column(case, a, b)


def column(case: Case) -> Iterator[Finding]:
    """A vector that is broadcast against a column."""
    for a, b in case.steps[-1:]:
        made = b.op in ("index", "method") and b.args[0] is a and not case.fits
        if made or (case.edit is not None and case.edit.kind.startswith("column")):
            yield from _column(case, a, b)


def _column(case: Case, a: Expr, b: Expr) -> Iterator[Finding]:
    shape = np.shape(case.context.value(a, len(case.context.samples) - 1))
    yield Finding(
        "broadcast_1d_target", (say.has_shape(a, shape), say.with_for(b, a)), advice=advice.SQUARE
    )


def branch(case: Case) -> Iterator[Finding]:
    """A number in a branch, as of np.where, that is another."""
    for a, b in case.steps[-1:]:
        chosen = any(x.function == "where" and a in x.args for x, _ in case.steps)
        if a.op == "number" and (chosen or masks(case.line)):
            if not any(case.roles.is_gradient_like(e) for e in walk(b)):
                yield Finding("wrong_derivative_formula", (say.with_for(b, a),))


def reductions(case: Case) -> Iterator[Finding]:
    """A difference in an axis, in keepdims, or of np.sum and np.mean."""
    if not case.rearranged or case.fixed is None:
        return
    mine, right = map(_reductions_in, (case.line, case.fixed))
    mine, right = [e for e in mine if e not in right], [e for e in right if e not in mine]
    if len(mine) == len(right):
        for a, b in zip(mine, right, strict=True):
            yield from _reduction(case, a, b)


def _reduction(case: Case, a: Expr, b: Expr) -> Iterator[Finding]:
    changed = say.with_for(b, a)
    put = (changed,) if changed.holds(case) else (say.rearranged(),)
    mine, right = say.axes(case, a), say.axes(case, b)
    if mine == right and (a.function, b.function) == ("sum", "mean"):
        yield Finding("one_over_m_missing", put)
    if (a.function, b.function) == ("mean", "sum"):
        yield Finding("mean_instead_of_sum", put, advice=advice.MEAN)
    if not mine and right:
        yield Finding("sum_without_axis", put, advice=advice.AXIS)
    if mine != right:
        over = [say.sums_over(k) for k in mine[:1]] + [say.right_sums_over(k) for k in right[:1]]
        if put != (changed,):
            yield Finding("wrong_sum_axis", tuple(over))
        yield Finding("wrong_sum_axis", put, tuple(over))
    kept = [
        e.options.get("keepdims") is not None and e.options["keepdims"].extra is True
        for e in (a, b)
    ]
    if kept[1] and not kept[0]:
        yield Finding("missing_keepdims", put, advice=advice.KEEPDIMS)
    if kept[0] and not kept[1]:
        yield Finding("wrong_sum_axis", put, advice=advice.KEEPDIMS)


def arranged(case: Case) -> Iterator[Finding]:
    """The same parts, otherwise arranged: sums, ``@`` and ``*``, transposes."""
    if not case.rearranged or case.fixed is None:
        return
    a, b = case.line, case.fixed
    put = changed(case) or (say.rearranged(),)
    sums = [_reductions_in(e) for e in (a, b)]
    products = [sum(kind_of_product(x) == "@" for x in walk(e)) for e in (a, b)]
    if len(sums[1]) > len(sums[0]) and products[0] <= products[1]:
        yield Finding(
            "bias_not_summed",
            put,
            tuple(say.right_sums_over(k) for e in sums[1][:1] for k in say.axes(case, e)[:1]),
            advice.EXAMPLES,
        )
    if len(sums[1]) < len(sums[0]) and products[0] == products[1]:
        kind = "sum_without_axis" if not say.axes(case, sums[0][0]) else "wrong_sum_axis"
        yield Finding(kind, put, (say.right_sums_nothing(),))
    if products[1] > products[0]:
        yield Finding("elementwise_instead_of_matmul", put, advice=advice.PRODUCTS)
    if products[1] < products[0]:
        yield Finding("matmul_instead_of_elementwise", put, advice=advice.PRODUCTS)
    if _transposes(a) != _transposes(b) or _names(a) != _names(b):
        yield Finding("missing_transpose", put, (say.transposes(),))


def _reductions_in(e: Expr) -> list[Expr]:
    return [x for x in walk(e) if x.function in ("sum", "mean")]


def _transposes(e: Expr) -> int:
    return sum(map(is_transposed, walk(e)))


def _names(e: Expr) -> list[object]:
    return [x.extra for x in walk(e) if x.op == "name"]


def signs(case: Case) -> Iterator[Finding]:
    """A sign inside the line."""
    pairs = case.pairs
    turned = [
        p.kind == "factors" and not p.lost and not p.extra and near(p.coefficient, -1)
        for p in pairs
    ]
    if case.fixed is not None and pairs and all(turned):
        x, y = chain(case.line, case.fixed)[-1]
        yield Finding("sign", (say.wrong_sign(x, y),))
        yield Finding("sign", (say.sign_inside(x, y),))
