"""Real data without a network: digits, breast cancer, iris, as scikit-learn ships them.

All three come from the UCI Machine Learning Repository under CC BY 4.0. scikit-learn
(BSD-3-Clause) carries the files in its package, so nothing is downloaded.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.nn.initialise import Array


@dataclass(frozen=True)
class Dataset:
    """Examples as columns, X (n, m) with labels (m,), split into training and test examples.

    `classes`: what the labels 0, 1, … stand for. `source`, `licence`: whose data it is.
    """

    name: str
    X: Array
    Y: Array
    X_test: Array
    Y_test: Array
    classes: tuple[str, ...]
    source: str
    licence: str

    def __repr__(self) -> str:
        n, m = self.X.shape
        return f"{self.name}: {n} numbers per example, {m} for training, {self.Y_test.size} to test"


def digits(test: float = 0.2, seed: int = 0) -> Dataset:
    """Handwritten digits: 1,797 images of 8 × 8 pixels from 0 to 1, ten classes.

    E. Alpaydin and C. Kaynak, "Optical recognition of handwritten digits", UCI 1998 (its test
    part), doi:10.24432/C50P49.
    """
    return _loaded(
        "digits", test, seed, lambda train: (0.0, 16.0), "https://doi.org/10.24432/C50P49"
    )


def breast_cancer(test: float = 0.2, seed: int = 0) -> Dataset:
    """Wisconsin diagnostic breast cancer: 569 tumours, 30 measures, malignant 0 or benign 1.

    W. Wolberg et al., UCI 1995, doi:10.24432/C5DW2B. Measures are standardised: mean 0 and
    variance 1 over the training examples.
    """
    return _loaded("breast_cancer", test, seed, _standard, "https://doi.org/10.24432/C5DW2B")


def iris(test: float = 0.2, seed: int = 0) -> Dataset:
    """Fisher's iris: 150 flowers, 4 measures in cm (standardised), three species.

    R. Fisher, 1936; UCI, doi:10.24432/C56C76.
    """
    return _loaded("iris", test, seed, _standard, "https://doi.org/10.24432/C56C76")


def _standard(train: Array) -> tuple[Any, Any]:
    return train.mean(axis=1, keepdims=True), train.std(axis=1, keepdims=True)


def _loaded(name: str, test: float, seed: int, scale: Any, source: str) -> Dataset:
    try:
        shipped = importlib.import_module("sklearn.datasets")
    except ImportError:
        raise ImportError(
            f"the {name} data come with scikit-learn: pip install scikit-learn"
        ) from None
    bunch = getattr(shipped, f"load_{name}")()
    X, Y = np.asarray(bunch.data, dtype=float).T, np.asarray(bunch.target)
    train, held_out = split(Y, test, seed)
    low, size = scale(X[:, train])
    X = (X - low) / size
    return Dataset(
        name, X[:, train], Y[train], X[:, held_out], Y[held_out],
        tuple(map(str, bunch.target_names)), source, "CC BY 4.0",
    )  # fmt: skip


def split(labels: Any, test: float, seed: int = 0) -> tuple[Array, Array]:
    """Indices to train on and to test on: the part `test` of every class is held out, by seed.

    >>> train, held_out = split([0, 0, 0, 0, 1, 1], test=0.5)
    >>> np.asarray([0, 0, 0, 0, 1, 1])[held_out].tolist()
    [0, 0, 1]
    """
    if not 0 < test < 1:
        raise GradError(f"split: test is the part held out, between 0 and 1, not {test}")
    labels, rng = np.asarray(labels), np.random.default_rng(seed)
    held_out = np.zeros(labels.size, dtype=bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        held_out[members[: round(test * members.size)]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)
