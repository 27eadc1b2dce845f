"""Real data without a network: digits, breast cancer, iris.

All three come from the UCI Machine Learning Repository under CC BY 4.0. Breast cancer ships with
this package (the lecture trains on it), the others with scikit-learn (BSD-3-Clause): nothing is
downloaded.
"""

from __future__ import annotations

import csv
import importlib
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

import numpy as np

from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.signature import Natural, Share, checked
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


@checked
def digits(test: Share = 0.2, seed: Natural = 0) -> Dataset:
    """Handwritten digits: 1,797 images of 8 × 8 pixels from 0 to 1, ten classes.

    E. Alpaydin and C. Kaynak, "Optical recognition of handwritten digits", UCI 1998 (its test
    part), doi:10.24432/C50P49.
    """
    X, Y, classes = _from_scikit_learn("digits")
    return _divided("digits", X / 16, Y, classes, test, seed, "https://doi.org/10.24432/C50P49")


@checked
def breast_cancer(test: Share = 0.2, seed: Natural = 0) -> Dataset:
    """Wisconsin diagnostic breast cancer: 569 tumours, 30 measures, malignant 0 or benign 1.

    W. Wolberg et al., UCI 1995, doi:10.24432/C5DW2B. Measures are standardised: mean 0 and
    variance 1 over the training examples.
    """
    file = resources.files("tinygrad_edu.nn") / "data" / "breast_cancer.csv"
    with file.open() as lines:
        table = np.array(list(csv.reader(lines))[1:], dtype=float)
    X, Y = table[:, :-1].T, table[:, -1].astype(int)
    source = "https://doi.org/10.24432/C5DW2B"
    return _standardised(
        _divided("breast_cancer", X, Y, ("malignant", "benign"), test, seed, source)
    )


@checked
def iris(test: Share = 0.2, seed: Natural = 0) -> Dataset:
    """Fisher's iris: 150 flowers, 4 measures in cm (standardised), three species.

    R. Fisher, 1936; UCI, doi:10.24432/C56C76.
    """
    X, Y, classes = _from_scikit_learn("iris")
    source = "https://doi.org/10.24432/C56C76"
    return _standardised(_divided("iris", X, Y, classes, test, seed, source))


def _from_scikit_learn(name: str) -> tuple[Array, Array, tuple[str, ...]]:
    """Examples as columns, their labels, and what those stand for."""
    try:
        shipped = importlib.import_module("sklearn.datasets")
    except ImportError:
        raise ImportError(
            f"the {name} data come with scikit-learn: pip install scikit-learn"
        ) from None
    bunch = getattr(shipped, f"load_{name}")()
    classes = tuple(map(str, bunch.target_names))
    return np.asarray(bunch.data, dtype=float).T, np.asarray(bunch.target), classes


def _divided(
    name: str, X: Array, Y: Array, classes: tuple[str, ...], test: float, seed: int, source: str
) -> Dataset:
    train, held_out = split(Y, test, seed)
    return Dataset(
        name, X[:, train], Y[train], X[:, held_out], Y[held_out], classes, source, "CC BY 4.0"
    )


def _standardised(data: Dataset) -> Dataset:
    """Mean 0 and variance 1 over the training examples."""
    mean, std = data.X.mean(axis=1, keepdims=True), data.X.std(axis=1, keepdims=True)
    return replace(data, X=(data.X - mean) / std, X_test=(data.X_test - mean) / std)


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
