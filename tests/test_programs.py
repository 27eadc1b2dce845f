"""Random programs in every reading: eager, compiled, derived, and differentiated twice.

`programs` draws them and holds the naive engine that all are compared with. Beside them stand the
things that may happen to a program while it lives: options changed afterwards, leaves frozen
midway, numbers at the ends of the range of floats.

    pytest tests/test_programs.py                      60 programs
    PROGRAMS=100000 pytest -n auto tests/test_programs.py   the long run
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from programs import Program, change, is_tame, naive_gradients, naive_values, random_program
from readings import function_of

import tinygrad_edu as tg
from tinygrad_edu.core.sweep import reachable

PROGRAMS = int(os.environ.get("PROGRAMS", "60"))
PART = 20


def of_random_programs(share: int = 1, **kind: bool) -> Callable[..., Any]:
    """Run a test on one in `share` of the programs, in parts that several processes can share.

    Of a program that fails, the shortest beginning that fails too is shown.
    """

    def decorate(test: Callable[[Program, int], None]) -> Callable[..., Any]:
        count = max(PROGRAMS // share, 1)

        @pytest.mark.parametrize("first", range(0, count, PART))
        @functools.wraps(test)
        def on_a_part(first: int) -> None:
            for seed in range(first, min(first + PART, count)):
                program = random_program(seed, **kind)
                try:
                    test(program, seed)
                except Exception as whole:
                    error = whole
                    for length in range(1, len(program.steps)):
                        program = random_program(seed, length, **kind)
                        try:
                            test(program, seed)
                        except Exception as shorter:
                            error = shorter
                            break
                    else:
                        program = random_program(seed, **kind)
                    error.add_note(f"seed {seed}:\n{program}")
                    raise error from None

        del on_a_part.__wrapped__  # its parameters are not pytest's
        on_a_part.raw, on_a_part.kind = test, kind
        return on_a_part

    return decorate


def weights(program: Program, seed: int) -> tuple[list[Any], Any]:
    """The numbers of a program, and a random gradient of its result."""
    expected = naive_values(program.leaves, program.steps)
    return expected, np.random.default_rng(seed).standard_normal(np.shape(expected[-1]))


def assert_close(found: Any, expected: Any, tolerance: float, what: str, scale: float = 1) -> None:
    """Equal in shape, and up to rounding at the scale of the largest number."""
    found = np.zeros(np.shape(expected)) if found is None else found
    assert np.shape(found) == np.shape(expected), what
    scale = max(scale, np.max(np.abs(expected), initial=0))
    assert np.max(np.abs(found - expected), initial=0) <= tolerance * scale, what


def largest(arrays: list[Any]) -> float:
    """The size of the largest number of all, at least 1."""
    return max(1.0, max((float(np.max(np.abs(x), initial=0)) for x in arrays), default=0.0))


# --- the sweep -----------------------------------------------------------------------------------


@of_random_programs(kinks=True)
def test_every_node_of_a_random_program_has_the_naive_engines_gradient(program, seed):
    expected, dz = weights(program, seed)
    naive, _ = naive_gradients(expected, program.steps, dz)
    nodes = program.run(program.values())
    for number, (node, z) in enumerate(zip(nodes, expected)):
        assert_close(node.data, z, 1e-12, f"x{number}")
    if not nodes[-1].requires_grad:
        return
    nodes[-1].backward(dz)
    scale = largest(naive)
    for number, (node, g) in enumerate(zip(nodes, naive)):
        if node.requires_grad:
            assert_close(node.grad, g, 1e-11, f"dx{number}", scale)
        else:
            assert node.grad is None


@of_random_programs(share=3)
def test_the_gradient_of_a_random_program_is_that_of_differences(program, seed):
    """Along one random direction: first order of the package against its own forward."""
    rng = np.random.default_rng(seed)
    direction = [
        rng.standard_normal(np.shape(x)) * needs for x, needs in zip(program.leaves, program.needed)
    ]
    nodes = program.run(program.values())
    if not nodes[-1].requires_grad:
        return
    tg.sum(nodes[-1]).backward()
    found = sum(np.sum(d * node.grad) for d, node in zip(direction, nodes) if node.grad is not None)

    def at(t: float) -> float:
        moved = [x + t * d for x, d in zip(program.leaves, direction)]
        return float(np.sum(naive_values(moved, program.steps)[-1]))

    for h in (1e-4, 1e-5, 1e-6, 1e-7):  # a kink may be closer than the first steps
        expected = (at(h) - at(-h)) / (2 * h)
        if abs(found - expected) <= 1e-4 * (1 + abs(expected) + abs(at(0)) / 100):
            return
    raise AssertionError(f"{found} is not {expected}")


@of_random_programs(share=4, kinks=True)
def test_a_second_sweep_doubles_leaves_and_repeats_intermediates_to_the_bit(program, seed):
    _, dz = weights(program, seed)
    nodes = program.run(program.values())
    if not nodes[-1].requires_grad:
        return
    nodes[-1].backward(dz)
    first = [node.grad for node in nodes]
    nodes[-1].backward(dz)
    for node, g in zip(nodes, first):
        if g is not None:
            assert np.array_equal(node.grad, 2 * g if node.op is None else g)


@of_random_programs(share=4, kinks=True)
def test_gradients_are_linear_in_the_seed(program, seed):
    _, dz = weights(program, seed)
    other = np.random.default_rng(seed + 1).standard_normal(np.shape(dz))
    nodes = program.run(program.values())
    if not nodes[-1].requires_grad:
        return
    found = []
    for upstream in (dz, other, dz - 3 * other, 0 * dz):
        for node in nodes:
            node.zero_grad()
        nodes[-1].backward(upstream)
        found.append([np.zeros(n.shape) if n.grad is None else n.grad for n in nodes])
    for a, b, c, zero in zip(*found):
        assert_close(c, a - 3 * b, 1e-10, "linear")
        assert not np.any(zero)


# --- second derivatives --------------------------------------------------------------------------


def directions(program: Program, seed: int) -> list[Any]:
    rng = np.random.default_rng(seed + 2)
    return [rng.standard_normal(np.shape(x)) for x in program.leaves]


def slope(program: Program, seed: int, *leaves: Any) -> Any:
    """The derivative of a program along directions, at leaves."""
    _, dz = weights(program, seed)

    def cost(*leaves: Any) -> Any:
        return tg.sum(program.run(list(leaves))[-1] * dz)

    found = tg.grad(cost, tuple(range(len(leaves))))(*leaves)
    return sum(tg.sum(g * d) for g, d in zip(found, directions(program, seed)))


def second_derivatives(program: Program, seed: int) -> Any:
    """The gradient of that, by all leaves."""
    everything = tuple(range(len(program.leaves)))
    return tg.grad(functools.partial(slope, program, seed), everything)(*program.leaves)


@of_random_programs()
def test_the_second_derivative_of_a_random_program_is_that_of_the_naive_engine(program, seed):
    """Differences of exact first derivatives, in longer floats: good to ten digits or so, with
    shorter steps where the slope bends sooner."""
    _, dz = weights(program, seed)

    def gradients(t: Any) -> Any:
        moved = [x + t * d for x, d in zip(program.leaves, directions(program, seed))]
        nodes = naive_values(moved, program.steps)
        return naive_gradients(nodes, program.steps, dz, wide=True)[0]

    found = second_derivatives(program, seed)
    scale = largest(gradients(0))

    def by_differences(h: Any) -> list[Any]:
        near, far = ([a - b for a, b in zip(gradients(k * h), gradients(-k * h))] for k in (1, 2))
        return [((8 * n - f) / (12 * h)).astype(float) for n, f in zip(near, far)]

    steps = [np.longdouble(h) for h in (1e-5, 1e-6, 1e-7)]
    for h in steps:
        try:
            for number, (g, expected) in enumerate(zip(found, by_differences(h))):
                assert_close(g, expected, 1e-8, f"x{number}", scale)
        except AssertionError:
            if h is steps[-1]:
                raise
        else:
            return


@pytest.fixture
def double_precision():
    """JAX in double precision; it need not make our small programs fast."""
    jax = pytest.importorskip("jax")
    switches = ("jax_enable_x64", "jax_disable_most_optimizations")
    for switch in switches:
        jax.config.update(switch, True)
    yield
    for switch in switches:
        jax.config.update(switch, False)


@pytest.mark.slow
@pytest.mark.usefixtures("double_precision")
@of_random_programs(share=20)
def test_the_second_derivative_of_a_random_program_is_that_of_jax(program, seed):
    import jax

    _, dz = weights(program, seed)
    everything = tuple(range(len(program.leaves)))

    def cost(*leaves: Any) -> Any:
        return jax.numpy.sum(naive_values(list(leaves), program.steps, jax.numpy)[-1] * dz)

    def slope(*leaves: Any) -> Any:
        found = jax.grad(cost, everything)(*leaves)
        return sum(jax.numpy.sum(g * d) for g, d in zip(found, directions(program, seed)))

    def second() -> Any:
        return jax.jit(jax.grad(slope, everything))(*map(np.asarray, program.leaves))

    expected = second()
    if any(np.isnan(theirs).any() for theirs in expected):
        # A few of JAX's programs are nan only where its optimisations are left out.
        jax.config.update("jax_disable_most_optimizations", False)
        expected = second()
        jax.config.update("jax_disable_most_optimizations", True)
    found = second_derivatives(program, seed)
    nodes = naive_values(program.leaves, program.steps)
    scale = largest(naive_gradients(nodes, program.steps, dz)[0])
    for number, (g, theirs) in enumerate(zip(found, expected)):
        assert_close(g, np.asarray(theirs), 1e-9, f"x{number}", scale)


@of_random_programs(share=3)
def test_a_derivative_compiled_has_the_second_derivative(program, seed):
    """The gradient of a program is a graph like any other."""
    leaves = [tg.Value(x, f"x{i}") for i, x in enumerate(program.leaves)]
    cost = slope(program, seed, *leaves)
    if not cost.requires_grad:
        return
    cost.backward()
    value, gradients = tg.compile(cost)()
    assert_close(value, cost.data, 1e-11, "the derivative")
    reached = [v for v in reachable(cost) if v.grad is not None]
    scale = largest([v.grad for v in reached])
    for v in leaves:
        expected = v.grad if v in set(reached) else np.zeros(v.shape)
        assert_close(gradients.get(v.name), expected, 1e-11, f"d{v.name}", scale)


# --- the other readings: a compiled program, derived lines ---------------------------------------


def recorded(program: Program, dz: Any) -> tuple[Any, dict[str, Any]]:
    """A program weighted to a single number, and the leaves it depends on by name."""
    cost = tg.sum(program.run(program.values())[-1] * dz)
    every = (v for v in reachable(cost, every=True) if v.op is None and v.name is not None)
    return cost, {v.name: v for v in every}


def on_two_sets_of_numbers(program: Program, seed: int) -> list[Program]:
    """A program on its own numbers, which may tie, and on others, if those are of moderate size and
    do not: recorded where it ties or not, and read on both."""
    rng = np.random.default_rng(seed + 1)
    leaves = [
        rng.uniform(-2, 2, np.shape(x)) if np.ndim(x) else rng.uniform(-2, 2)
        for x in program.leaves
    ]
    other = dataclasses.replace(program, leaves=leaves)
    both = [program, other] if is_tame(other) else [program]
    return both[::-1] if seed % 2 else both


def assert_read_alike(program: Program, dz: Any, read: Any, tolerance: float) -> None:
    """``read(x0=…)`` gives the cost and gradients of the graph, on its numbers."""
    cost, leaves = recorded(program, dz)
    cost.backward()
    value, gradients = read(**{name: v.data for name, v in leaves.items()})
    assert_close(value, cost.data, tolerance, "the cost")
    assert gradients.keys() == {name for name, v in leaves.items() if v.requires_grad}
    scale = largest([v.grad for v in leaves.values() if v.requires_grad])
    for name, g in gradients.items():
        assert_close(g, leaves[name].grad, tolerance, f"d{name}", scale)


@of_random_programs(kinks=True)
def test_a_random_program_compiled_gives_the_engines_gradients_on_other_numbers_too(program, seed):
    _, dz = weights(program, seed)
    both = on_two_sets_of_numbers(program, seed)
    cost, _ = recorded(both[0], dz)
    if not cost.requires_grad:
        return
    compiled = tg.compile(cost)
    for numbers in both:
        assert_read_alike(numbers, dz, compiled, 1e-11)


@of_random_programs(share=3, kinks=True)
def test_the_derived_lines_of_a_random_program_give_the_engines_gradients(program, seed):
    _, dz = weights(program, seed)
    both = on_two_sets_of_numbers(program, seed)
    cost, leaves = recorded(both[0], dz)
    names = [name for name, v in leaves.items() if v.requires_grad]
    if not cost.requires_grad:
        return
    if any(np.ndim(limit) for s in program.steps for limit in s.options.get("limits", ())):
        return  # an array among the options has no name to be written by
    function = function_of(tg.derive(cost, wrt=names, convention="calculus"))

    def read(**numbers: Any) -> Any:
        value, found = function(numbers)
        return value, {name: found[name] for name in names}

    for numbers in both:
        assert_read_alike(numbers, dz, read, 1e-9)


def test_a_line_stands_after_the_gradients_it_is_written_with():
    """Its simplified form read another one fewer, in this program."""
    lines = test_the_derived_lines_of_a_random_program_give_the_engines_gradients
    lines.raw(random_program(25148, **lines.kind), 25148)


# --- what may happen to a program while it lives -------------------------------------------------


@of_random_programs(share=3)
def test_options_changed_after_recording_change_no_gradient(program, seed):
    """Indices, axes, masks and limits, whatever they are nested in: they are as they were."""
    expected, dz = weights(program, seed)
    naive, _ = naive_gradients(expected, program.steps, dz)
    cost, leaves = recorded(program, dz)
    if not cost.requires_grad:
        return
    for step in program.steps:
        change([o for name, o in step.options.items() if not name.startswith("pla")])
    scale = largest(naive)
    cost.backward()
    for name, g in tg.compile(cost)()[1].items():
        assert_close(g, naive[int(name[1:])], 1e-11, f"d{name}, compiled", scale)
        assert_close(leaves[name].grad, naive[int(name[1:])], 1e-11, f"d{name}", scale)


@of_random_programs(share=3, kinks=True)
def test_a_flag_changed_midway_counts_from_the_next_step_on(program, seed):
    """What needs a gradient is settled when a step is recorded, for what came before it too."""
    rng = np.random.default_rng(seed)
    expected, dz = weights(program, seed)
    nodes, needs = program.values(), []
    for step in program.steps:
        leaf = nodes[rng.integers(len(program.leaves))]
        leaf.requires_grad = bool(rng.random() < 0.6)
        needs.append([nodes[i].requires_grad for i in step.inputs])
        nodes.append(step.by_the_package(nodes))
    if not nodes[-1].requires_grad:
        return
    for leaf in nodes[: len(program.leaves)]:
        leaf.requires_grad = not leaf.requires_grad
    naive, _ = naive_gradients(expected, program.steps, dz, needs)
    nodes[-1].backward(dz)
    scale = largest(naive)
    for number, (node, g) in enumerate(zip(nodes, naive)):
        assert_close(node.grad, g, 1e-11, f"dx{number}", scale)


@pytest.mark.skipif(np.finfo(np.longdouble).maxexp <= 1024, reason="has no longer floats")
@of_random_programs(scale=True)
def test_a_random_program_at_the_ends_of_the_range_of_floats_has_its_gradient(program, seed):
    """Numbers and gradients from 1e-150 to 1e150: each is right by its own measure, so no rule may
    leave the range of floats on its way to a number that is inside it."""
    with np.errstate(all="ignore"):
        wide = naive_values([np.asarray(x, np.longdouble) for x in program.leaves], program.steps)
    dz = np.random.default_rng(seed).choice((1.0, -2.0, 0.5), np.shape(wide[-1]))
    naive, most = naive_gradients(wide, program.steps, dz, wide=True)
    if any(np.any((m > 0) & ((m < 1e-150) | (m > 1e150)) | np.isnan(m)) for m in most):
        return  # nan: where a mean of x and -x is 0, say, there is no gradient of its reciprocal
    if any(np.any((z != 0) & (np.abs(z) < 1e-150)) for z in wide):
        return  # a product that is 0 in floats is no longer the number it stands for
    cost, leaves = recorded(program, dz)
    if not cost.requires_grad:
        return
    cost.backward()
    _, compiled = tg.compile(cost)()
    for name, g in compiled.items():
        for found, how in ((leaves[name].grad, "the sweep"), (g, "compiled")):
            error = np.abs(found - naive[int(name[1:])])
            assert np.all(error <= 1e-10 * most[int(name[1:])]), f"d{name}, {how}"
