"""What operations are declared to be, beside their derivatives, is what they do on numbers."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.core.ops.table import TABLE
from tinygrad_edu.core.primitive import TRAITS, Primitive

#: Options for those operations that need some.
OPTIONS = {
    "part": 1, "lengths": (3,), "axes": (0,),
    "n": 3.0, "logs": 1, "order": 1, "min": -0.5, "max": 0.5, "axis": 0,
    "index": (slice(0, 2), slice(None)), "shape": (4, 3),
}  # fmt: skip
SHAPES = {"windows_summed": (6, 4), "scatter": (5, 4), "sum_to": (1, 4), "broadcast_to": (2, 3, 4)}
#: What is level between −1 and 1.
WIDER = {"trunc": 2}
#: Fractional powers and logarithms want positive numbers.
POSITIVE = np.random.default_rng(3).uniform(0.2, 0.9, (4, 3, 4))


def applied(op, *xs):
    """An operation on arrays, with options."""
    options = {key: x for key, x in OPTIONS.items() if key in op.options}
    if op.name in SHAPES:
        options["shape"] = SHAPES[op.name]
    if op.name == "transpose":
        del options["axes"]
    if op.name == "median":
        options["axis"] = 1  # of four: the mean of two
    if op.name in ("picked_along", "placed_along"):
        xs = (xs[0], np.floor(3 * xs[1]) % 3)
    if op.name == "placed_along":
        options["n"] = 5
    if op.name == "scatter":
        options["index"] = (slice(1, 4), slice(None))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(op(*xs, **options))


def inputs(op, where=0):
    """As many arrays as it takes; of a product of matrices the second is turned."""
    count = 2 if op.variadic else op.n_inputs
    xs = [POSITIVE[(i + where) % 4] for i in range(count)]
    if op.name in ("inv", "det", "cofactors", "log_abs_det", "sign_of_det", "eigh_part"):
        return [x[:: 1 - 2 * where, :3] for x in xs]
    if op.name == "cholesky_factor":  # of the first twice less of the other thrice too
        return [0.1**where * (x @ x.T + 5 * np.eye(3)) for x in xs]
    if op.name == "over_gaps":
        return [xs[0], xs[1][0], xs[2][:, 0] + 1]
    if op.name == "windows_summed":
        return [np.stack(xs * 3, axis=-1)]
    if op.name == "matmul":
        return [xs[0], xs[1].T]
    if op.name == "arccosh":  # of nothing below 1
        return [x + 1 for x in xs]
    if op.name == "is_nan":
        return [np.where(x > 0.6, np.nan, x) for x in xs]
    if "compares" in op.traits or op.name == "where":  # some equal, some conditions 0
        return [np.round(2 * (x - 0.3)) for x in xs]
    return xs


def is_elementwise(op):
    """Do its entries change places when those of its inputs do, and see no others?"""
    xs = inputs(op)
    z = applied(op, *xs)
    if any(x.shape != z.shape for x in xs):
        return False
    order = np.random.default_rng(0).permutation(z.size)
    try:
        moved = applied(op, *(x.ravel()[order].reshape(x.shape) for x in xs))
    except np.linalg.LinAlgError:  # no longer positive definite
        return False
    changed = [x.copy() for x in xs]
    for x in changed:
        x[0, 0] += 0.05
    others = np.ones(z.shape, bool)
    others[0, 0] = False
    return np.allclose(moved.ravel(), z.ravel()[order]) and np.array_equal(
        applied(op, *changed)[others], z[others]
    )


def is_linear(op):
    """Of all inputs together."""
    xs, ys = inputs(op), inputs(op, 1)
    mixed = applied(op, *(2 * x - 3 * y for x, y in zip(xs, ys)))
    return np.allclose(mixed, 2 * applied(op, *xs) - 3 * applied(op, *ys))


def is_bilinear(op):
    """Of each of two inputs alone, and not of both together."""
    if op.variadic or op.n_inputs != 2 or is_linear(op):
        return False
    (x, y), (u, v) = inputs(op), inputs(op, 1)
    return np.allclose(
        applied(op, 2 * x + 3 * u, y), 2 * applied(op, x, y) + 3 * applied(op, u, y)
    ) and np.allclose(applied(op, x, 2 * y + 3 * v), 2 * applied(op, x, y) + 3 * applied(op, x, v))


def is_exact(op):
    """Are its numbers, but for their sign, among those it was given, 0, 1, and its bounds?"""
    xs = [x - 0.5 * (op.name != "cholesky_factor") for x in inputs(op)]
    known = np.concatenate([*(np.abs(x).ravel() for x in xs), [0.0, 1.0, 0.5]])
    return bool(np.isin(np.abs(applied(op, *xs)), known).all())


TESTED = {
    "elementwise": is_elementwise, "linear": is_linear, "bilinear": is_bilinear, "exact": is_exact,
}  # fmt: skip


@pytest.mark.parametrize("op", TABLE.values(), ids=list(TABLE))
def test_every_operation_has_traits_and_they_are_true(op):
    assert op.traits, f"{op} is declared without traits"
    for trait, holds in TESTED.items():
        assert (trait in op.traits) == holds(op), f"{op}: {trait}"


@pytest.mark.parametrize("op", TABLE.values(), ids=list(TABLE))
def test_traits_that_say_what_an_operation_is_for_agree_with_its_declaration(op):
    assert ("axes" in op.traits) == ("axis" in op.options and not op.variadic)
    if "opened" in op.traits:
        assert op.definition is not None
    if "compares" in op.traits:
        assert not op.differentiable
        assert set(applied(op, *inputs(op)).ravel()) <= {0.0, 1.0}
    if "moves" in op.traits:
        assert {"linear", "exact"} <= op.traits
    if "activation" in op.traits:
        assert op.n_inputs == 1


@pytest.mark.parametrize(
    "op", [op for op in TABLE.values() if "elementwise" in op.traits and op.n_inputs == 1], ids=str
)
def test_a_kink_is_a_jump_of_the_value_or_of_the_slope(op):
    x = np.linspace(-0.8993, 0.8993, 4001) * WIDER.get(op.name, 1) + (op.name == "arccosh")
    z = applied(op, x)
    if not np.all(np.isfinite(z)):  # log and sqrt: where they are smooth
        x = x[x > 0.2]
        z = applied(op, x)
    slopes = np.diff(z) / np.diff(x)
    assert ("kinked" in op.traits) == bool(np.max(np.abs(np.diff(slopes))) > 0.25)


def test_an_unknown_trait_is_told():
    with pytest.raises(tg.GradError, match="half: no trait 'straight'; there are elementwise"):

        @tg.core.primitive.primitive(lambda dz, z, x: dz / 2, traits={"straight"})
        def half(x):
            """Half of it."""
            return x / 2


def test_an_operation_of_ones_own_needs_none():
    op = Primitive(lambda x: x * 1.0, (lambda dz, z, x: dz,))
    assert op.traits == frozenset()
    assert set(TRAITS) >= set(TESTED)
