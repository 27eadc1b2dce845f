"""What is wrong with a matrix of derivatives that a sheet derives beside its cost's gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.checking.table import Diagnosis, shape_text
from tinygrad_edu.checking.truth import constant_ratio, equal
from tinygrad_edu.checking.verdict import Judged
from tinygrad_edu.sheets.evaluate import Evaluator
from tinygrad_edu.sheets.lines import Jacobian
from tinygrad_edu.sheets.syntax import show
from tinygrad_edu.words import say


def of_matrix(judged: Judged, claim: Jacobian) -> Diagnosis:
    """The diagnosis of a wrong one: what is said holds at all numbers the sheet is judged on."""
    expr = claim.last.expr
    truths = [np.asarray(sample.jacobian(claim)) for sample in judged.samples]
    made = [Evaluator(world, judged.account).array(expr) for world in judged.worlds]
    top, by = claim.of.rsplit("_d", 1)
    here = None if made[0] is None else np.shape(made[0])
    pairs = [(_squeezed(x), t) for x, t in zip(made, truths, strict=True)]
    text = show(expr, claim.last.reader.spelling)
    if all(equal(x, t.T) for x, t in pairs):
        said = say("diagnosis.matrix_transposed", top=top)
        return Diagnosis("missing_transpose", said, f"{claim.name} = ({text}).T")
    ratio = constant_ratio(pairs)
    if ratio is not None:
        if abs(ratio + 1) < 1e-9:
            said = say("diagnosis.matrix_sign")
            return Diagnosis("sign", said, f"{claim.name} = -({text})")
        said = say("diagnosis.matrix_multiple", c=f"{ratio:.6g}")
        return Diagnosis("constant_factor", said, f"{claim.name} = ({text}) / {ratio:.6g}")
    if all(_only_diagonal(x, t) for x, t in pairs):
        softmax = all(_adds_to_one(sample.plain[claim.top]) for sample in judged.samples)
        mistake = "softmax_jacobian_diagonal_only" if softmax and not claim.second else "other"
        return Diagnosis(mistake, say("diagnosis.matrix_diagonal", top=top, by=by), None)
    if here is not None and pairs[0][0].shape != truths[0].shape:
        shapes = {"here": shape_text(here), "there": shape_text(truths[0].shape)}
        return Diagnosis("other", say("diagnosis.matrix_shape", top=top, by=by, **shapes), None)
    return Diagnosis("other", say("diagnosis.not_found"), None)


def _squeezed(x: Any) -> Any:
    return None if x is None else np.squeeze(np.asarray(x, float))


def _only_diagonal(x: Any, truth: Any) -> bool:
    """Is the diagonal right, written as such or as a vector, and all beside it left out?"""
    if x is None or truth.ndim != 2 or truth.shape[0] != truth.shape[1]:
        return False
    diagonal = np.diagonal(truth)
    beside = not equal(truth, np.diag(diagonal))
    return beside and (equal(x, np.diag(diagonal)) or equal(x, diagonal))


def _adds_to_one(p: Any) -> bool:
    return bool(np.all(np.asarray(p) > 0)) and abs(float(np.sum(p)) - 1) < 1e-9
