"""Where a nan or an infinity came from: the operation, its inputs, and the line that asked for it.

While somebody is debugging, the way operations make nodes is exchanged for one that looks at every
result; otherwise nothing here runs, so it costs nothing.
"""

from __future__ import annotations

import contextlib
import linecache
import pathlib
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.core import sweep as sweeping
from tinygrad_edu.core.operators import Operators
from tinygrad_edu.core.primitive import GradError, Primitive
from tinygrad_edu.core.value import Value, constant, described

_PACKAGE = str(pathlib.Path(__file__).parent.parent)
_NUMPY = str(pathlib.Path(np.__file__).parent)

#: What to do about the usual culprits.
_ADVICE = {
    "exp": "for 1/(1+exp(-x)) use tg.sigmoid(x), for log(1+exp(x)) tg.softplus, for log(sum(exp)) "
    "tg.logsumexp: they do not overflow",
    "log": "for a cross-entropy use tg.binary_cross_entropy(z, y, from_logits=True), for x log y "
    "tg.xlogy: they are right at 0",
    "sqrt": "make the argument safe before: tg.sqrt(tg.where(x > 0, x, 1.0))",
    "divide": "make the divisor safe before: x / tg.where(y != 0, y, 1.0)",
}


class _Watch(threading.local):
    """Whether this thread looks at its results, and where it made them."""

    depth = 0  # of blocks, one inside another

    def __init__(self) -> None:
        self._lines: dict[int, tuple[str, weakref.ref[Value]]] = {}

    def note(self, node: Value, line: str) -> None:
        """Remember the line of a node for as long as the node lives."""
        lines, key = self._lines, id(node)  # not a WeakKeyDictionary: it compares Values with ==
        lines[key] = line, weakref.ref(node, lambda _: lines.pop(key, None))

    def line(self, node: Value) -> str:
        """Where a node was made."""
        return self._lines[id(node)][0] if id(node) in self._lines else "made outside debug_nans"


_watch = _Watch()
_exchange = threading.Lock()
_watching: set[int] = set()  # the threads that look


class debug_nans(contextlib.ContextDecorator):
    """``with tg.debug_nans(): …``: raise where a nan or infinity first appears, forward or back.

    The GradError names the operation, its inputs with shapes and numbers, and the line of your file
    that asked for it. For this thread, for graphs computed inside; also a decorator.

    >>> x = Value(0.0, name="x")
    >>> with debug_nans():
    ...     z = x.log()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    tinygrad_edu.core.primitive.GradError: log of x () gives -inf, where x = 0.0...
    """

    def __enter__(self) -> None:
        with _exchange:
            _watching.add(threading.get_ident())
            _put_in()
        _watch.depth += 1

    def __exit__(self, *exc: object) -> None:
        _watch.depth -= 1
        with _exchange:
            if not _watch.depth:
                _watching.discard(threading.get_ident())
            if not _watching:
                _take_out()

    def _recreate_cm(self) -> debug_nans:
        return debug_nans()


#: The operators of Value that do not go through `_apply`, for speed; and `_apply` itself.
_FAST = {
    f"__{side}{name}__": vars(Value)[f"__{side}{name}__"]
    for name in ("add", "sub", "mul", "truediv", "matmul")
    for side in ("", "r")
}
_APPLY = vars(Value)["_apply"]
_SWEEP = sweeping.sweep


def _put_in() -> None:
    """Let every operation pass through `_looked_at`, the fast operators included."""
    for name in _FAST:
        setattr(Value, name, vars(Operators)[name])
    setattr(Value, "_apply", classmethod(_looked_at))  # noqa: B010
    sweeping.sweep = _looked_back


def _take_out() -> None:
    for name, method in _FAST.items():
        setattr(Value, name, method)
    setattr(Value, "_apply", _APPLY)  # noqa: B010
    sweeping.sweep = _SWEEP


def _looked_at(
    cls: type[Value], op: Primitive, args: tuple[Any, ...], options: dict[str, Any]
) -> Value:
    """`Value._apply`, and a look at what came out."""
    make: Callable[..., Value] = _APPLY.__func__
    if not _watch.depth:
        return make(cls, op, args, options)
    args = tuple(x if isinstance(x, Value) else constant(x, args, op) for x in args)
    with np.errstate(all="ignore"):
        node: Value = make(cls, op, args, options)
    line = _users_line()
    _watch.note(node, line)
    if _bad(node._data).any() and (
        np.isnan(node._data).any() or not any(_bad(x._data).any() for x in args)
    ):
        raise GradError(
            f"{op} of {' and '.join(map(described, args))} gives "
            f"{_first(node._data, args)}\n  {line}{_advice(op)}"
        )
    return node


def _looked_back(
    root: Any, seed: Any, read: Any = None, wrt: Any = None, arrived: Any = None,
    keep_all: bool = True,
) -> dict[Any, Any]:  # fmt: skip
    """`sweep`, and a look at the gradients: of the first bad one, which rule made it.

    All gradients are kept until they have been looked at, those that are not wanted too.
    """
    if not _watch.depth:
        return _SWEEP(root, seed, read, wrt, arrived, keep_all)
    with np.errstate(all="ignore"):
        gradients = _SWEEP(root, seed, read, wrt, arrived)
        if any(isinstance(g, Operators) for g in gradients.values()):
            return gradients  # made by operations, which have been looked at
        bad = {node for node, g in gradients.items() if g is not None and _bad(g).any()}
        received = {root}  # those whose gradient was bad before it came to them
        for child, dz in gradients.items():  # in backward order
            for node in bad.intersection(child.parents):
                if child in bad:
                    received.add(node)
                elif dz is not None:
                    _accuse(child, node, dz)
        for node in gradients:
            if node in bad - received:
                raise GradError(
                    f"the gradient of {described(node)} is {_first(gradients[node], ())}: finite "
                    f"contributions that are too large together\n  {_watch.line(node)}"
                )
    if not keep_all:
        return {v: g if v.op is None or v is root else None for v, g in gradients.items()}
    return gradients


def _accuse(child: Any, node: Any, dz: Any) -> None:
    """Raise if the rule of `child` makes a bad gradient for `node` from the good one it got."""
    inputs = child._inputs
    loud = [np.float64(x) if type(x) is float else x for x in inputs]
    for rule, parent in zip(child.op.rules, child.parents, strict=False):
        if parent is not node or rule is None:
            continue
        g = rule(dz, child._data, *loud, **child.options)
        if _bad(g).any():
            raise GradError(
                f"the derivative of {child.op} of {' and '.join(map(described, child.parents))} "
                f"with respect to {described(node)} is {_first(g, child.parents)}\n"
                f"  {_watch.line(child)}{_advice(child.op)}"
            )


def _bad(x: Any) -> Any:
    return ~np.isfinite(x)


def _first(z: Any, inputs: Any) -> str:
    """The first bad number, its place, and what the inputs are there."""
    z, bad = np.asarray(z), _bad(z)
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    place = f" at {list(index)} ({int(np.sum(bad))} of {z.size} numbers)" if index else ""
    there = []
    for x in inputs:
        if x.shape in ((), z.shape):
            number = np.asarray(x._data)[index if x.shape else ()]
            there.append(f"{x.name or 'an input'} = {number}")
    return f"{z[index]}{place}{', where ' if there else ''}{' and '.join(there)}"


def _users_line() -> str:
    """The innermost line that is neither of this package nor of NumPy."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith((_PACKAGE, _NUMPY)):
        frame = frame.f_back
    name, number = frame.f_code.co_filename, frame.f_lineno
    code = linecache.getline(name, number).strip()
    return f"{name}:{number}{': ' if code else ''}{code}"


def _advice(op: Any) -> str:
    return f"\n  {_ADVICE[op.name]}" if op.name in _ADVICE else ""
