"""What may be missing: a factor, a term, the slope of an activation, a sum."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Any

from tinygrad_edu.tracing.edits import Edit, binary, call, negative, targets_of, transposed
from tinygrad_edu.tracing.scope import Scope, parsed, without_ticks

_ONE = ast.Constant(1)


class Additions:
    """The changes of one statement that put something into it, or after it."""

    def __init__(self, scope: Scope, statement: Any, words: int, formula: Any = None) -> None:
        self.scope, self.statement, self.formula = scope, statement, formula
        self.words = scope.words(statement, words)
        self.calls = scope.own_calls(scope.function(statement))

    def all(self, most: float) -> Iterator[Edit]:
        """The changes that cost at most so much."""
        tops = self._tops()
        for spot in dict.fromkeys(self._spots()):
            far = 0 if spot in tops else 1
            yield from self._numbers(spot, far)
            for word in self.words if 2 + far <= most else ():
                yield from self._word(spot, parsed(word), far)
                if 3 + far <= most:
                    yield from self._slopes(spot, parsed(word), far)
            if 3 + far <= most:
                yield from self._sums(spot, far)
            if far == 0 and most >= 3:
                yield from self._products(spot)
                yield from self._own_calls(spot)
                if most >= 5:
                    yield from self._pairs(spot)
        if most >= 3:
            yield from self._differences()

    def _tops(self) -> list[Any]:
        s = self.statement
        value = getattr(s, "value", None)
        if self.formula is not None:
            return [self.formula]
        if isinstance(s, ast.Expr):
            args = value.args if isinstance(value, ast.Call) else []
            return [a for a in args if not isinstance(a, ast.Constant)]
        if not isinstance(s, (ast.Assign, ast.AugAssign, ast.Return)) or value is None:
            return []
        if isinstance(value, ast.Tuple):
            parts = [x.values if isinstance(x, ast.Dict) else [x] for x in value.elts]
            return [x for part in parts for x in part]
        return [value.elt] if isinstance(value, ast.ListComp) else [value]

    def _spots(self) -> Iterator[Any]:
        """Where a factor may be missing: the whole, its summands, its factors, its arguments."""
        for top in self._tops():
            yield top
            stack = [top]
            while stack:
                node = stack.pop()
                if isinstance(node, ast.BinOp):
                    parts = [node.left, node.right][: 1 if isinstance(node.op, ast.Pow) else 2]
                elif isinstance(node, ast.Call):
                    parts = list(node.args)
                elif isinstance(node, ast.UnaryOp):
                    parts = [node.operand]
                else:
                    continue
                stack += parts
                yield from (
                    p for p in parts if not isinstance(p, (ast.Constant, ast.Tuple, ast.List))
                )

    def _differences(self) -> Iterator[Edit]:
        """``1 - w`` for 1, ``w + 1e-5`` for 1e-5: what a number stood beside has been left out."""
        for top in self._tops():
            for node in ast.walk(top):
                if isinstance(node, ast.Constant) and type(node.value) in (int, float):
                    for text in self.words:
                        word = parsed(text)
                        square = binary(word, ast.Pow, ast.Constant(2))
                        yield Edit(3, "term", node, binary(node, ast.Sub, word))
                        yield Edit(3, "term", node, binary(node, ast.Sub, square))
                        yield Edit(3, "term", node, binary(word, ast.Add, node))

    def _numbers(self, spot: Any, far: int) -> Iterator[Edit]:
        yield Edit(2 + far, "factor", spot, binary(spot, ast.Mult, ast.Constant(2)))
        yield Edit(2 + far, "factor", spot, binary(spot, ast.Div, ast.Constant(2)))
        yield Edit(2, "sign", spot, negative(spot))
        yield Edit(3 + far, "factor", spot, binary(spot, ast.Div, ast.Constant(4)))

    def _word(self, spot: Any, word: Any, far: int) -> Iterator[Edit]:
        yield Edit(2 + far, "factor", spot, binary(spot, ast.Mult, word))
        size = (
            0 if not isinstance(word, ast.Subscript) or ".shape" not in ast.unparse(word) else 0.5
        )
        yield Edit(2 + far + size, "factor", spot, binary(spot, ast.Div, word))
        if isinstance(word, ast.Name) and word.id in ("m", "n", "N"):
            less = binary(word, ast.Sub, _ONE)
            yield Edit(2.5 + far, "factor", spot, binary(spot, ast.Div, less))
        yield Edit(2 + far, "term", spot, binary(spot, ast.Add, word))

    def _slopes(self, spot: Any, word: Any, far: int) -> Iterator[Edit]:
        yield Edit(3 + far, "term", spot, binary(spot, ast.Sub, word))
        square = binary(word, ast.Pow, ast.Constant(2))
        for slope in (binary(_ONE, ast.Sub, square), binary(_ONE, ast.Sub, word)):
            yield Edit(3 + far, "factor", spot, binary(spot, ast.Mult, slope))
        yield Edit(3 + far, "factor", spot, binary(word, ast.Div, spot))
        sigmoid = binary(word, ast.Mult, binary(_ONE, ast.Sub, word))
        yield Edit(4 + far, "factor", spot, binary(spot, ast.Mult, sigmoid))
        mask = ast.Compare(word, [ast.Gt()], [ast.Constant(0)])
        yield Edit(3 + far, "mask", spot, binary(spot, ast.Mult, mask))

    def _products(self, spot: Any) -> Iterator[Edit]:
        outer = "outer" in self.scope.unit.text
        for text in self.words:
            word = parsed(text)
            for left, right in (
                (word, spot), (spot, word), (transposed(word), spot), (spot, transposed(word)),
            ):  # fmt: skip
                yield Edit(3, "factor", spot, self._product(left, right))
            if outer:
                yield Edit(3, "factor", spot, call("np.outer", spot, word))
                yield Edit(3, "factor", spot, call("np.outer", word, spot))

    def _product(self, left: Any, right: Any) -> Any:
        """A matrix product, written as those in the file are."""
        if " @ " in self.scope.unit.text:
            return binary(left, ast.MatMult, right)
        return call("np.dot", left, right)

    def _own_calls(self, spot: Any) -> Iterator[Edit]:
        for made in self.calls:
            slope = binary(_ONE, ast.Sub, made)
            yield Edit(4, "factor", spot, binary(spot, ast.Mult, slope))
            yield Edit(3, "factor", spot, binary(spot, ast.Mult, made))
            yield Edit(4, "term", spot, binary(spot, ast.Add, made))
        shapes = {
            ast.unparse(made): made for n in self.calls if n.args and (made := _with(n, _ONE))
        }
        for shape in shapes.values():
            for word in self.words:
                made = _with(shape, parsed(word))
                yield Edit(4, "factor", spot, binary(spot, ast.Mult, made))

    def _pairs(self, spot: Any) -> Iterator[Edit]:
        near = self.words[:8]
        for a in near:
            for b in near:
                first, second = parsed(a), parsed(b)
                both = binary(first, ast.Mult, second)
                for left, right in ((transposed(first), second), (second, transposed(first))):
                    factor = self._product(left, right)
                    yield Edit(5, "factor", spot, binary(spot, ast.Mult, factor))
                yield Edit(5, "term", spot, binary(spot, ast.Add, both))
                twice = binary(ast.Constant(2), ast.Mult, both)
                yield Edit(5, "term", spot, binary(spot, ast.Add, twice))
                product = binary(binary(spot, ast.Mult, first), ast.Mult, second)
                yield Edit(5, "factor", spot, product)
                slope = binary(first, ast.Mult, binary(_ONE, ast.Sub, second))
                yield Edit(5, "factor", spot, binary(spot, ast.Mult, slope))

    def _sums(self, spot: Any, far: int) -> Iterator[Edit]:
        for axis in (0, 1):
            yield Edit(3 + far, "keyword", spot, call("np.sum", spot, axis=axis))
            kept = call("np.sum", spot, axis=axis, keepdims=True)
            yield Edit(3 + far, "keyword", spot, kept)

    def _blocks(self) -> list[list[Any]]:
        """The blocks at whose end a statement may be missing."""
        function = self.scope.function(self.statement)
        found = []
        for node in ast.walk(function):
            body: Any = getattr(node, "body", None)
            if not isinstance(node, (ast.For, ast.If, ast.FunctionDef)) or not without_ticks(
                body or []
            ):
                continue
            if not isinstance(body[-1], (ast.Return, ast.Continue)):
                if body[-1].lineno >= self.statement.lineno:
                    found.append(body)
        return found

    def never_added(self, wrong: Sequence[str]) -> Iterator[Edit]:
        """The same target, an empty start so far, added to at the end of a block."""
        every = targets_of(self.statement)
        named = [t for t in every if any(name in ast.unparse(t) for name in wrong)]
        targets = named or every
        for block in self._blocks():
            near = self.scope.words(block[-1], 40)
            for target in targets:
                for word in near:
                    yield _added(2, block, target, parsed(word))
                for a in near[:18]:
                    for b in near[:18]:
                        first, second = parsed(a), parsed(b)
                        product = self._product(first, transposed(second))
                        yield _added(3, block, target, product)
                        yield _added(3, block, target, binary(first, ast.Mult, second))
                        if "outer" in self.scope.unit.text:
                            yield _added(3, block, target, call("np.outer", first, second))


def _added(cost: float, block: list[Any], target: Any, value: Any) -> Edit:
    new = ast.AugAssign(target, ast.Add(), value)
    return Edit(cost, "insert", block, (len(block), new))


def _with(made: ast.Call, first: Any) -> ast.Call:
    """A call with another first argument."""
    return ast.Call(made.func, [first, *made.args[1:]], made.keywords)
