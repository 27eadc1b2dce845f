"""Referees for derivatives, and the checks of one case against them.

Two independent oracles: the complex step on the reference (exact to rounding, knows nothing of the
package) and a five-point central difference on the operation's own forward. Upstream gradients are
random and signed: with ones a forgotten transpose or a lost factor of the upstream would pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from domains import Case

import tinygrad_edu as tg

H = 1e-25


def complex_step(f: Callable[..., Any], arrays: tuple[Any, ...], i: int, dz: Any) -> Any:
    """The gradient of ``Σ dz · f`` with respect to the i-th input, from ``f(x + ih)``."""
    x = np.asarray(arrays[i], dtype=float)
    slopes = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[index] += 1j * H
        z = f(*arrays[:i], moved[()], *arrays[i + 1 :])
        slopes[index] = np.sum(dz * np.imag(z)) / H
    return slopes


def five_point(f: Callable[..., Any], arrays: tuple[Any, ...], i: int, h: float = 1e-3) -> Any:
    """The gradient of a single-number function by central differences with error of order h⁴."""
    x = np.asarray(arrays[i], dtype=float)
    slopes = np.zeros(x.shape)

    def at(index: Any, step: float) -> float:
        moved = x.copy()
        moved[index] += step
        own = moved if moved.ndim else float(moved)
        return float(f(*arrays[:i], own, *arrays[i + 1 :]))

    for index in np.ndindex(x.shape):
        near, far = at(index, h) - at(index, -h), at(index, 2 * h) - at(index, -2 * h)
        slopes[index] = (8 * near - far) / (12 * h)
    return slopes


def same(found: Any, expected: Any, tolerance: float, what: str) -> None:
    """Assert equal shape, and equal numbers up to `tolerance` of the largest."""
    assert np.shape(found) == np.shape(expected), f"{what}: shape {np.shape(found)}"
    scale = 1.0 + np.max(np.abs(expected), initial=0.0)
    error = np.max(np.abs(np.subtract(found, expected)), initial=0.0)
    assert error <= tolerance * scale, f"{what}: {found} is not {expected} (off by {error:.3g})"


def upstream(case: Case, shape: tuple[int, ...], salt: int = 0) -> Any:
    """A random signed gradient of a result."""
    dz = np.random.default_rng([len(str(case)), salt]).standard_normal(shape) * 1.7
    return dz if shape else float(dz)


def gradients(case: Case, arrays: tuple[Any, ...], dz: Any) -> list[Any]:
    """By backward: the gradients of all inputs."""
    leaves = [tg.Value(x) for x in arrays]
    case.call(*leaves, **case.options).backward(dz)
    return [leaf.grad for leaf in leaves]


def check_value(case: Case) -> None:
    """The forward against NumPy."""
    expected = case.reference(*case.arrays, **case.options)
    z = case.call(*[tg.Value(x) for x in case.arrays], **case.options)
    assert isinstance(z, tg.Value)
    assert z.dtype == np.float64
    same(z.data, expected, 1e-14, str(case))
    plain = case.call(*case.arrays, **case.options)
    assert isinstance(plain, (float, np.ndarray)), type(plain)
    assert np.array_equal(plain, z.data), f"{case}: numbers and Values disagree"


def check_first(case: Case) -> None:
    """The derivative against the complex step, with a random upstream gradient."""
    z = case.reference(*case.arrays, **case.options)
    dz = upstream(case, np.shape(z))
    found = gradients(case, case.arrays, dz)
    for i in case.wrt:
        expected = complex_step(lambda *xs: case.reference(*xs, **case.options), case.arrays, i, dz)
        same(found[i], expected, 1e-12, f"{case}, input {i}")
    for i in set(range(len(found))) - set(case.wrt):
        assert found[i] is None, f"{case}, input {i}: {found[i]}"


def check_difference(case: Case) -> None:
    """The derivative against central differences of the operation's own forward."""
    z = case.call(*case.arrays, **case.options)
    dz = upstream(case, np.shape(z), 1)
    found = gradients(case, case.arrays, dz)
    for i in case.wrt:
        expected = five_point(
            lambda *xs: np.sum(dz * case.call(*xs, **case.options)), case.arrays, i
        )
        same(found[i], expected, 1e-8, f"{case}, input {i}")


def check_second(case: Case) -> None:
    """The derivative of the gradient, with respect to inputs and upstream, against differences.

    The gradient is projected on random directions; its derivative comes from running the sweep on
    Values, its referee from differences of the first-order gradients.
    """
    z = case.call(*case.arrays, **case.options)
    dz = upstream(case, np.shape(z), 2)
    rng = np.random.default_rng(len(str(case)))
    directions = [rng.standard_normal(np.shape(x)) for x in case.arrays]
    points = (*case.arrays, dz)

    def along(*xs: Any) -> float:
        found = gradients(case, xs[:-1], xs[-1])
        return float(sum(np.sum(found[i] * directions[i]) for i in case.wrt))

    def weighted(*xs: Any) -> Any:
        return tg.sum(xs[-1] * case.call(*xs[:-1], **case.options))

    def along_values(*xs: Any) -> Any:
        found = tg.grad(weighted, case.wrt)(*xs)
        return sum(tg.sum(g * directions[i]) for g, i in zip(found, case.wrt))

    wrt = (*case.wrt, len(case.arrays))
    for i, found in zip(wrt, tg.grad(along_values, wrt)(*points)):
        same(found, five_point(along, points, i), 1e-7, f"{case}, second order, input {i}")
