"""What is measured: data, programs, and the same gradients written by hand. Imports no framework.

A scalar program is a function of a list of numbers, written with ``+ - *`` and what a framework's
`numbers` offers: ``constant(x)``, ``tanh(v)``, ``relu(v)``.
"""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import numpy as np

# --- W1: one step of a small network, number by number, as in micrograd's demonstration ---------

SIZES = (2, 16, 16, 1)
EXAMPLES = 100


def half_moons(n=EXAMPLES, seed=1):
    """Two interleaved half circles with some noise; labels −1 and 1."""
    r = np.random.default_rng(seed)
    angle = np.linspace(0, math.pi, n // 2)
    upper = np.stack([np.cos(angle), np.sin(angle)], 1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], 1)
    points = np.concatenate([upper, lower]) + 0.1 * r.normal(size=(n, 2))
    return points.tolist(), [-1.0] * (n // 2) + [1.0] * (n // 2)


def network_parameters(sizes=SIZES, seed=1):
    """Weights and bias, unit after unit, layer after layer."""
    r = np.random.default_rng(seed)
    found = []
    for inputs, units in itertools.pairwise(sizes):
        for _ in range(units):
            found += [*r.uniform(-1, 1, inputs).tolist(), 0.01]
    return found


def forward(numbers, parameters, inputs, sizes=SIZES):
    """A multi-layer network on one example: a list of its outputs."""
    place = 0
    for layer, (width, units) in enumerate(itertools.pairwise(sizes)):
        outputs = []
        for _ in range(units):
            z = parameters[place + width]
            for w, x in zip(parameters[place : place + width], inputs):
                z = z + w * x
            place += width + 1
            outputs.append(z if layer == len(sizes) - 2 else numbers.relu(z))
        inputs = outputs
    return inputs


def network_step(numbers, sizes=SIZES, n=EXAMPLES):
    """The largest-margin loss over all examples with weight decay, as a function of parameters."""
    points, labels = half_moons(n)
    constant = numbers.constant

    def cost(parameters):
        total = None
        for point, label in zip(points, labels):
            (score,) = forward(numbers, parameters, [constant(x) for x in point], sizes)
            loss = numbers.relu(score * constant(-label) + constant(1.0))
            total = loss if total is None else total + loss
        decay = None
        for w in parameters:
            decay = w * w if decay is None else decay + w * w
        return total * constant(1.0 / n) + decay * constant(1e-4)

    return cost


def network_operations(sizes=SIZES, n=EXAMPLES):
    """How many additions, products and ReLUs `network_step` performs."""
    pairs = list(itertools.pairwise(sizes))
    per_example = sum(2 * a * b for a, b in pairs) + sum(sizes[1:-1]) + 3
    parameters = sum(b * (a + 1) for a, b in pairs)
    return n * per_example + (n - 1) + (2 * parameters - 1) + 3


def network_by_hand(parameters, n=EXAMPLES):
    """`network_step` with its gradients in plain Python floats: no graph at all."""
    points, labels = half_moons(n)
    layers, place = [], 0
    for width, units in itertools.pairwise(SIZES):
        layers.append((place, width, units))
        place += units * (width + 1)
    gradients = [2e-4 * w for w in parameters]
    loss = 1e-4 * sum([w * w for w in parameters])
    rows = [
        [parameters[at + u * (width + 1) : at + u * (width + 1) + width] for u in range(units)]
        for at, width, units in layers
    ]
    biases = [
        [parameters[at + u * (width + 1) + width] for u in range(units)]
        for at, width, units in layers
    ]
    for point, label in zip(points, labels):
        activations = [point]
        for weights, bias in zip(rows, biases):
            inputs, outputs = activations[-1], []
            for w, z in zip(weights, bias):
                for a, b in zip(w, inputs):
                    z += a * b
                outputs.append(z)
            if weights is not rows[-1]:
                outputs = [z if z > 0.0 else 0.0 for z in outputs]
            activations.append(outputs)
        margin = 1.0 - label * activations[-1][0]
        if margin <= 0.0:
            continue
        loss += margin / n
        back = [-label / n]
        for layer in (2, 1, 0):
            at, width, _ = layers[layer]
            inputs = activations[layer]
            before = [0.0] * width
            for u, d in enumerate(back):
                if d != 0.0:
                    start = at + u * (width + 1)
                    for j, w in enumerate(rows[layer][u]):
                        gradients[start + j] += d * inputs[j]
                        before[j] += d * w
                    gradients[start + width] += d
            back = [d if x > 0.0 else 0.0 for d, x in zip(before, inputs)]
    return loss, gradients


# --- W1 irregular: the same, but every unit reads inputs of its own choice -----------------------


def random_wiring(sizes=SIZES, seed=2):
    """For each layer and unit the inputs it reads: some, in random order, some of them twice.

    What no other unit of a layer reads the first one does: every parameter has a gradient.
    """
    r = np.random.default_rng(seed)
    layers = []
    for width, units in itertools.pairwise(sizes):
        layer = [r.integers(0, width, r.integers(1, width + 1)).tolist() for _ in range(units)]
        layer[0] += sorted(set(range(width)).difference(*layer))
        layers.append(layer)
    return layers


def wired_parameters(seed=1):
    """Weights and bias of each unit of `random_wiring`, unit after unit."""
    r = np.random.default_rng(seed)
    units = [wires for layer in random_wiring() for wires in layer]
    return [x for wires in units for x in (*r.uniform(-1, 1, len(wires)).tolist(), 0.01)]


def wired_step(numbers, n=EXAMPLES):
    """The squared error over all examples of a network wired at random."""
    points, labels = half_moons(n)
    layers, constant = random_wiring(), numbers.constant

    def cost(parameters):
        total = None
        for point, label in zip(points, labels):
            values, place = [constant(x) for x in point], 0
            for layer in layers:
                outputs = []
                for wires in layer:
                    z = parameters[place + len(wires)]
                    for k, i in enumerate(wires):
                        z = z + parameters[place + k] * values[i]
                    place += len(wires) + 1
                    outputs.append(z if layer is layers[-1] else numbers.relu(z))
                values = outputs
            error = values[0] - constant(label)
            total = error * error if total is None else total + error * error
        return total * constant(1.0 / n)

    return cost


def wired_operations(n=EXAMPLES):
    """How many additions, products and ReLUs `wired_step` performs."""
    layers = random_wiring()
    wires = sum(len(w) for layer in layers for w in layer)
    relus = sum(len(layer) for layer in layers[:-1])
    return n * (2 * wires + relus + 2) + (n - 1) + 1


def wired_by_hand(parameters, n=EXAMPLES):
    """`wired_step` with its gradients in plain Python floats."""
    points, labels = half_moons(n)
    layers, place = [], 0
    for layer in random_wiring():
        units = []
        for wires in layer:
            units.append((place, wires, parameters[place : place + len(wires)]))
            place += len(wires) + 1
        layers.append(units)
    gradients, cost = [0.0] * len(parameters), 0.0
    for point, label in zip(points, labels):
        activations = [point]
        for units in layers:
            inputs, outputs = activations[-1], []
            for at, wires, weights in units:
                z = parameters[at + len(wires)]
                for w, i in zip(weights, wires):
                    z += w * inputs[i]
                outputs.append(z if units is layers[-1] or z > 0.0 else 0.0)
            activations.append(outputs)
        error = activations[-1][0] - label
        cost += error * error / n
        back = [2 * error / n]
        for inputs, units in zip(activations[-2::-1], reversed(layers)):
            before = [0.0] * len(inputs)
            for d, (at, wires, weights) in zip(back, units):
                if d != 0.0:
                    for k, i in enumerate(wires):
                        gradients[at + k] += d * inputs[i]
                        before[i] += d * weights[k]
                    gradients[at + len(wires)] += d
            back = [d if x > 0.0 else 0.0 for d, x in zip(before, inputs)]
    return cost, gradients


# --- W2, W3, W7: chains and fans ----------------------------------------------------------------

CHAIN = 10_000
CHAIN_PARAMETERS = [0.3, 0.9, 0.1]


def tanh_chain(numbers, n=CHAIN):
    """``v = tanh(v w + b)``, n times."""

    def program(parameters):
        v, w, b = parameters
        for _ in range(n):
            v = numbers.tanh(v * w + b)
        return v

    return program


def tanh_chain_by_hand(parameters, n=CHAIN):
    """`tanh_chain` and its gradients in plain Python floats."""
    v, w, b = parameters
    tanh, values = math.tanh, []
    for _ in range(n):
        values.append(v)
        v = tanh(v * w + b)
    cost, d, dw, db = v, 1.0, 0.0, 0.0
    for before in reversed(values):
        d *= 1.0 - v * v
        dw += d * before
        db += d
        d *= w
        v = before
    return cost, [d, dw, db]


def additions(numbers, n):
    """n additions one after another."""

    def program(parameters):
        v, one = parameters[0], numbers.constant(1.0)
        for _ in range(n):
            v = v + one
        return v

    return program


def fan(numbers, n):
    """n uses of one number, added up pair by pair."""

    def program(parameters):
        half = numbers.constant(0.5)
        level = [parameters[0] * half for _ in range(n)]
        while len(level) > 1:
            odd = level[-1:] if len(level) % 2 else []
            level = [a + b for a, b in zip(level[::2], level[1::2])] + odd
        return level[0]

    return program


def diamond(numbers, depth):
    """``v = v + v``, `depth` times: 2^depth paths."""

    def program(parameters):
        v = parameters[0]
        for _ in range(depth):
            v = v + v
        return v

    return program


# --- W4, W5, W6: networks of arrays -------------------------------------------------------------

NETWORKS = {  # loss, input width, hidden width, outputs, examples
    "W4": ("logits", 2, 4, 1, 400),
    "W5": ("softmax", 784, 128, 10, 256),
    "W6": ("logits", 1024, 1024, 1024, 1024),
}
RATE = 1e-3


def network_data(which):
    """Kind of loss, and arrays by the lecture's names; examples are columns."""
    kind, n0, n1, n2, m = NETWORKS[which]
    r = np.random.default_rng(3)
    labels = np.eye(n2)[:, r.integers(n2, size=m)]
    return kind, {
        "W1": r.normal(size=(n1, n0)) / math.sqrt(n0), "b1": np.full((n1, 1), 0.01),
        "W2": r.normal(size=(n2, n1)) / math.sqrt(n1), "b2": np.full((n2, 1), 0.01),
        "X": r.normal(size=(n0, m)),
        "Y": np.ascontiguousarray(labels) if kind == "softmax" else (r.random((n2, m)) > 0.5) * 1.0,
    }  # fmt: skip


class ByHand:
    """The lecture's lines as a student writes them: what every ratio is taken to."""

    def __init__(self, kind, arrays):
        self.kind, self.X, self.Y = kind, arrays["X"], arrays["Y"]
        self.parameters = {k: arrays[k].copy() for k in ("W1", "b1", "W2", "b2")}

    def gradients(self):
        X, Y, p = self.X, self.Y, SimpleNamespace(**self.parameters)
        m = X.shape[1]
        A1 = np.tanh(p.W1 @ X + p.b1)
        Z2 = p.W2 @ A1 + p.b2
        if self.kind == "logits":
            A2 = 1 / (1 + np.exp(-Z2))
            cost = -np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)) / m
        else:
            E = np.exp(Z2 - np.max(Z2, axis=0, keepdims=True))
            A2 = E / np.sum(E, axis=0, keepdims=True)
            cost = -np.sum(Y * np.log(A2)) / m
        dZ2 = A2 - Y
        dW2 = dZ2 @ A1.T / m
        db2 = np.sum(dZ2, axis=1, keepdims=True) / m
        dZ1 = p.W2.T @ dZ2 * (1 - A1**2)
        dW1 = dZ1 @ X.T / m
        db1 = np.sum(dZ1, axis=1, keepdims=True) / m
        return float(cost), {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}

    def step(self):
        cost, gradients = self.gradients()
        for name, d in gradients.items():
            self.parameters[name] -= RATE * d
        return cost


# --- W11: a convolution ------------------------------------------------------------------------


def convolution_data():
    """Images, filters, a number added for each filter, and the gradient of the result."""
    r = np.random.default_rng(4)
    return {
        "X": r.normal(size=(32, 3, 32, 32)), "W": r.normal(size=(16, 3, 5, 5)) / 9,
        "b": r.normal(size=16), "D": r.normal(size=(32, 16, 28, 28)),
    }  # fmt: skip


def convolution_by_hand(X, W, b, D):
    """The usual way in NumPy: every window a column, one product, and back ("im2col")."""
    m, channels, height, width = X.shape
    filters, _, h, k = W.shape
    down, right = height - h + 1, width - k + 1
    V = np.lib.stride_tricks.sliding_window_view(X, (h, k), axis=(2, 3))
    columns = V.transpose(1, 4, 5, 0, 2, 3).reshape(channels * h * k, m * down * right)
    rows = W.reshape(filters, -1)
    Z = (rows @ columns + b[:, None]).reshape(filters, m, down, right).transpose(1, 0, 2, 3)
    cost = np.sum(Z * D)
    dZ = D.transpose(1, 0, 2, 3).reshape(filters, -1)
    dW = (dZ @ columns.T).reshape(W.shape)
    dcolumns = (rows.T @ dZ).reshape(channels, h, k, m, down, right)
    dX = np.zeros_like(X)
    for i in range(h):
        for j in range(k):
            dX[:, :, i : i + down, j : j + right] += dcolumns[:, i, j].transpose(1, 0, 2, 3)
    return float(cost), {"X": dX, "W": dW, "b": np.sum(dZ, axis=1)}
