"""Text where the standard output has no letters for mathematics: readable, in ASCII."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.core.plain import ascii_text, printable
from tinygrad_edu.sheets.sheet import Sheet

ROOT = Path(__file__).parent.parent
SHEET = """m = 5
X: (3, m)
W: (2, 3)
Z = W @ X
A = np.tanh(Z)
J = np.sum(A**2) / m
dA = 2 * A
dZ = dA * (1 - Z**2)
dW = 1/m * dZ @ X.T
"""


@pytest.mark.parametrize(
    "text, plain",
    [
        ("dZ1 = W2ᵀ dZ2 ∗ (1 − A1²)", "dZ1 = W2.T dZ2 * (1 - A1**2)"),
        ("x⁻¹ + y¹⁰ + zⁿ", "x**-1 + y**10 + z**n"),
        ("∂J/∂Z, Σ, √(2/n), ≤ ≥ ≠", "dJ/dZ, sum, sqrt(2/n), <= >= !="),
        ("σ(θ) Ω ς", "sigma(theta) Omega sigma"),
        ("ŷ é W₁ zˡ", "y_hat e W1 zl"),
        ("┃ ✓ │ … │", "| v | ... |"),
        ("سلام", "????"),
        ("plain", "plain"),
    ],
)
def test_a_text_in_ascii_reads_as_python_would_write_it(text, plain):
    assert ascii_text(text) == plain


def standard_output(encoding, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
@pytest.mark.one_in(4)
def test_all_that_is_printed_can_be_encoded(encoding, monkeypatch):
    W, X = tg.Value(np.ones((2, 3)), "Wθ"), tg.Value(np.ones((3, 4)), "X")
    z = W @ X
    z.name = "z"
    cost = tg.mean(tg.sigmoid(z) ** 2)
    derivation = tg.derive(cost)
    collapsed = tg.collapse(z, X)
    with pytest.raises(tg.GradError) as caught:
        tg.derive(cost, convention="Σ")
    report = tg.check_sheet(Sheet(SHEET, "Übung ∂"))
    comparison = tg.compare(cost, {"dz": np.ones((2, 4))})
    net = nn.Network(3, nn.Dense(1, "sigmoid"))
    shown = [
        W, derivation, derivation[0], collapsed, caught.value, report,
        comparison, nn.diagnose(net, np.ones((3, 4)), np.ones((1, 4))),
    ]  # fmt: skip
    standard_output(encoding, monkeypatch)
    for one in shown:
        print(one)
    print(derivation[0].why)
    from rich.console import Console

    Console(file=sys.stdout, width=110).print(report)
    sys.stdout.flush()


def test_where_there_are_letters_they_are_kept(monkeypatch):
    standard_output("utf-8", monkeypatch)
    assert printable("dZ = A² − Y") == "dZ = A² − Y"
    standard_output("ascii", monkeypatch)
    assert printable("dZ = A² − Y") == "dZ = A**2 - Y"
    monkeypatch.setattr(sys, "stdout", None)
    assert printable("dZ = A² − Y") == "dZ = A² − Y"


def test_a_table_in_ascii_keeps_its_columns(monkeypatch):
    standard_output("ascii", monkeypatch)
    table = str(tg.check_sheet(Sheet(SHEET))).splitlines()[1:8]
    assert len({len(line) for line in table}) == 1
    assert all(line.isascii() for line in table)


@pytest.mark.parametrize(
    "command",
    [("check", "a.sheet"), ("check", "a.sheet", "--json"), ("derive", "a.sheet"), ("new",),
     ("derive", "a.sheet", "--as", "numpy"), ("lecture", "S1", "S6"), ("-h",), ("check", "none")],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize(
    "settings",
    [pytest.param({"PYTHONIOENCODING": "ascii"}, marks=pytest.mark.slow),
     {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C", "PYTHONIOENCODING": ""}],
    ids=["PYTHONIOENCODING", "LC_ALL"],
)  # fmt: skip
@pytest.mark.one_in(4)
def test_every_command_prints_ascii_where_there_is_nothing_else(command, settings, tmp_path):
    (tmp_path / "a.sheet").write_text("# Übung ∂\n" + SHEET, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "tinygrad_edu", *command], capture_output=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), **settings}, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1, 2)
    assert done.stdout.isascii()
    assert done.stderr.isascii()
    assert b"Traceback" not in done.stderr
    assert b"\\u" not in done.stderr


@pytest.mark.slow
def test_a_sheet_from_standard_input_is_utf_8_whatever_the_terminal_is():
    for encoding in ("ascii", "cp1252"):
        done = subprocess.run(
            [sys.executable, "-m", "tinygrad_edu", "check", "-"], capture_output=True, check=False,
            input=("# Übung ∂ سلام\n" + SHEET).encode(),
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding},
        )  # fmt: skip
        assert done.returncode == 1
        assert b"dZ (line 9)" in done.stdout
