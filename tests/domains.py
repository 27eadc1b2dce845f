"""The one table of operations under test: a plain-NumPy reference, domains, shapes, options.

Everything the suite knows about an operation stands in its row, and every test of operations walks
through these rows: values, first and second derivatives, shapes, float32, layouts, mutants. An
operation without a row fails the suite.

A reference is a formula in plain NumPy that nothing of the package has touched. It is written so
that it is right on complex numbers ``x + ih`` too (comparisons look at real parts only): the
imaginary part of its result, divided by h, is the derivative with no rounding to speak of
(Squire and Trapp, SIAM Review 40, 1998).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.core.ops.table import TABLE

Shape = tuple[int, ...]
Draw = Callable[[np.random.Generator, int], Any]


def apart(low: float, high: float) -> Draw:
    """Numbers between two bounds, in random order, all distinct; none at 0 if the bounds are ±b.

    One number per cell of an even number of equal cells: so no two of them tie, and none sits on a
    kink at 0, however many are drawn.
    """

    def draw(rng: np.random.Generator, n: int) -> Any:
        cells = n + n % 2
        middles = low + (high - low) * (np.arange(cells) + 0.5) / max(cells, 1)
        jitter = rng.uniform(-0.2, 0.2, cells) * (high - low) / max(cells, 1)
        return rng.permutation(middles + jitter)[:n]

    return draw


def signed(low: float, high: float) -> Draw:
    """Magnitudes between two bounds, of either sign: denominators, bases of whole powers."""

    def draw(rng: np.random.Generator, n: int) -> Any:
        return apart(low, high)(rng, n) * rng.choice([-1.0, 1.0], n)

    return draw


def coins(rng: np.random.Generator, n: int) -> Any:
    """Conditions: 0.0 or 1.0."""
    return (rng.permutation(n) % 2).astype(float)


def between(rng: np.random.Generator, n: int) -> Any:
    """Numbers about half-way between two whole ones: what is divided by ±2 is far from a jump."""
    return rng.integers(-4, 4, n) + 0.5 + apart(-0.3, 0.3)(rng, n)


def twos(rng: np.random.Generator, n: int) -> Any:
    """2, a little more or less, of either sign."""
    return signed(1.98, 2.02)(rng, n)


real, positive, unit, moderate = apart(-2, 2), apart(0.3, 3), apart(0.15, 0.85), apart(-1.2, 1.2)


@dataclass(frozen=True)
class Row:
    """What the suite knows about one operation."""

    reference: Callable[..., Any]
    domains: tuple[Draw, ...] = (real,)
    shapes: tuple[tuple[Shape, ...], ...] = ()
    options: tuple[dict[str, Any], ...] = ({},)
    varied: Callable[[tuple[Shape, ...]], tuple[dict[str, Any], ...]] | None = None
    call: Callable[..., Any] | None = None  # where the name is no primitive: the public function
    without: tuple[int, ...] = ()  # inputs whose derivative is zero everywhere, by declaration
    elementwise: bool = False  # a function of single numbers: has a path for Python floats


@dataclass(frozen=True)
class Case:
    """One row at one choice of shapes, options and numbers."""

    name: str
    call: Callable[..., Any]
    reference: Callable[..., Any]
    arrays: tuple[Any, ...]
    options: dict[str, Any]
    wrt: tuple[int, ...]

    def __str__(self) -> str:
        shapes = ", ".join(str(np.shape(x)) for x in self.arrays)
        return f"{self.name}({shapes}{f', {self.options}' if self.options else ''})"


ONE: tuple[tuple[Shape, ...], ...] = (((),), ((1,),), ((3,),), ((2, 3),), ((0, 3),), ((2, 1, 3),))
TWO: tuple[tuple[Shape, ...], ...] = (
    ((), ()), ((3,), ()), ((), (2, 3)), ((3,), (3,)), ((2, 3), (3,)), ((2, 1), (1, 4)),
    ((4, 1, 3), (2, 1)), ((1,), (2, 2)), ((0, 3), (1, 3)), ((1, 1), ()),
)  # fmt: skip
ALIKE: tuple[tuple[Shape, ...], ...] = tuple((shape, shape) for (shape,) in ONE)
THREE: tuple[tuple[Shape, ...], ...] = (
    ((), (), ()), ((2, 3), (2, 3), (2, 3)), ((3,), (2, 1), ()), ((), (4,), (2, 4)),
    ((2, 1), (3,), (1, 3)), ((), (3,), ()), ((), (), (2, 1)),
)  # fmt: skip
#: For the broadcasting of two inputs, every ordered pair of these that fits.
SHAPES: tuple[Shape, ...] = (
    (), (1,), (3,), (4,), (1, 1), (1, 3), (2, 1), (2, 3), (4, 1, 1), (4, 2, 1), (4, 2, 3), (0,),
        (0, 3),
)  # fmt: skip


def fitting_pairs() -> Iterator[tuple[Shape, Shape]]:
    """All ordered pairs of `SHAPES` that NumPy broadcasts."""
    for x in SHAPES:
        for y in SHAPES:
            try:
                np.broadcast_shapes(x, y)
            except ValueError:
                continue
            yield x, y


def over_axes(shapes: tuple[Shape, ...]) -> tuple[dict[str, Any], ...]:
    """Every way NumPy names axes, with and without ``keepdims``."""
    ndim = len(shapes[0])
    axes: list[Any] = [None, *range(-ndim, ndim)]
    axes += [(0, 1), (-1, 0), (), tuple(range(ndim))] if ndim > 1 else []
    return tuple({"axis": a, "keepdims": k} for a in axes for k in (False, True))


def along_one(shapes: tuple[Shape, ...]) -> tuple[dict[str, Any], ...]:
    """All of it, or one axis."""
    return tuple({"axis": a} for a in (None, *range(-len(shapes[0]), len(shapes[0]))))


def one_axis(shapes: tuple[Shape, ...]) -> tuple[dict[str, Any], ...]:
    """One axis, of several as a tuple too; None where there is no choice."""
    ndim = len(shapes[0])
    axes = [*range(-ndim, ndim), tuple(range(ndim)), *([] if ndim > 1 else [None])]
    return tuple({"axis": a} for a in axes if a != ())


def every_axis(shapes: tuple[Shape, ...]) -> tuple[dict[str, Any], ...]:
    """One axis, never None."""
    return tuple({"axis": a} for a in range(-len(shapes[0]), len(shapes[0])))


def of_units(shapes: tuple[Shape, ...]) -> tuple[dict[str, Any], ...]:
    """A loss of single entries; where prediction and target are of one shape, summed over units."""
    x, y = shapes
    return ({}, *({"axis": a} for a in range(len(x)) if len(x) > 1 and x == y))


def elementwise(reference: Callable[..., Any], *domains: Draw, **more: Any) -> Row:
    """A function of single numbers, broadcast."""
    domains = domains or (real,)
    shapes = {1: ONE, 2: TWO, 3: THREE}[len(domains)]
    return Row(reference, domains, more.pop("shapes", shapes), elementwise=True, **more)


def mask(test: Callable[[Any, Any], Any]) -> Row:
    """A comparison as 0.0 and 1.0."""
    return elementwise(
        lambda x, y: test(np.real(x), np.real(y)).astype(float), real, real, without=(0, 1)
    )


REDUCED: tuple[tuple[Shape, ...], ...] = (((),), ((4,),), ((2, 3),), ((2, 3, 4),), ((3, 1),))
SUMMABLE: tuple[tuple[Shape, ...], ...] = (*REDUCED, ((0, 3),))


def reduction(
    reference: Callable[..., Any], domain: Draw = real, shapes: Any = REDUCED, **more: Any
) -> Row:
    """A reduction over any axes."""
    return Row(reference, (domain,), shapes, varied=more.pop("varied", over_axes), **more)


def _pick(x: Any, largest: bool, axis: Any, keepdims: bool) -> Any:
    """The extreme by its real part, carrying its imaginary part along; no ties in the samples."""
    top = (np.max if largest else np.min)(np.real(x), axis=axis, keepdims=True)
    return np.sum(np.where(np.real(x) == top, x, 0), axis=axis, keepdims=keepdims)


def _prod_of_others(x: Any, axis: int) -> Any:
    others = [
        np.prod(np.delete(x, i, axis), axis=axis, keepdims=True) for i in range(x.shape[axis])
    ]
    return np.concatenate(others, axis=axis) if others else x


def _variance(x: Any, axis: Any, keepdims: bool, ddof: int = 0) -> Any:
    centred = x - np.mean(x, axis=axis, keepdims=True)
    n = np.size(x) // max(np.size(np.sum(np.real(x), axis=axis)), 1)
    return np.sum(centred**2, axis=axis, keepdims=keepdims) / (n - ddof)


def _norm(x: Any, axis: Any, keepdims: bool) -> Any:
    return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))


def _logsumexp(x: Any, axis: Any, keepdims: bool) -> Any:
    return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))


def _softmax(x: Any, axis: Any) -> Any:
    return np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True)


def _scatter(x: Any, index: Any, shape: Shape) -> Any:
    z = np.zeros(shape, np.result_type(x))
    np.add.at(z, index, x)
    return z


def _fold(x: Any, shape: Shape) -> Any:
    """`x` summed to a shape it was broadcast from, position by position."""
    z = np.zeros(shape, np.result_type(x))
    for index in np.ndindex(np.shape(x)):
        own = index[len(index) - len(shape) :]
        z[tuple(0 if n == 1 else i for i, n in zip(own, shape))] += x[index]
    return z


def _bernoulli(a: Any, y: Any) -> Any:
    return -(y * np.log(a) + (1 - y) * np.log(1 - a))


def _logistic(z: Any, y: Any) -> Any:
    return np.log(1 + np.exp(z)) - y * z


def _summed(loss: Any, axis: Any) -> Any:
    return loss if axis is None else np.sum(loss, axis=axis)


def _over_units(loss: Any, axis: int, reduce: Any) -> Any:
    return reduce(loss, axis=axis) if np.ndim(loss) == 2 else loss


def _arctan2(y: Any, x: Any) -> Any:
    """The angle at the real parts, turned by what the imaginary parts add."""
    angle = np.arctan2(np.real(y), np.real(x))
    turned = np.real(x) * np.imag(y) - np.real(y) * np.imag(x)
    return angle + 1j * turned / (np.real(x) ** 2 + np.real(y) ** 2)


def _sinc_slope(x: Any, order: int) -> Any:
    """From the power series."""
    u, total = np.pi * x, 0.0
    for n in range(60 - order):
        sign = [1, 0, -1, 0][(n + order) % 4]
        total = total + sign * u**n / (math.factorial(n) * (n + order + 1))
    return np.pi**order * total


def _erf(x: Any) -> Any:
    """From the power series."""
    terms = [(-1) ** n * x ** (2 * n + 1) / (math.factorial(n) * (2 * n + 1)) for n in range(50)]
    return 2 / np.sqrt(np.pi) * sum(terms)


def _gelu(x: Any, approximate: str = "none") -> Any:
    if approximate == "none":
        return x * (1 + _erf(x / np.sqrt(2))) / 2
    return x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2


PER_EXAMPLE: tuple[tuple[Shape, ...], ...] = (*TWO, ((3, 4), (3, 4)), ((1, 4), (1, 4)))
MATMUL: tuple[tuple[Shape, ...], ...] = (
    ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((5, 2, 3), (3,)),
    ((3,), (5, 3, 2)), ((5, 2, 3), (5, 3, 4)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (3, 4)),
    ((5, 1, 2, 3), (4, 3, 2)), ((1, 2, 3), (4, 3, 2)), ((0, 3), (3, 2)), ((2, 0), (0, 3)),
    ((1, 1), (1, 1)),
)  # fmt: skip
INDICES: tuple[Any, ...] = (
    2, -1, slice(1, 3), slice(None, None, -1), slice(None, None, 2), (slice(None), 1), (..., 0),
    None, (slice(None), None, 1), np.array([0, 2, 2, 0, 2]), (slice(None), np.array([1, 1, 0])),
    (np.array([0, 1, 0]), np.array([1, 1, 1])), (np.array([[0, 1], [1, 0]]),), (slice(1, 1),), (),
    np.array([True, False, True, True]), ..., (np.array([3, 0]), slice(0, 2)), np.int64(1),
    np.array([], dtype=int), (np.array([0, 0]), None, slice(None)), (slice(-3, None), -2),
    (slice(None), slice(None), None), (None, slice(None)), (slice(None), slice(None)), (..., None),
)  # fmt: skip
OF_A_NUMBER: tuple[Any, ...] = (None, (), ..., (None, ..., None))
#: Shapes for so many numbers, in every way `reshape` takes one.
FORMS: dict[int, tuple[Any, ...]] = {
    12: ((3, 4), (-1,), (12,), 12, (2, -1, 2), (1, 12), [4, 3], np.array([6, 2])),
    1: ((), (1,), 1, (1, 1, 1)), 0: ((0,), (3, 0), 0, (2, 0, 5)),
}  # fmt: skip


def per_example(loss: Callable[[Any, Any], Any], predictions: Draw) -> Row:
    """A loss of a prediction against a target, its units summed over any axis or none."""
    return elementwise(
        lambda a, y, axis=None: _summed(loss(a, y), axis),
        predictions,
        unit,
        shapes=PER_EXAMPLE,
        varied=of_units,
    )


def places(rng: np.random.Generator, n: int) -> Any:
    """Whole numbers, 0 and 1."""
    return rng.integers(0, 2, n).astype(float)


def well_conditioned(rng: np.random.Generator, n: int) -> Any:
    """A square matrix, row after row, whose inverse is of its own size."""
    k = math.isqrt(n)
    return (2 * np.eye(k) + rng.uniform(-0.5, 0.5, (k, k))).ravel()


def _placed_along(x: Any, index: Any, axis: int, n: int) -> Any:
    x, index = (np.moveaxis(a, axis, -1) for a in np.broadcast_arrays(x, np.real(index)))
    return np.moveaxis((x[..., None] * (index[..., None] == np.arange(n))).sum(-2), -1, axis)


def _sorted(x: Any, axis: Any) -> Any:
    x, axis = (np.ravel(x), 0) if axis is None else (x, axis)
    return np.take_along_axis(x, np.argsort(np.real(x), axis=axis), axis)


def _median(x: Any, axis: Any, keepdims: bool) -> Any:
    """The mean of those that are in the middle by their real parts."""
    x = np.asarray(x)
    gone = sorted(a % x.ndim for a in (np.atleast_1d(axis) if axis is not None else range(x.ndim)))
    kept = [a for a in range(x.ndim) if a not in gone]
    rows = [x.shape[a] for a in kept]
    flat = _sorted(x.transpose(*kept, *map(int, gone)).reshape(*rows, -1), -1)
    n = flat.shape[-1]
    shape = [1 if a in gone else n for a, n in enumerate(x.shape)] if keepdims else rows
    return flat[..., [(n - 1) // 2, n // 2]].mean(-1).reshape(shape)


def _cut(name: str, options: tuple[dict[str, Any], ...], shape: Shape) -> Row:
    """A function that gives parts, which are put together the other way round."""
    along = {"hsplit": 1, "dsplit": 2}.get(name, 0)

    def asked(functions: Any) -> Callable[..., Any]:
        def call(x: Any, indices_or_sections: Any = 2, **axis: int) -> Any:
            parts = getattr(functions, name)(x, indices_or_sections, **axis)
            return functions.concatenate(list(parts)[::-1], axis=axis.get("axis", along))

        return call

    return Row(asked(np), shapes=((shape,),), options=options, call=asked(tg))


def _solved(solve: Callable[[Any], Any], misses: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """A reference that is right on complex numbers too, of what is solved for: one step of Newton's
    method from the solution at the real parts, by how much `misses`, made of polynomials, tells."""

    def reference(x: Any) -> Any:
        y, h = np.asarray(solve(np.real(x))), 1e-25
        if not np.iscomplexobj(x):
            return y
        slopes = []
        for k in range(y.size):
            moved = y.astype(complex).ravel()
            moved[k] += 1j * h
            slopes.append(np.imag(misses(moved.reshape(y.shape), np.real(x))) / h)
        missed = np.imag(misses(y, x)) / h
        return y - 1j * h * np.linalg.lstsq(np.transpose(slopes), missed)[0].reshape(y.shape)

    return reference


def _together(*parts: Any) -> Any:
    return np.concatenate([np.ravel(part) for part in parts])


def _mean_of_both(x: Any) -> Any:
    return (x + np.swapaxes(x, -1, -2)) / 2


def _eigh(x: Any, part: int) -> Any:
    n = x.shape[-1]

    def misses(y: Any, x: Any) -> Any:
        w, v = y[:n], y[n:].reshape(n, n)
        return _together(_mean_of_both(x) @ v - v * w, v.T @ v - np.eye(n))

    y = _solved(lambda x: _together(*np.linalg.eigh(_mean_of_both(x))), misses)(x)
    return y[n:].reshape(n, n) if part else y[:n]


def _svd(x: Any, part: int) -> Any:
    n, m = x.shape
    k = min(n, m)

    def apart(y: Any) -> Any:
        return y[: n * k].reshape(n, k), y[n * k : n * k + k], y[n * k + k :].reshape(k, m)

    def misses(y: Any, x: Any) -> Any:
        u, s, vt = apart(y)
        return _together(u * s @ vt - x, u.T @ u - np.eye(k), vt @ vt.T - np.eye(k))

    return apart(_solved(lambda x: _together(*np.linalg.svd(x, full_matrices=False)), misses)(x))[
        part
    ]


def _qr(x: Any, part: int) -> Any:
    n, m = x.shape

    def apart(y: Any) -> Any:
        return y[: n * m].reshape(n, m), y[n * m :].reshape(m, m)

    def misses(y: Any, x: Any) -> Any:
        q, r = apart(y)
        return _together(q @ r - x, q.T @ q - np.eye(m), np.tril(r, -1))

    return apart(_solved(lambda x: _together(*np.linalg.qr(x)), misses)(x))[part]


def _cholesky(x: Any) -> Any:
    return _solved(
        lambda x: np.linalg.cholesky(_mean_of_both(x)),
        lambda y, x: _together(y @ y.T - _mean_of_both(x), np.triu(y, 1)),
    )(x)


def each_matrix(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function of a matrix, of each of a batch."""

    def batch(x: Any, **options: Any) -> Any:
        if np.ndim(x) == 2:
            return f(x, **options)
        return np.stack([batch(one, **options) for one in x])

    return batch


def _pinv(x: Any) -> Any:
    n, m = x.shape[-2:]
    t = np.swapaxes(x, -1, -2)
    return np.linalg.inv(t @ x) @ t if n >= m else t @ np.linalg.inv(x @ t)


def _over_gaps(x: Any, w: Any, v: Any, strict: bool = True) -> Any:
    gap = w[..., None, :] - v[..., :, None]
    return np.where(gap == 0, 0, x / np.where(gap == 0, 1, gap))


def _windows_summed(x: Any, lengths: Any, axes: Any, shape: Any) -> Any:
    places = np.arange(np.prod(shape)).reshape(shape)
    windows = np.lib.stride_tricks.sliding_window_view(places, lengths, axes)
    z = np.zeros(np.prod(shape), np.result_type(x))
    np.add.at(z, windows.ravel(), np.ravel(x))
    return z.reshape(shape)


def _norm_of_order(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """From NumPy's own description of each order."""
    sizes = np.where(np.real(x) < 0, -x, x)
    if isinstance(axis, tuple) or (axis is None and np.ndim(x) == 2):
        rows, columns = axis or (0, 1)
        if ord in ("fro", None):
            return np.sqrt(np.sum(x * x, axis=(rows, columns), keepdims=keepdims))
        if ord in ("nuc", 2, -2):
            values = each_matrix(_svd)(np.moveaxis(x, (rows, columns), (-2, -1)), part=1)
            z = values.sum(-1) if ord == "nuc" else values[..., 0 if ord == 2 else -1]
        else:
            total = sizes.sum(rows if abs(ord) == 1 else columns, keepdims=True)
            z = _pick(total, ord > 0, (rows, columns), False)
        shape = [1 if a in (rows % x.ndim, columns % x.ndim) else n for a, n in enumerate(x.shape)]
        return np.reshape(z, shape) if keepdims else z
    if math.isinf(ord):
        return _pick(sizes, ord > 0, axis, keepdims)
    return np.sum(sizes**ord, axis=axis, keepdims=keepdims) ** (1 / ord)


def positive_definite(rng: np.random.Generator, n: int) -> Any:
    """Square matrices, row after row, whose symmetric parts have eigenvalues from 0.7 up, apart."""
    k = 3
    x = rng.uniform(-0.3, 0.3, (n // 9, k, k))
    return (x - 0.5 * np.swapaxes(x, -1, -2) + np.diag([1.0, 2.0, 3.5])).ravel()


def symmetric(rng: np.random.Generator, n: int) -> Any:
    """The same, symmetric."""
    return _mean_of_both(positive_definite(rng, n).reshape(-1, 3, 3)).ravel()


MATRICES: tuple[tuple[Shape, ...], ...] = (((3, 3),), ((2, 3, 3),))


def factor(f: Callable[..., Any], shapes: Any, parts: int, domain: Draw = real) -> Row:
    """One part of a factoring."""
    return Row(each_matrix(f), (domain,), shapes, tuple({"part": i} for i in range(parts)))


def _convolved(x: Any, w: Any, b: Any, stride: int = 1, padding: int = 0) -> Any:
    n = np.ndim(x) - 2
    x = np.pad(x, [(0, 0), (0, 0), *[(padding, padding)] * n])
    along = tuple(range(2, n + 2))
    views = np.lib.stride_tricks.sliding_window_view(x, np.shape(w)[2:], along)
    views = views[(slice(None), slice(None), *[slice(None, None, stride)] * n)]
    letters = ("xy"[:n], "hk"[:n])
    z = np.einsum("mc{0}{1},fc{1}->mf{0}".format(*letters), views, w)
    return z + np.reshape(b, (-1, *[1] * n))


def _pooled(x: Any, reduce: Any, size: Any = 2, stride: Any = None) -> Any:
    h, w = size if isinstance(size, tuple) else (size, size)
    down, right = (h, w) if stride is None else (stride, stride)
    n, m = x.shape[-2:]
    rows = [
        [reduce(x[..., i : i + h, j : j + w]) for j in range(0, m - w + 1, right)]
        for i in range(0, n - h + 1, down)
    ]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def _standard(x: Any, axis: Any, eps: float) -> Any:
    centred = x - np.mean(x, axis, keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, axis, keepdims=True) + eps)


def _attention(q: Any, k: Any, v: Any, mask: Any = None, causal: bool = False) -> Any:
    scores = np.exp(q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1]))
    seen = np.ones(scores.shape[-2:]) if mask is None else np.array(mask)
    seen = np.tril(seen) if causal else seen
    return scores * seen / np.sum(scores * seen, -1, keepdims=True) @ v


def _huber(r: Any, delta: float) -> Any:
    size = np.where(np.real(r) < 0, -r, r)
    return np.where(np.real(size) <= delta, r * r / 2, delta * (size - delta / 2))


def _classes(x: Any) -> Any:
    """Minus ones and ones."""
    return np.resize([1, -1, -1, 1, -1], getattr(x, "shape", ()))


def _functions_of_symmetric(name: str, part: Any, **options: Any) -> Callable[..., Any]:
    """A public function on the symmetric part of what a test moves entry by entry."""

    def call(x: Any) -> Any:
        z = getattr(tg, name)((x + tg.swapaxes(x, -1, -2)) / 2, **options)
        return z if part is None else z[part]

    return call


ROWS: dict[str, Row] = {
    # --- arithmetic
    "add": elementwise(lambda x, y: x + y, real, real),
    "subtract": elementwise(lambda x, y: x - y, real, real),
    "multiply": elementwise(lambda x, y: x * y, real, real),
    "divide": elementwise(lambda x, y: x / y, real, signed(0.4, 2)),
    "negative": elementwise(lambda x: -x),
    "positive": elementwise(lambda x: x + 0),
    "power_constant": elementwise(
        lambda x, n: x**n, positive, options=tuple({"n": n} for n in (2, 3, 1, 0, -1, 0.5, -2, 2.5))
    ),
    "greater": mask(np.greater),
    "greater_equal": mask(np.greater_equal),
    "less": mask(np.less),
    "less_equal": mask(np.less_equal),
    "equal": mask(np.equal),
    "not_equal": mask(np.not_equal),
    "maximum": elementwise(lambda x, y: np.where(np.real(x) > np.real(y), x, y), real, real),
    "minimum": elementwise(lambda x, y: np.where(np.real(x) < np.real(y), x, y), real, real),
    "where": elementwise(
        lambda c, x, y: np.where(np.real(c) != 0, x, y), coins, real, real, without=(0,)
    ),
    # --- one number at a time
    "exp": elementwise(np.exp),
    "expm1": elementwise(np.expm1),
    "log": elementwise(np.log, positive),
    "log1p": elementwise(lambda x: np.log(1 + x), apart(-0.8, 3)),
    "log2": elementwise(lambda x: np.log(x) / np.log(2), positive),
    "log10": elementwise(lambda x: np.log(x) / np.log(10), positive),
    "power": elementwise(lambda x, y: np.exp(y * np.log(x)), positive, real),
    "power_log": elementwise(
        lambda x, y, logs: np.exp(y * np.log(x)) * np.log(x) ** logs,
        positive,
        real,
        options=({"logs": 1}, {"logs": 2}),
    ),
    "power_term": elementwise(
        lambda c, x, y, logs=0: c * np.exp(y * np.log(x)) * np.log(x) ** logs,
        real,
        positive,
        real,
        options=({}, {"logs": 1}, {"logs": 2}),
    ),
    "sqrt": elementwise(np.sqrt, positive),
    "sign": elementwise(lambda x: np.sign(np.real(x)), without=(0,)),
    "absolute": elementwise(lambda x: np.where(np.real(x) < 0, -x, x)),
    "sin": elementwise(np.sin),
    "cos": elementwise(np.cos),
    "tan": elementwise(np.tan, moderate),
    "arctan": elementwise(np.arctan),
    "sinh": elementwise(np.sinh),
    "cosh": elementwise(np.cosh),
    "tanh": elementwise(np.tanh),
    "tanh_slope": Row(lambda z, x: 1 - z * z, (apart(-0.9, 0.9), real), ALIKE, without=(1,)),
    "sigmoid": elementwise(lambda x: 1 / (1 + np.exp(-x))),
    "softplus": elementwise(lambda x: np.log(1 + np.exp(x))),
    "relu": elementwise(
        lambda x, at_zero=1: np.where(np.real(x) > 0, x, 0),
        options=({}, {"at_zero": 0}, {"at_zero": 0.5}),
    ),
    "leaky_relu": elementwise(
        lambda x, slope=0.01, at_zero=1: np.where(np.real(x) > 0, x, slope * x),
        options=({}, {"slope": 0.2}, {"at_zero": 0}),
    ),
    "clip": elementwise(
        lambda x, min=None, max=None: _clipped(x, min, max),
        options=tuple(
            {"min": low, "max": high}
            for low, high in ((-0.7, 0.9), (0.0, None), (None, 0.3), (-np.inf, 0.4))
        ),
    ),
    "xlogy": elementwise(lambda x, y: x * np.log(y), real, positive),
    "xdivy": elementwise(lambda x, y: x / y, real, signed(0.4, 2)),
    "divide_or_zero": elementwise(lambda x, y: x / y, real, signed(0.4, 2)),
    # --- angles, logarithms of sums, the error function, steps
    "square": elementwise(lambda x: x * x),
    "reciprocal": elementwise(lambda x: 1 / x, signed(0.4, 2)),
    "exp2": elementwise(lambda x: np.exp(x * np.log(2))),
    "arcsin": elementwise(np.arcsin, apart(-0.9, 0.9)),
    "arccos": elementwise(np.arccos, apart(-0.9, 0.9)),
    "arcsinh": elementwise(np.arcsinh),
    "arccosh": elementwise(lambda x: np.log(x + np.sqrt(x * x - 1)), apart(1.3, 4)),
    "arctanh": elementwise(np.arctanh, apart(-0.85, 0.85)),
    "hypot": elementwise(lambda x, y: np.sqrt(x * x + y * y), real, signed(0.4, 2)),
    "arctan2": elementwise(_arctan2, real, real),
    "logaddexp": elementwise(lambda x, y: np.log(np.exp(x) + np.exp(y)), real, real),
    "share": elementwise(lambda x, y: 1 / (1 + np.exp(y - x)), real, real),
    "logaddexp2": elementwise(
        lambda x, y: np.log(np.exp(x * np.log(2)) + np.exp(y * np.log(2))) / np.log(2), real, real
    ),
    "sinc": elementwise(lambda x: np.sin(np.pi * x) / (np.pi * x)),
    "sinc_slope": elementwise(_sinc_slope, options=tuple({"order": n} for n in (1, 2, 3))),
    "erf": elementwise(lambda x: _erf(x)),
    "erfc": elementwise(lambda x: 1 - _erf(x)),
    "is_nan": elementwise(lambda x: np.isnan(np.real(x)).astype(float), without=(0,)),
    "fmax": elementwise(lambda x, y: np.where(np.real(x) > np.real(y), x, y), real, real),
    "fmin": elementwise(lambda x, y: np.where(np.real(x) < np.real(y), x, y), real, real),
    "heaviside": elementwise(
        lambda x, y: np.where(np.real(x) == 0, y, np.real(x) > 0), real, real, without=(0,)
    ),
    "floor_divide": elementwise(
        lambda x, y: np.floor(np.real(x) / np.real(y)), between, twos, without=(0, 1)
    ),
    "remainder": elementwise(lambda x, y: x - y * np.floor(np.real(x) / np.real(y)), between, twos),
    "floor": elementwise(lambda x: np.floor(np.real(x)), without=(0,)),
    "ceil": elementwise(lambda x: np.ceil(np.real(x)), without=(0,)),
    "trunc": elementwise(lambda x: np.trunc(np.real(x)), without=(0,)),
    "rint": elementwise(lambda x: np.rint(np.real(x)), without=(0,)),
    "round": elementwise(
        lambda x, decimals=0: np.round(np.real(x), decimals),
        options=({}, {"decimals": 1}),
        without=(0,),
    ),
    # --- activations of today
    "silu": elementwise(lambda x: x / (1 + np.exp(-x))),
    "gelu": elementwise(_gelu, options=({}, {"approximate": "tanh"})),
    "elu": elementwise(
        lambda x, alpha=1.0: np.where(np.real(x) > 0, x, alpha * (np.exp(x) - 1)),
        options=({}, {"alpha": 0.5}),
    ),
    "selu": elementwise(
        lambda x: (
            1.0507009873554805 * np.where(np.real(x) > 0, x, 1.6732632423543772 * (np.exp(x) - 1))
        )
    ),
    # --- shaping
    "reshape": Row(
        lambda x, shape: np.reshape(x, shape),
        shapes=(((2, 6),), ((12,),), ((4, 1, 3),), ((),), ((1, 1),), ((0, 3),)),
        varied=lambda shapes: tuple({"shape": s} for s in FORMS[int(np.prod(shapes[0]))]),
    ),
    "transpose": Row(
        lambda x, axes=None: np.transpose(x, axes),
        shapes=(((2, 3, 4),), ((),), ((3,),), ((4, 0, 2),)),
        varied=lambda shapes: (
            ({}, {"axes": (1, 2, 0)}, {"axes": (-1, 0, 1)}, {"axes": [2, 1, 0]})
            if len(shapes[0]) == 3
            else ({},)
        ),
    ),
    "broadcast_to": Row(
        lambda x, shape: np.broadcast_to(x, shape),
        shapes=(((),), ((3,),), ((2, 1),), ((1, 1, 3),), ((2, 3),)),
        options=({"shape": (4, 2, 3)},),
    ),
    "sum_to": Row(
        _fold,
        shapes=(((4, 2, 3),),),
        options=tuple(
            {"shape": s} for s in ((), (3,), (2, 1), (1, 3), (4, 1, 1), (4, 2, 3), (1, 1, 1), (1,))
        ),
    ),
    "getitem": Row(
        lambda x, index: np.asarray(x)[index],
        shapes=(((4, 3),), ((),)),
        varied=lambda shapes: tuple({"index": i} for i in (INDICES if shapes[0] else OF_A_NUMBER)),
    ),
    "scatter": Row(
        _scatter,
        shapes=(((3,),),),
        options=(
            {"index": np.array([0, 2, 2]), "shape": (4,)},
            {"index": slice(1, 4), "shape": (5,)},
            {"index": (np.array([0, 1, 1]), np.array([1, 0, 0])), "shape": (2, 2)},
            {"index": (1, slice(None)), "shape": (2, 3)},
        ),
    ),
    "joined": Row(
        lambda *xs, axis=0: np.concatenate(xs, axis=axis),
        (real, real, real),
        (((2, 3), (1, 3), (4, 3)), ((2,), (1,), (0,))),
        ({}, {"axis": 0}, {"axis": None}),
    ),
    "concatenate": Row(
        lambda *xs, axis=0: np.concatenate(xs, axis),
        (real, real),
        (((2, 3), (2, 1)), ((2, 1, 3), (2, 4, 3))),
        ({"axis": 1},),
        call=lambda *xs, axis=0: tg.concatenate(list(xs), axis=axis),
    ),
    "stack": Row(
        lambda *xs, axis=0: np.stack(xs, axis),
        (real, real),
        (((2, 3), (2, 3)),),
        ({"axis": 0}, {"axis": 1}, {"axis": -1}),
        call=lambda *xs, axis=0: tg.stack(xs, axis=axis),
    ),
    "vstack": Row(
        lambda *xs: np.vstack(xs),
        (real, real),
        (((3,), (2, 3)), ((), ()), ((2, 3, 4), (1, 3, 4))),
        call=lambda *xs: tg.vstack(xs),
    ),
    "hstack": Row(
        lambda *xs: np.hstack(xs),
        (real, real),
        (((3,), (2,)), ((2, 1), (2, 3)), ((), (2,))),
        call=lambda *xs: tg.hstack(xs),
    ),
    "swapaxes": Row(
        np.swapaxes,
        shapes=(((2, 3, 4),),),
        options=(
            {"axis1": 0, "axis2": 2},
            {"axis1": -1, "axis2": 1},
            {"axis1": 1, "axis2": 1},
        ),
    ),
    "moveaxis": Row(
        np.moveaxis,
        shapes=(((2, 3, 4),),),
        options=(
            {"source": 0, "destination": 2},
            {"source": -1, "destination": 0},
            {"source": 2, "destination": -2},
        ),
    ),
    "expand_dims": Row(
        np.expand_dims,
        shapes=(((),), ((2, 3),)),
        options=({"axis": 0}, {"axis": -1}),
    ),
    "squeeze": Row(
        np.squeeze,
        shapes=(((1, 3, 1),), ((1, 1, 1),)),
        options=({}, {"axis": 0}, {"axis": -1}, {"axis": (0, 2)}),
    ),
    "ravel": Row(np.ravel, shapes=ONE),
    # --- reductions
    "sum": reduction(
        lambda x, axis, keepdims: np.sum(x, axis=axis, keepdims=keepdims), shapes=SUMMABLE
    ),
    "mean": reduction(lambda x, axis, keepdims: np.mean(x, axis=axis, keepdims=keepdims)),
    "max": reduction(lambda x, axis, keepdims: _pick(x, True, axis, keepdims)),
    "min": reduction(lambda x, axis, keepdims: _pick(x, False, axis, keepdims)),
    "prod": reduction(
        lambda x, axis, keepdims: np.prod(x, axis=axis, keepdims=keepdims),
        signed(0.6, 1.6),
        SUMMABLE,
    ),
    "prod_of_others": Row(_prod_of_others, (signed(0.6, 1.6),), SUMMABLE[1:], varied=every_axis),
    "var": reduction(
        _variance,
        shapes=(((4,),), ((3, 2),), ((2, 3, 4),)),
        varied=lambda s: tuple(
            {**o, "ddof": d} for o in over_axes(s) if o["axis"] != () for d in (0, 1)
        ),
    ),
    "std": reduction(
        lambda x, axis, keepdims, ddof=0: np.sqrt(_variance(x, axis, keepdims, ddof)),
        shapes=(((4,),), ((3, 2),)),
        varied=lambda s: tuple(
            {**o, "ddof": d} for o in over_axes(s) if o["axis"] != () for d in (0, 1)
        ),
    ),
    "centred": Row(
        lambda x, axis: x - np.mean(x, axis=axis, keepdims=True), shapes=REDUCED, varied=along_one
    ),
    "norm": reduction(_norm, signed(0.3, 2)),
    "logsumexp": reduction(_logsumexp),
    "softmax": Row(_softmax, shapes=SUMMABLE, varied=one_axis),
    "log_softmax": Row(lambda x, axis: np.log(_softmax(x, axis)), shapes=REDUCED, varied=one_axis),
    "deviation": Row(
        lambda x, p, axis: x - np.sum(x * p, axis=axis, keepdims=True),
        (real, unit),
        tuple((s[0], s[0]) for s in REDUCED),
        varied=along_one,
    ),
    "cumsum": Row(lambda x, axis: np.cumsum(x, axis=axis), shapes=SUMMABLE, varied=along_one),
    # --- orders, differences, averages
    "ranks": Row(
        lambda x, axis: np.argsort(np.argsort(np.real(x), axis=axis), axis=axis).astype(float),
        shapes=SUMMABLE[1:],
        varied=every_axis,
        without=(0,),
    ),
    "picked_along": Row(
        lambda x, i, axis: np.take_along_axis(x, np.real(i).astype(int), axis),
        (real, places),
        (((4, 3), (2, 3)), ((4, 3), (5, 1)), ((2, 3), (2, 3)), ((2,), (5,))),
        ({"axis": 0}, {"axis": -2}),
        without=(1,),
        varied=lambda shapes: ({"axis": 0}, {"axis": -len(shapes[0])}),
    ),
    "placed_along": Row(
        _placed_along,
        (real, places),
        (((2, 3), (2, 3)), ((5, 3), (5, 1)), ((5,), (5,))),
        without=(1,),
        varied=lambda shapes: ({"axis": 0, "n": 4}, {"axis": -1, "n": 2}),
    ),
    "sort": Row(
        lambda x, axis=-1: _sorted(x, axis),
        shapes=SUMMABLE[1:],
        varied=lambda shapes: ({}, *along_one(shapes)),
    ),
    "take_along_axis": Row(
        lambda x, axis: np.take_along_axis(x, np.array([[1, 0], [-1, 1]]), axis),
        shapes=(((2, 4),), ((2, 2),)),
        options=({"axis": 1},),
        call=lambda x, axis: tg.take_along_axis(x, np.array([[1, 0], [-1, 1]]), axis=axis),
    ),
    "take": Row(
        lambda x, axis=None: np.take(x, np.array([[1, 0], [2, 1]]), axis),
        shapes=(((3, 4),),),
        options=({}, {"axis": 0}, {"axis": -1}),
        call=lambda x, axis=None: tg.take(x, [[1, 0], [2, 1]], axis=axis),
    ),
    "median": reduction(
        lambda x, axis, keepdims: _median(x, axis, keepdims),
        shapes=(((),), ((5,),), ((2, 3),), ((2, 3, 4),)),
    ),
    "ptp": reduction(
        lambda x, axis, keepdims: _pick(x, True, axis, keepdims) - _pick(x, False, axis, keepdims)
    ),
    "diff": Row(
        np.diff,
        shapes=(((4,),), ((3, 5),)),
        options=({}, {"n": 2}, {"axis": 0}, {"n": 0}),
    ),
    "cumprod": Row(
        lambda a, axis=None: np.cumprod(a, axis),
        (signed(0.6, 1.6),),
        SUMMABLE[1:],
        varied=along_one,
    ),
    "average": Row(
        lambda x, w, axis=None, keepdims=False: (
            np.sum(x * w, axis, keepdims=keepdims) / np.sum(w + 0 * x, axis, keepdims=keepdims)
        ),
        (real, positive),
        (((2, 3), (2, 3)), ((2, 3), (3,))),
        ({"axis": 1}, {"axis": -1, "keepdims": True}),
        call=lambda x, w, **o: tg.average(x, weights=w, **o),
    ),
    "nansum": reduction(
        lambda x, axis, keepdims: np.sum(x, axis=axis, keepdims=keepdims), shapes=SUMMABLE
    ),
    "nanmean": reduction(lambda x, axis, keepdims: np.mean(x, axis=axis, keepdims=keepdims)),
    # --- cut, repeated, turned, put together
    "array_split": _cut("array_split", ({"indices_or_sections": 3}, {"axis": -1}), (5, 4)),
    "split": _cut("split", ({}, {"indices_or_sections": [1, 3]}, {"axis": 1}), (4, 6)),
    "vsplit": _cut("vsplit", ({}, {"indices_or_sections": [1]}), (4, 3)),
    "hsplit": _cut("hsplit", ({}, {"indices_or_sections": [1]}), (3, 4)),
    "dsplit": _cut("dsplit", ({}, {"indices_or_sections": [1]}), (2, 3, 4)),
    "tile": Row(
        lambda A, reps: np.tile(A, reps),
        shapes=(((3,),), ((2, 3),), ((),)),
        options=({"reps": 2}, {"reps": (2, 3)}, {"reps": (2, 1, 2)}),
    ),
    "repeat": Row(
        np.repeat,
        shapes=(((3,),), ((3, 2),)),
        varied=lambda shapes: (
            {"repeats": 2},
            {"repeats": 3, "axis": 0},
            {"repeats": [1, 0, 2], "axis": 0},
            {"repeats": 2, "axis": -1},
        ),
    ),
    "pad": Row(
        np.pad,
        shapes=(((3,),), ((4, 3),)),
        options=(
            {"pad_width": 1},
            {"pad_width": (2, 1)},
            {"pad_width": (0, 2), "constant_values": 1.5},
            *({"pad_width": (2, 1), "mode": m} for m in ("edge", "reflect", "symmetric", "wrap")),
        ),
    ),
    "flip": Row(
        np.flip,
        shapes=(((3,),), ((2, 3),)),
        varied=lambda shapes: ({}, {"axis": 0}, {"axis": -1}, {"axis": (0,)}),
    ),
    "flipud": Row(np.flipud, shapes=(((3,),), ((2, 3),))),
    "fliplr": Row(np.fliplr, shapes=(((3, 2),), ((2, 3, 2),))),
    "roll": Row(
        np.roll,
        shapes=(((3, 4),),),
        options=(
            {"shift": 1},
            {"shift": -6, "axis": 1},
            {"shift": (1, 2), "axis": (0, 1)},
            {"shift": 0, "axis": 0},
        ),
    ),
    "rot90": Row(
        np.rot90,
        shapes=(((2, 3),), ((2, 3, 4),)),
        options=({}, {"k": 2}, {"k": -1}, {"k": 4}, {"axes": (1, 0)}),
    ),
    "diag": Row(
        np.diag,
        shapes=(((3,),), ((3, 4),)),
        options=({}, {"k": 1}, {"k": -2}),
    ),
    "diagflat": Row(np.diagflat, shapes=(((2, 2),), ((3,),)), options=({}, {"k": -1})),
    "diagonal": Row(
        np.diagonal,
        shapes=(((3, 4),), ((3, 4, 2),)),
        options=({}, {"offset": 1}, {"offset": -1}, {"axis1": -1, "axis2": 0}),
    ),
    "trace": Row(
        np.trace,
        shapes=(((3, 4),), ((3, 4, 2),)),
        options=({}, {"offset": 1}, {"axis1": 1, "axis2": 0}),
    ),
    "tril": Row(np.tril, shapes=(((3, 4),), ((2, 3, 3),)), options=({}, {"k": 1}, {"k": -1})),
    "triu": Row(np.triu, shapes=(((3, 4),), ((2, 3, 3),)), options=({}, {"k": 1}, {"k": -1})),
    "atleast_1d": Row(np.atleast_1d, shapes=(((),), ((3,),))),
    "atleast_2d": Row(np.atleast_2d, shapes=(((),), ((3,),), ((2, 3),))),
    "atleast_3d": Row(np.atleast_3d, shapes=(((),), ((3,),), ((2, 3),), ((2, 3, 4),))),
    "column_stack": Row(
        lambda *xs: np.column_stack(xs),
        (real, real),
        (((3,), (3, 2)), ((3,), (3,))),
        call=lambda *xs: tg.column_stack(xs),
    ),
    "dstack": Row(
        lambda *xs: np.dstack(xs),
        (real, real),
        (((3,), (3,)), ((2, 3), (2, 3, 2))),
        call=lambda *xs: tg.dstack(xs),
    ),
    "append": Row(
        np.append,
        (real, real),
        (((2, 3), (2, 3)), ((2, 3), (4, 3))),
        ({}, {"axis": 0}),
    ),
    "delete": Row(
        np.delete,
        shapes=(((4, 3),),),
        options=({"obj": 1}, {"obj": [0, 2], "axis": 1}, {"obj": -1, "axis": 0}),
    ),
    "block": Row(
        lambda x, y: np.block([[x, y], [y, x]]),
        (real, real),
        (((2, 3), (2, 1)), ((), (2,))),
        call=lambda x, y: tg.block([[x, y], [y, x]]),
    ),
    "broadcast_arrays": Row(
        lambda x, y: np.stack(np.broadcast_arrays(x, y)),
        (real, real),
        (((2, 1), (3,)), ((), ())),
        call=lambda x, y: tg.stack(tg.broadcast_arrays(x, y)),
    ),
    # --- products
    "matmul": Row(np.matmul, (real, real), MATMUL),
    "dot": Row(
        np.dot,
        (real, real),
        (((), ()), ((), (2, 3)), ((3,), (3,)), ((2, 3), (3,)), ((2, 3), (3, 4))),
    ),
    "outer": Row(np.outer, (real, real), (((3,), (4,)), ((), (2,)), ((2, 2), (3,)))),
    "tensordot": Row(
        np.tensordot,
        (real, real),
        (((2, 3, 4), (3, 4, 5)), ((3, 4), (3, 4))),
        varied=lambda shapes: (
            {},
            {"axes": ([1], [0])} if len(shapes[0]) == 3 else {"axes": (0, 0)},
        ),
    ),
    "inner": Row(np.inner, (real, real), (((3,), (3,)), ((2, 3), (4, 3)), ((), (3,)))),
    "vdot": Row(lambda x, y: np.sum(np.ravel(x) * np.ravel(y)), (real, real), (((2, 3), (3, 2)),)),
    "kron": Row(np.kron, (real, real), (((2,), (3,)), ((2, 3), (3, 2)), ((2,), (3, 2)))),
    "convolve": Row(
        np.convolve,
        (real, real),
        (((5,), (3,)), ((2,), (4,))),
        tuple({"mode": mode} for mode in ("full", "same", "valid")),
    ),
    "correlate": Row(
        lambda x, y, mode: np.convolve(x, y[::-1], mode),
        (real, real),
        (((5,), (3,)), ((4,), (2,))),
        tuple({"mode": mode} for mode in ("full", "valid")),
    ),
    "einsum": Row(
        lambda x, y, subscripts: np.einsum(subscripts, x, y),
        (real, real),
        (((2, 3, 3), (4, 3, 2)),),
        tuple(
            {"subscripts": s}
            for s in (
                "abc,dce->abde",
                "abc,dba->dc",
                "abb,cba->ca",
                "abc,dbe",
                "abc,dba->",
                "abc,dca->bcd",
                "...bc,dca->b...d",
            )
        ),
        call=lambda x, y, subscripts: tg.einsum(subscripts, x, y),
    ),
    "inv": Row(np.linalg.inv, shapes=(((3, 3),), ((2, 3, 3),))),
    "det": Row(np.linalg.det, shapes=(((3, 3),), ((2, 3, 3),))),
    "solve": Row(
        lambda a, b: np.linalg.inv(a) @ b,
        (well_conditioned, real),
        (((3, 3), (3,)), ((3, 3), (3, 2))),
    ),
    "cofactors": Row(
        lambda x: np.linalg.det(x)[..., None, None] * np.swapaxes(np.linalg.inv(x), -1, -2),
        shapes=MATRICES,
    ),
    "log_abs_det": Row(
        lambda x: np.log(np.linalg.det(x) * np.sign(np.real(np.linalg.det(x)))), shapes=MATRICES
    ),
    "sign_of_det": Row(lambda x: np.sign(np.linalg.det(np.real(x))), shapes=MATRICES, without=(0,)),
    "slogdet": Row(
        lambda x: np.log(np.linalg.det(x) * np.sign(np.real(np.linalg.det(x)))),
        shapes=MATRICES,
        call=lambda x: tg.slogdet(x)[0] * tg.slogdet(x)[1] * tg.sign(tg.det(x)),
    ),
    "cholesky_factor": Row(each_matrix(_cholesky), (symmetric,), MATRICES),
    "cholesky": Row(
        lambda x: np.swapaxes(each_matrix(_cholesky)(x), -1, -2),
        (positive_definite,),
        MATRICES,
        call=_functions_of_symmetric("cholesky", None, upper=True),
    ),
    "over_gaps": Row(
        _over_gaps,
        (real, real, apart(3, 6)),
        (((2, 3), (3,), (2,)), ((4, 2, 3), (4, 3), (4, 2))),
        ({}, {"strict": False}),
    ),
    "eigh_part": factor(_eigh, MATRICES, 2, symmetric),
    "eigh": Row(
        lambda x: each_matrix(_eigh)(x, part=1),
        (positive_definite,),
        MATRICES,
        call=_functions_of_symmetric("eigh", 1),
    ),
    "eigvalsh": Row(
        lambda x: each_matrix(_eigh)(x, part=0),
        (positive_definite,),
        MATRICES,
        call=_functions_of_symmetric("eigvalsh", None),
    ),
    "svd_part": factor(_svd, (((3, 3),), ((4, 2),), ((2, 4),), ((2, 3, 2),)), 3),
    "svd": Row(
        each_matrix(_svd),
        shapes=(((3, 3),), ((2, 3),)),
        options=({"part": 0}, {"part": 2}),
        call=lambda x, part: tg.svd(x, full_matrices=np.shape(x)[0] == 3)[part],
    ),
    "svdvals": Row(lambda x: each_matrix(_svd)(x, part=1), shapes=(((4, 2),),)),
    "qr_part": factor(_qr, (((3, 3),), ((4, 2),), ((2, 3, 2),)), 2),
    "qr": Row(
        lambda x: _qr(x[:, : len(x)], 0).T @ x,
        shapes=(((3, 3),), ((2, 4),)),
        call=lambda x: tg.qr(x)[1],
    ),
    "pinv": Row(_pinv, shapes=(((3, 3),), ((4, 2),), ((2, 4),), ((2, 3, 2),))),
    "norm of an order": Row(
        _norm_of_order,
        (signed(0.3, 2),),
        shapes=(((4,),), ((3, 2),), ((2, 4, 3),)),
        varied=lambda shapes: (
            *({"ord": p, "axis": -1} for p in (1, 2, math.inf, -math.inf, 3, -1, 0.5)),
            *(
                {"ord": p, "axis": (0, -1), "keepdims": k}
                for p, k in (("fro", True), ("nuc", False), (1, True), (-1, False))
                if len(shapes[0]) > 1
            ),
            *({"ord": p} for p in (2, -2, math.inf, -math.inf) if len(shapes[0]) == 2),
        ),
        call=lambda x, **options: tg.norm(x, **options),
    ),
    # --- windows
    "windows": Row(
        lambda x, lengths, axes: np.lib.stride_tricks.sliding_window_view(x, lengths, axes),
        shapes=(((5, 4),), ((5, 4, 2),)),
        options=({"lengths": (2,), "axes": (0,)}, {"lengths": (3, 2), "axes": (1, 0)}),
    ),
    "windows_summed": Row(
        _windows_summed,
        shapes=(((2, 4, 3, 2),),),
        options=({"lengths": (3, 2), "axes": (1, 0), "shape": (3, 6)},),
    ),
    "sliding_window_view": Row(
        np.lib.stride_tricks.sliding_window_view,
        shapes=(((5, 4),),),
        options=(
            {"window_shape": (2, 3)},
            {"window_shape": 2, "axis": -1},
            {"window_shape": [2], "axis": (0,)},
        ),
    ),
    "matrix_power": Row(
        np.linalg.matrix_power,
        shapes=(((3, 3),),),
        options=tuple({"n": n} for n in (1, 2, 3, -2)),
    ),
    "multi_dot": Row(
        lambda x, y, z: x @ y @ z,
        (real, real, real),
        (((2, 3), (3, 4), (4, 1)),),
        call=lambda *xs: tg.multi_dot(xs),
    ),
    # --- networks
    "conv1d": Row(
        _convolved,
        (real, real, real),
        (((2, 3, 6), (4, 3, 2), (4,)),),
        ({}, {"stride": 2}, {"padding": 1}),
    ),
    "conv2d": Row(
        _convolved,
        (real, real, real),
        (((2, 3, 5, 4), (2, 3, 2, 3), (2,)), ((1, 1, 3, 3), (1, 1, 3, 3), (1,))),
        ({}, {"stride": 2, "padding": 1}),
    ),
    "max_pool2d": Row(
        lambda x, **o: _pooled(x, lambda part: _pick(part, True, (-2, -1), False), **o),
        shapes=(((2, 5, 6),), ((4, 4),)),
        options=({}, {"size": (3, 2)}, {"size": 3, "stride": 1}),
    ),
    "avg_pool2d": Row(
        lambda x, **o: _pooled(x, lambda part: np.mean(part, (-2, -1)), **o),
        shapes=(((2, 5, 6),), ((4, 4),)),
        options=({}, {"size": (2, 3), "stride": 2}),
    ),
    "layer_norm": Row(
        lambda x, g, b, axis=-1, eps=1e-5: (
            _standard(x, axis, eps) * np.moveaxis(g[..., None] * np.ones((1, 2)), 0, axis)
            + np.moveaxis(b[..., None] * np.ones((1, 2)), 0, axis)
        ),
        (real, real, real),
        (((3, 2), (3,), (3,)), ((2, 3), (3,), (3,))),
        varied=lambda shapes: ({"axis": shapes[0].index(3), "eps": 0.1},),
    ),
    "batch_norm": Row(
        lambda x, g, b, axis, eps=1e-5: (
            _standard(x, axis, eps)
            * np.reshape(g, (-1, *[1] * (x.ndim - 2)) if x.ndim > 2 else (-1, 1))
            + np.reshape(b, (-1, *[1] * (x.ndim - 2)) if x.ndim > 2 else (-1, 1))
        ),
        (real, real, real),
        (((3, 5), (3,), (3,)), ((2, 3, 4, 2), (3,), (3,))),
        varied=lambda shapes: ({"axis": 1 if len(shapes[0]) == 2 else (0, 2, 3), "eps": 0.1},),
    ),
    "rms_norm": Row(
        lambda x, g, axis=-1, eps=1e-5: x / np.sqrt(np.mean(x * x, axis, keepdims=True) + eps) * g,
        (real, real),
        (((2, 3), (3,)), ((4, 2, 3), (3,))),
        ({"axis": -1},),
    ),
    "attention": Row(
        _attention,
        (real, real, real),
        (((3, 4), (5, 4), (5, 2)), ((2, 3, 4), (2, 5, 4), (2, 5, 1))),
        (
            {},
            {"causal": True},
            {"mask": ((1, 0, 1, 0, 0), (1, 1, 1, 1, 1), (0, 0, 0, 0, 1))},
        ),
    ),
    "embedding": Row(
        lambda table, indices: table[np.array(indices)],
        shapes=(((4, 3),),),
        options=({"indices": (2, 0, 2, -1)}, {"indices": ((1, 3), (3, 3))}),
    ),
    "dropout": Row(
        lambda x, rate, mask: x * np.array(mask) / (1 - rate),
        shapes=(((2, 3),),),
        options=({"rate": 0.2, "mask": ((1, 0, 1), (0, 1, 1))},),
    ),
    # --- losses
    "huber": Row(
        lambda a, y, delta=1.0, axis=0: _over_units(_huber(a - y, delta), axis, np.mean),
        (real, real),
        (((), ()), ((4,), (4,)), ((3, 4), (3, 4))),
        ({}, {"axis": 1}, {"delta": 0.3}),
    ),
    "hinge": Row(
        lambda z, axis=0: _over_units(
            np.where(np.real(1 - _classes(z) * z) > 0, 1 - _classes(z) * z, 0), axis, np.sum
        ),
        shapes=(((),), ((4,),), ((3, 4),)),
        options=({}, {"axis": 1}),
        call=lambda z, **axis: tg.hinge(z, _classes(z), **axis),
    ),
    "kl_divergence": Row(
        lambda p, q, axis=0: np.sum(p * np.log(p / q), axis=axis),
        (unit, unit),
        (((3, 4), (3, 4)), ((4,), (4,))),
        varied=every_axis,
    ),
    "bernoulli_loss": per_example(_bernoulli, unit),
    "logistic_loss": per_example(_logistic, real),
    "logistic_residual": elementwise(lambda z, y: 1 / (1 + np.exp(-z)) - y, real, unit),
    "softmax_residual": Row(
        lambda z, y, axis=0: _softmax(z, axis) * np.sum(y, axis=axis, keepdims=True) - y,
        (real, unit),
        (((3, 4), (3, 4)), ((4,), (4,)), ((2, 3, 4), (2, 3, 4))),
        varied=every_axis,
    ),
    "softmax_loss": Row(
        lambda z, y, axis=0: -np.sum(y * np.log(_softmax(z, axis)), axis=axis),
        (real, unit),
        (((3, 4), (3, 4)), ((4,), (4,)), ((2, 3, 4), (2, 3, 4))),
        varied=every_axis,
    ),
    "binary_cross_entropy": Row(
        lambda a, y, axis=0, from_logits=False: _over_units(
            (_logistic if from_logits else _bernoulli)(a, y), axis, np.sum
        ),
        (unit, unit),
        (((), ()), ((4,), (4,)), ((3, 4), (3, 4))),
        ({}, {"axis": 1}, {"from_logits": True}),
    ),
    "cross_entropy": Row(
        lambda z, labels, axis=0: -np.sum(labels * np.log(_softmax(z, axis)), axis=axis),
        (real, unit),
        (((3, 4), (3, 4)), ((4,), (4,))),
        varied=every_axis,
    ),
    "mean_squared_error": Row(
        lambda a, y, axis=0: _over_units((a - y) ** 2, axis, np.mean),
        (real, real),
        (((), ()), ((4,), (4,)), ((3, 4), (3, 4))),
        ({}, {"axis": 1}),
    ),
}


def _clipped(x: Any, low: Any, high: Any) -> Any:
    if low is not None:
        x = np.where(np.real(x) < low, low, x)
    if high is not None:
        x = np.where(np.real(x) > high, high, x)
    return x


def _function(name: str, row: Row) -> Callable[..., Any]:
    return row.call or TABLE.get(name) or getattr(tg, name)


def sampled(
    name: str, row: Row, shapes: tuple[Shape, ...], options: dict[str, Any], salt: int
) -> Case:
    """One case; the numbers depend on the operation, the shapes and `salt` only."""
    rng = np.random.default_rng([zlib.crc32(f"{name}{shapes}".encode()), salt])
    sizes = [int(np.prod(s)) for s in shapes]
    if all(domain is row.domains[0] for domain in row.domains):  # distinct across the inputs too
        numbers = np.split(row.domains[0](rng, sum(sizes)), np.cumsum(sizes)[:-1])
    else:
        numbers = [domain(rng, n) for domain, n in zip(row.domains, sizes)]
    arrays = tuple(x.reshape(s) if s else float(x[0]) for x, s in zip(numbers, shapes))
    wrt = tuple(i for i in range(len(arrays)) if i not in row.without)
    return Case(name, _function(name, row), row.reference, arrays, options, wrt)


def cases(name: str, salt: int = 0) -> list[Case]:
    """All cases of an operation."""
    row = ROWS[name]
    return [
        sampled(name, row, shapes, options, salt)
        for shapes in row.shapes
        for options in (row.varied(shapes) if row.varied else row.options)
    ]


def some_cases(name: str, salt: int = 0) -> list[Case]:
    """A dozen of them, from all over the row."""
    every = cases(name, salt)
    return every[:: len(every) // 12 + 1]
