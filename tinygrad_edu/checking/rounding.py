"""What rounding can do to a number: the same computation, its roundings made much larger.

Every operation reads its inputs a little off, by a share δ of each, random in sign and size. What
the outcome moves by, over δ, is the size of the terms that were added up on the way to it: the
measure of an error that no cancelling hides. No operation needs a rule of its own. Only where
numbers jump (a comparison, the largest of several) they are read as they are: a tie broken by noise
would excuse anything.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from tinygrad_edu.checking.truth import KINKED, TOLERANCE, gradient_of
from tinygrad_edu.core.sweep import reachable, sweep
from tinygrad_edu.core.value import Value
from tinygrad_edu.sheets.account import Account
from tinygrad_edu.sheets.applying import apply
from tinygrad_edu.sheets.evaluate import Evaluator, in_numbers
from tinygrad_edu.sheets.lines import Key, Statement
from tinygrad_edu.sheets.sheet import Graph
from tinygrad_edu.sheets.syntax import Expr

#: How large a rounding is made: far above the true one, far below any number that matters.
DELTA = 1e-9
#: How often; the median is taken, so that one that strays over a kink does not count.
RUNS = 3
#: Two numbers agree when they differ by less than this share of the terms they were added up from.
SHARE = 1e-9
#: A graph of more numbers than this is not run again and again.
LARGEST = 1_000_000
#: A difference quotient is off by about this share of the cost: rounding over its step of 1e-5.
QUOTIENT = 1e-9
#: An error of a difference quotient so small is shown as it is.
SMALL = 1e-7
#: A number typed with so many digits may stand for one that has more.
DIGITS = 5
#: What a named node costs to be computed and swept once more, and a name to be looked up.
_NODE, _NAME = 200_000, 1_000
#: How many random numbers are drawn at a time: asking for one takes as long as for hundreds.
_DRAWN = 1024
#: Operators and functions of sheets whose results jump.
_JUMPS = frozenset(
    {
        ">", ">=", "<", "<=", "==", "!=", "//", "%", "argmax", "argmin", "sign", "heaviside",
        "int64", "int32", "int", "bool", "bool_", "astype", "any", "all", "greater",
        "greater_equal", "less", "less_equal", "equal", "not_equal", "relu_prime",
        "relu_derivative", "relu_deriv", "relu_grad",
    }
)  # fmt: skip


class Noise:
    """A source of roundings."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([11, seed])
        self.drawn = self._draw(_DRAWN)

    def __call__(self, x: Any, share: float = DELTA) -> Any:
        """`x`, each entry moved by about that share; what is no float is left alone."""
        if isinstance(x, np.ndarray) and x.dtype.kind == "f":
            x = x.astype(float, copy=False)
            return x + x * (share * self._sizes(x.shape))
        if isinstance(x, (float, np.floating)):
            return float(x) * (1.0 + share * float(self._sizes(()))) if share else float(x)
        return x

    def _sizes(self, shape: tuple[int, ...]) -> Any:
        """Random numbers from ±½ to ±1, none of them twice."""
        size = math.prod(shape)
        if size > len(self.drawn):
            self.drawn = self._draw(max(size, _DRAWN))
        sizes, self.drawn = self.drawn[:size], self.drawn[size:]
        return sizes.reshape(shape)

    def _draw(self, size: int) -> Any:
        xi = self.rng.random(size, np.float32) - np.float32(0.5)
        return xi + np.copysign(np.float32(0.5), xi)


def noisy_graph(cost: Value, noise: Noise) -> tuple[dict[Value, Any], dict[Value, Any]]:
    """The numbers of a graph and the gradients of its cost, every rounding made larger: of what is
    given or has a name."""
    now: dict[Value, Any] = {}
    read: dict[Value, tuple[Any, ...]] = {}
    for node in reachable(cost, every=True)[::-1]:
        now[node] = node._data
        read[node] = inputs = tuple(
            now[p] if p in now else x for p, x in zip(node.parents, node._inputs, strict=True)
        )
        if node.op is None or not node.op.differentiable:
            continue
        if node.op not in KINKED:
            read[node] = inputs = tuple(map(noise, inputs))
        z = node.op.evaluate(inputs, node.options)
        now[node] = z if node.op in KINKED else noise(z)
    seed = np.ones(cost.shape) if cost.shape else 1.0
    gradients = sweep(
        cost, seed, lambda node: (now[node], read[node]), arrived=lambda _, dz: noise(dz)
    )
    kept = [node for node in now if node.name is not None or node.op is None or node is cost]
    return {node: now[node] for node in kept}, {node: gradients.get(node) for node in kept}


class NoisyEvaluator(Evaluator):
    """Computes formulas with every rounding made larger; `exactly` has the names as they are."""

    def __init__(
        self, known: Mapping[Key, Any], noise: Noise, exactly: Mapping[Key, Any], account: Account
    ) -> None:
        super().__init__(known, account)
        self.noise = noise
        self.exact = Evaluator(exactly, account)

    def _compute(self, e: Expr) -> Any:
        if e.op == "number" and isinstance(e.extra, float):
            return self.noise(e.extra, typed(e.extra))
        if e.op in _JUMPS or e.function in _JUMPS:
            return self.exact.value(e)
        if not e.args:
            return super()._compute(e)
        args = [self.value(a) for a in e.args]
        off = [self.noise(x) for x in args]
        if e.op == "**":
            off[1] = args[1]  # of a number below 0 only whole powers exist
        return apply(e.op, e.extra, off, self.account)


def typed(number: float) -> float:
    """The share by which a number as typed may be off: 0.333333 is a third, 0.01 is 0.01."""
    digits = repr(abs(number)).split("e")[0].replace(".", "").strip("0")
    if len(digits) < DIGITS or len(digits) > 15:
        return 0.0
    return 1.0 / int(digits)


def _largest(x: Any) -> Any:
    return np.full(np.shape(x), np.abs(x).max(initial=0.0))


class Rounding:
    """What rounding can do to the gradients of a cost."""

    def __init__(self, cost: Value) -> None:
        self.cost = cost
        self._graphs: dict[int, tuple[dict[Value, Any], dict[Value, Any]]] = {}

    @functools.cached_property
    def large(self) -> bool:
        """Is there too much to run it all several times? Then the largest entry is the measure."""
        entries: int = sum(node.size for node in reachable(self.cost, every=True))
        return entries > LARGEST

    def graph(self, run: int) -> tuple[dict[Value, Any], dict[Value, Any]]:
        """The numbers and the gradients of all nodes in one run."""
        if run not in self._graphs:
            with np.errstate(all="ignore"):
                self._graphs[run] = noisy_graph(self.cost, Noise(run))
        return self._graphs[run]

    def of_cost(self, runs: int = RUNS) -> float:
        """The size of the terms that the cost was added up from."""
        if self.large:
            return float(np.abs(self.cost._data).max())
        return float(
            terms([self.graph(run)[0][self.cost] for run in range(runs)], self.cost._data).max()
        )

    def of_gradient(self, node: Value, true: Any, runs: int = RUNS) -> Any:
        """The size of the terms that a gradient was added up from, entry by entry."""
        if self.large:
            return _largest(true)
        return terms([self.gradient(node, run) for run in range(runs)], true)

    def gradient(self, node: Value, run: int) -> Any:
        """The gradient of a node in one run; KeyError for one that was not kept."""
        _, found = self.graph(run)
        if node not in found:
            raise KeyError(node)
        return gradient_of(node, found)


class RoundingOfLines(Rounding):
    """The same on one sample of a sheet, of its lines too; `run` is what these give there."""

    def __init__(
        self, graph: Graph, run: Mapping[Key, Any], backward: Iterable[Statement], account: Account
    ) -> None:
        super().__init__(graph.cost)
        self.account = account
        self.values, self.run, self.backward = graph.values, run, list(backward)
        self._runs: list[dict[Key, Any]] = []

    def of_line(self, key: Key, value: Any, runs: int) -> Any:
        """The size of the terms of a line as the sheet runs."""
        if self.large:
            return _largest(value)
        for run in range(len(self._runs), runs):
            self._runs.append(self._world(run, {}, self.run))
        return terms([world.get(key) for world in self._runs[:runs]], value)

    def of_line_given_truth(
        self,
        key: Key,
        value: Any,
        true: Mapping[Key, tuple[Value, float]],
        exactly: Mapping[Key, Any],
        runs: int,
    ) -> Any:
        """The same when each claim above it holds the gradient, times a factor, that it names."""
        if self.large:
            return _largest(value)
        worlds = [self._world(run, true, exactly, key) for run in range(runs)]
        return terms([world[key] for world in worlds], value)

    def _world(
        self,
        run: int,
        true: Mapping[Key, tuple[Value, float]],
        exactly: Mapping[Key, Any],
        last: Key | None = None,
    ) -> dict[Key, Any]:
        """What every name is, up to the line `last`."""
        if run not in self._graphs:
            self.account.spend(_NODE * len(self.values))
        now, _ = self.graph(run)
        self.account.spend(_NAME * (len(self.values) + len(self.backward)))
        world = {
            key: in_numbers(x, lambda v: now.get(v, v._data)) for key, x in self.values.items()
        }
        evaluator = NoisyEvaluator(world, Noise(run + RUNS), exactly, self.account)
        with np.errstate(all="ignore"):
            for statement in self.backward:
                key = statement.key
                if key in true and key != last:
                    node, factor = true[key]
                    self.account.charge(node.size, 20)
                    world[key] = factor * self.gradient(node, run)
                else:
                    world[key] = evaluator.get(statement.expr)
                if key == last:
                    break
        return world


def terms(outcomes: list[Any], at: Any) -> Any:
    """The size of the terms behind `at`, from what became of it when roundings were larger."""
    at = np.asarray(at, float)
    arrays = [array for array in map(_array, outcomes) if np.shape(array) == at.shape]
    if not arrays:
        return np.zeros(at.shape)
    with np.errstate(all="ignore"):
        apart = [np.abs(array - at) for array in arrays]
        size = (apart[0] if len(apart) == 1 else np.median(apart, axis=0)) / DELTA
    return np.where(np.isfinite(size), size, 0.0)


def _array(x: Any) -> Any:
    try:
        return np.asarray(x, float)
    except (TypeError, ValueError):  # a list of unequal parts, say
        return None


def agree(given: Any, truth: Any, size: Any, ignore: Any = None) -> bool:
    """Do numbers agree, entry by entry, as well as rounding lets them?"""
    given, truth = np.asarray(given, float), np.asarray(truth, float)
    with np.errstate(all="ignore"):
        good = (given == truth) | (np.abs(given - truth) <= SHARE * (np.abs(truth) + size))
    return bool((good if ignore is None else good | ignore).all())


def difference(given: Any, truth: Any) -> Any:
    """How far numbers are apart, entry by entry; infinitely where one is no number."""
    given, truth = np.asarray(given, float), np.asarray(truth, float)
    with np.errstate(all="ignore"):
        apart = np.where(given == truth, 0.0, np.abs(given - truth))
    return np.where(np.isnan(apart), np.inf, apart)


def relative_error(apart: Any, truth: Any, size: Callable[[], Any], share: float = SHARE) -> float:
    """The largest difference, entry by entry, as a share of the true number.

    Where that is small against the terms it was added up from, they count: what differs by no more
    than a `share` of them is off by `TOLERANCE` at most. `size` gives the terms; it is asked only
    where a difference is no tiny share of the number itself.
    """
    truth = np.abs(np.asarray(truth, float))
    with np.errstate(all="ignore"):
        shares = np.where(apart > 0, apart / truth, 0.0)
        if np.max(shares, initial=0.0) > SHARE:
            whole = np.maximum(truth, share / TOLERANCE * size())
            whole = np.where(whole > 0, whole, np.max(truth) or 1.0)
            shares = np.where(apart > 0, apart / whole, 0.0)
    return float(np.max(shares, initial=0.0))


def numerical_error(
    numeric: Any, given: Any, truth: Any, size: Callable[[], Any], of_cost: Callable[[], float]
) -> float:
    """The same of numbers against central differences.

    `of_cost` gives the size of the terms of the cost: where a difference quotient cannot tell the
    numbers apart, because it is made of roundings of that size, there is no error.
    """
    apart = difference(given, numeric)
    plain = relative_error(apart, truth, lambda: 0.0)
    if plain <= SMALL:
        return plain
    return relative_error(np.where(apart <= QUOTIENT * of_cost(), 0.0, apart), truth, size)
