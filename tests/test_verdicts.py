"""Verdicts on the kinds of lines that are easily judged wrongly: right and wrong ones of each."""

import pytest
from test_checking_sheets import NET

import tinygrad_edu as tg
from tinygrad_edu.sheets.sheet import Sheet


def judged(text: str, **options: object) -> dict[str, object]:
    """The rows of a sheet by name."""
    return {row.name: row for row in tg.check_sheet(Sheet(text), **options).rows}


def verdicts(text: str, **options: object) -> dict[str, str]:
    return {name: row.verdict for name, row in judged(text, **options).items()}


# --- a constant moved to the lines that read it ---------------------------------------------------

MOVED = {
    "a net of two layers": (
        NET, "dZ2 = 0.5 * (A2 - Y)",
        "dW2 = 2 / m * dZ2 @ A1.T", "db2 = 2 / m * np.sum(dZ2, axis=1, keepdims=True)",
        "db2 = 1 / m * np.sum(dZ2, axis=1, keepdims=True)",
    ),
    "a sign": (
        NET, "dZ2 = Y - A2",
        "dW2 = -1 / m * dZ2 @ A1.T", "db2 = -1 / m * np.sum(dZ2, axis=1, keepdims=True)",
        "db2 = 1 / m * np.sum(dZ2, axis=1, keepdims=True)",
    ),
    "examples as rows": (
        "n = 6\nX: (n, 3)\nT: (n, 2)\nW: (3, 2)\nb: (1, 2)\nZ = X @ W + b\n"
        "J = np.sum((Z - T)**2) / n\n",
        "dZ = Z - T", "dW = 2 / n * X.T @ dZ", "db = 2 / n * np.sum(dZ, axis=0, keepdims=True)",
        "db = 1 / n * np.sum(dZ, axis=0, keepdims=True)",
    ),
    "single numbers": (
        "w: ()\nb: ()\nx = 1.5\nt = 0.3\nz = w * x + b\nJ = (z - t)**2\n",
        "dz = z - t", "dw = 2 * dz * x", "db = 2 * dz", "db = dz",
    ),
    "a gain and a shift": (
        "X: (4, 7)\ng: (4, 1)\nh: (4, 1)\nT: (4, 7)\nZ = g * X + h\nJ = np.sum((Z - T)**2)\n",
        "dZ = T - Z", "dg = -2 * np.sum(dZ * X, axis=1, keepdims=True)",
        "dh = -2 * np.sum(dZ, axis=1, keepdims=True)", "dh = np.sum(dZ, axis=1, keepdims=True)",
    ),
    "a loss to the fourth power": (
        "X: (3, 5)\nW: (2, 3)\nb: (2, 1)\nZ = W @ X + b\nJ = np.sum(Z**4)\n",
        "dZ = Z**3", "dW = 4 * dZ @ X.T", "db = 4 * np.sum(dZ, axis=1, keepdims=True)",
        "db = np.sum(dZ, axis=1, keepdims=True)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("forward, above, first, second, wrong", MOVED.values(), ids=MOVED)
@pytest.mark.one_in(3)
def test_a_constant_is_forgiven_only_when_every_parameter_that_reads_it_is_right(
    forward, above, first, second, wrong
):
    convention = "lecture" if "m = 5" in forward else "calculus"
    right = judged("\n".join([forward, above, first, second]), convention=convention)
    assert {row.verdict for row in right.values()} == {"correct"}
    assert "make up for it" in next(iter(right.values())).note
    found = verdicts("\n".join([forward, above, first, wrong]), convention=convention)
    assert next(iter(found.values())) == "wrong"
    found = verdicts("\n".join([forward, above, wrong, first]), convention=convention)
    assert next(iter(found.values())) == "wrong"
