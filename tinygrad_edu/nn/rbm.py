"""Restricted Boltzmann machines: initial weights learnt from the inputs alone (lecture, S8).

A machine with visible units v and hidden units h, all 0 or 1, gives a configuration the energy
``E(v, h) = −aᵀv − bᵀh − hᵀWv`` and the probability ``e^−E / Z``. Summed over h this is
``e^−F(v) / Z`` with the free energy ``F(v) = −aᵀv − Σ softplus(Wv + b)``. Nothing here is derived
by hand: the update is the derivative of F, taken automatically.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.core.numbers import numbers
from tinygrad_edu.core.ops.elementwise import sigmoid, softplus
from tinygrad_edu.core.ops.reductions import logsumexp, mean
from tinygrad_edu.core.ops.reductions import sum as sum_over
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.signature import Count, Natural, Size, checked
from tinygrad_edu.core.value import Value
from tinygrad_edu.nn.initialise import Array, small
from tinygrad_edu.nn.layers import Dense, named
from tinygrad_edu.nn.network import Network
from tinygrad_edu.nn.optimisers import GradientDescent, Memory, Optimiser


class RBM:
    """A machine of `n_v` visible and `n_h` hidden units; examples V (n_v, m) are columns.

    Parameters: W (n_h, n_v), a (n_v, 1) of the visible and b (n_h, 1) of the hidden units.
    Source: G. Hinton, "Training products of experts by minimizing contrastive divergence", Neural
    Computation 14, 2002.

    >>> machine = nn.RBM(3, 2)
    >>> for p in machine.parameters.values():
    ...     p.data = p.data * 0
    >>> round(np.exp(machine.log_partition().item()))  # all 2⁵ configurations alike
    32
    """

    @checked
    def __init__(self, n_v: Size, n_h: Size, seed: Natural = 0) -> None:
        self.n_v, self.n_h = n_v, n_h
        self.W = Value(small(np.random.default_rng(seed), n_h, n_v), "W")
        self.a = Value(np.zeros((n_v, 1)), "a")
        self.b = Value(np.zeros((n_h, 1)), "b")

    def __repr__(self) -> str:
        return f"RBM({self.n_v}, {self.n_h})"

    @property
    def parameters(self) -> dict[str, Value]:
        """What is trained."""
        return {"W": self.W, "a": self.a, "b": self.b}

    def free_energy(self, V: Any) -> Any:
        """``F(v) = −aᵀv − Σ softplus(Wv + b)`` of every example, (m,)."""
        given = sum_over(self.a * V, axis=0)
        return named(-given - sum_over(softplus(self.W @ V + self.b), axis=0), "F")

    def _examples(self, V: Any) -> Array:
        """V as numbers. Raises GradError where they are of another shape, or not from 0 to 1."""
        given: Array = np.asarray(numbers(V, what="RBM: V"), dtype=float)
        if given.ndim != 2 or given.shape[0] != self.n_v or not given.size:
            raise GradError(f"RBM: V must be ({self.n_v}, m); it has shape {given.shape}")
        if not (given.min() >= 0 and given.max() <= 1):
            raise GradError(
                "RBM: V holds numbers from 0 to 1; these are from "
                f"{given.min():g} to {given.max():g}"
            )
        return given

    # --- contrastive divergence ----------------------------------------------------------------

    def hidden(self, V: Any) -> Array:
        """``P(h = 1 | v) = σ(Wv + b)``, (n_h, m)."""
        return np.asarray(sigmoid(self.W.data @ V + self.b.data))

    def visible(self, H: Any) -> Array:
        """``P(v = 1 | h) = σ(Wᵀh + a)``, (n_v, m)."""
        return np.asarray(sigmoid(self.W.data.T @ H + self.a.data))

    @checked
    def gibbs(self, V: Any, rng: np.random.Generator, k: Natural = 1) -> Array:
        """What the machine makes of V in k rounds of drawing h given v, then v given h."""
        drawn = self._examples(V)
        for _ in range(k):
            H = (rng.random((self.n_h, drawn.shape[1])) < self.hidden(drawn)).astype(float)
            drawn = (rng.random(drawn.shape) < self.visible(H)).astype(float)
        return drawn

    def contrast(self, V: Any, V_k: Any) -> Value:
        """``mean F(V) − mean F(V_k)``: its gradient is contrastive divergence, CD-k.

        Down in energy what was seen, up what the machine itself turns it into after k rounds.
        """
        J: Value = named(mean(self.free_energy(V)) - mean(self.free_energy(V_k)), "J")
        return J

    @checked
    def fit(
        self,
        V: Any,
        epochs: Natural = 10,
        batch_size: Count = 32,
        k: Natural = 1,
        optimiser: Optimiser | None = None,
        seed: Natural = 0,
    ) -> list[float]:
        """Train on V (n_v, m), numbers from 0 to 1, by CD-k; returns an error per epoch.

        Numbers between 0 and 1 are taken as probabilities. The error is the mean squared difference
        between V and its reconstruction: it is not the cost, only a sign of life.
        """
        V = self._examples(V)
        optimiser = optimiser or GradientDescent(0.1)
        memory: Memory = {}
        rng = np.random.default_rng(seed)
        errors = []
        for _ in range(epochs):
            order = rng.permutation(V.shape[1])
            for start in range(0, V.shape[1], batch_size):
                seen = V[:, order[start : start + batch_size]]
                J = self.contrast(seen, self.gibbs(seen, rng, k))
                for p in self.parameters.values():
                    p.zero_grad()
                J.backward(keep="leaves")
                memory = optimiser.step(self.parameters, memory)
            errors.append(float(np.mean((V - self.visible(self.hidden(V))) ** 2)))
        return errors

    # --- exactly, on a small machine -----------------------------------------------------------

    def log_partition(self) -> Any:
        """``log Z = log Σ e^−F(v)`` over all 2^n_v visible configurations, as a Value.

        Raises GradError above 20 visible units: a million configurations.
        """
        return logsumexp(-self.free_energy(configurations(self.n_v)))

    def negative_log_likelihood(self, V: Any) -> Value:
        """``mean F(V) + log Z``: the cost that contrastive divergence only approximates."""
        J: Value = named(mean(self.free_energy(V)) + self.log_partition(), "J")
        return J


def configurations(n: int) -> Array:
    """All 2ⁿ columns of n zeros and ones.

    >>> configurations(2).tolist()
    [[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]
    """
    if n > 20:
        raise GradError(f"the exact partition function of {n} units has 2**{n} terms; at most 20")
    return np.array([[k >> (n - 1 - i) & 1 for k in range(2**n)] for i in range(n)], dtype=float)


@checked
def pretrain(net: Network, X: Any, epochs: Natural = 10, seed: Natural = 0, **options: Any) -> None:
    """Give every hidden sigmoid layer of `net` the weights of an RBM trained on what comes into it.

    X as the network takes it, numbers from 0 to 1. Layer by layer: each machine's hidden
    probabilities are the next one's data (G. Hinton and R. Salakhutdinov, Science 313, 2006).
    `options`: see `RBM.fit`. Raises GradError for layers other than ``Dense(n, "sigmoid")``.
    """
    A = np.asarray(net._input(X).data)
    A = A.T if net.rows else A
    hidden = net.layers[:-1]
    for layer in hidden:
        if not isinstance(layer, Dense) or layer.activation != "sigmoid":
            raise GradError(
                f"pretrain: an RBM gives weights to Dense(n, 'sigmoid'), not to {layer!r}"
            )
    for i, layer in enumerate(hidden):
        machine = RBM(A.shape[0], layer.units, seed=seed + i)  # type: ignore[attr-defined]
        machine.fit(A, epochs, seed=seed + i, **options)
        W, b = np.asarray(machine.W.data), np.asarray(machine.b.data)
        layer["W"].data, layer["b"].data = (W.T, b.T) if net.rows else (W, b)
        A = machine.hidden(A)
