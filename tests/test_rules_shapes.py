"""Random sheets of indices, reshapes and batched products: no derived line may be wrong.

``RULES_SHAPES=5000 pytest tests/test_rules_shapes.py`` runs as many sheets as one likes.
"""

import os

import numpy as np
import pytest
import shapes
import test_programs

import tinygrad_edu as tg
from tinygrad_edu.sheets.sheet import Sheet

SHEETS = int(os.environ.get("RULES_SHAPES", "40"))


def numbers_of(sheet, seed):
    """Other numbers, labels and places for all that is given; and the gradients there."""
    numbers = sheet.draw(seed)
    graph = sheet.graph(numbers)
    graph.cost.backward()
    values = {name: value for (name, _), value in graph.values.items()}
    truth = {
        name: np.zeros(v.shape) if v.grad is None else np.asarray(v.grad)
        for name, v in values.items() if getattr(v, "requires_grad", False)
    }  # fmt: skip
    plain = {
        name: getattr(v, "data", v) if hasattr(v, "parents") else v for name, v in values.items()
    }
    return plain, truth


def assert_right(derived, truth, found, lengths):
    for rule in derived:
        if rule.of not in truth or rule.scale not in ("", *lengths):
            continue
        want = truth[rule.of] * (lengths[rule.scale] if rule.scale else 1)
        got = np.asarray(found[rule.name])
        assert got.shape == want.shape, rule.numpy
        scale = max(float(np.max(np.abs(want), initial=0)), 1e-3)
        assert np.all(np.abs(got - want) <= 1e-7 * scale), rule.numpy


def check(seed):
    here = Sheet(shapes.sheet(seed, shapes.LENGTHS[0]))
    if not here.cost.requires_grad:
        return
    derived = here.derive(convention="lecture" if seed % 2 else "calculus", every=seed % 3 == 1)
    scope = {}
    exec(derived.to_numpy(), scope)
    code = scope["gradients"].__code__
    arguments = code.co_varnames[: code.co_argcount]
    for lengths in shapes.LENGTHS:
        values, truth = numbers_of(Sheet(shapes.sheet(seed, lengths)), 1)
        _, found = scope["gradients"](
            **{name: values[name] for name in arguments if name in values}
        )
        assert_right(derived, truth, found, lengths)
    return derived


@pytest.mark.parametrize("start", range(0, SHEETS, 10))
@pytest.mark.one_in(2)
def test_no_line_of_a_random_sheet_of_shapes_is_wrong(start):
    for seed in range(start, min(start + 10, SHEETS)):
        check(seed)


# --- kinds of lines -------------------------------------------------------------------------------

SIZES = "m = 7\nn = 3\nk = 4\nd = 2\nv = 6\n"
LABELS = "X: (m, n)\nW: (n, k)\ny: (m,) = integers(0, k)\nZ = X @ W\nP = softmax(Z, axis=1)\n"
HALF = "np.sum((Z - T)**2) / 2"


def derived(text, **options):
    return {r.of: r.numpy.split(" = ", 1)[1] for r in Sheet(SIZES + text).derive(**options)}


def test_picking_one_entry_a_row_of_a_softmax_leaves_p_minus_the_one_hot_labels():
    cost = "J = -np.sum(np.log(P[np.arange(m), y])) / m"
    for rows in ("np.arange(m)", "range(m)", "range(len(y))", "np.arange(0, y.shape[0])"):
        assert derived(LABELS + cost.replace("np.arange(m)", rows))["Z"] == "P - np.eye(k)[y]"
    named = "p = P[np.arange(m), y]\nJ = -np.sum(np.log(p)) / m"
    assert derived(LABELS + named)["Z"] == "P - np.eye(k)[y]"
    assert derived(LABELS + "J = -np.sum(np.eye(k)[y] * np.log(P)) / m")["Z"] == "P - np.eye(k)[y]"


def test_what_labels_pick_is_written_as_it_was_picked():
    weighted = "c: (k,)\nJ = -np.sum(c[y] * np.log(P[range(m), y])) / m"
    found = derived(LABELS + weighted, wrt="P,c", convention="calculus")
    assert found["c"].endswith("-np.log(P[np.arange(m), y]) / m)")
    places = "np.zeros_like(P); np.add.at(dP, (range(m), y)"  # nothing is 0 / 0 beside them
    assert found["P"] == f"{places}, -1 / m * c[y] / P[range(m), y])"


def test_rows_of_a_table_are_added_up_in_two_statements():
    text = "E: (v, d)\ni: (m,) = integers(0, v)\nT: (m, d)\nZ = E[i]\nJ = " + HALF
    assert derived(text)["E"] == "np.zeros_like(E); np.add.at(dE, i, dZ)"
    one = "E: (v, d)\ni: () = integers(0, v)\nT: (d,)\nZ = E[i]\nJ = " + HALF
    assert derived(one)["E"] == "np.zeros_like(E); dE[i] = dZ"


def test_a_gradient_that_is_one_number_throughout_has_the_shape_of_its_quantity():
    text = "b: (k,)\nX: (m, n)\nJ = np.sum(b) / m + np.sum(X**2) / m"
    assert derived(text)["b"] == "np.full(b.shape, 1 / m)"
    assert derived(text.replace("(k,)", "(1,)"))["b"] == "np.full(b.shape, 1 / m)"
    assert derived(text.replace("np.sum(b) / m", "np.sum(b)"))["b"] == "np.ones(b.shape)"
    assert derived(text.replace("np.sum(b) / m", "0 * np.sum(b)"))["b"] == "np.zeros(b.shape)"


def test_a_line_in_another_shape_is_told_by_functions_of_numpys_in_every_notation():
    line = tg.derive(np.mean(tg.Value(np.ones(5), "x"))).rules[0]
    assert line.text == "dx = np.full(x.shape, 1 / x.shape[0])"
    assert r"\operatorname{np.full}" in line.latex
    assert "np.full" in line.mathml


def test_what_is_added_at_an_index_of_another_gradient_is_added_to_a_copy():
    text = "X: (3, d)\nB: (3, d)\nu: (d,)\nA = X + B\nJ = np.sum(np.tanh(A)**2) + X[0] @ u"
    assert derived(text, wrt="A,X")["X"] == "dA.copy(); dX[0] += u"


def test_what_is_put_at_an_index_is_repeated_without_ones():
    text = "E: (v, d)\ni: (m, n) = integers(0, v)\nT: (m, d)\nH = np.mean(E[i], axis=1)\nJ = "
    cost = "np.sum((H - T)**2) / 2"
    added = "np.zeros_like(E); np.add.at(dE, i, (H - T)[:, None] / n)"
    assert derived(text + cost)["E"] == added
    assert derived("E: (v, d)\nH = E[1:3]\nJ = np.sum(H)")["E"] == "np.zeros_like(E); dE[1:3] = 1"


def test_a_product_with_a_vector_of_equal_numbers_is_a_sum_of_columns():
    text = "X: (m, n)\nw: (n,)\nJ = np.sum(X @ w) / m"
    assert derived(text)["w"] == "np.sum(X, axis=0) / m"


def test_the_gradient_of_a_table_of_whole_numbers_holds_fractions():
    table, labels = np.arange(12).reshape(4, 3), np.array([3, 0, 3])
    E = tg.Value(table, "E")
    derived = tg.derive(tg.sum(np.exp(E[labels] / 10)), names={"i": labels})
    scope = {}
    exec(derived.to_numpy(), scope)
    E.zero_grad()
    tg.sum(np.exp(E[labels] / 10)).backward()
    _, found = scope["gradients"](E=table, i=labels)
    np.testing.assert_allclose(found["dE"], E.grad)


def test_a_long_array_without_a_name_is_told_beside_the_lines_and_none_is_in_them():
    E, places = tg.Value(np.ones((10, 4)), "E"), np.arange(40) * 3 % 10
    looked_up = tg.derive(np.sum(E[places] ** 2))
    assert looked_up.text.startswith("# i1: an array of shape (40,)\n")
    assert "array([" not in looked_up["dE"].text + looked_up["dE"].latex
    assert "np.array([0, 3, 6, 9, 2, " in looked_up["dE"].numpy
    Z = tg.Value(np.ones((40, 2)), "Z")
    of_classes = tg.derive(np.mean(tg.cross_entropy(Z, np.arange(40) % 2, axis=1)))
    assert of_classes.text.startswith("# c1: an array of shape (40, 2), one-hot along axis 1\n")
    w = tg.Value(np.ones(2), "w")
    assert "# c1 = np.array([3.0, 5.0])" in tg.derive(np.sum(np.exp(w) * np.array([3.0, 5.0]))).text


def test_labels_are_inputs_of_the_function_by_their_names():
    source = (
        Sheet(SIZES + LABELS + "J = -np.sum(np.log(P[np.arange(m), y])) / m").derive().to_numpy()
    )
    assert "def gradients(X, W, y):" in source
    assert "array(" not in source


def test_an_array_of_places_is_computed_where_its_formula_tells_how():
    text = "x: (v, d)\nT: (v - 1, d)\nat = np.arange(v - 1)[:, None] + np.arange(2)\n"
    text += "Z = np.sum(x[at], axis=1)\nJ = " + HALF
    assert (
        "    at = np.arange(v - 1)[:, None] + np.arange(2)\n"
        in Sheet(SIZES + text).derive().to_numpy()
    )


def test_slices_that_cover_an_axis_are_joined():
    text = "A: (m, 2 * k)\nT: (m, k)\na = np.tanh(A[:, :k])\nZ = a * A[:, k:]\nJ = " + HALF
    assert derived(text)["A"].startswith("np.concatenate([")


@pytest.mark.parametrize("text, of, line", [
    ("u: (n,)\nX: (m, n)\nT: (m,)\nZ = X @ u\n", "u", "X.T @ dZ"),
    ("u: (n,)\nX: (m, n)\nT: (m,)\nZ = np.sum(X * u, axis=1)\n", "u", "X.T @ dZ"),
    ("u: (n,)\nq: (k,)\nT: (n, k)\nZ = np.outer(u, q)\n", "u", "dZ @ q"),
    ("x: (n,)\nW: (k, n)\nT: (k,)\nZ = W @ x\n", "W", "np.outer(dZ, x)"),
    ("b: (k,)\nC: (k, m)\nT: (k, m)\nZ = C + b[:, None]\n", "b", "np.sum(dZ, axis=1)"),
    ("b: (k,)\nC: (m, k)\nT: (m, k)\nZ = C + b[None, :]\n", "b", "np.sum(dZ, axis=0)"),
    ("Q: (m, n, d)\nB: (m, k, d)\nT: (m, n, k)\nZ = Q @ B.transpose(0, 2, 1)\n", "B",
     "dZ.transpose(0, 2, 1) @ Q"),
    ("Q: (m, n, d)\nB: (m, k, d)\nT: (m, n, k)\nZ = Q @ np.swapaxes(B, 1, 2)\n", "Q", "dZ @ B"),
])  # fmt: skip
def test_products_of_any_number_of_axes_are_written_as_products(text, of, line):
    assert derived(f"{text}J = {HALF}", wrt=f"Z,{of}")[of] == line


@pytest.mark.parametrize(
    ("axis", "shape", "line"),
    [
        (2, "(m, 3, 2)", "np.repeat(dP, 2, axis=1) / 2"),
        ((2, 4), "(m, p, a, 3, b)", "np.repeat(np.repeat(dP, a, axis=1), b, axis=2) / (a * b)"),
    ],
)
def test_what_was_averaged_over_a_block_is_repeated(axis, shape, line):
    lengths = "m = 5\np = 2\na = 4\nb = 2\n"
    columns = "6" if axis == 2 else "p * a, 3 * b"
    rest = "(m, 3)" if axis == 2 else "(m, p, 3)"
    text = f"{lengths}X: (m, {columns})\nT: {rest}\nP = np.mean(X.reshape{shape}, axis={axis})\n"
    found = Sheet(f"{text}J = np.sum(np.tanh(P) * T)").derive("P,X", "calculus")
    assert found["X"].numpy == f"dX = {line}"


def test_an_initial_state_is_data_in_the_lectures_scale():
    text = "h0: (d, m)\nU: (d, d)\nT: (d, m)\nZ = U @ h0\nJ = np.sum((Z - T)**2) / (2 * m)"
    assert derived(text, wrt="Z,h0")["h0"] == "U.T @ dZ"


@pytest.mark.parametrize(
    "insert",
    [
        lambda x: x[::-1][None], lambda x: x[::-1][:, None], lambda x: x[1:][None, :, None],
        lambda x: x[None][:, [0, 0, 2]], lambda x: x.reshape(3, 1)[[True, False, True]],
    ],
)  # fmt: skip
def test_an_axis_put_in_is_taken_off_before_something_is_added_in_at_an_index(insert):
    data = np.array([0.3, -0.7, 1.1])
    x = tg.Value(data, "x")
    cost = tg.sum(insert(x) ** 3)
    cost.backward()
    scope = {}
    exec(tg.derive(cost, convention="calculus").to_numpy(), scope)
    np.testing.assert_allclose(scope["gradients"](data)[1]["dx"], x.grad, rtol=1e-12)


def test_a_single_number_picked_as_a_whole_is_itself_in_the_lines_too():
    lines = test_programs.test_the_derived_lines_of_a_random_program_give_the_engines_gradients
    lines.raw(test_programs.random_program(52404, **lines.kind), 52404)


def test_a_mask_and_places_of_the_same_numbers_are_two_indices():
    """[True, True, False] keeps two rows, [1, 1, 0] makes three."""
    x = tg.Value(np.random.default_rng(3).normal(size=(3, 2)), "X")
    mask, places = np.array([True, True, False]), np.array([1, 1, 0])
    cost = tg.sum(tg.sin(x[mask])) + tg.sum(tg.cos(x[places]) * np.arange(6.0).reshape(3, 2))
    scope: dict[str, object] = {}
    exec(tg.derive(cost).to_numpy(), scope)
    value, gradients = scope["gradients"](X=x.data)
    cost.backward()
    assert value == pytest.approx(cost.data, abs=1e-12)
    np.testing.assert_allclose(gradients["dX"], x.grad, atol=1e-12)


def test_an_index_of_nothing_is_everything():
    x, w = tg.Value([1.0, 2.0], "x"), tg.Value([3.0, 5.0], "w")
    cost = x @ w[()]
    scope: dict[str, object] = {}
    exec(tg.derive(cost, wrt="x").to_numpy(), scope)
    assert scope["gradients"](x=x.data, w=w.data)[1]["dx"].tolist() == [3.0, 5.0]


SOFTMAX = "np.exp(M - np.logaddexp.reduce(M, axis={}, keepdims=True))"


@pytest.mark.parametrize(
    ("cost", "lines"),
    [
        ("np.trace(A @ B)", {"A": "B.T", "B": "A.T"}),
        ("np.trace(A.T @ A)", {"A": "2 * A"}),
        ("np.sum(np.tanh(np.diag(v) @ A))", {"v": "np.diag(dt1 @ A.T)"}),
        ("np.sum(np.log(np.diag(M)))", {"M": "np.diag(1 / np.diag(M))"}),
        ("np.trace(M)", {"M": "np.eye(n)"}),
        ("-np.sum(np.log(np.diag(softmax(M, axis=0))))", {"M": f"{SOFTMAX.format(0)} - np.eye(n)"}),
        ("-np.sum(np.log(np.diag(softmax(M, axis=1))))", {"M": f"{SOFTMAX.format(1)} - np.eye(n)"}),
    ],
)
def test_a_diagonal_is_taken_and_put_back_without_indices(cost, lines):
    given = {"A": "(n, k)", "B": "(k, n)", "M": "(n, n) = positive", "v": "(n,)"}
    used = "".join(f"{name}: {shape}\n" for name, shape in given.items() if name in cost)
    for n in (2, 4):
        found = Sheet(f"n = {n}\nk = 3\n{used}J = {cost}").derive(None, "calculus")
        assert {name: found[name].numpy for name in lines} == {
            name: f"d{name} = {line}" for name, line in lines.items()
        }
