"""Random programs: the engine against a naive one that knows no derivative rule.

A program is data: leaves of random shapes, then operations on anything computed so far, with
fan-out, slices, repeated indices and broadcasting. The naive engine below computes the Jacobian of
every single step by the complex step, and the gradient of every node by multiplying those dense
Jacobians along the graph: slow, and nothing in it can share a mistake with the package's rules.

    pytest tests/test_programs.py                    300 programs
    PROGRAMS=10000 pytest tests/test_programs.py     the long run
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from readings import function_of

import tinygrad_edu as tg
from tinygrad_edu.core.sweep import reachable

PROGRAMS = int(os.environ.get("PROGRAMS", "300"))


# --- the naive reference engine: NumPy and the complex step, no rules ----------------------------


def _top(x: Any, axis: Any = None) -> Any:
    """The maximum of complex numbers by real part."""
    top = np.max(np.real(x), axis=axis, keepdims=True)
    return np.sum(np.where(np.real(x) == top, x, 0), axis=axis)


def _larger(x: Any, y: Any) -> Any:
    return np.where(np.real(x) > np.real(y), x, y)


def _softmax(x: Any, axis: Any) -> Any:
    e = np.exp(x - np.max(np.real(x), axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


#: name: (number of inputs, what the package computes, the same in NumPy for complex numbers)
STEPS: dict[str, tuple[int, Any, Any]] = {
    "add": (2, lambda x, y, o: x + y, lambda x, y, o: x + y),
    "subtract": (2, lambda x, y, o: x - y, lambda x, y, o: x - y),
    "multiply": (2, lambda x, y, o: x * y, lambda x, y, o: x * y),
    "divide": (2, lambda x, y, o: x / (y * y + 1.0), lambda x, y, o: x / (y * y + 1)),
    "maximum": (2, lambda x, y, o: np.maximum(x, y), lambda x, y, o: _larger(x, y)),
    "where": (
        2, lambda x, y, o: tg.where(o["mask"], x, y), lambda x, y, o: np.where(o["mask"], x, y),
    ),
    "matmul": (2, lambda x, y, o: x @ y, lambda x, y, o: x @ y),
    "concatenate": (
        2, lambda x, y, o: tg.concatenate([x, y], o["axis"]),
        lambda x, y, o: np.concatenate([x, y], o["axis"]),
    ),
    "stack": (2, lambda x, y, o: np.stack([x, y], -1), lambda x, y, o: np.stack([x, y], -1)),
    "negative": (1, lambda x, o: -x, lambda x, o: -x),
    "reflected": (1, lambda x, o: 2.0 - x, lambda x, o: 2 - x),
    "square": (1, lambda x, o: x**2, lambda x, o: x * x),
    "power": (1, lambda x, o: (x * x + 0.5) ** 1.5, lambda x, o: (x * x + 0.5) ** 1.5),
    "exp": (1, lambda x, o: np.exp(x * 0.3), lambda x, o: np.exp(x * 0.3)),
    "log": (1, lambda x, o: np.log(x * x + 0.2), lambda x, o: np.log(x * x + 0.2)),
    "sqrt": (1, lambda x, o: np.sqrt(x * x + 0.2), lambda x, o: np.sqrt(x * x + 0.2)),
    "tanh": (1, lambda x, o: x.tanh(), lambda x, o: np.tanh(x)),
    "sin": (1, lambda x, o: np.sin(x), lambda x, o: np.sin(x)),
    "sigmoid": (1, lambda x, o: x.sigmoid(), lambda x, o: 1 / (1 + np.exp(-x))),
    "relu": (1, lambda x, o: tg.relu(x), lambda x, o: np.where(np.real(x) > 0, x, 0)),
    "abs": (1, lambda x, o: abs(x), lambda x, o: np.where(np.real(x) > 0, x, -x)),
    "sum": (
        1, lambda x, o: np.sum(x, axis=o["axes"], keepdims=o["keep"]),
        lambda x, o: np.sum(x, axis=o["axes"], keepdims=o["keep"]),
    ),
    "mean": (1, lambda x, o: x.mean(axis=o["axes"]), lambda x, o: np.mean(x, axis=o["axes"])),
    "max": (1, lambda x, o: x.max(axis=o["axis"]), lambda x, o: _top(x, o["axis"])),
    "softmax": (1, lambda x, o: tg.softmax(x, axis=o["axis"]), lambda x, o: _softmax(x, o["axis"])),
    "cumsum": (1, lambda x, o: x.cumsum(axis=o["axis"]), lambda x, o: np.cumsum(x, axis=o["axis"])),
    "transpose": (1, lambda x, o: x.T, lambda x, o: np.transpose(x)),
    "ravel": (1, lambda x, o: x.reshape(-1), lambda x, o: np.ravel(x)),
    "index": (1, lambda x, o: x[o["index"]], lambda x, o: x[o["index"]]),
    "reverse": (1, lambda x, o: x[::-1], lambda x, o: x[::-1]),
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One operation of a program: what, on which earlier nodes, how."""

    name: str
    inputs: tuple[int, ...]
    options: dict[str, Any]


def naive_values(leaves: list[Any], steps: list[Step]) -> list[Any]:
    """All numbers of a program, by NumPy."""
    nodes = list(leaves)
    for step in steps:
        nodes.append(STEPS[step.name][2](*[nodes[i] for i in step.inputs], step.options))
    return nodes


def naive_gradients(nodes: list[Any], leaves: int, steps: list[Step], seed: Any) -> list[Any]:
    """The gradient of every node: dense Jacobians of single steps, multiplied along the graph."""
    flat = [np.zeros(np.size(z)) for z in nodes]
    flat[-1] += np.ravel(seed)
    for k in range(len(steps) - 1, -1, -1):
        step, f = steps[k], STEPS[steps[k].name][2]
        dz = flat[leaves + k]
        for place, i in enumerate(step.inputs):
            inputs = [np.asarray(nodes[j]) for j in step.inputs]
            for j in range(np.size(nodes[i])):
                moved = inputs[place].astype(complex)
                moved.flat[j] += 1e-25j
                z = f(*inputs[:place], moved, *inputs[place + 1 :], step.options)
                flat[i][j] += dz @ (np.ravel(np.imag(z)) / 1e-25)
    return [g.reshape(np.shape(z)) for g, z in zip(flat, nodes)]


# --- drawing programs at random ------------------------------------------------------------------


LEAVES = ((), (3,), (2, 3), (3, 2), (2, 1), (1, 3), (2, 2, 3))


def _options(name: str, shapes: list[Any], rng: np.random.Generator) -> dict[str, Any] | None:
    """Options with which a step fits its inputs; None if there are none."""
    x = shapes[0]
    if name in ("add", "subtract", "multiply", "divide", "maximum", "where"):
        try:
            both = np.broadcast_shapes(*shapes)
        except ValueError:
            return None
        return {"mask": rng.random(both) > 0.5}
    if name == "matmul":
        try:
            np.matmul(*(np.empty(s) for s in shapes))
        except ValueError:
            return None
    if name == "concatenate":
        fits = [
            a
            for a in range(len(x))
            if len(x) == len(shapes[1]) and _but(x, a) == _but(shapes[1], a)
        ]
        return {"axis": int(rng.choice(fits))} if fits else None
    if name == "stack" and (x != shapes[1] or len(x) > 2):
        return None
    if name in ("index", "reverse") and not x:
        return None
    ndim = len(x)
    axes = [None, *range(-ndim, ndim)] if name != "softmax" or ndim < 2 else [*range(-ndim, ndim)]
    axis = axes[rng.integers(len(axes))]
    several = tuple(int(a) for a in rng.permutation(ndim)[: rng.integers(ndim + 1)])
    axes = axis if rng.random() < 0.6 else several
    return {"axis": axis, "axes": axes, "keep": bool(rng.random() < 0.5), "index": _index(x, rng)}


def _but(shape: Any, axis: int) -> Any:
    return shape[:axis] + shape[axis + 1 :]


def _index(shape: Any, rng: np.random.Generator) -> Any:
    if not shape:
        return ()
    n = shape[0]
    kinds = [
        int(rng.integers(-n, n)), slice(None, None, 2), slice(0, max(1, n - 1)), None,
        rng.integers(-n, n, 4), rng.integers(0, n, (2, 2)), rng.random(n) > 0.3,
        (Ellipsis, rng.integers(0, shape[-1], 3)), tuple(rng.integers(0, m, 5) for m in shape),
        (slice(None, None, -1), ...),
    ]  # fmt: skip
    return kinds[rng.integers(len(kinds))]


def random_program(seed: int, length: int) -> tuple[list[Any], list[Step]]:
    """Leaves and steps; every number of every node is at most some hundreds, kinks are avoided."""
    rng = np.random.default_rng(seed)
    leaves = [
        rng.uniform(-2, 2, LEAVES[rng.integers(len(LEAVES))]) for _ in range(rng.integers(1, 5))
    ]
    leaves = [x if x.ndim else float(x) for x in leaves]
    nodes, steps = list(leaves), []
    names = list(STEPS)
    while len(steps) < length:
        name = names[rng.integers(len(names))]
        count = STEPS[name][0]
        newest = len(nodes) - 1 if rng.random() < 0.5 else int(rng.integers(len(nodes)))
        inputs = (newest, *(int(i) for i in rng.integers(len(nodes), size=count - 1)))
        options = _options(name, [np.shape(nodes[i]) for i in inputs], rng)
        if options is None:
            continue
        step = Step(name, inputs, options)
        z = naive_values(nodes, [step])[-1]
        if 0 < np.size(z) <= 60 and np.max(np.abs(z)) < 300 and _smooth(step, nodes):
            nodes.append(z)
            steps.append(step)
    return leaves, steps


def _smooth(step: Step, nodes: list[Any]) -> bool:
    """Away from ties and zeros, where two conventions could both be right."""
    values = [np.asarray(nodes[i]) for i in step.inputs]
    if step.name in ("relu", "abs"):
        return bool(np.min(np.abs(values[0])) > 1e-3)
    if step.name == "maximum":
        return bool(np.min(np.abs(values[0] - values[1])) > 1e-3)
    if step.name == "max" and np.size(values[0]) > 1:
        ranked = np.sort(np.ravel(values[0]))
        return bool(np.min(np.diff(ranked)) > 1e-3)
    return True


def run(leaves: list[Any], steps: list[Step]) -> list[Any]:
    """The program by the package: all its nodes."""
    nodes: list[Any] = [tg.Value(x) for x in leaves]
    for step in steps:
        nodes.append(STEPS[step.name][1](*[nodes[i] for i in step.inputs], step.options))
    return nodes


def close(found: Any, expected: Any, tolerance: float) -> bool:
    """Equal up to rounding, at the scale of the largest number."""
    scale = 1 + np.max(np.abs(expected), initial=0)
    return np.shape(found) == np.shape(expected) and bool(
        np.max(np.abs(found - expected), initial=0) <= tolerance * scale
    )


# --- the tests -----------------------------------------------------------------------------------

programs = given(st.integers(0, 2**32 - 1), st.integers(1, 14))


@settings(max_examples=PROGRAMS)
@programs
def test_every_node_of_a_random_program_has_the_naive_engines_gradient(seed, length):
    leaves, steps = random_program(seed, length)
    expected = naive_values(leaves, steps)
    nodes = run(leaves, steps)
    for node, z in zip(nodes, expected):
        assert close(node.data, z, 1e-12)
    dz = np.random.default_rng(seed).standard_normal(np.shape(expected[-1]))
    nodes[-1].backward(dz)
    naive = naive_gradients(expected, len(leaves), steps, dz)
    scale = max(1.0, *(np.max(np.abs(g), initial=0) for g in naive))
    for number, (node, g) in enumerate(zip(nodes, naive)):
        found = np.zeros(node.shape) if node.grad is None else node.grad
        assert np.shape(found) == node.shape
        assert np.max(np.abs(found - g), initial=0) <= 1e-11 * scale, f"node {number}: {steps}"


@settings(max_examples=max(PROGRAMS // 3, 1))
@programs
def test_the_gradient_of_a_random_program_is_that_of_differences(seed, length):
    """Along one random direction: first order of the package against its own forward."""
    leaves, steps = random_program(seed, length)
    rng = np.random.default_rng(seed)
    direction = [rng.standard_normal(np.shape(x)) for x in leaves]
    nodes = run(leaves, steps)
    total = tg.sum(nodes[-1])
    total.backward()
    found = sum(np.sum(d * node.grad) for d, node in zip(direction, nodes) if node.grad is not None)

    def at(t: float) -> float:
        return float(
            np.sum(naive_values([x + t * d for x, d in zip(leaves, direction)], steps)[-1])
        )

    for h in (1e-4, 1e-5, 1e-6):  # a kink may be closer than the first steps
        expected = (at(h) - at(-h)) / (2 * h)
        if abs(found - expected) <= 1e-4 * (1 + abs(expected) + abs(at(0)) / 100):
            return
    raise AssertionError(f"{found} is not {expected}: {steps}")


@settings(max_examples=max(PROGRAMS // 6, 1))
@programs
def test_gradients_as_graphs_equal_gradients_as_numbers(seed, length):
    """The sweep on Values gives the numbers of the sweep on arrays."""
    leaves, steps = random_program(seed, length)

    def cost(*values: Any) -> Any:
        return tg.mean(run_on(list(values), steps)[-1])

    everything = tuple(range(len(leaves)))
    plain = tg.grad(cost, everything)(*leaves)
    graphs = tg.grad(cost, everything)(*[tg.Value(x) for x in leaves])
    for a, b in zip(plain, graphs):
        assert close(b.data, a, 1e-12)


def run_on(nodes: list[Any], steps: list[Step]) -> list[Any]:
    """A program on leaves that exist."""
    for step in steps:
        nodes.append(STEPS[step.name][1](*[nodes[i] for i in step.inputs], step.options))
    return nodes


@settings(max_examples=max(PROGRAMS // 6, 1))
@programs
def test_a_second_sweep_doubles_leaves_and_repeats_intermediates_to_the_bit(seed, length):
    leaves, steps = random_program(seed, length)
    nodes = run(leaves, steps)
    dz = np.random.default_rng(seed).standard_normal(nodes[-1].shape)
    nodes[-1].backward(dz)
    first = [node.grad for node in nodes]
    nodes[-1].backward(dz)
    for node, g in zip(nodes, first):
        if g is not None:
            assert np.array_equal(node.grad, 2 * g if node.op is None else g)


@settings(max_examples=max(PROGRAMS // 6, 1))
@programs
def test_gradients_are_linear_in_the_seed(seed, length):
    leaves, steps = random_program(seed, length)
    rng = np.random.default_rng(seed)
    nodes = run(leaves, steps)
    seeds = [rng.standard_normal(nodes[-1].shape) for _ in range(2)]
    found = []
    for dz in (*seeds, seeds[0] - 3 * seeds[1], 0 * seeds[0]):
        for node in nodes:
            node.zero_grad()
        nodes[-1].backward(dz)
        found.append([np.zeros(n.shape) if n.grad is None else n.grad for n in nodes])
    for a, b, c, zero in zip(*found):
        assert close(c, a - 3 * b, 1e-10)
        assert not np.any(zero)


# --- the other readings: a compiled program, derived formulas -----------------------------------


def cost_of(leaves: list[Any], steps: list[Step], dz: Any) -> Any:
    """A program weighted to a single number, its leaves named x0, x1 …"""
    values: list[Any] = [tg.Value(x, f"x{i}") for i, x in enumerate(leaves)]
    return tg.sum(run_on(values, steps)[-1] * dz)


def both_costs(seed: int, length: int) -> list[Any]:
    """A random program on its own leaves; and on others, where that keeps it away from kinks and
    its numbers of moderate size."""
    leaves, steps = random_program(seed, length)
    rng = np.random.default_rng(seed + 1)
    dz = rng.standard_normal(np.shape(naive_values(leaves, steps)[-1]))
    costs = [cost_of(leaves, steps, dz)]
    fresh = [rng.uniform(-2, 2, np.shape(x)) if np.ndim(x) else rng.uniform(-2, 2) for x in leaves]
    with np.errstate(over="ignore", invalid="ignore"):
        nodes = naive_values(fresh, steps)
    tame = all(np.max(np.abs(z)) < 300 for z in nodes)
    if tame and all(_smooth(step, nodes) for step in steps):
        costs.append(cost_of(fresh, steps, dz))
    return costs


def assert_read_alike(cost: Any, read: Any, tolerance: float) -> None:
    """``read(x0=…)`` gives the cost and gradients of the graph, on its numbers."""
    cost.backward()
    leaves = {v.name: v for v in reachable(cost) if v.op is None}
    value, gradients = read(**{name: v.data for name, v in leaves.items()})
    assert close(value, cost.data, tolerance)
    assert gradients.keys() == leaves.keys()
    scale = max(1.0, *(np.max(np.abs(v.grad), initial=0) for v in leaves.values()))
    for name, v in leaves.items():
        assert np.shape(gradients[name]) == v.shape
        assert np.max(np.abs(gradients[name] - v.grad), initial=0) <= tolerance * scale, name


@settings(max_examples=PROGRAMS)
@programs
def test_a_random_program_compiled_gives_the_engines_gradients_on_other_numbers_too(seed, length):
    recorded, *others = both_costs(seed, length)
    program = tg.compile(recorded)
    for cost in (recorded, *others):
        assert_read_alike(cost, program, 1e-11)


@settings(max_examples=max(PROGRAMS // 3, 1))
@programs
def test_the_derived_lines_of_a_random_program_give_the_engines_gradients(seed, length):
    recorded, *others = both_costs(seed, length)
    names = [v.name for v in reachable(recorded) if v.op is None]
    derivation = tg.derive(recorded, wrt=names, convention="calculus")
    function = function_of(derivation)

    def read(**numbers: Any) -> Any:
        value, found = function(numbers)
        return value, {name: found[name] for name in names}

    for cost in (recorded, *others):
        assert_read_alike(cost, read, 1e-9)
