"""How judged sheets and comparisons show themselves, and what they answer to a wrong question."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.sheets.sheet import Sheet

NET = """
m = 5
X: (3, m)
W: (2, 3)
Z = W @ X
A = np.tanh(Z)
U = A + 1
J = np.sum(A) / m
"""


def batch(tmp_path, *claims):
    paths = []
    for k, text in enumerate(claims):
        paths.append(tmp_path / f"{k}.sheet")
        paths[-1].write_text(NET + text)
    return tg.check_sheets(paths)


def test_a_sheet_that_cannot_be_read_shows_why_in_text_html_and_pages(tmp_path):
    (tmp_path / "0.sheet").write_text(NET.replace("W @ X", "= <1>") + "dZ = 1 - A**2\n")
    (report,) = tg.check_sheets([tmp_path / "0.sheet"]).reports
    why = "this is not written as Python writes formulas"
    assert report.title == f"{tmp_path / '0.sheet'}: not judged"
    for shown in (str(report), report._repr_html_(), report.to_html()):
        assert "not judged" in shown
        assert why in shown.replace("\n", " ")
    assert why in repr(report)
    assert report.rules() == {}


def test_a_sheet_that_can_be_read_is_a_table_in_a_notebook(tmp_path):
    (report,) = batch(tmp_path, "dZ = 1 - A**2\n").reports
    shown = report._repr_html_()
    assert "<table>" in shown
    assert "dZ" in shown
    assert "correct" in shown


def test_a_batch_is_all_right_partly_wrong_or_partly_unreadable(tmp_path):
    right, wrong, unread = "dZ = 1 - A**2\n", "dZ = 1 - Z**2\n", "J = (\n"
    assert (batch(tmp_path, right, right).ok, batch(tmp_path, right).exit_code) == (True, 0)
    assert (batch(tmp_path, right, wrong).ok, batch(tmp_path, right, wrong).exit_code) == (False, 1)
    assert batch(tmp_path, wrong, unread).exit_code == 2


def test_a_page_of_several_sheets_has_verdicts_reasons_and_pictures(tmp_path):
    found = batch(tmp_path, "dZ = 1 - A**2\n", "dZ = 1 - Z**2\ndW = dZ @ Xx\n")
    page = found.to_html(["<svg>one</svg>", "<svg>two</svg>"])
    summary, sheets = page.split("<h2>Each sheet</h2>")
    assert "derivative_at_wrong_point" in summary
    assert sheets.index("<svg>one</svg>") < sheets.index("derivative_at_wrong_point")
    assert sheets.index("derivative_at_wrong_point") < sheets.index("<svg>two</svg>")
    assert "Xx is not defined; did you mean X?" in page
    assert "<title>2 sheets</title>" in page
    assert "<svg>" not in found.to_html()


def test_derived_rules_are_given_for_what_reaches_the_cost(tmp_path):
    (report,) = batch(tmp_path, "dZ = 1 - Z\nmine: dW = dZ @ X\ndU = A\n").reports
    assert report.rules() == {"dZ": "dZ = (1 - A**2) / m", "mine": "mine = dZ @ X.T"}


def test_the_table_has_the_notes_below_and_why_a_line_cannot_be_computed():
    text = "x: (4,)\ny = x * 1\nJ = np.sum(y[0:2] * y[2:4])\n"
    shown = str(tg.check_sheet(Sheet(text + "dy = np.zeros(4)\ndy[9] = 1\n")))
    assert "dy: dy[9] = 1: " in shown
    assert "index 9 is out of bounds" in shown
    assert "dy (line 5): other. This line cannot be computed; the gradient has shape (4,)" in shown
    assert "yours:   dy[9] = 1" in shown
    assert "correct: dy = np.concatenate([y[2:], y[:2]])" in shown


@pytest.mark.parametrize("call, error, says", [
    (lambda J: tg.compare(J, {"dZ": 1.0}, convention="mine"), tg.GradError, "not 'mine'"),
    (lambda J: tg.compare(J, [1.0]), TypeError, "manual must be a dictionary"),
    (lambda J: tg.compare(3.0, {"dZ": 1.0}), TypeError, "cost must be a Value, not 3.0"),
    (lambda J: tg.compare(tg.Value([1.0, 2.0], "Z"), {"dZ": 1.0}), tg.GradError, "single number"),
    (lambda J: tg.compare(tg.Value(1.0, "Z", requires_grad=False), {"dZ": 1.0}), tg.GradError,
     "nothing that needs a gradient"),
    (lambda J: tg.compare(J, {"dZ": np.array(["a"])}), TypeError, "dZ: real numbers are needed"),
    (lambda J: tg.check_function(lambda Z: {"dZ": Z}, J, Z=1.0), TypeError, "inputs are for"),
    (lambda J: tg.check_function(lambda Z: {"dZ": Z}, lambda Z: 3, Z=1.0), TypeError,
     "forward returned a int"),
])  # fmt: skip
def test_a_wrong_question_is_answered_by_what_is_wrong_with_it(call, error, says):
    with pytest.raises(error, match=says):
        call(Sheet(NET).cost)


def test_numbers_may_be_values_and_a_function_may_take_all_there_is():
    z = tg.Value([1.0, 2.0, 4.0], "z")
    cost = tg.sum(z * z)
    assert tg.compare(cost, {"dz": 2 * z}).ok
    assert tg.check_function(lambda **known: {"dz": 2 * known["z"]}, cost).ok


def test_an_entry_that_reads_one_that_failed_has_no_shape():
    x = tg.Value([[1.0, 2.0, 3.0]], "x")
    y = x * 2
    cost = tg.sum(y * y)
    tg.name_values(y=y)
    failing = {"dy": lambda y: y @ y, "dx": lambda dy: 2 * dy}
    rows = tg.compare(cost, failing).rows
    assert [(row.verdict, row.shape) for row in rows] == [("wrong", None), ("follows", None)]


def test_of_many_numbers_some_are_tried_by_central_differences_and_it_says_how_many():
    w = tg.Value(np.linspace(1, 2, 5000), "w")
    row = tg.compare(tg.sum(w * w), {"dw": lambda w: 2 * w}).rows[0]
    assert row.verdict == "correct"
    assert "of 5000 entries" in row.note


@pytest.mark.parametrize("cost, given, verdict", [
    (lambda x: tg.sum(tg.clip(x, -1.0, 1.0)), [1, 0.5, 0.0], "kink"),
    (lambda x: tg.sum(tg.clip(x, -1.0, 1.0)), [1, 1.0, 1.0], "wrong"),
    (lambda x: tg.sum(tg.clip(x, None, 1.0)), [1, 1.0, 0.0], "kink"),
])  # fmt: skip
def test_the_limits_of_clip_are_kinks(cost, given, verdict):
    x = tg.Value([0.5, 1.0, 2.0], "x")
    assert tg.compare(cost(x), {"dx": np.array(given)}).rows[0].verdict == verdict


def test_a_softmax_against_one_hot_targets_and_a_cost_of_any_name_are_diagnosed_by_numbers():
    rng = np.random.default_rng(1)
    x, w = tg.Value(rng.normal(size=(3, 5)), "x", False), tg.Value(rng.normal(size=(4, 3)), "w")
    y = tg.Value(np.eye(4)[:, [0, 2, 1, 3, 2]], "y", False)
    z = w @ x
    cost = -tg.sum(y * tg.log(tg.softmax(z, axis=0))) / 5
    tg.name_values(z=z, cost=cost)
    row = tg.compare(cost, {"dz": lambda z, y: (tg.softmax(z, axis=0) + y) / 5}).rows[0]
    assert (row.verdict, row.diagnosis.mistake) == ("wrong", "sign")


def test_an_index_without_a_name_does_not_keep_the_rest_of_a_graph_from_being_explained():
    rng = np.random.default_rng(2)
    w, x = tg.Value(rng.normal(size=(4, 3)), "w"), tg.Value(rng.normal(size=(3, 5)), "x", False)
    z = w[[0, 0, 2]] @ x
    a = tg.tanh(z)
    tg.name_values(z=z, a=a)
    row = tg.compare(tg.sum(a * a), {"dz": lambda a: 2 * a}).rows[0]
    assert row.diagnosis.mistake == "missing_activation_derivative"
    assert row.diagnosis.correction == "dz = 2 * a * (1 - a**2)"


def test_a_graph_of_many_numbers_is_compared_and_not_diagnosed():
    w = tg.Value(np.ones((400, 251)), "w")
    row = tg.compare(tg.sum(w * w), {"dw": lambda w: w}).rows[0]
    assert (row.verdict, row.diagnosis) == ("wrong", None)


@pytest.mark.parametrize("build", [
    lambda w, x: tg.sum(tg.tanh(w @ x)),  # no names but those of what is given
    lambda w, x: tg.mean((w @ x) ** 2) * -1 + 0.3 * tg.sum(w * w) * tg.Value(2.0),
    lambda w, x: tg.sum(tg.stack([w[0], w[1]]) @ x),
    lambda w, x: tg.sum(tg.concatenate([w, w * w], axis=0) @ x),
    lambda w, x: tg.sum(w[[0, 0, 1]] @ x),
    lambda w, x: tg.sum(w[np.array([[True, False, True], [True, True, False]])]),
    lambda w, x: tg.sum(tg.where(x.data[:2, :3] > 0, w, w * w)) + tg.sum(w @ x),
    lambda w, x: tg.sum(tg.where(np.ones((200, 1, 1)) > 0, w, w * w)),
    lambda w, x: tg.sum(tg.binary_cross_entropy(w @ x, x[:2] > 0, from_logits=True)),
    lambda w, x: tg.sum(tg.cross_entropy(w @ x, np.array([0, 1, 1, 0, 1]))),
])  # fmt: skip
@pytest.mark.one_in(6)
def test_wrong_numbers_of_any_graph_are_wrong_whether_or_not_they_are_explained(build):
    rng = np.random.default_rng(0)
    w, x = tg.Value(rng.normal(size=(2, 3)), "w"), tg.Value(rng.normal(size=(3, 5)), "x", False)
    cost = build(w, x)
    cost.backward()
    assert tg.compare(cost, {"dw": w.grad}).ok
    assert tg.compare(cost, {"dw": w.grad + x.data[:2, :3]}).rows[0].verdict == "wrong"
