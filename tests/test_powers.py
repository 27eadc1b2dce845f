"""Powers of exact numbers to exact numbers, where rules are tempted to switch.

``x**0``, ``x**1`` and ``x**2`` at 0 have finite derivatives where ``x**(n-1)`` has no value; a
rule that switches at such a number must be differentiated as if it did not.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg

BASES = (0.0, 0.5, 1.0, 2.0, 23.0, -1.0)
EXPONENTS = (0.0, 0.5, 1.0, 2.0, 3.0, -1.0)


def derivatives(x: float, y: float) -> dict[str, float]:
    """Of ``x**y`` on paper: those that exist."""
    found = {}
    if x > 0 or (y.is_integer() and (x or y >= 0)):
        found["x"] = y * x ** (y - 1) if y else 0.0
        found["xx"] = y * (y - 1) * x ** (y - 2) if y * (y - 1) else 0.0
    if x > 0:
        log = math.log(x)
        found |= {"y": x**y * log, "yy": x**y * log**2, "xy": x ** (y - 1) * (1 + y * log)}
    if x == 0 and y > 1:
        found |= {"y": 0.0, "yy": 0.0, "xy": 0.0}
    return found


SPELLINGS = {
    "two Values": lambda x, y: x**y,
    "np.power": lambda x, y: np.power(x, y),
    "arrays": lambda x, y: tg.power(tg.stack([x, x]), tg.stack([y, y]))[1],
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("y", EXPONENTS)
@pytest.mark.parametrize("x", BASES)
def test_first_and_second_derivatives_of_a_power_are_those_on_paper(x, y, spelling):
    expected, power = derivatives(x, y), SPELLINGS[spelling]
    places = {"x": 0, "y": 1}
    with np.errstate(all="ignore"):
        for order, value in expected.items():
            f = power
            for name in order:
                f = tg.grad(f, places[name])
            assert f(x, y) == pytest.approx(value, rel=1e-14, abs=1e-14), order
            if len(set(order)) == 2:
                other = tg.grad(tg.grad(power, 1), 0)
                assert other(x, y) == pytest.approx(value, rel=1e-14, abs=1e-14)


@pytest.mark.parametrize("kind", [float, int, np.float64, np.int64, np.float32, np.array], ids=str)
@pytest.mark.parametrize("y", [0, 1, 2, 3, -1])
@pytest.mark.parametrize("x", BASES)
def test_a_plain_exponent_of_any_type_is_the_number_it_is(x, y, kind):
    expected = derivatives(x, float(y))

    def power(x: Any) -> Any:
        return x ** kind(y)

    with np.errstate(all="ignore"):
        if "x" in expected:
            assert tg.grad(power)(x) == pytest.approx(expected["x"], rel=1e-14)
            assert tg.grad(tg.grad(power))(x) == pytest.approx(expected["xx"], rel=1e-14)
            v = tg.Value(x, "v")
            assert tg.compile(v ** kind(y))()[1]["v"] == pytest.approx(expected["x"], rel=1e-14)
