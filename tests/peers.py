"""The operations of the table as JAX and PyTorch have them.

Every operation has an entry for each: a function of the library, the inputs and the options. What a
library has under another name is called by that; what it lacks is put together of what it has, and
its own rules differentiate that. Conventions differ where a function has a kink (both take 0 for
the slope of a ReLU at 0, the lecture 1): the table's numbers keep away from there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from domains import ROWS

Peer = Callable[..., Any]


def lengths(shape: Any) -> tuple[int, ...]:
    """A shape as a tuple of ints: NumPy takes a number, a list or an array too."""
    return tuple(int(n) for n in np.atleast_1d(np.asarray(shape, dtype=int)))


def places(index: Any, shape: Any) -> Any:
    """Which entries an index of NumPy's means, counted row after row."""
    return np.array(np.arange(math.prod(shape)).reshape(shape)[index], order="C")


def summed(loss: Any, axis: Any) -> Any:
    return loss if axis is None else loss.sum(axis)


def per_example(loss: Any, axis: int, mean: bool = False) -> Any:
    """The losses of the units along an axis as one; of fewer than two axes every entry is one."""
    if loss.ndim < 2:
        return loss
    return loss.mean(axis) if mean else loss.sum(axis)


def binary_losses(bernoulli: Peer, logistic: Peer) -> dict[str, Peer]:
    """The cross-entropies of two classes, from a peer's formulas of probabilities and of logits."""
    return {
        "bernoulli_loss": lambda peer, a, y, axis=None: summed(bernoulli(peer, a, y), axis),
        "logistic_loss": lambda peer, z, y, axis=None: summed(logistic(peer, z, y), axis),
        "binary_cross_entropy": lambda peer, a, y, axis=0, from_logits=False: per_example(
            (logistic if from_logits else bernoulli)(peer, a, y), axis
        ),
    }


def of_matrices(function: Peer, flipped: Peer) -> dict[str, Peer]:
    """Factors and what is made of them, from a peer's function of a name, and its transpose."""

    def of(name: str, part: Any = None, **options: Any) -> Peer:
        def call(peer: Any, x: Any, part: Any = part) -> Any:
            z = function(peer, name)(x, **options)
            return z if part is None else z[part]

        return call

    def of_symmetric(call: Peer) -> Peer:
        return lambda peer, x, **part: call(peer, (x + flipped(peer, x)) / 2, **part)

    return {
        "cofactors": lambda peer, x: (
            function(peer, "det")(x)[..., None, None] * flipped(peer, function(peer, "inv")(x))
        ),
        "log_abs_det": of("slogdet", 1),
        "sign_of_det": of("slogdet", 0),
        "slogdet": of("slogdet", 1),
        "cholesky_factor": of_symmetric(of("cholesky")),
        "cholesky": lambda peer, x: flipped(
            peer, function(peer, "cholesky")((x + flipped(peer, x)) / 2)
        ),
        "eigh_part": of_symmetric(of("eigh")),
        "eigh": of_symmetric(of("eigh", 1)),
        "eigvalsh": of_symmetric(of("eigh", 0)),
        "svd_part": of("svd", full_matrices=False),
        "svd": of("svd", full_matrices=False),
        "svdvals": of("svd", 1, full_matrices=False),
        "qr_part": of("qr"),
        "qr": of("qr", 1),
        "pinv": of("pinv"),
        "norm of an order": lambda peer, x, ord=None, axis=None, **keepdims: function(peer, "norm")(
            x, ord, axis, **keepdims
        ),
    }


# --- JAX -----------------------------------------------------------------------------------------


def same_in_jax(*names: str) -> dict[str, Peer]:
    """Functions that `jax.numpy` has under NumPy's name and with NumPy's options."""
    return {
        name: lambda jax, *xs, _name=name, **o: getattr(jax.numpy, _name)(*xs, **o)
        for name in names
    }


def jax_mask(name: str) -> Peer:
    return lambda jax, x, y: getattr(jax.numpy, name)(x, y).astype(x.dtype)


def jax_bernoulli(jax: Any, a: Any, y: Any) -> Any:
    return -(jax.scipy.special.xlogy(y, a) + jax.scipy.special.xlog1py(1 - y, -a))


def jax_logistic(jax: Any, z: Any, y: Any) -> Any:
    return jax.nn.softplus(z) - y * z


def jax_cross_entropy(jax: Any, z: Any, y: Any, axis: int = 0) -> Any:
    return -(y * jax.nn.log_softmax(z, axis)).sum(axis)


def jax_sum_to(jax: Any, x: Any, shape: Any) -> Any:
    """JAX's own transpose of its `broadcast_to`."""
    small = jax.numpy.zeros(shape)
    return jax.vjp(lambda y: jax.numpy.broadcast_to(y, x.shape), small)[1](x)[0]


def jax_sinc_slope(jax: Any, x: Any, order: int) -> Any:
    slope = jax.numpy.sinc
    for _ in range(order):
        slope = jax.grad(slope)
    return jax.numpy.vectorize(slope)(x)


def jax_placed_along(jax: Any, x: Any, i: Any, axis: int, n: int) -> Any:
    x, i = (jax.numpy.moveaxis(a, axis, -1)[..., None] for a in jax.numpy.broadcast_arrays(x, i))
    return jax.numpy.moveaxis((x * (i == jax.numpy.arange(n))).sum(-2), -1, axis)


def jax_cut(name: str) -> Peer:
    """Parts, put together the other way round: see the row."""
    along = {"hsplit": 1, "dsplit": 2}.get(name, 0)

    def call(jax: Any, x: Any, indices_or_sections: Any = 2, **axis: int) -> Any:
        if isinstance(indices_or_sections, list):
            indices_or_sections = np.array(indices_or_sections)
        parts = getattr(jax.numpy, name)(x, indices_or_sections, **axis)
        return jax.numpy.concatenate(parts[::-1], axis=axis.get("axis", along))

    return call


def jax_windows(jax: Any, x: Any, lengths: Any, axes: Any) -> Any:
    """By the places of NumPy's."""
    numbers = np.arange(x.size).reshape(x.shape)
    places = np.lib.stride_tricks.sliding_window_view(numbers, tuple(lengths), tuple(axes))
    return x.ravel()[places]


def jax_pooled(jax: Any, x: Any, reduce: Any, size: Any = 2, stride: Any = None) -> Any:
    h, w = size if isinstance(size, tuple) else (size, size)
    down, right = (h, w) if stride is None else (stride, stride)
    views = jax_windows(jax, x, (h, w), (x.ndim - 2, x.ndim - 1))
    return reduce(views[..., ::down, ::right, :, :])


def jax_attention(jax: Any, q: Any, k: Any, v: Any, mask: Any = True, causal: bool = False) -> Any:
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])
    seen = np.broadcast_to(np.array(mask, bool), scores.shape)
    seen = np.tril(seen) if causal else seen
    return jax.nn.softmax(jax.numpy.where(seen, scores, -np.inf), axis=-1) @ v


def signs(shape: Any) -> Any:
    return np.resize([1.0, -1.0, -1.0, 1.0, -1.0], shape)


#: What has no entry of its own is called as NumPy calls it.
JAX: dict[str, Peer] = {
    **same_in_jax(*ROWS),
    **same_in_jax(
        "add", "subtract", "multiply", "divide", "negative", "positive", "maximum", "minimum",
        "exp", "expm1", "log", "log1p", "log2", "log10", "power", "sqrt", "sign", "absolute", "sin",
        "cos", "tan", "arctan", "sinh", "cosh", "tanh", "clip", "transpose", "broadcast_to",
        "swapaxes", "moveaxis", "expand_dims", "squeeze", "ravel", "sum", "mean", "max", "min",
        "prod", "var", "std", "cumsum", "matmul", "dot", "outer",
    ),
    **{
        name: jax_mask(name)
        for name in ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal")
    },
    "power_constant": lambda jax, x, n: x**n,
    "where": lambda jax, c, x, y: jax.numpy.where(c != 0, x, y),
    "sigmoid": lambda jax, x: jax.nn.sigmoid(x),
    "tanh_slope": lambda jax, z, x: 1 - z * z,
    "power_log": lambda jax, x, y, logs: x**y * jax.numpy.log(x) ** logs,
    "power_term": lambda jax, c, x, y, logs=0: c * x**y * jax.numpy.log(x) ** logs,
    "softplus": lambda jax, x: jax.nn.softplus(x),
    "relu": lambda jax, x, at_zero=1: jax.nn.relu(x),
    "leaky_relu": lambda jax, x, slope=0.01, at_zero=1: jax.nn.leaky_relu(x, slope),
    "xlogy": lambda jax, x, y: jax.scipy.special.xlogy(x, y),
    "xdivy": lambda jax, x, y: jax.numpy.where(x == 0, 0, x / y),
    "divide_or_zero": lambda jax, x, y: jax.numpy.where(y == 0, 0, x / y),
    "prod_of_others": lambda jax, x, axis: jax.numpy.prod(x, axis=axis, keepdims=True) / x,
    "reshape": lambda jax, x, shape: x.reshape(lengths(shape)),
    "sum_to": jax_sum_to,
    "getitem": lambda jax, x, index: x[index],
    "scatter": lambda jax, x, index, shape: jax.numpy.zeros(shape).at[index].add(x),
    "joined": lambda jax, *xs, axis=0: jax.numpy.concatenate(xs, axis),
    "concatenate": lambda jax, *xs, axis=0: jax.numpy.concatenate(xs, axis),
    "stack": lambda jax, *xs, axis=0: jax.numpy.stack(xs, axis),
    "vstack": lambda jax, *xs: jax.numpy.vstack(xs),
    "hstack": lambda jax, *xs: jax.numpy.hstack(xs),
    "norm": lambda jax, x, axis, keepdims: jax.numpy.sqrt((x * x).sum(axis, keepdims=keepdims)),
    "centred": lambda jax, x, axis: x - x.mean(axis, keepdims=True),
    "deviation": lambda jax, x, p, axis: x - (x * p).sum(axis, keepdims=True),
    "logsumexp": lambda jax, x, axis, keepdims: jax.nn.logsumexp(x, axis, keepdims=keepdims),
    "softmax": lambda jax, x, axis: jax.nn.softmax(x, axis),
    "log_softmax": lambda jax, x, axis: jax.nn.log_softmax(x, axis),
    **binary_losses(jax_bernoulli, jax_logistic),
    "logistic_residual": lambda jax, z, y: jax.nn.sigmoid(z) - y,
    "softmax_residual": lambda jax, z, y, axis=0: (
        jax.nn.softmax(z, axis) * y.sum(axis, keepdims=True) - y
    ),
    "softmax_loss": jax_cross_entropy,
    "cross_entropy": jax_cross_entropy,
    "mean_squared_error": lambda jax, a, y, axis=0: per_example((a - y) ** 2, axis, mean=True),
    **{name: jax_cut(name) for name in ("array_split", "split", "vsplit", "hsplit", "dsplit")},
    "ranks": lambda jax, x, axis: (
        jax.numpy.argsort(jax.numpy.argsort(x, axis=axis), axis=axis).astype(x.dtype)
    ),
    "picked_along": lambda jax, x, i, axis: jax.numpy.take_along_axis(x, i.astype(int), axis),
    "placed_along": jax_placed_along,
    "take_along_axis": lambda jax, x, axis: jax.numpy.take_along_axis(
        x, np.array([[1, 0], [1, 1]]), axis
    ) if x.shape[axis] == 2 else jax.numpy.take_along_axis(x, np.array([[1, 0], [3, 1]]), axis),
    "take": lambda jax, x, axis=None: jax.numpy.take(x, np.array([[1, 0], [2, 1]]), axis),
    "average": lambda jax, x, w, axis, keepdims=False: jax.numpy.average(
        x, axis, w, keepdims=keepdims
    ),
    "repeat": lambda jax, x, repeats, axis=None: jax.numpy.repeat(x, np.array(repeats), axis),
    "delete": lambda jax, x, obj, axis=None: jax.numpy.delete(x, np.array(obj), axis),
    "column_stack": lambda jax, *xs: jax.numpy.column_stack(xs),
    "dstack": lambda jax, *xs: jax.numpy.dstack(xs),
    "block": lambda jax, x, y: jax.numpy.block([[x, y], [y, x]]),
    "broadcast_arrays": lambda jax, x, y: jax.numpy.stack(jax.numpy.broadcast_arrays(x, y)),
    "einsum": lambda jax, x, y, subscripts: jax.numpy.einsum(subscripts, x, y),
    "multi_dot": lambda jax, *xs: jax.numpy.linalg.multi_dot(xs),
    "matrix_power": lambda jax, x, n: jax.numpy.linalg.matrix_power(x, n),
    "inv": lambda jax, x: jax.numpy.linalg.inv(x),
    "det": lambda jax, x: jax.numpy.linalg.det(x),
    "solve": lambda jax, a, b: jax.numpy.linalg.solve(a, b),
    "share": lambda jax, x, y: jax.nn.sigmoid(x - y),
    **of_matrices(
        lambda jax, name: getattr(jax.numpy.linalg, name),
        lambda jax, x: jax.numpy.swapaxes(x, -1, -2),
    ),
    **{
        name: lambda jax, x, w, b, stride=1, padding=0: (
            jax.lax.conv_general_dilated(
                x, w, (stride,) * (x.ndim - 2), [(padding, padding)] * (x.ndim - 2)
            )
            + b.reshape(-1, *[1] * (x.ndim - 2))
        )
        for name in ("conv1d", "conv2d")
    },
    "max_pool2d": lambda jax, x, **o: jax_pooled(jax, x, lambda w: w.max((-2, -1)), **o),
    "avg_pool2d": lambda jax, x, **o: jax_pooled(jax, x, lambda w: w.mean((-2, -1)), **o),
    "layer_norm": lambda jax, x, g, b, axis, eps: (
        jax.nn.standardize(x, axis, epsilon=eps) * jax.numpy.expand_dims(g, (axis + 1) % 2)
        + jax.numpy.expand_dims(b, (axis + 1) % 2)
    ),
    "batch_norm": lambda jax, x, g, b, axis, eps: (
        jax.nn.standardize(x, axis, epsilon=eps) * g.reshape([-1 if n == 3 else 1 for n in x.shape])
        + b.reshape([-1 if n == 3 else 1 for n in x.shape])
    ),
    "rms_norm": lambda jax, x, g, axis, eps=1e-5: (
        x / jax.numpy.sqrt((x * x).mean(axis, keepdims=True) + eps) * g
    ),
    "attention": jax_attention,
    "embedding": lambda jax, table, indices: table[np.array(indices)],
    "dropout": lambda jax, x, rate, mask: x * np.array(mask) / (1 - rate),
    "huber": lambda jax, a, y, delta=1.0, axis=0: per_example(
        jax.numpy.where(
            abs(a - y) <= delta, (a - y) ** 2 / 2, delta * (abs(a - y) - delta / 2)
        ), axis, mean=True,
    ),
    "hinge": lambda jax, z, axis=0: per_example(
        jax.nn.relu(1 - signs(z.shape) * z), axis
    ),
    "kl_divergence": lambda jax, p, q, axis=0: jax.scipy.special.rel_entr(p, q).sum(axis),
    "over_gaps": lambda jax, x, w, v, strict=True: x / (w[..., None, :] - v[..., :, None]),
    "windows": jax_windows,
    "windows_summed": lambda jax, x, lengths, axes, shape: jax.vjp(
        lambda y: jax_windows(jax, y, lengths, axes), jax.numpy.zeros(shape)
    )[1](x)[0],
    "sliding_window_view": lambda jax, x, window_shape, axis=None: jax_windows(
        jax,
        x,
        window_shape if isinstance(window_shape, (tuple, list)) else (window_shape,),
        range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,),
    ),
    "sinc_slope": jax_sinc_slope,
    "erf": lambda jax, x: jax.scipy.special.erf(x),
    "erfc": lambda jax, x: jax.scipy.special.erfc(x),
    "is_nan": lambda jax, x: jax.numpy.isnan(x).astype(x.dtype),
    "silu": lambda jax, x: jax.nn.silu(x),
    "gelu": lambda jax, x, approximate="none": jax.nn.gelu(x, approximate == "tanh"),
    "elu": lambda jax, x, alpha=1.0: jax.nn.elu(x, alpha),
    "selu": lambda jax, x: jax.nn.selu(x),
}  # fmt: skip


# --- PyTorch -------------------------------------------------------------------------------------


def same_in_torch(*names: str) -> dict[str, Peer]:
    """Functions that `torch` has under NumPy's name and with NumPy's options."""
    return {
        name: lambda torch, *xs, _name=name, **o: getattr(torch, _name)(*xs, **o) for name in names
    }


def torch_mask(name: str) -> Peer:
    return lambda torch, x, y: getattr(torch, name)(x, y).to(x.dtype)


def torch_over(reduce: Callable[..., Any]) -> Peer:
    """A reduction of the last axis as one over any axes, as NumPy names them."""

    def over(torch: Any, x: Any, axis: Any = None, keepdims: bool = False, **options: Any) -> Any:
        axes = axis if isinstance(axis, tuple) else range(x.ndim) if axis is None else (axis,)
        gone = [a % x.ndim for a in axes]
        kept = [a for a in range(x.ndim) if a not in gone]
        rows = [x.shape[a] for a in kept]
        flat = x.permute(kept + gone).reshape(*rows, math.prod(x.shape[a] for a in gone))
        shape = [1 if a in gone else n for a, n in enumerate(x.shape)] if keepdims else rows
        return reduce(torch, flat, **options).reshape(shape)

    return over


def torch_along(name: str) -> Peer:
    """A function along one axis; of all numbers in a row without one."""

    def along(torch: Any, x: Any, axis: Any) -> Any:
        if axis is not None:
            return getattr(torch, name)(x, axis)
        z = getattr(torch, name)(x.ravel(), 0)
        return z if name == "cumsum" else z.reshape(x.shape)

    return along


def torch_bernoulli(torch: Any, a: Any, y: Any) -> Any:
    a, y = torch.broadcast_tensors(a, y)
    return torch.nn.functional.binary_cross_entropy(a, y, reduction="none")


def torch_logistic(torch: Any, z: Any, y: Any) -> Any:
    z, y = torch.broadcast_tensors(z, y)
    return torch.nn.functional.binary_cross_entropy_with_logits(z, y, reduction="none")


def torch_cross_entropy(torch: Any, z: Any, y: Any, axis: int = 0) -> Any:
    """PyTorch's has the classes in the second axis, the first for one example."""
    at = 1 if z.ndim > 1 else 0
    z, y = z.movedim(axis, at), y.movedim(axis, at)
    return torch.nn.functional.cross_entropy(z, y, reduction="none")


def torch_scatter(torch: Any, x: Any, index: Any, shape: Any) -> Any:
    at = torch.from_numpy(places(index, shape).ravel())
    zeros = torch.zeros(math.prod(shape), dtype=x.dtype)
    return zeros.index_add(0, at, x.ravel()).reshape(shape)


def torch_sinc_slope(torch: Any, x: Any, order: int) -> Any:
    slope = torch.func.grad(lambda x: torch.sinc(x).sum())
    for _ in range(order - 1):
        slope = torch.func.grad(lambda x, inner=slope: inner(x).sum())
    return slope(x)


def torch_sides(x: Any, size: Any, stride: Any) -> tuple[int, int]:
    sides = size if isinstance(size, tuple) else (size, size)
    steps = sides if stride is None else (stride, stride)
    return tuple((n - k) // s + 1 for n, k, s in zip(x.shape[-2:], sides, steps))


TORCH: dict[str, Peer] = {
    **same_in_torch(*ROWS),
    **of_matrices(
        lambda torch, name: getattr(torch.linalg, name), lambda torch, x: x.swapaxes(-1, -2)
    ),
    "norm of an order": lambda torch, x, ord=None, axis=None, keepdims=False: torch.linalg.norm(
        x, ord, axis, keepdims
    ),
    "share": lambda torch, x, y: torch.sigmoid(x - y),
    "over_gaps": lambda torch, x, w, v, strict=True: x / (w[..., None, :] - v[..., :, None]),
    **{
        name: lambda torch, x, w, b, _name=name, **o: getattr(torch.nn.functional, _name)(
            x, w, b, **o
        )
        for name in ("conv1d", "conv2d")
    },
    "max_pool2d": lambda torch, x, size=2, stride=None: torch.nn.functional.max_pool2d(
        x.reshape(-1, 1, *x.shape[-2:]), size, stride
    ).reshape(*x.shape[:-2], *torch_sides(x, size, stride)),
    "avg_pool2d": lambda torch, x, size=2, stride=None: torch.nn.functional.avg_pool2d(
        x.reshape(-1, 1, *x.shape[-2:]), size, stride
    ).reshape(*x.shape[:-2], *torch_sides(x, size, stride)),
    "attention": lambda torch, q, k, v, mask=None, causal=False: (
        torch.nn.functional.scaled_dot_product_attention(
            q, k, v, None if mask is None else torch.tensor(mask).bool(), is_causal=causal
        )
    ),
    "embedding": lambda torch, table, indices: table[torch.tensor(indices)],
    "dropout": lambda torch, x, rate, mask: x * torch.tensor(mask) / (1 - rate),
    "huber": lambda torch, a, y, delta=1.0, axis=0: per_example(
        torch.nn.functional.huber_loss(a, y, reduction="none", delta=delta), axis, mean=True
    ),
    "hinge": lambda torch, z, axis=0: per_example(
        torch.relu(1 - torch.from_numpy(signs(tuple(z.shape))) * z), axis
    ),
    "kl_divergence": lambda torch, p, q, axis=0: (p * (p / q).log()).sum(axis),
    **same_in_torch(
        "add", "subtract", "multiply", "divide", "negative", "positive", "maximum", "minimum",
        "exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "sign", "absolute", "sin", "cos",
        "tan", "arctan", "sinh", "cosh", "tanh", "sigmoid", "clip", "moveaxis", "ravel", "matmul",
    ),
    **{
        name: torch_mask(name)
        for name in ("greater", "greater_equal", "less", "less_equal", "not_equal")
    },
    "equal": torch_mask("eq"),
    "power": lambda torch, x, y: torch.pow(x, y),
    "power_constant": lambda torch, x, n: x**n,
    "where": lambda torch, c, x, y: torch.where(c != 0, x, y),
    "tanh_slope": lambda torch, z, x: 1 - z * z,
    "power_log": lambda torch, x, y, logs: torch.pow(x, y) * torch.log(x) ** logs,
    "power_term": lambda torch, c, x, y, logs=0: c * torch.pow(x, y) * torch.log(x) ** logs,
    "softplus": lambda torch, x: torch.nn.functional.softplus(x),
    "relu": lambda torch, x, at_zero=1: torch.relu(x),
    "leaky_relu": lambda torch, x, slope=0.01, at_zero=1: torch.nn.functional.leaky_relu(x, slope),
    "xlogy": lambda torch, x, y: torch.special.xlogy(x, y),
    "xdivy": lambda torch, x, y: torch.where(x == 0, 0, x / y),
    "divide_or_zero": lambda torch, x, y: torch.where(y == 0, 0, x / y),
    "prod_of_others": lambda torch, x, axis: torch.prod(x, axis, keepdim=True) / x,
    "reshape": lambda torch, x, shape: x.reshape(lengths(shape)),
    "transpose": lambda torch, x, axes=None: x.permute(tuple(axes or reversed(range(x.ndim)))),
    "broadcast_to": lambda torch, x, shape: x.broadcast_to(shape),
    "swapaxes": lambda torch, x, axis1, axis2: x.swapaxes(axis1, axis2),
    "sum_to": lambda torch, x, shape: x.sum_to_size(shape),
    "getitem": lambda torch, x, index: x.take(torch.from_numpy(places(index, x.shape))),
    "scatter": torch_scatter,
    "joined": lambda torch, *xs, axis=0: (
        torch.cat(xs, axis) if axis is not None else torch.cat([x.ravel() for x in xs])
    ),
    "concatenate": lambda torch, *xs, axis=0: torch.cat(xs, axis),
    "stack": lambda torch, *xs, axis=0: torch.stack(xs, axis),
    "vstack": lambda torch, *xs: torch.vstack(xs),
    "hstack": lambda torch, *xs: torch.hstack(xs),
    "expand_dims": lambda torch, x, axis: x.unsqueeze(axis),
    "squeeze": lambda torch, x, axis=None: x.squeeze() if axis is None else x.squeeze(axis),
    "sum": torch_over(lambda torch, x: x.sum(-1)),
    "mean": torch_over(lambda torch, x: x.mean(-1)),
    "max": torch_over(lambda torch, x: x.amax(-1)),
    "min": torch_over(lambda torch, x: x.amin(-1)),
    "prod": torch_over(lambda torch, x: x.prod(-1)),
    "var": torch_over(lambda torch, x, ddof=0: x.var(-1, correction=ddof)),
    "std": torch_over(lambda torch, x, ddof=0: x.std(-1, correction=ddof)),
    "norm": torch_over(lambda torch, x: torch.linalg.vector_norm(x, dim=-1)),
    "centred": lambda torch, x, axis: x - (
        x.mean() if axis is None else x.mean(axis, keepdim=True)
    ),
    "deviation": lambda torch, x, p, axis: x - (
        (x * p).sum() if axis is None else (x * p).sum(axis, keepdim=True)
    ),
    "logsumexp": torch_over(lambda torch, x: x.logsumexp(-1)),
    "softmax": torch_along("softmax"),
    "log_softmax": torch_along("log_softmax"),
    "cumsum": torch_along("cumsum"),
    "dot": lambda torch, x, y: x @ y if x.ndim else x * y,
    "outer": lambda torch, x, y: torch.outer(x.ravel(), y.ravel()),
    **binary_losses(torch_bernoulli, torch_logistic),
    "logistic_residual": lambda torch, z, y: torch.sigmoid(z) - y,
    "softmax_residual": lambda torch, z, y, axis=0: (
        torch.softmax(z, axis) * y.sum(axis, keepdim=True) - y
    ),
    "softmax_loss": torch_cross_entropy,
    "cross_entropy": torch_cross_entropy,
    "mean_squared_error": lambda torch, a, y, axis=0: per_example(
        torch.nn.functional.mse_loss(a, y, reduction="none"), axis, mean=True
    ),
    "sinc_slope": torch_sinc_slope,
    "logaddexp2": lambda torch, x, y: torch.logaddexp2(x, y),
    "is_nan": lambda torch, x: x.isnan().to(x.dtype),
    "rint": lambda torch, x: x.round(),
    "round": lambda torch, x, decimals=0: x.round(decimals=decimals),
    "silu": lambda torch, x: torch.nn.functional.silu(x),
    "gelu": lambda torch, x, approximate="none": torch.nn.functional.gelu(
        x, approximate=approximate
    ),
    "elu": lambda torch, x, alpha=1.0: torch.nn.functional.elu(x, alpha),
    "selu": lambda torch, x: torch.nn.functional.selu(x),
}  # fmt: skip
