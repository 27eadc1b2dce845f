"""Mistakes one by one: a sheet with a wrong line, what is said of it, and the line corrected."""

import numpy as np
import pytest
from test_checking_sheets import NET

import tinygrad_edu as tg
from tinygrad_edu.sheets.sheet import Sheet

RIDGE = NET.replace(") / m\n", ") / m + 0.3 * np.sum(W1**2)\n")
LASSO = NET.replace(") / m\n", ") / m + 0.1 * np.sum(np.abs(W2))\n")
DROPOUT = NET.replace(
    "A1 = np.tanh(Z1)\n", "keep = 0.8\nD: (4, m) = binary\nA = np.tanh(Z1)\nA1 = A * D / keep\n"
)
SIGMOID = NET.replace("np.tanh(Z1)", "sigmoid(Z1)")
RELU = NET.replace("np.tanh(Z1)", "np.maximum(0, Z1)")
TOP = "dZ2 = A2 - Y\n"
ALL = TOP + "dZ1 = W2.T @ dZ2 * (1 - A1**2)\n"

RESIDUAL = """
m = 5
X: (3, m)
T: (3, m)
W: (3, 3)
Z = W @ X
A = np.tanh(Z)
R = A + Z
J = np.sum((R - T)**2) / (2 * m)
dR = R - T
"""
ROWS = """
m = 6
X: (m, 4)
T: (m, 3)
W: (4, 3)
b: (3,)
A = X @ W + b
J = np.sum((A - T)**2) / 2
dA = A - T
"""
SOFTMAX = """
m = 6
X: (4, m)
Y: (3, m) = onehot(axis=0)
W: (3, 4)
Z = W @ X
P = softmax(Z, axis=0)
J = np.sum((P - Y)**2) / 2
dP = P - Y
"""
NORMALISED = """
m = 6
X: (3, m)
g: (3, 1)
T: (3, m)
mu = np.mean(X, axis=1, keepdims=True)
v = np.mean((X - mu)**2, axis=1, keepdims=True)
N = (X - mu) / np.sqrt(v + 1e-5)
Y = g * N
J = np.sum((Y - T)**2) / 2
dY = Y - T
"""
NUMBERS = """
x: ()
w: ()
v: ()
y: ()
z = w * x
a = sigmoid(z)
o = v * a
L = 0.5 * (o - y)**2
do = o - y
da = do * v
"""
UNNAMED = """
m = 5
X: (3, m)
T: (2, m)
W1: (4, 3)
W2: (2, 4)
Z1 = W1 @ X
Z2 = W2 @ np.tanh(Z1)
J = np.sum((Z2 - T)**2) / (2 * m)
dZ2 = Z2 - T
"""
VECTOR = """
m = 6
X: (m, 3)
y: (m, 1)
w: (3,)
z = X @ w
J = np.sum((z - y[:, 0])**2) / 2
"""
#: A weight that is used twice in one line; what is normalised, and led around that.
TWICE = """A: (4, 4) = binary
X: (4, 3)
W: (3, 2)
Y: (4, 2)
H = A @ X @ W + X @ W
J = np.sum((H - Y)**2) / 2
dH = H - Y
"""
AROUND = """X: (5, 4)
W: (4, 4)
T: (5, 4)
r = np.sqrt(np.mean(X**2, axis=1, keepdims=True) + 1e-5)
N = X / r
O = X + N @ W
J = np.sum((O - T)**2) / 2
dO = O - T
dN = dO @ W.T
"""
COLUMN = """
m = 6
X: (m, 3)
y: (m,)
w: (3, 1)
z = X @ w
J = np.sum((z[:, 0] - y)**2) / 2
"""
PIECES = "x: (4,)\nw: (3,)\nJ = np.sum(x[0:3] * w)\ndx = np.zeros(4)\n"
CELLS = "x: (2, 4)\nw: (3,)\nJ = np.sum(x[1, 0:3] * w)\ndx = np.zeros((2, 4))\n"
ROWS_PICKED = """
E: (7, 3)
i: (6,) = integers(0, 7)
t: (3,)
h = E[i].sum(axis=0)
J = np.sum((h - t)**2) / 2
dh = h - t
dE = np.zeros_like(E)
"""
CELLS_PICKED = """
E: (4, 5)
i: (6,) = integers(0, 4)
j: (6,) = integers(0, 5)
t: (6,)
h = E[i, j]
J = np.sum((h - t)**2) / 2
dh = h - t
dE = np.zeros_like(E)
"""


def last(text):
    """The last line of a sheet, judged; in the lecture's scale where there is one."""
    sheet = Sheet(text + "\n")
    convention = "lecture" if "/ m" in text.split("J =")[-1].split("\n")[0] else "auto"
    return tg.check_sheet(sheet, convention=convention).rows[-1]


@pytest.mark.parametrize("forward, wrong, mistake, right", [
    # sums over examples, and what a bias sums
    (NET + ALL, "db1 = np.sum(dZ1) / m", "sum_without_axis",
     "db1 = np.sum(dZ1, axis=1, keepdims=True) / m"),
    (NET + ALL, "db1 = dZ1 / m", "bias_not_summed",
     "db1 = np.sum(dZ1 / m, axis=1, keepdims=True)"),
    (NET + ALL, "db1 = np.sum(dZ1, axis=0) / m", "wrong_sum_axis",
     "db1 = np.sum(dZ1, axis=1, keepdims=True) / m"),
    (NET + ALL, "db1 = dZ1.sum(axis=0) / m", "wrong_sum_axis",
     "db1 = dZ1.sum(axis=1, keepdims=True) / m"),
    (NET + ALL, "db1 = np.sum(dZ1, 0) / m", "wrong_sum_axis",
     "db1 = np.sum(dZ1, axis=1, keepdims=True) / m"),
    (NET + ALL, "db1 = np.sum(dZ1, axis=1) / m", "missing_keepdims",
     "db1 = np.sum(dZ1, axis=1, keepdims=True) / m"),
    (NET + ALL, "db1 = np.sum(dZ1, axis=1, keepdims=True)", "one_over_m_missing",
     "db1 = np.mean(dZ1, axis=1, keepdims=True)"),
    (NET + ALL, "db1 = np.mean(dZ1, axis=1, keepdims=True) / m", "mean_instead_of_sum",
     "db1 = np.sum(dZ1, axis=1, keepdims=True) / m"),
    (NET + ALL, "db1 = np.sum(A1, axis=1, keepdims=True) / m", "wrong_layer_variable",
     "db1 = np.sum(dZ1, axis=1, keepdims=True) / m"),
    (NET + ALL + "dW1 = dZ1 @ X.T / m\n", "db1 = np.sum(dW1, axis=1, keepdims=True)",
     "bias_from_weight_gradient", "db1 = np.sum(dZ1, axis=1, keepdims=True) / m"),
    (NET + ALL + "dW1 = dZ1 @ X.T / m\n", "db1 = dW1",
     "bias_from_weight_gradient", "db1 = np.mean(dZ1, axis=1, keepdims=True)"),
    (NET + ALL, "dW1 = np.sum(dZ1, axis=1, keepdims=True) / m", "missing_input_factor",
     "dW1 = dZ1 @ X.T / m"),
    (NET + TOP, "dZ1 = np.sum(W2.T @ dZ2) * (1 - A1**2)", "sum_without_axis",
     "dZ1 = W2.T @ dZ2 * (1 - A1**2)"),
    (NET + TOP, "dZ1 = np.sum(W2.T @ dZ2, axis=0) * (1 - A1**2)", "wrong_sum_axis",
     "dZ1 = W2.T @ dZ2 * (1 - A1**2)"),
    (ROWS, "db = np.sum(dA, axis=0, keepdims=True)", "wrong_sum_axis",
     "db = np.sum(dA, axis=0, keepdims=False)"),
    (ROWS, "db = dA", "bias_not_summed", "db = np.sum(dA, axis=0)"),
    # products
    (NET + ALL, "dW1 = dZ2 * X.T / m", "wrong_layer_variable", "dW1 = dZ1 @ X.T / m"),
    (NET + ALL, "dW1 = dZ2 @ A1.T / m", "wrong_layer_variable", "dW1 = dZ1 @ X.T / m"),
    (NET + ALL, "dW1 = np.multiply(dZ1, X) / m", "elementwise_instead_of_matmul",
     "dW1 = np.dot(dZ1, X.T) / m"),
    (NET + TOP, "dZ1 = dZ2 @ W2 * (1 - A1**2)", "missing_transpose",
     "dZ1 = W2.T @ dZ2 * (1 - A1**2)"),
    (NET + TOP, "dZ1 = W2.T @ dZ2 @ (1 - A1**2)", "matmul_instead_of_elementwise",
     "dZ1 = W2.T @ dZ2 * (1 - A1**2)"),
    (NET + TOP, "dZ1 = W2 @ dZ2 * (1 - A1**2)", "missing_transpose",
     "dZ1 = W2.T @ dZ2 * (1 - A1**2)"),
    (NET + TOP, "dW2 = A1 @ dZ2.T / m", "missing_transpose", "dW2 = dZ2 @ A1.T / m"),
    (NET + TOP + "dW2 = dZ2 @ A1.T / m\n", "dZ1 = dW2 @ dZ2 * (1 - A1**2)",
     "gradient_instead_of_parameter", "dZ1 = W2.T @ dZ2 * (1 - A1**2)"),
    (NET + TOP, "dZ1 = W2.T @ dZ2 * (1 - A1**2) * b1", "other", "dZ1 = W2.T @ dZ2 * (1 - A1**2)"),
    (NUMBERS, "dz = da * a * (1 - a) * da", "other", "dz = a * (1 - a) * da"),
    (NUMBERS, "dw = do * x", "missing_upstream_factor", "dw = da * x * a * (1 - a)"),
    (NUMBERS, "dz = da * a * (1 - a) * z", "multiplied_by_Z", "dz = da * a * (1 - a)"),
    (NUMBERS, "dv = do * a * (1 - a)", "extra_activation_derivative", "dv = do * a"),
    (UNNAMED, "dW2 = dZ2 @ Z1.T / m", "wrong_layer_variable", "dW2 = dZ2 @ np.tanh(Z1).T / m"),
    # dropout
    (DROPOUT + TOP, "dA = W2.T @ dZ2 / keep", "dropout_mask_missing", "dA = W2.T @ dZ2 * D / keep"),
    (DROPOUT + TOP, "dA = W2.T @ dZ2 * D", "dropout_scale", "dA = W2.T @ dZ2 * D / keep"),
    (DROPOUT + TOP, "dA1 = W2.T @ dZ2 * D", "dropout_mask_missing", "dA1 = W2.T @ dZ2"),
    (DROPOUT + TOP, "dZ1 = W2.T @ dZ2 * D * (1 - A1**2) / keep", "derivative_at_wrong_layer",
     "dZ1 = W2.T @ dZ2 * D * (1 - A**2) / keep"),
    (DROPOUT + TOP, "db1 = np.sum(W2.T @ dZ2 * (1 - A**2) / keep, axis=1, keepdims=True) / m",
     "dropout_mask_missing",
     "db1 = np.sum(W2.T @ dZ2 * D * (1 - A**2) / keep, axis=1, keepdims=True) / m"),
    # penalties
    (RIDGE + ALL, "dW1 = dZ1 @ X.T / m - 0.6 * W1", "reg_sign", "dW1 = dZ1 @ X.T / m + 0.6 * W1"),
    (RIDGE + ALL, "dW1 = dZ1 @ X.T / m + 0.3 * W1", "reg_factor",
     "dW1 = dZ1 @ X.T / m + 0.6 * W1"),
    (RIDGE + ALL, "dW1 = dZ1 @ X.T / m + 0.6 * W2", "wrong_layer_variable",
     "dW1 = dZ1 @ X.T / m + 0.6 * W1"),
    (RIDGE + ALL, "dW1 = dZ1 @ X.T / m", "missing_reg_term",
     "dW1 = dZ1 @ X.T / m + 0.6 * W1"),
    (RIDGE + TOP, "dW2 = dZ2 @ A1.T / m + 0.6 * W2", "reg_on_bias", "dW2 = dZ2 @ A1.T / m"),
    (RIDGE + ALL, "dW1 = dZ1 @ X.T / m / m + 0.6 * W1", "one_over_m_twice",
     "dW1 = dZ1 @ X.T / m + 0.6 * W1"),
    (RIDGE + ALL, "dW1 = dZ1 @ X.T / m * m + 0.6 * W1", "one_over_m_missing",
     "dW1 = dZ1 @ X.T / m + 0.6 * W1"),
    (RIDGE + ALL, "dW1 = 0.5 * dZ1 @ X.T / m + 0.6 * W1", "constant_factor",
     "dW1 = dZ1 @ X.T / m + 0.6 * W1"),
    (LASSO + TOP, "dW2 = dZ2 @ A1.T / m - 0.1 * np.sign(W2)", "reg_sign",
     "dW2 = dZ2 @ A1.T / m + 0.1 * np.sign(W2)"),
    # several paths
    (RESIDUAL, "dZ = dR", "missing_fan_out_term", "dZ = dR + dR * (1 - A**2)"),
    (RESIDUAL, "dZ = dR * A", "wrong_derivative_formula", "dZ = dR + dR * (1 - A**2)"),
    (RESIDUAL, "dZ = dR * (1 - A**2) + dR + Z", "double_counted_path", "dZ = dR * (1 - A**2) + dR"),
    (RESIDUAL, "dZ = dR * (1 - A**2) + (T - R)", "sign", "dZ = dR * (1 - A**2) - (T - R)"),
    (RESIDUAL, "dZ = (T - R) * (1 - A**2) + dR", "sign", "dZ = (R - T) * (1 - A**2) + dR"),
    (RESIDUAL, "dZ = (T - R) * (1 - A**2) + R - T", "sign",
     "dZ = (R - T) * (1 - A**2) + R - T"),
    (RESIDUAL, "dZ = dR * A + dR", "g_instead_of_gprime", "dZ = dR * (1 - A**2) + dR"),
    (RESIDUAL, "dZ = dR * (1 - A**2) - dR", "sign", "dZ = dR * (1 - A**2) + dR"),
    (RESIDUAL, "dZ = (1 - A**2) + dR", "missing_upstream_factor", "dZ = dR * (1 - A**2) + dR"),
    (TWICE, "dW = (A @ X).T @ dH", "missing_fan_out_term", "dW = ((A @ X) + X).T @ dH"),
    (AROUND, "dX = dN / r - X * np.mean(dN * X, axis=1, keepdims=True) / r**3",
     "missing_fan_out_term",
     "dX = dN / r - X * np.mean(dN * X, axis=1, keepdims=True) / r**3 + dO"),
    (AROUND, "dX = dN / r + dO", "batchnorm_missing_term",
     "dX = (dN - X * np.mean(dN * N, axis=1, keepdims=True) / r) / r + dO"),
    # softmax and normalisation
    (SOFTMAX, "dZ = dP * P * (1 - P)", "softmax_jacobian_diagonal_only",
     "dZ = (dP - np.sum(dP * P, axis=0)) * P"),
    (SOFTMAX, "dZ = dP", "missing_activation_derivative",
     "dZ = (dP - np.sum(dP * P, axis=0)) * P"),
    (SOFTMAX, "dZ = P * (dP - np.mean(dP * P, axis=0, keepdims=True))", "mean_instead_of_sum",
     "dZ = P * (dP - np.sum(dP * P, axis=0, keepdims=True))"),
    (SOFTMAX, "dZ = P * (dP - np.sum(dP * Y, axis=0))", "wrong_layer_variable",
     "dZ = P * (dP - np.sum(dP * P, axis=0))"),
    (SOFTMAX, "dZ = P * (dP - np.sum(dP, axis=0, keepdims=True))", "softmax_jacobian_diagonal_only",
     "dZ = P * (dP - np.sum(dP * P, axis=0, keepdims=True))"),
    (NORMALISED + "dN = dY * g\n", "dX = dN / np.sqrt(v + 1e-5)", "batchnorm_missing_term",
     "dX = (dN - np.mean(dN, axis=1, keepdims=True) - N * np.mean(dN * N, axis=1, keepdims=True))"
     " / np.sqrt(v + 1e-5)"),
    (NORMALISED + "dN = dY * g\n",
     "dv = np.sum(dN * (X - mu), axis=1, keepdims=True) * -0.5 * (v + 1e-5)**-0.5",
     "other",
     "dv = np.sum(dN * (X - mu), axis=1, keepdims=True) * -0.5 * (v + 1e-5)**-1.5"),
    (NORMALISED + "dg = np.sum(dY * N, axis=1, keepdims=True)\n",
     "dX = 1 / np.sqrt(v + 1e-5) / m * (m * dY - np.sum(dY, axis=1, keepdims=True) - N * dg)",
     "batchnorm_missing_term",
     "dX = g / np.sqrt(v + 1e-5) / m * (m * dY - np.sum(dY, axis=1, keepdims=True) - N * dg)"),
    (NORMALISED, "dN = dY", "batchnorm_missing_term", "dN = dY * g"),
    (NORMALISED, "dg = dY * N", "bias_not_summed", "dg = np.sum(dY * N, axis=1, keepdims=True)"),
    (NORMALISED + "dN = dY * g\n",
     "dX = (dN - np.mean(dN, axis=1, keepdims=True) - N * np.sum(dN * N, axis=1, keepdims=True))"
     " / np.sqrt(v + 1e-5)", "one_over_m_missing",
     "dX = (dN - np.mean(dN, axis=1, keepdims=True) - N * np.mean(dN * N, axis=1, keepdims=True))"
     " / np.sqrt(v + 1e-5)"),
    (NORMALISED + "dg = np.sum(dY * N, axis=1, keepdims=True)\n",
     "dX = g / np.sqrt(v + 1e-5) / m * (dY - np.sum(dY, axis=1, keepdims=True) - N * dg)",
     "one_over_m_twice",
     "dX = g / np.sqrt(v + 1e-5) / m * (dY * m - np.sum(dY, axis=1, keepdims=True) - N * dg)"),
    # derivatives of activations
    (NET + TOP, "dZ1 = W2.T @ dZ2 * (Z1 > 0)", "derivative_of_other_activation",
     "dZ1 = W2.T @ dZ2 * (1 - A1**2)"),
    (NET + TOP, "dZ1 = W2.T @ dZ2 * np.tanh(A1)", "g_instead_of_gprime",
     "dZ1 = W2.T @ dZ2 * (1 - A1**2)"),
    (NET + TOP, "dZ1 = W2.T @ dZ2 - A1**2", "missing_weight_factor",
     "dZ1 = W2.T @ dZ2 * (1 - A1**2)"),
    (NET + TOP, "dZ1 = W2.T @ dZ2 / (1 - A1**2)", "wrong_derivative_formula",
     "dZ1 = W2.T @ dZ2 * (1 - A1**2)"),
    (NET + TOP, "dZ1 = W2.T @ dZ2 * (1 - X**2)", "derivative_at_wrong_point",
     "dZ1 = W2.T @ dZ2 * (1 - A1**2)"),
    (NET + TOP, "dZ1 = W2.T @ dZ2 * (1 - A2**2)", "derivative_at_wrong_layer",
     "dZ1 = W2.T @ dZ2 * (1 - A1**2)"),
    (NET + TOP, "dZ1 = W2.T @ A2 * A2 * (1 - A2)", "missing_activation_derivative",
     "dZ1 = W2.T @ dZ2 * (1 - A1**2)"),
    (NET + TOP, "dZ1 = W2.T @ (Y - A2) * A1 * (1 - A1)", "other",
     "dZ1 = W2.T @ (Y - A2) * (-1 - A1) * (1 - A1)"),
    (SIGMOID + TOP, "dZ1 = W2.T @ dZ2 * A1 * (1 - Z1)", "derivative_at_wrong_point",
     "dZ1 = W2.T @ dZ2 * A1 * (1 - A1)"),
    (SIGMOID + TOP, "dZ1 = W2.T @ dZ2 * A1 * A1", "wrong_derivative_formula",
     "dZ1 = W2.T @ dZ2 * (1 - A1) * A1"),
    (SIGMOID + TOP, "dZ1 = W2.T @ dZ2 * np.where(Z1 > 0, 1, 0.1)",
     "derivative_of_other_activation", "dZ1 = W2.T @ dZ2 * A1 * (1 - A1)"),
    (SIGMOID + TOP, "dZ1 = W2.T @ dZ2 * W1", "missing_activation_derivative",
     "dZ1 = W2.T @ dZ2 * A1 * (1 - A1)"),
    (UNNAMED, "dZ1 = W2.T @ dZ2 * (1 - Z1**2)", "derivative_at_wrong_point",
     "dZ1 = W2.T @ dZ2 * (1 - np.tanh(Z1)**2)"),
    (SIGMOID + TOP,
     "dZ1 = W2.T @ dZ2 * sigmoid(A1) * (1 - sigmoid(A1))", "derivative_at_wrong_point",
     "dZ1 = W2.T @ dZ2 * sigmoid(Z1) * (1 - sigmoid(Z1))"),
    (RELU + TOP, "dZ1 = W2.T @ dZ2 * (Z1 > 1)",
     "relu_mask_boundary", "dZ1 = W2.T @ dZ2 * (Z1 > 0)"),
    (RELU + TOP,
     "dZ1 = W2.T @ (dZ2 * (Z2 > 0))", "derivative_at_wrong_layer",
     "dZ1 = W2.T @ dZ2 * (Z1 >= 0)"),
    (RELU + TOP + "dZ1 = W2.T @ dZ2\n",
     "dZ1[Z1 <= 0] = 1", "wrong_derivative_formula", "dZ1 = np.where(Z1 <= 0, 0, dZ1)"),
    # columns against rows
    (COLUMN, "dz = z - y", "broadcast_1d_target", "dz = z - y[:, None]"),
    (VECTOR, "dz = z - y", "broadcast_1d_target", "dz = z - y[:, 0]"),
    # entries of an array of one's own
    (PIECES, "dx[0:3] = 2 * w", "constant_factor", "dx[0:3] = w"),
    (PIECES, "dx[0:3] = -w", "sign", "dx[0:3] = w"),
    (CELLS, "dx[1, 0:3] = 2 * w", "constant_factor", "dx[1, 0:3] = w"),
    (CELLS, "dx[0, 0:3] = w", "other", "dx[1, 0:3] = w"),
    (ROWS_PICKED, "dE[i] += dh", "lost_accumulation", "np.add.at(dE, i, dh)"),
    (CELLS_PICKED, "dE[i, j] += dh", "lost_accumulation", "np.add.at(dE, (i, j), dh)"),
])  # fmt: skip
@pytest.mark.one_in(16)
def test_a_mistake_is_named_and_its_correction_is_right(forward, wrong, mistake, right):
    row = last(forward + wrong)
    assert row.verdict == "wrong"
    assert (row.diagnosis.mistake, row.diagnosis.correction) == (mistake, right)
    assert last(forward + right).verdict == "correct"


@pytest.mark.parametrize("forward, wrong, says", [
    (VECTOR, "dz = z - y", "y has shape (6, 1). With y[:, 0] for y the line is right"),
    (NET + ALL, "dW1 = dZ2 @ A1.T / m", "dZ2 and A1 stand where dZ1 and X belong."),
    (LASSO + TOP, "dW2 = dZ2 @ A1.T / m + 0.1 * np.abs(W2)",
     "share of dW2 is 0.1 * np.sign(W2), not 0.1 * np.abs(W2)"),
    (RESIDUAL, "dZ = dR * (1 - A**2) + 2 * dR", "The right line has dR where this one has 2 * dR"),
    (CELLS, "dx[0, 9] = 1", "This line cannot be computed; the gradient has shape (2, 4)"),
    (PIECES, "dx[1:4] += w", "With dx[0:3] for dx[1:4] the line is right."),
    (NUMBERS, "dz = -da * a * (1 - a)", "Every number of this line has the wrong sign"),
])  # fmt: skip
def test_an_explanation_says_what_is_wrong_in_the_learners_own_names(forward, wrong, says):
    assert says in last(forward + wrong).diagnosis.explanation


def test_a_line_that_cannot_be_computed_is_quoted_as_it_is_written():
    note = last(CELLS + "dx[0, 9] = 1").note
    assert note.startswith("dx[0, 9] = 1: index 9 is out of bounds")


def test_a_softmax_over_the_wrong_axis_is_found_in_the_forward_lines():
    rows = SOFTMAX.replace("X: (4, m)\nY: (3, m) = onehot(axis=0)", "X: (4, 3)\nY: (3, 3)")
    turned = rows.replace("Y: (3, 3)", "Y: (3, 3) = onehot(axis=1)")
    found = last(turned + "dZ = P - Y").diagnosis
    assert found.mistake == "forward_softmax_axis"
    assert "P adds up to 1 over axis 0. P does not add up to 1 over axis 1." in found.explanation
    assert last(turned + found.correction).verdict == "correct"


def test_an_update_is_no_excuse_for_another_mistake():
    update = TOP + "dW2 = dZ2 @ A1.T / m\nW2 = W2 - 0.5 * dW2\n"
    found = last(NET + update + "dZ1 = W2.T @ dZ2").diagnosis
    assert found.mistake == "missing_activation_derivative"


def test_a_single_unit_that_is_off_at_some_points_still_has_its_constant_found():
    relu = NUMBERS.replace("sigmoid(z)", "max(0, z)")
    found = last(relu + "dz = 2 * da * (z > 0)").diagnosis
    assert (found.mistake, found.correction) == ("constant_factor", "dz = da * (z > 0)")


@pytest.mark.slow
def test_numbers_drawn_for_a_sheet_do_not_change_what_is_said_of_it():
    wrong = NET + TOP + "dZ1 = W2.T @ dZ2"
    sheet = Sheet(wrong + "\n", "s", {"X": np.full((3, 5), 0.5)})
    assert tg.check_sheet(sheet).rows[-1].diagnosis == last(wrong).diagnosis
