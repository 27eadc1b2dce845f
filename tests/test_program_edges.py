"""Programs drawn at random where compiled ones are easily wrong: against the graph itself.

The other random programs (`test_programs.py`) keep away from kinks and work on numbers of moderate
size. Here an index is of any type that NumPy takes, operations meet in several forms, what is
indexed is linear in its inputs (so that no gradient needs it and its memory is free), data ties,
and numbers reach the ends of the range of floats. ``EDGES=20000`` makes the search long.
"""

from __future__ import annotations

import array
import itertools
import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tests.test_program import assert_program_is_right
from tinygrad_edu.core.ops.elementwise import xdivy

EDGES = int(os.environ.get("EDGES", "30"))

Rng = np.random.Generator


class Whole:
    """A whole number of somebody else's: what NumPy asks for ``__index__``."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __index__(self) -> int:
        return self.n


def pick(rng: Rng, choices: Any) -> Any:
    """One of these, as it is: no array is made of them."""
    return choices[rng.integers(len(choices))]


# --- indices of any type ------------------------------------------------------------------------


def whole(n: int, rng: Rng) -> Any:
    """A place on an axis of length n, in one of the types a whole number comes in."""
    i = int(rng.integers(-n, n))
    return pick(rng, (int, np.int64, np.int32, np.array, Whole))(i)


def stretch(n: int, rng: Rng) -> slice:
    """A slice, its ends in types of their own, forward or backward."""
    start, stop = sorted(int(i) for i in rng.integers(0, n + 1, 2))
    kind = pick(rng, (int, np.int64, np.array, Whole))
    if rng.random() < 0.3:
        return slice(kind(n - 1), None, -int(rng.integers(1, 3)))
    return slice(kind(start), kind(max(stop, start + 1)), pick(rng, (None, 1, np.int64(2))))


def several(n: int, rng: Rng) -> Any:
    """Places as a sequence, an array, a buffer or a mask, repeated or not."""
    places = rng.integers(0, n, 3)
    mask = rng.random(n) < 0.6
    return pick(
        rng, (places, places - n, places.tolist(), array.array("l", places.tolist()),
              memoryview(places), mask, mask.tolist(), range(n), places.astype(np.uint8)),
    )  # fmt: skip


def index_of(shape: tuple[int, ...], rng: Rng) -> Any:
    """An index of an array of this shape: one part for some of its axes, and new axes."""
    if rng.random() < 0.1:
        return pick(rng, (..., None, True, np.True_, np.array(True), (), (None, ..., None)))
    parts: list[Any] = []
    fancy = False
    for n in shape[: int(rng.integers(1, len(shape) + 1))]:
        kind = rng.random()
        if kind < 0.2 and not fancy:
            parts.append(several(n, rng))
            fancy = True
        else:
            parts.append(whole(n, rng) if kind < 0.6 else stretch(n, rng))
    if rng.random() < 0.25:
        parts.insert(int(rng.integers(len(parts) + 1)), None)
    if rng.random() < 0.25:
        parts.append(...)
    return parts[0] if len(parts) == 1 and rng.random() < 0.7 else tuple(parts)


# --- steps: from some nodes to one more ---------------------------------------------------------


def axis_of(x: Any, rng: Rng) -> Any:
    n = len(x.shape)
    return pick(rng, (None, int(rng.integers(-n, n)), tuple(rng.permutation(n).tolist())[:2]))


def linear(x: Any, rng: Rng) -> Any:
    """A node that no gradient needs."""
    c = pick(rng, (2.0, -1.0, 0.5, -3.0))
    return pick(
        rng, (lambda: x * c, lambda: c * x + 1.0, lambda: -x, lambda: 1.0 - x, lambda: x / c,
              lambda: 0 + x, lambda: x - 0, lambda: x * 1, lambda: x + x, lambda: +x),
    )()  # fmt: skip


def moved(x: Any, rng: Rng) -> Any:
    """The same numbers elsewhere."""
    shape = x.shape
    a, b = (int(i) for i in rng.integers(0, len(shape), 2))
    return pick(
        rng, (lambda: x.T, lambda: x.reshape(-1), lambda: x.reshape(shape[::-1]),
              lambda: tg.transpose(x, rng.permutation(len(shape)).tolist()),
              lambda: tg.expand_dims(x, a), lambda: tg.squeeze(x[None]),
              lambda: tg.swapaxes(x, a, b), lambda: tg.moveaxis(x, a, b), lambda: tg.ravel(x),
              lambda: tg.broadcast_to(x, (2, *shape)), lambda: tg.concatenate([x, x[:1]], 0),
              lambda: tg.stack([x, x * 2.0], a), lambda: x[::-1]),
    )()  # fmt: skip


def smooth(x: Any, rng: Rng) -> Any:
    """A function whose derivative needs its input or its result."""
    return pick(
        rng, (lambda: tg.tanh(x), lambda: tg.sigmoid(x), lambda: tg.softplus(x), lambda: tg.sin(x),
              lambda: tg.arctan(x), lambda: x * x, lambda: x**3, lambda: tg.exp(x * 0.1),
              lambda: tg.log1p(x * x), lambda: tg.xlogy(x, x * x + 1)),
    )()  # fmt: skip


def kinked(x: Any, rng: Rng) -> Any:
    """An operation that takes sides, in one of its forms."""
    low, high = float(rng.integers(-2, 1)), float(rng.integers(0, 2))
    limit = rng.integers(-1, 2, x.shape).astype(float)
    mask = rng.integers(0, 2, x.shape).astype(bool)
    at = int(rng.integers(0, 2))
    return pick(
        rng, (lambda: tg.clip(x, low, high), lambda: tg.clip(x, low), lambda: tg.clip(x, max=high),
              lambda: tg.clip(x, np.array(low), None), lambda: tg.clip(x, limit - 1, limit),
              lambda: tg.relu(x), lambda: tg.relu(x, at_zero=at), lambda: tg.relu(x, at_zero=0.5),
              lambda: tg.leaky_relu(x, slope=0.2, at_zero=at), lambda: tg.leaky_relu(x),
              lambda: tg.maximum(x, 0), lambda: tg.maximum(0, x), lambda: tg.minimum(x, limit),
              lambda: abs(x), lambda: tg.where(mask, x, 0.0), lambda: tg.where(mask, x, x * 2.0),
              lambda: tg.where(tg.greater(x, low), x, low), lambda: tg.sign(x) * x,
              lambda: tg.greater(x, 0) * x),
    )()  # fmt: skip


def reduced(x: Any, rng: Rng) -> Any:
    """A reduction, its axes lost or kept."""
    axis, keep = axis_of(x, rng), bool(rng.random() < 0.5)
    f = pick(
        rng, (tg.sum, tg.mean, tg.max, tg.min, tg.prod, tg.norm, tg.var, tg.std, tg.logsumexp),
    )  # fmt: skip
    if rng.random() < 0.3:
        along = -1 if axis is None or isinstance(axis, tuple) else axis
        return pick(rng, (tg.softmax, tg.log_softmax, tg.cumsum))(x, axis=along)
    return f(x, axis=axis, keepdims=keep)


def joined(x: Any, y: Any, rng: Rng) -> Any:
    """Two nodes, one the other's shape or a number."""
    if x.shape != y.shape:
        y = tg.sum(y)
    return pick(
        rng, (lambda: x + y, lambda: x - y, lambda: x * y, lambda: tg.maximum(x, y),
              lambda: x / (y * y + 1.0), lambda: tg.minimum(x, y), lambda: -(x - y)),
    )()  # fmt: skip


STEPS = (linear, linear, moved, smooth, kinked, reduced)


def build(seed: int, length: int, leaves: list[Any]) -> Any:
    """The cost of a random program; the same seed draws the same steps, whatever the numbers."""
    rng = np.random.default_rng(seed)
    nodes = list(leaves)
    for _ in range(length):
        x = nodes[-1] if rng.random() < 0.6 else pick(rng, nodes)
        if not x.shape:
            x = pick(rng, leaves)
        kind = rng.random()
        if kind < 0.35:
            z = x[index_of(x.shape, rng)]
        elif kind < 0.5:
            z = joined(x, pick(rng, nodes), rng)
        else:
            z = pick(rng, STEPS)(x, rng)
        if 0 < z.size <= 100:
            nodes.append(z)
    return sum(tg.sum(tg.tanh(z) * z) for z in nodes[-3:])


def data(seed: int, ties: bool, dtype: Any) -> list[Any]:
    """Numbers of one to three leaves: whole ones that tie and meet kinks, or any."""
    rng = np.random.default_rng(seed)
    shapes = np.random.default_rng(seed // 8)  # of one program's numbers all alike
    found = []
    for _ in range(int(shapes.integers(1, 4))):
        shape = pick(shapes, ((3,), (2, 3), (3, 2), (1, 4), (2, 1, 3)))
        x = rng.integers(-1, 2, shape) if ties else rng.normal(size=shape)
        found.append(np.asarray(x, dtype))
    return found


# --- what is compared -----------------------------------------------------------------------------


def graph(make: Any, numbers: list[Any]) -> tuple[Any, dict[str, Any], float]:
    """Cost and gradients by the graph; and the largest number on the way."""
    leaves = [tg.Value(x, f"x{i}") for i, x in enumerate(numbers)]
    cost = make(leaves)
    cost.backward()
    seen, todo, scale = {cost}, [cost], 1.0
    while todo:
        node = todo.pop()
        for part in (node.data, node.grad):
            if part is not None:
                scale = max(scale, np.max(np.abs(part), initial=0.0))
        new = [x for x in node.parents if x not in seen]
        seen.update(new)
        todo += new
    gradients = {v.name: v.grad for v in leaves if v in seen}
    return cost, {k: 0.0 if g is None else g for k, g in gradients.items()}, scale


def assert_the_same(found: Any, expected: Any, rtol: float, atol: float) -> None:
    np.testing.assert_allclose(found, expected, rtol, atol, equal_nan=True)


def assert_program_follows(
    make: Any, data_sets: list[list[Any]], rtol: float, scaled: bool
) -> None:
    """Compiled on the first numbers, right on all; and what was handed out stays as it was."""
    kept = []
    with np.errstate(all="ignore"):
        program = tg.compile(graph(make, data_sets[0])[0])
        for numbers in (*data_sets, data_sets[0]):
            cost, gradients, scale = graph(make, numbers)
            atol = rtol * scale if scaled else 1e-318  # few digits are left of the smallest
            given = {k: x for i, x in enumerate(numbers) if (k := f"x{i}") in gradients}
            value, found = program(**given)
            assert_the_same(value, cost.data, rtol, atol)
            assert found.keys() == gradients.keys()
            for name, g in found.items():
                assert_the_same(g, gradients[name], rtol, atol)
                assert np.shape(g) == np.shape(given[name])
                assert np.asarray(g).dtype == np.asarray(given[name]).dtype
                views = [g, g.T, g[:1]] if np.ndim(g) else [g]
                kept += [(view, np.copy(view)) for view in views]
        for view, copy in kept:
            np.testing.assert_array_equal(view, copy)


programs = given(st.integers(0, 2**32 - 1), st.integers(1, 12))


@settings(max_examples=EDGES)
@programs
@pytest.mark.slow
def test_a_program_follows_its_graph_over_indices_forms_and_ties(seed, length):
    for ties in (False, True):
        for dtype, rtol in ((np.float64, 1e-11), (np.float32, 1e-3)):
            sets = [data(8 * (seed // 8) + k, ties, dtype) for k in range(3)]
            assert_program_follows(lambda xs: build(seed, length, xs), sets, rtol, scaled=True)


# --- the ends of the range of floats ----------------------------------------------------------

EXTREME = (1e200, -1e-200, 1e308, 5e-324, 1e-310, 0.0, -0.0, np.inf, np.nan, 1.0, -3.0, 1e154, 1e16)
FACTORS = (1e200, 1e-200, -1e150, 1e-300, 2.0, 1e308, 0.0, -0.0, 1.0, -1.0, 3.0, 1e-16)


def elementwise(x: Any, y: Any, rng: Rng) -> Any:
    """One more number of each: the graph's and the program's are the same to the last digits."""
    c, n = pick(rng, FACTORS), pick(rng, (2, 0.5, 3, -1, 0, 1, 1.5))
    return pick(
        rng, (lambda: x * c, lambda: c * x, lambda: x / c, lambda: c / x, lambda: x + c,
              lambda: x - c, lambda: c - x, lambda: -x, lambda: x + x, lambda: x * x, lambda: x**n,
              lambda: x + y, lambda: x - y, lambda: x * y, lambda: x / y, lambda: -(x - y),
              lambda: (x + y) + y, lambda: x + (-y), lambda: (-x) * y, lambda: x - (-y),
              lambda: tg.maximum(x, y), lambda: tg.minimum(x, c), lambda: abs(x),
              lambda: tg.relu(x), lambda: tg.leaky_relu(x, at_zero=0), lambda: tg.sqrt(x),
              lambda: tg.exp(x), lambda: tg.log(x), lambda: tg.log1p(x), lambda: tg.expm1(x),
              lambda: tg.xlogy(x, y), lambda: tg.xlogy(c, x), lambda: xdivy(x, y),
              lambda: xdivy(c, x), lambda: tg.where(tg.greater(x, 0), x, y),
              lambda: tg.arctan(x), lambda: tg.sinh(x)),
    )()  # fmt: skip


def chain(seed: int, leaves: list[Any]) -> Any:
    """A chain that reads each leaf once: no gradient is a sum that cancels."""
    rng = np.random.default_rng(seed)
    z = leaves[0]
    for y in leaves[1:]:
        z = elementwise(z, y, rng)
    return z


def largest(numbers: list[Any]) -> Any:
    """Of many numbers, two by two: computed alike, so that a program rolls them up in arrays."""
    while len(numbers) > 1:
        numbers = [tg.maximum(a, b) for a, b in zip(numbers[::2], numbers[1::2], strict=True)]
    return numbers[0]


LANES = 32


def extremes(seed: int, leaves: int, shape: tuple[int, ...]) -> list[Any]:
    rng = np.random.default_rng(seed)
    numbers = np.array(EXTREME)[rng.integers(len(EXTREME), size=(leaves, *shape))]
    return [x if x.ndim else float(x) for x in numbers * rng.choice([-1.0, 1.0], numbers.shape)]


@pytest.mark.slow
@settings(max_examples=EDGES)
@programs
def test_a_program_follows_its_graph_to_the_ends_of_the_range_of_floats(seed, length):
    """Arrays, of which one number is the cost; and single numbers, which become plain Python."""
    for shape, cost in (((3, 2), lambda z: z[1, 0]), ((), lambda z: z)):

        def make(leaves: Any, cost: Any = cost) -> Any:
            return cost(chain(seed, leaves))

        sets = [extremes(seed + k, 1 + length, shape) for k in range(3)]
        assert_program_follows(make, sets, 1e-13, scaled=False)


@settings(max_examples=max(EDGES // 6, 1))
@programs
@pytest.mark.slow
def test_many_numbers_computed_alike_follow_their_graph_there_too(seed, length):
    """They are rolled up in arrays, where that pays."""

    def make(leaves: Any) -> Any:
        return largest([chain(seed, [x, *leaves[LANES:]]) for x in leaves[:LANES]])

    sets = [extremes(seed + k, LANES + length, ()) for k in range(3)]
    assert_program_follows(make, sets, 1e-13, scaled=False)


# --- the kinds by name --------------------------------------------------------------------------

LIMITS = np.array([[-0.5, 0.0, 1.0], [0.5, -1.0, 0.25]])
MASK = LIMITS > 0
FORMS = {
    "clip": [
        lambda x: tg.clip(x, -0.5, 0.5), lambda x: tg.clip(x, 0.0), lambda x: tg.clip(x, max=0.0),
        lambda x: tg.clip(x, LIMITS - 1, LIMITS), lambda x: tg.clip(x), lambda x: tg.clip(x, max=1),
        lambda x: tg.clip(x, -np.inf, 0.5), lambda x: tg.clip(x, None, LIMITS),
    ],
    "sum": [
        tg.sum, lambda x: tg.sum(x, axis=0), lambda x: tg.sum(x, axis=(0, 1), keepdims=True),
        lambda x: tg.sum(x, axis=-1, keepdims=True), lambda x: tg.sum(x, axis=()),
    ],
    "extremes": [
        tg.max, lambda x: tg.max(x, axis=0), lambda x: tg.min(x, axis=1, keepdims=True),
        lambda x: tg.maximum(x, 0), lambda x: tg.maximum(LIMITS, x), lambda x: tg.minimum(x, 0.5),
    ],
    "norm": [
        tg.norm, lambda x: tg.norm(x, axis=1), lambda x: tg.norm(x, axis=0, keepdims=True),
        lambda x: tg.sqrt(tg.sum(x * x) + 1),
    ],
    "spread": [
        tg.var, tg.std, lambda x: tg.var(x, axis=1, ddof=1), lambda x: tg.std(x, axis=0),
        lambda x: tg.std(x, axis=1, ddof=1, keepdims=True),
    ],
    "relu": [
        tg.relu, lambda x: tg.relu(x, at_zero=0), lambda x: tg.relu(x, at_zero=0.5),
        lambda x: tg.leaky_relu(x), lambda x: tg.leaky_relu(x, slope=0.2, at_zero=0), abs,
        lambda x: tg.maximum(x, 0), lambda x: tg.greater_equal(x, 0) * x,
    ],
    "where": [
        lambda x: tg.where(MASK, x, 0.0), lambda x: tg.where(MASK, 0.0, x),
        lambda x: tg.where(tg.greater(x, 0), x, -x), lambda x: tg.where(True, x, 0.0),
        lambda x: tg.where(MASK, x[0], x[1, 0]), lambda x: tg.where(0.0, LIMITS, x),
    ],
    "cumulated": [tg.cumsum, lambda x: tg.cumsum(x, axis=0), lambda x: tg.cumsum(x, axis=-1)],
    "softmax": [
        lambda x: tg.softmax(x, axis=0), lambda x: tg.softmax(x, axis=1), tg.logsumexp,
        lambda x: tg.log_softmax(x, axis=1), lambda x: tg.logsumexp(x, axis=0, keepdims=True),
    ],
    "powers": [lambda x: x**2, lambda x: x**3.0, lambda x: x**1, lambda x: x**0, lambda x: x * x],
    "joined": [
        lambda x: tg.concatenate([x, x * 2.0]), lambda x: tg.concatenate([x, x], axis=None),
        lambda x: tg.stack([x, x * x]), lambda x: tg.stack([x, x], axis=-1),
    ],
}  # fmt: skip


@pytest.mark.parametrize("forms", FORMS.values(), ids=FORMS.keys())
@pytest.mark.one_in(4)
def test_all_forms_of_an_operation_meet_in_one_program(forms):
    """Two by two and all together, on numbers apart and on numbers that tie and lie on kinks.

    The last term keeps every gradient away from 0, to which those of a softmax add up.
    """
    apart = [{"x": np.random.default_rng(k).normal(size=(2, 3))} for k in range(2)]
    at_kinks = [{"x": np.full((2, 3), x)} for x in (0.0, 0.5)] + [{"x": np.round(apart[0]["x"])}]
    for several in [forms, *itertools.pairwise(forms), *zip(forms, forms[2:])]:

        def cost(x, several=several):
            parts = [tg.sum(tg.tanh(f(x)) * f(x) + f(x)) for f in several]
            return sum(z * (k + 1.0) for k, z in enumerate(parts)) + tg.sum(x * LIMITS)

        assert_program_is_right(cost, *apart, *at_kinks)
        assert_program_is_right(cost, *at_kinks, *apart)


@pytest.mark.parametrize(
    ("f", "numbers"),
    [
        (lambda x: x * 1e200 * 1e200, [1e-100, 1e-200, 1e-308, 1.0]),
        (lambda x: x * 1e-200 * 1e-200, [1e100, 1e300, 1.0]),
        (lambda x: x / 1e200 / 1e200, [1e300, 1e308]),
        (lambda x: x * 2.0 * 0.5, [1e308, 5e-324]),
        (lambda x: x**2 * 1e308, [0.0, 1e-300]),
        (lambda x: x * 0.5 * 2.0, [5e-324, 1e308]),
        (lambda x: -(x * 1e200) * -1e200, [1e-100, -1e-300]),
        (lambda x: x + 1e308 + 1e308 - 1e308, [-1e308, 1e308, 0.0]),
        (lambda x: x + x - x, [1e308, -1e308]),
        (lambda x: x * x / x, [1e200, 1e-200, 0.0]),
        (lambda x: 1.0 / (x + 0.0), [-0.0, 0.0]),
        (lambda x: 1.0 / (0 + x), [-0.0, 0.0]),
        (lambda x: 1.0 / (0.0 - x), [0.0, -0.0]),
        (lambda x: 1.0 / -(x - x), [3.0, np.inf]),
        (lambda x: x * 0.0, [np.inf, np.nan, -1.0]),
        (lambda x: x**0, [np.nan, np.inf]),
        (lambda x: x**0.5, [-np.inf, -0.0, -1.0]),
        (lambda x: tg.xlogy(-1.0, x), [np.nan, 0.0, np.inf]),
        (lambda x: tg.xlogy(x, np.nan), [-1.0, 0.0, np.nan]),
        (lambda x: tg.xlogy(x, x + 1.0), [-1.0, 0.0, np.nan]),
        (lambda x: xdivy(0.0, x), [0.0, np.nan]),
        (lambda x: 1.0 / tg.where(tg.greater(x, 0.0), x, 0.0), [-1.0, 1.0]),
        (lambda x: 1.0 / tg.relu(x), [-1.0, 0.0]),
    ],
)  # fmt: skip
@pytest.mark.one_in(3)
def test_a_program_computes_at_the_ends_of_the_range_what_was_recorded(f, numbers):
    """As one number, which becomes plain Python, as one of an array, and as one of many alike."""
    sets = [[x] for x in (1.5, *numbers)]
    assert_program_follows(lambda xs: f(xs[0]), sets, 1e-14, scaled=False)
    arrays = [[np.full((2, 3), x)] for x in (1.5, *numbers)]
    assert_program_follows(lambda xs: f(xs[0])[1, 2], arrays, 1e-14, scaled=False)
    many = [[x] * LANES for x in (1.5, *numbers)]
    assert_program_follows(lambda xs: largest([f(x) for x in xs]), many, 1e-14, scaled=False)


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_a_sum_of_nothing_or_of_one_number_is_numpys(n):
    numbers = [{"x": x, "y": np.ones(n)} for x in (1.0, np.inf, -0.0)]
    with np.errstate(all="ignore"):
        assert_program_is_right(lambda x, y: tg.sum(tg.broadcast_to(x, (n,))) + tg.sum(y), *numbers)
        assert_program_is_right(lambda x, y: 1.0 / tg.sum(x * y) + tg.sum(y), *numbers)


@pytest.mark.parametrize("zeros", [[0.0, -0.0], [-0.0, 0.0], [-0.0, -0.0], [0.0, 0.0]])
def test_a_constant_of_zeros_keeps_their_signs(zeros):
    zeros = np.array([zeros, zeros[::-1]])
    for f in (lambda x: 1.0 / (x * zeros), lambda x: 1.0 / tg.minimum(x, zeros)):
        for i in np.ndindex(2, 2):
            sets = [[np.full((2, 2), x)] for x in (1.0, -2.0)]
            assert_program_follows(lambda xs, f=f, i=i: f(xs[0])[i], sets, 1e-14, scaled=False)


LEFT_OUT = {
    "a slice": lambda x: tg.sum(tg.sqrt(x)[1:]),
    "one place": lambda x: tg.log(x)[2],
    "where": lambda x: tg.sum(tg.where(tg.greater(x, 0.0), tg.sqrt(x), 0.0)),
    "a mask": lambda x: tg.sum(tg.sqrt(x) * np.array([0.0, 1.0, 1.0])),
    "a mask by index": lambda x: tg.sum((x**-0.5)[[False, True, True]]),
    "a maximum": lambda x: tg.sum(tg.maximum(tg.sqrt(x), 0.5)),
    "a clip": lambda x: tg.sum(tg.clip(x**0.5, 0.1, None) * x),
    "a matrix of zeros": lambda x: tg.sum(np.array([[0.0, 1.0, 2.0]]) @ tg.sqrt(x)),
    "single numbers": lambda x: tg.maximum(tg.sqrt(x[0]), 0.5) * x[1] + x[2],
}


@pytest.mark.parametrize("cost", LEFT_OUT.values(), ids=LEFT_OUT.keys())
def test_what_a_branch_leaves_out_contributes_nothing_in_a_program_either(cost):
    sets = [[np.array(x)] for x in ([1.0, 2.0, 3.0], [0.0, 2.0, 3.0], [0.0, 4.0, 0.25])]
    assert_program_follows(lambda xs: cost(xs[0]), sets, 1e-13, scaled=False)
    with np.errstate(all="ignore"):
        assert np.isfinite(tg.compile(cost(tg.Value(sets[0][0], "x")))(x=sets[1][0])[1]["x"]).all()


def test_the_square_of_a_root_at_0_has_no_gradient_in_a_program_either():
    """There nothing is left out: nan is the honest answer."""
    x = tg.Value(1.0, "x")
    with np.errstate(all="ignore"):
        _, gradients = tg.compile(tg.sqrt(x) ** 2)(x=0.0)
    assert np.isnan(gradients["x"])


def test_a_logit_of_minus_infinity_costs_nothing_where_its_class_is_not_the_one():
    p = {"Z": tg.Value(np.array([[0.0, 2.0], [-np.inf, 2.0]]), "Z")}
    for Y, expected in ((np.array([[1.0, 0], [0, 1]]), np.log(2) / 2), (np.eye(2)[::-1], np.inf)):
        y = tg.Value(Y, "Y", requires_grad=False)
        program = tg.compile(tg.mean(tg.cross_entropy(p["Z"], y)))
        with np.errstate(all="ignore"):
            assert program()[0] == pytest.approx(expected)
