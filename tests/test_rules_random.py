"""Random programs, with zeros, masks and shapes that broadcast: no derived line may be wrong.

``RULES_PROGRAMS=2000 pytest tests/test_rules_random.py`` runs as many programs as one likes.
"""

import os

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.core.sweep import reachable

PROGRAMS = int(os.environ.get("RULES_PROGRAMS", "200"))
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
        lambda: np.sin(x),
    ]  # fmt: skip
    along = [
        lambda: tg.sum(x, axis=axis_of(x, rng), keepdims=bool(rng.integers(2))),
        lambda: tg.mean(x, axis=axis_of(x, rng), keepdims=bool(rng.integers(2))),
        lambda: tg.var(x, axis=axis_of(x, rng), keepdims=True),
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


def at_a_kink(nodes):
    """Is a number exactly where a maximum, a ReLU or an absolute value turns?"""
    for node in nodes:
        name = node.op.name if node.op is not None else ""
        if name in ("maximum", "minimum") and np.any(node.parents[0].data == node.parents[1].data):
            return True
        if name in ("relu", "leaky_relu", "absolute") and np.any(node.parents[0].data == 0):
            return True
        if name == "minimum" or (name == "where" and np.any(node.parents[1].data == 0)):
            return True
    return False


def check(seed):
    cost = program(seed)
    if not cost.requires_grad:
        return
    options = {"every": True} if seed % 3 == 1 else {}
    convention = "lecture" if seed % 2 else "calculus"
    with np.errstate(all="ignore"):
        d = tg.derive(cost, convention=convention, **options)
        cost.backward()
        nodes = reachable(cost, every=True)
        named = {node.name: node for node in nodes if node.name}
        scope = {}
        exec(d.to_numpy(), scope)
        code = scope["gradients"].__code__
        given = {name: named[name].data for name in code.co_varnames[: code.co_argcount]}
        J, found = scope["gradients"](**given)
    assert J == pytest.approx(cost.item(), rel=1e-9)
    kink = at_a_kink(nodes)
    for rule in d.rules:
        truth = np.asarray(named[rule.of].grad) if rule.of in named else None
        if truth is None:
            continue
        assert np.shape(found[rule.name]) == truth.shape, rule.numpy
        if rule.scale or kink or not np.all(np.isfinite(truth)):
            continue  # scaled lines were compared by the referee, at fresh numbers
        scale = max(float(np.max(np.abs(truth), initial=0)), 1e-3)
        assert np.all(np.abs(found[rule.name] - truth) <= 1e-7 * scale), rule.numpy


@pytest.mark.parametrize("start", range(0, PROGRAMS, 20))
def test_no_line_of_a_random_program_is_wrong(start):
    for seed in range(start, min(start + 20, PROGRAMS)):
        check(seed)


@pytest.mark.parametrize("seed", range(0, 40, 4))
def test_the_text_is_the_same_every_time(seed):
    first, second = (str(tg.derive(program(seed))) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("seed", range(1, 60, 3))
def test_simplifying_keeps_value_and_shape_and_twice_is_once(seed, monkeypatch):
    from tinygrad_edu.rules import deriving, referee

    seen = []
    simplify = deriving.Simplifier.simplify

    def watched(self, p):
        q, used = simplify(self, p)
        seen.append((self, p, q))
        return q, used

    monkeypatch.setattr(deriving.Simplifier, "simplify", watched)
    cost = program(seed)
    if not cost.requires_grad:
        return
    work = deriving.Deriving(cost, "calculus", None, {}, {}, exact_ties=False)
    lines = work.lines(None, False)
    with np.errstate(all="ignore"):
        numbers = referee._consistent(work, referee.fresh_numbers(work.nodes, work.facts, 0))
        data = referee._run(work.nodes, numbers)
        if data is None:
            return
        named = {text: data[node] for text, node in work.node_of.items()} | work.lengths()
        for line in lines:
            referee._computed(line, named)
        for simplifier, p, q in seen:
            before, after = (
                referee.evaluate(work.layout.arrange(x), lambda atom: named[atom.name])
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
    with pytest.raises(AssertionError, match="internal error"):
        tg.derive(tg.sum(x * x))


def test_without_work_left_the_line_is_longer_but_right(monkeypatch):
    from tinygrad_edu.rules import simplify

    monkeypatch.setattr(simplify, "WORK", 3)
    x, y = tg.Value([0.3, -0.2], "x"), tg.Value([1.0, 0.0], "y", requires_grad=False)
    a = 1 / (1 + np.exp(-x))
    a.name = "a"
    [rule] = tg.derive(-tg.sum(y * np.log(a) + (1 - y) * np.log(1 - a))).rules
    assert len(rule.text) > len("dx = a − y")
