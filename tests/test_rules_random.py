"""Random programs, with zeros, masks and shapes that broadcast: no derived line may be wrong.

``RULES_PROGRAMS=2000 pytest tests/test_rules_random.py`` runs as many programs as one likes.
"""

import os

import numpy as np
import pytest
import readings

import tinygrad_edu as tg

PROGRAMS = int(os.environ.get("RULES_PROGRAMS", "40"))
A, B = 3, 4
SHAPES = [(A, B), (A, 1), (1, B), (B,), (), (B, 2), (A, A)]


def positive(x, rng):
    return x * x + 1.0 if rng.random() < 0.5 else tg.exp(x)


def axis_of(x, rng):
    return int(rng.integers(len(x.shape)))


def softmax_spelled_out(x, i, rng):
    e = np.exp(x)
    if rng.random() < 0.5:
        e.name = f"e{i}"
    return e / np.sum(e, axis=axis_of(x, rng), keepdims=True)


def normalised(x, i, rng):
    axis = axis_of(x, rng)
    centred = x - np.mean(x, axis=axis, keepdims=True)
    inverse = 1 / np.sqrt(np.mean(centred**2, axis=axis, keepdims=True) + 0.1)
    if rng.random() < 0.5:
        tg.name_values(**{f"centred{i}": centred, f"inverse{i}": inverse})
    return centred * inverse


def elu(x):
    return tg.where(tg.greater(x, 0.0), x, tg.exp(tg.minimum(x, 1.0)) - 1)


def step(x, y, mask, i, rng):
    """One more operation, chosen at random; GradError where the shapes do not fit."""
    element_wise = [
        lambda: x + y, lambda: x - y, lambda: x * y, lambda: x * y, lambda: x / positive(y, rng),
        lambda: tg.tanh(x), lambda: tg.sigmoid(x), lambda: 1 / (1 + np.exp(-x)), lambda: tg.relu(x),
        lambda: tg.leaky_relu(x), lambda: tg.maximum(x, y), lambda: elu(x), lambda: x * mask,
        lambda: x ** int(rng.integers(2, 4)), lambda: tg.log(positive(x, rng)),
        lambda: tg.sqrt(positive(x, rng)), lambda: tg.softplus(x), lambda: abs(x),
        lambda: np.sin(x), lambda: positive(x, rng) ** y, lambda: tg.minimum(x, y),
        lambda: np.maximum(0, x), lambda: tg.xlogy(x, positive(y, rng)),
    ]  # fmt: skip
    along = [
        lambda: tg.sum(x, axis=axis_of(x, rng), keepdims=bool(rng.integers(2))),
        lambda: tg.mean(x, axis=axis_of(x, rng), keepdims=bool(rng.integers(2))),
        lambda: tg.var(x, axis=axis_of(x, rng), keepdims=True),
        lambda: tg.std(x, axis=axis_of(x, rng), keepdims=True),
        lambda: tg.norm(x, axis=axis_of(x, rng)), lambda: tg.prod(x, axis=axis_of(x, rng)),
        lambda: tg.max(x, axis=axis_of(x, rng), keepdims=bool(rng.integers(2))),
        lambda: tg.min(x, axis=axis_of(x, rng)), lambda: tg.logsumexp(x, axis=axis_of(x, rng)),
        lambda: (x - np.mean(x)) ** int(rng.integers(2, 5)), lambda: (x - y) ** 2 * (x + y),
        lambda: x.T, lambda: x @ y, lambda: x @ y, lambda: tg.softmax(x, axis=axis_of(x, rng)),
        lambda: softmax_spelled_out(x, i, rng), lambda: normalised(x, i, rng),
        lambda: x[: max(1, x.shape[0] - 1)], lambda: tg.reshape(x, (-1,)),
        lambda: tg.reshape(x, (1, *x.shape)), lambda: tg.concatenate([x, x * x]),
    ]  # fmt: skip
    choices = element_wise + (along if x.shape and y.shape else [])
    return choices[rng.integers(len(choices))]()


def program(seed):
    """A random cost; most of its quantities have names."""
    rng = np.random.default_rng(seed)
    pool = []
    for i in range(rng.integers(2, 5)):
        shape = SHAPES[rng.integers(len(SHAPES))]
        zeros = rng.random(shape) < (0.7 if rng.random() < 0.2 else 0)
        pool.append(tg.Value(np.where(zeros, 0.0, rng.standard_normal(shape)), f"x{i}"))
    mask = tg.Value(rng.random((A, B)) < 0.6, "D", requires_grad=False)
    for i in range(rng.integers(3, 12)):
        x, y = (pool[rng.integers(len(pool))] if rng.random() < 0.6 else pool[-1] for _ in "xy")
        try:
            z = step(x, y, mask, i, rng)
        except tg.GradError:
            continue
        if z.size > 60 or z.ndim > 3 or not np.max(np.abs(z.data), initial=0) < 1e4:
            continue
        if rng.random() < 0.6:
            z.name = f"y{i}"
        pool.append(z)
    last = pool[-1]
    cost = tg.sum(last if rng.random() < 0.5 else last * last)
    lengths = [n for n in last.shape if n > 1]
    if lengths and rng.random() < 0.5:
        cost = cost / lengths[-1]
    cost.name = "J"
    return cost


def check(seed):
    cost = program(seed)
    if not cost.requires_grad:
        return
    options = {"every": True} if seed % 3 == 1 else {}
    convention = "lecture" if seed % 2 else "calculus"
    with np.errstate(all="ignore"):
        d = tg.derive(cost, convention=convention, **options)
        cost.backward()
        named = readings.named(cost)
        scope = {}
        exec(d.to_numpy(), scope)
        code = scope["gradients"].__code__
        given = {name: named[name].data for name in code.co_varnames[: code.co_argcount]}
        J, found = scope["gradients"](**given)
    assert J == pytest.approx(cost.item(), rel=1e-9)
    for rule in d.rules:
        truth = np.asarray(named[rule.of].grad) if rule.of in named else None
        if truth is None:
            continue
        assert np.shape(found[rule.name]) == truth.shape, rule.numpy
        if rule.scale or not np.all(np.isfinite(truth)):
            continue  # scaled lines were compared by the referee, at fresh numbers
        scale = max(float(np.max(np.abs(truth), initial=0)), 1e-3)
        assert np.all(np.abs(found[rule.name] - truth) <= 1e-7 * scale), rule.numpy


HARD = {
    "numbers far from 0": lambda rng, shape: 1000 + rng.standard_normal(shape),
    "small and large numbers": lambda rng, shape: (
        rng.standard_normal(shape) * 10.0 ** rng.uniform(-3, 3)
    ),
    "zeros and ties": lambda rng, shape: rng.integers(-1, 2, shape).astype(float),
}


def last_digits(rng):
    return lambda z: z * (1 + 2**-52 * rng.choice([-1.0, 1.0], np.shape(z)))


def assert_right_on(cost, d, leaves, rng):
    """The source on other numbers: what the sweep gives there, as far as its digits are certain."""
    with np.errstate(all="ignore"):
        J, truth = readings.elsewhere(cost, leaves)
        other_J, other = readings.elsewhere(cost, leaves, last_digits(rng))
        found_J, found = readings.function_of(d)(leaves)
    if np.isfinite(J) and np.isfinite(other_J):
        assert abs(found_J - J) <= 1e-9 * abs(J) + 100 * abs(other_J - J) + 1e-9
    everything = np.concatenate([np.ravel(g) for g in truth.values()])
    sizes = np.abs(everything[np.isfinite(everything) & (everything != 0)])
    largest, smallest = np.max(sizes, initial=0), np.min(sizes, initial=1)
    if largest > 1e100 or smallest < 1e-100:
        return  # near the ends of the floats a product may leave them on the way
    for rule in d:
        if rule.of not in truth:
            continue
        want = np.asarray(truth[rule.of])
        defined = np.isfinite(want) & np.isfinite(other[rule.of])
        with np.errstate(all="ignore"):
            error = np.where(defined, np.abs(found[rule.of] - want), 0)
            moved = np.max(np.abs(other[rule.of] - want), initial=0, where=defined)
        scale = np.max(np.abs(want), initial=0, where=defined)
        # 1 − A² has few digits where A is nearly 1, and so has the sum of probabilities less 1.
        certain = 1e-9 * scale + 100 * moved + 1e-12 * largest
        assert np.all(error <= certain), (rule.numpy, leaves)


@pytest.mark.parametrize("start", range(0, max(PROGRAMS // 4, 1), 10))
def test_the_source_of_a_random_program_is_right_on_hard_numbers(start):
    for seed in range(start, start + 10):
        cost = program(seed)
        if not cost.requires_grad:
            continue
        rng = np.random.default_rng(seed)
        d = tg.derive(cost, convention="calculus")
        for draw in HARD.values():
            leaves = {
                k: np.asarray(draw(rng, v.shape), float)[()] if v.requires_grad else v.data
                for k, v in readings.named(cost).items()
                if v.op is None
            }
            assert_right_on(cost, d, leaves, rng)


@pytest.mark.parametrize("start", range(0, PROGRAMS, 20))
@pytest.mark.one_in(2)
def test_no_line_of_a_random_program_is_wrong(start):
    for seed in range(start, min(start + 20, PROGRAMS)):
        check(seed)


HOSTILE = [
    "np", "W₁", "W1", "lambda", "a b", "µ", "μ", "dx", '"""', "x²", "scatter", "import os", "1",
    "\n", "slice", "t1", "c1", "m", "∂J", "_", "gradients", "prod_of_others", "None", "J",
    "A\u0301", "Á",
]  # fmt: skip


@pytest.mark.parametrize("start", range(0, max(PROGRAMS // 8, 1), 5))
def test_what_quantities_are_called_makes_no_difference(start):
    # In calculus' scale; what X and Y are called tells that they are data, so what m is.
    for seed in range(start, start + 5):
        cost = program(seed)
        if not cost.requires_grad:
            continue
        sources = [tg.derive(cost, convention="calculus", every=True).to_numpy()]
        nodes = [v for v in readings.reachable(cost, every=True) if v.name is not None]
        for node, name in zip(nodes, np.random.default_rng(seed).permutation(HOSTILE)):
            node.name = str(name)
        sources.append(tg.derive(cost, convention="calculus", every=True).to_numpy())
        results = []
        for source in sources:
            scope = {}
            exec(source, scope)
            leaves = [v.data for v in nodes[::-1] if v.op is None]
            with np.errstate(all="ignore"):
                J, found = scope["gradients"](*leaves)
            results.append([J, *found.values()])
        for plain, hostile in zip(*results, strict=True):
            np.testing.assert_array_equal(hostile, plain)


@pytest.mark.parametrize("seed", range(0, 40, 10))
def test_the_text_is_the_same_every_time(seed):
    first, second = (str(tg.derive(program(seed))) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("seed", range(1, 60, 10))
def test_simplifying_keeps_value_and_shape_and_twice_is_once(seed, monkeypatch):
    from tinygrad_edu.rules import deriving, notation, referee
    from tinygrad_edu.rules.simplify import Simplifier

    seen = []
    simplify = Simplifier.simplify

    def watched(self, p):
        q, used = simplify(self, p)
        seen.append((self, p, q))
        return q, used

    monkeypatch.setattr(Simplifier, "simplify", watched)
    cost = program(seed)
    if not cost.requires_grad:
        return
    work = deriving.Deriving(cost, "calculus", None, {}, {})
    judge = referee.Referee(work, work.lines(None, False))
    named = next(iter(judge.samples)).named
    with np.errstate(all="ignore"):
        for simplifier, p, q in seen:
            before, after = (
                notation.evaluate(work.layout.arrange(x), lambda atom: named[atom.name])
                for x in (p, q)
            )
            before, after = np.broadcast_arrays(before, after)
            if np.all(np.isfinite(before)):
                np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-9)
            again, _ = simplify(simplifier, q)
            assert simplifier.layout.cost(again) == simplifier.layout.cost(q)


def test_a_wrong_simplification_is_never_shown(monkeypatch):
    """The referee computes every line at fresh numbers; make the simplifier wrong on purpose."""
    from tinygrad_edu.rules import simplify

    honest = simplify.Simplifier.simplify
    monkeypatch.setattr(
        simplify.Simplifier, "simplify", lambda self, p: (honest(self, p)[0].scaled(2), [])
    )
    x = tg.Value([1.0, 2.0], "x")
    assert str(tg.derive(tg.sum(x * x))) == "dx = 2 ∗ x"


def test_where_no_form_of_a_line_is_right_none_is_shown(monkeypatch):
    from tinygrad_edu.rules import forms

    monkeypatch.setattr(forms.Forms, "of", lambda self, line: [])
    with pytest.raises(AssertionError, match="internal error"):
        tg.derive(tg.sum(tg.Value([1.0, 2.0], "x") ** 2))


def test_without_work_left_the_line_is_longer_but_right(monkeypatch):
    from tinygrad_edu.rules import simplify

    monkeypatch.setattr(simplify, "WORK", 3)
    x, y = tg.Value([0.3, -0.2], "x"), tg.Value([1.0, 0.0], "y", requires_grad=False)
    a = 1 / (1 + np.exp(-x))
    a.name = "a"
    [rule] = tg.derive(-tg.sum(y * np.log(a) + (1 - y) * np.log(1 - a))).rules
    assert len(rule.text) > len("dx = a − y")
