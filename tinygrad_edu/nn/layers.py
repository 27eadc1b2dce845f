"""Layers: what a network is put together from. Each gives its nodes the lecture's names.

Layer l turns A of the layer before into ``Zˡ = Wˡ A + bˡ`` and ``Aˡ = g(Zˡ)``. Examples are
columns, as in the lecture, or rows (``Aˡ = g(A Wˡ + bˡ)``): a layer is told along which axis its
units lie.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.core import habits
from tinygrad_edu.core.ops import elementwise, reductions
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.signature import Amount, Share, Size, checked
from tinygrad_edu.core.value import Value
from tinygrad_edu.nn.initialise import Array, Initialiser, initialiser

#: g by name; the second argument is the axis of the units, which only softmax looks along.
ACTIVATIONS: dict[str, Callable[[Any, int], Any]] = {
    "linear": lambda z, axis: +z,
    "sigmoid": lambda z, axis: elementwise.sigmoid(z),
    "tanh": lambda z, axis: elementwise.tanh(z),
    "relu": lambda z, axis: elementwise.relu(z),
    "leaky_relu": lambda z, axis: elementwise.leaky_relu(z),
    "softplus": lambda z, axis: elementwise.softplus(z),
    "softmax": lambda z, axis: reductions.softmax(z, axis=axis),
}


class Layer:
    """A map from Values to Values, followed by an activation if it has one.

    Attributes: `parameters` (trained), `buffers` (kept, not trained), `weights` (names of the
    parameters that L2 regularisation is about), `number` (which layer of the lecture's counting).
    """

    @checked
    def __init__(self, activation: str | None = None) -> None:
        if activation is not None and activation not in ACTIVATIONS:
            raise GradError(
                f"no activation is called {activation!r}; there are {', '.join(ACTIVATIONS)}"
                + habits.hint(activation.lower(), ACTIVATIONS, habits.ACTIVATIONS)
            )
        self.activation = activation
        self.parameters: dict[str, Value] = {}
        self.buffers: dict[str, Array] = {}
        self.weights: list[str] = []
        self.number = self.axis = 0
        self.built = False

    def build(self, n_in: int, number: int, axis: int, rng: np.random.Generator) -> int:
        """Make the parameters for `n_in` inputs and return how many outputs there are."""
        if self.built:
            raise GradError(f"{self!r} belongs to a network already; make a new one for each place")
        self.number, self.axis, self.built = number, axis, True
        return self.make(n_in, rng)

    def make(self, n_in: int, rng: np.random.Generator) -> int:
        """What `build` leaves to each kind of layer: its own parameters."""
        return n_in

    def before_activation(self, A: Any, rng: np.random.Generator | None) -> Any:
        """The layer without its activation. `rng` is given only while training."""
        raise TypeError(
            f"{type(self).__name__} does not say what it computes: a layer of your own defines "
            "before_activation(self, A, rng)"
        )

    def activate(self, Z: Any) -> Any:
        """``Aˡ = g(Zˡ)``."""
        if self.activation is None:
            return Z
        return named(ACTIVATIONS[self.activation](Z, self.axis), f"A{self.number}")

    def __call__(self, A: Any, rng: np.random.Generator | None = None) -> Any:
        return self.activate(self.before_activation(A, rng))

    def __repr__(self) -> str:
        settings = ", ".join(str(part) for part in self.settings() if part is not None)
        return f"{type(self).__name__}({settings})"

    def settings(self) -> tuple[Any, ...]:
        """What the layer was made with, for its `repr`."""
        return (self.activation,)

    def parameter(self, letter: str, numbers: Array, weight: bool = False) -> None:
        """Keep a parameter under its letter and the layer's number: ``W1``, ``b1``."""
        name = f"{letter}{self.number}"
        self.parameters[name] = Value(numbers, name)
        if weight:
            self.weights.append(name)

    def column(self, numbers: Array) -> Array:
        """One number per unit, in the shape that broadcasts over examples: (n, 1) or (1, n)."""
        return np.expand_dims(numbers, 1 - self.axis)

    def __getitem__(self, letter: str) -> Value:
        return self.parameters[f"{letter}{self.number}"]


def named(node: Any, name: str) -> Any:
    """The node, called `name`."""
    node.name = name
    return node


class Dense(Layer):
    """Every unit sees every input: ``Zˡ = Wˡ A + bˡ``, ``Aˡ = g(Zˡ)`` (lecture, S6).

    Shapes: Wˡ (units, n_in), bˡ (units, 1), A (n_in, m); with examples as rows Wˡ (n_in, units),
    bˡ (1, units), A (m, n_in). `init`: "zeros", "small", "xavier", "he", a function
    ``(rng, n, n_in) -> array``, or None for the one usual with the activation.

    >>> layer = nn.Dense(1, "relu", init="zeros")
    >>> layer.build(3, number=1, axis=0, rng=np.random.default_rng(0))
    1
    >>> layer(np.ones((3, 2))).data.tolist()
    [[0.0, 0.0]]
    """

    @checked
    def __init__(
        self, units: Size, activation: str | None = None, init: str | Initialiser | None = None
    ) -> None:
        super().__init__(activation)
        self.units = units
        self.init = initialiser(init, activation)

    def settings(self) -> tuple[Any, ...]:
        return self.units, self.activation, self.init.__name__

    def make(self, n_in: int, rng: np.random.Generator) -> int:
        W = self.init(rng, self.units, n_in)
        self.parameter("W", W if self.axis == 0 else W.T, weight=True)
        self.parameter("b", self.column(np.zeros(self.units)))
        return self.units

    def before_activation(self, A: Any, rng: np.random.Generator | None) -> Any:
        W, b = self["W"], self["b"]
        return named((W @ A if self.axis == 0 else A @ W) + b, f"Z{self.number}")


class Recurrent(Layer):
    """A recurrent layer: one cell applied along time, ``Zₜ = Wx Xₜ + Wa Aₜ₋₁ + b``, ``Aₜ = g(Zₜ)``.

    `X`: (T, n_in, m), or (T, m, n_in) with examples as rows; the first axis is time. The result is
    the last A, (units, m): one parameter serves all times, so its gradient is a sum over them
    (J. Elman, "Finding structure in time", Cognitive Science 14, 1990).

    >>> layer = nn.Recurrent(1, "linear", init=lambda rng, n, n_in: np.ones((n, n_in)))
    >>> layer.build(1, number=1, axis=0, rng=np.random.default_rng(0))
    1
    >>> layer(np.array([[[2.0]], [[3.0]], [[4.0]]])).data.tolist()  # running sum
    [[9.0]]
    """

    @checked
    def __init__(
        self, units: Size, activation: str = "tanh", init: str | Initialiser | None = None
    ) -> None:
        super().__init__(activation)
        self.units = units
        self.init = initialiser(init, activation)

    def settings(self) -> tuple[Any, ...]:
        return self.units, self.activation, self.init.__name__

    def make(self, n_in: int, rng: np.random.Generator) -> int:
        for letter, n in ("Wx", n_in), ("Wa", self.units):
            W = self.init(rng, self.units, n)
            self.parameter(letter, W if self.axis == 0 else W.T, weight=True)
        self.parameter("b", self.column(np.zeros(self.units)))
        return self.units

    def before_activation(self, A: Any, rng: np.random.Generator | None) -> Any:
        if len(A.shape) != 3:
            raise GradError(
                f"{self!r} needs a sequence: three axes, time first; it was given shape {A.shape}"
            )
        times = A.shape[0]
        Z = self.cell(A[0], None, 1)
        for t in range(1, times):
            before = named(self.activate(Z), f"A{self.number}_t{t}")
            Z = self.cell(A[t], before, t + 1)
        return Z

    def cell(self, X: Any, A: Any, t: int) -> Any:
        """``Zₜ`` from the input and the state before (None: all zeros)."""
        Wx, Wa, b = self["Wx"], self["Wa"], self["b"]
        if self.axis == 0:
            Z = Wx @ X + b if A is None else Wx @ X + Wa @ A + b
        else:
            Z = X @ Wx + b if A is None else X @ Wx + A @ Wa + b
        return named(Z, f"Z{self.number}_t{t}")


class Dropout(Layer):
    """In training each number is dropped with probability `rate`; the others grow by 1/(1−rate).

    So the expected value stays, and nothing needs to change afterwards ("inverted dropout":
    N. Srivastava et al., JMLR 15, 2014).

    >>> nn.Dropout(0.5)(tg.Value([[1.0, 2.0]])).data.tolist()  # not training: unchanged
    [[1.0, 2.0]]
    """

    @checked
    def __init__(self, rate: Share) -> None:
        super().__init__()
        self.rate = rate

    def settings(self) -> tuple[Any, ...]:
        return (self.rate,)

    def before_activation(self, A: Any, rng: np.random.Generator | None) -> Any:
        if rng is None:
            return A
        mask = self.mask(A.shape, rng, np.asarray(A.data).dtype)
        D = Value(mask, f"D{self.number}", requires_grad=False)
        return named(A * D, f"A{self.number}_kept")

    def mask(self, shape: tuple[int, ...], rng: np.random.Generator, dtype: Any) -> Array:
        """What to multiply with: 0 for the dropped, 1/(1−rate) for the others."""
        return ((rng.random(shape) >= self.rate) / (1 - self.rate)).astype(dtype, copy=False)


#: What normalisation adds to a variance, and how far a batch moves the running ones.
EPS, MOMENTUM = 1e-5, 0.1


class _Normalisation(Layer):
    """``N = γ (A − μ) / √(σ² + ε) + β``, γ and β trained; μ and σ² differ in what they are over."""

    @checked
    def __init__(self, activation: str | None = None, eps: Amount = EPS) -> None:
        super().__init__(activation)
        self.eps = eps

    def settings(self) -> tuple[Any, ...]:
        return self.activation, None if self.eps == EPS else f"eps={self.eps:g}"

    def make(self, n_in: int, rng: np.random.Generator) -> int:
        self.parameter("gamma", self.column(np.ones(n_in)))
        self.parameter("beta", self.column(np.zeros(n_in)))
        return n_in

    def scaled(self, A: Any, mean: Any, var: Any) -> Any:
        centred = (A - mean) / elementwise.sqrt(var + self.eps)
        return named(self["gamma"] * centred + self["beta"], f"N{self.number}")


class LayerNorm(_Normalisation):
    """Normalised over the units of each example (J. Ba et al., arXiv:1607.06450): ε = 10⁻⁵.

    >>> layer = nn.LayerNorm(eps=0.0)
    >>> layer.build(2, number=1, axis=0, rng=np.random.default_rng(0))
    2
    >>> layer(tg.Value([[1.0], [5.0]])).data.tolist()
    [[-1.0], [1.0]]
    """

    def before_activation(self, A: Any, rng: np.random.Generator | None) -> Any:
        mean = reductions.mean(A, axis=self.axis, keepdims=True)
        return self.scaled(A, mean, reductions.var(A, axis=self.axis, keepdims=True))


class BatchNorm(_Normalisation):
    """Normalised over the examples of a mini-batch (S. Ioffe and C. Szegedy, ICML 2015): ε = 10⁻⁵.

    Once trained it uses running means and variances (unbiased) of what it has seen, each batch
    moving them by `momentum` = 0.1.

    >>> layer = nn.BatchNorm(eps=0.0)
    >>> layer.build(1, number=1, axis=0, rng=np.random.default_rng(0))
    1
    >>> layer(tg.Value([[1.0, 5.0]]), np.random.default_rng(0)).data.tolist()
    [[-1.0, 1.0]]
    """

    @checked
    def __init__(
        self, activation: str | None = None, eps: Amount = EPS, momentum: Amount = MOMENTUM
    ) -> None:
        super().__init__(activation, eps)
        self.momentum = momentum

    def settings(self) -> tuple[Any, ...]:
        usual = self.momentum == MOMENTUM
        return *super().settings(), None if usual else f"momentum={self.momentum:g}"

    def make(self, n_in: int, rng: np.random.Generator) -> int:
        self.buffers[f"mean{self.number}"] = self.column(np.zeros(n_in))
        self.buffers[f"var{self.number}"] = self.column(np.ones(n_in))
        return super().make(n_in, rng)

    def before_activation(self, A: Any, rng: np.random.Generator | None) -> Any:
        if rng is None:
            return self.scaled(A, *self.buffers.values())
        examples = 1 - self.axis
        m = A.shape[examples]
        if m < 2:
            raise GradError("BatchNorm cannot train on one example: it has no variance")
        mean = reductions.mean(A, axis=examples, keepdims=True)
        var = reductions.var(A, axis=examples, keepdims=True)
        seen = np.asarray(mean.data), np.asarray(var.data) * (m / (m - 1))
        self.buffers = {
            name: (1 - self.momentum) * old + self.momentum * new
            for (name, old), new in zip(self.buffers.items(), seen, strict=True)
        }
        return self.scaled(A, mean, var)
