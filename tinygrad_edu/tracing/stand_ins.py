"""What stands for numpy, math and random in the learner's names during a run, and only there.

Random numbers are the same at every run; where a run is recorded, fresh arrays and lists of
recorded numbers are recorded too. The modules themselves are never touched.
"""

from __future__ import annotations

import builtins
import importlib
import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.tracing.arrays import Recorded, leaf, plain, recorded_in
from tinygrad_edu.tracing.record import Record

#: Functions that take a list of arrays and ask each of them.
_OF_LISTS = frozenset("concatenate stack vstack hstack column_stack dstack block append".split())
_ARRAY = frozenset("array asarray asanyarray ascontiguousarray".split())
_MATH = {
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "tanh": np.tanh, "sin": np.sin, "cos": np.cos,
    "pow": np.power, "fabs": np.abs, "log2": np.log2, "log10": np.log10, "expm1": np.expm1,
    "log1p": np.log1p, "tan": np.tan, "sinh": np.sinh, "cosh": np.cosh, "atan": np.arctan,
    "fsum": lambda numbers: builtins.sum(numbers),
}  # fmt: skip


class StandIn:
    """A module seen through a function that may change what a name in it means."""

    def __init__(self, module: Any, changed: Callable[[str, Any], Any]) -> None:
        self._module, self._changed = module, changed

    def __getattr__(self, name: str) -> Any:
        made = self._changed(name, getattr(self._module, name))
        self.__dict__[name] = made
        return made


def stacked(record: Record, x: Any) -> Any:
    """Nested lists with recorded numbers in them, as one recorded array."""
    if isinstance(x, Recorded) or not isinstance(x, (list, tuple)):
        return x
    parts = [stacked(record, part) for part in x]
    if not any(isinstance(part, Recorded) for part in parts):
        return x
    return np.stack([p if isinstance(p, Recorded) else leaf(record, p) for p in parts])


class StandIns:
    """The stand-ins of one run. Without a record they only make random numbers repeat."""

    def __init__(self, record: Record | None) -> None:
        self.record = record
        self._generator = np.random.RandomState(0)
        self.python_random = random.Random(0)  # noqa: S311
        self.modules = {
            np: StandIn(np, self._numpy),
            np.random: StandIn(np.random, self._random),
            math: StandIn(math, self._math),
            random: StandIn(random, lambda name, x: getattr(self.python_random, name, x)),
        }
        self.functions = {
            id(f): made
            for module in (np, math, random)
            for name, f in vars(module).items()
            if callable(f) and not name.startswith("_")
            and (made := getattr(self.modules[module], name)) is not f
        }  # fmt: skip

    def restart(self) -> None:
        """The same random numbers once more."""
        self._generator.seed(0)
        self.python_random.seed(0)

    def of(self, x: Any) -> Any:
        """What stands for a module or a function of one; None for anything else."""
        try:
            return self.modules.get(x) if isinstance(x, type(np)) else self.functions.get(id(x))
        except TypeError:  # not hashable
            return None

    def builtins(self) -> dict[str, Any]:
        """Python's own names for the learner's code: nothing is printed or asked in a rerun."""
        names = dict(vars(builtins))
        names["print"] = lambda *args, **options: None
        names["__import__"] = self._import
        if self.record is not None:
            names["isinstance"] = _isinstance
        return names

    def _import(self, name: str, *args: Any, **options: Any) -> Any:
        module = importlib.__import__(name, *args, **options)
        return self.modules.get(module, module)

    def _random(self, name: str, x: Any) -> Any:
        if name in ("default_rng", "RandomState"):
            return lambda seed=None: x(0 if seed is None else plain(seed))
        return getattr(self._generator, name, x)

    def _math(self, name: str, x: Any) -> Any:
        if self.record is None or name not in _MATH:
            return x
        meaning: Any = _MATH[name]
        return lambda *args: meaning(*args) if recorded_in(args) is not None else x(*args)

    def _numpy(self, name: str, x: Any) -> Any:
        if name == "random":
            return self.modules[np.random]
        if self.record is None or not callable(x):
            return x
        if name in ("vectorize", "frompyfunc"):
            return self._vectorize
        if isinstance(x, np.ufunc):
            return _Elementwise(self.record, x)
        if isinstance(x, type):
            return x
        if name in _ARRAY:
            return lambda value, *args, **options: self._array(x, name, value, args, options)

        def call(*args: Any, **options: Any) -> Any:
            if name not in _OF_LISTS and any(type(a) in (list, tuple) for a in args):
                args = tuple(stacked(self.record, a) for a in args)  # type: ignore[arg-type]
            return self._fresh(x(*args, **options))

        return call

    def _fresh(self, value: Any) -> Any:
        new = type(value) is np.ndarray and value.dtype.kind == "f"
        return leaf(self.record, value) if new else value  # type: ignore[arg-type]

    def _array(self, f: Any, name: str, value: Any, args: Any, options: Any) -> Any:
        assert self.record is not None
        if recorded_in(value) is None:
            return self._fresh(f(value, *args, **options))
        if isinstance(value, Recorded):
            kind = args[0] if args else options.get("dtype")
            kept = name != "array" or options.get("copy") is False
            made = value if kept else value.copy()
            return made if kind is None or made.dtype == np.dtype(kind) else made.astype(kind)
        made = stacked(self.record, value)
        wanted = options.get("ndmin", 0) - made.ndim
        return made[(None,) * wanted] if wanted > 0 else made

    def _vectorize(self, f: Any, *_: Any, **__: Any) -> Any:
        def over(x: Any) -> Any:
            if not isinstance(x, Recorded):
                return np.vectorize(f)(x)
            if x.ndim == 0:
                return f(x)
            return np.stack([f(part) for part in x.reshape(-1)]).reshape(x.shape)

        return over


class _Elementwise:
    """An element-wise function that takes lists of recorded numbers too."""

    def __init__(self, record: Record, ufunc: Any) -> None:
        self._record, self._ufunc = record, ufunc

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._ufunc(*(stacked(self._record, a) for a in args), **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ufunc, name)


def _isinstance(x: Any, kinds: Any) -> bool:
    """A recorded number is the float, or the NumPy number, that it would be."""
    if isinstance(x, Recorded) and x.ndim == 0:
        return isinstance(x, kinds) or isinstance(0.0, kinds) or isinstance(np.float64(0), kinds)
    return isinstance(x, kinds)


def as_float(kind: Any, x: Any) -> Any:
    """``float(x)``; a recorded number stays recorded."""
    return x if isinstance(x, Recorded) else kind(x)


def alias(x: Any) -> Any:
    """Another name for an array: in the record a value of its own."""
    return x[...] if isinstance(x, Recorded) and x.ndim else x


def dot(a: Any, b: Any) -> Any:
    """``a.dot(b)``, asking `b` too."""
    return np.dot(a, b) if type(a) is np.ndarray and isinstance(b, Recorded) else a.dot(b)
