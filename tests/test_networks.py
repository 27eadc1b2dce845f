"""Convolutions, pooling, normalisation, attention and losses: written out in lines, used in sheets,
and refused in words where they do not fit."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg

RNG = np.random.default_rng(5)

IMAGES = "X: (2, 3, 5, 6)\nW: (4, 3, 2, 3)\nb: (4,)\n"
NET = "m = 5\nX: (3, m)\nW: (4, 3)\n"
#: Each as a learner writes it: what is given and computed, lines that are right, lines of which the
#: last is wrong.
SHEETS = {
    "a convolution": (
        IMAGES + "Z = conv2d(X, W, b, padding=1)\nJ = np.sum(Z**2)\n",
        "dZ = 2 * Z\ndb = np.sum(dZ, axis=(0, 2, 3))\n"
        "V = sliding_window_view(np.pad(X, ((0, 0), (0, 0), (1, 1), (1, 1))), (2, 3), (2, 3))\n"
        'dW = np.einsum("mfij,mcijhk->fchk", dZ, V)\n',
        "dZ = 2 * Z\ndb = np.sum(dZ, axis=0)\n",
    ),
    "the images of a convolution": (
        IMAGES + "Z = conv2d(X, W)\nJ = np.sum(Z**2)\n",
        "dZ = 2 * Z\nP = np.pad(dZ, ((0, 0), (0, 0), (1, 1), (2, 2)))\n"
        "V = np.lib.stride_tricks.sliding_window_view(P, (2, 3), axis=(2, 3))\n"
        'dX = np.einsum("mfijhk,fchk->mcij", V, W[:, :, ::-1, ::-1])\n',
        "dZ = 2 * Z\nP = np.pad(dZ, ((0, 0), (0, 0), (1, 1), (2, 2)))\n"
        "V = np.lib.stride_tricks.sliding_window_view(P, (2, 3), axis=(2, 3))\n"
        'dX = np.einsum("mfijhk,fchk->mcij", V, W)\n',
    ),
    "a sequence": (
        "x: (2, 1, 7)\nw: (1, 1, 3)\nz = conv1d(x, w, stride=2)\nJ = np.sum(z**2)\n",
        "dz = 2 * z\nV = sliding_window_view(x[:, 0], 3, axis=1)[:, ::2]\n"
        'dw = np.einsum("mi,mik->k", dz[:, 0], V).reshape(1, 1, 3)\n',
        "dz = z\n",
    ),
    "a maximum over windows": (
        "X: (6, 4)\nP = max_pool2d(X)\nJ = np.sum(P**2)\n",
        "dX = 2 * X * (X == np.repeat(np.repeat(P, 2, axis=0), 2, axis=1))\n",
        "dX = 2 * np.repeat(np.repeat(P, 2, axis=0), 2, axis=1)\n",
    ),
    "a mean over windows": (
        "X: (6, 4)\nP = avg_pool2d(X)\nJ = np.sum(P**2)\n",
        "dX = np.repeat(np.repeat(2 * P, 2, axis=0), 2, axis=1) / 4\n",
        "dX = np.repeat(np.repeat(2 * P, 2, axis=0), 2, axis=1)\n",
    ),
    "rows of a table": (
        "E: (7, 3)\ni: (5,) = integers(0, 7)\nh = embedding(E, i)\nJ = np.sum(h**3)\n",
        "dh = 3 * h**2\ndE = np.zeros_like(E)\nnp.add.at(dE, i, dh)\n",
        "dh = 3 * h**2\ndE = np.zeros_like(E)\ndE[i] += dh\n",
    ),
    "attention": (
        "X: (5, 4)\nW: (4, 4)\nQ = X @ W\nZ = attention(Q, X, X)\nJ = np.sum(Z**2)\n",
        "dZ = 2 * Z\nP = softmax(Q @ X.T / 2, axis=1)\ndP = dZ @ X.T\n"
        "dS = P * (dP - np.sum(P * dP, axis=1, keepdims=True))\ndQ = dS @ X / 2\ndW = X.T @ dQ\n",
        "dZ = 2 * Z\nP = softmax(Q @ X.T / 2, axis=1)\ndP = dZ @ X.T\n"
        "dS = P * (dP - np.sum(P * dP, axis=1, keepdims=True))\ndQ = dS @ X\n",
    ),
    "dropout": (
        NET + "D: (4, m) = binary\nA = np.tanh(W @ X)\nB = dropout(A, 0.25, D)\n"
        "J = np.sum(B**2) / m\n",
        "dA = 2 * B * D / 0.75\ndW = 1/m * (dA * (1 - A**2)) @ X.T\n",
        "dA = 2 * B * D\n",
    ),
    "layer norm": (
        "X: (4, 6)\ng: (4,)\nN = layer_norm(X, axis=0, eps=0.0)\nY = g[:, None] * N\n"
        "J = np.sum(Y**3)\n",
        "dY = 3 * Y**2\ndg = np.sum(dY * N, axis=1)\ndN = g[:, None] * dY\n"
        "dX = (dN - np.mean(dN, axis=0) - N * np.mean(dN * N, axis=0)) / np.std(X, axis=0)\n",
        "dY = 3 * Y**2\ndN = g[:, None] * dY\ndX = dN / np.std(X, axis=0)\n",
    ),
    "binary cross-entropy": (
        NET + "Y: (4, m) = binary\nA = sigmoid(W @ X)\nJ = np.mean(binary_cross_entropy(A, Y))\n",
        "dW = 1/m * (A - Y) @ X.T\n",
        "dW = (A - Y) @ X.T\n",
    ),
    "cross-entropy": (
        NET + "Y: (4, m) = onehot(axis=0)\nZ = W @ X\nJ = np.mean(cross_entropy(Z, Y))\n",
        "dZ = softmax(Z, axis=0) - Y\ndW = 1/m * dZ @ X.T\n",
        "dZ = softmax(Z, axis=0)\n",
    ),
    "cross-entropy of whole numbers": (
        NET + "y: (m,) = integers(0, 4)\nZ = W @ X\nJ = np.mean(cross_entropy(Z, y))\n",
        "dZ = softmax(Z, axis=0) - one_hot(y, 4)\ndW = 1/m * dZ @ X.T\n",
        "dZ = softmax(Z, axis=1) - one_hot(y, 4)\n",
    ),
    "squared error": (
        NET + "Y: (4, m)\nZ = W @ X\nJ = np.mean(mean_squared_error(Z, Y))\n",
        "dZ = 2/4 * (Z - Y)\ndW = 1/m * dZ @ X.T\n",
        "dZ = 2 * (Z - Y)\n",
    ),
    "Huber's loss": (
        NET + "Y: (4, m)\nZ = W @ X\nJ = np.mean(huber(Z, Y))\n",
        "dZ = 1/4 * np.clip(Z - Y, -1, 1)\ndW = 1/m * dZ @ X.T\n",
        "dZ = 1/4 * (Z - Y)\n",
    ),
    "hinge": (
        NET + "t: (4, m) = binary\nY = 2 * t - 1\nZ = W @ X\nJ = np.mean(hinge(Z, Y))\n",
        "dZ = -Y * (Y * Z < 1)\ndW = 1/m * dZ @ X.T\n",
        "dZ = -Y\n",
    ),
    "Kullback and Leibler": (
        NET + "P: (4, m) = probabilities(axis=0)\nQ = softmax(W @ X, axis=0)\n"
        "J = np.mean(kl_divergence(P, Q))\n",
        "dW = 1/m * (Q - P) @ X.T\n",
        "dW = 1/m * (P - Q) @ X.T\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", SHEETS)
@pytest.mark.one_in(4)
def test_a_sheet_of_it_is_judged_and_derived(kind):
    start, right, wrong = SHEETS[kind]
    report = tg.check_text(start + right)
    assert report.ok, str(report)
    verdicts = [rule["verdict"] for rule in tg.check_text(start + wrong).to_json()["rules"]]
    assert verdicts[-1] == "wrong"


def test_the_windows_of_a_convolution_are_written_in_its_rules():
    X, W = tg.Value(RNG.standard_normal((2, 1, 4, 5)), "X"), tg.Value(np.ones((3, 1, 2, 2)), "W")
    Z = tg.conv2d(X, W)
    Z.name = "Z"
    d = tg.derive(tg.sum(Z**2))
    assert "sliding_window_view(X, (2, 2), (2, 3))" in d["dW"].text
    assert "dZ" in d["dW"].text
    assert "windows_summed(" in d["dX"].text
    scope = {}
    exec(d.to_numpy(), scope)
    tg.sum(Z**2).backward()
    _, gradients = scope["gradients"](X=X.data, W=W.data)
    np.testing.assert_allclose(gradients["dX"], X.grad)
    np.testing.assert_allclose(gradients["dW"], W.grad)


def test_a_convolution_may_be_compiled():
    X, W = tg.Value(RNG.standard_normal((2, 3, 6, 5)), "X"), tg.Value(np.ones((4, 3, 3, 2)), "W")
    J = tg.mean(tg.relu(tg.conv2d(X, W, stride=(1, 2), padding=(0, 1))) ** 2)
    J.backward()
    _, gradients = tg.compile(J)(X=X.data, W=W.data)
    np.testing.assert_allclose(gradients["X"], X.grad)
    np.testing.assert_allclose(gradients["W"], W.grad)


def test_what_is_dropped_is_drawn_once_and_a_seed_draws_it_again():
    x = tg.Value(np.ones((50, 40)))
    z, again = tg.dropout(x, 0.25, rng=3), tg.dropout(x, 0.25, rng=3)
    assert np.array_equal(z.data, again.data)
    assert set(np.unique(z.data)) == {0.0, 1 / 0.75}
    assert 0.7 < np.mean(z.data > 0) < 0.8
    z.backward(np.ones(z.shape))
    assert np.array_equal(x.grad, z.data)


ONES = np.ones((2, 3))
REFUSED = {
    r"conv2d: x \(2, 3\) and w \(2, 3\) do not fit": lambda: tg.conv2d(ONES, ONES),
    "of as many channels": lambda: tg.conv1d(np.ones((1, 2, 5)), np.ones((1, 3, 2))),
    "stride|whole numbers from 1": lambda: tg.conv1d(
        np.ones((1, 1, 5)), np.ones((1, 1, 2)), stride=0
    ),
    "has no windows": lambda: tg.conv1d(np.ones((1, 1, 2)), np.ones((1, 1, 3))),
    r"max_pool2d: images \(…, H, W\)": lambda: tg.max_pool2d(np.ones(3)),
    "layer_norm: along which axis": lambda: tg.layer_norm(ONES),
    "batch_norm: along which axis": lambda: tg.batch_norm(ONES),
    "rms_norm: along which axis": lambda: tg.rms_norm(ONES),
    "hides every row": lambda: tg.attention(ONES, ONES, ONES, mask=[[1, 0], [0, 0]]),
    "attention: rows are needed": lambda: tg.attention(np.ones(3), ONES, ONES),
    "rate is from 0": lambda: tg.dropout(ONES, 1.0),
    "classes are −1 and 1": lambda: tg.hinge(ONES, np.zeros((2, 3))),
    "delta is above 0": lambda: tg.huber(ONES, ONES, delta=0),
    "kl_divergence: probabilities must be from 0 to 1": lambda: tg.kl_divergence(2 * ONES, ONES),
    "nothing is broadcast": lambda: tg.huber(ONES, np.ones(3)),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_does_not_fit_is_refused_in_words(words):
    with pytest.raises(tg.GradError, match=words):
        REFUSED[words]()


def test_a_sheet_gives_the_mask_of_its_dropout():
    text = "X: (3, 4)\nJ = np.sum(dropout(X, 0.5))\ndX = np.ones((3, 4))\n"
    with pytest.raises(tg.SheetError, match="mask"):
        tg.check_text(text)
