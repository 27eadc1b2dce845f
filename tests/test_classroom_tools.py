"""Derivations where people already work: pytest and notebooks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell

import tinygrad_edu as tg

ROOT = Path(__file__).parent.parent
MISTAKEN = (ROOT / "examples" / "mistaken.sheet").read_text("utf-8")


# --- pytest ---------------------------------------------------------------------------------------


def run_pytest(folder, *options):
    """What pytest prints of a folder, and its exit code."""
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-p", "pytest_tinygrad_edu", "-p", "no:cacheprovider",
            "-v", "-rx", *options, ".",
        ],
        cwd=folder, env={"PYTHONPATH": str(ROOT), "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr, done.returncode


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sheets")
    (folder / "mistaken.sheet").write_text(MISTAKEN, "utf-8")
    (folder / "empty.sheet").write_text("")
    (folder / "silent.sheet").write_text("w: ()\nJ = w**2\n")
    (folder / "test_own.py").write_text("def test_own(): pass\n")
    return folder


@pytest.mark.slow
def test_each_claim_is_a_test_and_what_follows_is_expected_to_fail(folder):
    said, code = run_pytest(folder, "--derivations")
    assert code == 1
    assert "3 failed, 4 passed, 2 xfailed" in said
    assert "mistaken.sheet::dZ2 PASSED" in said
    assert "mistaken.sheet::dW1 XFAIL (dW1 is right by itself;" in said
    assert "mistaken.sheet: line 20: dZ1 = W2.T @ dZ2 * (1 - Z1**2): wrong" in said
    assert "derivative_at_wrong_point: " in said
    assert "correct: dZ1 = W2.T @ dZ2 * (1 - A1**2)" in said
    assert "nothing is claimed here" in said
    assert "there is no cost" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_failure_says_no_more_than_is_revealed(folder):
    said, _ = run_pytest(folder, "--derivations", "--derivations-reveal", "mistake")
    assert "derivative_at_wrong_point" in said
    assert "1 - A1**2" not in said


@pytest.mark.slow
def test_without_the_option_no_sheet_is_collected_and_nothing_imported(folder):
    said, code = run_pytest(folder)
    assert code == 0
    assert "1 passed" in said
    code = (
        "import sys, pytest; before = set(sys.modules); import pytest_tinygrad_edu; "
        "assert set(sys.modules) - before == {'pytest_tinygrad_edu'}"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


# --- notebooks ------------------------------------------------------------------------------------


@pytest.fixture
def shell(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    shell = InteractiveShell()
    shell.history_manager.enabled = False
    shell.run_line_magic("load_ext", "tinygrad_edu")
    return shell


def test_a_cell_is_judged_and_the_report_kept_for_an_assert(shell):
    report = shell.run_cell_magic("derivation", "", MISTAKEN)
    assert [row.name for row in report.rows if row.verdict == "wrong"] == ["dZ1"]
    assert shell.user_ns["derivation"] is report
    right = shell.run_cell_magic("derivation", "", MISTAKEN.replace("1 - Z1**2", "1 - A1**2"))
    assert right.ok


def test_a_cell_is_judged_on_the_notebooks_numbers(shell):
    shell.user_ns |= {"w": np.array([2.0, 3.0]), "b": tg.Value([1.0, -1.0])}
    cell = "w: (2,)\nb: (2,)\nJ = np.sum(w * b)\ndw = b\n"
    report = shell.run_cell_magic("derivation", "w b", cell)
    assert report.ok
    assert report.judged.sheet.numbers["w"].tolist() == [2, 3]
    with pytest.raises(tg.GradError, match="no V in this notebook"):
        shell.find_cell_magic("derivation")("V", cell)


def test_a_cell_that_cannot_be_read_is_a_report_too(shell):
    report = shell.run_cell_magic("derivation", "", "J = = 1")
    assert not report.ok
    assert "line 1" in report.error
    assert "<p>" in report._repr_html_()


def test_code_of_the_notebook_is_judged(shell):
    shell.user_ns |= {"numbers": {"w": 3.0}, "run": lambda n: (n["w"] ** 2, {"dw": 2 * n["w"]})}
    assert shell.run_line_magic("check_code", "").ok
    assert shell.run_line_magic("check_code", "run numbers").ok
    with pytest.raises(tg.GradError, match="no f in this notebook"):
        shell.find_line_magic("check_code")("f")
