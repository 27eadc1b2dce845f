"""What a correction says about the mistake: its name, and a sentence."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

from tinygrad_edu.tracing.edits import Edit, sides, targets_of
from tinygrad_edu.tracing.scope import called
from tinygrad_edu.words import say, together

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
    if edit.kind in ("move", "hoist", "insert", "assign", "delete", "target", "at"):
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
        text = ", ".join(ast.unparse(t) for t in targets)
        return text if len(targets) == 1 else f"({text})"
    if isinstance(statement, ast.Return):
        return say("code.returned")
    if isinstance(statement, ast.For):
        return say("code.loop")
    return say("code.this")


def _count(text: str) -> bool:
    return _COUNTS.fullmatch(text) is not None


def _lost(longer: Any, shorter: Any) -> Any:
    """The side of `longer` that is not in `shorter`; None where neither side is that."""
    both = sides(longer) or (longer, longer)
    kept = ast.dump(shorter)
    if ast.dump(both[0]) == kept:
        return both[1]
    return both[0] if ast.dump(both[1]) == kept else None


def _number(node: Any) -> bool:
    return all(isinstance(n, (ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop,
                              ast.expr_context)) for n in ast.walk(node))  # fmt: skip


def _dropped(old: str, new: str, edit: Edit) -> Named:
    operator = getattr(edit.node, "op", None)
    if called(edit.node) in ("sum", "mean", "max"):
        kind = "mean_instead_of_sum" if called(edit.node) == "mean" else "other"
        return kind, say("code.reduction_too_many", name=called(edit.node), new=new)
    lost = _lost(edit.node, edit.new) or edit.node
    text = ast.unparse(lost)
    if isinstance(operator, (ast.Add, ast.Sub)):
        return "double_counted_path", say("code.term_extra", text=text)
    if isinstance(operator, ast.Div) or text.startswith("1 / "):
        if _count(text.removeprefix("1 / ")):
            by = text.removeprefix("1 / ")
            return "one_over_m_twice", say("code.division_extra", text=by)
    said = say("code.factor_extra", text=text)
    if _number(lost):
        return "constant_factor", said
    if _SLOPE.search(text):
        return "extra_activation_derivative", said
    return "other", said


def _signed(old: str, new: str, edit: Edit) -> Named:
    return "sign", say("code.sign", new=new, old=old)


def _transposed(old: str, new: str, edit: Edit) -> Named:
    return "missing_transpose", say("code.transposed", new=new, old=old)


def _numbered(old: str, new: str, edit: Edit) -> Named:
    kind = "constant_factor" if edit.kind == "number" else "other"
    return kind, say("code.instead", new=new, old=old)


def _indexed(old: str, new: str, edit: Edit) -> Named:
    kind = "wrong_layer_variable" if "str(" in new or "str(" in old else "other"
    return kind, say("code.index", new=new, old=old)


def _keyword(old: str, new: str, edit: Edit) -> Named:
    if "axis" in old and "axis" in new and old.replace("keepdims", "") != old:
        return "wrong_sum_axis", say("code.axis_wrong", new=new)
    if "axis" in new and "axis" not in old:
        kind = "sum_without_axis" if "sum" in old else "bias_not_summed"
        return kind, say("code.axis_missing", new=new)
    if ("keepdims" in new) != ("keepdims" in old):
        return "missing_keepdims", say("code.shape", new=new)
    return "wrong_sum_axis", say("code.axis_wrong", new=new)


def _renamed(old: str, new: str, edit: Edit) -> Named:
    said = say("code.instead", new=new, old=old)
    if old.replace(new, "") in ("d", "d_", "grad_", "_grad") or old.replace("d", "", 1) == new:
        return "gradient_instead_of_parameter", said
    if re.sub(r"\d", "", old) == re.sub(r"\d", "", new):
        return "wrong_layer_variable", said
    if len(old) == len(new) and {old[:1].upper(), new[:1].upper()} <= {"A", "Z", "H"}:
        return "derivative_at_wrong_point", said
    return "other", said


def _operated(old: str, new: str, edit: Edit) -> Named:
    if "mean" in old and "mean" not in new:
        return "mean_instead_of_sum", say("code.sum", new=new)
    if "mean" in new and "mean" not in old:
        return "one_over_m_missing", say("code.mean", new=new)
    matrix = re.search(r"@|dot|matmul|outer", new)
    kind = "elementwise_instead_of_matmul" if matrix else "matmul_instead_of_elementwise"
    return kind, say("code.product", new=new)


def _multiplied(old: str, new: str, edit: Edit) -> Named:
    divides = isinstance(getattr(edit.new, "op", None), ast.Div)
    factor = _lost(edit.new, edit.node)
    if factor is None:
        return "missing_upstream_factor", say("code.instead", new=new, old=old)
    return _scaled(factor, divides, mask=edit.kind == "mask")


def _scaled(factor: Any, divides: bool, mask: bool = False) -> Named:
    text = ast.unparse(factor)
    said = say("code.division_missing" if divides else "code.factor_missing", text=text)
    if divides and _count(text):
        return "one_over_m_missing", said
    if _number(factor):
        return "constant_factor", said
    if mask or _SLOPE.search(text):
        return "missing_activation_derivative", said
    if re.search(r"[Ww]\w*\d*(\.T)?$", text):
        return "missing_weight_factor", said
    return "missing_upstream_factor", said


def _summed(old: str, new: str, edit: Edit) -> Named:
    text = ast.unparse(_lost(edit.new, edit.node) or edit.new)
    return "missing_fan_out_term", say("code.term_missing", text=text)


def _assigned(edit: Edit, statement: Any) -> Named:
    target = target_text(statement)
    if isinstance(edit.new, ast.AugAssign):
        return "lost_accumulation", say("code.lost", target=target)
    return "double_counted_path", say("code.added", target=target)


def _moved(edit: Edit, statement: Any) -> Named:
    i, j = edit.new
    where = "before" if j < i else "after"
    other = edit.node[j]
    return "updated_weights", say(f"code.belongs_{where}", line=other.lineno)


def _hoisted(edit: Edit, statement: Any) -> Named:
    return "lost_accumulation", say("code.starts_afresh", line=edit.new[1].lineno)


def _inserted(edit: Edit, statement: Any) -> Named:
    before, new = edit.new
    after = say("code.statement_missing", line=edit.node[before - 1].end_lineno)
    if isinstance(new.op, (ast.Mult, ast.Div)):
        mistake, said = _scaled(new.value, isinstance(new.op, ast.Div))
    else:
        mistake = "missing_fan_out_term"
        said = say("code.never_arrives", target=ast.unparse(new.target))
    return mistake, together("note.space", said, after)


def _squared(old: str, new: str, edit: Edit) -> Named:
    return "wrong_derivative_formula", say("code.square", new=new)


def _wrapped(old: str, new: str, edit: Edit) -> Named:
    return "derivative_at_wrong_point", say("code.taken_at", new=new, old=old)


def _deleted(edit: Edit, statement: Any) -> Named:
    return "double_counted_path", say("code.deleted")


def _targeted(edit: Edit, statement: Any) -> Named:
    new, old = ast.unparse(edit.new), ast.unparse(edit.node)
    return "other", say("code.belongs_in", new=new, old=old)


def _compared(old: str, new: str, edit: Edit) -> Named:
    return "relu_mask_boundary", say("code.comparison", new=new)


def _ordered(old: str, new: str, edit: Edit) -> Named:
    return "other", say("code.order", new=new)


def _at_once(edit: Edit, statement: Any) -> Named:
    return "lost_accumulation", say("code.at_once", new=ast.unparse(edit.new.value.func))


def _copied(old: str, new: str, edit: Edit) -> Named:
    whole = isinstance(edit.node, ast.AugAssign)
    text = ast.unparse(edit.node.target) if whole else old
    return "other", say("code.copied", line=edit.because, text=text)


_TELLERS: dict[str, Callable[..., Named]] = {
    "drop": _dropped, "sign": _signed, "transpose": _transposed, "number": _numbered,
    "index": _indexed, "keyword": _keyword, "name": _renamed, "operator": _operated,
    "swap": _ordered, "factor": _multiplied, "mask": _multiplied, "term": _summed,
    "assign": _assigned, "move": _moved, "hoist": _hoisted, "insert": _inserted, "delete": _deleted,
    "target": _targeted, "compare": _compared, "order": _ordered,
    "square": _squared, "wrap": _wrapped, "copy": _copied, "at": _at_once,
}  # fmt: skip
