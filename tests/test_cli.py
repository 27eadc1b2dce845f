"""The command line: what a shell sees of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import tinygrad_edu as tg
from tinygrad_edu import cli
from tinygrad_edu.core.ops.table import TABLE

RIGHT = """
m = 5
X: (3, m)
W: (2, 3)
b: (2, 1)
Z = W @ X + b
A = np.tanh(Z)
J = np.sum(A) / m
dZ = 1 - A**2
dW = 1/m * dZ @ X.T
db = 1/m * np.sum(dZ, axis=1, keepdims=True)
"""
WRONG = RIGHT.replace("dZ @ X.T", "2 * dZ @ X.T")


def run(*arguments, stdin=""):
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "tinygrad_edu", *map(str, arguments)],
        input=stdin, capture_output=True, text=True, encoding="utf-8", timeout=120,
    )  # fmt: skip


@pytest.fixture
def sheets(tmp_path):
    right, wrong, broken = (tmp_path / f"{name}.sheet" for name in ("right", "wrong", "broken"))
    right.write_text(RIGHT)
    wrong.write_text(WRONG)
    broken.write_text("Z = = 1\n")
    return right, wrong, broken


@pytest.mark.slow
def test_version_and_help_exit_with_0():
    assert run("--version").stdout == f"tinygrad-edu {tg.__version__}\n"
    assert "usage: tinygrad-edu" in run("-h").stdout


@pytest.mark.parametrize("command", ["lecture", "lesson", "check", "derive", "draw", "new"])
def test_every_command_has_a_help_of_its_own(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main([command, "-h"])
    assert f"usage: tinygrad-edu {command}" in capsys.readouterr().out


@pytest.mark.slow
def test_the_lecture_in_a_process_of_its_own_exits_with_0_and_writes_the_page(tmp_path):
    done = run("lecture", "S1", "S7", "--out", tmp_path / "a" / "b")
    assert done.returncode == 0
    assert done.stderr == ""
    assert "S1, S7: all that should match does." in done.stdout
    files = sorted(path.name for path in (tmp_path / "a" / "b").iterdir())
    assert files == ["S1_depth_2.html", "S7_network.html", "index.html"]
    page = (tmp_path / "a" / "b" / "index.html").read_text(encoding="utf-8")
    assert '<a href="S7_network.html">' in page
    assert f"page: {tmp_path}" in done.stdout.replace("\n", "")


@pytest.mark.slow
def test_the_lecture_exits_with_1_and_names_the_rows_when_a_rule_is_wrong(monkeypatch, capsys):
    monkeypatch.setattr(TABLE["tanh"], "rules", (lambda dz, z, x: dz * z,))
    assert cli.main(["lecture", "S7"]) == 1
    assert "S7 tanh in layer 1: dz1" in capsys.readouterr().out


def test_without_a_renderer_the_lecture_says_what_to_install(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("tinygrad_edu.drawing.renderer.system_dot", lambda: None)
    monkeypatch.setattr("tinygrad_edu.drawing.renderer.pip_dot", lambda: None)
    assert cli.main(["lecture", "S7", "--out", str(tmp_path)]) == 2
    assert "pip install" in capsys.readouterr().err


@pytest.mark.slow
def test_the_lecture_needs_no_matplotlib(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert cli.main(["lecture", "S9", "--out", str(tmp_path)]) == 0
    assert "S9: all that should match does." in capsys.readouterr().out
    assert (tmp_path / "index.html").exists()


@pytest.mark.slow
def test_the_lecture_fits_a_screen_of_80_columns_and_is_read_in_one_sitting(capsys):
    assert cli.main(["lecture"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 250
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    "arguments, says",
    [
        ((), "the following arguments are required: COMMAND"),
        (("lekture",), "invalid choice: 'lekture'"),
        (("lecture", "S0"), "no section 'S0': there are S1, S2"),
        (("lecture", "S10"), "no section 'S10'"),
        (
            ("lecture", "S1", "--out", "/dev/null/pictures"),
            "cannot write to the folder /dev/null/pictures",
        ),
        (("lecture", "S1", "--out", "/proc"), "cannot write to the folder /proc"),
    ],
)
@pytest.mark.one_in(3)
def test_a_request_that_cannot_be_carried_out_exits_with_2_and_says_why(arguments, says):
    done = run(*arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_exits_with_130_and_without_a_traceback(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("tinygrad_edu.lecture.show", interrupted)
    assert cli.main(["lecture"]) == 130
    assert capsys.readouterr().err == "tinygrad-edu: interrupted\n"


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_error():
    process = subprocess.Popen(
        [sys.executable, "-m", "tinygrad_edu", "lecture"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    process.stdout.readline()
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait(timeout=60)


@pytest.mark.slow
def test_a_terminal_without_the_letters_still_gets_the_tables(monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = run("lecture", "S7")
    assert done.returncode == 0
    assert "dW1" in done.stdout


@pytest.mark.parametrize("command", [("check",), ("derive",), ("draw", "-o", "x.svg")])
@pytest.mark.one_in(3)
def test_a_sheet_that_does_not_exist_is_named(command):
    done = run(*command, "no such.sheet")
    assert done.returncode == 2
    assert "no such.sheet" in done.stdout + done.stderr
    assert "No such file" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_new_prints_a_sheet_that_is_right(tmp_path):
    sheet = run("new").stdout
    done = run("check", "-", stdin=sheet)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("correct") == 6


@pytest.mark.slow
def test_check_exits_with_0_1_or_2(sheets):
    right, wrong, broken = sheets
    assert run("check", right).returncode == 0
    assert run("check", right, wrong).returncode == 1
    done = run("check", broken, right)
    assert done.returncode == 2
    assert "broken.sheet: not judged" in done.stdout.replace("\n", "")
    assert done.stdout.count("correct") == 3  # the others are still judged


@pytest.mark.slow
def test_check_prints_json(sheets):
    done = run("check", *sheets, "--json")
    right, wrong, broken = json.loads(done.stdout)
    assert done.returncode == 2
    assert (right["ok"], wrong["ok"], broken["ok"]) == (True, False, False)
    assert [rule["verdict"] for rule in wrong["rules"]] == ["correct", "wrong", "correct"]
    assert right["error"] is None
    assert broken["error"]


@pytest.mark.slow
def test_derive_prints_lines_and_source(sheets):
    assert run("derive", "-", "--wrt", " b", stdin=RIGHT).stdout.startswith("db = ")
    source = run("derive", sheets[0], "--as", "numpy").stdout
    assert "import numpy as np" in source
    compile(source, "derived", "exec")


@pytest.mark.slow
def test_draw_writes_a_picture(sheets, tmp_path):
    done = run("draw", sheets[0], "-o", tmp_path / "graph.svg", "--show", "forward")
    assert done.returncode == 0, done.stderr
    assert "<svg" in (tmp_path / "graph.svg").read_text(encoding="utf-8")


@pytest.mark.slow
def test_what_is_piped_on_is_utf_8_whatever_the_terminal_is():
    done = subprocess.run(
        [sys.executable, "-m", "tinygrad_edu", "new"],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "cp1252"},
        check=True,
    )
    derived = subprocess.run(
        [sys.executable, "-m", "tinygrad_edu", "derive", "-"],
        input=done.stdout,
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "cp1252"},
        check=True,
    )
    assert "?" not in derived.stdout.decode("utf-8")
    assert "ᵀ" in derived.stdout.decode("utf-8")
