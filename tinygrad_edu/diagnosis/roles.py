"""What a formula *is*, asked of its values: a weight, a mask, a gradient, a derivative, a size.

The sentences about mistakes are made of these answers; see the room diagnosis.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.checking.truth import constant_ratio, equal, is_scalar
from tinygrad_edu.core.sweep import reachable
from tinygrad_edu.core.value import Value
from tinygrad_edu.diagnosis.context import Activation, Context
from tinygrad_edu.diagnosis.parts import kind_of_product
from tinygrad_edu.sheets.lines import Key
from tinygrad_edu.sheets.syntax import Expr, walk


class Roles:
    """What the formulas of one judged sheet are."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.sheet = context.sheet
        graph = context.graph
        self.parameters = [
            (name, 0) for name in self.sheet.givens if isinstance(graph.values[name, 0], Value)
        ]
        self.examples = context.judged.examples
        self.matrices, self.operands = self._products()
        self.masks = [
            key for key in self.parameters
            if self.sheet.givens[key[0]].kind == "binary" and self._multiplies(key)
        ]  # fmt: skip
        #: Numbers that count examples.
        self.sizes = self._sizes()

    def _products(self) -> tuple[set[Key], set[Key]]:
        """Given matrices that are multiplied with something (weights), and what they multiply."""
        weights: set[Key] = set()
        operands: set[Key] = set()
        for e in self.context.written:
            for a in e.args[:2] if kind_of_product(e) == "@" else ():
                for key in a.names:
                    (weights if self._is_weight(key) else operands).add(key)
        return weights, operands

    def _is_weight(self, key: Key) -> bool:
        value = self.context.graph.values.get(key)
        if not isinstance(value, Value) or value.op is not None:
            return False
        if self.examples is not None and self.examples.carriers is not None:
            main = self.context.judged.sheet.main.values[key]
            return not self.examples.has(main)
        return True

    def _multiplies(self, key: Key) -> bool:
        name = self.context.name(key)
        return any(e.op == "*" and name in e.args for e in self.context.written)

    def scales(self, key: Key) -> bool:
        """Is a given vector multiplied with something larger, as a gain is?"""
        size = np.size(self.context.plain[key])
        return self._multiplies(key) and any(
            np.size(self.context.plain[k]) > size > 1 for k in self.parameters
        )

    def is_gain(self, key: Key) -> bool:
        """Is this what the forward pass multiplies something normalised with?"""
        given = key in self.parameters and key not in self.matrices
        claimed = f"d{key[0]}" in self.sheet.claims
        return given and self.normalises() and (claimed or self.scales(key))

    def _sizes(self) -> set[float]:
        """Numbers that count examples: what an average divides by."""
        sizes = {float(self.examples.m)} if self.examples is not None else set()
        plain = self.context.judged.samples[0].plain
        lengths = {n for key in self.parameters for n in np.shape(plain[key]) if n > 1}
        for key, value in plain.items():
            if key[0] not in self.sheet.givens and is_scalar(value) and value in lengths:
                if key not in self.context.graph_scalars | self.context.decimals:
                    sizes.add(float(value))
        return sizes

    def derivative(self, e: Expr) -> Activation | None:
        """The activation whose derivative a formula, no name, is by its values."""
        if e.op == "name" or self.context.value(e) is None or self.context.constant(e) is not None:
            return None
        samples = range(len(self.context.samples))
        return next(
            (
                x
                for x in self.context.curved
                if all(equal(self.context.value(e, i), x.values[i]) for i in samples)
            ),
            None,
        )

    def quantity(self, e: Expr) -> Key | None:
        """The quantity that a formula is by its values; None of a constant, and of a derivative."""
        value = self.context.value(e)
        if value is None or self.context.constant(e) is not None:
            return None
        if e.op == "name":
            return e.extra  # type: ignore[no-any-return]
        if not isinstance(value, np.ndarray) or self.derivative(e) is not None:
            return None
        name, same = self.context.name, self.context.same
        return next((key for key in self.context.forward_keys if same(e, name(key))), None)

    def kind(self, key: Key) -> str:
        """What a name stands for: a mask, a weight, a gradient, …"""
        if key in self.masks:
            return "mask"
        if key not in self.context.graph.values:
            return "gradient" if key[0] in self.sheet.claims else "scratch"
        if key in self.matrices:
            return "weight"
        value = self.context.graph.values[key]
        if isinstance(value, Value) and value.op and value not in self.context.samples[0].reached:
            return "gradient" if self.is_gradient_like(self.context.name(key)) else "scratch"
        if isinstance(value, Value) and value.op is None and key not in self.operands:
            return "given"
        return "forward"

    def keep_probabilities(self) -> list[float]:
        """Numbers the forward pass divides (or multiplies) by where it applies a mask."""
        found = []
        for key, value in self.context.judged.samples[0].plain.items():
            if is_scalar(value) and 0 < value < 1 and key not in self.context.graph_scalars:
                if self._goes_with_mask(key):
                    found.append(float(value))
        return found

    def _goes_with_mask(self, key: Key) -> bool:
        """Does a number stand beside a mask, or scale what a mask was applied to just before?"""
        masked = {s.key for s in self.sheet.forward if s.expr.names & set(self.masks)}
        return any(
            key in (read := s.expr.names) and (s.key in masked or read & masked)
            for s in self.sheet.forward
        )

    def is_softmax(self, key: Key) -> bool:
        """Is a computed quantity positive, summing to one along an axis?"""
        value = self.context.plain.get(key)
        if not isinstance(value, np.ndarray) or value.size < 2 or not self.context.computed(key):
            return False
        sums = (value.sum(axis=axis) for axis in (None, *range(value.ndim)))
        return bool(np.all(value >= 0)) and any(np.allclose(s, 1.0) for s in sums)

    def of_parameters(self, t: Expr) -> bool:
        """Is a term made of parameters alone?"""
        context = self.context
        keys = {
            key
            for key in t.names
            if key not in context.forward_keys or context.depends(context.name(key))
        }
        return bool(keys) and keys <= set(self.parameters)

    def is_gradient_name(self, e: Expr) -> bool:
        """Is this the name of a gradient?"""
        return e.op == "name" and self.kind(e.extra) == "gradient"

    def is_gradient(self, e: Expr) -> bool:
        """Is a formula a gradient, by its name or its values?"""
        return self.is_gradient_name(e) or self.is_gradient_like(e)

    def normalises(self) -> bool:
        """Does the forward pass subtract a mean over examples and divide by a deviation?"""
        centred = divided = False
        for e in self.context.written:
            shapes = [np.shape(self.context.value(a)) for a in e.args] if e.op == "-" else []
            centred |= e.function in ("mean", "var", "std")
            centred |= len(set(shapes)) == 2 and () not in shapes
            divided |= e.function in ("sqrt", "std")
            divided |= e.op == "**" and self.context.constant(e.args[1]) == -0.5
        return centred and divided

    def ratio(self, x: Expr, y: Expr) -> float | None:
        """The constant by which one formula is the other; None where there is none."""
        context = self.context
        return constant_ratio(
            (context.value(x, i), context.value(y, i)) for i in range(len(context.samples))
        )

    def contains_derivative(self, e: Expr) -> Activation | None:
        """The activation whose derivative is a part of a formula."""
        return next(filter(None, (self.derivative(part) for part in walk(e))), None)

    def made_from(self, key: Key, of: Key) -> bool:
        """Is a forward name computed from another, directly or through others?"""
        value, start = (self.context.graph.values.get(k) for k in (key, of))
        if not isinstance(value, Value) or value is start:
            return False
        return any(node is start for node in reachable(value, every=True))

    def is_gradient_like(self, e: Expr) -> bool:
        """Is a formula a multiple of some quantity's gradient, such as ``a - y``?"""
        node = self.context.graph.values.get(e.extra) if e.op == "name" else None
        if self._reaches_cost(node):
            return False
        values = [self.context.value(e, i) for i in range(len(self.context.samples))]
        return any(
            constant_ratio(
                zip(values, (p.gradient(key) for p in self.context.samples), strict=True)
            )
            is not None
            for key in self.context.forward_keys
            if self._reaches_cost(self.context.graph.values[key])
        )

    def _reaches_cost(self, node: Any) -> bool:
        """Is this computed, and is the cost computed from it?"""
        computed = isinstance(node, Value) and node.op is not None
        return computed and node in self.context.samples[0].reached
