"""Models people write, compiled: the program gives what the graph gives, on other numbers too."""

import numpy as np
import pytest
from test_program import assert_program_is_right

import tinygrad_edu as tg


def recurrent(Wx, Wh, b, Wy, X):
    h, cost = np.zeros((4, 2)), 0.0
    for t in range(5):
        h = tg.tanh(Wx @ X[t] + Wh @ h + b)
        cost = cost + tg.mean((Wy @ h) ** 2)
    return cost


def lstm(W, b, X):
    h, c = np.zeros((4, 2)), np.zeros((4, 2))
    for t in range(4):
        z = W @ tg.concatenate([h, X[t]], axis=0) + b
        i, f, o = tg.sigmoid(z[:4]), tg.sigmoid(z[4:8]), tg.sigmoid(z[8:12])
        c = f * c + i * tg.tanh(z[12:])
        h = o * tg.tanh(c)
    return tg.sum(h * h) + tg.mean(c)


def attention(q, k, v, Wo):
    weights = tg.softmax(q @ k.T / np.sqrt(5.0), axis=1)
    return tg.sum((weights @ v @ Wo) ** 3)


def many_heads(X, Wq, Wk, Wv):
    q, k, v = [tg.transpose((X @ w).reshape(6, 2, 4), (1, 0, 2)) for w in (Wq, Wk, Wv)]
    weights = tg.softmax(q @ tg.transpose(k, (0, 2, 1)), axis=-1)
    joined = tg.transpose(weights @ v, (1, 0, 2)).reshape(6, 8)
    return tg.mean(tg.log_softmax(joined, axis=1)[np.arange(6), np.array([0, 3, 3, 1, 7, 2])])


def batch_norm(X, gamma, beta, W):
    mean, spread = tg.mean(X, axis=1, keepdims=True), tg.var(X, axis=1, keepdims=True)
    return tg.sum((W @ (gamma * (X - mean) / tg.sqrt(spread + 1e-5) + beta)) ** 2)


def embedding(E, W):
    rows = E[np.array([0, 3, 3, 1, 0])]
    return tg.mean(tg.cross_entropy(W @ rows.T, np.array([0, 1, 2, 1, 0])))


def convolution(x, w, b):
    windows = [x[:, i : i + 3, j : j + 3].reshape(-1) for i in range(4) for j in range(4)]
    return tg.mean(tg.relu(w.reshape(4, 18) @ tg.stack(windows, axis=1) + b) ** 2)


def polynomial(theta, x):
    fit = tg.mean((theta[0] + theta[1] * x + theta[2] * x**2 - 1) ** 2)
    return fit + 0.1 * tg.sum(theta[1:] ** 2) + tg.norm(theta) + tg.max(theta) * tg.min(theta)


def pooling(x):
    most = tg.max(x.reshape(3, 2, 3, 2), axis=(1, 3))
    return tg.sum(most**2) + tg.prod(tg.tanh(x[:, 0])) + tg.sum(tg.cumsum(x, axis=1) ** 2)


def cross_entropy_written_out(W1, b1, w2, X):
    A2 = tg.sigmoid(w2 @ tg.sigmoid(W1 @ X + b1))
    Y = (np.arange(9) % 2).reshape(1, 9)
    return -tg.sum(Y * tg.log(A2) + (1 - Y) * tg.log(1 - A2)) / 9 + tg.mean(A2) * 0.01


def gradient_penalty(W, X):
    slope = tg.grad(lambda v: tg.sum(tg.tanh(v @ X)))(W)
    return tg.sum(slope * slope)


@pytest.mark.parametrize(
    "model, shapes",
    [(recurrent, {"Wx": (4, 3), "Wh": (4, 4), "b": (4, 1), "Wy": (2, 4), "X": (5, 3, 2)}),
     (lstm, {"W": (16, 7), "b": (16, 1), "X": (4, 3, 2)}),
     (attention, {"q": (6, 5), "k": (7, 5), "v": (7, 3), "Wo": (3, 2)}),
     (many_heads, {"X": (6, 5), "Wq": (5, 8), "Wk": (5, 8), "Wv": (5, 8)}),
     (batch_norm, {"X": (3, 8), "gamma": (3, 1), "beta": (3, 1), "W": (2, 3)}),
     (embedding, {"E": (4, 3), "W": (3, 3)}), (pooling, {"x": (6, 6)}),
     (convolution, {"x": (2, 6, 6), "w": (4, 2, 3, 3), "b": (4, 1)}),
     (polynomial, {"theta": (3,), "x": (11,)}),
     (cross_entropy_written_out, {"W1": (4, 3), "b1": (4, 1), "w2": (1, 4), "X": (3, 9)}),
     (gradient_penalty, {"W": (2, 3), "X": (3, 4)})],
)  # fmt: skip
def test_a_model_compiles_to_the_same_cost_and_gradients(model, shapes):
    r = np.random.default_rng(0)
    numbers = [{k: r.normal(size=s) * 0.7 for k, s in shapes.items()} for _ in range(3)]
    assert_program_is_right(model, *numbers)
