"""Numbers of every width at every door: held so that sums of many keep their digits, or refused by
the name of their type. None is let in and then computed with too few digits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg

MANY = 70_000  # more than float16 can count
WIDTHS = ["float16", "float32", "float64", "longdouble", ">f2", ">f4", ">f8"]
OTHERS = ["int8", "uint8", "int64", "uint64", "bool", ">i4"]

#: Where numbers come in, as a function of numbers that must give a Value or refuse them.
DOORS: dict[str, Callable[[Any], Any]] = {
    "Value": lambda x: tg.Value(x),
    "beside a Value": lambda x: tg.Value(np.zeros(np.shape(x))) + x,
    "before a Value": lambda x: x + tg.Value(np.zeros(np.shape(x))),
    "an operation": lambda x: tg.maximum(tg.Value(np.zeros(np.shape(x))), x),
    "a branch of where": lambda x: tg.where(np.ones(np.shape(x), bool), x, tg.Value(0.0)),
    "new numbers": lambda x: given_to(tg.Value(np.zeros(np.shape(x))), x),
    "a list of arrays": lambda x: tg.concatenate([tg.Value(np.zeros(0)), x]),
}


def given_to(p: Any, x: Any) -> Any:
    p.data = x
    return p


def let_in(door: str, x: Any) -> Any:
    """What a door makes of numbers; None if it refuses them by their type's name."""
    try:
        return DOORS[door](x)
    except TypeError as error:
        refusal = str(error)
    assert str(x.dtype.newbyteorder("=")) in refusal
    return None


@pytest.mark.parametrize("dtype", WIDTHS + OTHERS)
@pytest.mark.parametrize("door", DOORS)
def test_sums_of_many_numbers_of_any_type_keep_their_digits(door, dtype):
    ones = let_in(door, np.ones(MANY, dtype))
    if ones is None:
        return
    assert ones.dtype.isnative
    assert float(tg.mean(ones).data) == 1
    assert float(tg.sum(ones).data) == MANY
    assert float(tg.logsumexp(ones).data) == pytest.approx(np.log(MANY) + 1, rel=1e-6)
    assert np.sum(tg.softmax(ones, axis=0).data, dtype=float) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("dtype", WIDTHS + OTHERS)
@pytest.mark.parametrize("door", DOORS)
def test_gradients_through_numbers_of_any_type_keep_their_digits(door, dtype):
    ones = let_in(door, np.ones(MANY, dtype))
    if ones is None:
        return
    for f, expected in ((tg.mean, 1.0), (tg.max, 1.0), (tg.norm, np.sqrt(MANY))):
        leaf = tg.Value(ones.data)
        f(leaf).backward()
        assert leaf.grad.dtype == leaf.dtype
        assert np.sum(leaf.grad, dtype=float) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("dtype", WIDTHS)
def test_a_single_number_of_any_type_is_let_in_as_an_array_of_it_is(dtype):
    whole, single = let_in("Value", np.ones(3, dtype)), let_in("Value", np.ones((), dtype)[()])
    assert (whole is None) == (single is None)
    if whole is not None:
        assert single.dtype == whole.dtype


@pytest.mark.parametrize("n", [3, 0.5])
def test_a_power_of_float32_is_compiled_in_float32(n):
    x = tg.Value(np.array([1.0, 4.0], np.float32), "x")
    cost, gradients = tg.compile(tg.sum(x**n))(x=x.data)
    assert np.asarray(cost).dtype == gradients["x"].dtype == np.float32
    np.testing.assert_allclose(gradients["x"], n * x.data ** (n - 1), rtol=1e-6)
