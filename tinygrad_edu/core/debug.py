"""Where a nan or an infinity came from: the operation, its inputs, and the line that asked for it.

While somebody is debugging, every new node and every sweep is shown to a watch; otherwise nothing
here runs, so it costs nothing.
"""

from __future__ import annotations

import contextlib
import linecache
import pathlib
import sys
import weakref
import zlib
from typing import Any, NoReturn

import numpy as np

from tinygrad_edu.core import sweep as sweeping
from tinygrad_edu.core.operators import Operators
from tinygrad_edu.core.primitive import GradError, Primitive
from tinygrad_edu.core.recording import asking
from tinygrad_edu.core.value import Value, described

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


class _Watch:
    """Looks at everything that is computed inside a block, and remembers where that was."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[str, weakref.ref[Value], list[int]]] = {}

    def computed(self, node: Any, op: Primitive, parents: tuple[Any, ...]) -> None:
        """Look at a new node. Raises GradError if it is the first that is not finite."""
        seen, key, line = self._seen, id(node), _users_line()
        # Not a WeakKeyDictionary: it compares Values with ==.
        seen[key] = line, weakref.ref(node, lambda _: seen.pop(key, None)), _checksums(node)
        if _bad(node._data).any() and (
            np.isnan(node._data).any() or not any(_bad(x._data).any() for x in parents)
        ):
            raise GradError(
                f"{op} of {' and '.join(map(described, parents))} gives "
                f"{_first(node._data, parents)}\n  {line}{_advice(op)}"
            )

    def line(self, node: Value) -> str:
        """Where a node was made."""
        return self._seen[id(node)][0] if id(node) in self._seen else "made outside debug_nans"

    def swept(self, root: Any, gradients: dict[Any, Any]) -> None:
        """Look at the gradients: of the first bad one, which rule made it."""
        for node in reversed(gradients):  # the oldest first: others may be views of it
            if id(node) in self._seen and _checksums(node) != self._seen[id(node)][2]:
                self._tell_change(node)
        if any(isinstance(g, Operators) for g in gradients.values()):
            return  # made by operations, which have been looked at
        bad = {node for node, g in gradients.items() if g is not None and _bad(g).any()}
        received = {root}  # those whose gradient was bad before it came to them
        for child, dz in gradients.items():  # in backward order
            for node in bad.intersection(child.parents):
                if child in bad:
                    received.add(node)
                elif dz is not None:
                    self._accuse(child, node, dz)
        for node in gradients:
            if node in bad - received:
                raise GradError(
                    f"the gradient of {described(node)} is {_first(gradients[node], ())}: finite "
                    f"contributions that are too large together\n  {self.line(node)}"
                )

    def _tell_change(self, node: Value) -> NoReturn:
        """Raise for a node whose numbers, or those of an input, have been written into."""
        now, then = _checksums(node), self._seen[id(node)][2]
        changed = next(v for v, a, b in zip((*node.parents, node), now, then) if a != b)
        raise GradError(
            f"the numbers of {described(changed)} have been written into after {described(node)} "
            "was computed, by what does not ask NumPy (torch.from_numpy, ctypes, setflags): its"
            f" gradient would be wrong. Give away a copy, .data.copy()\n  {self.line(node)}"
        )

    def _accuse(self, child: Any, node: Any, dz: Any) -> None:
        """Raise if the rule of `child` makes a bad gradient for `node` from the good one it got."""
        inputs = child._inputs
        loud = [np.float64(x) if type(x) is float else x for x in inputs]
        for rule, parent in zip(child.op.rules, child.parents, strict=False):
            if parent is not node or rule is None:
                continue
            g = rule(dz, child._data, *loud, **child.options)
            if _bad(g).any():
                raise GradError(
                    f"the derivative of {child.op} of "
                    f"{' and '.join(map(described, child.parents))} "
                    f"with respect to {described(node)} is {_first(g, child.parents)}\n"
                    f"  {self.line(child)}{_advice(child.op)}"
                )


class debug_nans(contextlib.ContextDecorator):
    """``with tg.debug_nans(): …``: raise where a nan or infinity first appears, forward or back.

    The GradError names the operation, its inputs with shapes and numbers, and the line of your file
    that asked for it. Numbers that somebody has written into between forward and backward, past
    NumPy's read-only flag, are told too. For this thread and, of asyncio, this task; for graphs
    computed inside, where NumPy's own warnings are silent. Also a decorator.

    >>> x = tg.Value(0.0, name="x")
    >>> with tg.debug_nans():
    ...     z = x.log()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    tinygrad_edu.core.primitive.GradError: log of x () gives -inf, where x = 0.0...
    """

    def __init__(self) -> None:
        self._open: list[tuple[Any, Any]] = []

    def __enter__(self) -> None:
        watch, silence = sweeping.watching.get() or _Watch(), np.errstate(all="ignore")
        asking.append(None)
        silence.__enter__()
        self._open.append((sweeping.watching.set(watch), silence))

    def __exit__(self, *exc: Any) -> None:
        before, silence = self._open.pop()
        sweeping.watching.reset(before)
        silence.__exit__(*exc)
        asking.pop()

    def _recreate_cm(self) -> debug_nans:
        return debug_nans()


def _checksums(node: Any) -> list[int]:
    """Of the numbers a node was computed from, and of its own."""
    arrays = map(np.asarray, (*node._inputs, node._data))
    return [zlib.crc32(a.tobytes()) if a.ndim else 0 for a in arrays]


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
