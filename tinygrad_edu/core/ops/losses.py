"""Losses per example. Nothing but declarations, and the functions that choose between them."""

from __future__ import annotations

import operator
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.core.ops.arithmetic import less_equal, power_constant, subtract, where
from tinygrad_edu.core.ops.elementwise import (
    absolute,
    digits_lost,
    log,
    log1p,
    relu,
    sigmoid,
    softplus,
    xdivy,
    xlogy,
)
from tinygrad_edu.core.ops.reductions import (
    deviation,
    exponentials,
    log_softmax,
    logsumexp,
    mean,
    reduced_shape,
    softmax,
    spread,
    sum,
)
from tinygrad_edu.core.ops.shaping import axis_number, getitem, reshape, transpose
from tinygrad_edu.core.primitive import (
    GradError,
    Primitive,
    Shape,
    Traced,
    asarray,
    own_errors,
    primitive,
    shape,
    yes_or_no,
)

__all__ = [
    "binary_cross_entropy", "cross_entropy", "hinge", "huber", "kl_divergence",
    "mean_squared_error", "one_hot",
]  # fmt: skip


def _put_back(dz: Any, z: Any, axis: int | None) -> Any:
    """The gradient of a loss per example, with the axis of the units back as length 1."""
    if axis == 0 and type(dz) is np.ndarray:
        return dz[None]
    return dz if axis is None else spread(dz, z, axis, keepdims=False)


def _summed(loss: Any, axis: int | None) -> Any:
    return loss if axis is None else sum(loss, axis=axis)


def _total(loss: Any, axis: int | None) -> Any:
    if axis is None:
        return loss
    if loss.shape[axis] == 1:  # one unit: nothing to add
        return loss.squeeze(axis)
    return np.add.reduce(loss, axis=axis)


def _without(default: int | None = None) -> Any:
    """The shape rule of a loss: broadcast, without the axis of the units."""

    def rule(a: Shape, y: Shape, *, axis: int | None = default) -> Shape:
        both = np.broadcast_shapes(a, y)
        return both if axis is None else reduced_shape(both, axis=axis)

    return rule


@primitive(
    lambda dz, loss, a, y, *, axis=None: (
        _put_back(dz, a, axis) * (xdivy(1.0 - y, 1.0 - a) - xdivy(y, a))
    ),
    lambda dz, loss, a, y, *, axis=None: _put_back(dz, a, axis) * (log1p(-a) - log(a)),
    shape=_without(), symbol="cross-entropy", latex=r"\mathcal{{L}}({0}, {1})",
    definition=lambda a, y, *, axis=None: _summed(
        -(y * log(a) + (1.0 - y) * log(1.0 - a)), axis
    ),
    spelling=lambda a, y, *, axis=None: _summed(-(xlogy(y, a) + xlogy(1.0 - y, 1.0 - a)), axis),
    traits={"axes"},
    called="binary_cross_entropy",
)  # fmt: skip
def bernoulli_loss(a: Any, y: Any, axis: int | None = None) -> Any:
    """``−(y log a + (1−y) log(1−a))``, where ``0 · log 0 = 0`` (lecture, S4); summed over an axis.

    >>> bernoulli_loss(1.0, 1.0)
    0.0
    """
    a, y = asarray(a), asarray(y)
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = np.where(y == 0, 0, y * np.log(a))
        unseen = np.where(y == 1, 0, (1 - y) * np.log1p(-np.minimum(a, 1)))  # 1 + 2e-16 is 1
        loss = -(seen + unseen)
    if np.isinf(loss).any():
        warnings.warn(
            "binary_cross_entropy: a probability is exactly 0 or 1 and wrong, so the loss is "
            "infinite. Pass the logits z instead of a = sigmoid(z), with from_logits=True: exact",
            RuntimeWarning,
            stacklevel=2,
        )
    return _total(loss + 0.0, axis)  # -0.0 becomes 0.0


#: Of more numbers, too many for a processor's cache, slopes are computed again: keeping them would
#: save little time and take much memory.
_KEPT = 1 << 16


def _logistic(z: Any, y: Any) -> tuple[Any, Any]:
    """Of ``log(1 + eᶻ) − y z = w z + log(1 + e)``, with ``e = e^−|z|``: w and e.

    Nothing overflows; and w, ``1 − y`` for z above 0 and ``−y`` below, is 0 for a right answer.
    """
    e = np.asarray(np.copysign(z, -1.0))
    np.exp(e, out=e)
    above = np.asarray(np.copysign(0.5, z))
    above += 0.5
    return np.asarray(above - y), e


def _logistic_total(z: Any, w: Any, e: Any, axis: int | None) -> Any:
    """``w z + log(1 + e)``, in the memory of w and e."""
    if e.size and not e.item(e.argmin()):  # then z may be infinite: 0 of it is nothing
        z = np.where(w == 0, 0, z)
    w *= z
    w += np.log1p(e, out=e)
    return _total(w, axis)


def _logistic_slope(z: Any, y: Any, axis: int | None = None) -> tuple[Any, Any]:
    """The loss, and its derivative."""
    w, e = _logistic(z, y)
    slope = None if e.size > _KEPT else _residual(z, w, e)
    return _logistic_total(z, w, e, axis), slope


def _residual(z: Any, w: Any, e: Any) -> Any:
    """``sigmoid(z) − y``: w, and ``e / (1 + e)`` towards 1/2."""
    towards_half = np.asarray(1.0 + e)
    np.divide(e, towards_half, out=towards_half)
    return w - np.copysign(towards_half, z, out=towards_half)


@primitive(
    lambda dz, r, z, y: dz * sigmoid(z) * sigmoid(-z),
    lambda dz, r, z, y: -dz,
    latex=r"\left(\sigma({0}) - {1}\right)",
    definition=lambda z, y: sigmoid(z) - y,
    traits={"elementwise", "opened"},
)  # fmt: skip
def logistic_residual(z: Any, y: Any) -> Any:
    """``sigmoid(z) − y``, to the last digit also where sigmoid(z) rounds to y.

    >>> float(logistic_residual(50.0, 1.0) / np.exp(-50.0)), logistic_residual(0.0, 0.0)
    (-1.0, 0.5)
    """
    return _residual(z, *_logistic(np.asarray(z), y))


@primitive(
    lambda dz, loss, z, y, *, axis=None, slope=None: (
        _put_back(dz, z, axis) * (logistic_residual(z, y) if slope is None else slope)
    ),
    lambda dz, loss, z, y, *, axis=None: _put_back(dz, z, axis) * -z,
    shape=_without(), with_slope=_logistic_slope,
    symbol="cross-entropy", latex=r"\mathcal{{L}}(\sigma({0}), {1})",
    definition=lambda z, y, *, axis=None: _summed(softplus(z) - y * z, axis),
    traits={"axes"},
    called="binary_cross_entropy",
)  # fmt: skip
def logistic_loss(z: Any, y: Any, axis: int | None = None) -> Any:
    """`bernoulli_loss` of ``a = sigmoid(z)`` from z itself: ``log(1 + eᶻ) − y z``, exact at ±1000.

    >>> logistic_loss(0.0, 1.0) == softplus(0.0)
    True
    """
    return _logistic_total(z, *_logistic(z, y), axis)


def _softmax(z: Any, y: Any, axis: int) -> tuple[Any, Any, Any]:
    """The loss; of the softmax numerator, and denominator less 1."""
    _, shifted, e, others = exponentials(z, axis)
    lost = np.log1p(others) - shifted
    return np.add.reduce(y * np.where(y == 0, 0, lost), axis=axis), e, others


def _softmax_slope(z: Any, y: Any, axis: int = 0) -> tuple[Any, Any]:
    """The loss, and its derivative."""
    loss, e, others = _softmax(z, y, axis)
    return loss, None if e.size > _KEPT else _softmax_residual(y, e, others, axis)


def _softmax_residual(y: Any, e: Any, others: Any, axis: int) -> Any:
    """``p Σy − y``; where a probability p is nearly 1, as ``p (Σy − y) − (1 − p) y``."""
    given, total = np.add.reduce(y, axis=axis, keepdims=True), others + 1.0
    if not digits_lost(others):
        return np.subtract(e * (given / total), y)
    missing = np.where(e == 1, others, total - e)  # of 1 − p, the numerator
    return (e * (given - y) - missing * y) / total


@primitive(
    lambda dz, r, z, y, *, axis=0: (
        _d_softmax(dz, z, axis) * sum(y, axis=axis, keepdims=True)
    ),
    lambda dz, r, z, y, *, axis=0: (
        sum(dz * softmax(z, axis=axis), axis=axis, keepdims=True) - dz
    ),
    shape=lambda z, y, *, axis=0: z,
    latex=r"\left(\operatorname{{softmax}}({0}) - {1}\right)",
    definition=lambda z, y, *, axis=0: (
        softmax(z, axis=axis) * sum(y, axis=axis, keepdims=True) - y
    ),
    traits={"axes", "opened"},
)  # fmt: skip
def softmax_residual(z: Any, y: Any, axis: int = 0) -> Any:
    """``softmax(z) Σy − y`` along `axis`, to the last digit also where the softmax rounds to y.

    >>> residual = softmax_residual(np.array([50.0, 0.0]), np.array([1.0, 0.0]))
    >>> (residual == np.exp(-50.0) * np.array([-1.0, 1.0])).tolist()
    [True, True]
    """
    _, _, e, others = exponentials(z, axis)
    return _softmax_residual(np.asarray(y), e, others, axis)


def _d_softmax(dz: Any, z: Any, axis: int) -> Any:
    p = softmax(z, axis=axis)
    return p * deviation(dz, p, axis=axis)


@primitive(
    lambda dz, loss, z, y, *, axis=0, slope=None: _put_back(dz, z, axis) * (
        softmax_residual(z, y, axis=axis) if slope is None else slope
    ),
    lambda dz, loss, z, y, *, axis=0: _put_back(dz, z, axis) * -log_softmax(z, axis=axis),
    shape=_without(0), with_slope=_softmax_slope,
    symbol="cross-entropy", latex=r"\mathcal{{L}}(\operatorname{{softmax}}({0}), {1})",
    definition=lambda z, y, *, axis=0: sum(
        y * (logsumexp(z, axis=axis, keepdims=True) - z), axis=axis
    ),
    traits={"axes"},
    called="cross_entropy",
)  # fmt: skip
def softmax_loss(z: Any, y: Any, axis: int = 0) -> Any:
    """``−Σ y log softmax(z)`` along `axis`, from z itself; exact at ±1000.

    >>> softmax_loss(np.zeros(1), np.ones(1))
    0.0
    """
    return _softmax(z, asarray(y), axis)[0]


#: How far from 0 … 1 rounding may take a probability.
_ROUNDING = 1e-9


#: The targets looked at last, as a training loop hands in the same at every step. A weak reference.
_looked_at: list[Callable[[], Any]] = [lambda: None]


def _check_targets(y: Any, what: str, instead: str) -> None:
    """`_check_probabilities`, once for a Value: its numbers do not change."""
    numbers = y._data if isinstance(y, Traced) else None  # type: ignore[attr-defined]
    if type(numbers) is not np.ndarray:
        _check_probabilities(y, what, instead)
    elif _looked_at[0]() is not numbers:
        _check_probabilities(numbers, what, instead)
        _looked_at[0] = weakref.ref(numbers)


def _check_probabilities(x: Any, what: str, instead: str) -> None:
    """Raise GradError for numbers outside 0 … 1: a logarithm of them is no loss."""
    x = np.asarray(x._data if isinstance(x, Traced) else x)  # type: ignore[attr-defined]
    if not x.size:
        return
    least, most = x.item(x.argmin()), x.item(x.argmax())
    if least < -_ROUNDING or most > 1 + _ROUNDING:
        raise GradError(f"{what} must be from 0 to 1; found {least:g} … {most:g}. {instead}")


#: What gives the same numbers in another shape.
_MOVES = frozenset({reshape, transpose, getitem})


def _made_by(x: Any, op: Primitive) -> bool:
    """Is a Value the result of an operation, in this shape or another?"""
    while isinstance(x, Traced) and x.op in _MOVES:  # type: ignore[attr-defined]
        [x] = x.parents  # type: ignore[attr-defined]
    return isinstance(x, Traced) and x.op is op  # type: ignore[attr-defined]


def _warn_of_probabilities(loss: str, activation: str) -> None:
    warnings.warn(
        f"{loss} takes logits and was given the result of {activation}: it would be applied twice. "
        f"Pass z itself, not {activation}(z)",
        UserWarning,
        stacklevel=3,
    )


def _same_shape(name: str, a: Any, y: Any) -> Any:
    y = y if isinstance(y, Traced) else asarray(y)
    size = shape(a)
    if size != y.shape:
        raise GradError(
            f"{name}: the prediction has shape {size} and the target {y.shape}; they must be "
            "equal, nothing is broadcast"
        )
    return y


@own_errors
def binary_cross_entropy(a: Any, y: Any, from_logits: bool = False, axis: int = 0) -> Any:
    """The loss per example of a probability a against a target y: ``−(y log a + (1−y) log(1−a))``.

    `a`, `y`: one shape. In two dimensions the units lie along `axis` and their losses are summed,
    so A (n, m) gives (m,); of a number or a vector every entry is an example. With
    ``from_logits=True`` the first argument is z with ``a = sigmoid(z)``: exact even at ±1000, where
    a probability would have rounded to 0 or 1. ``tg.mean`` of it is the cost (lecture, S4 to S6).

    Raises GradError where the shapes differ, and where targets, or without `from_logits`
    predictions, are not from 0 to 1. Warns of a sigmoid's result given as logits.

    >>> tg.binary_cross_entropy(np.array([1.0, 0.0]), np.array([1.0, 0.0])).tolist()
    [0.0, 0.0]
    """
    from_logits = yes_or_no("binary_cross_entropy: from_logits", from_logits)
    y = _same_shape("binary_cross_entropy", a, y)
    _check_targets(
        y, "binary_cross_entropy: targets", "Labels −1 and 1 become 0 and 1 by (y + 1) / 2"
    )
    if from_logits:
        loss = logistic_loss
        if _made_by(a, sigmoid):
            _warn_of_probabilities("binary_cross_entropy(…, from_logits=True)", "sigmoid")
    else:
        loss = bernoulli_loss
        _check_probabilities(
            a,
            "binary_cross_entropy: probabilities",
            "Pass a = tg.sigmoid(z), or z itself with from_logits=True",
        )
    return loss(a, y, axis=axis) if len(y.shape) == 2 else loss(a, y)


@own_errors
def one_hot(labels: Any, classes: int, axis: int = 0) -> Any:
    """Integer labels (m,) as an array of zeros and ones, (classes, m) for ``axis=0``.

    Raises TypeError for labels that are no integers, GradError for one outside ``0 … classes − 1``.

    >>> tg.one_hot(np.array([0, 2]), 3).tolist()
    [[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]
    """
    return one_hot_of("one_hot: labels", asarray(labels), operator.index(classes), axis)


def one_hot_of(what: str, labels: Any, classes: int, axis: int) -> Any:
    """`one_hot` of an array that errors call `what`."""
    if labels.dtype.kind == "f" and np.all(labels == np.trunc(labels)):
        raise TypeError(f"{what} are floats; classes are whole numbers: labels.astype(int)")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{what} must be whole numbers, not {labels.dtype}")
    if labels.size and not (0 <= labels.min() and labels.max() < classes):
        raise GradError(
            f"{what} must be 0 … {classes - 1} for {classes} classes; "
            f"found {labels.min()} … {labels.max()}"
        )
    return np.moveaxis(np.eye(classes)[labels], -1, axis)


def _other_axis(size: tuple[int, ...], axis: int, labels: Any) -> str:
    """What to write where labels fit logits whose classes lie along the other axis."""
    if len(size) != 2 or shape(labels) not in ((size[axis],), (size[axis], 1), (1, size[axis])):
        return ""
    here, there = ("columns", "rows") if axis == 0 else ("rows", "columns")
    return f". With axis={axis} examples are {here}; where they are {there} write axis={1 - axis}"


@own_errors
def cross_entropy(z: Any, labels: Any, axis: int = 0) -> Any:
    """The loss per example of logits z against classes: ``−Σ y log softmax(z)`` along `axis`.

    `z`: (classes, m) for ``axis=0``, or (classes,) for one example. `labels`: one-hot in the shape
    of z, or integers of shape (m,) or (1, m). Exact and silent at ±1000; its gradient is
    ``softmax(z) − Y``.

    Raises GradError for labels of another shape, outside the classes, or, one-hot, not from 0 to 1.
    Warns of a softmax's result given as logits.

    >>> tg.cross_entropy(np.zeros((1, 2)), np.array([0, 0])).tolist()
    [0.0, 0.0]
    """
    size = shape(z)
    if not size:
        raise GradError("cross_entropy: z is a single number; it needs one logit per class")
    axis = axis_number("cross_entropy", axis, len(size))
    if not isinstance(labels, Traced):
        labels = asarray(labels)
        rest = size[:axis] + size[axis + 1 :]
        if labels.shape != size and labels.size == int(np.prod(rest)):
            # Whole numbers take the float type of the logits: float32 stays float32.
            labels = one_hot_of("cross_entropy: labels", labels.reshape(rest), size[axis], axis)
            labels = labels.astype(np.int8)
    if _made_by(z, softmax):
        _warn_of_probabilities("cross_entropy", "softmax")
    if shape(labels) != size:
        raise GradError(
            f"cross_entropy: logits of shape {size} need one-hot labels of the same shape or one "
            f"integer per example; got shape {shape(labels)}" + _other_axis(size, axis, labels)
        )
    _check_targets(
        labels, "cross_entropy: one-hot labels", "Classes by number are whole numbers, shape (m,)"
    )
    return softmax_loss(z, labels, axis=axis)


@own_errors
def mean_squared_error(a: Any, y: Any, axis: int = 0) -> Any:
    """The mean over units of ``(a − y)²``, per example.

    `a`, `y`: one shape; in two dimensions the units lie along `axis`: A (n, m) gives (m,).

    Raises GradError where the shapes differ.

    >>> tg.mean_squared_error(np.array([3.0]), np.array([1.0])).tolist()
    [4.0]
    """
    y = _same_shape("mean_squared_error", a, y)
    squares = power_constant(subtract(a, y), n=2)
    return mean(squares, axis=axis) if len(shape(a)) == 2 else squares


@own_errors
def huber(a: Any, y: Any, delta: float = 1.0, axis: int = 0) -> Any:
    """The mean over units of ``½ (a − y)²``, beyond `delta` a straight line (P. Huber, 1964).

    `a`, `y`, `axis`: as of `mean_squared_error`. Far off the gradient is ``±delta``, so that one
    wild example does not move all.

    Raises GradError where the shapes differ, or `delta` is not above 0.

    >>> tg.huber(np.array([0.5, 3.0]), np.zeros(2)).tolist()
    [0.125, 2.5]
    """
    y = _same_shape("huber", a, y)
    if not delta > 0:
        raise GradError(f"huber: delta is above 0, not {delta!r:.60}")
    r = subtract(a, y)
    size = absolute(r)
    near = less_equal(size, float(delta))
    loss = where(near, 0.5 * power_constant(r, n=2), delta * (size - 0.5 * delta))
    return mean(loss, axis=axis) if len(shape(a)) == 2 else loss


@own_errors
def hinge(z: Any, y: Any, axis: int = 0) -> Any:
    """``max(0, 1 − y z)`` per example, for classes −1 and 1: what support vector machines minimise.

    `z`, `y`: one shape; in two dimensions the losses of the units along `axis` are summed.

    Raises GradError where the shapes differ, or a class is not −1 or 1.

    >>> tg.hinge(np.array([0.5, 2.0]), np.array([1.0, 1.0])).tolist()
    [0.5, 0.0]
    """
    y = _same_shape("hinge", z, y)
    if not np.all(np.abs(getattr(y, "_data", y)) == 1):
        raise GradError("hinge: classes are −1 and 1; of 0 and 1 they are made by 2 * y - 1")
    loss = relu(1.0 - y * z)
    return sum(loss, axis=axis) if len(shape(z)) == 2 else loss


@own_errors
def kl_divergence(p: Any, q: Any, axis: int = 0) -> Any:
    """``Σ p log(p / q)`` along `axis`, where ``0 · log 0 = 0``: how far q is from p.

    (S. Kullback and R. Leibler, 1951.) `p`, `q`: probabilities of one shape, (classes, m) for
    ``axis=0``, or (classes,).

    Raises GradError where the shapes differ, or numbers are not from 0 to 1.

    >>> tg.kl_divergence(np.array([1.0, 0.0]), np.array([0.5, 0.5])) == tg.log(2.0)
    True
    """
    q = _same_shape("kl_divergence", p, q)
    for x in (p, q):
        _check_probabilities(x, "kl_divergence: probabilities", "Pass tg.softmax(z, axis=0)")
    return sum(xlogy(p, p) - xlogy(p, q), axis=axis)
