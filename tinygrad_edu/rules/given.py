"""Which given quantities are data, labels and targets: what gets a line only if asked for."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.calculus.axes import Examples, Origins, data_among
from tinygrad_edu.core.ops import arithmetic
from tinygrad_edu.core.sweep import needing

#: What leaves numbers what they are.
_SHAPES_ONLY = frozenset({"reshape", "transpose", "joined", "positive", "broadcast_to"})
#: What only scales and shifts, where the other input is a number.
_SCALES = frozenset({"multiply", "divide", "add", "subtract", "negative"})
#: What becomes of a residual on its way to a cost: it is squared, weighted and added up.
_OF_RESIDUALS = frozenset({
    "multiply", "divide", "negative", "power_constant", "square", "absolute", "sqrt", "where",
    "sum", "mean", "add", "subtract", "reshape", "positive", "greater", "greater_equal", "less",
    "less_equal",
})  # fmt: skip
#: What becomes of a sum of products with given weights.
_OF_WEIGHTED = frozenset({"sum", "mean", "add", "subtract", "negative", "divide", "positive"})


class Given:
    """Tells data from parameters: by kind and name, and targets by use.

    Of Values that were made to have a gradient a name tells nothing but in a cost over examples: in
    ``x @ A @ x`` x is as unknown as A.

    A target is only compared with: subtracted, and the difference squared, weighted and added up.
    What weights a computed quantity entry by entry on its way to the cost is the gradient from
    above.
    """

    def __init__(
        self, nodes: list[Any], origins: Origins | None, examples: Examples | None
    ) -> None:
        leaves = [node for node in nodes if node.op is None and node.size > 1]
        if origins is None and examples is None:
            leaves = [node for node in leaves if not node.requires_grad]
        self.data = data_among(leaves, origins)
        self._worked_on: dict[Any, bool] = {}
        self.users: dict[Any, list[Any]] = {}
        for node in nodes:
            for parent in node.parents:
                self.users.setdefault(parent, []).append(node)

    def is_data(self, leaf: Any) -> bool:
        """Is a leaf data or a target rather than a parameter?"""
        return leaf in self.data or self.is_target(leaf)

    def is_worked_on(self, leaf: Any) -> bool:
        """Is something computed of a leaf alone before any parameter multiplies it? The gradient
        of what is normalised or pooled is what one derives the layer for."""
        if leaf not in self._worked_on:
            self._worked_on[leaf] = self._has_work_of_its_own(leaf)
        return self._worked_on[leaf]

    def _has_work_of_its_own(self, leaf: Any) -> bool:
        stack, worked_on = [(leaf, user) for user in self.users.get(leaf, [])], False
        seen: set[Any] = set()
        while stack:
            x, user = stack.pop()
            if (x, user) in seen:
                continue
            seen.add((x, user))
            others = [p for p in needing(user) if p is not x]
            if user.op.name in _SHAPES_ONLY or (user.op.name in _SCALES and _by_numbers(user, x)):
                stack.extend((user, next_user) for next_user in self.users.get(user, []))
            elif user.op.name in ("matmul", "multiply") and any(map(self._is_parameter, others)):
                return False
            worked_on = worked_on or not (others or user.op.name in _SHAPES_ONLY | _SCALES)
        return worked_on

    def _is_parameter(self, node: Any) -> bool:
        while node.op is not None and node.op.name in _SHAPES_ONLY:
            node = node.parents[0]
        return node.op is None and node.requires_grad and node not in self.data

    def is_target(self, leaf: Any) -> bool:
        users = self.users.get(leaf, [])
        return leaf.size > 1 and bool(users) and all(self._only_compares(x, leaf) for x in users)

    def _only_compares(self, node: Any, leaf: Any) -> bool:
        computed = any(p.op is not None for p in needing(node) if p is not leaf)
        if not computed or node.shape != leaf.shape:
            return False
        if node.op is arithmetic.subtract:
            return self._goes_through(node, _OF_RESIDUALS)
        weights = node.op is arithmetic.multiply and len(leaf.shape) > 1
        return weights and self._goes_through(node, _OF_WEIGHTED)

    def _goes_through(self, node: Any, allowed: frozenset[str]) -> bool:
        """Do only such operations stand between a node and the cost?"""
        stack, seen = list(self.users.get(node, [])), set()
        while stack:
            user = stack.pop()
            if user.op.name not in allowed:
                return False
            if user not in seen:
                seen.add(user)
                stack.extend(self.users.get(user, []))
        return True


def _by_numbers(node: Any, x: Any) -> bool:
    """Are all inputs of a node but x single numbers?"""
    return all(p is x or p.size == 1 for p in node.parents)
