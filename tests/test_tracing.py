"""A learner's own code, as it stands: followed, judged, the line named, corrected."""

from __future__ import annotations

import itertools
import random
import runpy
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from browser import PATH, browser
from code_mutants import EXPECTED, loaded, outcome, right_text, text_of

import tinygrad_edu as tg

RNG = np.random.default_rng(5)
NUMBERS = {"W": RNG.normal(size=(2, 3)), "b": RNG.normal(size=(2, 1))}
X, Y = RNG.normal(size=(3, 5)), RNG.normal(size=(2, 5))


def piece_report(text, tmp_path):
    """The report on a piece of code, from a file of its own."""
    path = tmp_path / "learner.py"
    path.write_text(text, encoding="utf-8")
    names = loaded(text, str(path))
    return tg.check_code(names["run"], names["numbers"]())


def mistaken(numbers):
    W, b = numbers["W"], numbers["b"]
    Z = W @ X + b
    A = np.tanh(Z)
    cost = np.sum((A - Y) ** 2) / 2
    dZ = (A - Y) * (1 - Z**2)
    return cost, {"dW": dZ @ X.T, "db": dZ.sum(axis=1, keepdims=True)}


@pytest.mark.parametrize("piece", [
    "cs231n_two_layer", "cs231n_layers_batchnorm", "makemore_manual", "min_char_rnn",
])  # fmt: skip
def test_right_code_is_not_accused(piece, tmp_path):
    report = piece_report(text_of(piece), tmp_path)
    assert report.ok
    assert report.followed
    assert report.lines == []


@pytest.mark.parametrize("piece", [p for p in EXPECTED if EXPECTED[p]["mistakes"]])
@pytest.mark.one_in(3)
def test_of_a_piece_put_right_every_gradient_is_right(piece, tmp_path):
    assert piece_report(right_text(piece), tmp_path).ok


@pytest.mark.parametrize("piece", [
    "micrograd_assign", "step_updated_weights",
    *(pytest.param(piece, marks=pytest.mark.slow) for piece in (
        "dlai_L_model", "rnn_class_dc", "dlai_gradcheck_n", "conv_backward_stride",
        "layers_softmax_axis",
    )),
])  # fmt: skip
def test_the_mistaken_line_is_named_and_the_correction_makes_all_gradients_right(piece, tmp_path):
    report = piece_report(text_of(piece), tmp_path)
    wrong = [g["name"] for g in report.gradients if g["verdict"] == "wrong"]
    assert sorted(wrong) == sorted(EXPECTED[piece]["wrong"])
    lines = [mistake["line"] for mistake in EXPECTED[piece]["mistakes"]]
    named = [line["line"] for line in report.lines]
    assert all(any(abs(n - line) <= 1 for line in lines) for n in named)
    (corrected,) = report.corrected.values()
    names = loaded(corrected)
    right = loaded(right_text(piece))
    assert outcome(names, names["numbers"]())[0] == outcome(right, right["numbers"]())[0]
    for name, g in outcome(right, right["numbers"]())[1].items():
        np.testing.assert_allclose(outcome(names, names["numbers"]())[1][name], g, atol=1e-9)


def test_a_line_says_where_it_is_what_is_wrong_and_how_it_would_be_right():
    report = tg.check_code(mistaken, NUMBERS)
    (line,) = report.lines
    assert line["source"] == "dZ = (A - Y) * (1 - Z**2)"
    assert line["diagnosis"] == {
        "mistake": "derivative_at_wrong_point",
        "explanation": "dZ is wrong, and everything else that is wrong follows from it. "
        "It is A, not Z.",
        "correction": "dZ = (A - Y) * (1 - A**2)",
    }
    assert line["source"][line["column"] - 5 - 0 : line["end_column"] - 5] == "Z"
    assert {g["name"]: g["verdict"] for g in report.gradients} == {"W": "wrong", "b": "wrong"}
    assert "correct: dZ = (A - Y) * (1 - A**2)" in str(report)
    assert "<ins>A</ins>" in report.to_html()


@pytest.mark.slow
@pytest.mark.skipif(PATH is None, reason="needs Chromium (apt install chromium)")
def test_the_page_is_as_narrow_as_a_telephone_and_dark_where_that_is_asked_for(tmp_path):
    report, file = tg.check_code(mistaken, NUMBERS), tmp_path / "page.html"
    seen = set()
    with browser(tmp_path / "browser") as tab:
        for language, dark in itertools.product(("en", "fa"), (False, True)):
            file.write_text(report.to_html(language), encoding="utf-8")
            tab.open(file, dark=dark)
            narrow = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
            tab.call("Emulation.setDeviceMetricsOverride", **narrow)
            assert tab.ask("document.documentElement.scrollWidth") <= 390
            seen.add(tab.ask("getComputedStyle(document.body).backgroundColor"))
    assert seen == {"rgb(255, 255, 255)", "rgb(13, 17, 23)"}


def average(numbers):
    D = numbers["W"] @ X + numbers["b"] - Y
    cost = np.sum(D**2) / 2 / len(X[0])
    return cost, {"dW": D @ X.T, "db": D.sum(axis=1, keepdims=True) / len(X[0])}


@pytest.mark.slow
def test_a_length_is_something_to_divide_by():
    (line,) = tg.check_code(average, NUMBERS).lines
    assert line["diagnosis"]["mistake"] == "one_over_m_missing"
    assert "The division by len(X[0]) is missing." in line["diagnosis"]["explanation"]
    assert "D @ X.T / len(X[0])" in line["diagnosis"]["correction"]


def error_of(A):
    return sum((A - Y) for _ in "seventy")


@pytest.mark.slow
def test_a_correction_that_only_makes_up_for_an_earlier_line_is_told_as_such():
    def run(numbers):
        k = 7.0
        A = np.tanh(numbers["W"] @ X)
        cost = k * np.sum((A - Y) ** 2) / (2 * k)
        dA = error_of(A)
        dW = (dA * (1 - A**2)) @ X.T
        return cost, {"dW": dW}

    earlier, line = tg.check_code(run, {"W": NUMBERS["W"]}).lines
    assert line["diagnosis"]["correction"] == "dA = error_of(A) / k"
    told = f"But this only makes up for line {earlier['line']}: "
    assert earlier["line"] == error_of.__code__.co_firstlineno + 1
    assert told in line["diagnosis"]["explanation"]


@pytest.mark.slow
def test_a_backward_pass_that_fits_another_forward_pass_is_told_as_such():
    def run(numbers):
        scores = np.exp(numbers["W"] @ X)
        P = scores / scores.sum(axis=1, keepdims=True)
        cost = -np.sum(np.log(P[0]))
        dZ = P.copy()
        dZ[0] -= 1
        return cost, {"dW": dZ @ X.T}

    (line,) = tg.check_code(run, {"W": NUMBERS["W"]}).lines
    assert line["diagnosis"]["mistake"] == "forward_softmax_axis"
    assert "the forward pass" in line["diagnosis"]["explanation"]
    assert "axis=0" in line["diagnosis"]["correction"]


RECURRENT = """
import numpy as np
np.random.seed(4)
xs, ys = np.random.randn(3, 2, 1), np.random.randn(3, 4, 1)
h0 = np.random.randn(4, 1)

def numbers():
    return {"U": np.random.randn(4, 4), "V": np.random.randn(4, 2)}

def run(numbers):
    U, V = numbers["U"], numbers["V"]
    H, h, cost = [], h0, 0
    for t in range(3):
        h = np.tanh(U @ h + V @ xs[t])
        H.append(h)
        cost += 0.5 * np.sum((h - ys[t])**2)
    dU, dV, dh = np.zeros_like(U), np.zeros_like(V), 0
    for t in reversed(range(3)):
        dz = (H[t] - ys[t] + dh) * (1 - H[t]**2)
        before = H[t - 1] if t > 0 else h0
        dU += dz @ before.T
        dV += dz @ xs[t].T
        dh = U.T @ dz
    return cost, {"dU": dU, "dV": dV}
"""


@pytest.mark.slow
@pytest.mark.parametrize("right, wrong, said", [
    ("if t > 0 else h0", "if t > 0 else H[0]", "It is wrong only at t = 0."),
    ("dU += dz", "dU += 2 * dz", "It is wrong in 3 of 3 steps."),
])  # fmt: skip
@pytest.mark.one_in(2)
def test_of_a_line_in_a_loop_it_is_told_at_which_steps_it_is_wrong(right, wrong, said, tmp_path):
    assert piece_report(RECURRENT, tmp_path).ok
    (line,) = piece_report(RECURRENT.replace(right, wrong), tmp_path).lines
    assert wrong in line["source"]
    assert line["iterations"]["said"] == said


@pytest.mark.parametrize("right, wrong, correction", [
    ("        dU += dz @ before.T\n", "", "dh = U.T @ dz\ndU += dz @ before.T"),
    ("(H[t] - ys[t] + dh)", "(H[t] - ys[t])", "dz = (H[t] - ys[t] + dh) * (1 - H[t]**2)"),
    ("dV += dz @ xs[t].T", "dV += dz", "dV += dz @ xs[t].T"),
    ("        dV += dz @ xs[t].T\n", "", "dh = U.T @ dz\ndV += dz @ xs[t].T"),
])  # fmt: skip
@pytest.mark.one_in(8)
def test_what_is_missing_in_a_recurrence_is_found(right, wrong, correction, tmp_path):
    (line,) = piece_report(RECURRENT.replace(right, wrong), tmp_path).lines
    assert line["diagnosis"]["correction"] == correction


SOFTMAX = """
import numpy as np
rng = np.random.default_rng(3)
X, y, N = rng.normal(size=(5, 4)), np.array([0, 1, 2, 2, 1]), 5

def numbers():
    return {"W": rng.normal(size=(4, 3)), "b": rng.normal(size=3)}

def run(numbers):
    scores = np.exp(X @ numbers["W"] + numbers["b"])
    probs = scores / scores.sum(axis=1, keepdims=True)
    dscores = probs.copy()
    dscores[np.arange(N), y] -= 1
    dscores /= N
    loss = -np.sum(np.log(probs[np.arange(N), y])) / N
    return loss, {"dW": X.T @ dscores, "db": dscores.sum(axis=0)}
"""


def test_a_division_that_is_missing_of_an_array_whose_entries_were_written_is_told(tmp_path):
    assert piece_report(SOFTMAX, tmp_path).ok
    (line,) = piece_report(SOFTMAX.replace("    dscores /= N\n", ""), tmp_path).lines
    assert line["diagnosis"] == {
        "mistake": "one_over_m_missing",
        "explanation": "The division by N is missing. After line 13 a statement is missing.",
        "correction": "dscores[np.arange(N), y] -= 1\ndscores /= N",
    }


HINGE = """
import numpy as np
rng = np.random.default_rng(6)
X, y = rng.normal(size=(5, 4)), np.array([0, 1, 2, 2, 1])

def numbers():
    return {"W": rng.normal(size=(4, 3)) * 0.1}

def run(numbers):
    W = numbers["W"]
    dW, loss = np.zeros(W.shape), 0.0
    for i in range(len(X)):
        scores = X[i].dot(W)
        for j in range(3):
            if j == y[i]:
                continue
            margin = scores[j] - scores[y[i]] + 1
            if margin > 0:
                loss += margin
                dW[:, j] += X[i]
                dW[:, y[i]] -= X[i]
    loss += 0.1 * np.sum(W * W)
    dW += 0.2 * W
    return loss, {"dW": dW}
"""


def test_a_column_that_is_never_added_to_is_found(tmp_path):
    assert piece_report(HINGE, tmp_path).ok
    text = HINGE.replace("                dW[:, y[i]] -= X[i]\n", "")
    (line,) = piece_report(text, tmp_path).lines
    assert line["source"] == "dW[:, j] += X[i]"
    assert line["diagnosis"]["correction"] == "dW[:, j] += X[i]\ndW[:, y[i]] -= X[i]"


@pytest.mark.slow
def test_a_forward_pass_that_would_leave_the_backward_pass_nothing_to_do_is_not_told(tmp_path):
    text = HINGE.replace("= X[i]\n", "= np.cos(X[i])**3\n")
    assert "forward" not in str(piece_report(text, tmp_path))


NORM = """
import numpy as np
rng = np.random.default_rng(3)
x, y, eps = rng.normal(size=(6, 4)), rng.normal(size=(6, 3)), 1e-5

def numbers():
    return {"V": rng.normal(size=(4, 3))}

def run(numbers):
    h = x @ numbers["V"]
    mean, var, N = h.mean(axis=0), h.var(axis=0), len(x)
    a = (h - mean) / np.sqrt(var + eps)
    def back():
        da = a - y
        dvar = np.sum(da * (h - mean), axis=0) * -0.5 * (var + eps)**-1.5
        dmean = np.sum(da * -1 / np.sqrt(var + eps), axis=0) + dvar * np.mean(mean - h, axis=0)
        dh = da / np.sqrt(var + eps) + dvar * 2.0 * (h - mean) / N + dmean / N
        return dh
    return np.sum((a - y)**2) / 2, {"dV": x.T @ back()}
"""


@pytest.mark.parametrize("right, wrong, correction", [
    ("(var + eps)**-1.5", "eps**-1.5", "(eps + var)**-1.5"),
    ("np.sum(da * -1 / np.sqrt(var + eps), axis=0) + ", "", "np.sum(da / np.sqrt(var + eps)"),
    (" * -0.5 * (var + eps)**-1.5", ".sum()", None),
])  # fmt: skip
@pytest.mark.one_in(3)
def test_in_a_function_in_a_function_what_is_missing_is_found(right, wrong, correction, tmp_path):
    assert piece_report(NORM, tmp_path).ok
    text = NORM.replace(right, wrong)
    (line,) = piece_report(text, tmp_path).lines
    assert line["source"] in text
    assert line["source"] not in NORM
    assert correction is None or correction in line["diagnosis"]["correction"]


def test_of_an_index_that_comes_twice_all_shares_are_added():
    places, x = np.array([0, 1, 0]), X[:, :3]

    def run(numbers):
        W = numbers["W"]
        H = np.tanh(W[places] * x)
        dW = np.zeros_like(W)
        dW[places] += (1 - H**2) * x
        return np.sum(H), {"dW": dW}

    (line,) = tg.check_code(run, {"W": NUMBERS["W"]}).lines
    assert line["diagnosis"]["correction"] == "np.add.at(dW, places, (1 - H**2) * x)"


GATED = """
import numpy as np
rng = np.random.default_rng(3)
x, y = rng.normal(size=4), rng.normal(size=3)

def numbers():
    return {"U": rng.normal(size=(3, 4)), "V": rng.normal(size=(3, 4)), "w": rng.normal(size=4)}

def forward(p):
    h = np.tanh(p["w"] * x)
    r, c = np.tanh(p["U"] @ h), np.tanh(p["V"] @ h)
    return h, r, c

def run(p):
    h, r, c = forward(p)
    g = {}
    dr, dc = (r * c - y) * c * (1 - r**2), (r * c - y) * r * (1 - c**2)
    g["U"], g["V"] = np.outer(dr, h), np.outer(dc, h)
    dh = p["V"].T @ dc + p["U"].T @ dr
    g["w"] = dh * (1 - h**2) * x
    return np.sum((r * c - y)**2) / 2, g
"""


def test_a_product_of_a_matrix_that_is_read_elsewhere_and_a_vector_may_be_missing(tmp_path):
    assert piece_report(GATED, tmp_path).ok
    (line,) = piece_report(GATED.replace(' + p["U"].T @ dr', ""), tmp_path).lines
    assert line["diagnosis"]["correction"] == """dh = p["V"].T @ dc + dr @ p['U']"""


LAYERS = """
import numpy as np
rng = np.random.default_rng(8)
X, Y, gains = rng.normal(size=(6, 3)), rng.normal(size=(6, 2)), rng.uniform(1, 2, size=6)

class Sigmoid:
    def forward(self, z):
        self.a = 1 / (1 + np.exp(-z))
        return self.a
    def backward(self, da):
        dz = da * self.a * (1 - self.a)
        return dz

class Gain:
    def forward(self, x):
        self.scale = 0.5
        return gains[:, None] * x * np.sqrt(self.scale)
    def backward(self, dout):
        dx = dout * np.sqrt(self.scale)
        dx *= gains[:, None]
        return dx

def numbers():
    return {"W": rng.normal(size=(3, 2)), "b": rng.normal(size=2)}

def run(numbers):
    act, gain = Sigmoid(), Gain()
    out = gain.forward(act.forward(X @ numbers["W"] + numbers["b"]))
    cost = np.sum((out - Y) ** 2) / len(Y)
    dz = act.backward(gain.backward(2 * (out - Y) / len(Y)))
    return cost, {"dW": X.T @ dz, "db": dz.sum(axis=0)}
"""


@pytest.mark.parametrize("right, wrong, correction", [
    ("2 * (out - Y) / len(Y)", "2 * out / len(Y)",
     "dz = act.backward(gain.backward(2 * (out - Y) / len(Y)))"),
    ("dz = da * self.a", "dz = -da * self.a", "dz = da * self.a * (1 - self.a)"),
    ("dout * np.sqrt(self.scale)", "dout", "dx = np.sqrt(self.scale) * dout"),
    ("X.T @ dz, ", "X.T, ", 'return cost, {"dW": X.T @ dz, "db": dz.sum(axis=0)}'),
])  # fmt: skip
@pytest.mark.one_in(4)
def test_of_layers_that_hand_over_to_each_other_the_mistaken_line_is_put_right(
    right, wrong, correction, tmp_path
):
    assert piece_report(LAYERS, tmp_path).ok
    line, *more = piece_report(LAYERS.replace(right, wrong), tmp_path).lines
    assert not more
    assert line["diagnosis"]["correction"] == correction


ENGINE = """
class Value:
    def __init__(self, data, parents=()):
        self.data, self.grad, self.parents, self.back = data, 0.0, set(parents), lambda: None
        self.grad = 0.0
    def plus(self, other):
        out = Value(self.data + other.data, (self, other))
        def back():
            self.grad += out.grad
            other.grad += out.grad
        out.back = back
        return out
    def times(self, other):
        out = Value(self.data * other.data, (self, other))
        def back():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out.back = back
        return out
    def backward(self):
        order, seen = [], set()
        def visit(v):
            if v not in seen:
                seen.add(v)
                for parent in v.parents:
                    visit(parent)
                order.append(v)
        visit(self)
        self.grad = 1.0
        for v in reversed(order):
            v.back()

def numbers():
    return {"w": 0.7, "x": -1.3, "b": 0.4}

def run(numbers):
    v = {name: Value(x) for name, x in numbers.items()}
    z = v["w"].times(v["x"]).plus(v["b"])
    cost = z.times(z).plus(v["b"].times(v["w"]))
    cost.backward()
    return cost.data, {name: x.grad for name, x in v.items()}
"""


@pytest.mark.slow
def test_objects_in_a_set_are_in_the_same_order_at_every_run(tmp_path):
    assert piece_report(ENGINE, tmp_path).ok
    text = ENGINE.replace("other.grad += out.grad", "other.grad = out.grad")
    report = piece_report(text, tmp_path)
    assert report.followed
    assert report.lines[0]["diagnosis"]["correction"] == "other.grad += out.grad"


@pytest.mark.slow
def test_a_number_that_nothing_is_ever_added_to_is_named(tmp_path):
    text = ENGINE.replace("other.grad += self.data * out.grad", "pass")
    assert piece_report(text, tmp_path).lines[0]["source"] == "self.grad = 0.0"


TABLES = """
import numpy as np
rng = np.random.default_rng(9)
X, beta = rng.normal(size=(4, 3)), 0.3

def numbers():
    return {"P": rng.normal(size=(4, 2)).tolist(), "c": rng.normal(size=(1, 1, 2)), "q": 0.5}

def run(numbers):
    P, c, q = numbers["P"], numbers["c"], numbers["q"]
    cost, g, dc, dq = 0.0, [[0.0] * 2 for _ in range(4)], np.zeros((1, 1, 2)), 0.0
    for i in range(4):
        for k in range(2):
            e = P[i][k] * q + c[0, 0, k] - X[i, k]
            cost += e**2 + beta * P[i][k] ** 2
            g[i][k] += 2 * e * q + 2 * beta * P[i][k]
            dc[:, :, k] += 2 * e
            dq += 2 * e * P[i][k]
    return cost, {"P": g, "c": dc, "q": dq}
"""


@pytest.mark.slow
@pytest.mark.parametrize("right, wrong, correction", [
    ("2 * beta * P[i][k]\n", "beta * P[i][k]\n", "g[i][k] += 2 * e * q + beta * P[i][k] * 2"),
    (" + 2 * beta * P[i][k]\n", "\n", "g[i][k] += 2 * e * q + P[i][k] * beta * 2"),
    ("2 * e * P[i][k]\n", "e\n", "dq += 2 * P[i][k] * e"),
    ("            dc[:, :, k] += 2 * e\n", "", "dq += 2 * e * P[i][k]\ndc[:, :, k] += 2 * e"),
])  # fmt: skip
@pytest.mark.one_in(4)
def test_in_plain_loops_what_is_missing_is_found(right, wrong, correction, tmp_path):
    assert piece_report(TABLES, tmp_path).ok
    (line,) = piece_report(TABLES.replace(right, wrong), tmp_path).lines
    assert line["diagnosis"]["correction"] == correction


@pytest.mark.slow
def test_of_a_gradient_that_nothing_changes_the_line_is_named_by_what_is_handed_back(tmp_path):
    begun = "g = [[0.0] * 2 for _ in range(4)]"
    text = TABLES.replace("g[i][k] += 2 * e * q + 2 * beta * P[i][k]", "pass")
    text = text.replace("    for i in", f"    {begun}\n    for i in", 1)
    (line,) = piece_report(text, tmp_path).lines
    assert line["source"] == begun


RESIDUAL = """
import numpy as np
rng = np.random.default_rng(3)
x, y = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))

def numbers():
    return {"v": rng.normal(size=(4, 4)), "w": rng.normal(size=(4, 4))}

def relu_backward(dout, z):
    dx = dout.copy()
    dx[z <= 0] = 0
    return dx

def run(numbers):
    v, w = numbers["v"], numbers["w"]
    h = x @ v
    z = h @ w
    out = h + np.maximum(z, 0)
    dout = out - y
    dz = relu_backward(dout, z)
    dh = dout + dz @ w.T
    return np.sum((out - y)**2) / 2, {"dv": x.T @ dh, "dw": h.T @ dz}
"""


@pytest.mark.parametrize("text, at, correction", [
    (RESIDUAL.replace("dout.copy()", "dout"), "Line 11 writes into dout", "dx = dout.copy()"),
    (
        RESIDUAL.replace("    dx = dout.copy()\n", "").replace("dx", "dout"),
        "Line 10 writes into dout", "dz = relu_backward(dout.copy(), z)",
    ),
    (
        RESIDUAL.replace("    dx = dout.copy()\n    dx[z <= 0] = 0", "    dout *= z > 0")
        .replace("dx", "dout"), "Line 10 writes into dout", "dout = dout * (z > 0)",
    ),
])  # fmt: skip
@pytest.mark.one_in(3)
def test_of_what_is_written_into_and_used_elsewhere_a_copy_is_missing(
    text, at, correction, tmp_path
):
    assert piece_report(RESIDUAL, tmp_path).ok
    (line,) = piece_report(text, tmp_path).lines
    assert line["diagnosis"]["correction"] == correction
    assert line["diagnosis"]["explanation"].startswith(at)


@pytest.mark.parametrize("begun", [True, False])
def test_what_starts_afresh_at_every_turn_belongs_before_the_loop(begun, tmp_path):
    start = "dU, dV, dh = np.zeros_like(U), np.zeros_like(V), 0\n"
    left = start if begun else start.replace("dU, ", "").replace("np.zeros_like(U), ", "")
    again = "        dU = np.zeros_like(U)\n"
    text = RECURRENT.replace(start, left).replace("        dz =", f"{again}        dz =")
    (line,) = piece_report(text, tmp_path).lines
    assert line["source"] == again.strip()
    said, correction = "Without this statement all gradients are right.", None
    if not begun:
        said = "It starts afresh at every turn: this belongs before the loop in line 18."
        correction = "dU = np.zeros_like(U)\nfor t in reversed(range(3)):"
    assert line["diagnosis"]["explanation"].endswith(said)
    assert line["diagnosis"]["correction"] == correction


def summed(numbers):
    Z = X.T @ numbers["W"].T + numbers["b"]
    dZ = (np.tanh(Z) - Y.T) * (1 - np.tanh(Z) ** 2)
    cost = np.sum((np.tanh(Z) - Y.T) ** 2) / 2
    dW, db = X @ dZ, dZ.sum(axis=0).mean()
    return cost, {"dW": dW.T, "db": db}


def test_a_sum_that_is_averaged_once_more_is_corrected():
    (line,) = tg.check_code(summed, {"W": NUMBERS["W"], "b": NUMBERS["b"][:, 0]}).lines
    assert line["diagnosis"]["correction"] == "dW, db = X @ dZ, dZ.sum(axis=0)"
    assert "The mean is too many: dZ.sum(axis=0)." in line["diagnosis"]["explanation"]


def half(numbers):
    D = numbers["w"] - Y[0]
    dw = 1 / 2
    return np.sum(D**2) / 2, {"w": dw}


@pytest.mark.slow
def test_a_gradient_that_is_a_constant_is_named():
    (line,) = tg.check_code(lambda numbers: half(numbers), {"w": Y[1]}).lines
    assert line["source"] == "dw = 1 / 2"
    assert "not computed from what run is given" in line["diagnosis"]["explanation"]


def test_of_several_numbers_those_without_a_gradient_are_remarked_on():
    def run(numbers):
        w, c = numbers["w"], numbers["c"]
        return (w * c - 1.0) ** 2, {"w": 2 * (w * c - 1.0) * c}

    report = tg.check_code(run, {"w": 0.3, "c": 1.7})
    assert report.ok
    assert report.remarks == ["no gradient of c is returned"]


def test_what_cannot_be_followed_is_told_and_never_judged():
    def run(numbers):
        w = numbers["w"]
        hidden = np.array([float(str(x)) for x in w])
        return np.sum(hidden**2), {"w": 3 * w}

    report = tg.check_code(run, {"w": np.array([0.5, -1.5])})
    assert not report.followed
    assert not report.ok
    assert report.exit_code == 2
    assert report.gradients[0]["verdict"] == "unchecked"
    assert "could not be followed" in report.remarks[0]


RULED = """
import numpy as np
np.random.seed(4)
X, Y, P = np.random.randn(3, 5), np.random.randn(2, 5), [3.0, 2.6, 5.1]

def numbers():
    return {"W": np.random.randn(2, 3)}

def run(numbers):
    Z = numbers["W"] @ X
    i = 1
    dZ = (np.tanh(Z) - Y) * (1 - np.tanh(Z)**2) * P[i]
    return P[i] * np.sum((np.tanh(Z) - Y)**2) / 2, {"dW": dZ @ X.T}
"""


@pytest.mark.parametrize("right, wrong, mistake, says", [
    ("np.tanh(Z)**2)", "Z**2)", "derivative_at_wrong_point", "at np.tanh(Z), not at Z."),
    ("P[i]", "P[i + 1]", "other", "The index is off"),
])  # fmt: skip
def test_a_function_left_out_and_an_index_are_told_as_such(right, wrong, mistake, says, tmp_path):
    assert piece_report(RULED, tmp_path).ok
    (line,) = piece_report(RULED.replace(right, wrong, 1), tmp_path).lines
    assert line["diagnosis"]["mistake"] == mistake
    assert line["diagnosis"]["explanation"].count(says) == 1


def test_a_sum_for_a_mean_is_told_as_the_division_it_is():
    def run(numbers):
        e = numbers["w"] * X[0] - Y[0]
        return np.mean(e**2), {"w": np.sum(2 * e * X[0])}

    (line,) = tg.check_code(run, {"w": 0.3}).lines
    assert line["diagnosis"]["mistake"] == "one_over_m_missing"


class Layer:
    shared: list = []  # noqa: RUF012 - as people write it

    def __init__(self, w):
        self.w, self.dw = w, 0.0


LAYER = Layer(0.5)


def twice(x, layer=LAYER, seen=Layer.shared):
    seen.append(x)
    layer.dw = 2 * x
    return 2 * x * layer.w


def test_what_is_an_argument_by_default_or_held_by_a_class_is_the_runs_own():
    def run(numbers):
        LAYER.w = numbers["w"]
        return twice(1.5), {"w": LAYER.dw}

    assert tg.check_code(run, {"w": 0.7}).ok
    assert (LAYER.w, LAYER.dw, Layer.shared) == (0.5, 0.0, [])


def test_a_number_that_the_cost_is_not_computed_from_is_not_called_right():
    def run(numbers):
        return numbers["w"] ** 2, {"w": 2 * numbers["w"], "c": 3.0}

    report = tg.check_code(run, {"w": 0.7, "c": 1.0})
    assert [g["verdict"] for g in report.gradients] == ["correct", "unchecked"]
    assert not report.ok
    assert report.remarks == ["the cost is not computed from c, as run is written"]


def test_nothing_outside_the_run_is_touched_and_an_error_leaves_nothing_behind():
    before = {name: vars(module).copy() for name, module in (("np", np), ("random", random))}
    seen = []

    def elsewhere():
        seen.append(type(np.zeros(2)))

    def run(numbers):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        raise RuntimeError("stop")

    modules = set(sys.modules)
    with pytest.raises(tg.GradError, match=r"run raised RuntimeError: stop \(line \d+\)"):
        tg.check_code(run, {"w": 1.0})
    assert vars(np) == before["np"]
    assert vars(random) == before["random"]
    assert set(sys.modules) == modules
    assert set(seen) <= {np.ndarray}


def test_a_run_that_returns_something_else_is_an_error_that_says_what_to_return():
    def run(numbers):
        return numbers["w"]

    with pytest.raises(tg.GradError, match=r'must return \(cost, \{"W1": dW1'):
        tg.check_code(run, {"w": 1.0})


@pytest.mark.slow
def test_no_correction_takes_back_in_a_line_what_is_too_much_in_it():
    example = Path(__file__).parent.parent / "examples" / "17_your_class.py"
    [line] = runpy.run_path(str(example))["report"].lines
    offered = [other["correction"] for other in line["alternatives"]]
    assert "self.db = np.sum(dZ, axis=1, keepdims=True) / m" in offered
    assert not [text for text in offered if "/ m *" in text]


CORRELATION = """
import numpy as np
rng = np.random.default_rng(5)
X, Y = rng.normal(size=(7, 3)), rng.normal(size=(5,))

def numbers():
    return {"w": rng.normal(size=(3,)), "v": rng.normal(size=(7, 3))}

def run(numbers):
    w, v = numbers["w"], numbers["v"]
    U = np.tanh(X * v)
    z = np.array([np.sum(U[t : t + 3] * w) for t in range(5)])
    s = 1 / (1 + np.exp(-z))
    cost = np.sum((s - Y) ** 2) / 2
    a = 1 / (1 + np.exp(-z))
    dz = (s - Y) * a * (1 - a)
    dw, dU = np.zeros(3), np.zeros((7, 3))
    for t in range(5):
        part = U[t : t + 3]
        dw += np.sum(part * dz[t], axis=0)
        dU[t : t + 3] += w * dz[t]
    dv = dU * (1 - U**2) * X
    return cost, {"w": dw, "v": dv}
"""


@pytest.mark.slow
@pytest.mark.parametrize("right, wrong", [
    # s(1 - s) is the same for 1 - s: other numbers there do as well, and no term is missing.
    ("a = 1 / (1 + np.exp(-z))", "a = -(1 / (1 + np.exp(-z)))"),
    # The line before it would do too; but no gradient has come to that.
    ("dw += np.sum(part * dz[t], axis=0)", "dw += np.sum(part, axis=0)"),
])  # fmt: skip
def test_of_lines_that_could_be_corrected_the_mistaken_one_is_named(right, wrong, tmp_path):
    assert piece_report(CORRELATION, tmp_path).ok
    report = piece_report(CORRELATION.replace(right, wrong), tmp_path)
    assert [line["source"] for line in report.lines] == [wrong]
    assert report.corrected
    assert "makes up" not in str(report)
