"""What a correction says about the mistake: its name, and a sentence."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

from tinygrad_edu.tracing.edits import Edit, sides, targets_of

#: What a number of examples is called.
_COUNTS = re.compile(
    r"m|n|N|M|batch|batch_size|num_train|samples|n_samples|num_examples"
    r"|len\(.+\)|.+\.shape\[-?\d\]|.+\.size"
)
_SLOPE = re.compile(r"1(\.0*)? - |> 0|>= 0|<= 0|prime|deriv|grad", re.I)
Named = tuple[str, str]


def named(edit: Edit, statement: Any) -> Named:
    """The class of mistake and what is to be said of it."""
    tell = _TELLERS.get(edit.kind)
    if tell is None:
        return "other", ""
    if edit.kind in ("sign", "drop", "term") and _in_index(edit.node, statement):
        return _indexed(ast.unparse(edit.node), ast.unparse(edit.new), edit)
    if edit.kind in ("move", "insert", "assign", "delete", "target"):
        return tell(edit, statement)
    return tell(ast.unparse(edit.node), ast.unparse(edit.new), edit)


def _in_index(node: Any, statement: Any) -> bool:
    return any(
        isinstance(part, ast.Subscript) and node in ast.walk(part.slice)
        for part in ast.walk(statement)
    )


def target_text(statement: Any) -> str:
    """What a statement gives a value to; of a loop or a return, its own text."""
    targets = targets_of(statement)
    if targets:
        return ", ".join(ast.unparse(t) for t in targets)
    if isinstance(statement, ast.Return):
        return "what is returned"
    if isinstance(statement, ast.For):
        return "the loop"
    return "this"


def _count(text: str) -> bool:
    return _COUNTS.fullmatch(text) is not None


def _lost(edit: Edit, longer: Any, shorter: Any) -> Any:
    """The side of `longer` that is not in `shorter`."""
    both = sides(longer) or (longer, longer)
    kept = ast.dump(shorter)
    return both[1] if ast.dump(both[0]) == kept else both[0]


def _number(node: Any) -> bool:
    return all(isinstance(n, (ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop,
                              ast.expr_context)) for n in ast.walk(node))  # fmt: skip


def _dropped(old: str, new: str, edit: Edit) -> Named:
    operator = getattr(edit.node, "op", None)
    lost = _lost(edit, edit.node, edit.new)
    text = ast.unparse(lost)
    if isinstance(operator, (ast.Add, ast.Sub)):
        return "double_counted_path", f"The term {text} is too many."
    if isinstance(operator, ast.Div) or text.startswith("1 / "):
        if _count(text.removeprefix("1 / ")):
            return "one_over_m_twice", f"The division by {text.removeprefix('1 / ')} is too many."
    if _number(lost):
        return "constant_factor", f"The factor {text} is too many."
    if _SLOPE.search(text):
        return "extra_activation_derivative", f"The factor {text} is too many."
    return "other", f"The factor {text} is too many."


def _signed(old: str, new: str, edit: Edit) -> Named:
    return "sign", f"A sign is wrong: {new} for {old}."


def _transposed(old: str, new: str, edit: Edit) -> Named:
    return "missing_transpose", f"With {new} for {old} the right axes meet."


def _numbered(old: str, new: str, edit: Edit) -> Named:
    return ("constant_factor" if edit.kind == "number" else "other"), f"It is {new}, not {old}."


def _indexed(old: str, new: str, edit: Edit) -> Named:
    kind = "wrong_layer_variable" if "str(" in new or "str(" in old else "other"
    return kind, f"The index is off: {new} for {old}."


def _keyword(old: str, new: str, edit: Edit) -> Named:
    if "axis" in old and "axis" in new and old.replace("keepdims", "") != old:
        return "wrong_sum_axis", f"It is summed over the wrong axis: {new}."
    if "axis" in new and "axis" not in old:
        bare = "sum" not in old
        return ("bias_not_summed" if bare else "sum_without_axis"), f"The axis is missing: {new}."
    if ("keepdims" in new) != ("keepdims" in old):
        return "missing_keepdims", f"The shape is another: {new}."
    return "wrong_sum_axis", f"It is summed over the wrong axis: {new}."


def _renamed(old: str, new: str, edit: Edit) -> Named:
    said = f"It is {new}, not {old}."
    if old.replace(new, "") in ("d", "d_", "grad_", "_grad") or old.replace("d", "", 1) == new:
        return "gradient_instead_of_parameter", said
    if re.sub(r"\d", "", old) == re.sub(r"\d", "", new):
        return "wrong_layer_variable", said
    if len(old) == len(new) and {old[:1].upper(), new[:1].upper()} <= {"A", "Z", "H"}:
        return "derivative_at_wrong_point", said
    return "other", said


def _operated(old: str, new: str, edit: Edit) -> Named:
    if "mean" in old and "mean" not in new:
        return "mean_instead_of_sum", f"It is a sum, not a mean: {new}."
    if "mean" in new and "mean" not in old:
        return "one_over_m_missing", f"It is a mean, not a sum: {new}."
    matrix = re.search(r"@|dot|matmul|outer", new)
    kind = "elementwise_instead_of_matmul" if matrix else "matmul_instead_of_elementwise"
    return kind, f"The product is another one: {new}."


def _multiplied(old: str, new: str, edit: Edit) -> Named:
    factor = _lost(edit, edit.new, edit.node)
    text = ast.unparse(factor)
    by = "division by" if isinstance(getattr(edit.new, "op", None), ast.Div) else "factor"
    said = f"The {by} {text} is missing."
    if by != "factor" and _count(text):
        return "one_over_m_missing", said
    if _number(factor):
        return "constant_factor", said
    if edit.kind == "mask" or _SLOPE.search(text):
        return "missing_activation_derivative", said
    if re.search(r"[Ww]\w*\d*(\.T)?$", text):
        return "missing_weight_factor", said
    return "missing_upstream_factor", said


def _summed(old: str, new: str, edit: Edit) -> Named:
    return (
        "missing_fan_out_term",
        f"The term {ast.unparse(_lost(edit, edit.new, edit.node))} is missing.",
    )


def _assigned(edit: Edit, statement: Any) -> Named:
    target = target_text(statement)
    if isinstance(edit.new, ast.AugAssign):
        return "lost_accumulation", f"What {target} already held is lost: it must be added to."
    return "double_counted_path", f"{target} is added to what it already holds."


def _moved(edit: Edit, statement: Any) -> Named:
    i, j = edit.new
    where = "before" if j < i else "after"
    other = edit.node[j]
    return "updated_weights", (
        f"The order is wrong: this belongs {where} line {other.lineno}, which changes a value that "
        "is used here."
    )


def _inserted(edit: Edit, statement: Any) -> Named:
    target = target_text(statement)
    return "missing_fan_out_term", f"A share never arrives in {target}: a statement is missing."


def _squared(old: str, new: str, edit: Edit) -> Named:
    return "wrong_derivative_formula", f"The square is missing: {new}."


def _wrapped(old: str, new: str, edit: Edit) -> Named:
    return "derivative_at_wrong_point", f"It is taken at {new}, not at {old}."


def _deleted(edit: Edit, statement: Any) -> Named:
    return "double_counted_path", "Without this statement all gradients are right."


def _targeted(edit: Edit, statement: Any) -> Named:
    return (
        "other",
        f"The result belongs in {ast.unparse(edit.new)}, not in {ast.unparse(edit.node)}.",
    )


def _compared(old: str, new: str, edit: Edit) -> Named:
    return "relu_mask_boundary", f"The comparison is the other way round: {new}."


def _ordered(old: str, new: str, edit: Edit) -> Named:
    return "other", f"The order is another: {new}."


_TELLERS: dict[str, Callable[..., Named]] = {
    "drop": _dropped, "sign": _signed, "transpose": _transposed, "number": _numbered,
    "index": _indexed, "keyword": _keyword, "name": _renamed, "operator": _operated,
    "swap": _ordered, "factor": _multiplied, "mask": _multiplied, "term": _summed,
    "assign": _assigned, "move": _moved, "insert": _inserted, "delete": _deleted,
    "target": _targeted, "compare": _compared, "order": _ordered,
    "square": _squared, "wrap": _wrapped,
}  # fmt: skip
