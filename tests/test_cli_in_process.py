"""The command line called as a function: what it prints, writes and returns."""

from __future__ import annotations

import io
import json
import sys

import pytest
from test_cli import RIGHT, WRONG

from tinygrad_edu import cli


@pytest.fixture
def sheets(tmp_path):
    texts = {"right": RIGHT, "wrong": WRONG, "broken": "Z = = 1\n"}
    for name, text in texts.items():
        (tmp_path / f"{name}.sheet").write_text(text)
    return [str(tmp_path / f"{name}.sheet") for name in texts]


def test_one_right_sheet_prints_one_table_and_no_summary(sheets, capsys):
    assert cli.main(["check", sheets[0]]) == 0
    said = capsys.readouterr().out
    assert said.count("correct") == 3
    assert "summary" not in said


def test_several_sheets_print_a_summary_and_the_worst_of_them_is_the_exit_code(sheets, capsys):
    assert cli.main(["check", *sheets[:2]]) == 1
    assert "dW: constant_factor" in capsys.readouterr().out
    assert cli.main(["check", *sheets]) == 2
    said = capsys.readouterr().out
    assert "summary" in said
    assert "line 1, column 5" in said


def test_a_page_shows_the_graph_of_every_sheet_that_can_be_read(sheets, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert cli.main(["check", *sheets, "--json", "--html", str(page)]) == 2
    assert [len(report["rules"]) for report in json.loads(capsys.readouterr().out)] == [3, 3, 0]
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") == 2
    assert "wrong: dW = 1/m * 2 * dZ" in text
    assert "<title>3 sheets</title>" in text
    assert "line 1, column 5" in text


@pytest.mark.parametrize("options, says", [
    (["--wrt", "W, b"], "dW = (1/m) (1 − A²) Xᵀ\ndb = "),
    (["--wrt", "Z", "--convention", "calculus"], "dZ = (1/m) (1 − A²)\n"),
    (["--as", "latex"], r"\begin{aligned}"),
    (["--as", "numpy"], "import numpy as np"),
    (["--as", "mathml"], '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">'),
    (["--why"], "dZ = 1 − A²\ndZ is m · ∂J/∂Z, of shape (2, m) = (2, 5)\nchain rule: "),
    (["--why", "--as", "mathml"], '<section class="why">'),
    (["--every"], "dA = np.ones(A.shape)\n"),
])  # fmt: skip
def test_rules_are_printed_and_their_scale_is_said_beside_them(sheets, capsys, options, says):
    assert cli.main(["derive", sheets[0], *options]) == 0
    said = capsys.readouterr()
    assert says in said.out
    assert ("all are ∂J/∂…" if "calculus" in options else "lecture's scale") in said.err


def test_the_picture_of_a_sheet_marks_its_wrong_lines(sheets, tmp_path, capsys):
    target = tmp_path / "graph.dot"
    assert cli.main(["draw", sheets[1], "-o", str(target)]) == 0
    assert capsys.readouterr().out == f"{target}\n"
    assert "wrong: dW = 1/m * 2 * dZ<BR/>@ X.T" in target.read_text(encoding="utf-8")


def test_a_picture_is_drawn_as_asked_in_the_scale_of_the_check(sheets, tmp_path, capsys):
    def drawn(*options):
        assert cli.main(["draw", sheets[0], "-o", str(tmp_path / "graph.dot"), *options]) == 0
        return (tmp_path / "graph.dot").read_text(encoding="utf-8")

    usual = drawn("--lang", "en")
    assert "rankdir=LR" in usual
    assert "m · grad" in usual
    assert "The lecture&#x27;s scale" in usual
    assert "rankdir=TB" in drawn("--direction", "down")
    assert "m · grad" not in drawn("--convention", "calculus")
    boxes = [drawn("--detail", d).count("[label=<<TABLE") for d in ("lines", "operations", "parts")]
    assert boxes[0] < boxes[1] <= boxes[2]
    assert "folded into" in drawn("--max-nodes", "3", "--lang", "en")
    assert "مشتق" in drawn("--lang", "fa")


def test_the_starter_sheet_is_right(capsys, monkeypatch):
    assert cli.main(["new"]) == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO(capsys.readouterr().out))
    assert cli.main(["check", "-"]) == 0


def test_a_section_may_be_written_small_and_one_that_is_not_there_is_refused(capsys):
    assert cli.main(["lecture", "s1"]) == 0
    assert "S1: all that should match does." in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["lecture", "S0"])
    assert "no section 'S0': there are S1, S2" in capsys.readouterr().err


@pytest.mark.parametrize("error, says", [
    (FileNotFoundError(2, "No such file", "here.sheet"), "here.sheet: No such file"),
    (OSError(28, "No space left"), "No space left"),
    (OSError("something else"), "something else"),
])  # fmt: skip
def test_what_the_system_refuses_is_said_without_a_traceback(monkeypatch, capsys, error, says):
    def refuse(*_):
        raise error

    monkeypatch.setattr("tinygrad_edu.lecture.show", refuse)
    assert cli.main(["lecture"]) == 2
    assert capsys.readouterr().err == f"tinygrad-edu: {says}\n"


def test_a_stream_that_has_no_encoding_is_written_to_as_it_is(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    assert cli.main(["new"]) == 0
    assert out.getvalue().startswith("#")


def test_why_is_not_written_as_a_program(sheets, capsys):
    assert cli.main(["derive", sheets[0], "--why", "--as", "numpy"]) == 2
    assert "--why is written as text or mathml, not as numpy" in capsys.readouterr().err
