"""Gradients of a sheet's quantities as formulas in the learner's names.

The sweep is the engine's, run on formulas; where the learner has a gradient above, its name stands
for all that came before it. Every intermediate formula gives way to the shortest known one of the
same value (`Lab.simplest`), so that ``A * exp(-Z) / (1 + exp(-Z))`` becomes ``A * (1 - A)``. What
comes out is checked against the true gradient before anybody sees it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.checking.rounding import agree
from tinygrad_edu.checking.truth import equal
from tinygrad_edu.core.operators import Operators
from tinygrad_edu.core.ops.shaping import summed_axes
from tinygrad_edu.core.primitive import Primitive, Shape, shape
from tinygrad_edu.core.sweep import reachable, sweep
from tinygrad_edu.core.value import Value
from tinygrad_edu.diagnosis.lab import Lab
from tinygrad_edu.sheets import vocabulary
from tinygrad_edu.sheets.lines import Key
from tinygrad_edu.sheets.syntax import DEEPEST, Expr

_INFIX = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "matmul": "@", "greater": ">",
    "greater_equal": ">=", "less": "<", "less_equal": "<=", "equal": "==", "not_equal": "!=",
    "power": "**",
}  # fmt: skip


#: Constants in front pass through these unchanged.
_LINEAR = frozenset(
    {"sum", "mean", "transpose", "reshape", "broadcast_to", "sum_to", "getitem", "negative"}
)
_BILINEAR = frozenset({"multiply", "matmul"})
#: A longer formula, shared parts written out, is no rule anybody could read.
LONGEST_RULE = 1_000
#: What a step of a derivation costs besides its formulas' values.
_STEP = 50_000
#: Whole numbers and masks that have no name are written out up to this many.
_MOST_LISTED = 100


class Line(Operators):
    """A formula as something the engine's rules can be run on: ``constant * expr``."""

    __slots__ = ("_shape", "constant", "expr", "lab")

    def __init__(self, lab: Lab, expr: Expr, shape: Shape, constant: float = 1.0) -> None:
        self.lab, self.expr, self._shape, self.constant = lab, expr, shape, constant

    @property
    def shape(self) -> Shape:
        return self._shape

    def written(self, factor: float = 1.0) -> Expr:
        """`factor` times this formula, as a sheet would write it."""
        constant = self.constant * factor
        if constant == 0:
            return self.lab.formulas.number(0)
        if self.expr.op == "number":
            constant *= self.expr.extra
        scalar = self.lab.scalar(constant, any_number=True) or self.lab.formulas.number(constant)
        if self.expr.op == "number":
            return scalar
        return self.lab.times(constant, self.expr) or self.lab.formulas.make("*", scalar, self.expr)

    @classmethod
    def _apply(cls, op: Primitive, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if op.definition is not None and op.name not in vocabulary.FUNCTIONS:
            return op.definition(*args, **options)  # what no sheet has a name for
        lab = next(a.lab for a in args if isinstance(a, Line))
        new = op.shape_rule(*(shape(a) for a in args), **options)
        lines = [a if isinstance(a, Line) else _constant(lab, a) for a in args]
        constant = 1.0
        if op.name in _LINEAR or op.name in _BILINEAR:
            for line in lines:
                constant *= line.constant
            exprs = [line.expr for line in lines]
            if op.name == "negative":
                return Line(lab, exprs[0], new, -constant)
        elif op.name == "divide" and lines[1].constant:
            constant = lines[0].constant / lines[1].constant
            exprs = [line.expr for line in lines]
        elif op.name in ("add", "subtract"):
            return _added(lab, op.name, lines, new)
        else:
            exprs = [line.written() for line in lines]
        if constant == 0:
            return Line(lab, lab.formulas.number(1), new, 0.0)
        e = _written(lab, op, exprs, options, lines, new)
        lab.account.spend(_STEP)
        if e.length > LONGEST_RULE or e.depth > DEEPEST:
            return Line(lab, _opaque(lab), new)
        factor, e = lab.simplest(e)
        return Line(lab, e, new, constant * factor)


def _added(lab: Lab, name: str, lines: list[Line], new: Shape) -> Line:
    """A sum of two formulas, the constant they share taken out."""
    a, b = lines
    second = b.constant if name == "add" else -b.constant
    if a.constant == 0 or second == 0:
        kept, constant = (b, second) if a.constant == 0 else (a, a.constant)
        return Line(lab, kept.expr, new, constant)
    if abs(abs(a.constant) - abs(second)) < 1e-12 * abs(second):
        first, other, constant = a.expr, b.expr, a.constant
        sign = second / a.constant
        if a.constant < 0 < second:
            first, other, constant, sign = b.expr, a.expr, second, -1.0
        e = lab.formulas.make("+" if sign > 0 else "-", first, other)
    else:
        constant = 1.0
        left, right = a, Line(lab, b.expr, b.shape, abs(second))
        e = lab.formulas.make("+" if second > 0 else "-", left.written(), right.written())
    factor, e = lab.simplest(e)
    return Line(lab, e, new, constant * factor)


def _constant(lab: Lab, x: Any) -> Line:
    """A number or array as the sheet calls it."""
    if np.ndim(x) == 0:
        return Line(lab, lab.formulas.number(1), (), float(x))
    x = np.asarray(x)
    for key, known in lab.constants.items():
        if known.shape == np.shape(x) and np.array_equal(known, x):
            return Line(lab, lab.name(key), np.shape(x))
    if x.dtype.kind in "iub" and x.size <= _MOST_LISTED:  # an index, a mask
        return Line(lab, _listed(lab, x.tolist()), np.shape(x))
    return Line(lab, _opaque(lab), np.shape(x))


def _listed(lab: Lab, x: Any) -> Expr:
    if isinstance(x, list):
        return lab.formulas.make("list", *(_listed(lab, part) for part in x))
    return lab.formulas.number(x)


def _opaque(lab: Lab) -> Expr:
    """A formula that cannot be written; nothing made of it has a value."""
    return lab.formulas.make("name", extra=("?", -2))


def _written(
    lab: Lab, op: Primitive, x: list[Expr], options: dict[str, Any], args: Any, new: Shape
) -> Expr:
    """An operation of the table as a sheet would write it."""
    make, number, call = lab.formulas.make, lab.formulas.number, lab.formulas.call
    name = op.name
    if name == "multiply":
        return _product(lab, x[0], x[1])
    if name == "divide":
        return x[0] if _is(x[1], 1) else number(1) if x[0] is x[1] else make("/", *x)
    if name in _INFIX:
        return make(_INFIX[name], *x)
    if name == "power_constant":
        return make("**", x[0], number(options["n"]))
    if name in ("sum", "mean", "max", "min", "prod"):
        if name == "sum" and not options.get("keepdims"):
            product = _matrix_vector(lab, x[0], options.get("axis"))
            if product is not None:
                return product
        given = {}
        if options.get("axis") is not None:
            given["axis"] = _axis(lab, options["axis"])
        if options.get("keepdims"):
            given["keepdims"] = number(True)
        return call(name, x[0], **given)
    if name == "transpose":
        if options.get("axes") is not None:
            return call("transpose", x[0], _axis(lab, tuple(options["axes"])))
        return _transposed(lab, x[0])
    if name == "reshape" and x[0].op == "number":
        return x[0]
    if name == "reshape":
        new_axes = _new_axes(lab, shape(args[0]), new)
        if new_axes:
            return make("index", x[0], *new_axes)
        sizes = [number(int(n)) for n in new]
        return make("method", x[0], make("tuple", *sizes), extra=("reshape", ()))
    if name == "broadcast_to":
        return x[0]
    if name == "sum_to":
        return _summed(lab, x[0], shape(args[0]), new)
    if name == "getitem":
        index = options["index"]
        parts = index if isinstance(index, tuple) else (index,)
        return make("index", x[0], *(_index(lab, part) for part in parts))
    if name in vocabulary.FUNCTIONS:
        given = {
            k: number(v) if np.ndim(v) == 0 and v is not None else number(None)
            for k, v in options.items()
            if v is not None and k != "at_zero"
        }
        return call({"absolute": "abs"}.get(name, name), *x, **given)
    return _opaque(lab)


def _matrix_vector(lab: Lab, e: Expr, axis: Any) -> Expr | None:
    """``sum(X * v[:, None], axis=0)`` as ``X.T @ v``, and ``sum(X * v, axis=1)`` as ``X @ v``."""
    if e.op != "*" or axis not in (0, 1, -1, -2):
        return None
    for matrix, vector in (e.args, e.args[::-1]):
        if np.ndim(lab.value(matrix)) != 2:
            continue
        first = axis in (0, -2)
        if vector.op == "index" and first and np.ndim(lab.value(vector.args[0])) == 1:
            if np.shape(lab.value(vector))[1:] == (1,):
                return lab.formulas.make("@", _transposed(lab, matrix), vector.args[0])
        if not first and np.ndim(lab.value(vector)) == 1:
            return lab.formulas.make("@", matrix, vector)
    return None


def _is(e: Expr, n: float) -> bool:
    return e.op == "number" and e.extra == n and not isinstance(e.extra, bool)


def _product(lab: Lab, a: Expr, b: Expr) -> Expr:
    make = lab.formulas.make
    if _is(a, 1) or _is(b, 1):
        return b if _is(a, 1) else a
    if a is b:
        return make("**", a, lab.formulas.number(2))
    for x, y in ((a, b), (b, a)):
        if y.op == "/" and x is y.args[1]:
            return y.args[0]
        if y.op == "/" and _is(y.args[0], 1):
            return make("/", x, y.args[1])
    return make("*", a, b)


def _transposed(lab: Lab, e: Expr) -> Expr:
    """``(A @ B).T`` as ``B.T @ A.T``."""
    if e.op == "attribute" and e.extra == "T":
        return e.args[0]
    if e.op == "@":
        return lab.formulas.make("@", _transposed(lab, e.args[1]), _transposed(lab, e.args[0]))
    return lab.formulas.make("attribute", e, extra="T")


def _axis(lab: Lab, axis: Any) -> Expr:
    if isinstance(axis, tuple):
        return lab.formulas.make("tuple", *(lab.formulas.number(int(a)) for a in axis))
    return lab.formulas.number(int(axis))


def _index(lab: Lab, part: Any) -> Expr:
    number = lab.formulas.number
    if isinstance(part, slice):
        return lab.formulas.make("slice", *(number(p) for p in (part.start, part.stop, part.step)))
    if part is None or part is Ellipsis or isinstance(part, (int, np.integer)):
        return number(part if part is None or part is Ellipsis else int(part))
    return _constant(lab, np.asarray(part)).expr


def _new_axes(lab: Lab, old: Shape, new: Shape) -> list[Expr]:
    """``[:, None]``, where a shape differs from another by axes of length 1 only; else nothing."""
    number = lab.formulas.number
    whole = lab.formulas.make("slice", number(None), number(None), number(None))
    parts: list[Expr] = []
    left = list(old)
    for n in new:
        if left and left[0] == n:
            left.pop(0)
            parts.append(whole)
        elif n == 1:
            parts.append(number(None))
        else:
            return []
    return parts if not left and len(new) > len(old) > 0 else []


def _summed(lab: Lab, e: Expr, old: Shape, new: Shape) -> Expr:
    """Broadcasting undone, in NumPy's words."""
    value = lab.value(e)
    actual = np.shape(value) if value is not None else old
    lead, kept = summed_axes(old, new)
    formulas = lab.formulas
    repeated = 1
    if len(actual) == len(old):
        for axis in lead + kept:
            if actual[axis] == 1:
                repeated *= old[axis]
        axes = [a for a in (*lead, *kept) if actual[a] != 1]
    else:
        return _opaque(lab)
    if axes:
        given: dict[str, Expr] = {}
        if len(axes) < len(old) or new:
            given["axis"] = _axis(lab, axes[0] if len(axes) == 1 else tuple(axes))
        if not lead and new:
            given["keepdims"] = formulas.number(True)
        elif lead and kept:
            given["keepdims"] = formulas.number(True)
        e = formulas.call("sum", e, **given)
        if lead and kept:
            sizes = [formulas.number(int(n)) for n in new]
            e = formulas.make("method", e, formulas.make("tuple", *sizes), extra=("reshape", ()))
    return lab.times(float(repeated), e) or e


def derive(lab: Lab, above: dict[Key, tuple[Expr, float]]) -> dict[Key, Line]:
    """A formula for ``∂J/∂Q`` of every forward name, in terms of the gradients `above`.

    `above` maps a quantity to the formula of its gradient and the factor its convention puts in
    front. Only formulas whose value is right at every point are returned.
    """
    values = lab.points[0].graph.values
    keys = {id(v): k for k, v in values.items() if isinstance(v, Value)}
    cost = lab.points[0].graph.cost
    lines: dict[Value, Line] = {}
    for node in reversed(reachable(cost, every=True)):
        lines[node] = _line(lab, node, keys.get(id(node)), lines)
    found: dict[Key, Line] = {}
    hidden = [link for link in lab.links if link.after is None and link.forms]

    def arrived(node: Value, dz: Any) -> Any:
        key = keys.get(id(node))
        if not isinstance(dz, Line):
            return dz
        if key is None:
            for link in hidden:
                if equal(node._data, lab.value(link.result)):
                    _ = dz * _form(lab, link.forms[0], node.shape)
            return dz
        found[key] = dz
        if key in above and node is not cost:
            e, factor = above[key]
            dz = Line(lab, e, node.shape, 1.0 / factor)
        into = lab.link_to(key)
        if into is not None and into.forms:
            # So that what the rules make of it below is recognised by its value.
            _ = dz * _form(lab, into.forms[0], node.shape)
        return dz

    def read(node: Value) -> tuple[Any, tuple[Any, ...]]:
        return lines[node], tuple(lines[p] for p in node.parents)

    try:
        sweep(cost, Line(lab, lab.formulas.number(1), cost.shape), read, arrived=arrived)
    except (ValueError, TypeError, LookupError, ArithmeticError):
        pass  # an operation that cannot be written: what came before it stands
    return {
        key: line
        for key, line in found.items()
        if all(_right(lab, line.written(), key, i) for i in range(len(lab.points)))
    }


def _line(lab: Lab, node: Value, key: Key | None, lines: dict[Value, Line]) -> Line:
    """A node of the forward graph as the sheet would write it."""
    if key is not None:
        return Line(lab, lab.name(key), node.shape)
    if node.op is None:
        return _constant(lab, node._data)
    try:
        made = node.op(*(lines[p] for p in node.parents), **node.options)
    except (ValueError, TypeError, LookupError, ArithmeticError):
        made = None
    return made if isinstance(made, Line) else Line(lab, _opaque(lab), node.shape)


def _right(lab: Lab, e: Expr, key: Key, point: int) -> bool:
    at, value = lab.points[point], lab.value(e, point)
    true = at.gradient(key)
    if equal(value, true):
        return True
    if at.matters(key) or np.shape(value) != true.shape:
        return False
    # Where a gradient is 0, what rounding leaves of it is no one's to match.
    return agree(value, true, at.rounding.of_gradient(at.graph.values[key], true))


def _form(lab: Lab, form: Expr, shape: Shape) -> Line:
    if form.op == "number":
        return Line(lab, lab.formulas.number(1), shape, float(form.extra))
    return Line(lab, form, shape)
