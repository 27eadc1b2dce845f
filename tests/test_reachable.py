"""A public operation is declared once and found everywhere: here, in NumPy's name, in sheets, in
pictures. (Formulas, programs and notations walk through the same rows in their own tests.)
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from domains import ROWS, some_cases

import tinygrad_edu as tg
from tinygrad_edu.core.ops.table import PUBLIC
from tinygrad_edu.core.protocol import meaning_of
from tinygrad_edu.sheets.vocabulary import FUNCTIONS as IN_SHEETS


@pytest.mark.parametrize("name", PUBLIC)
def test_it_is_the_packages_numpys_and_the_sheets(name):
    assert getattr(tg, name) is PUBLIC[name]
    assert name in tg.__all__
    assert name in IN_SHEETS or f"linalg.{name}" in IN_SHEETS
    numpys = getattr(np, name, None)
    if numpys is not None:
        meaning = meaning_of(numpys)
        # Where NumPy's keywords are others, a function of no name translates them.
        assert meaning is PUBLIC[name] or meaning.__name__ == "<lambda>", f"{numpys} on a Value"


@pytest.mark.parametrize("name", [name for name in PUBLIC if name in ROWS])
def test_it_is_drawn(name):
    case = some_cases(name)[-1]
    leaves = [tg.Value(x, f"x{i}") for i, x in enumerate(case.arrays)]
    cost = tg.sum(case.call(*leaves, **case.options) * tg.sum(leaves[0]))
    cost.backward()
    for picture in (tg.draw(cost), tg.draw(cost, detail="parts")):
        assert picture.source.count("->") >= 2


#: Lines that anybody would write, with one gradient right and one wrong.
SHEETS = {
    "z = np.arctan2(a, b)": ("b / (a**2 + b**2)", "a / (a**2 + b**2)"),
    "z = np.hypot(a, b)": ("a / z", "b / z"),
    "z = np.logaddexp(a, b)": ("np.exp(a - z)", "np.exp(b - z)"),
    "z = np.exp2(a) + 0 * b": ("z * np.log(2)", "z"),
    "z = np.arcsinh(a) + 0 * b": ("1 / np.sqrt(1 + a**2)", "1 / np.sqrt(1 - a**2)"),
    "z = erf(a) + 0 * b": ("2 / np.sqrt(np.pi) * np.exp(-a**2)", "np.exp(-a**2)"),
    "z = silu(a) + 0 * b": (
        "sigmoid(a) * (1 + a * (1 - sigmoid(a)))", "sigmoid(a) * (1 - sigmoid(a))",
    ),
    "z = gelu(a) + 0 * b": (
        "0.5 * (1 + erf(a / np.sqrt(2))) + a * np.exp(-a**2 / 2) / np.sqrt(2 * np.pi)",
        "0.5 * (1 + erf(a / np.sqrt(2)))",
    ),
    "z = np.fmax(a, b)": ("1.0 * (a > b)", "1.0 * (a < b)"),
    "z = np.sort(a, axis=1)[:, -2:]": (
        "1.0 * (a > np.min(a, axis=1, keepdims=True))", "1.0 + 0 * a",
    ),
    "z = np.cumprod(b * 0 + a, axis=0)": (
        "np.vstack([1 + a[1], a[0]])", "np.vstack([a[1], a[0]])",
    ),
    "z = np.diff(a, axis=1) * b[:, 1:]": (
        "np.pad(b[:, 1:], ((0, 0), (1, 0))) - np.pad(b[:, 1:], ((0, 0), (0, 1)))",
        "np.pad(b[:, 1:], ((0, 0), (1, 0)))",
    ),
    "z = np.median(a, axis=1) * b[:, 0]": (
        "b[:, :1] * (a == np.median(a, axis=1)[:, None])", "b[:, :1] / 3 + 0 * a",
    ),
    "z = np.trace(a @ b.T)": ("b", "b.T"),
    "z = np.roll(a, 1, axis=1) * b": ("np.roll(b, -1, axis=1)", "np.roll(b, 1, axis=1)"),
    "z = np.pad(a, 1) * np.pad(b, ((0, 2), (0, 2)))": (
        "np.pad(b, ((0, 2), (0, 2)))[1:3, 1:4]", "b",
    ),
    "z = np.tril(a) * b": ("np.tril(b)", "b"),
    "z = np.flip(a, 1) * b": ("np.fliplr(b)", "b"),
    "z = np.linalg.inv(a @ a.T + np.eye(2)) @ b": (
        "-np.linalg.inv(a @ a.T + np.eye(2)) @ (np.ones((2, 3)) @ b.T "
        "+ b @ np.ones((3, 2))) @ np.linalg.inv(a @ a.T + np.eye(2)) @ a", "b",
    ),
    "z = np.linalg.det(a @ b.T)": (
        "z * np.linalg.inv(a @ b.T).T @ b", "z * np.linalg.inv(a @ b.T) @ b",
    ),
    'z = np.einsum("ij,kj->ik", a, b)': ("np.ones((2, 2)) @ b", "np.ones((2, 2)) @ a"),
    "z = np.convolve(a[0], b[0])": (
        "np.vstack([np.full((1, 3), np.sum(b[0])), np.zeros((1, 3))])", "b",
    ),
    "z = elu(a) + 0 * b": ("np.where(a > 0, 1, np.exp(a))", "np.where(a > 0, 1, 0)"),
}  # fmt: skip


@pytest.mark.parametrize("line", SHEETS)
@pytest.mark.one_in(2)
def test_a_sheet_may_use_it_and_is_judged(line):
    right, wrong = SHEETS[line]
    start = f"a: (2, 3)\nb: (2, 3)\n{line}\nJ = np.sum(z)\n"
    assert tg.check_text(f"{start}da = {right}\n").ok
    [rule] = tg.check_text(f"{start}da = {wrong}\n").to_json()["rules"]
    assert rule["verdict"] == "wrong"


#: An operation that the package does not have, as somebody would add it.
ADDED = '''
__all__ += ["cbrt"]

import numpy as np

from tinygrad_edu.core.primitive import primitive as _declared


@_declared(
    lambda dz, z, x: dz / (3.0 * z * z),
    numpy="np.cbrt({0})", latex=r"\\sqrt[3]{{{0}}}",
    traits={"elementwise"},
)  # fmt: skip
def cbrt(x):
    """The cube root: ``dx = dz / (3 z²)``."""
    return np.cbrt(x)
'''
#: It is the package's, NumPy's, the sheets', and so on; one gradient is right and one wrong.
TRIED = """
import numpy as np, tinygrad_edu as tg
assert "cbrt" in tg.__all__ and "cbrt" in dir(tg)
for f in (tg.cbrt, np.cbrt):
    x = tg.Value(np.array([[1.0, 8.0, 27.0]]), "x")
    cost = tg.sum(f(x))
    cost.backward()
    assert np.allclose(x.grad, [[1 / 3, 1 / 12, 1 / 27]])
tg.name_values(cost=cost)
assert "np.cbrt" in tg.derive(cost).to_numpy()
assert "cbrt" in tg.draw(cost).source
assert np.allclose(tg.compile(cost)(x=x.data)[1]["x"], x.grad)
sheet = "a: (2, 3)\\nz = np.cbrt(a**2 + 1)\\nJ = np.sum(z)\\nda = 2 * a / (3 * z**{n})\\n"
assert [tg.check_text(sheet.format(n=n)).ok for n in (2, 3)] == [True, False]
"""


@pytest.mark.parametrize(
    "family",
    [
        "elementary",
        pytest.param("elementwise", marks=pytest.mark.slow),
        pytest.param("activations", marks=pytest.mark.slow),
        pytest.param("reductions", marks=pytest.mark.slow),
        pytest.param("windows", marks=pytest.mark.slow),
    ],
)
def test_an_operation_is_added_in_one_file(family, tmp_path):
    package = pathlib.Path(tg.__file__).parent
    shutil.copytree(package, tmp_path / "tinygrad_edu", ignore=shutil.ignore_patterns("*.pyc"))
    file = tmp_path / "tinygrad_edu" / "core" / "ops" / f"{family}.py"
    file.write_text(file.read_text("utf-8") + ADDED, "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", TRIED], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
