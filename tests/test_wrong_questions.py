"""Questions that have no answer, from all rooms: each is refused by what is wrong with it."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn

V = tg.Value([1.0, 2.0, 3.0], "v")


def restored():
    small = nn.Network(3, nn.Dense(2), seed=0)
    state = {name: np.zeros((*np.shape(x), 1)) for name, x in small.state().items()}
    return small.restore(state)


@pytest.mark.parametrize("ask, error, says", [
    (lambda: tg.nothing, AttributeError, "has no attribute 'nothing'"),
    (lambda: tg.numerical_gradient(lambda x: x * x, 3.0, eps=0), tg.GradError, "small positive"),
    (lambda: tg.compare(tg.sum(V * V), {"dv": V}, m=1.5), TypeError, "whole number"),
    (lambda: tg.vjp(lambda x: x * 2, V)[1](1.0), tg.GradError, r"seed has shape \(\)"),
    (lambda: tg.binary_cross_entropy(V, V, from_logits="yes"), TypeError, "True or False"),
    (lambda: tg.dot(np.ones((2, 3)), tg.Value(np.ones((4, 3, 2)))), tg.GradError, "above two"),
    (lambda: tg.squeeze(V, axis=0), tg.GradError, "not of length 1"),
    (lambda: tg.stack([]), tg.GradError, "at least one array"),
    (lambda: tg.derive(3.0), TypeError, "a Value is needed as the cost, not float"),
    (lambda: tg.derive(V * 1), tg.GradError, r"shape \(3,\); a single number is needed"),
    (lambda: tg.derive(tg.Value(1.0, requires_grad=False) * 2), tg.GradError, "nothing that needs"),
    (lambda: tg.derive(tg.sum(V * V), convention="mine"), tg.GradError, "not 'mine'"),
    (lambda: tg.derive(tg.sum(V * V), m=4), tg.GradError, "no axis of 4 entries"),
    (restored, tg.GradError, "has shape .* there"),
])  # fmt: skip
def test_what_cannot_be_answered_says_why(ask, error, says):
    with pytest.raises(error, match=says):
        ask()


@pytest.mark.parametrize("loss", [
    lambda z, y: tg.binary_cross_entropy(z, y, from_logits=True),
    lambda z, y: tg.cross_entropy(z, y),
])  # fmt: skip
def test_losses_of_many_numbers_have_the_slope_of_few(loss):
    z = np.linspace(-3, 3, 80_000).reshape(2, -1)
    y = np.zeros((2, 40_000))
    y[0] = 1.0
    many, few = tg.Value(z), tg.Value(z[:, :7])
    tg.sum(loss(many, y)).backward()
    tg.sum(loss(few, y[:, :7])).backward()
    np.testing.assert_allclose(many.grad[:, :7], few.grad, rtol=1e-12)


def test_rules_are_counted_and_found_by_place_or_name():
    rules = tg.derive(tg.sum(V * V))
    assert len(rules) == 1
    assert rules[0] is rules["dv"]
