"""Real data, and a net that learns it."""

import sys

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.nn.datasets import split

SIZES = {"digits": (64, 1797, 10), "breast_cancer": (30, 569, 2), "iris": (4, 150, 3)}


@pytest.mark.parametrize("name", SIZES)
def test_data_are_whole_split_and_stratified(name):
    if name != "breast_cancer":
        pytest.importorskip("sklearn")
    d = getattr(nn, name)(test=0.2, seed=1)
    n, m, classes = SIZES[name]
    assert d.X.shape[0] == d.X_test.shape[0] == n
    assert d.Y.size + d.Y_test.size == d.X.shape[1] + d.X_test.shape[1] == m
    assert len(d.classes) == classes
    assert d.Y_test.size == pytest.approx(0.2 * m, abs=classes)
    for label in range(classes):
        held_out, kept = np.sum(d.Y_test == label), np.sum(d.Y == label)
        assert held_out == pytest.approx(0.2 * (held_out + kept), abs=0.51)
    again, other = getattr(nn, name)(seed=1), getattr(nn, name)(seed=2)
    assert np.array_equal(d.X, again.X)
    assert not np.array_equal(d.X, other.X)
    assert "doi.org" in d.source
    assert "CC BY" in d.licence


def test_measures_are_standardised_by_what_is_trained_on_alone():
    d = nn.breast_cancer()
    np.testing.assert_allclose(d.X.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(d.X.std(axis=1), 1)
    assert abs(d.X_test.mean(axis=1)).max() > 1e-3


def test_no_example_is_on_both_sides():
    labels = np.repeat([0, 1, 2], (50, 30, 20))
    train, held_out = split(labels, 0.3, seed=4)
    assert sorted([*train, *held_out]) == list(range(100))
    assert np.bincount(labels[held_out]).tolist() == [15, 9, 6]
    with pytest.raises(tg.GradError, match="between 0 and 1"):
        split(labels, 1.0)


def test_without_scikit_learn_the_error_names_the_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        nn.digits()


def test_breast_cancer_needs_no_scikit_learn_and_is_what_that_ships(monkeypatch):
    shipped = pytest.importorskip("sklearn.datasets").load_breast_cancer()
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    d = nn.breast_cancer(test=0.3, seed=2)
    train, held_out = split(shipped.target, test=0.3, seed=2)
    mean, std = shipped.data[train].mean(axis=0), shipped.data[train].std(axis=0)
    np.testing.assert_allclose(d.X.T, (shipped.data[train] - mean) / std)
    np.testing.assert_allclose(d.X_test.T, (shipped.data[held_out] - mean) / std)
    assert np.array_equal(d.Y, shipped.target[train])
    assert d.classes == tuple(shipped.target_names)


@pytest.mark.slow
def test_a_small_net_reads_97_percent_of_unseen_digits():
    pytest.importorskip("sklearn")
    d = nn.digits()
    net = nn.Network(
        64, nn.Dense(128), nn.BatchNorm("relu"), nn.Dropout(0.3), nn.Dense(64, "relu"),
        nn.Dense(10, "softmax"), l2=1e-4,
    )  # fmt: skip
    rate = nn.Cosine(0.005, steps=25 * 23)
    net.fit(d.X, d.Y, epochs=25, batch_size=64, optimiser=nn.Adam(rate))
    assert net.accuracy(d.X_test, d.Y_test) >= 0.97
