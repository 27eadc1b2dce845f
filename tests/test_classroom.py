"""What a class hands in: judged against a key, marked, and told to other programs."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

import tinygrad_edu as tg
from tinygrad_edu import cli
from tinygrad_edu.classroom import grading, processes
from tinygrad_edu.classroom.blanks import YOURS, blank
from tinygrad_edu.classroom.exercise import TOPICS, exercise
from tinygrad_edu.classroom.formats import written
from tinygrad_edu.classroom.key import key_of
from tinygrad_edu.classroom.numbers import numbered
from tinygrad_edu.classroom.reveal import LEVELS, revealed
from tinygrad_edu.sheets.sheet import Sheet

KEY = """\
m = 5
lam = 0.7
X: (3, m)
Y: (1, m) = binary
W1: (4, 3)
b1: (4, 1)
W2: (1, 4)
b2: (1, 1)

Z1 = W1 @ X + b1
A1 = np.tanh(Z1)
Z2 = W2 @ A1 + b2
A2 = sigmoid(Z2)
J = -np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)) / m + lam * np.sum(W1**2)

dZ2 = A2 - Y
dW2 = 1/m * dZ2 @ A1.T
db2 = 1/m * np.sum(dZ2, axis=1, keepdims=True)
dZ1 = W2.T @ dZ2 * (1 - A1**2)
dW1 = 1/m * dZ1 @ X.T + 2 * lam * W1
"""
MISTAKEN = KEY.replace("1 - A1**2", "1 - Z1**2")
OTHER_NAMES = (
    KEY.replace("A1 = ", "H: A1 = ").replace("A1.T", "H.T").replace("A1**2", "H**2")
    .replace("W2 @ A1", "W2 @ H").replace("W1: (4, 3)", "V: W1").replace("W1 @", "V @")
    .replace("W1**2", "V**2").replace("dW1", "dV").replace("lam * W1\n", "lam * V\n")
    .replace("dZ1 =", "delta1: dZ1 =").replace("m * dZ1", "m * delta1")
)  # fmt: skip


@pytest.fixture(scope="module")
def key():
    return key_of(KEY, "key")


def verdicts(report):
    return {row.claim: row.verdict for row in report.rows}


# --- against a key --------------------------------------------------------------------------------


def test_the_key_itself_has_all_points(key):
    report = key.judged(KEY, "ada")
    assert report.ok
    assert report.points == (5, 5)


def test_a_claim_that_is_not_there_is_missing_and_earns_nothing(key):
    report = key.judged(KEY[: KEY.index("dW1")], "ada")
    assert verdicts(report)["dW1"] == "missing"
    assert not report.ok
    assert report.points == (4, 5)
    assert [row.expected_shape for row in report.rows if row.verdict == "missing"] == [(4, 3)]


def test_a_line_that_cannot_be_read_is_a_claim_without_points_and_not_a_missing_one(key):
    report = key.judged(KEY.replace("dZ1 @ X.T", "dZ1 @@ X.T"), "ada")
    assert len(report.rows) == 5
    assert report.points == (4, 5)


def test_a_template_handed_in_as_it_was_given_out_has_all_claims_missing(key):
    report = key.judged(blank(Sheet(KEY)), "ada")
    assert set(verdicts(report).values()) == {"missing"}
    assert report.points == (0, 5)
    assert not report.ok


@pytest.mark.parametrize("follows, points", [(1.0, 4), (0.5, 3.5), (0.0, 3)])
def test_a_line_that_follows_earns_its_share(follows, points):
    report = key_of(KEY, "key", follows=follows).judged(MISTAKEN, "ada")
    assert verdicts(report)["dW1"] == "follows"
    assert report.points == (points, 5)


def test_points_by_name_are_worth_what_is_said_and_the_others_1():
    report = key_of(KEY, "key", points={"dZ1": 3, "dW1": 2.5}).judged(MISTAKEN, "ada")
    assert report.points == (5.5, 8.5)
    with pytest.raises(tg.GradError, match="points for dZ9"):
        key_of(KEY, "key", points={"dZ9": 3})
    with pytest.raises(tg.GradError, match="points are numbers"):
        key_of(KEY, "key", points=-1)


def test_names_of_ones_own_are_declared_and_judged_as_the_keys(key):
    report = key.judged(OTHER_NAMES, "ada")
    assert report.ok, report
    assert report.points == (5, 5)
    wrong = key.judged(OTHER_NAMES.replace("1 - H**2", "1 - H"), "ada")
    assert verdicts(wrong) == {
        "dZ2": "correct", "dW2": "correct", "db2": "correct", "dZ1": "wrong", "dV": "follows",
    }  # fmt: skip
    assert wrong.points == (4, 5)


@pytest.mark.parametrize(
    "old, new, says",
    [
        ("A1 = np.tanh(Z1)", "A1 = sigmoid(Z1)", "line 11, column 1: A1 is not what it is"),
        ("/ m + lam", "/ m + 2 * lam", "J is not what it is in the key"),
        ("W1: (4, 3)", "W1: (4, 3) = positive", "line 5.*positive here"),
        ("b2", "c2", "b2: .* is given in the key and not here; .* NAME: b2"),
        ("m = 5", "m = 6", "X is .3, 6. here, and .3, 5. in the key"),
        # The same numbers, but half the gradient.
        ("np.tanh(Z1)", "np.tanh(0.5 * Z1 + 0.5 * (W1 @ X + b1))", "Z1 is not what it is"),
        ("X: (3, m)", "U: W1\nV: W1\nX: (3, m)", "W1 has 2 names here"),
    ],
)
def test_another_net_than_the_keys_earns_nothing_and_is_told_the_line(key, old, new, says):
    report = key.judged(KEY.replace(old, new), "ada")
    assert re.search(says, report.error)
    assert report.points == (0, 5)
    assert set(verdicts(report).values()) == {"missing"}


def test_of_two_claims_on_one_quantity_the_worse_counts(key):
    report = key.judged(KEY + "guess: dZ1 = W2.T @ dZ2\n", "ada")
    assert report.points == (4, 5)


@pytest.mark.parametrize(
    "text, says",
    [
        (KEY[: KEY.index("dZ2")], "claims nothing"),
        (MISTAKEN, "dZ1, dW1 cannot stand in it"),
        ("", "there is no cost"),
    ],
)
def test_a_key_that_shows_nothing_or_is_wrong_is_none(text, says):
    with pytest.raises(tg.GradError, match=says):
        key_of(text, "key")


# --- what is revealed -----------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS[:3])
def test_below_correction_no_text_has_the_right_line(key, level):
    report = revealed(key.judged(MISTAKEN, "ada"), level)
    for text in (str(report), json.dumps(report.to_json()), report.to_html()):
        assert "A1**2" not in text.replace(" ", "").replace("A1=np.tanh(Z1)", "")
        assert ("derivative_at_wrong_point" in text) == (level != "verdict")


def test_why_keeps_the_reasons_that_do_not_tell_the_right_line():
    text = KEY.replace("np.sum(dZ2, axis=1, keepdims=True)", "np.sum(dZ2, axis=0, keepdims=True)")
    report = tg.check_text(text)
    assert "axis=1" in report.rows[2].diagnosis.explanation
    [said] = [row.diagnosis.explanation for row in revealed(report, "why").rows if row.diagnosis]
    assert said == "Summed over another axis. This one sums over axis 0."


@pytest.mark.slow
def test_why_leaks_no_correction_of_any_sheet_of_the_tests():
    for path in sorted((Path(__file__).parent / "sheets").glob("*.sheet")):
        report = tg.check_sheet(path)
        for row, told in zip(report.rows, revealed(report, "why").rows):
            if row.diagnosis and row.diagnosis.correction:
                right = row.diagnosis.correction.partition("=")[2].replace(" ", "")
                said = told.diagnosis.explanation.replace(" ", "")
                if right not in (row.formula or "").replace(" ", ""):
                    assert right not in said, path
                assert "The rule:" not in told.diagnosis.explanation


# --- a class --------------------------------------------------------------------------------------

HOSTILE = "\x00<script>alert(1)</script>\n" + "x = __import__('os').system('true')\n"


@pytest.fixture
def classroom(tmp_path):
    """A key, and what five hand in: right, wrong, under other names, nothing, a hostile text."""
    (tmp_path / "key.sheet").write_text(KEY)
    folder = tmp_path / "handed in"
    folder.mkdir()
    for name, text in {
        "ada": KEY, "bob": MISTAKEN, "eve": HOSTILE, "kim": "", "zoe": OTHER_NAMES,
    }.items():  # fmt: skip
        (folder / f"{name}.sheet").write_text(text)
    return tmp_path


#: A worker as grading's own, that ends where a name says so.
CRASHING = """
import os, time
from tinygrad_edu.classroom import grading, processes
from tinygrad_edu.classroom.blanks import YOURS, blank
from tinygrad_edu.classroom.exercise import TOPICS, exercise

def begin(setting):
    answer = grading._begin(setting)
    def ends(task):
        if "crash" in task["name"]:
            os._exit(3)
        if "slow" in task["name"]:
            time.sleep(600)
        return answer(task)
    return ends

processes.serve(begin)
"""


@pytest.fixture
def crashing(tmp_path, monkeypatch):
    (tmp_path / "crashing_worker.py").write_text(CRASHING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    answers = processes.answers
    monkeypatch.setattr(grading, "answers", lambda _, *more: answers("crashing_worker", *more))
    monkeypatch.setattr(grading, "SECONDS", 20.0)


@pytest.mark.slow
def test_no_submission_stops_another(classroom, crashing):
    folder = classroom / "handed in"
    (folder / "crash.sheet").write_text(KEY)
    batch = tg.grade(classroom / "key.sheet", folder)
    by_name = {Path(report.sheet).stem: report for report in batch.reports}
    assert {name: report.points for name, report in by_name.items()} == {
        "ada": (5, 5), "bob": (4, 5), "crash": (0, 5), "eve": (0, 5), "kim": (0, 5), "zoe": (5, 5),
    }  # fmt: skip
    assert by_name["crash"].error.endswith("judging this sheet ended its process")
    assert batch.exit_code == 2


@pytest.mark.slow
def test_a_sheet_that_takes_too_long_is_stopped_and_said_to_be(classroom, crashing, monkeypatch):
    monkeypatch.setattr(grading, "SECONDS", 4.0)
    [report] = tg.grade(classroom / "key.sheet", {"slow": KEY}).reports
    assert report.error == "slow: judging this sheet took more than 4 s and was stopped"


@pytest.mark.slow
def test_a_class_of_two_hundred_is_graded(classroom, crashing):
    texts = {f"student{i}": MISTAKEN.replace("m = 5", f"m = 5  # {i}") for i in range(196)}
    texts |= {"crash": KEY, "empty": "", "renamed": OTHER_NAMES, "hostile": HOSTILE}
    batch = tg.grade(classroom / "key.sheet", texts)
    assert [report.points[0] for report in batch.reports] == [4] * 196 + [0, 0, 5, 0]


def test_folders_and_patterns_name_sheets_and_the_key_is_none_of_them(classroom, monkeypatch):
    monkeypatch.chdir(classroom)
    found = grading.sheets_in(["handed in/[ab]*.sheet", ".", "no.sheet"], but="key.sheet")
    assert [Path(name).stem for name in found] == ["ada", "bob", "eve", "kim", "zoe", "no"]
    Path("none").mkdir()
    told = tg.grade("key.sheet", ["none", "*.none", "handed in/ada.sheet"])
    assert [report.points[0] for report in told.reports] == [0, 0, 5]
    assert told.reports[0].error == "none: there is no sheet in this folder"


@pytest.mark.slow
def test_the_numbers_of_a_student_are_the_same_at_every_time_and_others_than_the_keys(classroom):
    mine, yours = numbered(KEY, "ada"), numbered(KEY, "bob")
    assert mine == numbered(KEY, "ada")
    assert len({KEY, mine, yours}) == 3
    texts = {"ada": mine, "bob": KEY}
    batch = tg.grade(classroom / "key.sheet", texts, seed="{name}", reveal="verdict")
    assert [report.points[0] for report in batch.reports] == [5, 0]
    assert "in the key" in batch.reports[1].error


# --- told to other programs -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class")
    (folder / "key.sheet").write_text(KEY)
    lines = [line for line in MISTAKEN.splitlines() if not line.startswith("dW2")]
    texts = {"ada": KEY, "=bob": "\n".join(lines), "<eve>": HOSTILE}
    return tg.grade(folder / "key.sheet", texts)


def test_json_has_the_points_and_the_missing_claims(batch):
    ada, bob, eve = json.loads(written(batch, "json"))
    assert (ada["points"], ada["max_points"], ada["ok"]) == (5, 5, True)
    assert [r["verdict"] for r in bob["rules"]].count("missing") == 1
    assert {r["verdict"] for r in eve["rules"]} == {"missing"}
    assert eve["error"]


def test_the_gradebook_has_a_line_for_each_and_no_cell_is_a_formula(batch):
    ada, bob, eve = csv.DictReader(io.StringIO(written(batch, "csv")))
    assert (ada["points"], ada["dZ1"]) == ("5", "correct")
    assert (bob["sheet"], bob["points"]) == ("'=bob", "3")
    assert (bob["dZ1"], bob["dW1"]) == ("wrong: derivative_at_wrong_point", "follows")
    assert bob["dW2"] == "missing"
    assert eve["error"]


def test_junit_is_read_back_and_counts_what_it_has(batch):
    suites = ElementTree.fromstring(written(batch, "junit"))
    ada, bob, eve = suites
    for suite in suites:
        assert int(suite.get("tests")) == len(suite.findall("testcase"))
        for count, outcome in [("failures", "failure"), ("errors", "error"), ("skipped",) * 2]:
            assert int(suite.get(count)) == len(suite.findall(f"testcase/{outcome}"))
    assert ada.get("failures") == "0"
    assert (bob.get("failures"), bob.get("skipped")) == ("2", "1")
    assert bob.find("testcase/failure").get("type") == "derivative_at_wrong_point"
    assert eve.get("errors") == "1"


def test_junit_is_read_back_by_an_independent_reader(batch):
    junitparser = pytest.importorskip("junitparser")
    suites = junitparser.JUnitXml.fromstring(written(batch, "junit").encode())
    assert [suite.name for suite in suites] == ["ada", "=bob", "<eve>"]
    outcomes = {case.name: [type(r).__name__ for r in case.result] for case in list(suites)[1]}
    assert outcomes == {
        "dZ2": [], "db2": [], "dZ1": ["Failure"], "dW1": ["Skipped"], "dW2": ["Failure"],
    }  # fmt: skip


#: What Gradescope documents of results.json.
GRADESCOPE = {
    "score", "execution_time", "output", "output_format", "test_output_format", "test_name_format",
    "visibility", "stdout_visibility", "extra_data", "tests", "leaderboard",
}  # fmt: skip
GRADESCOPE_TEST = {
    "score", "max_score", "status", "name", "name_format", "number", "output", "output_format",
    "tags", "visibility", "extra_data",
}  # fmt: skip


def test_gradescopes_file_has_the_documented_fields_only_and_adds_up(batch):
    result = json.loads(written(tg.Batch(batch.reports[1:2]), "gradescope"))
    assert set(result) <= GRADESCOPE
    assert result["score"] == sum(test["score"] for test in result["tests"]) == 3
    assert sum(test["max_score"] for test in result["tests"]) == 5
    for test in result["tests"]:
        assert set(test) <= GRADESCOPE_TEST
        assert test["status"] in ("passed", "failed")
        assert test["visibility"] in ("hidden", "after_due_date", "after_published", "visible")
    assert [t["name"] for t in result["tests"] if t["status"] == "failed"] == ["dZ1", "dW1", "dW2"]


def test_editors_are_pointed_at_file_line_and_column(batch):
    lines = written(batch, "concise").splitlines()
    assert all(re.match(r"[^:]+:\d+:\d+: (error|note): \S", line) for line in lines)
    assert lines[0].startswith("=bob:18:1: error: dZ1: wrong; derivative_at_wrong_point: ")
    assert any(line.startswith("<eve>:1:") for line in lines)


def test_a_page_of_a_class_begins_with_a_summary_and_folds_the_rest(batch):
    page = batch.to_html()
    assert page.count("<details") == 3
    assert page.index("dW2") < page.index("<details")
    said = "right formula, wrong argument (<code>derivative_at_wrong_point</code>)"
    assert f"1 × <b>dZ1</b>: {said}" in page
    assert "نقطه" in batch.to_html(language="fa").split("<details")[0]
    assert "<eve>" not in page
    assert "<script>alert" not in page


def test_the_summary_of_a_class_counts_the_claims_of_the_key_only(tmp_path):
    (tmp_path / "key.sheet").write_text(KEY)
    more = KEY.replace("dW1 =", "dA1 = W2.T @ dZ2\ndW1 =")
    graded = tg.grade(tmp_path / "key.sheet", {"ada": KEY, "kim": more})
    assert "dA1" in [row.name for row in graded.reports[1].rows]
    ada, kim = (re.findall(r"\d+", line) for line in str(graded).splitlines()[-3:-1])
    assert ada == kim


# --- templates and exercises ----------------------------------------------------------------------


def test_a_template_has_the_net_and_empty_claims_and_nothing_of_the_solution(key):
    text = blank(Sheet(KEY.replace("dZ1 = W2.T", "# back through W2\ns = 1\nd1: dZ1 = s * W2.T")))
    head, _, rest = text.partition(YOURS)
    assert head.strip() == KEY[: KEY.index("dZ2")].strip()
    assert rest.split() == ["dZ2", "=", "dW2", "=", "db2", "=", "dZ1", "=", "dW1", "="]
    assert key.judged(text, "ada").points == (0, 5)


@pytest.mark.parametrize("topic", [*TOPICS, None])
def test_an_exercise_to_derive_has_a_right_key_and_is_graded_by_it(topic):
    made = exercise(topic, 2, seed=3)
    assert made == exercise(topic, 2, seed=3)
    key = key_of(made.key, "key")
    assert key.judged(made.key, "ada").ok
    assert key.judged(made.text, "ada").points[0] == 0


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.one_in(3)
def test_a_planted_mistake_is_one_wrong_line_that_the_key_has_right(level, seed):
    made = exercise(None, level, seed, find=True)
    report = tg.check_text(made.text)
    [row] = [row for row in report.rows if row.verdict == "wrong"]
    assert f"line {row.line}: {row.diagnosis.mistake}." in made.key.splitlines()[0]
    assert tg.check_text(made.key).ok
    different = [a != b for a, b in zip(made.text.splitlines(), made.key.splitlines())]
    assert different.index(True, 1) == row.line - 1
    assert sum(different[1:]) == 1


# --- the command line -----------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_line_grades_a_folder(classroom, monkeypatch, capsys):
    monkeypatch.chdir(classroom)
    page = classroom / "class.html"
    arguments = ["check", "--against", "key.sheet", "handed in", "--points", "dZ1=3"]
    code = cli.main([*arguments, "--format", "csv", "--html", str(page), "--reveal", "verdict"])
    assert code == 2
    points = [line.split(",")[2] for line in capsys.readouterr().out.splitlines()]
    assert points == ["points", "7", "4", "0", "0", "7"]
    assert page.read_text("utf-8").count("<details") == 5
    assert cli.main([*arguments[:3], f"handed in{os.sep}ada.sheet"]) == 0
    assert "5 of 5 points" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO(MISTAKEN))
    assert cli.main([*arguments[:3], "-", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)[0]["points"] == 4


@pytest.mark.parametrize(
    "options, says",
    [(["--points", "2"], "--points needs --against"), (["--against", "none.sheet"], "none.sheet")],
)
def test_a_request_that_cannot_be_carried_out_is_told(classroom, capsys, options, says):
    assert cli.main(["check", str(classroom / "key.sheet"), *options]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.slow
def test_a_template_and_an_exercise_are_printed_and_the_key_is_written_apart(
    classroom, capsys, monkeypatch
):
    monkeypatch.chdir(classroom)
    assert cli.main(["new", "--blanks", "key.sheet", "--seed", "ada"]) == 0
    template = capsys.readouterr().out
    assert template.startswith(numbered(KEY, "ada")[: KEY.index("X:")])
    assert template.endswith("dW1 =\n")
    assert cli.main(["new", "--blanks"]) == 0
    assert capsys.readouterr().out.endswith("db1 =\n")
    assert cli.main(["exercise", "--level", "1", "--seed", "4", "--key", "k.sheet"]) == 0
    assert capsys.readouterr().out == exercise(None, 1, 4).text
    assert (classroom / "k.sheet").read_text() == exercise(None, 1, 4).key
    assert cli.main(["check", "--against", "k.sheet", "k.sheet"]) == 0
