"""Derived lines on numbers that are hard: far from 0, zero, equal, huge; and under hostile names.

Every graph is recorded on harmless numbers and its source run on others, where a graph recorded
there says what is right.
"""

import numpy as np
import pytest
import readings

import tinygrad_edu as tg
from tinygrad_edu.rules.expression import Algebra

rng = np.random.default_rng(7)
START = rng.bit_generator.state


@pytest.fixture(autouse=True)
def the_same_numbers_in_any_order_of_tests():
    rng.bit_generator.state = START


def graph(f, numbers):
    J = f(**{k: tg.Value(np.asarray(x, float), k) for k, x in numbers.items()})
    J.name = "J"
    return J


def assert_source_follows(f, recorded, used, tolerance=1e-9):
    """The source derived on some numbers gives on others what the sweep gives there."""
    recorded, used = ({k: np.asarray(x, float) for k, x in n.items()} for n in (recorded, used))
    with np.errstate(all="ignore"):
        J = graph(f, used)
        truth = readings.by_the_sweep(J)
        d = tg.derive(graph(f, recorded), wrt=list(recorded))
        cost, found = readings.function_of(d)(used)
        lines = readings.by_the_lines(d, readings.numbers_of(J) | defined_by(d, used))
    assert cost == pytest.approx(J.item(), rel=tolerance)
    for name in used:
        want = np.asarray(truth[name])
        scale = np.max(np.abs(want), initial=0)
        assert np.shape(found[name]) == want.shape
        assert np.all(np.isfinite(want)), "a case says nothing where the sweep has no number"
        for value in (found[name], lines[name]):
            assert np.all(np.abs(value - want) <= tolerance * scale), d[name].numpy


def defined_by(d, numbers):
    """What the definitions and the lengths of a derivation's lines stand for, as its source has
    them."""
    scope = {"np": np}
    source = d.to_numpy().replace("    return ", "    everything.update(locals())\n    return ")
    scope["everything"] = {}
    exec(source, scope)
    scope["gradients"](**numbers)
    return scope["everything"]


# --- far from 0 ---------------------------------------------------------------------------------


def centred(x, axis=None):
    return x - np.mean(x, axis=axis, keepdims=axis is not None)


def batch_norm(x, g, b):
    c = centred(x, axis=1)
    return tg.sum((g * c / np.sqrt(np.mean(c**2, axis=1, keepdims=True) + 1e-8) + b) ** 3)


FAR = {
    "kurtosis": lambda a: np.mean(centred(a) ** 4) / np.var(a) ** 2,
    "skewness": lambda a: np.mean(centred(a) ** 3) / np.std(a) ** 3,
    "a fifth moment": lambda a: np.mean(centred(a) ** 5),
    "a ratio of variances": lambda a, b: np.var(a) / np.var(b),
    "a standard deviation": lambda a: np.std(a),
    "covariance": lambda a, b: np.mean(centred(a) * centred(b)),
    "correlation": lambda a, b: np.mean(centred(a) * centred(b)) / (np.std(a) * np.std(b)),
    "a sixth power": lambda a: np.sum((a - 1000) ** 6),
    "a power of a multiple": lambda a: np.sum((2 * a - 2000) ** 4),
    "a product of differences": lambda a, b: np.sum((a - b) ** 3 * (b - 1000)),
    "a Gaussian's logarithm": lambda y, mu: np.sum((y - mu) ** 2 / (2 * 0.5**2)),
    "a Gaussian's width": lambda y, mu, s: np.sum((y - mu) ** 2 / (2 * s**2) + np.log(s)),
    "a Gaussian itself": lambda y, mu: np.sum(np.exp(-((y - mu) ** 2) / 2)),
    "a distance to the fourth": lambda a, b: tg.norm(a - b) ** 4,
    "cosine similarity": lambda a, b: (a @ b) / (tg.norm(a) * tg.norm(b)),
    "softmax": lambda a: np.sum(tg.softmax(a) * np.arange(6.0)),
    "softmax's logarithm": lambda a: np.sum(tg.log_softmax(a) * np.arange(6.0)),
    "the logarithm of a sum": lambda a: tg.logsumexp(a) ** 2,
}  # fmt: skip


def near(f, centre, spread=1.0, n=6):
    names = f.__code__.co_varnames[: f.__code__.co_argcount]
    return {
        k: 0.5 + rng.random(n) if k == "s" else centre + spread * rng.standard_normal(n)
        for k in names
    }


@pytest.mark.parametrize("what", FAR)
@pytest.mark.one_in(3)
@pytest.mark.one_in(3)
def test_lines_keep_their_digits_far_from_zero(what):
    f = FAR[what]
    for centre in (1000.0, 100.0):
        assert_source_follows(f, near(f, 0.3, 0.7), near(f, centre))


@pytest.mark.parametrize("scale", [1e-3, 1e3])
@pytest.mark.parametrize("what", FAR)
@pytest.mark.one_in(3)
def test_lines_keep_their_digits_at_other_scales(what, scale):
    f = FAR[what]
    numbers = {k: x if k == "s" else scale * x for k, x in near(f, 0.3, 0.7).items()}
    if "sixth" in what or "multiple" in what or "differences" in what:
        return  # these hold a number of their own
    with np.errstate(all="ignore"):
        truth = readings.by_the_sweep(graph(f, numbers))
    if all(np.any(np.abs(g) > 1e-9) for g in truth.values()):  # a softmax of 1000 has no slope
        assert_source_follows(f, near(f, 0.3, 0.7), numbers)


@pytest.mark.parametrize("what", [what for what in FAR if "softmax" not in what])
def test_lines_are_right_at_other_sizes_too(what):
    f = FAR[what]
    assert_source_follows(f, near(f, 0.3, 0.7), near(f, 1000.0, n=9))


def test_normalised_numbers_keep_their_digits():
    def numbers(centre):
        x = centre + rng.standard_normal((3, 5))
        return {"x": x, "g": 1 + rng.random((3, 1)), "b": rng.standard_normal((3, 1))}

    assert_source_follows(batch_norm, numbers(0), numbers(1000))

    def layer_norm(x):
        return tg.sum((centred(x, 0) / np.std(x, axis=0, keepdims=True)) ** 3)

    a, b = (c + rng.standard_normal((3, 5)) for c in (0, 1000))
    assert_source_follows(layer_norm, {"x": a}, {"x": b})


def test_a_standard_deviation_of_numbers_a_hundred_millions_large():
    near = [1e8, 1e8 + 1, 1e8 + 2]
    assert_source_follows(tg.std, {"x": [1.0, 2.0, 4.0]}, {"x": near})
    assert_source_follows(tg.std, {"x": near}, {"x": near})


@pytest.mark.parametrize("number", [7.0, 1e4, -3e5])
def test_numbers_near_a_constant_of_the_graph_are_thought_of(number):
    recorded, used = rng.standard_normal(4), number + rng.standard_normal(4)
    assert_source_follows(lambda a: np.sum((a - number) ** 6), {"a": recorded}, {"a": used})


def test_powers_and_products_of_differences_stay_as_they_are():
    y, mu = tg.Value(rng.standard_normal(4), "y0"), tg.Value(rng.standard_normal(4), "mu")
    assert str(tg.derive(tg.sum((y - mu) ** 4), wrt="y0")) == "dy0 = 4 ∗ (y0 − mu)³"
    s = tg.Value(1 + rng.random(4), "s")
    d = tg.derive(tg.sum((y - mu) ** 2 / (2 * s**2) + tg.log(s)), wrt="s")
    assert str(d) == "ds = (1 − (y0 − mu)² / s²) / s"
    assert (
        str(tg.derive(tg.std(y), wrt="y0"))
        == "dy0 = (y0 − np.mean(y0)) / (y0.shape[0] ∗ np.std(y0))"
    )


# --- what the operations guard ------------------------------------------------------------------

HARMLESS = np.array([0.5, 1.5, 2.5])
GUARDED = {
    "a product with a zero": (tg.prod, {"x": [0.0, 2.0, 3.0]}),
    "a product with two": (lambda x: tg.prod(x) + tg.sum(x), {"x": [0.0, 2.0, 0.0]}),
    "products of rows": (
        lambda x: tg.sum(tg.prod(x, axis=1) ** 2 + tg.prod(x, axis=1)),
        {"x": [[0.0, 2, 3], [1, 0, 0]]},
    ),
    "a length of 0": (lambda x: tg.norm(x) + tg.sum(x), {"x": [0.0, 0.0, 0.0]}),
    "rows, one of length 0": (
        lambda x: tg.sum(tg.norm(x, axis=1)), {"x": [[0.0, 0, 0], [1.0, 2, 2]]}
    ),
    "a deviation of 0": (lambda x: tg.std(x) + tg.sum(x), {"x": [1.0, 1.0, 1.0]}),
    "columns, one without deviation": (
        lambda x: tg.sum(tg.std(x, axis=0)), {"x": [[1.0, 2.0], [1.0, 5.0], [1.0, 3.0]]}
    ),
    "0 to a power": (lambda x, y: tg.sum(x**y), {"x": [0.0, 2.0, 0.0], "y": [2.0, 0.5, 3.0]}),
    "anything to the power 0": (lambda x, y: tg.sum(x**y), {"x": [4.0, 2.0, 3.0], "y": [0.0] * 3}),
    "0 log y": (lambda x, y: tg.sum(tg.xlogy(x, y)), {"x": [0.0, 1.0, 2.0], "y": [1.0, 2.0, 3.0]}),
    "softmax of a thousand": (
        lambda x: tg.sum(tg.softmax(x) ** 2), {"x": [1000.0, 1000.5, 999.0]}
    ),
    "its logarithm": (lambda x: tg.sum(tg.log_softmax(x) ** 2), {"x": [-1000.0, -1000.5, 999.0]}),
    "the logarithm of a sum": (tg.logsumexp, {"x": [1000.0, 1001.0, -1000.0]}),
    "softplus": (lambda x: tg.sum(tg.softplus(x) * x), {"x": [1000.0, -1000.0, 0.0]}),
    "a sigmoid": (lambda x: tg.sum(tg.sigmoid(x) * x), {"x": [1000.0, -1000.0, 0.0]}),
    "a cross-entropy": (
        lambda x: tg.sum(tg.binary_cross_entropy(x, np.array([0.0, 1.0, 1.0]))),
        {"x": [0.0, 1.0, 0.5]},
    ),
    "a cross-entropy from logits": (
        lambda x: tg.sum(tg.binary_cross_entropy(x, np.array([0.0, 1.0, 1.0]), from_logits=True)),
        {"x": [1000.0, -1000.0, 1000.0]},
    ),
    "classes": (lambda x: tg.cross_entropy(x, 2 * np.ones((), int)), {"x": [1000.0, -5.0, 990.0]}),
    "an absolute value": (lambda x: tg.sum(tg.abs(x) * x + tg.abs(x)), {"x": [0.0, -1.0, 2.0]}),
}  # fmt: skip


@pytest.mark.parametrize("what", GUARDED)
def test_lines_guard_what_the_operations_guard(what):
    f, special = GUARDED[what]
    special = {k: np.array(x) for k, x in special.items()}
    harmless = {
        k: np.resize(HARMLESS, x.shape) + 0.1 * rng.random(x.shape) for k, x in special.items()
    }
    if what == "a cross-entropy":
        harmless = {"x": np.array([0.2, 0.4, 0.6])}
    assert_source_follows(f, harmless, special)
    assert_source_follows(f, special, harmless)


@pytest.mark.parametrize("what", ["a product with two", "a length of 0", "a deviation of 0"])
def test_guards_hold_at_other_sizes_too(what):
    f, special = GUARDED[what]
    assert_source_follows(f, {"x": HARMLESS}, {"x": np.resize(special["x"], 7)})


# --- kinks --------------------------------------------------------------------------------------

KINKS = {
    "the largest of equal ones": (lambda x: tg.max(x) ** 2, [3.0, 3.0, 3.0]),
    "two of three smallest": (lambda x: tg.min(x) ** 3, [2.0, 5.0, 2.0]),
    "the largest of rows": (
        lambda x: tg.sum(tg.max(x, axis=1) ** 2), [[1.0, 1.0], [2.0, 3.0], [0.0, 0.0]]
    ),
    "a softmax shifted by the largest": (
        lambda x: tg.sum(np.exp(x - np.max(x)) * x), [2.0, 2.0, 1.0]
    ),
    "the larger of two": (lambda x: tg.sum(tg.maximum(x, x[::-1]) * x), [1.0, 2.0, 1.0]),
    "the smaller of two": (lambda x: tg.sum(tg.minimum(x, 1.5) * x), [1.5, 2.0, 1.0]),
    "the larger of a number": (lambda x: tg.sum(tg.maximum(x, 1.5) * x), [1.5, 2.0, 1.0]),
    "ReLU": (lambda x: tg.sum(tg.relu(x)), [0.0, 1.0, -1.0]),
    "ReLU with 0 at 0": (lambda x: tg.sum(tg.relu(x, at_zero=0)), [0.0, 1.0, -1.0]),
    "ReLU with a half at 0": (lambda x: tg.sum(tg.relu(x, at_zero=0.5)), [0.0, 1.0, -1.0]),
    "ReLU as the lecture spells it": (lambda x: tg.sum(np.maximum(0, x)), [0.0, 1.0, -1.0]),
    "leaky ReLU": (lambda x: tg.sum(tg.leaky_relu(x)), [0.0, 1.0, -1.0]),
    "leaky ReLU with 0 at 0": (lambda x: tg.sum(tg.leaky_relu(x, at_zero=0)), [0.0, 1.0, -1.0]),
    "clip": (lambda x: tg.sum(tg.clip(x, -1, 1) * x), [-1.0, 1.0, 0.0]),
    "an absolute value": (lambda x: tg.sum(tg.abs(x)), [0.0, 1.0, -1.0]),
}  # fmt: skip


@pytest.mark.parametrize("what", KINKS)
def test_what_an_operation_does_at_a_kink_its_line_does(what):
    f, at = KINKS[what]
    at = np.array(at)
    beside = np.arange(at.size).reshape(at.shape) + 0.3
    assert_source_follows(f, {"x": beside}, {"x": at})
    assert_source_follows(f, {"x": at}, {"x": beside})


ZERO_AND = {
    "np.maximum(0, z)": lambda z: np.maximum(0, z),
    "np.maximum(z, 0)": lambda z: np.maximum(z, 0),
    "tg.maximum(0.0, z)": lambda z: tg.maximum(0.0, z),
    "np.maximum(z, np.float64(0))": lambda z: np.maximum(z, np.float64(0)),
    "relu": tg.relu,
}


@pytest.mark.parametrize("spelling", ZERO_AND)
def test_the_larger_of_a_number_and_0_is_the_lectures_relu_to_every_reader(spelling):
    z = tg.Value([0.0, 1.0, -1.0], "z")
    J = tg.sum(ZERO_AND[spelling](z))
    J.name = "J"
    expected = [1.0, 1.0, 0.0]
    assert readings.by_the_sweep(J)["z"].tolist() == expected
    assert tg.compile(J)(z=z.data)[1]["z"].tolist() == expected
    assert readings.function_of(tg.derive(J))({"z": z.data})[1]["z"].tolist() == expected
    assert (
        tg.grad(lambda z: tg.grad(lambda z: tg.sum(ZERO_AND[spelling](z)))(z)[0])(z.data).tolist()
        == [0.0] * 3
    )


# --- masks, axes of length 1, indices -----------------------------------------------------------

C, D, MASK = (
    tg.Value(x, requires_grad=False) for x in ([0.5, 2.0, -1.0], [3.0, 0.25, 2.0], [1.0, 0.0, 1.0])
)
#: Functions of some of x, u and w, of shape (3,): their lines factor, divide or negate masks.
COMPARED = {
    "a branch, masked itself, times a polynomial": lambda x: tg.where(
        MASK, tg.relu(x * (1 + 3 * C**2)), x * (1 + 3 * C**2) * (1 + 3 * D**2)
    ),
    "the same in names": lambda x, u, w: tg.where(
        MASK, tg.relu(x * (1 + u)), x * (1 + u) * (1 + w)
    ),
    "a mask in both factors": lambda x, u: tg.relu(x) * (1 + u) + (1 - tg.greater(x, 0)) * x * u,
    "less a ReLU over a name": lambda x, w: -tg.relu(x) / w,
    "less the larger over a name": lambda x, u, w: -tg.maximum(x, u) / w,
    "less a mask times a ReLU": lambda x, u: -tg.relu(x) * tg.relu(u),
    "the larger of two fractions": lambda x, u, w: tg.maximum(-x / w, -u / w),
    "an index of True": lambda x, u: x[True] * C * u[(True,)],
    "an index of True beside others": lambda x, u: tg.sum(x[..., True] * u[True, :], axis=1),
}  # fmt: skip


@pytest.mark.parametrize("weights", [1.0, np.array([1.0, -2.0, 0.5])], ids=["sum", "weighted"])
@pytest.mark.parametrize("what", COMPARED)
def test_lines_of_what_is_compared_or_indexed_by_true_follow_the_graph(what, weights):
    used = COMPARED[what].__code__.co_varnames

    def J(**values):
        return tg.sum(COMPARED[what](**values) * weights)

    one, other = ({k: 0.2 + np.abs(rng.standard_normal(3)) for k in used} for _ in range(2))
    one["x"][0], other["x"][1] = -0.7, -1.3
    for numbers in (one, other):
        assert_source_follows(J, one, numbers)


@pytest.mark.parametrize("joined", [tg.multiply, tg.minimum, tg.maximum, tg.add])
@pytest.mark.parametrize("positive", [lambda x: x * x + 0.2, lambda x: 1 + 3 * abs(x)])
def test_a_softmax_over_an_axis_of_length_1_says_nothing_of_what_is_in_it(joined, positive):
    def J(x):
        return tg.sum(joined(tg.softmax(tg.log(positive(x)), axis=1), x))

    assert_source_follows(J, {"x": [[-1.0], [0.5]]}, {"x": [[3.0], [-0.4]]})


def test_what_is_zero_somewhere_divides_nothing():
    algebra = Algebra()
    x, b = (algebra.of(algebra.name(text, ())) for text in "xb")
    mask = algebra.compare(tg.greater, x, algebra.zero)
    assert algebra.divide(b - b * mask, mask) is None
    assert algebra.divide(b * x - b * mask, mask) is None
    assert algebra.divide(b - b * mask, b) == algebra.one - mask


@pytest.mark.parametrize("needs", [True, False])
def test_a_leaf_that_is_differentiated_by_inside_keeps_its_name(needs):
    x, w = tg.Value([1.0, 2.0], "x", requires_grad=needs), tg.Value([3.0, 4.0], "w")
    J = tg.sum(w * tg.grad(lambda v: tg.sum(np.sin(v) * v))(x))
    lines = tg.derive(J)
    assert {rule.name for rule in lines} == ({"dx", "dw"} if needs else {"dw"})
    cost, found = readings.function_of(lines)({"x": x.data, "w": w.data})
    assert cost == pytest.approx(J.item(), rel=1e-14)
    for name, g in found.items():
        np.testing.assert_allclose(g, readings.by_the_sweep(J)[name], rtol=1e-14)


# --- names --------------------------------------------------------------------------------------

NAMES = [
    ("np", "scatter"), ("W₁", "W1"), ("x²", "x2"), ("µ", "μ"), ("\uff58", "x"), ("ﬁ", "fi"),
    ("a b", "a_b"), ("lambda", "v_lambda"), ("slice", "prod_of_others"), ("x", "dx"),
    ("1st", "2nd"), ("class", "None"), ("t1", "c1"), ("m", "gradients"), ("J", "dJ"),
    ('"""; import os; """', "\\"), ("a\nb", "a'b"), ("np.sum(x)", "import os"), ("∂", "✓"),
]  # fmt: skip


@pytest.mark.parametrize("names", NAMES, ids=map(ascii, NAMES))
def test_whatever_quantities_are_called_the_source_is_python_and_right(names):
    a, b = tg.Value([1.0, 0.5, 3.0], names[0]), tg.Value([2.0, 0.5, 4.0], names[1])
    picked = tg.tanh(a * b)[np.array([0, 0, 2])]
    J = tg.sum(picked * a * np.array([1.0, 2.0, 3.0])) / 3 + tg.prod(b)
    d = tg.derive(J, every=True)
    scope = {}
    exec(d.to_numpy(), scope)
    J.backward()
    cost, found = scope["gradients"](a.data, b.data)
    assert cost == pytest.approx(J.item())
    assert len(found) == len(d) == 3  # what is picked from has a line, and so a name
    for value in (a, b):
        np.testing.assert_allclose(found[d[value.name].name], value.grad, rtol=1e-12)
        assert d[value.name].of == value.name


def test_a_name_that_had_to_change_is_told():
    w, one = tg.Value([1.0, 2.0], "W₁"), tg.Value([3.0, 4.0], "W1")
    source = tg.derive(tg.sum(w * w * one)).to_numpy()
    assert "W1_2 is 'W₁'." in source
    assert "W1 is" not in source
    assert 'is "' not in tg.derive(tg.sum(tg.Value([1.0], "x") ** 2)).to_numpy()


def test_an_index_and_a_quantity_of_one_name_are_two():
    y, picked = tg.Value([[1.0, 2.0], [3.0, 4.0]], "y"), np.array([1, 0, 1])
    J = tg.sum(y[picked] ** 2)
    scope = {}
    exec(tg.derive(J, wrt="y", names={"y": picked}).to_numpy(), scope)
    J.backward()
    found = scope["gradients"](y.data, picked)[1]
    np.testing.assert_allclose(found["dy"], y.grad)


@pytest.mark.parametrize("f, line", [
    (tg.log2, "dx = 1 / (x ∗ log(2))"), (tg.log10, "dx = 1 / (x ∗ log(10))"),
    (tg.exp2, "dx = exp2(x) ∗ log(2)"), (lambda x: 2.0**x, "dx = 2^x ∗ log(2)"),
])  # fmt: skip
def test_a_logarithm_in_a_rule_is_written_as_one(f, line):
    x = tg.Value([1.0, 3.0, 4.0], "x")
    assert str(tg.derive(tg.sum(f(x)))).strip() == line


@pytest.mark.parametrize("f", [
    lambda a, b: tg.prod(a * a, axis=0),
    lambda a, b: tg.prod(a * b, axis=0),
    lambda a, b: tg.prod(tg.log(2.0 + a * b), axis=0),
    lambda a, b: (tg.tanh(a) * tg.tanh(a))[None] @ tg.sin(a),
])  # fmt: skip
def test_a_product_of_numbers_that_are_repeated_is_printed_in_its_shape(f):
    x, y = tg.Value(0.7, "x"), tg.Value(1.5, "y")
    cost = tg.sum(f(tg.broadcast_to(x, (3,)), tg.broadcast_to(y, (3,))))
    cost.backward()
    found, gradients = readings.function_of(tg.derive(cost, wrt=["x"]))({"x": 0.7, "y": 1.5})
    assert found == pytest.approx(cost.item(), rel=1e-12)
    assert gradients["x"] == pytest.approx(x.grad, rel=1e-9)
