"""More inputs that break gradient engines: kin of the cases in `test_pitfalls`."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Value


def slopes(f, x):
    """The gradient of a single-number function, by backward."""
    leaf = Value(x)
    f(leaf).backward()
    return leaf.grad


# --- functions of functions --------------------------------------------------------------------


def test_a_seed_that_is_differentiated_by_keeps_its_gradient():
    """d/dx of x · (6x): the seed of the inner function is the variable of the outer."""

    def outer(x):
        _, back = tg.vjp(lambda y: y * y, 3.0)
        (six_x,) = back(x)
        return x * six_x

    assert tg.grad(outer)(2.0) == 24.0
    assert tg.grad(tg.grad(outer))(2.0) == 12.0
    _, back = tg.vjp(lambda v, w: tg.sum(v) * w, np.ones(3), 2.0)
    seed = Value(5.0)
    dv, dw = back(seed)
    tg.sum(dv * dw).backward()  # Σ (2 seed) (3 seed)
    assert seed.grad == 3 * 6 * 2 * 5.0


# --- kinks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [([-1.0, 0.0, 2.0], 5), ((-1.0, 0.0, 2.0), [5, 5, 5])], ids=str)
def test_limits_of_clip_may_be_lists(limits):
    x, inside = np.array([[-3.0, 4.0, 2.0], [0.5, 7.0, 1.0]]), [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]
    for clip in (tg.clip, np.clip):
        assert slopes(lambda v, clip=clip: tg.sum(clip(v, *limits)), x).tolist() == inside
    v = Value(x, "v")
    cost = tg.sum(tg.clip(v, *limits))
    assert tg.compile(cost)()[1]["v"].tolist() == inside
    assert tg.grad(tg.grad(lambda s: tg.sum(tg.clip(s**3, *limits))))(1.0) == 6.0 * 2
