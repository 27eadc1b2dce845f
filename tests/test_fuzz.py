"""Bad input to every public function of the graph: a clear error, and never another exception.

3,000 calls with wrong types, shapes, options and numbers. ``FUZZED=100000`` tries more.
"""

from __future__ import annotations

import inspect
import os
import warnings
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import GradError, Value
from tinygrad_edu.core.primitive import Primitive

FUZZED = int(os.environ.get("FUZZED", "3000"))

#: What may escape: the package's own error (a ValueError) and TypeError; IndexError for an index.
ALLOWED = (GradError, TypeError)

OPERATIONS = sorted(
    name
    for name, f in ((name, getattr(tg, name)) for name in tg.__all__)
    if isinstance(f, Primitive)
    or (inspect.isfunction(f) and f.__module__.startswith("tinygrad_edu.core.op"))
)
METHODS = sorted(
    name
    for name, method in inspect.getmembers(Value, callable)
    if not name.startswith("_") and name not in ("backward", "zero_grad")
)
OPERATORS = [
    "__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__", "__truediv__", "__pow__",
    "__rpow__", "__matmul__", "__rmatmul__", "__eq__", "__lt__", "__getitem__", "__contains__",
]  # fmt: skip


class Strange:
    """Supports nothing."""


def material(rng: np.random.Generator) -> Any:
    """Something to pass where numbers, a shape, an axis, an index or a flag may be expected."""
    kinds: list[Any] = [
        lambda: Value(rng.standard_normal((2, 3)), "X"),
        lambda: Value(rng.standard_normal(3)),
        lambda: Value(float(rng.standard_normal())),
        lambda: Value(np.zeros((0, 3))),
        lambda: Value(np.ones((2, 3), dtype=np.float32)),
        lambda: Value([np.nan, np.inf, -np.inf]),
        lambda: rng.standard_normal((3, 2)),
        lambda: rng.standard_normal((4, 1, 3)),
        lambda: rng.integers(-3, 3, 3),
        lambda: rng.random(3) > 0.5,
        lambda: int(rng.integers(-9, 9)),
        lambda: float(rng.choice([0.0, -1.5, 1e308, np.nan, np.inf, 2.0])),
        lambda: rng.choice([None, True, False]),
        lambda: tuple(int(n) for n in rng.integers(-3, 4, rng.integers(4))),
        lambda: [int(n) for n in rng.integers(-3, 4, rng.integers(4))],
        lambda: [Value(1.0), Value([1.0, 2.0])],
        lambda: [Value([1.0, 2.0]), Value([3.0, 4.0])],
        lambda: [[1.0, 2.0], [3.0]],
        lambda: rng.choice(["abc", "", "axis", "یک", "\x00"]),
        lambda: b"bytes",
        lambda: 3 + 4j,
        lambda: np.array([1 + 2j]),
        lambda: np.array(["a", "b"]),
        lambda: np.array([None, 1], dtype=object),
        lambda: np.array(["2020-01-01"], dtype="M8[D]"),
        lambda: np.float32(1.5),
        lambda: np.int64(2),
        lambda: np.array(2.0),
        lambda: 10**400,
        lambda: -(10**30),
        lambda: Fraction(1, 3),
        dict,
        lambda: {"a": 1},
        lambda: {1, 2},
        lambda: Strange(),
        lambda: object,
        lambda: len,
        lambda: slice(1, None, 0),
        lambda: slice("a"),
        lambda: ...,
        lambda: range(3),
        lambda: iter([1.0, 2.0]),
        lambda: np.ma.masked_array([1.0, 2.0], [True, False]),
        lambda: np.zeros(2, dtype=[("a", float)]),
        lambda: memoryview(b"abc"),
        lambda: (10**20, 3),
        lambda: np.dtype(float),
        lambda: np.random.default_rng(0),
        list,
        lambda: (),
    ]
    return kinds[rng.integers(len(kinds))]()


KEYWORDS = [
    "axis",
    "keepdims",
    "shape",
    "axes",
    "n",
    "min",
    "max",
    "slope",
    "ddof",
    "index",
    "x",
    "name",
]


def attempt(rng: np.random.Generator) -> tuple[str, Any]:
    """A name, and a call that may do anything but fail in a way of its own."""
    args = [material(rng) for _ in range(rng.integers(4))]
    options = {str(rng.choice(KEYWORDS)): material(rng) for _ in range(rng.choice([0, 0, 1, 2]))}
    kind = rng.integers(6)
    if kind < 3:
        name = str(rng.choice(OPERATIONS))
        if rng.random() < 0.7:
            args = [Value(rng.standard_normal((2, 3)), "W1"), *args]
        return f"{name}", lambda: getattr(tg, name)(*args, **options)
    node = Value(rng.standard_normal([(), (3,), (2, 3)][rng.integers(3)]), "W1")
    if kind == 3:
        name = str(rng.choice(METHODS))
        return f"Value.{name}", lambda: getattr(node, name)(*args, **options)
    if kind == 4:
        name, other = str(rng.choice(OPERATORS)), material(rng)
        return f"Value.{name}", lambda: getattr(node, name)(other)
    other = material(rng)
    calls: dict[str, Any] = {
        "Value": lambda: Value(*args, **options),
        "backward": lambda: (node * 2).backward(other),
        "keep": lambda: tg.sum(node).backward(keep=other),
        "data": lambda: setattr(node, "data", other),
        "grad": lambda: setattr(node, "grad", other),
        "tg.grad": lambda: tg.grad(lambda *a: tg.sum(a[0] * 2), *args[:1])(other),
        "tg.vjp": lambda: tg.vjp(lambda v: v * 2, node)[1](other),
        "tg.jacobian": lambda: tg.jacobian(lambda v: v * 2)(other),
        "tg.hessian": lambda: tg.hessian(lambda v: tg.sum(v * v))(other),
        "numerical_gradient": lambda: tg.numerical_gradient(lambda v: tg.sum(v), other, **options),
        "check_gradients": lambda: tg.check_gradients(lambda v: tg.sum(v), other, order=2),
        "name_values": lambda: tg.name_values(a=other),
        "format": lambda: f"{node}{node!r}",
    }
    name = str(rng.choice(list(calls)))
    return name, calls[name]


@pytest.mark.parametrize("part", range(10))
def test_nothing_but_grad_error_and_type_error_escapes(part):
    rng = np.random.default_rng(part)
    escaped, refused = [], 0
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for _ in range(FUZZED // 10):
            state = rng.bit_generator.state
            name, call = attempt(rng)
            try:
                result = call()
                if isinstance(result, Value) and result.requires_grad and result.size:
                    result.backward(np.ones(result.shape))
            except ALLOWED as error:
                refused += 1
                if not str(error):
                    escaped.append(f"{name}: an error without a word")
            except Exception as error:
                if name == "check_gradients" and isinstance(error, AssertionError):
                    continue  # what it is for
                escaped.append(f"{name}: {type(error).__name__}: {error} {state['state']['state']}")
    assert not escaped, "\n".join(escaped[:20])
    assert refused > FUZZED // 40  # the material is bad enough


def test_an_index_error_is_an_index_error_for_those_who_expect_one():
    with pytest.raises(IndexError) as found:
        Value([1.0, 2.0])[5]
    assert isinstance(found.value, GradError)
