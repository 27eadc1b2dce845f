"""One name for another: a gradient for a value, another layer's, an unmasked one."""

from __future__ import annotations

from collections.abc import Iterator

from tinygrad_edu.diagnosis import advice
from tinygrad_edu.diagnosis import statements as say
from tinygrad_edu.diagnosis.claims import Claim, Finding
from tinygrad_edu.diagnosis.evidence import Case
from tinygrad_edu.diagnosis.mistakes.slopes import in_quotient
from tinygrad_edu.diagnosis.parts import is_word, near
from tinygrad_edu.sheets.syntax import Expr


def bias_from_weight(case: Case) -> Iterator[Finding]:
    """A bias' gradient made of the gradient of a weight, by name or by formula."""
    multiplies_nothing = case.of in case.roles.parameters and case.of not in case.roles.matrices
    for e in case.line_parts if multiplies_nothing else ():
        for w, _ in sorted(case.roles.matrices) if e.op not in ("number", "slice", "tuple") else ():
            claims = (say.is_gradient(e, w), say.is_weight(w))
            yield Finding("bias_from_weight_gradient", claims, advice=advice.BIAS)


def replaced(case: Case) -> Iterator[Finding]:
    """The same word for another wherever line and correction differ."""
    found = _swap(case)
    if found is None:
        return
    a, b = found
    x, y = (e.args[0] if e.op in ("attribute", "index") else e for e in found)
    if x.op != "name" or y.op != "name":
        return
    roles = case.roles
    put: Claim = say.stands_for(a, case.signed(case.pairs[0], b))
    also: tuple[Claim, ...] = (say.matmul_more(), say.matmul_less())
    for mask in roles.masks:
        yield Finding("dropout_mask_missing", (put, say.unmasked(x, y, mask[0])))
    was, now = roles.kind(x.extra), roles.kind(y.extra)
    if was in ("gradient", "scratch") and now in ("weight", "given", "forward"):
        yield Finding("gradient_instead_of_parameter", (put, say.of_backward(x, y)), also)
    yield from in_quotient(case, a, b)
    yield Finding("other" if x is y else "wrong_layer_variable", (put,), also)


def _swap(case: Case) -> tuple[Expr, Expr] | None:
    """The one word that stands for one other in all pairs; None where there is more."""
    pairs = case.pairs
    if not pairs or any(
        p.kind != "factors"
        or len(p.extra) != 1
        or len(p.lost) != 1
        or not near(abs(p.coefficient), 1)
        for p in pairs
    ):
        return None
    swaps = {(p.extra[0], p.lost[0]) for p in pairs}
    (a, power), (b, other) = next(iter(swaps))
    if len(swaps) != 1 or power != other:
        return None
    return (a, b) if all(is_word(e) or e.op == "index" for e in (a, b)) else None


def exchanged(case: Case, x: Expr, y: Expr) -> Iterator[Finding]:
    """A name where a function of it belongs."""
    if y.op == "call" and x in y.args and x.op == "name" and y.names:
        yield Finding("wrong_layer_variable", (say.stands_for(x, y),))
