"""Network: layers one after another, a loss, and the bridge to rules, picture and checker."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from tinygrad_edu.core import habits
from tinygrad_edu.core.files import read_npz, write_npz
from tinygrad_edu.core.numbers import numbers
from tinygrad_edu.core.ops import elementwise, losses, reductions
from tinygrad_edu.core.primitive import GradError, asarray, plain
from tinygrad_edu.core.recording import no_grad
from tinygrad_edu.core.shown import table
from tinygrad_edu.core.signature import Amount, Natural, Size, checked
from tinygrad_edu.core.value import Value
from tinygrad_edu.nn.initialise import Array
from tinygrad_edu.nn.layers import Dense, Layer, Recurrent, named

Loss = Callable[[Any, Any, int], Any]

#: Losses per example as on paper, from the prediction A: the third argument is the axis of units.
LOSSES: dict[str, Loss] = {
    "binary_cross_entropy": lambda A, Y, axis: losses.binary_cross_entropy(A, Y, axis=axis),
    "cross_entropy": lambda A, Y, axis: -reductions.sum(Y * elementwise.log(A), axis=axis),
    "mean_squared_error": lambda A, Y, axis: losses.mean_squared_error(A, Y, axis=axis),
}
#: The same from the logits Z, exact where A would round to 0 or 1.
FROM_LOGITS: dict[str, Loss] = {
    "binary_cross_entropy": lambda Z, Y, axis: losses.binary_cross_entropy(
        Z, Y, from_logits=True, axis=axis
    ),
    "cross_entropy": lambda Z, Y, axis: losses.cross_entropy(Z, Y, axis=axis),
}
USUAL = {"sigmoid": "binary_cross_entropy", "softmax": "cross_entropy"}


class Parameters(dict[str, Value]):
    """What is trained, by name. Not to be called, as elsewhere a method of this name would be."""

    def __repr__(self) -> str:
        return f"<Parameters {', '.join(f'{name} {p.shape}' for name, p in self.items())}>"

    def __call__(self) -> NoReturn:
        raise TypeError(
            "net.parameters is a dictionary, without brackets: net.parameters.values() are the "
            "Values, optimiser.step(net.parameters) moves them"
        )


class Network:
    """Layers one after another and a loss: ``Network(n0, layer, layer, …)``.

    `n0`: numbers per example; X is (n0, m), examples as columns (lecture, S6), or (m, n0) with
    ``rows=True``. `loss`: "binary_cross_entropy" (usual after a sigmoid), "cross_entropy" (after a
    softmax), "mean_squared_error" (after anything else), or a function ``(A, Y, axis) -> losses``
    of shape (m,). `l2`: λ; the cost gains ``λ/2 Σ‖W‖²``. The seed decides the initial weights.

    >>> net = nn.Network(3, nn.Dense(4, "tanh"), nn.Dense(1, "sigmoid"), seed=1)
    >>> {name: p.shape for name, p in net.parameters.items()}
    {'W1': (4, 3), 'b1': (4, 1), 'W2': (1, 4), 'b2': (1, 1)}
    >>> net(np.zeros((3, 5))).data.tolist()
    [[0.5, 0.5, 0.5, 0.5, 0.5]]
    """

    @checked
    def __init__(
        self,
        n0: Size,
        *layers: Layer,
        loss: str | Loss | None = None,
        seed: Natural = 0,
        rows: bool = False,
        l2: Amount = 0.0,
    ) -> None:
        if not layers:
            raise GradError("Network: at least one layer is needed, e.g. Dense(1, 'sigmoid')")
        self.n0, self.layers, self.seed, self.rows, self.l2 = n0, layers, seed, rows, l2
        self.axis = 1 if rows else 0
        output = layers[-1].activation or "linear"
        self.loss = loss or USUAL.get(output, "mean_squared_error")
        if isinstance(self.loss, str) and self.loss not in LOSSES:
            raise GradError(
                f"no loss is called {self.loss!r}; there are {', '.join(LOSSES)}, or pass a "
                "function (A, Y, axis) -> losses of shape (m,)"
                + habits.hint(self.loss.lower(), LOSSES, habits.LOSSES)
            )
        if self.loss in FROM_LOGITS and USUAL.get(output) != self.loss:
            activation = next(key for key, name in USUAL.items() if name == self.loss)
            raise GradError(
                f"{self.loss} is about probabilities: the last layer needs activation "
                f"{activation!r}, not {output!r}"
            )
        rng = np.random.default_rng(seed)
        n, number = n0, 0
        for layer in layers:
            number += isinstance(layer, (Dense, Recurrent))
            n = layer.build(n, number, self.axis, rng)
        self.n_out = n

    def __repr__(self) -> str:
        layers = ", ".join(map(repr, self.layers))
        options = f"loss={self.loss_name}, seed={self.seed}, rows={self.rows}, l2={self.l2}"
        return f"Network({self.n0}, {layers}, {options})"

    def _repr_html_(self) -> str:
        rows = []
        for layer in self.layers:
            shapes = ", ".join(f"{name} {p.shape}" for name, p in layer.parameters.items())
            rows.append([repr(layer), shapes, sum(p.size for p in layer.parameters.values())])
        title = f"{self.n0} numbers per example; {self.loss_name}"
        return table(title, ["layer", "parameters", "numbers"], rows)

    if not TYPE_CHECKING:  # to mypy, what is not declared is not there

        def __getattr__(self, name: str) -> Any:
            raise habits.no_attribute(self, name, habits.OF_NETWORKS)

    @property
    def loss_name(self) -> str:
        """What the loss is called."""
        return self.loss if isinstance(self.loss, str) else self.loss.__name__

    def fit(self, X: Any, Y: Any = None, **options: Any) -> Any:
        """Train on X and Y: see `tinygrad_edu.nn.fit`."""
        from tinygrad_edu.nn.training import fit

        return fit(self, X, Y, **options)

    # --- numbers -------------------------------------------------------------------------------

    @property
    def parameters(self) -> Parameters:
        """What is trained, by name: W1, b1, W2, …"""
        return Parameters(pair for layer in self.layers for pair in layer.parameters.items())

    def state(self) -> dict[str, Array]:
        """All its numbers by name: the parameters, and the running means of BatchNorm."""
        held = {name: np.asarray(p.data) for name, p in self.parameters.items()}
        for layer in self.layers:
            held |= layer.buffers
        return held

    @checked
    def restore(self, state: Mapping[str, Any]) -> None:
        """Take the numbers of `state`, float32 where they are; GradError, and nothing is changed,
        where they do not fit.
        """
        here = self.state()
        for name in here.keys() ^ state.keys():
            where = "the network" if name in here else "the numbers given"
            raise GradError(f"restore: {name} is only in {where}; they are of different networks")
        new = {name: np.asarray(numbers(state[name], what=f"restore: {name}")) for name in here}
        for name, old in here.items():
            if new[name].shape != old.shape:
                raise GradError(
                    f"restore: {name} has shape {old.shape} here and {new[name].shape} there"
                )
        for name, p in self.parameters.items():
            p._data = plain(new[name])
        for layer in self.layers:
            layer.buffers = {name: np.array(new[name]) for name in layer.buffers}

    def hold(self, dtype: Any) -> None:
        """Compute in float64 or float32 from now on: all its numbers in that dtype."""
        for p in self.parameters.values():
            if p.dtype != dtype:
                p._data, p._grad = numbers(np.asarray(p._data, dtype)), None
        for layer in self.layers:
            layer.buffers = {name: a.astype(dtype) for name, a in layer.buffers.items()}

    @property
    def dtype(self) -> np.dtype[Any]:
        """What it computes in: float64, or float32 where it was trained with that."""
        return np.dtype(np.result_type(np.float32, *(p.dtype for p in self.parameters.values())))

    @checked
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all numbers to an ``.npz`` file, whole or not at all."""
        write_npz(path, self.state())

    @checked
    def load(self, path: str | os.PathLike[str]) -> None:
        """Take the numbers of a file written by `save`."""
        self.restore(read_npz(path))

    # --- forward -------------------------------------------------------------------------------

    def before_output(self, X: Any, rng: np.random.Generator | None = None) -> Any:
        """Everything but the last activation: the logits Zᴸ. With `rng`, as while training."""
        A = self._input(X)
        for layer in self.layers[:-1]:
            A = layer(A, rng)
        return self.layers[-1].before_activation(A, rng)

    def __call__(self, X: Any, rng: np.random.Generator | None = None) -> Any:
        """The prediction Aᴸ as a Value, (n_out, m). With `rng`, as while training (Dropout …)."""
        return self.layers[-1].activate(self.before_output(X, rng))

    @checked
    def predict(self, X: Any) -> Array:
        """The prediction as plain numbers: probabilities, after a sigmoid or softmax."""
        with no_grad():
            return np.asarray(self(X).data)

    @checked
    def classes(self, X: Any) -> Array:
        """The predicted class of each example, (m,): the most probable, or 1 where σ(z) ≥ 1/2."""
        with no_grad():
            return self.classes_of(self.before_output(X))

    @checked
    def accuracy(self, X: Any, Y: Any) -> float:
        """The part of the examples, 0 … 1, whose predicted class is the one in Y."""
        with no_grad():
            return self.accuracy_of(self.before_output(X), Y)

    def classes_of(self, Z: Any) -> Array:
        """The classes that logits mean."""
        if not self.classifies:
            raise GradError(
                f"a network of {self.n_out} outputs with {self.loss_name} has no classes"
            )
        classes: Array = self.said(np.asarray(Z.data)).astype(int)
        return classes

    def said(self, z: Array) -> Array:
        """The classes that the numbers of logits mean, (m,); of two classes whether it is 1."""
        classes = z.argmax(axis=self.axis) if self.loss == "cross_entropy" else z.ravel() >= 0
        return np.asarray(classes)

    def classes_in(self, Y: Any, shape: tuple[int, ...]) -> Array:
        """The class of each example, (m,), for logits of a shape."""
        y = asarray(Y)
        if self.loss == "cross_entropy" and y.shape == shape:
            return np.asarray(np.argmax(y, axis=self.axis))
        if y.size != shape[1 - self.axis]:
            raise GradError(
                f"accuracy: Y of shape {y.shape} does not hold one class for each of the "
                f"{shape[1 - self.axis]} examples"
            )
        return np.ravel(y)

    def accuracy_of(self, Z: Any, Y: Any) -> float:
        """`accuracy`, from logits that are there already."""
        classes = self.classes_of(Z)
        return float(np.mean(classes == self.classes_in(Y, Z.shape)))

    @property
    def classifies(self) -> bool:
        """Is there a class per example, and so an accuracy?"""
        return self.loss == "cross_entropy" or (
            self.loss == "binary_cross_entropy" and self.n_out == 1
        )

    # --- cost ----------------------------------------------------------------------------------

    @checked
    def cost(self, X: Any, Y: Any, rng: np.random.Generator | None = None) -> Value:
        """The mean loss J over the examples, plus ``λ/2 Σ‖W‖²``: what training makes small.

        `Y`: (n_out, m), or one integer class per example, (m,), for cross-entropy. Cross-entropies
        are computed from Zᴸ, which is exact where Aᴸ would round to 0 or 1.

        >>> net = nn.Network(2, nn.Dense(1, "sigmoid", init="zeros"))
        >>> round(net.cost(np.ones((2, 3)), np.ones((1, 3))).item(), 6)  # log 2
        0.693147
        """
        return self.cost_of(self.before_output(X, rng), Y)

    def cost_of(self, Z: Any, Y: Any) -> Value:
        """`cost`, from logits that are there already."""
        if self.loss in FROM_LOGITS:
            return self._mean(FROM_LOGITS[str(self.loss)], Z, Y)
        return self._mean(self._on_output(), self.layers[-1].activate(Z), Y)

    @checked
    def lecture_cost(self, X: Any, Y: Any, rng: np.random.Generator | None = None) -> Value:
        """The same cost as on paper, from Aᴸ: ``−(y log a + (1−y) log(1−a))``, ``−Σ y log a``.

        Its graph has Aᴸ in it, so its rules and its picture are the lecture's: ``dZ2 = A2 − Y``.
        """
        return self._mean(self._on_output(), self(X, rng), Y)

    def _on_output(self) -> Loss:
        return LOSSES[self.loss] if isinstance(self.loss, str) else self.loss

    def _mean(self, loss: Loss, output: Any, Y: Any) -> Value:
        target = self.target(Y, output.shape, output.dtype)
        J = reductions.mean(named(loss(output, target, self.axis), "L"))
        if self.l2:
            for layer in self.layers:
                for name in layer.weights:
                    J = J + self.l2 / 2 * reductions.sum(layer.parameters[name] ** 2)
        cost: Value = named(J, "J")
        return cost

    def _input(self, X: Any) -> Any:
        """X as a constant of the graph with that name, of the right size."""
        if not isinstance(X, Value):
            X = Value(X, "X", requires_grad=False)
        self.check_input(X.shape)
        return X

    def check_input(self, shape: tuple[int, ...]) -> None:
        """Raise GradError unless an X of this shape is examples for this network."""
        units = -1 if self.rows else -2
        if len(shape) < 2 or shape[units] != self.n0:
            wanted = f"(m, {self.n0})" if self.rows else f"({self.n0}, m)"
            other = f"nn.Network(…, rows={not self.rows})"
            raise GradError(
                f"the network takes X of shape {wanted}, one example per "
                f"{'row' if self.rows else 'column'}; it was given {shape}"
                + (f". Is a transpose (.T) missing, or {other}?" if self.n0 in shape else "")
            )

    def target(self, Y: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        """Y as a constant of the graph with that name, in the shape and dtype of the output."""
        if isinstance(Y, Value):
            return Y
        Y = asarray(Y)
        if Y.shape != shape and Y.ndim == 1:
            if self.loss == "cross_entropy":
                whole = Y.astype(int) if Y.dtype.kind in "fb" and np.all(Y == np.trunc(Y)) else Y
                Y = losses.one_hot_of("the classes Y", whole, self.n_out, self.axis)
            elif self.n_out == 1:
                Y = Y.reshape(shape) if Y.size == shape[1 - self.axis] else Y
        if Y.shape != shape:
            raise GradError(
                f"the network's output has shape {shape}, one {'row' if self.rows else 'column'} "
                f"per example; the target Y has {Y.shape}"
            )
        return Value(Y if Y.dtype.kind not in "fiub" else Y.astype(dtype), "Y", requires_grad=False)

    # --- the bridge to rules, picture and checker ----------------------------------------------

    @checked
    def example(self, m: Size = 5) -> tuple[Array, Array]:
        """Random X and Y of m examples that fit the network: enough for rules and pictures."""
        rng = np.random.default_rng(self.seed)
        X = rng.standard_normal((m, self.n0))
        if self.loss == "cross_entropy":
            Y = np.eye(self.n_out)[rng.integers(self.n_out, size=m)]
        elif self.loss == "binary_cross_entropy":
            Y = rng.integers(2, size=(m, self.n_out)).astype(float)
        else:
            Y = rng.standard_normal((m, self.n_out))
        if isinstance(self.layers[0], Recurrent):
            X = rng.standard_normal((3, m, self.n0))
        return (X, Y) if self.rows else (np.swapaxes(X, -1, -2), Y.T)

    def _graph(self, X: Any, Y: Any) -> Value:
        if X is None:
            X, Y = self.example()
        return self.lecture_cost(X, Y, np.random.default_rng(self.seed))

    def derive(self, X: Any = None, Y: Any = None, **options: Any) -> Any:
        """Its own rules, ``dZ2 = A2 − Y``, ``dW2 = (1/m) dZ2 A1ᵀ`` …: see `tinygrad_edu.derive`."""
        import tinygrad_edu as tg

        return tg.derive(self._graph(X, Y), **options)

    def draw(self, X: Any = None, Y: Any = None, **options: Any) -> Any:
        """The network's graph on X and Y, or an example, as a picture: see `tinygrad_edu.draw`.

        What training has left in the parameters' `grad` is of other data and not shown. For
        gradients call `lecture_cost`, `backward` and `tinygrad_edu.draw`.
        """
        import tinygrad_edu as tg

        return tg.draw(self._graph(X, Y), **options)

    def check(self, backward: Any, X: Any = None, Y: Any = None, **options: Any) -> Any:
        """Your own backward pass against the network's gradients.

        `backward`: a function of the named arrays (``def backward(X, Y, W2, A1, A2, m): …``) that
        returns ``{"dW2": array, …}``, see `tinygrad_edu.check_function`; or a dictionary of arrays,
        functions or formulas, see `tinygrad_edu.compare`.
        """
        import tinygrad_edu as tg

        cost = self._graph(X, Y)
        if callable(backward):
            return tg.check_function(backward, cost, **options)
        return tg.compare(cost, backward, **options)
