"""Compiled programs: the cost and gradients of the graph they were made from, on any numbers."""

import gc
import itertools
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.core.ops.reductions import axes_of
from tinygrad_edu.core.ops.table import TABLE

TOLERANCE = 1e-12


def leaves_of(cost):
    """The leaves of a graph by name."""
    seen, stack = {cost}, [cost]
    while stack:
        for parent in stack.pop().parents:
            if parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return {v.name: v for v in seen if v.op is None and v.name is not None}


def eager(build, numbers, constants=()):
    """Cost and gradients of the graph itself, recorded anew on these numbers."""
    values = {k: tg.Value(x, k, requires_grad=k not in constants) for k, x in numbers.items()}
    cost = build(**values)
    cost.backward()
    grads = {
        k: np.zeros(v.shape) if v.grad is None else v.grad
        for k, v in values.items()
        if v.requires_grad and k in leaves_of(cost)
    }
    return cost, grads


def assert_same(got, expected):
    """Equal on the scale of the largest entry; nan and infinity in the same places."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    finite = np.abs(expected[np.isfinite(expected)])
    tolerance = TOLERANCE if expected.dtype == np.float64 else 1e-5
    scale = max(finite.max(initial=0.0), 1e-300)
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * scale)


def assert_program_is_right(build, recorded, *others, constants=()):
    """Compile what `build` records on the first numbers; compare there and on all others."""
    cost, _ = eager(build, recorded, constants)
    program = tg.compile(cost)
    for numbers in (recorded, *others):
        expected, grads = eager(build, numbers, constants)
        value, gradients = program(**{k: x for k, x in numbers.items() if k in leaves_of(cost)})
        assert_same(value, expected.data)
        assert gradients.keys() == grads.keys()
        for name in grads:
            assert_same(gradients[name], grads[name])
    return program


def network(seed=0, sizes=(3, 4, 2), m=7):
    """A two-layer net's numbers, sizes pairwise different."""
    r = np.random.default_rng(seed)
    n0, n1, n2 = sizes
    return {
        "W1": r.normal(size=(n1, n0)), "b1": r.normal(size=(n1, 1)), "W2": r.normal(size=(n2, n1)),
        "b2": r.normal(size=(n2, 1)), "X": r.normal(size=(n0, m)),
        "Y": np.eye(n2)[:, r.integers(n2, size=m)],
    }  # fmt: skip


def layers(W1, b1, W2, b2, X, activation=tg.tanh):
    return W2 @ activation(W1 @ X + b1) + b2


@pytest.mark.parametrize("activation", [tg.tanh, tg.sigmoid, tg.relu, tg.leaky_relu, tg.softplus])
@pytest.mark.parametrize("loss", ["logits", "probabilities", "softmax", "squares", "written out"])
def test_a_network_compiles_to_the_same_cost_and_gradients(activation, loss):
    def build(Y, **net):
        Z2 = layers(**net, activation=activation)
        if loss == "logits":
            return tg.mean(tg.binary_cross_entropy(Z2, Y, from_logits=True))
        if loss == "probabilities":
            return tg.mean(tg.binary_cross_entropy(tg.sigmoid(Z2), Y))
        if loss == "softmax":
            return tg.mean(tg.cross_entropy(Z2, Y, axis=0))
        if loss == "squares":
            return tg.mean(tg.mean_squared_error(Z2, Y))
        A2 = 1 / (1 + np.exp(-Z2))
        return -np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)) / Y.shape[1]

    program = assert_program_is_right(
        build, network(0), network(1), network(2), constants=("X", "Y")
    )
    assert set(program()[1]) == {"W1", "b1", "W2", "b2"}


UNARY = [
    tg.exp, tg.expm1, tg.tanh, tg.sigmoid, tg.relu, tg.softplus, tg.leaky_relu, tg.sin, tg.cos,
    tg.arctan, tg.absolute, tg.sinh, tg.cosh, tg.tan,
    lambda x: tg.softmax(x, axis=(0, 1)), lambda x: tg.log_softmax(x, axis=(1, 0)),
    lambda x: tg.softmax(x, axis=-1), lambda x: tg.log_softmax(x, axis=0),
    lambda x: tg.log(1 + x * x), lambda x: tg.log1p(x * x), lambda x: tg.log2(x * x + 1),
    lambda x: tg.log10(x * x + 2), lambda x: tg.sqrt(x * x + 1), lambda x: x**3, lambda x: x**2,
    lambda x: (x * x + 1) ** -0.5, lambda x: (x * x + 1) ** x, lambda x: tg.clip(x, -0.5, 1.5),
    lambda x: tg.clip(x, -np.inf, 0.5), lambda x: tg.clip(x), lambda x: tg.clip(x, 0.1, np.inf),
    lambda x: tg.clip(x, np.full(x.shape, -0.5), None),
    lambda x: tg.sign(x) * x, lambda x: -x, lambda x: 2 - x, lambda x: 3 / (x * x + 1),
    lambda x: tg.relu(x, at_zero=0.5), lambda x: tg.leaky_relu(x, slope=0.2, at_zero=0),
    lambda x: tg.xlogy(x, x * x), lambda x: tg.where(tg.greater(x, 0), x, x * 0.5),
    lambda x: tg.cumsum(x, axis=0),
    lambda x: tg.maximum(x, 0.3), lambda x: tg.minimum(0.3, x), lambda x: tg.greater(x, 0) * x,
    lambda x: x[::-1], lambda x: x[1:, 1:] * 2, lambda x: x[np.array([0, 1, 0])],
    lambda x: x[:, None],
    lambda x: x[np.array([True, False] * 2)[: x.shape[0]]], lambda x: x.T, lambda x: x.reshape(-1),
    lambda x: x[0], lambda x: x[..., -1], lambda x: tg.concatenate([x, x * x], axis=0),
    lambda x: tg.stack([x, -x], axis=1), lambda x: tg.broadcast_to(x, (2, *x.shape)),
    lambda x: tg.swapaxes(tg.expand_dims(x, 0), 0, 1), lambda x: tg.moveaxis(x[None], 0, 2),
    lambda x: x[np.array([0, 0]), 1:], lambda x: x[np.array([[0, 1], [1, 1]]), np.array([0, 1])],
]  # fmt: skip
REDUCTIONS = [
    tg.sum, tg.mean, tg.prod, tg.max, tg.min, tg.var, tg.std, tg.norm, tg.logsumexp,
    lambda x, **k: tg.var(x, ddof=1, **k),
]  # fmt: skip


@pytest.mark.parametrize("f", UNARY)
def test_every_function_of_one_array_compiles(f):
    r = np.random.default_rng(3)
    shape = (4, 3)
    weight = tg.Value(r.normal(size=f(tg.Value(np.ones(shape))).shape), requires_grad=False)
    assert_program_is_right(
        lambda x: tg.sum(f(x) * weight), *({"x": r.normal(size=shape)} for _ in range(3))
    )


@pytest.mark.parametrize("f", REDUCTIONS)
@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 2)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_every_reduction_compiles(f, axis, keepdims):
    r = np.random.default_rng(4)
    shape = (2, 3, 4)
    small = f(np.ones(shape), axis=axis, keepdims=keepdims)
    weight = r.normal(size=np.shape(small))
    assert_program_is_right(
        lambda x: tg.sum(f(x, axis=axis, keepdims=keepdims) * weight),
        *({"x": r.normal(size=shape)} for _ in range(3)),
    )


@pytest.mark.parametrize(
    "shapes",
    [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)),
     ((5, 2, 3), (5, 3, 4)), ((3,), (5, 3, 4)), ((5, 2, 3), (3,)), ((4, 1), (1, 3))],
)  # fmt: skip
def test_matrix_products_of_every_rank_compile(shapes):
    r = np.random.default_rng(5)
    numbers = [{"a": r.normal(size=shapes[0]), "b": r.normal(size=shapes[1])} for _ in range(2)]
    assert_program_is_right(lambda a, b: tg.sum((a @ b) ** 2), *numbers)


SHAPES = [(), (1,), (4,), (3, 1), (1, 4), (3, 4), (2, 3, 4)]


@pytest.mark.parametrize(
    "op", ["add", "subtract", "multiply", "divide", "maximum", "power", "where"]
)
@pytest.mark.parametrize("shapes", list(itertools.product(SHAPES, repeat=2)))
@pytest.mark.one_in(5)
def test_broadcasting_compiles(op, shapes):
    r = np.random.default_rng(6)

    def build(a, b):
        z = tg.where(tg.greater(a, b), a, b) if op == "where" else getattr(tg, op)(a, b)
        return tg.sum(z * z * 0.7)

    numbers = {k: r.uniform(1, 2, size=s) for k, s in zip("ab", shapes)}
    assert_program_is_right(build, numbers)


# --- random programs ---------------------------------------------------------------------------


@st.composite
def tensor_programs(draw):
    """A recipe: leaves, then steps that each combine earlier results; and how to run it."""
    steps = draw(
        st.lists(
            st.tuples(st.integers(0, 11), *[st.integers(0, 1000)] * 3), min_size=1, max_size=14
        )
    )
    return steps, draw(st.integers(0, 2**32 - 1))


def run_recipe(steps, leaves):
    values = list(leaves)
    for kind, i, j, k in steps:
        x, y = values[i % len(values)], values[j % len(values)]
        try:
            fits = np.broadcast_shapes(x.shape, y.shape)
        except ValueError:
            fits = None
        if kind <= 3 and fits is not None:
            z = (tg.add, tg.subtract, tg.multiply, tg.maximum)[kind](x, y)
        elif kind == 4 and len(x.shape) == len(y.shape) == 2:
            y = y if y.shape[0] == x.shape[1] else y.T
            z = x @ y if y.shape[0] == x.shape[1] else x.T @ x
        elif kind == 5 and x.shape:
            z = tg.sum(x, axis=k % len(x.shape), keepdims=bool(k % 3))
        elif kind == 6 and len(x.shape) == 2:
            z = (x.T, x[:1], x[:, -1:], x.reshape(-1), x[0])[k % 5]
        elif kind == 7:
            z = tg.tanh(x) * 0.5 + (1.0, -0.5, 2)[k % 3]
        elif kind == 8:
            z = (tg.sigmoid, tg.relu, tg.sin, tg.softplus)[k % 4](x)
        elif kind == 9:
            z = -x / (2.0 + y.mean() ** 2)
        elif kind == 10 and len(x.shape) > 0:
            z = tg.softmax(x, axis=k % len(x.shape))
        else:
            z = tg.mean(x) * y
        values.append(tg.tanh(z) if z.size < 200 else tg.mean(z))
    total = values[-1]
    for v in values[-3:-1]:
        total = tg.sum(total) + tg.sum(v * 0.3)
    return tg.sum(total)


@settings(max_examples=60, deadline=None)
@given(tensor_programs())
def test_random_tensor_programs_equal_the_graph(case):
    steps, seed = case
    r = np.random.default_rng(seed)
    shapes = {"a": (), "b": (3,), "c": (2, 3), "d": (3, 4), "e": (2, 1), "f": (1, 4)}

    def build(**values):
        return run_recipe(steps, values.values())

    numbers = [{k: r.normal(size=s) for k, s in shapes.items()} for _ in range(2)]
    assert_program_is_right(build, *numbers)


PARTS = [
    lambda x, r: x[r.integers(-len(x), len(x), 5)],  # rows, some of them twice
    lambda x, r: x[:, r.integers(0, x.shape[1], (2, 3))].sum(axis=1),
    lambda x, r: x[r.integers(0, len(x), 4), r.integers(0, x.shape[1], 4)].reshape(2, 2),
    lambda x, r: x[::-1, :: int(r.integers(1, 3))],
    lambda x, r: x[int(r.integers(-len(x), len(x)))].reshape(1, -1),
    lambda x, r: x[r.random(x.shape) < 0.5].sum() * x,
    lambda x, r: x[1:] - x[:-1] if len(x) > 1 else -x,
    lambda x, r: x[..., None].sum(axis=0) + x.T,
    lambda x, r: tg.concatenate([x, x[:1] * 2.0, x]),
    lambda x, r: tg.stack([x, x * x]).reshape(-1, x.shape[1]),
    lambda x, r: x.reshape(-1, 1)[:6] * x.mean(),
]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(PARTS) - 1), st.integers(0, 99)), max_size=9),
    st.integers(0, 2**32 - 1),
)
@pytest.mark.slow
def test_random_programs_of_parts_equal_the_graph(steps, seed):
    """Slices, repeated indices, masks, pieces put together; each result is used again and again."""
    shapes = {"a": (3, 4), "b": (1, 4), "c": (3, 1), "d": (5, 2)}

    def build(**values):
        r = np.random.default_rng(seed)
        found = list(values.values())
        for kind, i in steps:
            x = PARTS[kind](found[i % len(found)], r)
            found.append(tg.tanh(x[:12, :12] + 0.1))
        total = (values["a"] * values["b"] - values["c"]).sum()
        for x in found:
            total = total + tg.sum(x * x[:, :1]) * 0.3
        return total

    r = np.random.default_rng(seed)
    numbers = [{k: r.normal(size=s) for k, s in shapes.items()} for _ in range(3)]
    assert_program_is_right(build, *numbers)


# --- numbers at the edge -------------------------------------------------------------------------


@pytest.mark.parametrize("x, y", [((2, 1), (0,)), ((0, 3), (1, 3)), ((), (0, 4))])
@pytest.mark.parametrize("f", [tg.multiply, tg.greater])
def test_arrays_without_numbers_keep_their_shape(f, x, y):
    """As constants of the program too: ones that add up a row of nothing, a gradient that is 0."""
    shapes = {"x": x, "y": y, "s": np.broadcast_shapes(x, y)}
    numbers = [{k: np.full(s, seed)[()] for k, s in shapes.items()} for seed in (1.0, 2.0)]
    assert_program_is_right(lambda x, y, s: tg.sum(s * f(x, y)), *numbers)


@pytest.mark.parametrize("shape", [6, -1, [3, 2], np.array([3, -1]), np.int64(6)])
def test_a_shape_may_be_given_in_any_way(shape):
    x = np.arange(6.0).reshape(2, 3)
    assert_program_is_right(lambda x: tg.sum(tg.reshape(x, shape) ** 3), {"x": x}, {"x": -x})


@pytest.mark.parametrize("index", [None, (), ..., (None, ..., None)])
def test_a_single_number_may_be_indexed(index):
    numbers = [{"x": 2.0, "y": np.full((1, 3), y)} for y in (4.0, 5.0)]
    assert_program_is_right(lambda x, y: tg.sum(tg.tanh(x)[index] * y), *numbers)
    assert_program_is_right(lambda x: tg.sum(x[index]) ** 2, {"x": 2.0}, {"x": 3.0})


def test_stable_forms_stay_stable():
    y = np.array([[1.0, 0.0, 1.0, 0.0, 1.0]])
    for loss in (
        lambda z: tg.mean(tg.binary_cross_entropy(z, y, from_logits=True)),
        lambda z: tg.sum(tg.sigmoid(z) * y),
        lambda z: tg.sum(tg.softplus(z) * y),
        lambda z: tg.logsumexp(z),
        lambda z: tg.sum(tg.log_softmax(z, axis=1) * y),
        lambda z: tg.mean(tg.cross_entropy(z, y, axis=1)),
    ):
        z = np.array([[1000.0, 1000.0, -1000.0, -1000.0, -40.0]])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert_program_is_right(loss, {"z": z * 0.001}, {"z": z}, {"z": -z})


def test_a_sigmoid_keeps_its_tiny_values():
    z = tg.Value(np.array([-700.0, -40.0, 0.0, 40.0]), "z")
    cost, _ = tg.compile(tg.sum(tg.sigmoid(z)[:1]))()
    assert cost == pytest.approx(np.exp(-700.0), rel=1e-15)


def test_masked_logits_lose_nothing():
    y = np.array([0.0, 1.0])
    z = np.array([-np.inf, 2.0])
    assert_program_is_right(lambda z: tg.cross_entropy(z, y), {"z": np.zeros(2)}, {"z": z})


def test_float32_stays_float32():
    numbers = {k: x.astype(np.float32) for k, x in network().items()}
    program = assert_program_is_right(
        lambda Y, **net: tg.mean(tg.cross_entropy(layers(**net), Y)), numbers, constants=("X", "Y")
    )
    _, gradients = program()
    assert {g.dtype for g in gradients.values()} == {np.dtype(np.float32)}


def test_a_gradient_has_the_dtype_of_its_leaf():
    numbers = {"a": np.ones((2, 3), np.float32), "b": np.full((2, 3), 2.0)}
    assert_program_is_right(lambda a, b: tg.sum(a * b * a), numbers)


def test_a_saturated_probability_still_warns():
    a = tg.Value(np.array([0.5]), "a")
    program = tg.compile(tg.mean(tg.binary_cross_entropy(a, np.array([0.0]))))
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="from_logits"):
        assert program(a=np.array([1.0]))[0] == np.inf


def test_the_loss_of_a_sigmoid_is_computed_from_its_logit():
    """Where the probability would round to 1 the program is better than the graph, never worse."""
    z = tg.Value(np.array([[0.5, -0.5]]), "z")
    y = np.array([[0.0, 1.0]])
    program = tg.compile(tg.mean(tg.binary_cross_entropy(tg.sigmoid(z), y)))
    cost, gradients = program(z=np.array([[800.0, -800.0]]))
    assert cost == 800.0
    assert gradients["z"].tolist() == [[0.5, -0.5]]


# --- what a caller may do --------------------------------------------------------------------


def small_program():
    w, x = tg.Value(np.ones((2, 3)), "w"), tg.Value(np.ones((3, 4)), "x", requires_grad=False)
    return tg.compile(tg.sum((w @ x) ** 2))


def test_what_is_not_given_keeps_the_recorded_numbers():
    program = small_program()
    assert program()[0] == program(w=np.ones((2, 3)))[0] == 72.0
    assert program(x=np.zeros((3, 4)))[0] == 0.0


def test_values_lists_and_integers_are_numbers_too():
    program = small_program()
    cost = program(w=np.full((2, 3), 2.0))[0]
    assert program(w=[[2, 2, 2], [2, 2, 2]])[0] == cost
    assert program(w=tg.Value(np.full((2, 3), 2.0)))[0] == cost
    assert program(w=tg.Value(np.full((2, 3), 2.0)).data)[0] == cost
    assert program(w=np.full((2, 3), 2.0, order="F"))[0] == cost


def test_gradients_stay_as_they_are_as_long_as_someone_holds_them():
    program = small_program()
    _, first = program(w=np.full((2, 3), 1.0))
    kept = first["w"].copy()
    view = program(w=np.full((2, 3), 2.0))[1]["w"].T
    kept_view = view.copy()
    for n in range(5):
        program(w=np.full((2, 3), 3.0 + n))
    np.testing.assert_array_equal(first["w"], kept)
    np.testing.assert_array_equal(view, kept_view)


def test_two_equal_gradients_do_not_share_memory():
    a, b = tg.Value(np.ones(3), "a"), tg.Value(np.ones(3), "b")
    _, gradients = tg.compile(tg.sum(tg.tanh(a + b)))()
    gradients["a"] *= 10
    assert gradients["b"][0] == pytest.approx(1 - np.tanh(2.0) ** 2)


def test_a_gradient_that_is_an_argument_is_a_copy():
    a, b = tg.Value(np.ones(3), "a"), tg.Value(np.ones(3), "b")
    program = tg.compile(tg.sum(a * b))
    mine = np.full(3, 5.0)
    _, gradients = program(b=mine)
    gradients["a"] += 1
    assert mine.tolist() == [5.0, 5.0, 5.0]


def test_arguments_are_only_read():
    numbers = network()
    before = {k: x.copy() for k, x in numbers.items()}
    cost, _ = eager(lambda Y, **net: tg.mean(tg.cross_entropy(layers(**net), Y)), numbers)
    tg.compile(cost)(**numbers)
    for name in numbers:
        np.testing.assert_array_equal(numbers[name], before[name])


def test_collected_gradients_are_all_kept():
    program = small_program()
    collected = [program(w=np.full((2, 3), float(n)))[1]["w"] for n in range(20)]
    assert [g[0, 0] for g in collected] == [24.0 * n for n in range(20)]


@pytest.mark.slow
def test_programs_leave_no_garbage_for_the_collector():
    gc.collect()
    gc.disable()
    try:
        x, y = tg.Value(np.ones(3), "x"), tg.Value(2.0, "y")
        for cost in (tg.sum(tg.exp(x) * y), tg.tanh(y) * y):
            program = tg.compile(cost)
            program()
            del program, cost
        del x, y
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_large_constants_come_with_the_program():
    big = np.random.default_rng(0).normal(size=(40, 50))
    x = tg.Value(np.ones((40, 50)), "x")
    program = tg.compile(tg.sum(x * x * big))
    assert len(program.source) < 1000
    np.testing.assert_array_equal(program.constants[0], big)
    assert_same(program()[0], big.sum())


def test_names_may_hold_anything():
    x, unused = tg.Value(2.0), [1.0, [2.0]]
    loop = []
    loop.append(loop)
    names = {"x": x, "unused": unused, "loop": loop, "text": "t", "none": [], "mixed": [x, 1.0]}
    assert tg.compile(x * x, names=names)(x=3.0) == (9.0, {"x": 6.0})


def test_threads_do_not_disturb_each_other():
    program, failures = small_program(), []

    def work(n):
        for _ in range(200):
            w = np.full((2, 3), float(n))
            cost, gradients = program(w=w)
            if cost != 72.0 * n * n or gradients["w"][0, 0] != 24.0 * n:
                failures.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


def test_the_source_runs_by_itself(tmp_path):
    numbers = network()
    cost, grads = eager(
        lambda Y, **net: tg.mean(tg.cross_entropy(layers(**net), Y)), numbers, ("X", "Y")
    )
    file = tmp_path / "generated.py"
    file.write_text(tg.compile(cost).source)
    np.savez(tmp_path / "numbers.npz", **numbers)
    script = (
        "import sys, numpy as np, generated\n"
        f"cost, g = generated.program(**np.load({str(tmp_path / 'numbers.npz')!r}))\n"
        "assert 'tinygrad_edu' not in sys.modules\n"
        "print(repr(float(cost)), repr(float(g['W1'][0, 0])))"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert [float(x) for x in out.stdout.split()] == pytest.approx([cost.item(), grads["W1"][0, 0]])


def test_source_and_explanation_use_the_names_of_the_graph():
    numbers = {k: tg.Value(x, k) for k, x in network().items() if k != "Y"}
    Z1 = numbers["W1"] @ numbers["X"] + numbers["b1"]
    A1 = tg.tanh(Z1)
    J = tg.mean(tg.softplus(numbers["W2"] @ A1 + numbers["b2"]))
    tg.name_values(Z1=Z1, A1=A1, J=J)
    program = tg.compile(J)
    for line in ("A1 = tanh(Z1", "dW1 = dZ1.dot(X.T", "def program("):
        assert line in program.source
    assert "calls to NumPy" in program.explain()


def test_the_same_thing_is_computed_once():
    x = tg.Value(np.ones((3, 2)), "x")
    cost = tg.sum(tg.exp(x) * tg.exp(x) + tg.tanh(tg.exp(x)))
    assert tg.compile(cost).source.count(" exp(") == 1


def test_a_sigmoid_and_its_slope_need_one_exponential():
    x = tg.Value(np.array([[-30.0, 0.5]]), "x")
    program = tg.compile(tg.sum(tg.sigmoid(x)))
    assert program.source.count(" exp(") == 1
    slope = program(x=np.array([[-30.0, 30.0]]))[1]["x"]
    assert slope[0, 1] == pytest.approx(np.exp(-30.0), rel=1e-12)


def test_constants_are_folded_and_dead_gradients_dropped():
    W, X = tg.Value(np.ones((2, 3)), "W"), tg.Value(np.ones((3, 4)), "X", requires_grad=False)
    scale = tg.exp(tg.Value(np.ones((3, 4)), requires_grad=False)) * 2
    program = tg.compile(tg.sum(W @ (X * scale)))
    assert "exp(" not in program.source
    assert list(program()[1]) == ["W"]


@pytest.mark.parametrize(
    "name", ["for", "np", "a b", "W¹", "σ", "2x", "program", "x; import os", "__x", "given"]
)
def test_any_name_can_be_an_argument(name):
    x = tg.Value(3.0, name)
    y = tg.Value(2.0, "y")
    cost, gradients = tg.compile(x * x * y)(**{name: 4.0})
    assert cost == 32.0
    assert gradients == {name: 16.0, "y": 16.0}


def test_unnamed_leaves_are_numbered_and_names_can_be_given():
    a, b = tg.Value(2.0), tg.Value(3.0)
    assert tg.compile(a * b)(arg0=5.0)[1] == {"arg0": 3.0, "arg1": 5.0}
    assert tg.compile(a * b, names={"a": a, "b": b})(a=5.0)[1] == {"a": 3.0, "b": 5.0}
    assert tg.compile(a * b, names=locals())(b=7.0)[1] == {"a": 7.0, "b": 2.0}


def test_a_leaf_whose_gradient_never_arrives_has_gradient_zero():
    x, y = tg.Value(np.ones(3), "x"), tg.Value(np.ones(3), "y")
    _, gradients = tg.compile(tg.sum(x * tg.greater(x, y)))()
    assert gradients["y"].tolist() == [0.0, 0.0, 0.0]


def test_errors_say_what_to_do():
    program = small_program()
    with pytest.raises(tg.GradError, match=r"w: shape \(3, 2\).*\(2, 3\)"):
        program(w=np.ones((3, 2)))
    with pytest.raises(tg.GradError, match=r"w: float32.*astype"):
        program(w=np.ones((2, 3), np.float32))
    with pytest.raises(TypeError, match=r"no argument W.*it takes w, x"):
        program(W=np.ones((2, 3)))
    with pytest.raises(TypeError, match="w"):
        program(w="one")
    with pytest.raises(TypeError, match="compile: cost must be a Value"):
        tg.compile(3.0)
    with pytest.raises(tg.GradError, match=r"compile: the cost has shape \(3,\)"):
        tg.compile(tg.Value(np.ones(3)))
    with pytest.raises(tg.GradError, match="nothing that needs a gradient"):
        tg.compile(tg.Value(1.0, requires_grad=False) * 2)
    with pytest.raises(tg.GradError, match="two leaves are called w"):
        tg.compile(tg.Value(1.0, "w") * tg.Value(2.0, "w"))


def test_an_operation_of_ones_own_compiles():
    from tinygrad_edu.core.primitive import primitive

    @primitive(lambda dz, z, x: dz * 3.0 * x * x)
    def cube(x):
        return x**3

    assert_program_is_right(
        lambda x: tg.sum(cube(x) * x), {"x": np.array([1.0, 2.0])}, {"x": np.array([3.0, -2.0])}
    )


def test_compiling_leaves_the_graph_alone():
    x = tg.Value(np.ones(3), "x")
    cost = tg.sum(x * x)
    tg.compile(cost)
    assert x.grad is None
    cost.backward()
    assert x.grad.tolist() == [2.0, 2.0, 2.0]


def test_every_operation_of_the_table_can_be_compiled():
    """Each primitive is met by some test above or here: nothing is silently missing."""
    assert axes_of(2, None) == (0, 1)
    r = np.random.default_rng(8)
    two = {"x": r.uniform(0.2, 0.8, size=(3, 2)), "y": r.uniform(0.2, 0.8, size=(3, 2))}
    for name in ("bernoulli_loss", "logistic_loss", "softmax_loss", "xlogy", "xdivy", "power"):
        op = TABLE[name]
        assert_program_is_right(lambda x, y, op=op: tg.sum(op(x, y) * 0.3), two)


def test_further_results_can_be_asked_for():
    W, x = tg.Value([[1.0, 2.0], [3.0, 4.0]], "W"), tg.Value([[1.0], [1.0]], "x", False)
    Z = W @ x
    A = tg.tanh(Z)
    J = tg.sum(A)
    program = tg.compile(J, also={"Z": Z, "twice": Z * 2.0, "size": tg.sum(Z), "x": x})
    cost, gradients, more = program(x=np.array([[0.0], [1.0]]))
    assert cost == pytest.approx(np.tanh(2.0) + np.tanh(4.0))
    assert gradients["W"].shape == (2, 2)
    assert more["Z"].tolist() == [[2.0], [4.0]]
    assert more["twice"].tolist() == [[4.0], [8.0]]
    assert more["size"] == 6.0
    assert type(more["size"]) is float
    assert more["x"].tolist() == [[0.0], [1.0]]
    assert program(x=np.zeros((2, 1)))[2]["Z"] is not more["Z"]
    assert more["Z"].tolist() == [[2.0], [4.0]]  # held, so not written over
    w = tg.Value(3.0, "w")
    z = w * w
    assert tg.compile(z * w, also={"z": z})(w=2.0) == (8.0, {"w": 12.0}, {"z": 4.0})
    with pytest.raises(TypeError, match="also="):
        tg.compile(J, also={"Z": 1.0})


def test_a_program_that_has_forgotten_its_numbers_must_be_given_all():
    w, x = tg.Value(2.0, "w"), tg.Value([1.0, 2.0], "x")
    program = tg.compile(tg.sum(w * x))
    program.forget()
    assert program(w=1.0, x=np.array([3.0, 4.0]))[0] == 7.0
    with pytest.raises(TypeError, match="forgotten x"):
        program(w=1.0)


@pytest.mark.parametrize("extreme", [tg.max, tg.min])
@pytest.mark.parametrize("axis", [0, 1, 2, (0, 2), (1, 2), None])
def test_extremes_over_axes_with_negative_strides(extreme, axis):
    """NumPy before 2.2 finds others where it writes them into memory it is given."""
    x = np.random.default_rng(3).standard_normal((3, 4, 5))
    weights = np.random.default_rng(4).standard_normal(np.shape(extreme(x, axis=axis)))
    program = tg.compile(tg.sum(extreme(tg.Value(x, "x"), axis=axis) * weights))
    expected, gradients = program(x=x)
    for turned in (x[::-1], x[:, ::-1], x[:, :, ::-1], x[::-1, :, ::-1]):
        back = tuple(slice(None, None, int(np.sign(n))) for n in turned.strides)
        cost, found = program(x=turned.copy()[back])
        assert cost == expected
        assert np.array_equal(found["x"], gradients["x"])
