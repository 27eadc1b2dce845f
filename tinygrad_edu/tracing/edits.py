"""Small changes of one statement, the cheapest first: what people get wrong, the other way round.

Cost 1: a side, a sign, ``.T``, a keyword dropped, ``=`` for ``+=``, an index. Cost 2: another
word in use, another operator, a factor or a term, a statement moved. More: two such things.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tinygrad_edu.tracing.scope import Scope, called, parsed, stored
from tinygrad_edu.tracing.stamp import Tick

#: What is not changed places with.
_FIXED = (ast.Return, ast.FunctionDef, ast.Global, Tick)


class Edit(NamedTuple):
    """`node` becomes `new`; in a block (a list) a statement is moved or added.

    `because`: another line, for the sake of which it is changed.
    """

    cost: float
    kind: str
    node: Any
    new: Any
    because: int = 0


def call(name: str, *args: Any, **options: Any) -> ast.Call:
    """A call, of values given as expressions."""
    keywords = [ast.keyword(key, ast.Constant(value)) for key, value in options.items()]
    return ast.Call(parsed(name), list(args), keywords)


def binary(left: Any, operator: Callable[[], ast.operator], right: Any) -> ast.BinOp:
    """``left operator right``."""
    return ast.BinOp(left, operator(), right)


def negative(x: Any) -> ast.UnaryOp:
    """``-x``."""
    return ast.UnaryOp(ast.USub(), x)


def transposed(x: Any) -> ast.Attribute:
    """``x.T``."""
    return ast.Attribute(x, "T", ast.Load())


def sides(node: ast.AST) -> tuple[Any, Any] | None:
    """The two sides of an operation, or of a call of a product."""
    if isinstance(node, ast.BinOp):
        return node.left, node.right
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        name = node.func.attr
        if name in ("dot", "outer", "matmul", "multiply", "divide", "inner"):
            if len(node.args) == 2:
                return node.args[0], node.args[1]
            if name == "dot" and len(node.args) == 1:
                return node.func.value, node.args[0]
    return None


class Edits:
    """The changes of one statement in its scope; `formula`: the one part of it that is changed."""

    def __init__(self, scope: Scope, statement: Any, words: int, formula: Any = None) -> None:
        self.scope, self.statement, self.formula = scope, statement, formula
        self.words = scope.words(statement, words * (3 if isinstance(statement, ast.Return) else 1))

    def all(self) -> Iterator[Edit]:
        """Every change within expressions, of the assignment, and of the order of statements."""
        for node in self._nodes():
            for made in (
                self._of_sides, self._of_sign, self._of_transpose, self._of_number,
                self._of_comparison, self._of_call, self._of_index, self._of_word,
            ):  # fmt: skip
                yield from made(node)
        yield from self._of_assignment()
        yield from self._of_target()
        yield from self._of_place()

    def _nodes(self) -> Iterator[Any]:
        s = self.statement
        if isinstance(s, ast.For):
            roots = [s.iter]
        elif isinstance(s, (ast.If, ast.While)):
            roots = [s.test]
        elif isinstance(s, (ast.Assign, ast.AugAssign)):
            targets = s.targets if isinstance(s, ast.Assign) else [s.target]
            value = self.formula or s.value
            roots = [value, *(t.slice for t in targets if isinstance(t, ast.Subscript))]
        elif isinstance(s, (ast.Return, ast.Expr)) and not isinstance(s, Tick):
            roots = [self.formula or s.value] if s.value is not None else []
        else:
            roots = []
        for root in roots:
            yield from (n for n in ast.walk(root))

    def _of_sides(self, node: Any) -> Iterator[Edit]:
        both = sides(node)
        if both is None:
            return
        a, b = both
        operator = node.op if isinstance(node, ast.BinOp) else None
        yield Edit(1, "drop", node, a)
        if isinstance(operator, ast.Pow):
            return
        if not isinstance(operator, (ast.Div, ast.Sub)):
            yield Edit(1, "drop", node, b)
        if isinstance(operator, ast.Add):
            yield Edit(1, "sign", node, binary(a, ast.Sub, b))
        elif isinstance(operator, ast.Sub):
            yield Edit(1, "drop", node, negative(b))
            yield Edit(1, "sign", node, binary(a, ast.Add, b))
            yield Edit(2, "swap", node, binary(b, ast.Sub, a))
        elif isinstance(operator, ast.Div):
            yield Edit(2, "operator", node, binary(a, ast.Mult, b))
        else:
            yield from self._of_product(node, a, b, isinstance(operator, ast.Mult))

    def _of_product(self, node: Any, a: Any, b: Any, entries: bool) -> Iterator[Edit]:
        if not entries and called(node) not in ("multiply", "divide"):
            yield Edit(2, "operator", node, binary(a, ast.Mult, b))
            yield Edit(2, "swap", node, binary(b, ast.MatMult, a))
            yield Edit(3, "swap", node, binary(transposed(b), ast.MatMult, a))
            return
        yield Edit(2, "operator", node, binary(a, ast.Div, b))
        yield Edit(2, "operator", node, binary(a, ast.MatMult, b))
        yield Edit(2, "operator", node, call("np.dot", a, b))
        if "outer" in self.scope.unit.text:
            yield Edit(3, "operator", node, call("np.outer", a, b))
        yield Edit(3, "operator", node, binary(transposed(a), ast.MatMult, b))
        yield Edit(3, "operator", node, binary(a, ast.MatMult, transposed(b)))

    def _of_sign(self, node: Any) -> Iterator[Edit]:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            index = isinstance(self.scope.up.get(node), ast.Subscript)
            if not (index and isinstance(node.operand, ast.Constant)):
                yield Edit(1, "sign", node, node.operand)

    def _of_transpose(self, node: Any) -> Iterator[Edit]:
        up = self.scope.up.get(node)
        if isinstance(node, ast.Attribute) and node.attr == "T":
            yield Edit(1, "transpose", node, node.value)
        elif called(node) == "transpose":
            yield Edit(1, "transpose", node, node.args[0] if node.args else node.func.value)
        elif isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
            read = isinstance(node.ctx, ast.Load) and isinstance(up, (ast.BinOp, ast.Call))
            if read and not self.scope.is_called(node) and ast.unparse(node) not in ("np", "self"):
                yield Edit(2, "transpose", node, transposed(node))

    def _of_number(self, node: Any) -> Iterator[Edit]:
        if isinstance(node, ast.Constant) and type(node.value) is int:
            cost = 2 if isinstance(self.scope.up.get(node), ast.keyword) else 1
            for value in (node.value - 1, node.value + 1):
                new = ast.Constant(value) if value >= 0 else negative(ast.Constant(-value))
                yield Edit(cost, "number", node, new)
        if isinstance(node, ast.Constant) and type(node.value) is float:
            for factor in (1.0, 2.0, 0.5):
                if factor != abs(node.value):
                    yield Edit(2, "number", node, ast.Constant(factor))
        added = isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub))
        if added and isinstance(node.right, ast.Constant) and type(node.right.value) is int:
            yield Edit(1, "index", node, node.left)

    def _of_comparison(self, node: Any) -> Iterator[Edit]:
        contrary = {ast.LtE: ast.Gt, ast.Lt: ast.GtE, ast.Gt: ast.LtE, ast.GtE: ast.Lt}
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in contrary:
            new = copy.copy(node)
            new.ops = [contrary[type(node.ops[0])]()]
            yield Edit(2, "compare", node, new)

    def _of_call(self, node: Any) -> Iterator[Edit]:
        if not isinstance(node, ast.Call):
            return
        for i, keyword in enumerate(node.keywords):
            if keyword.arg in ("axis", "keepdims"):
                new = copy.copy(node)
                new.keywords = node.keywords[:i] + node.keywords[i + 1 :]
                yield Edit(1, "keyword", node, new)
        name = called(node)
        if name in ("sum", "mean", "max") and isinstance(node.func, ast.Attribute):
            yield from self._of_reduction(node)
        if name == "range":
            yield from self._of_range(node)
        if isinstance(self.statement, ast.For) and node is self.statement.iter:
            if name == "reversed":
                yield Edit(2, "order", node, node.args[0])
            else:
                listed = node if name == "range" else call("list", node)
                yield Edit(2, "order", node, call("reversed", listed))
        if name == "str" and node.args:
            for operator in (ast.Add, ast.Sub):
                moved = binary(node.args[0], operator, ast.Constant(1))
                yield Edit(2, "index", node, call("str", moved))

    def _of_reduction(self, node: ast.Call) -> Iterator[Edit]:
        of_numpy = ast.unparse(node.func).startswith("np.")
        others = [k for k in node.keywords if k.arg not in ("axis", "keepdims")]
        for axis in (0, 1, None):
            for keep in (True, False):
                options = [*others]
                if axis is not None:
                    options.append(ast.keyword("axis", ast.Constant(axis)))
                if keep:
                    options.append(ast.keyword("keepdims", ast.Constant(True)))
                args = node.args[:1] if of_numpy else []
                yield Edit(2, "keyword", node, ast.Call(node.func, args, options))
        if of_numpy and not node.args:
            return
        function: Any = node.func
        yield Edit(2, "drop", node, node.args[0] if of_numpy else function.value)
        other = {"sum": "mean", "mean": "sum"}.get(called(node))
        if other and isinstance(function, ast.Attribute):
            function = ast.Attribute(function.value, other, ast.Load())
            yield Edit(2, "operator", node, ast.Call(function, node.args, node.keywords))

    def _of_range(self, node: ast.Call) -> Iterator[Edit]:
        for i, argument in enumerate(node.args):
            for operator in (ast.Add, ast.Sub):
                new = copy.copy(node)
                new.args = list(node.args)
                new.args[i] = binary(argument, operator, ast.Constant(1))
                yield Edit(2, "index", node, new)

    def _of_index(self, node: Any) -> Iterator[Edit]:
        if not isinstance(node, ast.Subscript) or not isinstance(node.ctx, ast.Load):
            return
        if isinstance(node.slice, (ast.Name, ast.BinOp, ast.UnaryOp)):
            for operator in (ast.Add, ast.Sub):
                new = copy.copy(node)
                new.slice = binary(node.slice, operator, ast.Constant(1))
                yield Edit(2, "index", node, new)
        counters = [loop.target.id for loop in self.scope.around(self.statement)
                    if isinstance(loop, ast.For) and isinstance(loop.target, ast.Name)]  # fmt: skip
        for name in ast.walk(node.slice):
            if isinstance(name, ast.Name) and not self.scope.is_called(name):
                for counter in counters:
                    for shift in (1, 2, -1):
                        operator = ast.Add if shift > 0 else ast.Sub
                        other = binary(parsed(counter), operator, ast.Constant(abs(shift)))
                        if name.id != counter:
                            yield Edit(3, "index", name, other)

    def _of_word(self, node: Any) -> Iterator[Edit]:
        if not isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
            return
        text, up = ast.unparse(node), self.scope.up.get(node)
        if not isinstance(node.ctx, ast.Load) or text in ("np", "self", "math"):
            return
        if self.scope.is_called(node) or text.startswith("np."):
            return
        if isinstance(node, ast.Attribute) and node.attr == "T":
            return
        inner = isinstance(up, (ast.Attribute, ast.Subscript)) and up.value is node
        if inner and text not in self.words:
            return
        for word in self.words:
            if word != text:
                yield Edit(2, "name", node, parsed(word))
        for function in self.scope.maps:
            yield Edit(3, "wrap", node, call(function, node))
        if isinstance(up, (ast.BinOp, ast.Call)):
            yield Edit(2, "square", node, binary(node, ast.Pow, ast.Constant(2)))

    def _of_assignment(self) -> Iterator[Edit]:
        s = self.statement
        if isinstance(s, ast.AugAssign):
            yield Edit(1, "assign", s, ast.Assign([s.target], s.value))
            if isinstance(s.op, (ast.Add, ast.Sub)):
                other = ast.Sub() if isinstance(s.op, ast.Add) else ast.Add()
                yield Edit(1, "sign", s, ast.AugAssign(s.target, other, s.value))
                yield from self._of_indices(s, s.target)
        single = isinstance(s, ast.Assign) and len(s.targets) == 1
        if single and not isinstance(s.targets[0], ast.Tuple) and not _empty(s.value):
            yield Edit(1, "assign", s, ast.AugAssign(s.targets[0], ast.Add(), s.value))
        entry = single and isinstance(s.targets[0], ast.Subscript)
        if isinstance(s, (ast.AugAssign, ast.Expr)) or entry:
            yield Edit(3, "delete", s, ast.Pass())

    def _of_indices(self, s: ast.AugAssign, target: Any) -> Iterator[Edit]:
        """``np.add.at(x, index, y)`` for ``x[index] += y``."""
        if not isinstance(target, ast.Subscript) or isinstance(target.slice, ast.Constant):
            return
        if not any(isinstance(part, ast.Slice) for part in ast.walk(target.slice)):
            name = "np.add.at" if isinstance(s.op, ast.Add) else "np.subtract.at"
            held = parsed(ast.unparse(target.value))
            yield Edit(1.5, "at", s, ast.Expr(call(name, held, target.slice, s.value)))

    def _of_target(self) -> Iterator[Edit]:
        for old in targets_of(self.statement):
            if not isinstance(old, (ast.Name, ast.Subscript, ast.Attribute)):
                continue
            text = ast.unparse(old)
            for word in self.words:
                if word != text and isinstance(parsed(word), type(old)):
                    yield Edit(3, "target", old, stored(word))

    def _of_place(self) -> Iterator[Edit]:
        s = self.statement
        block = self.scope.block(s)
        if not block or isinstance(s, (ast.For, ast.If, ast.FunctionDef, ast.Return)):
            return
        i = block.index(s)
        yield from self._of_loop(block, i)
        for j in range(max(0, i - 6), min(len(block), i + 7)):
            if j != i and not isinstance(block[j], _FIXED):
                far = abs(i - j)  # of two places that do, the nearer one
                yield Edit(2 if far == 1 else 3 + far / 100, "move", block, (i, j))

    def _of_loop(self, block: list[Any], i: int) -> Iterator[Edit]:
        """What is the same at every turn of a loop, and starts afresh there: before it, or not."""
        s, loop = self.statement, self.scope.up.get(self.statement)
        if not isinstance(s, ast.Assign) or not isinstance(loop, (ast.For, ast.While)):
            return
        read = {n.id for n in ast.walk(s.value) if isinstance(n, ast.Name)}
        made = {n.id for n in ast.walk(loop) if isinstance(n, ast.Name) and _stores(n)}
        if read & made:
            return
        begun = [n for n in ast.walk(self.scope.function(s)) if isinstance(n, ast.Assign)
                 and n.lineno < loop.lineno and set(map(ast.unparse, targets_of(s)))
                 <= set(map(ast.unparse, targets_of(n)))]  # fmt: skip
        if begun:
            yield Edit(1.5, "delete", s, ast.Pass())
        else:
            yield Edit(1.5, "hoist", block, (i, loop))


def _stores(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _empty(value: Any) -> bool:
    """Is it nothing yet: ``0``, ``np.zeros(…)``?"""
    zero = isinstance(value, ast.Constant) and value.value == 0
    return zero or called(value) in ("zeros", "zeros_like")


def targets_of(statement: Any) -> list[Any]:
    """What a statement assigns to."""
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AugAssign):
        targets = [statement.target]
    else:
        return []
    return [x for t in targets for x in (t.elts if isinstance(t, ast.Tuple) else [t])]
