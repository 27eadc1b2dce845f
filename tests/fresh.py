"""Derivations in forms the checker was not built on, each with one mistake: 40 sheets.

Written before any of them was judged. Of each: the forward lines, the lines above the mistake, the
line as it is wrong, the line as it is right, and the names that the mistake may go by.
``python tests/fresh.py [--show]`` prints how many were named and corrected, and which sentences are
false when they are read back on other numbers.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from tinygrad_edu.checking import check_sheet
from tinygrad_edu.checking.natural import distance, tokens
from tinygrad_edu.checking.sheet import Sheet


class Fresh(NamedTuple):
    """One sheet with one mistake."""

    name: str
    forward: str
    above: str
    wrong: str
    right: str
    classes: str

    @property
    def text(self) -> str:
        """The sheet."""
        return f"{self.forward}\n{self.above}\n{self.wrong}\n"


FRESH = [Fresh(*parts) for parts in (
    ("softplus_unit",
     "m = 6\nx: (3, m)\nt: (2, m)\nW: (2, 3)\nb: (2, 1)\nz = W @ x + b\na = np.log(1 + np.exp(z))\n"
     "J = np.sum((a - t)**2) / (2 * m)",
     "da = (a - t) / m", "dz = da * a", "dz = da / (1 + np.exp(-z))",
     "g_instead_of_gprime wrong_derivative_formula"),
    ("hinge",
     "n = 7\nX: (n, 3)\ny: (n,)\nw: (3,)\nc: ()\ns = X @ w + c\nh = np.maximum(0, 1 - y * s)\n"
     "J = np.sum(h) / n",
     "dh = np.ones(n) / n", "ds = dh * y * (h > 0)", "ds = -dh * y * (h > 0)", "sign"),
    ("log_cosh",
     "m = 5\nX: (m, 3)\nt: (m, 2)\nV: (3, 2)\np = X @ V\ne = p - t\n"
     "J = np.mean(np.sum(np.log(np.cosh(e)), axis=1))",
     "de = np.tanh(e) / m", "dV = de.T @ X", "dV = X.T @ de", "missing_transpose"),
    ("elastic_net",
     "n = 8\nX: (n, 4)\ny: (n,)\nw: (4,)\nl1 = 0.3\nl2 = 0.7\nr = X @ w - y\n"
     "J = np.sum(r**2) / (2 * n) + l1 * np.sum(np.abs(w)) + l2 / 2 * np.sum(w**2)",
     "dr = r / n", "dw = X.T @ dr + l1 * np.sign(w)", "dw = X.T @ dr + l1 * np.sign(w) + l2 * w",
     "missing_reg_term"),
    ("elastic_net_wrong_share",
     "n = 8\nX: (n, 4)\ny: (n,)\nw: (4,)\nl1 = 0.3\nl2 = 0.7\nr = X @ w - y\n"
     "J = np.sum(r**2) / (2 * n) + l1 * np.sum(np.abs(w)) + l2 / 2 * np.sum(w**2)",
     "dr = r / n", "dw = X.T @ dr + l1 * w + l2 * w", "dw = X.T @ dr + l1 * np.sign(w) + l2 * w",
     "reg_term_wrong"),
    ("matrix_factorisation_bias",
     "U: (4, 2)\nV: (5, 2)\nR: (4, 5)\nbu: (4, 1)\nbv: (1, 5)\nlam = 0.2\nE = U @ V.T + bu + bv - R\n"
     "J = np.sum(E**2) / 2 + lam / 2 * (np.sum(U**2) + np.sum(V**2))",
     "dE = E\ndU = dE @ V + lam * U", "dbv = np.sum(dE, axis=1, keepdims=True)",
     "dbv = np.sum(dE, axis=0, keepdims=True)", "wrong_sum_axis"),
    ("matrix_factorisation_penalty_on_bias",
     "U: (4, 2)\nV: (5, 2)\nR: (4, 5)\nbu: (4, 1)\nlam = 0.2\nE = U @ V.T + bu - R\n"
     "J = np.sum(E**2) / 2 + lam / 2 * (np.sum(U**2) + np.sum(V**2))",
     "dE = E", "dbu = np.sum(dE, axis=1, keepdims=True) + lam * bu",
     "dbu = np.sum(dE, axis=1, keepdims=True)", "reg_on_bias"),
    ("highway_gate",
     "m = 4\nx: (3, m)\nt: (3, m)\nWt: (3, 3)\nWh: (3, 3)\ng = sigmoid(Wt @ x)\nu = Wh @ x\n"
     "h = np.tanh(u)\nyh = g * h + (1 - g) * x\nJ = np.sum((yh - t)**2) / 2",
     "dyh = yh - t", "dg = dyh * h", "dg = dyh * (h - x)",
     "missing_fan_out_term missing_input_factor other"),
    ("highway_input",
     "m = 4\nx: (3, m)\nt: (3, m)\nWt: (3, 3)\nWh: (3, 3)\nv = Wt @ x\ng = sigmoid(v)\nu = Wh @ x\n"
     "h = np.tanh(u)\nyh = g * h + (1 - g) * x\nJ = np.sum((yh - t)**2) / 2",
     "dyh = yh - t\ndu = dyh * g * (1 - h**2)\ndv = dyh * (h - x) * g * (1 - g)",
     "dx = Wh.T @ du + Wt.T @ dv", "dx = Wh.T @ du + Wt.T @ dv + dyh * (1 - g)",
     "missing_fan_out_term"),
    ("gru_candidate",
     "h: (4, 1)\nx: (3, 1)\nU: (4, 4)\nW: (4, 3)\nt: (4, 1)\nr = sigmoid(W @ x)\nc = W @ x + U @ (r * h)\n"
     "k = np.tanh(c)\nJ = np.sum((k - t)**2) / 2",
     "dk = k - t\ndc = dk * (1 - k**2)", "dU = dc @ h.T", "dU = dc @ (r * h).T",
     "missing_input_factor"),
    ("lstm_cell_state",
     "f: (4, 3)\nc0: (4, 3)\ni: (4, 3)\ng: (4, 3)\no: (4, 3)\nt: (4, 3)\nc1 = f * c0 + i * g\n"
     "h1 = o * np.tanh(c1)\nJ = np.sum((h1 - t)**2) / 2",
     "dh1 = h1 - t", "dc1 = dh1 * (1 - np.tanh(c1)**2)", "dc1 = dh1 * o * (1 - np.tanh(c1)**2)",
     "missing_weight_factor missing_input_factor"),
    ("lstm_output_gate",
     "f: (4, 3)\nc0: (4, 3)\ni: (4, 3)\ng: (4, 3)\no: (4, 3)\nt: (4, 3)\nc1 = f * c0 + i * g\n"
     "h1 = o * np.tanh(c1)\nJ = np.sum((h1 - t)**2) / 2",
     "dh1 = h1 - t", "do = dh1 * c1", "do = dh1 * np.tanh(c1)",
     "wrong_layer_variable missing_activation_derivative other"),
    ("rms_norm",
     "n = 4\nX: (6, n)\nT: (6, n)\ng: (n,)\ns = np.sqrt(np.mean(X**2, axis=1, keepdims=True))\n"
     "H = X / s\nO = H * g\nJ = np.sum((O - T)**2) / 2",
     "dO = O - T", "dH = dO", "dH = dO * g", "batchnorm_missing_term missing_input_factor missing_weight_factor"),
    ("rms_norm_input",
     "n = 4\nX: (6, n)\nT: (6, n)\ns = np.sqrt(np.mean(X**2, axis=1, keepdims=True))\n"
     "H = X / s\nJ = np.sum((H - T)**2) / 2",
     "dH = H - T", "dX = dH / s", "dX = (dH - H * np.mean(dH * H, axis=1, keepdims=True)) / s",
     "batchnorm_missing_term missing_fan_out_term"),
    ("layer_norm_gain",
     "n = 4\nX: (6, n)\nT: (6, n)\ng: (n,)\nb: (n,)\nmu = np.mean(X, axis=1, keepdims=True)\n"
     "s = np.std(X, axis=1, keepdims=True)\nH = (X - mu) / s\nO = g * H + b\nJ = np.sum((O - T)**2) / 2",
     "dO = O - T", "dg = np.sum(dO, axis=0)", "dg = np.sum(dO * H, axis=0)", "missing_input_factor"),
    ("temperature_softmax",
     "m = 5\nZ: (3, m)\nY: (3, m) = onehot(axis=0)\ntau = 2.5\nE = np.exp(Z / tau)\n"
     "P = E / np.sum(E, axis=0, keepdims=True)\nJ = -np.sum(Y * np.log(P)) / m",
     "", "dZ = (P - Y) / m", "dZ = (P - Y) / (m * tau)", "constant_factor"),
    ("label_smoothing",
     "m = 5\nZ: (3, m)\nY: (3, m) = onehot(axis=0)\neps = 0.1\nS = (1 - eps) * Y + eps / 3\n"
     "E = np.exp(Z)\nP = E / np.sum(E, axis=0, keepdims=True)\nJ = -np.sum(S * np.log(P)) / m",
     "", "dZ = (P - Y) / m", "dZ = (P - S) / m", "wrong_layer_variable"),
    ("softmax_square_loss",
     "m = 5\nZ: (m, 3)\nY: (m, 3)\nE = np.exp(Z)\nP = E / np.sum(E, axis=1, keepdims=True)\n"
     "J = np.sum((P - Y)**2) / (2 * m)",
     "dP = (P - Y) / m", "dZ = dP * P * (1 - P)",
     "dZ = P * (dP - np.sum(dP * P, axis=1, keepdims=True))", "softmax_jacobian_diagonal_only"),
    ("prelu",
     "m = 6\nx: (3, m)\nt: (2, m)\nW: (2, 3)\nc: (2, 1)\nz = W @ x\na = np.where(z > 0, z, c * z)\n"
     "J = np.sum((a - t)**2) / (2 * m)",
     "da = (a - t) / m", "dz = da * np.where(z > 0, 1, z)", "dz = da * np.where(z > 0, 1, c)",
     "wrong_derivative_formula wrong_layer_variable"),
    ("elu",
     "m = 6\nx: (3, m)\nt: (2, m)\nW: (2, 3)\nz = W @ x\na = np.where(z > 0, z, np.exp(z) - 1)\n"
     "J = np.sum((a - t)**2) / (2 * m)",
     "da = (a - t) / m", "dz = da * np.where(z > 0, 1, a)", "dz = da * np.where(z > 0, 1, a + 1)",
     "wrong_derivative_formula g_instead_of_gprime"),
    ("gelu_sigmoid",
     "m = 6\nx: (3, m)\nt: (2, m)\nW: (2, 3)\nz = W @ x\ns = sigmoid(1.702 * z)\na = z * s\n"
     "J = np.sum((a - t)**2) / (2 * m)",
     "da = (a - t) / m", "dz = da * (s + z * s * (1 - s))", "dz = da * (s + 1.702 * z * s * (1 - s))",
     "constant_factor"),
    ("three_layers_wrong_layer",
     "m = 4\nX: (3, m)\nT: (2, m)\nW1: (5, 3)\nW2: (4, 5)\nW3: (2, 4)\nZ1 = W1 @ X\nA1 = np.tanh(Z1)\n"
     "Z2 = W2 @ A1\nA2 = sigmoid(Z2)\nZ3 = W3 @ A2\nJ = np.sum((Z3 - T)**2) / (2 * m)",
     "dZ3 = (Z3 - T) / m\ndZ2 = W3.T @ dZ3 * A2 * (1 - A2)", "dZ1 = W2.T @ dZ2 * (1 - A1)**2",
     "dZ1 = W2.T @ dZ2 * (1 - A1**2)", "operator_precedence wrong_derivative_formula"),
    ("bias_mean",
     "m = 6\nX: (3, m)\nT: (2, m)\nW1: (4, 3)\nb1: (4, 1)\nW2: (2, 4)\nZ1 = W1 @ X + b1\n"
     "A1 = sigmoid(Z1)\nZ2 = W2 @ A1\nJ = np.mean(np.sum((Z2 - T)**2, axis=0)) / 2",
     "dZ2 = (Z2 - T) / m\ndZ1 = W2.T @ dZ2 * A1 * (1 - A1)", "db1 = dZ1.mean(axis=1, keepdims=True)",
     "db1 = dZ1.sum(axis=1, keepdims=True)", "mean_instead_of_sum"),
    ("attention_scores",
     "n = 4\nQ: (n, 3)\nK: (n, 3)\nV: (n, 2)\nT: (n, 2)\nS = Q @ K.T / np.sqrt(3)\nE = np.exp(S)\n"
     "A = E / np.sum(E, axis=1, keepdims=True)\nO = A @ V\nJ = np.sum((O - T)**2) / 2",
     "dO = O - T\ndA = dO @ V.T\ndS = A * (dA - np.sum(dA * A, axis=1, keepdims=True))",
     "dQ = dS @ K", "dQ = dS @ K / np.sqrt(3)", "constant_factor"),
    ("attention_keys",
     "n = 4\nQ: (n, 3)\nK: (n, 3)\nV: (n, 2)\nT: (n, 2)\nS = Q @ K.T / np.sqrt(3)\nE = np.exp(S)\n"
     "A = E / np.sum(E, axis=1, keepdims=True)\nO = A @ V\nJ = np.sum((O - T)**2) / 2",
     "dO = O - T\ndA = dO @ V.T\ndS = A * (dA - np.sum(dA * A, axis=1, keepdims=True))",
     "dK = dS @ Q / np.sqrt(3)", "dK = dS.T @ Q / np.sqrt(3)", "missing_transpose"),
    ("attention_values",
     "n = 4\nQ: (n, 3)\nK: (n, 3)\nV: (n, 2)\nT: (n, 2)\nS = Q @ K.T\nE = np.exp(S)\n"
     "A = E / np.sum(E, axis=1, keepdims=True)\nO = A @ V\nJ = np.sum((O - T)**2) / 2",
     "dO = O - T", "dV = S.T @ dO", "dV = A.T @ dO", "wrong_layer_variable"),
    ("poisson_regression",
     "n = 7\nX: (n, 3)\ny: (n,) = integers(0, 5)\nw: (3,)\nu = X @ w\nlam = np.exp(u)\n"
     "J = np.mean(lam - y * u)",
     "", "du = (u - y) / n", "du = (lam - y) / n",
     "wrong_layer_variable missing_activation_derivative"),
    ("vae_kl_mean",
     "m = 5\nmu: (m, 2)\nlv: (m, 2)\nJ = 0.5 * np.sum(np.exp(lv) + mu**2 - 1 - lv) / m",
     "dmu = mu / m", "dlv = 0.5 * (np.exp(lv) + 1) / m", "dlv = 0.5 * (np.exp(lv) - 1) / m", "sign"),
    ("reparametrised",
     "m = 5\nmu: (m, 2)\nlv: (m, 2)\neps: (m, 2)\nT: (m, 2)\nsd = np.exp(0.5 * lv)\nz = mu + sd * eps\n"
     "J = np.sum((z - T)**2) / 2",
     "dz = z - T", "dlv = dz * eps * sd", "dlv = dz * eps * sd * 0.5", "constant_factor"),
    ("cosine_row",
     "n = 4\nu: (n,)\nv: (n,)\np = np.sqrt(np.sum(u**2))\nq = np.sqrt(np.sum(v**2))\nd = np.sum(u * v)\n"
     "c = d / (p * q)\nJ = (1 - c)**2",
     "dc = 2 * (c - 1)\ndd = dc / (p * q)", "dp = -dc * d / (p * q)", "dp = -dc * d / (p**2 * q)",
     "missing_input_factor wrong_derivative_formula missing_activation_derivative "
     "missing_weight_factor constant_factor missing_upstream_factor other"),
    ("skipgram_negative",
     "v: (4,)\nu: (4,)\nN: (3, 4)\np = sigmoid(np.sum(u * v))\nk = sigmoid(-(N @ v))\n"
     "J = -np.log(p) - np.sum(np.log(k))",
     "", "dv = (p - 1) * u", "dv = (p - 1) * u + N.T @ (1 - k)", "missing_fan_out_term"),
    ("triplet",
     "n = 5\na: (n, 3)\np: (n, 3)\nq: (n, 3)\nl = np.sum((a - p)**2, axis=1) - np.sum((a - q)**2, axis=1) + 0.5\n"
     "J = np.sum(np.maximum(0, l))",
     "dl = (l > 0) * 1.0", "da = dl[:, None] * (q - p)", "da = dl[:, None] * 2 * (q - p)",
     "constant_factor"),
    ("residual_block",
     "m = 4\nX: (3, m)\nT: (3, m)\nW1: (5, 3)\nW2: (3, 5)\nZ = W1 @ X\nH = np.maximum(0, Z)\n"
     "O = X + W2 @ H\nJ = np.sum((O - T)**2) / 2",
     "dO = O - T\ndZ = W2.T @ dO * (Z > 0)", "dX = W1.T @ dZ", "dX = W1.T @ dZ + dO",
     "missing_fan_out_term"),
    ("inverted_dropout_rows",
     "keep = 0.8\nX: (6, 3)\nT: (6, 2)\nW1: (3, 4)\nW2: (4, 2)\nM: (6, 4) = binary\nZ = X @ W1\n"
     "A = np.tanh(Z)\nD = A * M / keep\nO = D @ W2\nJ = np.sum((O - T)**2) / 2",
     "dO = O - T\ndD = dO @ W2.T", "dA = dD / keep", "dA = dD * M / keep", "dropout_mask_missing"),
    ("inverted_dropout_scale",
     "keep = 0.8\nX: (6, 3)\nT: (6, 2)\nW1: (3, 4)\nW2: (4, 2)\nM: (6, 4) = binary\nZ = X @ W1\n"
     "A = np.tanh(Z)\nD = A * M / keep\nO = D @ W2\nJ = np.sum((O - T)**2) / 2",
     "dO = O - T\ndD = dO @ W2.T", "dA = dD * M", "dA = dD * M / keep", "dropout_scale"),
    ("embedding_sum",
     "E: (6, 3)\ni = [0, 2, 2, 5]\nw: (3,)\nh = E[i]\ns = h @ w\nJ = np.sum(s**2) / 2",
     "ds = s\ndh = np.outer(ds, w)\ndE = np.zeros((6, 3))", "dE[i] += dh", "np.add.at(dE, i, dh)",
     "lost_accumulation"),
    ("conv_two_taps",
     "x: (6,)\nw: (2,)\nt: (5,)\nz = x[:5] * w[0] + x[1:] * w[1]\nJ = np.sum((z - t)**2) / 2",
     "dz = z - t", "dw = np.array([np.sum(dz * x[1:]), np.sum(dz * x[:5])])",
     "dw = np.array([np.sum(dz * x[:5]), np.sum(dz * x[1:])])", "other wrong_layer_variable"),
    ("huber_by_where",
     "n = 7\nX: (n, 3)\ny: (n,)\nw: (3,)\nr = X @ w - y\n"
     "J = np.sum(np.where(np.abs(r) <= 1, r**2 / 2, np.abs(r) - 0.5)) / n",
     "", "dr = np.where(np.abs(r) <= 1, r, 1) / n", "dr = np.where(np.abs(r) <= 1, r, np.sign(r)) / n",
     "wrong_derivative_formula missing_input_factor missing_upstream_factor other"),
    ("momentum_updated",
     "m = 5\nX: (3, m)\nT: (2, m)\nW1: (4, 3)\nW2: (2, 4)\nZ1 = W1 @ X\nA1 = np.tanh(Z1)\nZ2 = W2 @ A1\n"
     "J = np.sum((Z2 - T)**2) / (2 * m)",
     "dZ2 = (Z2 - T) / m\ndW2 = dZ2 @ A1.T\nW2 = W2 - 0.1 * dW2",
     "dZ1 = W2.T @ dZ2 * (1 - A1**2)", "dZ1 = W2.T @ dZ2 * (1 - A1**2)", "updated_weights"),
    ("bilinear_form",
     "m = 5\nx: (m, 3)\nv: (m, 4)\nW: (3, 4)\nt: (m, 1)\ns = np.sum((x @ W) * v, axis=1, keepdims=True)\n"
     "p = sigmoid(s)\nJ = -np.sum(t * np.log(p) + (1 - t) * np.log(1 - p)) / m",
     "ds = (p - t) / m", "dx = ds * (v @ W)", "dx = ds * (v @ W.T)", "missing_transpose"),
)]  # fmt: skip


def judged(sheet: Fresh) -> tuple[bool, bool, str]:
    """Is the mistake named, is a correction near, and what was said."""
    report = check_sheet(Sheet(sheet.text, sheet.name))
    row = report.rows[-1]
    others = [r.name for r in report.rows[:-1] if r.verdict != "correct"]
    found = row.diagnosis
    if row.verdict != "wrong" or others or found is None:
        return False, False, f"{row.verdict}, others not correct: {others}"
    wrong, right = (tokens(line.split("=", 1)[1]) for line in (sheet.wrong, _plain(sheet.right)))
    near = found.correction is not None and distance(
        wrong, tokens(_plain(found.correction).split("=", 1)[1])
    ) <= distance(wrong, right) + 2  # fmt: skip
    text = f"{found.mistake}: {found.explanation} -> {found.correction}"
    return found.mistake in sheet.classes.split(), near, text


def _plain(line: str) -> str:
    return line if "=" in line else f"= {line}"


def main() -> None:
    """Print the figures."""
    from said import of_text

    counts: Counter[str] = Counter()
    for sheet in FRESH:
        counts["sheets"] += 1
        named, near, text = judged(sheet)
        counts["named"] += named
        counts["corrected"] += near
        said, problems = of_text(sheet.text, sheet.name)
        counts["claims"] += said["claims"]
        counts["false"] += len(problems)
        if "--show" in sys.argv or problems:
            print("  " if named else "NAME", "  " if near else "FAR", sheet.name, "|", sheet.wrong)
            print("        ", text, *problems)
    print(dict(counts))


if __name__ == "__main__":
    main()
