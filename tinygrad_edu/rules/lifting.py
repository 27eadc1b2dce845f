"""The forward graph as formulas: the definition of each name, names for what would be too long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_edu.calculus.axes import Origins
from tinygrad_edu.core.ops import arithmetic, elementwise, linalg, reductions, shaping
from tinygrad_edu.core.primitive import Shape
from tinygrad_edu.core.sweep import needing
from tinygrad_edu.rules.formula import Formula
from tinygrad_edu.rules.indices import EYE, ONE_HOT, is_diagonal, is_new_or_whole, parts_of, picked
from tinygrad_edu.rules.layout import Layout
from tinygrad_edu.rules.naming import NamedGraph, same_numbers
from tinygrad_edu.rules.poly import Atom, Poly, rational
from tinygrad_edu.rules.simplify import Simplifier
from tinygrad_edu.words import say

#: A formula of more atoms than this is not written out inside another: it gets a name. So does a
#: deeper nest of operations, and what goes into one function more where so many that are not linear
#: are nested already: the chain rule makes a product with all of the nest in each factor.
LONGEST = 50
DEEPEST = 16
MOST_BENT = 3
#: What is looked at on both sides of a number is better read by a name.
KINKED = (arithmetic.maximum, arithmetic.minimum, elementwise.relu)


class LiftedGraph(NamedGraph):
    """A graph, and the formula of each node."""

    def __init__(
        self,
        cost: Any,
        convention: str,
        m: Any,
        names: Mapping[str, Any],
        facts: Mapping[Any, tuple[str, int | None]],
        origins: Origins | None = None,
        numbered: Mapping[Any, str] | None = None,
    ) -> None:
        super().__init__(cost, convention, m, names, facts, origins)
        self.gradients: dict[Atom, Any] = {}
        self.layout = Layout(
            self.algebra, lambda atom: atom in self.gradients, lambda atom: atom in self.given
        )
        self.simplifier = Simplifier(self.algebra, self.layout)
        self.arrays: dict[str, Any] = {}  # unnamed leaves by the names they were given
        self.formula: dict[Any, Formula] = {}
        self.given: dict[Atom, Any] = {}
        self.auto_named: dict[Any, None] = {}
        self._numbered = {} if numbered is None else numbered  # what these are to be called
        #: Names for the entries that are the largest, with the node and the formula of each.
        self.shares: dict[Atom, tuple[Any, Poly]] = {}
        self._lengths: dict[Poly, int] = {}
        self._written: dict[Any, int] = {}  # how long a node's forward line would be …
        self._nested: dict[Any, int] = {}  # … and how deep its brackets
        self._lift()

    def _cuts(self) -> set[Any]:
        """Where a long chain of unnamed quantities is cut, so that each piece can be read."""
        found: set[Any] = set()
        bent: dict[Any, int] = {}  # how many functions that are not linear are nested in a node
        for node in self.nodes:
            bent[node] = 0
            if node.op is None or node in self.name_of or node.op is linalg.matmul:
                continue
            inside = needing(node)
            if not _is_linear(node):
                for p in inside:
                    if bent[p] >= MOST_BENT:
                        found.add(p)
                        bent[p] = 0
            bent[node] = max((bent[p] for p in inside), default=0) + (not _is_linear(node))
        return found

    def _lift(self) -> None:
        nonlinear = self._inputs_of_nonlinear()
        self.cuts = self._cuts()
        self.margins = {
            parent
            for node in self.nodes if node.op in KINKED
            for parent in needing(node)
        }  # fmt: skip
        # Looked up among these, the largest is found only as it was computed, to the last digit.
        self.searched = {
            parent
            for node in self.nodes if node.op in (reductions.max, reductions.min)
            for parent in needing(node)
        }  # fmt: skip
        for node in self.nodes:
            if node.op is None:
                self.formula[node] = self._leaf(node)
                self._written[node] = self._nested[node] = 1
                continue
            inputs = tuple(self.formula[p] for p in node.parents)
            formula = node.op(*inputs, **self.options(node))
            shape = self.shape(node)
            if node.op in (arithmetic.add, arithmetic.subtract):
                self.algebra.keep(formula.poly)
            unnamed = [p for p in node.parents if p not in self.name_of]
            self._written[node] = 1 + sum(self._written[p] for p in unnamed)
            self._nested[node] = 1 + max((self._nested[p] for p in unnamed), default=0)
            if node not in self.name_of and self._deserves_a_name(node, formula.poly, nonlinear):
                text = self._numbered.get(node)
                text = self.identifiers.fresh("t") if text is None else self.identifiers.of(text)
                self._name(node, text)
                self.auto_named[node] = None
            if node in self.name_of and node is not self.cost:
                atom = self.algebra.name(self.name_of[node], shape)
                if formula.poly.atom is not None and formula.poly.atom.positive:
                    atom.positive = True
                self.simplifier.define(atom, formula.poly)
                self._declare(node, atom, shape)
                formula = Formula(self.algebra, self.algebra.of(atom), shape)
                self._name_share(node, formula, inputs)
            self.formula[node] = Formula(self.algebra, formula.poly, shape)

    def _name_share(self, node: Any, formula: Formula, inputs: tuple[Formula, ...]) -> None:
        """Which entry of a block is the largest, shared by those that tie: long, and read in a
        product."""
        if node.op not in (reductions.max, reductions.min) or node.parents[0] not in self.name_of:
            return
        axes = reductions.axes_of(len(inputs[0].shape), node.options.get("axis"))
        if not 1 < len(axes) < len(inputs[0].shape):
            return
        [x] = inputs
        one = Formula(self.algebra, self.algebra.one, formula.shape)
        share = node.op.rules[0](one, formula, x, **node.options).poly
        text = self.identifiers.fresh("share")
        atom = self.algebra.name(text, x.shape)
        if self.simplifier.abbreviate(atom, share):
            self.shares[atom] = node, share

    # --- leaves ----------------------------------------------------------------------------------

    def _leaf(self, node: Any) -> Formula:
        algebra, shape = self.algebra, self.shape(node)
        divisor = self.divisors.get(node)
        if divisor is not None and (node not in self.name_of or divisor[1] == divisor[2] == 1):
            axis, factor, power = divisor
            poly = (self.lengths.of(axis).symbol ** power).scaled(rational(factor))
            return Formula(algebra, poly, shape)
        if node not in self.name_of and node not in self.learning:
            if not node.shape and np.isfinite(node._data):
                return Formula(algebra, algebra.number(float(node._data)), shape)
            known = self._made_from_known(node)
            if known is not None:
                return Formula(algebra, known, shape)
        labels = None if node in self.name_of else self.labels(node)
        if labels is not None:
            one_hot = algebra.call(ONE_HOT, (), {"n": shape[labels[0]], "index": labels[1]}, shape)
            return Formula(algebra, one_hot, shape)
        if node not in self.name_of and node in self.identities:
            eye = algebra.call(EYE, (), {"n": shape[0]}, shape)
            assert eye.atom is not None
            self._declare(node, eye.atom, shape)
            return Formula(algebra, eye, shape)
        if node not in self.name_of:
            self._name_array(node)
        constant = node not in self.learning and node.shape == ()
        fact = self.facts.get(node, ("", None))[0]
        positive = constant and float(node._data) > 0
        atom = algebra.name(
            self.name_of[node], shape, mask=fact == "binary", positive=positive, constant=constant
        )
        self.given.setdefault(atom, node)
        self._declare(node, atom, shape)
        return Formula(algebra, algebra.of(atom), shape)

    def _made_from_known(self, node: Any) -> Poly | None:
        """``1 - Y`` or ``-Y`` of a plain array Y: NumPy computed it before a Value was met."""
        for atom, other in self.given.items():
            if other.shape == node.shape and other not in self.learning:
                y = self.algebra.of(atom)
                for poly, numbers in (
                    (self.algebra.one - y, 1 - other._data),
                    (y.scaled(-1), -other._data),
                ):
                    if np.array_equal(numbers, node._data):
                        return poly
        return None

    def _name_array(self, node: Any) -> None:
        """A name for an unnamed leaf; two constants of the same numbers share it."""
        if node not in self.learning:
            for text, other in self.arrays.items():
                if same_numbers(other, node):
                    self.name_of[node] = text
                    return
        text = self.identifiers.fresh("p" if node in self.learning else "c")
        self.arrays[text] = node
        self._name(node, text)

    def _declare(self, node: Any, atom: Atom, shape: Shape) -> None:
        kind, axis = self.facts.get(node, ("", None))
        if kind in ("onehot", "probabilities") and axis is not None:
            axis %= len(shape)
            seen = say("why.seen") if node in self.seen else ""
            reason = say(f"why.{kind}", name=atom.name, axis=axis, seen=seen)
            self.simplifier.declare_sum(atom, shape, axis - len(shape), reason)
        if node in self.identities:
            for axis in (-2, -1):
                reason = say("why.identity")
                self.simplifier.declare_sum(atom, shape, axis, reason)

    # --- what gets a name ------------------------------------------------------------------------

    def _inputs_of_nonlinear(self) -> set[Any]:
        bent = [node for node in self.nodes if node.op is not None and not _is_linear(node)]
        return {parent for node in bent for parent in node.parents}

    def _deserves_a_name(self, node: Any, poly: Poly, nonlinear: set[Any]) -> bool:
        """An unnamed pre-activation or margin would be written twice, a deep nest not be read."""
        if node is self.cost:
            return False
        if self.too_long(poly) or self._written[node] > LONGEST or self._nested[node] > DEEPEST:
            return True
        if node in self.cuts or self._is_taken_apart(node):
            return True
        if not node.shape:
            return False
        if node.op.name in ("mean", "var", "std", "norm") and node.requires_grad:
            return True
        if "activation" in node.op.traits and node.parents[0] in self.auto_named:
            return True
        if node in self.searched and not (poly.atom is not None and poly.atom.is_name):
            return True
        if node in self.margins and any(a.op is not None for a in poly.atoms()):
            return True
        holds_product = any(a.op is linalg.matmul for a in poly.atoms())
        return holds_product and node in nonlinear and bool(node.requires_grad)

    def _is_taken_apart(self, node: Any) -> bool:
        """Are entries picked from a node by an index that a gradient is put together at?"""
        return node.requires_grad and any(
            user.op is shaping.getitem
            and not all(map(is_new_or_whole, parts_of(user.options["index"])))
            and picked(self.options(user)["index"], node.shape) is None
            and not is_diagonal(self.options(user)["index"], node.shape)
            for user in self.roles.users.get(node, ())
        )

    def too_long(self, poly: Poly) -> bool:
        """To be written out inside another formula."""
        return self._length(poly) > LONGEST

    def _length(self, poly: Poly) -> int:
        """How many atoms a formula is written with."""
        length = self._lengths.get(poly)
        if length is None:
            arguments = [arg for mono in poly.terms for atom, _ in mono for arg in atom.args]
            length = sum(len(mono) for mono in poly.terms) + sum(map(self._length, arguments))
            self._lengths[poly] = length
        return length


def _is_linear(node: Any) -> bool:
    """In what needs a gradient."""
    if node.op in (arithmetic.multiply, arithmetic.divide):
        return len(needing(node)) < len(node.parents)
    return not node.op.traits.isdisjoint({"linear", "bilinear"})
