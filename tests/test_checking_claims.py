"""What counts as a claim, what is said of what only looks like one, and what spoils what."""

import json

import numpy as np
import pytest
from test_checking import lecture_rules, two_layers
from test_checking_sheets import NET

import tinygrad_edu as tg
from tinygrad_edu import cli
from tinygrad_edu.sheets.claims import claimed, doubt, look_alikes

LINE = "m = 4\nX: (3, m)\nY: (2, m)\nw: (2, 3)\nb: (2, 1)\nZ = w @ X + b\n"
COST = "J = np.sum((Z - Y)**2) / (2 * m)\n"
RIGHT_B = "db = np.sum(Z - Y, axis=1, keepdims=True) / m\n"


def rows(text):
    return {row.name: row for row in tg.check_text(text).rows}


# --- spellings ------------------------------------------------------------------------------------

SPELLINGS = ("dw", "d_w", "dJ_dw", "dJdw", "dL_dw", "dLdw", "grad_w", "w_grad", "dloss_dw", "dE_dw")


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_usual_spelling_of_a_gradient_claims_it(name):
    right = f"{name} = (Z - Y) @ X.T / m\n"
    assert rows(LINE + COST + RIGHT_B + right)[name].verdict == "correct"
    row = rows(LINE + COST + RIGHT_B + right.replace("/ m", "* m"))[name]
    assert (row.of, row.verdict) == ("w", "wrong")
    assert row.diagnosis.correction.startswith(f"{name} = ")


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_comparison_takes_every_usual_spelling_too(name):
    w = tg.Value([[1.0, -2.0, 3.0]], "w")
    cost = tg.sum(w * w)
    assert tg.compare(cost, {name: 2 * w.data}).ok
    wrong = tg.compare(cost, {name: w.data})
    assert [(row.name, row.of, row.verdict) for row in wrong.rows] == [(name, "w", "wrong")]
    assert wrong.rows[0].diagnosis.mistake == "constant_factor"
    assert tg.check_function(lambda w: {name: 2 * w}, cost).ok


@pytest.mark.parametrize("cost", ["J", "L", "cost", "loss", "E"])
def test_a_cost_goes_by_any_of_its_names(cost):
    text = LINE + COST.replace("J =", f"{cost} =") + RIGHT_B
    report = tg.check_text(text)
    assert (report.ok, report.cost) == (True, cost)


@pytest.mark.parametrize("first, second", [("J", "loss"), ("L", "E"), ("cost", "E"), ("J", "L")])
def test_of_two_costs_the_better_known_name_is_meant(first, second):
    lines = [f"{second} = 3 * np.sum(Z)\n", COST.replace("J =", f"{first} =")]
    for text in ("".join(lines), "".join(reversed(lines))):
        assert tg.check_text(LINE + text + RIGHT_B).cost == first


def test_a_number_of_layers_called_L_is_no_cost():
    report = tg.check_text("L = 2\n" + LINE + COST.replace("J =", "cost =") + RIGHT_B)
    assert (report.ok, report.cost) == (True, "cost")


def test_a_quantity_claimed_in_two_spellings_is_judged_in_both():
    found = rows(LINE + COST + RIGHT_B + "b_grad = 2 * db\n")
    assert [row.verdict for row in found.values()] == ["correct", "wrong"]


def test_a_gradient_set_to_nothing_before_it_is_added_up_is_no_second_claim():
    assert list(rows(LINE + COST + "b_grad = 0.0\n" + RIGHT_B)) == ["db"]


# --- look-alikes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("line, said", [
    ("dW = Z @ X.T", "there is no W; did you mean dw?"),
    ("dJ_dW = Z @ X.T", "there is no W; did you mean dw?"),
    ("gradw = Z @ X.T", "did you mean dw?"),
    ("wgrad = Z @ X.T", "did you mean dw?"),
    ("dz = Z - Y", "there is no z; did you mean dZ?"),
    ("dw1 = Z @ X.T", "there is no w1"),
    ("grad_V = Z @ X.T", "there is no V"),
    ("dA = Z - Y", "there is no A"),
])  # fmt: skip
def test_a_name_that_looks_like_a_claim_is_remarked_on(line, said, tmp_path):
    (tmp_path / "s.sheet").write_text(LINE + COST + RIGHT_B + line + "\n")
    report = tg.check_sheet(tmp_path / "s.sheet")
    (remark,) = report.remarks
    name = line.split(" ")[0]
    assert remark.startswith(f"{name} (line 9) is not judged")
    assert said in remark
    assert report.to_json()["remarks"] == [remark]
    assert remark in " ".join(str(report).split())
    assert [row.name for row in report.rows] == ["db"]


def test_it_is_remarked_on_where_nothing_at_all_is_claimed():
    report = tg.check_text(LINE + COST + "dz = Z - Y\ndJ_dW = dz @ X.T / m\n")
    assert not report.ok
    assert [remark.split(" ")[0] for remark in report.remarks] == ["nothing", "dz", "dJ_dW"]


@pytest.mark.parametrize("name", ["delta", "diff", "dist", "error", "dZ_dw", "ones", "grad"])
def test_words_and_factors_of_the_chain_rule_are_scratch(name):
    assert claimed(name, {"w", "Z"}) is None
    assert doubt(name, look_alikes(["w", "Z"])) is None
    assert tg.check_text(LINE + COST + RIGHT_B + f"{name} = 2 * Z\n").remarks == []


# --- nothing claimed ------------------------------------------------------------------------------


@pytest.mark.parametrize("below", ["", "# nothing yet\n", "e = Z - Y\n", "delta = Z - Y\n", "J\n"])
def test_a_sheet_that_claims_nothing_shows_nothing(below, tmp_path, capsys):
    path = tmp_path / "s.sheet"
    path.write_text(LINE + COST + below)
    assert not tg.check_sheet(path).ok
    assert cli.main(["check", str(path), "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["error"]) == (False, None)


def test_nothing_handed_in_shows_nothing():
    J = two_layers()["J"]
    assert not tg.compare(J, {}).ok
    with pytest.raises(AssertionError, match="nothing is claimed"):
        tg.assert_derivation(J, {})
    judged = tg.check_function(lambda X: {}, J)
    assert not judged.ok
    assert judged.to_json()["ok"] is False
    assert "returns no gradient" in str(judged)
    tg.assert_derivation(J, lecture_rules())


# --- one bad thing spoils one thing ---------------------------------------------------------------

LOST = {
    "a cost that needs no gradient": "Y: (3,) = binary\nw: (3,)\nJ = np.sum(Y)\ndw = 1\n",
    "a cost of labels": "i: (4,) = integers(0, 3)\nJ = np.mean(i * 2)\ndi = 1\n",
    "a cost that is a constant": "w: ()\nJ = 1 + 1\ndw = 0\n",
    "a cost of several numbers": "w: (3,)\nJ = 2 * w\ndw = 2\n",
    "no text": b"\xff\xfe\x00",
    "a cost that cannot be read": "w: (3,)\nJ = np.sum(w\ndw = 1\n",
}


@pytest.mark.parametrize("bad", LOST.values(), ids=LOST)
def test_a_sheet_that_cannot_be_judged_leaves_the_others_of_its_batch(bad, tmp_path, capsys):
    bad = bad if isinstance(bad, bytes) else bad.encode()
    (tmp_path / "bad.sheet").write_bytes(bad)
    (tmp_path / "good.sheet").write_text(LINE + COST + RIGHT_B)
    paths = [str(tmp_path / name) for name in ("good.sheet", "bad.sheet", "good.sheet")]
    assert cli.main(["check", "--json", *paths]) == 2
    found = json.loads(capsys.readouterr().out)
    assert [one["ok"] for one in found] == [True, False, True]
    assert found[1]["error"]
    assert found[1]["rules"] == []


def test_where_the_lectures_scale_does_not_exist_only_that_sheet_says_so(tmp_path):
    (tmp_path / "sum.sheet").write_text("w: (3,)\nJ = np.sum(w**2)\ndw = 2 * w\n")
    (tmp_path / "mean.sheet").write_text(LINE + COST + RIGHT_B)
    paths = [tmp_path / "sum.sheet", tmp_path / "mean.sheet"]
    sums, means = tg.check_sheets(paths, convention="lecture").reports
    assert "needs m" in sums.error
    assert means.ok
    with pytest.raises(tg.GradError, match="not 'mine'"):
        tg.check_sheets(paths, convention="mine")


def test_whatever_else_goes_wrong_in_one_sheet_the_others_are_judged(tmp_path, monkeypatch):
    from tinygrad_edu.reports import report

    def breaking(sheet, *more):
        if "bad" in sheet.name:
            raise LookupError("something nobody thought of")
        return judge(sheet, *more)

    judge = report.judge
    monkeypatch.setattr(report, "judge", breaking)
    for name in ("bad", "good"):
        (tmp_path / f"{name}.sheet").write_text(LINE + COST + RIGHT_B)
    bad, good = tg.check_sheets([tmp_path / "bad.sheet", tmp_path / "good.sheet"]).reports
    assert "something nobody thought of" in bad.error
    assert good.ok


CLAIMS = {
    "dZ2": "A2 - Y",
    "dW2": "dZ2 @ A1.T / m",
    "dZ1": "W2.T @ dZ2 * (1 - A1**2)",
    "dW1": "dZ1 @ X.T / m",
    "db1": "np.sum(dZ1, axis=1, keepdims=True) / m",
}


@pytest.mark.parametrize("line", [
    "W2.T dZ2 * (1 - A1**2)", "[2 * z for z in Z1]", "np.dot(W2.T, dZ2", "W2' @ dZ2",
    "lambda x: x", "W2.T @ dZ2 * if", "scipy.expit(Z1)", "dZ2 if m else 0", "dZ2.backward()",
])  # fmt: skip
@pytest.mark.parametrize("name", CLAIMS)
@pytest.mark.one_in(3)
def test_a_line_that_cannot_be_read_is_one_row_and_the_others_are_judged(name, line):
    text = NET + "".join(f"{n} = {line if n == name else CLAIMS[n]}\n" for n in CLAIMS)
    report = tg.check_text(text)
    found = {row.name: row for row in report.rows}
    assert list(found) == list(CLAIMS)
    bad = found[name]
    assert (bad.verdict, bad.shape, bad.diagnosis) == ("wrong", None, None)
    assert bad.error == report.to_json()["rules"][list(CLAIMS).index(name)]["error"] != ""
    assert bad.error in " ".join(str(report).split())
    assert bad.formula == f"{name} = {line}"
    others = {row.verdict for row in report.rows if row is not bad}
    assert others <= {"correct", "follows"}
    assert all(row.error is None for row in report.rows if row is not bad)
    assert (report.ok, report.error) == (False, None)


@pytest.mark.parametrize("step", [
    "t = W2.T dZ2", "t = [z for z in dZ2]", "while True:\n    t = dZ2", "t = (W2.T @ dZ2",
    "t = W2.T @ dZ2\nt += dZ2 dZ2", "t = W2.T @ dZ2\nt[0] = lambda: 3",
])  # fmt: skip
def test_what_reads_a_step_that_cannot_be_read_is_not_judged(step):
    text = f"{NET}dZ2 = A2 - Y\n{step}\ndZ1 = t * (1 - A1**2)\ndW2 = dZ2 @ A1.T / m\n"
    report = tg.check_text(text)
    found = {row.name: row for row in report.rows}
    assert [found[n].verdict for n in ("dZ2", "dZ1", "dW2")] == ["correct", "unchecked", "correct"]
    assert "not judged: it reads t" in found["dZ1"].note
    assert (found["t"].of, found["t"].verdict) == (None, "unchecked")
    assert found["t"].error
    assert not report.ok


def test_a_wrong_number_beside_an_unreadable_line_is_still_wrong():
    report = tg.check_text(NET + "dZ2 = A2 + Y\nq = dZ2 dZ2\ndW2 = dZ2 @ A1.T / m\n")
    assert [row.verdict for row in report.rows] == ["wrong", "unchecked", "follows"]


def test_a_line_below_the_cost_without_a_value_spoils_what_reads_it_only():
    report = tg.check_text(NET + "right = nobody == Y\ndZ2 = A2 - Y\ndA2 = right * dZ2\n")
    assert [row.verdict for row in report.rows] == ["correct", "wrong"]
    assert "right has no value" in report.rows[1].note


def test_a_text_is_judged_as_a_file_is(tmp_path):
    text = LINE + COST + RIGHT_B
    (tmp_path / "s.sheet").write_text(text)
    of_file, of_text = tg.check_sheet(tmp_path / "s.sheet").to_json(), tg.check_text(text).to_json()
    assert of_text.pop("sheet") == "text"
    assert {**of_text, "sheet": of_file["sheet"]} == of_file
    given = tg.check_text(text, {"Y": np.zeros((2, 4))})
    assert np.array_equal(given.judged.sheet.numbers["Y"], np.zeros((2, 4)))
    assert not tg.check_text(text, convention="calculus").rows == []
    with pytest.raises(tg.SheetError, match="no cost"):
        tg.check_text("w: (3,)\n")
