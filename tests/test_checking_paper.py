"""What means one thing on paper is read as that; of all else one is told what to write."""

from pathlib import Path

import numpy as np
import pytest
from test_checking import two_layers
from test_checking_sheets import NET

import tinygrad_edu as tg
from tinygrad_edu.sheets.paper import Unreadable, as_python, read

SHEETS = sorted((Path(__file__).parent / "sheets").glob("*.sheet"))
TOP = "dZ2 = A2 - Y\n"


@pytest.mark.parametrize("paper, python", [
    ("A1^2", "A1**2"),
    ("(1 - A1)^(1/2)", "(1 - A1)**(1/2)"),
    ("W2^T @ dZ2", "W2.T @ dZ2"),
    ("W2^{T} @ dZ2", "W2.T @ dZ2"),
    ("A2 − Y", "A2 - Y"),
    ("W2ᵀ @ dZ2 ∗ (1 − A1²)", "W2.T @ dZ2 * (1 - A1**2)"),
    ("(W2 @ A1)ᵀ", "(W2 @ A1).T"),
    ("(1 − A1)³ · A1⁻²", "(1 - A1)**3 * A1**-2"),
    ("A1[0]²", "A1[0]**2"),
    ("dZ2 × 2 ÷ m", "dZ2 * 2 / m"),
    ("A1 ⊙ A1 ∘ A1", "A1 * A1 * A1"),
    ("dZ2 .* A2 ./ (1 + A2) .^ 2", "dZ2 * A2 / (1 + A2) ** 2"),
    ("A1ᵀ .* A1ᵀ", "A1.T * A1.T"),
    ("2.*A1 + 1./m", "2.*A1 + 1./m"),
    ("(Z1 ≥ 0) * (Z1 ≤ 1) * (Z1 ≠ 0.5)", "(Z1 >= 0) * (Z1 <= 1) * (Z1 != 0.5)"),
    ("σ(Z2) + ReLU(Z2)", "sigmoid(Z2) + relu(Z2)"),
    ("√(A1) + π + 2·∞", "np.sqrt(A1) + pi + 2*inf"),
    ("W₂ @ A₁", "W2 @ A1"),
    ("x₁²", "x1**2"),
    ("\uff08A2\uff0dY\uff09\uff0a2", "(A2-Y)*2"),
    ("A2\u00a0- Y\u200b", "A2 - Y"),
    ("α * (β + λ)", "α * (β + λ)"),
])  # fmt: skip
def test_characters_and_forms_that_mean_one_thing(paper, python):
    assert as_python(f"q = {paper}") == f"q = {python}"


@pytest.mark.parametrize("shape", ["3, m", "3,m", "[3, m]", "3 × m", "3 x m", "(3 × m)", "(3, m)"])
def test_a_shape_without_its_brackets(shape):
    text = NET.replace("X: (3, m)", f"X: {shape}").replace("Y: (2, m) =", "Y: 2, m =")
    assert tg.check_text(text + TOP).judged.sheet.givens["X"].shape == (3, 5)


@pytest.mark.parametrize("left", [
    "dL/dW2", "dJ/dW2", "∂J/∂W2", "∂L / ∂W2", "dJ_dW2", "∂W2", "∇W2", "∂J/∂W₂", "dcost/dW2",
])  # fmt: skip
def test_a_derivative_may_be_written_as_one(left):
    (_, row) = tg.check_text(f"{NET}{TOP}{left} = dZ2 @ A1.T / m\n").rows
    assert (row.of, row.verdict) == ("W2", "correct")
    (_, row) = tg.check_text(f"{NET}{TOP}{left} = dZ2 @ A1.T\n").rows
    assert row.diagnosis.correction.endswith("dZ2 @ A1.T / m")


def test_derivatives_written_as_fractions_are_read_by_other_lines_and_quotients_stay_quotients():
    rows = tg.check_text(
        f"{NET}dL/dZ2 = A2 - Y\ndA1/dZ1 = 1 - A1^2\ndL/dZ1 = W2ᵀ @ dL/dZ2 * dA1/dZ1\n"
        "dp = 3 * m\ndq = 3\ndL/dW1 = dL/dZ1 @ Xᵀ * dq/dp\n"
    ).rows
    found = {row.of: row.verdict for row in rows}
    assert [found[of] for of in ("Z2", "Z1", "W1")] == ["correct"] * 3


def test_a_layer_written_above_is_part_of_the_name_and_else_a_power():
    text = (
        "m = 5\nX: (3, m)\nY: (2, m)\nW¹: (2, 3)\nZ¹ = W¹ @ X\nJ = np.sum((Z¹ − Y)²) / (2 * m)\n"
        "dZ¹ = Z¹ − Y\ndW¹ = (1/m) dZ¹ Xᵀ\n"
    )
    report = tg.check_text(text)
    assert report.ok
    assert [row.name for row in report.rows] == ["dZ1", "dW1"]


@pytest.mark.parametrize("line, python", [
    ("dW2 = (1/m) dZ2 A1ᵀ", "dW2 = (1/m) * dZ2 @ A1.T"),
    ("dZ1 = W2ᵀ dZ2 ∗ (1 − A1²)", "dZ1 = W2.T @ dZ2 * (1 - A1**2)"),
    ("dZ1 = (1 − A1²) ∗ W2ᵀ dZ2", "dZ1 = (1 - A1**2) * (W2.T @ dZ2)"),
    ("dW2 = dZ2 A1ᵀ + (lam/m) W2", "dW2 = dZ2 @ A1.T + (lam/m) * W2"),
    ("dW2 = (1/m) (dZ2 A1ᵀ + lam ∗ W2)", "dW2 = (1/m) * (dZ2 @ A1.T + lam * W2)"),
    ("db2 = (1/m) np.sum(dZ2, axis=1, keepdims=True)",
     "db2 = (1/m) * np.sum(dZ2, axis=1, keepdims=True)"),
    ("dW1 = −2 W2ᵀ dZ2 Xᵀ", "dW1 = -2 * W2.T @ dZ2 @ X.T"),
    ("dS = dP ∗ P − P ∗ np.sum(dP ∗ P, axis=0)", "dS = dP * P - P * np.sum(dP * P, axis=0)"),
    ("dW = (h ∗ r)ᵀ dag", "dW = (h * r).T @ dag"),
    ("dW = Xᵀ dZ[1:, :] / 2", "dW = X.T @ dZ[1:, :] / 2"),
    ("dW2 = λ W2 + dZ2 A1ᵀ", "dW2 = λ * W2 + dZ2 @ A1.T"),
    ("dW2 = (1/X.shape[1]) dZ2 A1ᵀ", "dW2 = (1/X.shape[1]) * dZ2 @ A1.T"),
    ("dW2 = dZ2 A1ᵀ  # the rule of the lecture", "dW2 = dZ2 @ A1.T  # the rule of the lecture"),
])  # fmt: skip
def test_names_side_by_side_are_a_product_in_the_notation_of_derive(line, python):
    text, statements = read(f"m = 5\nlam = 0.1\nλ: ()\n{line}\n")
    assert text.split("\n")[3] == python
    assert not any(isinstance(statement, Unreadable) for statement in statements)


@pytest.mark.parametrize("line, python", [
    ("db2 = (1/m) np.sum(dZ2, axis=1)", "db2 = (1/m) * np.sum(dZ2, axis=1)"),
    ("dW2 = 2 dZ2 @ A1.T", "dW2 = 2 * dZ2 @ A1.T"),
    ("dW2 = 2dZ2", "dW2 = 2 * dZ2"),
    ("dW2 = dZ2 @ A1.T + lam W2", "dW2 = dZ2 @ A1.T + lam * W2"),
    ("dZ = dA - 2 m dP", "dZ = dA - 2 * m * dP"),
])  # fmt: skip
def test_a_number_before_one_thing_is_a_factor_in_any_notation(line, python):
    assert read(f"m = 5\nlam = 0.1\n{line}\n")[0].split("\n")[2] == python


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.stem)
@pytest.mark.parametrize("convention", ["lecture", "calculus"])
@pytest.mark.one_in(16)
def test_what_derive_prints_can_be_pasted_back_and_is_right(path, convention):
    sheet = tg.load_sheet(path)
    rules = sheet.derive(convention=convention)
    # An index that is written out holds for these numbers only.
    lines = [line for line in str(rules).split("\n") if "np.array(" not in line]
    above = sheet.source.split("\n")[: sheet.above_cost[-1].line]
    report = tg.check_text("\n".join([*above, *lines]) + "\n", sheet.data, rules.convention)
    claims = [line for line in lines if line.split(" ")[0] in {rule.name for rule in rules.rules}]
    assert [row.name for row in report.rows] == [line.split(" ")[0] for line in claims]
    for row, line in zip(report.rows, claims, strict=True):
        assert row.error is None, (line, row.error)
        assert row.verdict in ("correct", "unchecked"), line


def test_a_scatter_of_derive_is_read():
    text = "E: (5, 2)\ni: (3,) = integers(0, 5)\nt: (3, 2)\nH = E[i]\nJ = np.sum((H - t)**2)\n"
    rules = "dH = 2 ∗ (H − t)\ndE = scatter(dH, i, (5, 2))\ndt = −dH\n"
    assert tg.check_text(text + rules).ok


@pytest.mark.parametrize("line, says", [
    ("dW2 = dZ2 A1.T", "write @ between dZ2 and A1.T for a matrix product"),
    ("dW2 = 1/m * dZ2 A1.T", "write @ between dZ2 and A1.T"),
    ("dW2 = 1 / 2 dZ2 @ A1.T", "write * between 2 and dZ2"),
    ("dW2 = 1/m dZ2 @ A1.T", "write * between m and dZ2"),
    ("dW2 = (1 / m) dZ2 A1.T", "write * between (1 / m) and dZ2"),
    ("dW2 = (1/m) (dZ2 @ A1.T)", "a product needs * or @"),
    ("dW2 = m (dZ2 @ A1.T)", r"write m * ( or m @ ("),
    ("dW2 = dZ2 @ A1'", "write .T for a transpose"),
    ("dW2 = np.dot(dZ2, A1.T", "a bracket is not closed"),
    ("dW2 = [dZ2[i] for i in range(2)]", "write its terms out"),
    ("dW2 = {'W2': dZ2}", "write a line for each, dW1 = …"),
    ("dW2 = np.dot(dZ2, A1.T) if m else 0", "use np.where"),
    (r"dW2 = \frac{1}{m} dZ2 A1", "this is LaTeX"),
    ("dW2 = dZ2 ⊗ A1", "invalid character"),
    ("dW2 = dZ2 @ A1.T = 3 *", "not written as Python"),
])  # fmt: skip
def test_what_is_ambiguous_or_no_formula_is_told_what_to_write(line, says):
    top, row = tg.check_text(f"{NET}{TOP}{line}\n").rows
    assert top.verdict == "correct"
    assert (row.of, row.verdict) == ("W2", "wrong")
    assert says in row.error


def test_a_product_whose_shapes_do_not_fit_is_told_how_the_other_is_written():
    _, row = tg.check_text(f"{NET}{TOP}dW2 = dZ2 · A1ᵀ / m\n").rows
    assert row.verdict == "wrong"
    assert "a matrix product is written @" in row.note


def test_modules_of_numbers_are_read_alike():
    text = (
        "x: (3,)\nJ = np.sum(math.exp(0.5) * x + math.pi * x)\ndx = math.exp(.5) + np.pi + 0 * x\n"
    )
    assert tg.check_text(text).ok
    assert tg.check_text("import math\n" + text).ok


def test_a_comparison_reads_formulas_as_sheets_do():
    rules = {
        "dZ2": "A2 − Y",
        "∂J/∂W2".replace("∂J/∂", "d"): "(1/m) dZ2 A1ᵀ",
        "dZ1": "W2ᵀ dZ2 ∗ (1 − A1^2)",
        "dW1": "dW1 = (1/m) dZ1 Xᵀ",
    }
    assert tg.compare(two_layers()["J"], rules).ok
    assert tg.compare(two_layers()["J"], {"dZ2": "A2 − 2·Y"}).rows[0].verdict == "wrong"
    with pytest.raises(tg.GradError, match=r"write @ between W2\.T and dZ2"):
        tg.compare(two_layers()["J"], {"dZ2": "A2 - Y", "dZ1": "W2.T dZ2 * (1 - A1**2)"})


def test_the_statements_around_a_broken_one_keep_their_lines():
    text = (
        "a = (1 +\n     2)\nb = np.sum([1,\n2], axis=0\nc = 3\n'''some\nwords'''\nd = 4 if\n"
        "for i in c:\n    e = 1\n\n    f = 2\ng = [1,\n2]\n   h = 5\n"
    )
    found = [
        (s.line, s.message[:9]) if isinstance(s, Unreadable) else s.lineno for s in read(text)[1]
    ]
    assert found == [1, (3, "a bracket"), 5, (8, "this is n"), 9, 13, 15] or found == [
        1, (3, "a bracket"), (4, "a bracket"), 5, (8, "this is n"), 9, 13, 15,
    ]  # fmt: skip


@pytest.mark.parametrize("text", [
    "x²" * 20_000, "a " * 30_000, "∂" * 50_000, "^" * 50_000, "'" * 50_001, "(" * 50_000,
    "q: " + " " * 50_000 + ",", "x" * 100_000 + "²", "dJ/dx" * 10_000, "'''" * 20_001,
    "a =\n" * 10_000, "(\n" * 10_000, "−\n" + "a b\n" * 5_000, "−" + "[" * 2000 + "a b",
    "−" + "f (" * 15_000 + ")" * 15_000, "−" + "a " * 40_000, "−" + "2 (" * 20_000,
])  # fmt: skip
@pytest.mark.one_in(8)
def test_any_text_is_read_in_time_that_grows_with_it(text):
    assert read(text)[0] is not None


def test_a_pasted_derivation_is_corrected_in_the_words_of_a_sheet():
    row = tg.check_text(NET + "dZ2 = A2 − Y\ndZ1 = W2ᵀ dZ2 ∗ (1 − Z1²)\n").rows[1]
    assert row.formula == "dZ1 = W2.T @ dZ2 * (1 - Z1**2)"
    assert row.diagnosis.correction == "dZ1 = W2.T @ dZ2 * (1 - A1**2)"
    assert np.isfinite(row.max_error)


@pytest.mark.parametrize("zero", [0x06F0, 0x0660], ids=["Persian", "Arabic"])
def test_digits_commas_and_decimal_points_of_a_persian_keyboard_are_read(zero):
    latin = "m = 5\nX: (3, m)\nW: (2, 3)\nJ = np.sum((W @ X)**2) * 0.5 / m\ndW = W @ X @ X.T / m\n"
    there = {ord(str(n)): chr(zero + n) for n in range(10)} | {ord(","): "\u060c"}
    persian = latin.replace("0.5", "0\u066b5").translate(there)
    judged = tg.check_text(persian)
    assert judged.ok
    assert judged.to_json() == tg.check_text(latin).to_json()
