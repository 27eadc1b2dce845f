"""Loops with constant bounds in sheets, and the kinds of numbers that are given."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.diagnosis import diagnosing
from tinygrad_edu.sheets.sheet import Sheet
from tinygrad_edu.sheets.syntax import SheetError


def said(text):
    return [(row.name, row.verdict) for row in tg.check_text(text).rows]


RECURRENT = """
n, T, m = 4, 3, 5
X: (T, n, m)
Wx: (2, n)
Wh: (2, 2)
h = np.zeros((2, m))
H = np.zeros((T + 1, 2, m))
for t in range(T):
    H[t + 1] = np.tanh(Wx @ X[t] + Wh @ H[t])   # a step in time
J = np.sum(H[T]**2) / 2
dWx = np.zeros((2, n))
dWh = np.zeros((2, 2))
dh = H[T]
for t in reversed(range(T)):
    dz = dh * (1 - H[t + 1]**2)
    dWx += dz @ X[t].T
    dWh += dz @ H[t].T
    dh = Wh.T @ dz
"""


@pytest.mark.slow
def test_back_propagation_through_time_is_written_as_loops():
    assert said(RECURRENT)[:2] == [("dWx", "correct"), ("dWh", "correct")]
    wrong = RECURRENT.replace("dWh += dz @ H[t].T", "dWh += dz @ H[t + 1].T")
    assert dict(said(wrong))["dWh"] == "wrong"


FILTERED = """x: (6,)
w: (3,)
g: (4,)
y = np.zeros(4)
for i in range(4):
    {step}
J = np.sum(np.tanh(y) * g)
"""


@pytest.mark.parametrize(
    "step",
    [
        "y[i] = np.sum(x[i:i + 3] * w)",
        "for k in range(3): y[i] += x[i + k] * w[k]",
    ],
)
def test_what_fills_an_array_place_by_place_is_derived_place_by_place(step):
    found = Sheet(FILTERED.format(step=step)).derive(None, "calculus")
    assert [rule.name for rule in found][:1] == ["dy"]
    shown = str(found) + found.to_numpy().split("dy = ")[1]
    assert not any(inside in shown for inside in ("scatter", "np.eye", "np.array(", "broadcast_to"))
    assert "x[1:4] * dy[1]" in shown or "x[4] * dy[2]" in shown


def test_what_is_put_where_something_stood_takes_its_place():
    text = "x: (3,)\ny = np.zeros(3)\ny[0] = x[0]\ny[1:] = x[0] * x[1:]\ny[0] = x[1]\n"
    dx = "[2 * x[0] * (x[1]**2 + x[2]**2), 2 * x[1] * (1 + x[0]**2), 2 * x[2] * x[0]**2]"
    assert said(f"{text}J = np.sum(y**2)\ndx = np.array({dx})") == [("dx", "correct")]


def test_a_loop_over_weights_is_written_out_with_their_names():
    text = """
    m = 5
    X: (3, m)
    W1: (4, 3)
    W2: (2, 4)
    A = X
    for W in [W1, W2]: A = np.tanh(W @ A)
    J = np.sum(A**2) / (2 * m)
    for W, lam in zip((W1, W2), [0.1, 0.2]):
        J = J + lam * np.sum(W**2)
    dW2 = A * (1 - A**2) @ np.tanh(W1 @ X).T / m + 0.4 * W2
    """.replace("\n    ", "\n")
    assert said(text) == [("dW2", "correct")]
    assert said(text.replace("0.4 *", "0.2 *")) == [("dW2", "wrong")]
    assert Sheet(text).forward[2].text == "A = np.tanh(W1 @ A)"


@pytest.mark.parametrize("loop, total", [
    ("for t in range(4): s = s + t * k", 6),
    ("for t in range(2, 9, 3): s = s + t * k", 15),
    ("for t in range(m): s = s + t * k", 3),
    ("for t in reversed(range(3)): s = 2 * s + t * k", 10),
    ("for t in range(1, 4): s = s + (-1)**t * k", -1),
    ("for t in range(0, -3, -1): s = s + t**2 * k", 5),
    ("for i, v in enumerate([5, 7]): s = s + i * v * k", 7),
    ("for a, (b, c) in zip([2, 3], [(1, 2), (3, 4)]):\n    s = s + a * b * c * k", 40),
    ("for i in range(3):\n    for j in range(i):\n        s = s + (i + j) * k", 6),
    ("for t in range(0): s = k\ns = s + k", 1),
    ("for x in [k, 2 * k]:\n\ts = s - x\n\n\ts = s + 3 * x  # twice", 6),
])  # fmt: skip
def test_a_loop_does_what_it_does_in_python(loop, total):
    sheet = Sheet(f"m = 3\nk: ()\ns = 0 * k\n{loop}\nJ = s\n")
    assert sheet.cost.data == pytest.approx(total * sheet.numbers["k"], abs=1e-12)


@pytest.mark.parametrize("line, says", [
    ("for t in range(10**9): a = t", "at most 2000 turns"),
    ("for t in range(1.5): a = t", "whole numbers"),
    ("for t in x: a = t", r"range\(n\) or a list that is written out"),
    ("for t in range(len(q)): a = t", "q is not defined"),
    ("for x in [1, 2]: x = 3", "x is the loop's"),
    ("for a, b in [1, 2]: c = a", "1 does not fit"),
    ("for t in range(2): a = t\nelse: a = 3", "write its lines below the loop"),
    ("while True: a = 1", r"write for t in range\(3\)"),
    ("if x: a = 1", "np.where"),
    ("for t in range(3):\n  for s in range(2000): a = s", "at most 2000 lines"),
])  # fmt: skip
def test_a_loop_that_cannot_be_written_out_says_what_can(line, says):
    with pytest.raises(SheetError, match=says):
        Sheet(f"x: (3, 4)\n{line}\nJ = np.sum(x)\n")


def test_a_line_of_a_loop_below_the_cost_that_cannot_be_read_is_told_and_the_others_judged():
    report = tg.check_text("""
w: (3,)
J = np.sum(w**2)
for t in range(1):
    v = w.nope()
    dw = 2 * w
""")
    assert report.rows[-1].verdict == "correct"
    assert ".nope() is not among the methods" in report.rows[0].error


def test_signs_and_choices_are_drawn_anew_and_listed_numbers_stay():
    sheet = Sheet("""
y: (40,) = sign
c: (40,) = choice([2, 5])
h: (40,) = choice([0.5, 0.25])
x: (2, 3) = [[1.5, 2, 3], [4, 5, 6]]
k: (6,) = [1, 2, 3, 4, 5, 0]
w: (40,)
J = np.sum((w * y * h)[c]) + np.sum(x) + np.sum(w[k])
""")
    drawn = [sheet.draw(seed) for seed in (1, 2)]
    for name, numbers in (("y", {-1, 1}), ("c", {2, 5}), ("h", {0.5, 0.25})):
        assert set(drawn[0][name]) == numbers
        assert (drawn[0][name] != drawn[1][name]).any()
    for numbers in drawn:
        assert numbers["x"].tolist() == [[1.5, 2, 3], [4, 5, 6]]
    assert sheet.numbers["k"].dtype.kind == "i"  # an index
    assert [sheet.givens[name].declared for name in "ychxk"] == [
        "(40,) = sign", "(40,) = choice([2, 5])", "(40,) = choice([0.5, 0.25])",
        "(2, 3) = [1.5, 2, 3, 4, 5, 6]", "(6,) = [1, 2, 3, 4, 5, 0]",
    ]  # fmt: skip


def test_whole_numbers_that_are_listed_have_a_gradient_where_one_is_claimed():
    text = "x: (3,) = [1, 2, 3]\nw: (3,)\nJ = np.sum(w * x**2)\ndx = 2 * w * x\ndw = x**2\n"
    assert said(text) == [("dx", "correct"), ("dw", "correct")]


@pytest.mark.parametrize("kind, says", [
    ("[1, 2]", r"declared is \(3,\), these numbers have \(2,\)"),
    ("[[1, 2], [3]]", "different lengths"),
    ("['a', 'b', 'c']", "a list of numbers"),
    ("choice", "choice needs numbers, as choice"),
    ("choice(3, 4)", "something else"),
    ("0", "there are normal, binary, sign"),
])  # fmt: skip
def test_numbers_that_do_not_fit_say_what_to_write(kind, says):
    with pytest.raises(SheetError, match=says):
        Sheet(f"x: (3,) = {kind}\nJ = np.sum(x)\n")


def test_the_hinge_of_a_margin_has_signs_for_targets():
    text = """
m = 6
X: (3, m)
y: (m,) = sign
w: (3,)
z = w @ X
J = np.mean(np.maximum(0, 1 - y * z))
dz = -y * (y * z < 1)
dw = X @ dz / m
"""
    assert said(text) == [("dz", "correct"), ("dw", "correct")]


def test_functions_of_scipy_and_linalg_are_known_without_their_module():
    text = "A: (2, 2)\nb: (2,)\nx = solve(A, b)\nJ = np.sum(expit(x))\n"
    text += "dx = expit(x) * (1 - expit(x))\n"
    assert said(text) == [("dx", "correct")]
    assert np.isfinite(Sheet(text).cost.data)


def test_a_state_that_changes_below_the_cost_in_its_loop_is_part_of_the_cost():
    text = """
x: (4,)
y: (4,)
a: ()
s = 0.0
J = 0.0
for t in range(4):
    J += 0.5 * (s - y[t])**2
    s = a * s + x[t]
"""
    s1, s2, s3 = (f"s{t}" for t in (1, 2, 3))
    states = f"{s1} = x[0]\n{s2} = a * {s1} + x[1]\n{s3} = a * {s2} + x[2]\n"
    back = f"g = {s3} - y[3]\nh = {s2} - y[2] + a * g\nda = g * {s2} + h * {s1}\n"
    assert said(text + states + back) == [("da", "correct")]


GROUPS = """
W: (3, 2)
J = 0.0
for k in range(3):
    J += 0.7 * np.sqrt(np.sum(W[k]**2))
dW = np.zeros((3, 2))
for k in range(3):
    dW[k] += 0.7 * W[k] / np.sqrt(np.sum(W[k]**2))
"""
WAVE = """
t: (6,)
w: ()
J = 0.0
for i in range(6):
    J += np.sin(w * t[i])
dw = 0.0
for i in range(6):
    dw += np.cos(w * t[i]) * t[i]
"""
CONVOLUTION = """
x: (6,)
k: (3,)
y = np.zeros(4)
for i in range(4):
    for j in range(3):
        y[i] = y[i] + x[i + j] * k[j]
J = 0.5 * np.sum(np.maximum(y, 0)**2)
dy = np.maximum(y, 0)
dx = np.zeros(6)
for i in range(4):
    for j in range(3):
        dx[i + j] += dy[i] * k[j]
"""
WORDS = """
C = 4
W: (7, 3)
y: (3,)
h = (W[0] + W[3] + W[4] + W[1]) / C
J = np.sum((h - y)**2) / 2
dh = h - y
dW = np.zeros((7, 3))
for w in [0, 3, 4, 1]:
    dW[w] += dh / C
"""
ROWS = """
n = 4
X: (n, 3)
y: (n,)
w: (3,)
J = 0
for i in range(n):
    J = J + (X[i] @ w - y[i])**2 / n
dw = np.zeros(3)
for i in range(n):
    e = X[i] @ w - y[i]
    dw += 2 * e * X[i] / n
"""


TWO_STATES = """
x: (5,)
a: ()
b: ()
S = np.ones(6)
U = np.ones(6)
for t in range(5):
    U[t + 1] = b * U[t] + a * S[t]
    S[t + 1] = a * S[t] + x[t] * U[t + 1]
J = 0.5 * np.sum((S - 2)**2)
gS = 0.0
gU = 0.0
da = 0.0
db = 0.0
for t in reversed(range(5)):
    e = gS + S[t + 1] - 2
    h = x[t] * e + gU
    da += e * S[t] + h * S[t]
    db += h * U[t]
    gS = a * (e + h)
    gU = b * h
"""


@pytest.mark.parametrize("text, right, wrong, mistake", [
    (CONVOLUTION, "dx[i + j] += dy[i] * k[j]", "dx[i + j] += dy[i] * k[2 - j]", "other"),
    (CONVOLUTION, "dx[i + j] += dy[i] * k[j]", "dx[i + j] -= dy[i] * k[j]", "sign"),
    (CONVOLUTION, "dx[i + j] += dy[i] * k[j]", "dx[i + j] = dy[i] * k[j]", "lost_accumulation"),
    (WORDS, "dW[w] += dh / C", "dW[w] += dh", "constant_factor"),
    (WORDS, "dW[w] += dh / C", "dW[w] += -dh / C", "sign"),
    (ROWS, "dw += 2 * e * X[i] / n", "dw += 3 * e * X[i] / n", "constant_factor"),
    (ROWS, "dw += 2 * e * X[i] / n", "dw += 2 * y[i] * X[i] / n", "other"),
    (ROWS.replace("[i]", "[pi]").replace("for i", "for pi"), "dw += 2 * e * X[pi] / n",
     "dw += 2 * e * X[pi]", "one_over_m_missing"),
    (GROUPS, "dW[k] += 0.7 * W[k] / np.sqrt(np.sum(W[k]**2))", "dW[k] += 0.7 * W[k]", "other"),
    (WAVE, "dw += np.cos(w * t[i]) * t[i]", "dw += np.cos(w * t[i])", "other"),
    (ROWS, "dw += 2 * e * X[i] / n", "dw = 2 * e * X[i] / n", "lost_accumulation"),
    (RECURRENT, "dWh += dz @ H[t].T", "dWh = dz @ H[t].T", "lost_accumulation"),
    (RECURRENT, "dWx += dz @ X[t].T", "dWx += dz @ X[t - 1].T", "other"),
    (RECURRENT, "dWh += dz @ H[t].T", "dWh += dz @ H[t + 1].T", "other"),
])  # fmt: skip
@pytest.mark.one_in(3)
def test_a_line_of_a_loop_is_corrected_in_the_loops_own_names(text, right, wrong, mistake):
    row = next(r for r in tg.check_text(text.replace(right, wrong)).rows if r.verdict == "wrong")
    assert (row.formula, row.diagnosis.correction) == (wrong, right)
    assert row.diagnosis.mistake == mistake


def test_of_a_line_that_writes_into_an_array_what_is_written_is_corrected():
    text = "E: (5, 3)\nw: (3,)\nJ = np.sum(w * E[1]**2)\ndE = np.zeros((5, 3))\n"
    (row,) = tg.check_text(f"{text}dE[1] = w * E[1]\n").rows
    assert row.diagnosis.correction == "dE[1] = w * E[1] * 2"


@pytest.mark.parametrize("text, right, wrong", [
    (ROWS, "e = X[i] @ w - y[i]", "e = X[i] @ w + y[i]"),
    (RECURRENT, "dz = dh * (1 - H[t + 1]**2)", "dz = dh * (1 - H[t]**2)"),
    (RECURRENT, "dh = Wh.T @ dz", "dh = Wh @ dz"),
    (TWO_STATES, "h = x[t] * e + gU", "h = x[t] * e"),
    (TWO_STATES, "gS = a * (e + h)", "gS = a * e"),
])  # fmt: skip
@pytest.mark.one_in(3)
def test_of_a_line_of_a_loop_that_another_one_makes_wrong_that_one_is_told(text, right, wrong):
    rows = [row for row in tg.check_text(text.replace(right, wrong)).rows if row.diagnosis]
    line = text.split("\n").index(f"    {right}") + 1
    for row in rows:
        assert f"With line {line} as {right} the line is right." in row.diagnosis.explanation
        assert row.diagnosis.correction is None
    assert rows


def test_what_takes_too_much_to_find_is_not_put_down_to_the_lines_above(monkeypatch):
    monkeypatch.setattr(diagnosing, "DIAGNOSING", 1_000_000)
    text = ROWS.replace("dw += 2 * e * X[i] / n", "dw += e**3 * X[i]")
    row = next(r for r in tg.check_text(text).rows if r.diagnosis)
    assert row.diagnosis.explanation == diagnosing.UNFINISHED


THROUGH_TIME = """
n, T = 5, 4
x: (n, T)
t: (n,)
u: ()
a: ()
H = np.zeros((n, T + 1))
for k in range(T):
    H[:, k + 1] = np.tanh(u * x[:, k] + a * H[:, k])
J = np.mean((H[:, -1] - t)**2)
dH = np.zeros_like(H)
dH[:, T] = 2 * (H[:, T] - t) / n
for k in range(T, {first}, -1):
    dH[:, k - 1] = a * dH[:, k] * (1 - H[:, k]**2)
da = np.sum(dH[:, 1:] * (1 - H[:, 1:]**2) * H[:, :-1])
"""


@pytest.mark.parametrize("first", [0, 1])
def test_the_gradient_of_an_array_filled_in_a_loop_is_that_of_each_entry_when_it_was_written(first):
    text = THROUGH_TIME.format(first=first)  # the zeros it begins with may have none
    assert said(text) == [("dH", "correct"), ("da", "correct")]
    report = tg.check_text(text)
    assert all(row.numerical_error < 1e-6 for row in report.rows)


@pytest.mark.slow
def test_the_gradient_of_the_array_as_it_is_in_the_end_is_right_too():
    text = THROUGH_TIME.format(first=0)
    start, end = text.index("for k in range(T, 0"), text.index("da =")
    assert said(text[:start] + text[end:])[0] == ("dH", "correct")


@pytest.mark.parametrize("right, wrong", [
    ("a * dH[:, k] * (1 - H[:, k]**2)", "u * dH[:, k] * (1 - H[:, k]**2)"),
    ("a * dH[:, k] * (1 - H[:, k]**2)", "a * dH[:, k] * (1 - H[:, k - 1]**2)"),
])  # fmt: skip
@pytest.mark.one_in(2)
def test_a_recurrence_back_through_time_that_is_wrong_is_corrected(right, wrong):
    text = THROUGH_TIME.format(first=0).replace(right, wrong)
    back, last = tg.check_text(text).rows
    assert (back.verdict, last.verdict) == ("wrong", "follows")
    assert back.diagnosis.correction == f"dH[:, k - 1] = {right}"


def test_all_but_the_last_taken_for_all_but_the_first_is_corrected():
    right = "H[:, :-1])"
    text = THROUGH_TIME.format(first=0).replace(right, "H[:, 1:])")
    (row,) = (row for row in tg.check_text(text).rows if row.verdict == "wrong")
    assert row.diagnosis.correction.endswith(right)


def test_entries_written_twice_have_no_gradient_of_their_own():
    text = "x: (3,)\ny = np.zeros(3)\ny[0] = x[0]\ny[0:2] = y[0] * x[1:]\nJ = np.sum(y**2)\n"
    sheet = Sheet(f"{text}dy = 2 * y\n")
    assert not sheet.main.entries
    assert said(sheet.source) == [("dy", "correct")]


#: The states of a recurrent net as people keep them: in a dictionary, with one before the first.
CHARACTERS = """
T = 3
x: (T, 4, 1)
y: (T, 2, 1)
Wxh: (3, 4)
Whh: (3, 3)
Why: (2, 3)
h0: (3, 1)
hs = {}
hs[-1] = h0
J = 0
for t in range(T):
    hs[t] = np.tanh(Wxh @ x[t] + Whh @ hs[t - 1])
    J += 0.5 * np.sum((Why @ hs[t] - y[t])**2)
dWxh, dWhh, dWhy = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
after = np.zeros_like(hs[0])
for t in reversed(range(T)):
    dy = Why @ hs[t] - y[t]
    dWhy += dy @ hs[t].T
    back = Why.T @ dy + after
    raw = (1 - hs[t] * hs[t]) * back
    dWxh += raw @ x[t].T
    dWhh += raw @ hs[t - 1].T
    after = Whh.T @ raw
"""
LISTED = (
    CHARACTERS.replace("hs = {}\nhs[-1] = h0", "hs = [h0]")
    .replace("hs[t]", "hs[t + 1]")
    .replace("hs[t - 1]", "hs[t]")
    .replace("    hs[t + 1] = np.tanh(Wxh @ x[t] + Whh @ hs[t])",
             "    hs.append(np.tanh(Wxh @ x[t] + Whh @ hs[t]))")
)  # fmt: skip


@pytest.mark.parametrize("text", [CHARACTERS, LISTED])
def test_states_may_be_kept_in_a_dictionary_or_a_list(text):
    verdicts = dict(said(text))
    assert {name: verdicts[name] for name in ("dWhy", "dWxh", "dWhh")} == dict.fromkeys(
        ("dWhy", "dWxh", "dWhh"), "correct"
    )
    assert verdicts["dy"] == "unchecked"  # y[t] is the target; dy is another in each turn


@pytest.mark.parametrize("right, wrong", [
    ("dWhh += raw @ hs[t - 1].T", "dWhh += raw @ hs[t].T"),
    ("back = Why.T @ dy + after", "back = Why.T @ dy"),
])  # fmt: skip
@pytest.mark.one_in(2)
def test_lines_that_read_a_dictionary_are_corrected(right, wrong):
    rows = [row for row in tg.check_text(CHARACTERS.replace(right, wrong)).rows if row.diagnosis]
    for row in rows:
        assert row.diagnosis.correction == right or f"as {right} " in row.diagnosis.explanation
    assert rows


@pytest.mark.parametrize("lines, said", [
    ("hs = {}\nz = hs[3]", "nothing has been put there yet"),
    ("hs = {}\nhs[0.5] = w", "keys are whole numbers here, or texts"),
    ("hs = {}\nz = np.sum(hs)", "take one of its entries"),
    ("hs = {}\nhs[0] = hs", "keeps arrays and numbers"),
    ("hs = {}\nz = hs + 1", "take one of its entries"),
    ("hs = np.zeros(3)\nhs.append(w)", "this is none"),
    ("hs.append(w)", "hs is not defined"),
    ("hs = []\nhs.append(w, w)", "keeps it nowhere"),
])  # fmt: skip
def test_what_a_dictionary_or_a_list_cannot_be_asked_for_is_told(lines, said):
    with pytest.raises(SheetError, match=said):
        tg.check_text(f"w: (3,)\n{lines}\nJ = np.sum(w**2)\ndw = 2 * w\n")


ONE_HOT = """
n, T = 5, 3
letter: (T,) = integers(0, 5)
W: (2, n)
V: (2, 2)
xs, hs = {}, {}
hs[-1] = np.zeros((2, 1))
J = 0
for t in range(T):
    xs[t] = np.zeros((n, 1))
    xs[t][letter[t]] = 1
    hs[t] = np.tanh(W @ xs[t] + V @ hs[t - 1])
    J += np.sum(hs[t]**3)
dW, dV = np.zeros_like(W), np.zeros_like(V)
after = 0
for t in reversed(range(T)):
    raw = (1 - hs[t]**2) * (3 * hs[t]**2 + after)
    dW += raw @ xs[t].T
    dV += raw @ hs[t - 1].T
    after = V.T @ raw
"""
AFTERWARDS = """
for g in [dW, dV]:
    np.clip(g, -0.1, 0.1, out=g)
for parameter, g in zip([W, V], [dW, dV]):
    parameter -= 0.1 * g
"""


def test_a_part_of_an_entry_may_be_written():
    assert said(ONE_HOT) == [("dW", "correct"), ("dV", "correct")]
    text = "x: (2,)\nE = np.zeros((3, 2))\nE[1][0] = x[0]\nE[1][1] += x[1]**2\nJ = np.sum(E**2)\n"
    assert said(f"{text}dx = np.array([2 * x[0], 4 * x[1]**3])\n") == [("dx", "correct")]


def test_what_training_does_with_gradients_is_no_part_of_the_derivation():
    assert said(ONE_HOT + AFTERWARDS) == [("dW", "correct"), ("dV", "correct")]
    wrong = ONE_HOT.replace("raw @ hs[t - 1].T", "raw @ hs[t].T") + AFTERWARDS
    assert said(wrong) == [("dW", "correct"), ("dV", "wrong")]
    assert said("w: (3,)\nJ = np.sum(w**2)\ndw = np.clip(2 * w, -1, 1)\n") == [("dw", "wrong")]


def test_gradients_may_be_kept_in_a_list_that_grows():
    text = "x: (3,)\na: ()\nhs = [x]\nfor t in range(3):\n    hs.append(a * hs[-1])\n"
    text += "J = np.sum(hs[-1]**2)\nda = 0\ndhs = [2 * hs[-1]]\nfor t in reversed(range(3)):\n"
    text += "    da += np.sum(dhs[-1] * hs[t])\n    dhs.append(a * dhs[-1])\ndx = dhs[-1]\n"
    assert said(text) == [("da", "correct"), ("dx", "correct")]
    assert said(text.replace("hs[t])", "hs[t + 1])")) == [("da", "wrong"), ("dx", "correct")]


def test_a_line_of_a_loop_that_cannot_be_computed_is_wrong():
    text = "x: (3, 4)\nJ = 0\nfor t in range(3):\n    J += np.sum(x[t]**2)\n"
    text += "for t in range(3):\n    dx = x[t] @ x\n"
    assert said(text) == [("dx", "wrong")]


def test_lists_of_one_list_many_times_are_walked_once():
    nested = "".join(f"a{i + 1} = [{f'a{i}, ' * 40}]\n" for i in range(3))
    text = f"w: (3,)\na0 = [1, 2]\n{nested}J = np.sum(w**2)\ndw = 2 * w\n"
    assert said(text) == [("dw", "correct")]


#: Parameters and gradients in dictionaries, as courses keep them.
KEPT = """
N, D, H, C = 5, 4, 6, 3
reg = 0.3
X: (N, D)
y: (N,) = integers(0, 3)
W1: (D, H)
b1: (H,)
W2: (H, C)
params = {'W1': W1, 'b1': b1, "W2": W2}
h = np.tanh(X @ params['W1'] + params['b1'])
scores = h @ params['W2']
e = np.exp(scores)
p = e / np.sum(e, axis=1, keepdims=True)
loss = -np.sum(np.log(p[np.arange(N), y])) / N + reg * np.sum(params['W1']**2)
grads = {}
dscores = (p - np.eye(3)[y]) / N
grads['W2'] = h.T @ dscores
dh = dscores @ params['W2'].T
raw = dh * (1 - h**2)
grads['W1'] = X.T @ raw
grads['W1'] += 2 * reg * params['W1']
grads['b1'] = np.sum(raw, axis=0)
"""


@pytest.mark.parametrize("text", [KEPT, KEPT.replace("grads['", "grads['d")])
def test_gradients_in_a_dictionary_are_claims(text):
    names = ["dscores", "dW2", "dh", "dW1", "db1"]
    assert said(text) == [(name, "correct") for name in names]
    assert said(text.replace("grads = {}\n", "grads = {'loss': loss}\n"))[-1] == ("db1", "correct")


@pytest.mark.parametrize("right, wrong, name, correction", [
    ("+= 2 * reg", "+= reg", "dW1", "grads['W1'] = grads['W1'] + reg * params['W1'] * 2"),
    ("raw, axis=0", "raw, axis=1", "db1", "grads['b1'] = np.sum(raw, axis=0)"),
    ("h.T @ dscores", "X.T @ dscores", "dW2", "grads['W2'] = h.T @ dscores"),
])  # fmt: skip
@pytest.mark.one_in(3)
def test_a_wrong_gradient_in_a_dictionary_is_corrected(right, wrong, name, correction):
    (row,) = (row for row in tg.check_text(KEPT.replace(right, wrong)).rows if row.diagnosis)
    assert (row.name, row.diagnosis.correction) == (name, correction)


def test_what_a_dictionary_keeps_in_the_forward_lines_is_a_quantity():
    text = """m = 5
X: (3, m)
T: (2, m)
W1: (4, 3)
W2: (2, 4)
params = {'W1': W1, 'W2': W2}
cache = {}
cache['Z1'] = params['W1'] @ X
cache['A1'] = np.tanh(cache['Z1'])
J = np.sum((params['W2'] @ cache['A1'] - T)**2) / (2 * m)
grads = {}
dZ2 = (params['W2'] @ cache['A1'] - T) / m
grads['dZ1'] = params['W2'].T @ dZ2 * (1 - cache['A1']**2)
grads['dW1'] = grads['dZ1'] @ X.T
"""
    assert said(text) == [("dZ1", "correct"), ("dW1", "correct")]
    bad = tg.check_text(text.replace("- cache['A1']**2", "- cache['Z1']**2")).rows[0].diagnosis
    assert bad.mistake == "derivative_at_wrong_point"
    assert bad.correction == "grads['dZ1'] = params['W2'].T @ dZ2 * (1 - cache['A1']**2)"


@pytest.mark.parametrize("update", ["W1'] -=", "W1'] = params['W1'] -"])
def test_an_update_of_parameters_in_a_dictionary_is_no_claim(update):
    last = f"for i in range(2):\n    params['{update} 0.1 * grads['W1']\n"
    assert said(KEPT + last) == said(KEPT)


#: A net whose layers are numbered in loops, as courses have it.
LAYERS = """m, L = 5, 3
X: (4, m)
T: (2, m)
W1: (3, 4)
b1: (3, 1)
W2: (6, 3)
b2: (6, 1)
W3: (2, 6)
b3: (2, 1)
params = {'W1': W1, 'b1': b1, 'W2': W2, 'b2': b2, 'W3': W3, 'b3': b3}
cache = {'A0': X}
for l in range(1, L + 1):
    cache['Z' + str(l)] = params['W' + str(l)] @ cache['A' + str(l - 1)] + params[f'b{l}']
    cache['A' + str(l)] = np.tanh(cache['Z' + str(l)])
J = np.sum((cache['A' + str(L)] - T)**2) / (2 * m)
grads = {}
grads['dA' + str(L)] = (cache['A' + str(L)] - T) / m
for l in reversed(range(1, L + 1)):
    d = grads['dA' + str(l)] * (1 - cache[f'A{l}']**2)
    grads['dW' + str(l)] = d @ cache['A' + str(l - 1)].T
    grads[f'db{l}'] = np.sum(d, axis=1, keepdims=True)
    grads['dA' + str(l - 1)] = params['W' + str(l)].T @ d
for l in range(1, L + 1):
    params['W' + str(l)] -= 0.1 * grads['dW' + str(l)]
"""


def test_keys_may_be_made_of_texts_and_numbers():
    names = ("dA3", "dW3", "dW2", "dW1", "db3", "db2", "db1", "dA2", "dA1")
    assert said(LAYERS) == [(name, "correct") for name in names]


@pytest.mark.parametrize("right, wrong, line, correction", [
    ("axis=1", "axis=0", 21, "grads[f'db{l}'] = np.sum(d, axis=1, keepdims=True)"),
    ("].T @ d", "] @ d", 22, "grads['dA' + str(l - 1)] = params['W' + str(l)].T @ d"),
])  # fmt: skip
def test_a_line_whose_key_is_made_is_corrected_as_it_is_written(right, wrong, line, correction):
    rows = [row for row in tg.check_text(LAYERS.replace(right, wrong)).rows if row.diagnosis]
    assert {(row.line, row.diagnosis.correction) for row in rows} == {(line, correction)}


def test_what_an_entry_with_a_made_key_should_be_is_told_of_the_line_that_reads_it():
    text = LAYERS.replace("cache[f'A{l}']**2", "cache[f'Z{l}']**2")
    wrong = [row for row in tg.check_text(text).rows if row.verdict == "wrong"]
    said = "With line 19 as d = grads['dA' + str(l)] * (1 - cache['A' + str(l)]**2) the line"
    assert {said in row.diagnosis.explanation for row in wrong} == {True}


@pytest.mark.parametrize("key, said", [
    ("'W' + str(0.5)", "a key is made of texts and whole numbers"),
    ("f'{m:>3}'", "only real numbers"),
    ("'A' + L", "a number is put behind a text"),
    ("'A' - L", "'A' is not a number"),
    ("'B' + str(L)", "nothing has been put there yet"),
])  # fmt: skip
def test_a_key_that_is_none_is_told(key, said):
    text = LAYERS.replace("cache['A' + str(L)] - T)**2", f"cache[{key}] - T)**2")
    with pytest.raises(tg.SheetError, match=said):
        tg.check_text(text)


MOMENTUM = """v = {}
for l in range(1, L + 1):
    v['dW' + str(l)] = np.zeros_like(params['W' + str(l)])
"""
AVERAGED = """for l in range(1, L + 1):
    v['dW' + str(l)] = 0.9 * v['dW' + str(l)] + 0.1 * grads['dW' + str(l)]
    params['W' + str(l)] -= 0.1 * v['dW' + str(l)]
"""


@pytest.mark.parametrize("text", [
    LAYERS + MOMENTUM + AVERAGED,
    LAYERS.replace("cache = {", f"{MOMENTUM}cache = {{") + AVERAGED,
    LAYERS.replace("grads = {}", f"{MOMENTUM}grads = {{}}") + AVERAGED,
])  # fmt: skip
def test_gradients_that_are_averaged_in_another_dictionary_are_no_claims(text):
    assert sorted(said(text)) == sorted(said(LAYERS))


def test_a_tuple_may_be_kept_in_a_dictionary():
    text = """x: (3,)
w: (3,)
cache = {}
cache['a'] = (w * x, x)
J = np.sum(cache['a'][0]**2) / 2
p, q = cache['a']
dw = p * q
"""
    assert said(text) == [("dw", "correct")]
    with pytest.raises(tg.SheetError, match="arrays and numbers here, and tuples of these"):
        tg.check_text(text.replace("(w * x, x)", "(w * x, [x])"))
