"""Which axes of a graph are the same axis, which is the examples', and what m is.

Two axes of equal length need not be one axis. Each operation says which axes of its result are
which axes of its inputs; what is connected this way is one axis. The examples' axis is the one that
the cost averages over. That is told by where numbers come from, never by their values alone: a mean
that was taken, a number that is known to be a length. ``0.5 *`` is no mean of two examples.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np

from tinygrad_edu.calculus.alignment import normalised, repeated, same_axes
from tinygrad_edu.core.ops import arithmetic, linalg, reductions, shaping
from tinygrad_edu.core.ops.reductions import axes_of
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.sweep import needed, reachable
from tinygrad_edu.core.value import Value

#: One axis: the creation number of a node that has it, and which of the node's axes it is.
Axis = tuple[int, int]

#: What data are called, rather than parameters: X, Y, T, A0 and the like.
DATA = re.compile(
    r"(x|y|t|a_?0|inputs?|features?|images?|labels?|targets?|data)(_?\d+|_\w+)?|x\w",
    re.IGNORECASE,
)
#: The states that a recurrent net starts from: of each example its own, they are data.
STATE = re.compile(r"[hcs]_?0", re.IGNORECASE)
#: What a cost may still do to a sum of losses without becoming anything else than a sum of losses.
_SHAPES_ONLY = frozenset(
    {shaping.reshape, shaping.transpose, shaping.broadcast_to, shaping.sum_to, arithmetic.positive}
)
#: How a weight or a baseline meets what it is for.
_PAIRING = frozenset({arithmetic.add, arithmetic.subtract, arithmetic.multiply})
#: No more nodes of a cost than this are looked at for its sums.
_MOST_NODES = 1000


@dataclass(frozen=True)
class Length:
    """A number known to be a length, and of which axes of which nodes; of none if unknown."""

    n: int
    axes: frozenset[tuple[Value, int]] = frozenset()


@dataclass(frozen=True)
class Origins:
    """Where the numbers of a graph come from, which their values do not tell.

    `lengths`: what constants are made of, as powers of lengths (``1/m``: m to the power −1);
    `data`: the leaves that are data rather than parameters; `called`: what lengths of nodes are
    called, as formulas (``n``, ``h * d``) of names whose numbers are `sizes`.
    `indices`: how the parts of an index are written, a slice by its limits; `made`: the formulas
    of whole numbers and plain arrays that have a name, `written` those of such that have none.
    """

    lengths: Mapping[Value, list[tuple[Length, int]]]
    data: frozenset[Value]
    called: Mapping[tuple[Value, int], str] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    indices: Mapping[Value, tuple[Any, ...]] = field(default_factory=dict)
    made: Mapping[str, str] = field(default_factory=dict)
    written: Mapping[Value, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Examples:
    """m, the examples' axis, and the nodes that have it.

    `carriers` and `axis` are None where m alone is known; `axes` are all that examples lie along.
    `parameters`: the given quantities that are no data, so that their gradients have one scale.
    `told`: m was given by who asked. `assumed`: why a mere number was taken for m, or two lengths
    for one; empty where it is known.
    """

    m: int
    axis: Axis | None = None
    carriers: frozenset[Value] | None = None
    parameters: frozenset[Value] = frozenset()
    told: bool = False
    assumed: str = ""
    axes: frozenset[Axis] = frozenset()

    def has(self, node: Value) -> bool:
        """Does `node` carry the examples?"""
        return self.m in node.shape if self.carriers is None else node in self.carriers

    def scale(self, node: Value) -> float:
        """The lecture's factor of ``∂J/∂node``: m for computed quantities of all examples."""
        return float(self.m) if node.op is not None and self.has(node) else 1.0

    def scales(self, node: Value) -> list[float]:
        """The factors in use: of given data both the lecture's and calculus' are."""
        if node.op is None and self.has(node) and node not in self.parameters:
            return [1.0, float(self.m)]
        return [self.scale(node)]


@dataclass(frozen=True)
class Term:
    """A sum that a cost is made of: the axes it runs over, and what it was divided by.

    `averaged`: the axes a mean was taken over; `powers`: of the lengths of axes (or of lengths of
    which only the number is known) in the factor; `numbers`: mere numbers it was divided by.
    """

    summed: frozenset[Axis] = frozenset()
    averaged: frozenset[Axis] = frozenset()
    powers: tuple[tuple[Axis | int, int], ...] = ()
    numbers: tuple[float, ...] = ()

    def power(self, axis: Axis, n: int) -> int:
        """To which power the length n of an axis stands in the factor."""
        return sum(p for of, p in self.powers if of in (axis, n))


class Axes:
    """The axes of a graph's nodes (oldest first), joined where they are the same."""

    def __init__(self, nodes: list[Any]) -> None:
        self.nodes = nodes
        self.learning = needed(nodes)
        self._node = {node._created: node for node in nodes}
        self._leader: dict[Axis, Axis] = {}
        self.repeated: dict[Axis, int] = {}  # how often an input was broadcast along the axis
        self.contracted: set[Axis] = set()  # summed over by a matrix product
        self.mixed: set[Axis] = set()  # normalised over: the entries depend on one another
        self.members: dict[Axis, list[tuple[Any, int]]] = {}
        computed = [node for node in nodes if node.op is not None]
        for node in computed:
            for (one, i), (other, j) in same_axes(node):
                self._join((one._created, i), (other._created, j))
        for node in computed:
            self._use(node)
        for node in nodes:
            for i, n in enumerate(node.shape):
                if n != 1:
                    self.members.setdefault(self.find((node._created, i)), []).append((node, i))

    def _use(self, node: Any) -> None:
        """What an operation does with axes that are known."""
        for parent in node.parents if node.op.shape_rule is not None else ():
            for axis in repeated(node, parent) if parent.shape and parent.op is None else ():
                key = self.find((node._created, axis))
                self.repeated[key] = self.repeated.get(key, 0) + 1
        if node.op is linalg.matmul:
            self.contracted |= self.at(node.parents[0], [-1])
        self.mixed |= self.at(*normalised(node))

    def find(self, axis: Axis) -> Axis:
        """The representative of an axis."""
        while (leader := self._leader.get(axis, axis)) != axis:
            self._leader[axis] = self._leader.get(leader, leader)
            axis = leader
        return axis

    def _join(self, x: Axis, y: Axis) -> None:
        x, y = self.find(x), self.find(y)
        if x != y:
            self._leader[x] = y

    def at(self, node: Any, places: Any) -> set[Axis]:
        """Some axes of a node, those of length 1 left out."""
        shape = node.shape
        return {self.find((node._created, i % len(shape))) for i in places if shape[i] != 1}

    def of(self, node: Any) -> list[Axis | None]:
        """The axes of a node; None for one of length 1."""
        return [None if n == 1 else self.find((node._created, i)) for i, n in enumerate(node.shape)]

    def length(self, axis: Axis) -> int:
        """How long it is."""
        return int(self._node[axis[0]].shape[axis[1]])

    def likeliest(self, axes: set[Axis]) -> Axis | None:
        """The axis that examples lie along: biases are repeated over it, most nodes have it."""
        ranked = sorted(axes, key=lambda a: (-self.repeated.get(a, 0), -len(self.members[a]), a))
        return ranked[0] if ranked else None

    def of_length(self, length: Length) -> set[Axis]:
        """The axes that a length is the length of; empty where that is not known."""
        known = [(node, i) for node, i in length.axes if node._created in self._node]
        return set().union(*(self.at(node, [i]) for node, i in known))

    def leaves(self, axis: Axis) -> list[Any]:
        """The leaves that have it."""
        return [node for node, _ in self.members.get(axis, ()) if node.op is None]

    # --- constants that stand for lengths --------------------------------------------------------

    def divisors(
        self, examples: Examples | None = None, origins: Origins | None = None
    ) -> dict[Any, tuple[Axis, Fraction, Fraction | int]]:
        """Constants that stand for the length n of an axis: ``factor * n**±1``, or its root.

        By where they come from; where that is not known, a divisor of something summed is the
        length of an axis summed over if it is as long, the examples' first. So it is of m, if told.
        """
        found: dict[Any, tuple[Axis, Fraction, Fraction | int]] = {}
        for node in self.nodes:
            for constant, summed in self._division(node):
                if constant in found or not constant._data:
                    continue
                if origins is None:
                    divisor = self._by_value(constant, summed, examples)
                else:
                    powers = origins.lengths.get(constant, [])
                    divisor = self._by_origin(constant, summed, examples, powers)
                    if divisor is None and examples is not None and examples.told:
                        divisor = self._by_value(constant, summed & {examples.axis}, examples)
                if divisor is not None:
                    found[constant] = divisor
        return found

    def _by_origin(
        self,
        constant: Any,
        summed: frozenset[Axis],
        examples: Examples | None,
        powers: list[tuple[Length, int]],
    ) -> tuple[Axis, Fraction, int] | None:
        if len(powers) != 1:
            return None
        [(length, power)] = powers
        fits = self.of_length(length) or {a for a in summed if self.length(a) == length.n}
        axis = self._likeliest(fits, examples)
        if axis is None or power not in (1, -1):
            return None
        factor = Fraction(float(constant._data) / length.n**power).limit_denominator(1000)
        return axis, factor, power

    def _by_value(
        self, constant: Any, summed: frozenset[Axis], examples: Examples | None
    ) -> tuple[Axis, Fraction, Fraction | int] | None:
        c = float(constant._data)
        if abs(c) in (0.5, 0.25):  # more often the half of a square
            return None
        for times, power in ((1, 1), (2, 1), (1, -1), (2, -1)):
            n = abs(c**power) / times
            fits = {a for a in summed if math.isclose(n, self.length(a))}
            if n == 2:  # more often the 2 of a square than a length
                fits = {a for a in fits if self.repeated.get(a)}
            axis = self._likeliest(fits, examples)
            if axis is not None:
                return axis, Fraction(times) ** power * (1 if c > 0 else -1), power
        return self._by_root(c, summed, examples)

    def _by_root(
        self, c: float, summed: frozenset[Axis], examples: Examples | None
    ) -> tuple[Axis, Fraction, Fraction] | None:
        """The length that a number is the root of, or one over it: that of no other is as near."""
        for power in (2, -2) if not c.is_integer() else ():
            fits = {a for a in summed if math.isclose(abs(c) ** power, self.length(a))}
            axis = self._likeliest(fits, examples)
            if axis is not None:
                return axis, Fraction(1 if c > 0 else -1), Fraction(1, power)
        return None

    def _likeliest(self, fits: set[Axis], examples: Examples | None) -> Axis | None:
        if examples is not None and examples.axis in fits:
            return examples.axis
        return self.likeliest(fits)

    def _division(self, node: Any) -> Iterator[tuple[Any, frozenset[Axis]]]:
        """Constants in a divisor (or factor) of something summed, and the axes of those sums."""
        if node.op is None or node.op.name not in ("divide", "multiply"):
            return
        x, y = node.parents
        for scale, summed in ((y, x), (x, y)) if node.op.name == "multiply" else ((y, x),):
            if scale.shape == () and scale not in self.learning:
                axes = self.summed(summed)
                if axes:
                    for leaf in self._leaves(scale):
                        yield leaf, axes

    def _is_number(self, node: Any) -> bool:
        """Is a node one number that depends on nothing differentiable?"""
        return node.size == 1 and node not in self.learning

    def _leaves(self, node: Any) -> list[Any]:
        """The constant single numbers a constant was computed from."""
        found, stack = [], [node]
        while stack:
            at = stack.pop()
            if at.op is None:
                found.append(at)
            stack.extend(p for p in at.parents if p.shape == () and p not in self.learning)
        return found

    def summed(self, node: Any) -> frozenset[Axis]:
        """The axes summed over on the way to `node`, through what only scales and adds."""
        return self._sums[node]

    @cached_property
    def _sums(self) -> dict[Any, frozenset[Axis]]:
        """`summed` of all nodes, each from that of its inputs."""
        found: dict[Any, frozenset[Axis]] = {}
        for node in self.nodes:
            passed = self._passed(node)
            own: set[Axis] = set()
            if node.op in (reductions.sum, reductions.mean):
                own = self._gone(node)
            elif node.op is linalg.matmul:
                own = self.at(node.parents[0], [-1])
            found[node] = frozenset(own).union(*(found[x] for x in passed))
        return found

    def _passed(self, node: Any) -> list[Any]:
        """The inputs that a node only scales, adds or sums."""
        op, parents = node.op, node.parents
        if op in (arithmetic.add, arithmetic.subtract):
            return [p for p in parents if not self._is_number(p)]
        if op in (arithmetic.multiply, arithmetic.divide) and self._is_number(parents[1]):
            return [parents[0]]
        if op is arithmetic.multiply and self._is_number(parents[0]):
            return [parents[1]]
        only = op in (arithmetic.negative, reductions.sum, reductions.mean) or op in _SHAPES_ONLY
        return [parents[0]] if only else []

    def _gone(self, node: Any) -> set[Axis]:
        """The axes that a sum or mean is taken over."""
        [x] = node.parents
        return self.at(x, axes_of(len(x.shape), node.options.get("axis")))

    # --- the sums a cost is made of ---------------------------------------------------------------

    def terms(self, cost: Any, origins: Origins | None = None) -> Iterator[Term]:
        """The sums that a cost is made of, each with what it is divided by."""
        stack, seen = [(cost, Term())], 0
        while stack and seen < _MOST_NODES:
            node, term = stack.pop()
            seen += 1
            op, parents = node.op, node.parents
            if op in (arithmetic.add, arithmetic.subtract):
                stack.extend((p, term) for p in parents if not self._is_number(p))
            elif op is arithmetic.negative or op in _SHAPES_ONLY:
                stack.append((parents[0], term))
            elif op in (reductions.sum, reductions.mean):
                stack.append((parents[0], self._summed(node, term)))
            elif op in (arithmetic.multiply, arithmetic.divide) and self._is_number(parents[1]):
                below = op is arithmetic.divide
                stack.append((parents[0], self._scaled(term, parents[1], below, origins)))
            elif op is arithmetic.multiply and self._is_number(parents[0]):
                stack.append((parents[1], self._scaled(term, parents[0], False, origins)))
            elif op is linalg.matmul:  # a sum over examples written as a product, Y @ log(A).T
                yield replace(term, summed=term.summed | self.at(parents[0], [-1]))
            else:
                yield term

    def _summed(self, node: Any, term: Term) -> Term:
        """A term below one more sum or mean."""
        gone = self._gone(node)
        averaged = gone if node.op is reductions.mean else frozenset()
        return replace(term, summed=term.summed | gone, averaged=term.averaged | averaged)

    def _scaled(self, term: Term, by: Any, below: bool, origins: Origins | None) -> Term:
        """A term below one more constant factor or divisor."""
        if origins is None:
            number = _divisor(by, below)
            return term if number is None else replace(term, numbers=(*term.numbers, number))
        powers = list(term.powers)
        for length, power in _powers(by, origins, -1 if below else 1):
            of: set[Any] = set(self.of_length(length))
            powers += [(key, power) for key in of or {length.n}]
        return replace(term, powers=tuple(powers))


# --- the examples ---------------------------------------------------------------------------------


def find_examples(
    cost: Value, m: int | None = None, origins: Origins | None = None
) -> Examples | None:
    """The examples' axis of `cost`; None where it averages over none, or several fit.

    Evidence is a mean over an axis, or a division by a number that `origins` know to be its length.
    Where nothing is known of numbers, a whole number that the cost divides by is taken for the one
    length that data share, if it is as large, and `Examples.assumed` says so. `m`, if given, is
    evidence enough for an axis of that length; every computed quantity with one counts if the cost
    does not tell which it is.

    Raises GradError where m is no number of examples.

    >>> x, w = Value([[1.0, 2.0, 3.0]], "x"), Value([[2.0]], "w")
    >>> find_examples(((w @ x) ** 2).sum() / 3).m
    3
    >>> find_examples(((w @ x) ** 2).sum() * 0.5) is None
    True
    """
    if m is not None and (not isinstance(m, Real) or m is True or m < 1 or m % 1):
        raise GradError(f"m is the number of examples, a whole number of at least 1, not {m!r}")
    search = _Search(cost, origins)
    axis, assumed = search.found() if m is None else (search.of_length(int(m)), "")
    if axis is None:
        return None if m is None else Examples(int(m), parameters=search.parameters, told=True)
    axes = search.paired(axis)
    carriers = frozenset(node for a in axes for node, _ in search.axes.members[a])
    states = {node for node in search.parameters & carriers if STATE.fullmatch(node.name or "")}
    n, told = search.axes.length(axis), m is not None
    return Examples(n, axis, carriers, search.parameters - states, told, assumed, frozenset(axes))


def data_among(leaves: list[Value], origins: Origins | None) -> frozenset[Value]:
    """The leaves that are data rather than parameters, by kind and name."""
    constants = frozenset(node for node in leaves if not node.requires_grad)
    if origins is not None:
        return origins.data | constants
    return constants.union(node for node in leaves if DATA.fullmatch(node.name or ""))


class _Search:
    """Looks for the examples' axis of one cost."""

    def __init__(self, cost: Value, origins: Origins | None) -> None:
        order = reachable(cost, every=True)[::-1]
        self.axes, self.origins = Axes(order), origins
        leaves = [node for node in order if node.op is None and node.size > 1]
        self.data = data_among(leaves, origins)
        self.data |= self._beside_data(order, leaves)
        self.parameters = frozenset(node for node in leaves if node not in self.data)
        self.moving = [node for node in order if node.op is None and node in self.axes.learning]
        self.terms = list(self.axes.terms(cost, origins))
        #: All that are the examples', if there are several.
        self.alike: frozenset[Axis] = frozenset()

    def _beside_data(self, order: list[Value], leaves: list[Value]) -> frozenset[Value]:
        """The leaves with one number for each example: on an axis of data, and met by computed
        quantities element by element only, as weights and baselines are."""
        found = {leaf for leaf in leaves if self._is_on_axis_of_data(leaf)} - self.data
        for node in order:
            for leaf in found.intersection(node.parents):
                others = [p for p in node.parents if p.op is not None and p.shape == leaf.shape]
                if node.op not in _PAIRING or not others:
                    found.remove(leaf)
        return frozenset(found)

    def _is_on_axis_of_data(self, leaf: Value) -> bool:
        axes = [a for a in self.axes.of(leaf) if a is not None and self.axes.length(a) != 1]
        return len(axes) == 1 and not self.data.isdisjoint(self.axes.leaves(axes[0]))

    def found(self) -> tuple[Axis | None, str]:
        """The one axis there is evidence for, and what was assumed."""
        known = {
            axis
            for term in self.terms
            for axis in term.summed
            if self._may_be(axis, term) and self._is_averaged(axis, term)
        }
        if len(known) > 1:
            known = {axis for axis in known if self._only_data(axis)} or known
        if len(known) == 1:
            return known.pop(), ""
        if self._are_alike(known):
            self.alike = frozenset(known)
            named = [leaf.name for axis in sorted(known) for leaf in self.axes.leaves(axis)]
            return min(known), f"the length that {' and '.join(filter(None, named))} share"
        if known or self.origins is not None:
            return None, ""
        assumed = {axis: d for term in self.terms for axis, d in self._assumed(term)}
        if len(assumed) != 1:
            return None, ""
        [(axis, d)] = assumed.items()
        named = [leaf.name for leaf in self.axes.leaves(axis) if leaf.name]
        shared = f", the length that {' and '.join(named)} share" if len(named) > 1 else ""
        return axis, f"taken from the number {d:.6g} the cost is divided by{shared}"

    def _are_alike(self, known: set[Axis]) -> bool:
        """Is each of some axes averaged over for itself and as long as the others, as are those of
        real and made examples?"""
        return (
            self.origins is None
            and len({self.axes.length(axis) for axis in known}) == 1
            and all(self._only_data(axis) for axis in known)
            and not any(len(known & term.summed) > 1 for term in self.terms)
        )

    def paired(self, axis: Axis) -> set[Axis]:
        """The axis and those that only data have and that are as long, or were declared by the
        same name: where examples are compared with examples, both sides have an axis of their own.
        """
        if axis in self.alike:
            return set(self.alike)
        called = {} if self.origins is None else self.origins.called
        found = {a: text for at, text in called.items() for a in self.axes.of_length(_one(*at))}
        same = {a for a, text in found.items() if text == found.get(axis) and self._only_data(a)}
        return {axis, *same}

    def of_length(self, m: int) -> Axis | None:
        """The axis of that length that the cost sums over and only data have, or the likeliest."""
        fits = {
            axis
            for term in self.terms
            for axis in term.summed
            if self.axes.length(axis) == m and self._may_be(axis, term)
        }
        if len(fits) > 1:
            fits = {axis for axis in fits if self._only_data(axis)} or fits
        return self.axes.likeliest(fits)

    def _may_be(self, axis: Axis, term: Term) -> bool:
        """Could a term's sum over an axis be one over examples?"""
        axes = self.axes
        if axis in axes.mixed or (axis in axes.contracted and len(term.summed) > 1):
            return False
        # If every leaf has the axis, there is no parameter to be averaged for.
        return not all(axis in axes.of(leaf) for leaf in self.moving)

    def _is_averaged(self, axis: Axis, term: Term) -> bool:
        """Does a term divide by the length of an axis, and not by a number as large?"""
        power = term.power(axis, self.axes.length(axis))
        if axis in term.averaged:
            # A mean over units has this form too; examples have no parameters of their own.
            return power < 1 and (self._repeats_parameter(axis) or self._only_data(axis))
        return power < 0

    def _only_data(self, axis: Axis) -> bool:
        leaves = self.axes.leaves(axis)
        return bool(leaves) and all(leaf in self.data for leaf in leaves)

    def _repeats_parameter(self, axis: Axis) -> bool:
        """Is a parameter, a bias say, repeated along an axis that none has?"""
        leaves = self.axes.leaves(axis)
        return axis in self.axes.repeated and not any(leaf in self.parameters for leaf in leaves)

    def _assumed(self, term: Term) -> Iterator[tuple[Axis, float]]:
        """The axis whose length one of the numbers that a term is divided by may well be."""
        shared = [axis for axis in term.summed if self._only_data(axis)]
        if len(shared) == 1 and self._may_be(shared[0], term):
            [axis] = shared
            n = self.axes.length(axis)
            others = math.prod(self.axes.length(a) for a in term.summed if a != axis)
            for d in term.numbers:
                if d in (n, 2 * n, n * others, 2 * n * others):
                    yield axis, d


def _one(node: Value, i: int) -> Length:
    return Length(node.shape[i], frozenset({(node, i)}))


def _powers(node: Value, origins: Origins, power: int) -> list[tuple[Length, int]]:
    """The lengths that a constant computed from others is a product or quotient of."""
    found: list[tuple[Length, int]] = []
    stack = [(node, power)]
    while stack:
        at, power = stack.pop()
        if at in origins.lengths:
            found += [(length, p * power) for length, p in origins.lengths[at]]
        elif at.op is arithmetic.divide:
            stack += [(at.parents[0], power), (at.parents[1], -power)]
        elif at.op in (arithmetic.multiply, arithmetic.negative, arithmetic.positive):
            stack += [(parent, power) for parent in at.parents]
    return found


def _divisor(node: Value, below: bool) -> float | None:
    """The whole number that a constant divides by: 5 of ``/ 5``, and of ``0.2 *``.

    Of 0.5 and 0.25 nobody can tell; they are more often factors of their own.
    """
    number = abs(float(np.asarray(node._data).reshape(())))
    if below:
        return number if number.is_integer() else None
    whole = round(1 / number) if 0 < number < 1 else 0
    return float(whole) if whole and 1 / whole == number and number not in (0.5, 0.25) else None
