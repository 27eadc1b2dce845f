"""Programs of graphs of single numbers: rolled up into arrays, or straight-line Python."""

import itertools
import math
import random
import sys
import threading
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.program.rolling import classes, full_products, look
from tinygrad_edu.program.symbol import Table

TOLERANCE = 1e-12


def assert_program_is_right(build, recorded, *others):
    """`build` makes a cost of a list of Values; its program agrees, on other numbers too."""
    leaves = [tg.Value(x) for x in recorded]
    program = tg.compile(build(leaves), names={"p": leaves})
    for numbers in (recorded, *others):
        values = [tg.Value(x) for x in numbers]
        cost = build(values)
        cost.backward()
        expected = np.array([0.0 if v.grad is None else v.grad for v in values])
        found, gradients = program(p=numbers)
        scale = max(np.abs(expected).max(), 1e-300)
        assert found == pytest.approx(cost.item(), rel=TOLERANCE, abs=TOLERANCE)
        np.testing.assert_allclose(gradients["p"], expected, rtol=0, atol=TOLERANCE * scale)
    return program


def layer(inputs, weights, activation, bias="first", flipped=False):
    """One layer unit by unit; `weights` yields the parameters, unit after unit."""
    units = []
    for _ in range(next(weights)):
        w = [next(weights) for _ in inputs]
        terms = [x * v if flipped else v * x for v, x in zip(w, inputs)]
        z = next(weights) if bias == "first" else terms.pop(0)
        for term in terms:
            z = z + term
        if bias == "last":
            z = z + next(weights)
        units.append(activation(z))
    return units


def parameters_of(sizes, bias=True):
    return sum(n * (m + (bias is not None)) for m, n in itertools.pairwise(sizes))


def network(sizes, examples, activation, bias="first", flipped=False, squares=False):
    """A loop over examples, units and weights, as one writes it with numbers; and its cost."""

    def build(p):
        cost = 0.0
        for x, y in examples:
            weights = iter(p)

            def stream(n, weights=weights):
                yield n
                yield from weights

            h = list(x)
            for k, n in enumerate(sizes[1:]):
                last = k == len(sizes) - 2
                h = layer(h, stream(n), (lambda z: z) if last else activation, bias, flipped)
            for unit in h:
                cost = cost + (unit - y) ** 2
        if squares:
            for v in p:
                cost = cost + v * v * 0.01
        return cost / len(examples)

    return build


def some_examples(n, width, seed=0):
    r = np.random.default_rng(seed)
    return [(r.normal(size=width).tolist(), float(r.normal())) for _ in range(n)]


def some_numbers(n, seed=0):
    return np.random.default_rng(seed).normal(size=n).tolist()


@pytest.mark.parametrize("bias", ["first", "last", None])
@pytest.mark.parametrize("flipped", [False, True])
def test_a_network_unit_by_unit_becomes_matrix_products(bias, flipped):
    sizes = (3, 5, 4, 1)
    n = parameters_of(sizes, bias)
    build = network(sizes, some_examples(7, 3), tg.tanh, bias, flipped, squares=True)
    program = assert_program_is_right(build, *(some_numbers(n, seed) for seed in range(3)))
    told = program.explain()
    assert "Z1 = W1 @ X1" in told
    assert "(5, 7) = (5, 3) @ (3, 7)" in told
    assert "Z2 = W2 @ A1" in told
    assert "(4, 7) = (4, 5) @ (5, 7)" in told
    assert "= W1.dot(" in program.source
    assert "dW2 = dZ2.dot(" in program.source


@pytest.mark.parametrize("activation", [tg.relu, tg.sigmoid, tg.softplus, tg.leaky_relu, tg.exp])
def test_every_activation_can_be_rolled_up(activation):
    sizes = (2, 6, 3)
    build = network(sizes, some_examples(9, 2), lambda z: activation(z * 0.3))
    n = parameters_of(sizes)
    assert_program_is_right(build, *(some_numbers(n, seed) for seed in range(3)))


def test_networks_side_by_side_are_told_apart():
    sizes, n = (3, 4, 1), parameters_of((3, 4, 1))
    one = network(sizes, some_examples(40, 3, 1), tg.tanh)
    two = network(sizes, some_examples(24, 3, 2), tg.tanh)
    program = assert_program_is_right(
        lambda p: one(p[:n]) + two(p[n:]) * 2, some_numbers(2 * n), some_numbers(2 * n, 1)
    )
    assert "(4, 40) = (4, 3) @ (3, 40)" in program.explain()
    assert "(4, 24) = (4, 3) @ (3, 24)" in program.explain()


def test_units_wired_at_random_are_computed_together():
    r = random.Random(3)
    wires = [r.sample(range(6), 3) for _ in range(8)]
    data = some_examples(12, 6)

    def build(p):
        cost = 0.0
        for x, y in data:
            for u, inputs in enumerate(wires):
                z = p[4 * u]
                for k, i in enumerate(inputs):
                    z = z + p[4 * u + 1 + k] * x[i]
                cost = cost + (tg.tanh(z) - y) ** 2
        return cost

    program = assert_program_is_right(build, some_numbers(32), some_numbers(32, 1))
    assert program.source.count("tanh(") == 1
    assert "bincount(" in program.source


def test_shared_weights_add_up():
    sizes, n = (3, 4, 1), parameters_of((3, 4, 1))
    one = network(sizes, some_examples(10, 3, 1), tg.tanh)
    two = network(sizes, some_examples(10, 3, 2), tg.sigmoid)
    assert_program_is_right(lambda p: one(p) * two(p), some_numbers(n), some_numbers(n, 1))


def test_a_sliding_window_is_no_full_product_and_still_right():
    def build(p):
        w, x = p[:4], p[4:]
        rows = [sum((a * b for a, b in zip(w, x[i : i + 4])), 0.0) for i in range(len(x) - 3)]
        return sum((tg.tanh(r) ** 2 for r in rows), 0.0)

    assert_program_is_right(build, some_numbers(60), some_numbers(60, 1))


def test_signs_in_sums_are_kept():
    def build(p):
        w, x, b = p[:12], p[12:24], p[24:]
        cost = 0.0
        for i in range(4):
            for j in range(4):
                z = w[3 * i] * x[j] - w[3 * i + 1] * x[4 + j] - b[i] + w[3 * i + 2] * x[8 + j]
                cost = cost - (tg.sin(z) - 2.0) * (b[j] - z)
        return -cost

    assert_program_is_right(build, some_numbers(28), some_numbers(28, 1))


def test_uses_of_one_number_add_up():
    def build(p):
        level = [p[0] * 0.5 for _ in range(100)] + [p[1] * p[0] for _ in range(33)]
        while len(level) > 1:
            level = [sum(level[i : i + 2]) for i in range(0, len(level), 2)]
        return tg.tanh(level[0] * 0.01)

    assert_program_is_right(build, [0.7, -0.2], [1.5, 2.0])


def test_equal_uses_of_one_number_leave_no_array():
    def build(p):
        return sum((p[0] * 0.5 for _ in range(99)), 0.0) * p[0]

    assert "np." not in assert_program_is_right(build, [0.7], [1e8]).source


@pytest.mark.parametrize("x", [5e-324, 3e-320, 0.3, 1e305, np.finfo(float).max])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_doublings_are_multiplied_first_and_change_no_digit(x, sign):
    leaf = tg.Value(1.0)
    halved = leaf * 0.5
    for factor in (2.0, 16.0, 64.0, 0.25, 0.5, 2.0, 128.0):
        halved = halved * factor
    program = tg.compile(halved, names={"p": [leaf]})
    assert "* 0.5 * 2048.0 * 0.25 * 0.5 * 256.0" in program.source
    with np.errstate(over="ignore"):
        expected = np.float64(sign * x) * 0.5 * 2 * 16 * 64 * 0.25 * 0.5 * 2 * 128
    assert program(p=[sign * x])[0] == expected


@pytest.mark.slow
def test_a_long_sum_needs_no_recursion():
    def build(p):
        z = p[0]
        for _ in range(20_000):
            z = z + 1.0
        return z * p[0]

    assert_program_is_right(build, [0.5], [3.0])


@st.composite
def scalar_graphs(draw):
    """A block of random operations, run for each of several examples on shared parameters."""
    steps = draw(
        st.lists(st.tuples(st.integers(0, 11), *[st.integers(0, 99)] * 2), min_size=1, max_size=25)
    )
    return steps, draw(st.integers(1, 12)), draw(st.integers(0, 2**32 - 1)), draw(st.booleans())


STEPS = [
    lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y, lambda x, y: x * 0.5 + y,
    lambda x, y: tg.tanh(x), lambda x, y: tg.sigmoid(x), lambda x, y: tg.relu(x),
    lambda x, y: x / (1.5 + y * y), lambda x, y: -x, lambda x, y: tg.maximum(x, y),
    lambda x, y: x**2, lambda x, y: x * y + y * 0.3 + x,
]  # fmt: skip


def run_block(steps, values):
    values = list(values)
    for kind, i, j in steps:
        z = STEPS[kind](values[i % len(values)], values[j % len(values)])
        values.append(z if isinstance(z, float) or kind in (4, 5) else tg.tanh(z))
    return values[-3:]


@settings(max_examples=60, deadline=None)
@given(scalar_graphs())
def test_random_scalar_graphs_equal_the_graph(case):
    steps, repeats, seed, mixed = case
    r = random.Random(seed)
    data = [[r.gauss(0, 1) for _ in range(3)] for _ in range(repeats)]

    def build(p):
        cost = p[0] * p[1]
        for x in data:
            order = r.sample(steps, len(steps)) if mixed else steps
            for z in run_block(order, [*p, *x]):
                cost = cost + z * z
        return cost

    state = r.getstate()

    def again(p):
        r.setstate(state)
        return build(p)

    numbers = [[random.Random(seed + k).gauss(0, 1) for _ in range(4)] for k in (1, 2)]
    assert_program_is_right(again, *numbers)


def random_graph(n, seed=0, kinds=5):
    """n operations, each on any two earlier results: many kinds, hardly two alike."""
    r = random.Random(seed)
    leaves = [tg.Value(r.uniform(0.2, 1.0)) for _ in range(n // 10)]
    nodes = list(leaves)
    for _ in range(n):
        x, y = r.choice(nodes), r.choice(nodes)
        nodes.append(STEPS[r.randrange(kinds)](x, y))
    cost = nodes[0]
    for v in nodes[len(leaves) :]:
        cost = cost + tg.tanh(v)
    return cost, leaves


@pytest.mark.slow
def test_what_is_wired_without_any_order_is_faster_as_python():
    """Groups there are, but each would be gathered from dozens of arrays."""
    cost, leaves = random_graph(1500)
    program = tg.compile(cost, names={"p": leaves})
    assert "straight-line Python" in program.explain()
    cost.backward()
    expected = np.array([v.grad or 0.0 for v in leaves])
    found, gradients = program(p=[v.data for v in leaves])
    assert found == pytest.approx(cost.item(), rel=1e-12)
    assert np.abs(gradients["p"] - expected).max() <= 1e-12 * np.abs(expected).max()


def chain(n):
    v = w = tg.Value(0.3, "w")
    for _ in range(n):
        v = tg.tanh(v * w + 0.1)
    return v


def unrolled(n):
    leaves = [tg.Value(x) for x in some_numbers(3)]
    cost = leaves[0]
    for x, y in some_examples(n, 2):
        cost = cost + (tg.tanh(leaves[0] * x[0] + leaves[1] * x[1] + leaves[2]) - y) ** 2
    return cost


def one_long_sum(n):
    v, cost = tg.Value(0.5, "v"), tg.Value(0.0, requires_grad=False)
    for k in range(n):
        cost = cost + v * float(k)
    return cost


@pytest.mark.parametrize(
    "make", [chain, unrolled, one_long_sum, lambda n: random_graph(n)[0]],
    ids=["chain", "unrolled", "sum", "random"],
)  # fmt: skip
@pytest.mark.one_in(4)
@pytest.mark.slow
def test_compiling_twice_the_graph_takes_twice_the_steps(make):
    """Counted in calls, Python's and C's, not in seconds."""

    def steps(n):
        cost, count = make(n), 0

        def seen(frame, event, arg):
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(seen)
        try:
            tg.compile(cost)
        finally:
            sys.setprofile(None)
        return count

    steps(10)  # what is imported when first used is not counted
    small, large = steps(400), steps(1600)
    assert small > 1000
    assert large < 4 * 1.25 * small


# --- straight-line Python ------------------------------------------------------------------------


def test_a_neuron_is_one_readable_line():
    w, x, b = tg.Value(2.0, "w"), tg.Value(-3.0, "x"), tg.Value(6.5, "b")
    program = tg.compile(tg.tanh(w * x + b))
    assert "tanh(w * x + b)" in program.source
    assert "np." not in program.source
    cost, gradients = program(w=1.0, x=2.0, b=-1.5)
    assert cost == math.tanh(0.5)
    slope = 1 - math.tanh(0.5) ** 2
    assert gradients == pytest.approx({"w": 2 * slope, "x": slope, "b": slope}, rel=1e-15)


def test_a_chain_is_straight_line_python():
    def build(p):
        v, w, b = p
        for _ in range(300):
            v = tg.tanh(v * w + b)
        return v

    program = assert_program_is_right(build, [0.3, 0.9, 0.1], [0.5, -1.3, 0.2])
    assert "np." not in program.source


SCALAR = [
    tg.exp, tg.expm1, tg.tanh, tg.sigmoid, tg.relu, tg.softplus, tg.leaky_relu, tg.sin, tg.cos,
    tg.arctan, tg.absolute, tg.sinh, tg.cosh, tg.tan, lambda x: tg.log(x * x + 1), tg.log1p,
    lambda x: tg.log2(x + 3), lambda x: tg.log10(x + 3), lambda x: tg.sqrt(x + 3), lambda x: x**3,
    lambda x: (x + 3) ** x, lambda x: tg.clip(x, -0.5, 0.5), lambda x: tg.maximum(x, 0.1),
    lambda x: tg.minimum(x, 0.1), lambda x: tg.where(tg.greater(x, 0.2), x, x * x),
    lambda x: tg.binary_cross_entropy(x, 1.0, from_logits=True),
    lambda x: tg.binary_cross_entropy(tg.sigmoid(x), 0.0), lambda x: tg.xlogy(x, x + 3),
    lambda x: 2 - x, lambda x: 1 / (x + 3), lambda x: x - (x - 1) - (2 * x - 3) / (x + 4),
    lambda x: -x * -x - -x, lambda x: 2.0 ** x,
]  # fmt: skip


@pytest.mark.parametrize("f", SCALAR)
def test_every_function_of_one_number_compiles(f):
    assert_program_is_right(lambda p: f(p[0]) * p[1], [0.7, 2.0], [-0.4, 1.5], [0.3, -1.0])


@pytest.mark.parametrize("f", SCALAR)
def test_every_function_of_many_numbers_compiles(f):
    assert_program_is_right(
        lambda p: sum((f(x) * y for x, y in zip(p[:20], p[20:])), 0.0),
        np.linspace(-0.9, 0.9, 40).tolist(), np.linspace(0.8, -0.8, 40).tolist(),
    )  # fmt: skip


def test_where_floats_raise_the_answer_is_that_of_numpy():
    for f, x in ((tg.exp, 1000.0), (tg.log, 0.0), (lambda v: 1 / v, 0.0), (tg.sin, math.inf)):
        v = tg.Value(0.5, "v")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = tg.compile(f(v) * 2.0)
            z = tg.Value(x)
            cost = f(z) * 2.0
            cost.backward()
            found, gradients = program(v=x)
        np.testing.assert_equal(found, cost.item())
        np.testing.assert_equal(gradients["v"], z.grad)
        assert type(found) is float


# --- names and numbers ------------------------------------------------------------------------


def named_network():
    p = [tg.Value(x, f"p{i}") for i, x in enumerate(some_numbers(21))]
    return p, network((3, 4, 1), some_examples(6, 3), tg.tanh)(p)


def test_every_number_may_have_a_name_of_its_own():
    p, cost = named_network()
    program = tg.compile(cost)
    cost.backward()
    found, gradients = program(**{v.name: v.data for v in p})
    assert found == pytest.approx(cost.item(), rel=1e-13)
    assert gradients == pytest.approx({v.name: v.grad for v in p}, rel=1e-12)
    assert all(type(g) is float for g in gradients.values())


def test_what_is_not_given_keeps_its_number():
    p, cost = named_network()
    program = tg.compile(cost)
    assert program()[0] == pytest.approx(cost.item(), rel=1e-13)
    assert program(p3=p[3].data)[0] == pytest.approx(cost.item(), rel=1e-13)
    assert program(p3=p[3])[0] == program(p3=np.float64(p[3].data))[0] == program()[0]
    assert program(p3=1)[0] == program(p3=1.0)[0] != program()[0]


def test_wrong_numbers_are_refused_by_name():
    p, cost = named_network()
    program = tg.compile(cost)
    with pytest.raises(tg.GradError, match=r"p3: shape \(2,\)"):
        program(p3=[1.0, 2.0])
    with pytest.raises(TypeError, match="p3"):
        program(p3="one")
    with pytest.raises(TypeError, match="no argument q"):
        program(**{v.name: v.data for v in p}, q=1.0)
    with pytest.raises(tg.GradError, match=r"p: shape \(20,\)"):
        tg.compile(cost, names={"p": p})(p=np.ones(20))


def test_data_of_single_numbers_can_be_an_argument():
    X = [[tg.Value(x, requires_grad=False) for x in row] for row, _ in some_examples(8, 3)]
    p = [tg.Value(x) for x in some_numbers(21)]
    cost = network((3, 4, 1), [(x, 0.5) for x in X], tg.tanh)(p)
    program = tg.compile(cost, names={"p": p, "X": X})
    new = np.random.default_rng(5).normal(size=(8, 3))
    fresh = [tg.Value(x) for x in some_numbers(21)]
    again = network((3, 4, 1), [(x.tolist(), 0.5) for x in new], tg.tanh)(fresh)
    again.backward()
    found, gradients = program(X=new)
    assert list(gradients) == ["p"]
    assert found == pytest.approx(again.item(), rel=1e-13)
    np.testing.assert_allclose(gradients["p"], [v.grad for v in fresh], rtol=1e-11)


def test_lists_of_lists_become_matrices():
    w = [[tg.Value(1.0 + i + 2 * j) for j in range(2)] for i in range(3)]
    x = [tg.Value(0.5), tg.Value(-1.0)]
    cost = sum((tg.tanh(sum((a * b for a, b in zip(row, x)), 0.0)) for row in w), 0.0)
    _, gradients = tg.compile(cost, names={"w": w, "x": x})(w=np.ones((3, 2)), x=[0.0, 1.0])
    slope = 1 - math.tanh(1.0) ** 2
    np.testing.assert_allclose(gradients["w"], [[0.0, slope]] * 3, atol=1e-15)
    np.testing.assert_allclose(gradients["x"], [3 * slope] * 2)


def test_held_gradients_are_not_overwritten():
    _, cost = named_network()
    p = [v for v in cost_leaves(cost) if v.requires_grad]
    program = tg.compile(cost, names={"p": p})
    first = program(p=some_numbers(21, 1))[1]["p"]
    kept = first.copy()
    program(p=some_numbers(21, 2))
    program(p=some_numbers(21, 3))
    np.testing.assert_array_equal(first, kept)


def cost_leaves(cost):
    seen, stack = {cost}, [cost]
    while stack:
        for parent in stack.pop().parents:
            if parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted((v for v in seen if v.op is None), key=lambda v: v._created)


def test_threads_do_not_disturb_each_other():
    _, cost = named_network()
    program, failures = tg.compile(cost), []
    expected = [program(p0=float(n))[0] for n in range(4)]

    def work(n):
        for _ in range(100):
            if program(p0=float(n))[0] != expected[n]:
                failures.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


# --- the parts -----------------------------------------------------------------------------------


def test_a_full_product_is_recognised_in_any_order_and_nothing_else_is():
    r = np.random.default_rng(0)
    rows, columns = np.arange(12).reshape(4, 3), 100 + np.arange(15).reshape(5, 3)
    pairs = [(i, j) for i in range(4) for j in range(5)]
    r.shuffle(pairs)
    left = np.array([rows[i] for i, _ in pairs])
    right = np.array([columns[j] for _, j in pairs])
    (grid,), rest = full_products(left, right)
    assert grid.shape == (4, 5)
    assert not len(rest)
    for a in range(4):
        assert (left[grid[a]] == left[grid[a, 0]]).all()
    for b in range(5):
        assert (right[grid[:, b]] == right[grid[0, b]]).all()
    grids, rest = full_products(left[:-1], right[:-1])
    assert not grids
    assert len(rest) == 19
    twice = np.concatenate([left, left[:1]]), np.concatenate([right, right[:1]])
    assert not full_products(*twice)[0]


def test_equal_rows_are_one_class_in_order_of_appearance():
    which, first = classes(np.array([[5, 1], [2, 2], [5, 1], [0, 9], [2, 2]]))
    assert which.tolist() == [0, 1, 0, 2, 1]
    assert first.tolist() == [0, 1, 3]


@pytest.mark.parametrize(
    "place",
    [np.arange(12), np.arange(12).reshape(3, 4), np.arange(12).reshape(3, 4).T, np.arange(3, 9),
     np.arange(3, 9).reshape(2, 3), np.arange(0, 12, 5), np.arange(12).reshape(3, 4)[:, :2],
     np.arange(12).reshape(3, 4)[:, 2:], np.arange(12).reshape(3, 4)[:, 1:3].T,
     np.arange(12).reshape(4, 3)[1:, 1:], np.arange(12).reshape(4, 3)[::2], np.array([4, 1, 1, 7]),
     np.array([[0, 5], [9, 2]]), np.arange(11, -1, -1), np.array(7), np.array([[3]]),
     np.arange(12).reshape(2, 2, 3), np.array([2, 2, 2])],
)  # fmt: skip
def test_any_entries_of_an_array_can_be_looked_at(place):
    table = Table()
    x = table.argument("x", (3, 4), np.dtype(float), True)
    found = look(x, place)
    numbers = np.arange(100.0, 112.0)

    def value(s):
        return (
            numbers.reshape(3, 4) if s is x else s.op.forward(*map(value, s.parents), **s.options)
        )

    np.testing.assert_array_equal(value(found), numbers[place])
