"""Random programs, and a naive engine that knows no derivative rule.

A program is data: leaves of random shapes, then steps on anything computed so far, with fan-out,
broadcasting, options and indices of every type NumPy takes. The naive engine computes the Jacobian
of every single step by the complex step and multiplies those dense Jacobians along the graph: slow,
and nothing in it can share a mistake with the package's rules.
"""

from __future__ import annotations

import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from steps import STEPS, Step, Whole, variance

import tinygrad_edu as tg


@dataclass(frozen=True)
class Program:
    """Leaves, whether each needs a gradient, and steps. Nodes are the leaves and the results."""

    leaves: list[Any]
    needed: list[bool]
    steps: list[Step]

    def __str__(self) -> str:
        lines = [f"x{i} = {x!r}" for i, x in enumerate(self.leaves)]
        for k, s in enumerate(self.steps, len(self.leaves)):
            lines.append(f"x{k} = {s}")
        return "\n".join(lines)

    def run(self, nodes: list[Any]) -> list[Any]:
        """All its nodes by the package, from leaves of Values."""
        nodes = list(nodes)
        for step in self.steps:
            nodes.append(step.by_the_package(nodes))
        return nodes

    def values(self) -> list[Any]:
        """Its leaves as Values, named x0, x1 …"""
        return [
            tg.Value(x, f"x{i}", needs)
            for i, (x, needs) in enumerate(zip(self.leaves, self.needed))
        ]


# --- the naive engine ----------------------------------------------------------------------------


def naive_values(leaves: list[Any], steps: list[Step], xp: Any = np) -> list[Any]:
    """All numbers of a program, by NumPy or JAX."""
    nodes = list(leaves)
    for step in steps:
        nodes.append(step.by_formula([nodes[i] for i in step.inputs], xp))
    return nodes


def naive_gradients(
    nodes: list[Any], steps: list[Step], seed: Any, needs: Any = None, wide: bool = False
) -> tuple[list[Any], list[Any]]:
    """The gradient of every node: dense Jacobians of single steps, multiplied along the graph; and
    what it would be if no two contributions could cancel. `needs`: of each step, which inputs it
    counts for, all if not given. `wide`: in longer floats."""
    real, whole = (np.longdouble, np.clongdouble) if wide else (np.float64, np.complex128)
    h = np.sqrt(np.finfo(real).tiny)
    flat = [np.zeros(np.size(z), real) for z in nodes]
    most = [np.zeros(np.size(z), real) for z in nodes]
    flat[-1] += np.ravel(seed)
    most[-1] += np.abs(np.ravel(seed))
    for k in range(len(nodes) - 1, len(nodes) - len(steps) - 1, -1):
        step = steps[k - len(nodes)]
        for place, i in enumerate(step.inputs):
            if needs is not None and not needs[k - len(nodes)][place]:
                continue
            inputs = [np.asarray(nodes[j], real) for j in step.inputs]
            for j in range(np.size(nodes[i])):
                moved = inputs[place].astype(whole)
                moved.flat[j] += 1j * h
                z = step.by_formula([*inputs[:place], moved, *inputs[place + 1 :]])
                slopes = np.ravel(np.imag(z)) / h
                flat[i][j] += flat[k] @ slopes
                most[i][j] += most[k] @ np.abs(slopes)
    return tuple([g.reshape(np.shape(z)) for g, z in zip(found, nodes)] for found in (flat, most))


# --- drawing programs at random ------------------------------------------------------------------


LEAVES = ((), (3,), (2, 3), (3, 2), (2, 1), (1, 3), (2, 2, 3))
EXACT = (0.0, 1.0, 2.0, -1.0, 0.5)
#: Steps of which exact numbers make exact numbers: where those tie, every reading sees them tie.
EXACTLY = {
    "add", "subtract", "multiply", "maximum", "minimum", "where", "matmul", "outer", "concatenate",
    "stack", "negative", "reflected", "square", "relu", "relu_of_others", "abs", "clip", "sum",
    "max", "min", "cumsum", "transpose", "ravel", "broadcast", "expanded", "index",
    "index_of_linear", "reverse",
}  # fmt: skip
#: Steps that any scale of numbers has a finite answer for.
AT_ANY_SCALE = sorted(
    EXACTLY - {"reflected", "index_of_linear", "clip"}
    | {"divide", "root", "reciprocal", "mean", "prod", "var", "std", "norm", "leaky_relu"}
)


def random_program(
    seed: int, length: int | None = None, kinks: bool = False, scale: bool = False
) -> Program:
    """A program whose numbers are at most some hundreds and more than what rounding leaves of 0,
    and smooth where it is evaluated.

    `kinks`: exact numbers may tie, each other or a limit. `scale`: the numbers are of sizes from
    1e-150 to 1e150. Of one seed, a shorter program is the beginning of a longer one.
    """
    rng = np.random.default_rng(seed)
    drawn = int(rng.integers(1, 15))
    leaves: list[Any] = []
    exact: list[bool] = []
    for _ in range(rng.integers(1, 5)):
        shape = LEAVES[rng.integers(len(LEAVES))]
        exact.append(bool(rng.random() < 0.3) and not scale)
        x = rng.choice(EXACT, shape) if exact[-1] else rng.uniform(-2, 2, shape)
        leaves.append(x * 10.0 ** rng.integers(-140, 140) if scale else x)
    leaves = [x if np.ndim(x) else float(x) for x in leaves]
    needed = [bool(rng.random() < 0.85) for _ in leaves]
    needed[-1] = needed[-1] or not any(needed)
    names = AT_ANY_SCALE if scale else list(STEPS)
    nodes: list[Any] = [np.asarray(x) for x in leaves]
    steps: list[Step] = []
    while len(steps) < (drawn if length is None else length):
        name = names[rng.integers(len(names))]
        count, spellings, _ = STEPS[name]
        newest = len(nodes) - 1 if rng.random() < 0.5 else int(rng.integers(len(nodes)))
        inputs = (newest, *(int(i) for i in rng.integers(len(nodes), size=count - 1)))
        values = [nodes[i] for i in inputs]
        if not _fit(name, [x.shape for x in values]):
            continue
        spelling, options = int(rng.integers(len(spellings))), _options(values[0].shape, rng)
        step = Step(name, spelling, inputs, options)
        tied = kinks and all(exact[i] for i in inputs)
        if not _defined(step, values) or not (tied or _smooth(step, values)):
            continue
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            z = np.asarray(step.by_formula(values))
        sizes = np.abs(z[z != 0])
        low, high = (1e-150, 1e150) if scale else (1e-9, 300)
        if 0 < z.size <= 60 and z.ndim < 5 and np.all((sizes >= low) & (sizes <= high)):
            nodes.append(z)
            steps.append(step)
            exact.append(name in EXACTLY and all(exact[i] for i in inputs))
    return Program(leaves, needed, steps)


def is_tame(program: Program) -> bool:
    """Is it defined, smooth and of moderate size on its numbers?"""
    nodes = [np.asarray(x) for x in program.leaves]
    with np.errstate(all="ignore"):
        for step in program.steps:
            values = [nodes[i] for i in step.inputs]
            if not (_defined(step, values) and _smooth(step, values)):
                return False
            nodes.append(np.asarray(step.by_formula(values)))
    return all(np.max(np.abs(z), initial=0) < 300 for z in nodes)


def _apart(x: Any, part: float) -> bool:
    """Are all numbers away from 0, by the measure of the largest?"""
    return bool(np.min(np.abs(x)) > part * np.max(np.abs(x)))


def _spread(x: Any, axes: Any) -> Any:
    """The variance by the measure of the largest number."""
    return variance(np, x / (np.max(np.abs(x)) or 1), axes)


#: Steps whose formula is not good for all numbers: for which it is, with some room.
DEFINED: dict[str, Callable[[Any, Any, dict[str, Any]], bool]] = {
    "log": lambda x, y, o: np.min(x) > 0.1,
    "root": lambda x, y, o: np.min(x) > 0,
    "power": lambda x, y, o: np.min(x) > 0.1,
    "power_of_exact": lambda x, y, o: np.min(x) > 0.1,
    "xlogy": lambda x, y, o: np.min(y) > 0.1,
    "divide": lambda x, y, o: _apart(y, 1e-3),
    "reciprocal": lambda x, y, o: _apart(x, 0.2),
    "whole_power": lambda x, y, o: o["whole"] >= 0 or _apart(x, 0.2),
    "norm": lambda x, y, o: np.min(np.max(np.abs(x), o["plain_axes"])) > 0,
    "var": lambda x, y, o: np.min(_spread(x, o["plain_axes"])) > 1e-6,
    "std": lambda x, y, o: np.min(_spread(x, o["plain_axes"])) > 0.01,
}

#: Steps with ties or kinks: between which numbers these are.
KINKS: dict[str, Callable[[Any, Any, dict[str, Any]], Any]] = {
    **{name: lambda x, y, o: x for name in ("relu", "relu_of_others", "leaky_relu", "abs")},
    **{name: lambda x, y, o: x - y for name in ("maximum", "minimum")},
    **{name: lambda x, y, o: np.diff(np.sort(np.ravel(x))) for name in ("max", "min")},
    "clip": lambda x, y, o: [x - limit for limit in o["plain_limits"] if limit is not None],
}


def _defined(step: Step, values: list[Any]) -> bool:
    """Is the step's formula good for these numbers?"""
    x, y = values[0], values[-1]
    return not np.size(x) or bool(DEFINED.get(step.name, lambda *_: True)(x, y, step.options))


def _smooth(step: Step, values: list[Any]) -> bool:
    """Away from kinks, where differences mean nothing and two conventions may both be right."""
    if step.name not in KINKS:
        return True
    x, y = values[0], values[-1]
    gaps = np.abs(KINKS[step.name](x, y, step.options))
    return bool(np.min(gaps, initial=np.inf) > 1e-3 * np.max(np.abs(x), initial=0))


TWO_OF_ONE_SHAPE = {
    "add", "subtract", "multiply", "divide", "divide_safely", "maximum", "minimum", "where",
    "power", "xlogy", "times_slope",
}  # fmt: skip


def _fit(name: str, shapes: list[Any]) -> bool:
    """Do the shapes fit the step?"""
    x, y = shapes[0], shapes[-1]
    try:
        if name in TWO_OF_ONE_SHAPE:
            np.broadcast_shapes(x, y)
        if name == "matmul":
            np.matmul(np.zeros(x), np.zeros(y))
    except ValueError:
        return False
    if name == "stack":
        return bool(x == y and len(x) < 3)
    if name == "concatenate":
        return bool(x and len(x) == len(y) and x[1:] == y[1:])
    return bool(x) or name != "reverse"


def _options(x: Any, rng: np.random.Generator) -> dict[str, Any]:
    """Options for any step whose first input has the shape x: in many types, and plain."""
    ndim = len(x)
    axis = [None, *range(-ndim, ndim)][rng.integers(1 + 2 * ndim)]
    several = tuple(int(a) for a in rng.permutation(ndim)[: rng.integers(ndim + 1)])
    axes = axis if rng.random() < 0.6 else several
    one = int(rng.integers(-ndim, ndim)) if ndim else None
    low, high = sorted(float(n) for n in rng.choice((-1.0, -0.5, 0.3, 0.9, 2.0), 2))
    limits = [(low, high), (low, None), (None, high)][rng.integers(3)]
    mask = rng.random(x) > 0.5
    constant = rng.uniform(-1, 1, x if rng.random() < 0.7 else ())
    index = _index(x, rng)
    return {
        "axis": _typed(axis, rng), "plain_axis": axis, "zero": _typed(0, rng),
        "axes": tuple(_typed(a, rng) for a in axes) if axes is several else _typed(axes, rng),
        "plain_axes": axes, "one": _typed(one, rng), "plain_one": one,
        "keep": bool(rng.random() < 0.5), "switch": bool(rng.random() < 0.5),
        "whole": int(rng.integers(-1, 4)), "exact": float(rng.choice(EXACT)),
        "labels": np.asarray(rng.integers(0, 2, x), float),
        "limits": tuple(_typed_limit(limit, x, rng) for limit in limits), "plain_limits": limits,
        "mask": mask, "plain_mask": mask.copy(),
        "constant": constant, "plain_constant": np.copy(constant),
        "index": index, "places": np.arange(np.prod(x, dtype=int)).reshape(x)[index].copy(),
    }  # fmt: skip


def _typed(n: Any, rng: np.random.Generator) -> Any:
    """A whole number in one of the types it comes in."""
    if n is None or rng.random() < 0.4:
        return n
    return [np.int64, np.int8, np.array, Whole][rng.integers(4)](n)


def _typed_limit(limit: Any, shape: Any, rng: np.random.Generator) -> Any:
    """A limit of clip as a number or as numbers for all, an array or lists."""
    if limit is None or rng.random() < 0.4:
        return limit
    whole = np.full(shape, limit)
    return [np.float64(limit), np.array(limit), whole, whole.tolist()][rng.integers(4)]


def _index(shape: Any, rng: np.random.Generator) -> Any:
    """An index of whatever type for an array of a shape."""
    if not shape:
        return [(), ..., None, True, np.True_, (None, ...)][rng.integers(6)]
    n = shape[0]

    def one() -> Any:
        return _typed(int(rng.integers(-n, n)), rng)

    def some(k: Any, low: int = 0) -> Any:
        """Several whole numbers, in one of the types they come in."""
        chosen = rng.integers(low, n, k)
        forms = [
            lambda: chosen, lambda: chosen.astype(np.int8), lambda: chosen.tolist(),
            lambda: array.array("i", [int(i) for i in np.ravel(chosen)]),
            lambda: [np.int64(i) for i in np.ravel(chosen)],
            lambda: memoryview(np.ravel(chosen)),
        ]  # fmt: skip
        return forms[rng.integers(len(forms))]()

    kinds = [
        one, one, lambda: slice(None, None, 2),
        lambda: slice(_typed(0, rng), _typed(max(1, n - 1), rng)), lambda: None, lambda: (),
        lambda: ..., lambda: True, lambda: np.True_, lambda: np.array(True),
        lambda: some(4, -n), lambda: some((2, 2)), lambda: rng.random(n) > 0.3,
        lambda: (rng.random(n) > 0.3).tolist(), lambda: rng.random(shape) > 0.3,
        lambda: (Ellipsis, rng.integers(0, shape[-1], 3)),
        lambda: tuple(rng.integers(0, m, 5) for m in shape),
        lambda: (slice(None, None, -1), ...), lambda: (one(), ...), lambda: (None, one()),
        lambda: (some(3), None), lambda: (..., True), lambda: (slice(None), None),
    ]  # fmt: skip
    return kinds[rng.integers(len(kinds))]()


# --- what somebody may do to the options afterwards ----------------------------------------------


def change(option: Any) -> None:
    """Change whatever can be changed inside an option, however deep."""
    if isinstance(option, np.ndarray) and option.flags.writeable:
        option[...] = ~option if option.dtype == bool else option * 0 + (option == 0)
    elif isinstance(option, (tuple, list)):
        for part in option:
            change(part)
        if isinstance(option, list):
            option.reverse()
            option.append(0)
    elif isinstance(option, Whole):
        option.number = 1 - option.number
    elif isinstance(option, array.array):
        for k, i in enumerate(option):
            option[k] = int(i == 0)
    elif isinstance(option, memoryview):
        change(np.asarray(option))
    elif isinstance(option, slice):
        change((option.start, option.stop, option.step))
