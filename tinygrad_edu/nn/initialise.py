"""Where training starts: initial weights (n, n_in) for a layer of n units with n_in inputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.signature import Size, checked

Array = np.ndarray[Any, np.dtype[Any]]
Initialiser = Callable[[np.random.Generator, int, int], Array]


@checked
def zeros(rng: np.random.Generator, n: Size, n_in: Size) -> Array:
    """All zeros: the units of a layer stay identical for ever (lecture, S8). Only to show that.

    >>> nn.zeros(np.random.default_rng(0), 1, 2).tolist()
    [[0.0, 0.0]]
    """
    return np.zeros((n, n_in))


@checked
def small(rng: np.random.Generator, n: Size, n_in: Size) -> Array:
    """``randn(n, n_in) * 0.01`` (lecture, S8): breaks the symmetry, too small for a deep net.

    >>> bool(abs(nn.small(np.random.default_rng(0), 100, 100).std() - 0.01) < 0.001)
    True
    """
    return rng.standard_normal((n, n_in)) * 0.01


@checked
def unscaled(rng: np.random.Generator, n: Size, n_in: Size) -> Array:
    """``randn(n, n_in)``: signals and gradients explode with depth (S9). Only to show that.

    >>> bool(abs(nn.unscaled(np.random.default_rng(0), 100, 100).std() - 1) < 0.1)
    True
    """
    return rng.standard_normal((n, n_in))


@checked
def xavier(rng: np.random.Generator, n: Size, n_in: Size) -> Array:
    """Normal with variance ``2 / (n_in + n)``: tanh and sigmoid layers keep the size of signals.

    X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010.

    >>> bool(abs(nn.xavier(np.random.default_rng(0), 100, 100).std() - 0.1) < 0.01)
    True
    """
    return rng.standard_normal((n, n_in)) * math.sqrt(2.0 / (n_in + n))


@checked
def he(rng: np.random.Generator, n: Size, n_in: Size) -> Array:
    """Normal with variance ``2 / n_in``: twice as large, since ReLU drops half of each signal.

    K. He et al., "Delving deep into rectifiers", ICCV 2015.

    >>> bool(abs(nn.he(np.random.default_rng(0), 100, 200).std() - 0.1) < 0.01)
    True
    """
    return rng.standard_normal((n, n_in)) * math.sqrt(2.0 / n_in)


INITIALISERS: dict[str, Initialiser] = {
    init.__name__: init for init in (zeros, small, unscaled, xavier, he)
}


def initialiser(init: str | Initialiser | None, activation: str | None) -> Initialiser:
    """The one meant by a name, or the usual one for an activation: He for ReLUs, else Xavier.

    >>> initialiser(None, "relu").__name__
    'he'
    """
    if callable(init):
        return init
    if init is None:
        return he if activation in ("relu", "leaky_relu") else xavier
    if init not in INITIALISERS:
        raise GradError(
            f"no initialisation is called {init!r}; there are {', '.join(INITIALISERS)}"
        )
    return INITIALISERS[init]
