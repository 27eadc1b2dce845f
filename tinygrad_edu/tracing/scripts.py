"""Scripts: one turn of the training loop becomes a function, at the same lines.

The innermost loop that updates names known before, or calls what may update them, is the *step*;
what stands before it is run first, loops around it take one of their values. A loop in a function
that the script calls is looked into. The text stays as it is.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Set
from typing import Any

from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.sheets.claims import claimed
from tinygrad_edu.tracing.stamp import placed

#: What a cost is called in a loop.
COST = re.compile(r"j|l|e|mse|bce|ce|nll|\w*_?(?:loss|cost|error|err)", re.I)
NO_COST = (
    "check-code: no cost was found in the loop: name it, or give it, as in --loss "
    '"0.5 * np.sum((y - a) ** 2)"'
)
STEP = "training_step"
#: Calls that change nothing of a model.
_IDLE = frozenset("print append shuffle show plot seed".split())
#: A loop of fewer statements is no step but a part of one.
_SHORT = 3
_LOOPS = (ast.For, ast.While)


def _statements(body: list[ast.stmt]) -> list[Any]:
    return [node for statement in body for node in ast.walk(statement)]


def base(target: Any) -> str | None:
    """The name that is changed when a target is assigned to."""
    while isinstance(target, (ast.Subscript, ast.Attribute)):
        target = target.value
    return target.id if isinstance(target, ast.Name) else None


def _given(target: Any) -> Iterator[str]:
    """The names that an assignment to a target gives a value: one, or those of a tuple."""
    if isinstance(target, (ast.Tuple, ast.List)):
        for part in target.elts:
            yield from _given(part)
    elif isinstance(target, ast.Name):
        yield target.id


def updated(body: list[ast.stmt]) -> set[str | None]:
    """Names that get a new value from their own old one."""
    found = set()
    for node in _statements(body):
        if isinstance(node, ast.AugAssign) and isinstance(node.op, (ast.Add, ast.Sub)):
            found.add(base(node.target))
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp):
            if ast.unparse(node.value.left) == ast.unparse(node.targets[0]):
                found.add(base(node.targets[0]))
    return found


def assigned(body: list[ast.stmt]) -> set[str]:
    """Names that are given a value."""
    names = {n.id for n in _statements(body)
             if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}  # fmt: skip
    return names | {name for name in updated(body) if name is not None}


def _rank(loop: Any, before: Set[str], claims: bool = True) -> int:
    """2: the loop updates names known before, or makes their gradients; 1: it calls something."""
    if not isinstance(loop, _LOOPS):
        return 0
    told = {claimed(name, before) for name in assigned(loop.body)} if claims else set()
    if (updated(loop.body) | told) & before:
        return 2
    return 1 if any(_calls(loop.body)) else 0


def _calls(body: list[ast.stmt]) -> Iterator[ast.Call]:
    """The calls that are statements, or whose result is assigned."""
    for node in _statements(body):
        if isinstance(node, (ast.Expr, ast.Assign)) and isinstance(node.value, ast.Call):
            if called(node.value) not in _IDLE:
                yield node.value


def called(call: ast.Call) -> str:
    """The last name of a called function."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


class _NoBreak(ast.NodeTransformer):
    """``break`` and ``continue`` of the loop itself end the step."""

    def visit_For(self, node: Any) -> Any:
        """Those of inner loops stay."""
        return node

    visit_While = visit_FunctionDef = visit_Lambda = visit_For

    def visit_Break(self, node: Any) -> Any:
        """The step ends."""
        return placed(ast.Return(None), node)

    visit_Continue = visit_Break


class Script:
    """A script's loop found, and the module with its step in it.

    `turn`: which turn of the loops; `nth`: which of several loops, the likeliest first; `known`:
    names of the cells above.
    """

    def __init__(self, text: str, turn: int, nth: int, known: frozenset[str]) -> None:
        self.turn = turn
        loops: list[Any] = []
        for deep, block in enumerate(_levels(_flat(ast.parse(text).body))):
            for i, statement in enumerate(block):
                rank = _rank(statement, known | assigned(block[:i]))
                loops += [(rank, -deep, i, block)] if rank else []
        loops.sort(key=lambda found: found[:3], reverse=True)
        if nth >= len(loops):
            raise GradError(
                "check-code: there is no function run in the file, and no loop that trains "
                "something. Add\n    numbers = {'W1': W1, 'b1': b1}\n    def run(numbers):\n"
                "        ...\n        return cost, {'W1': dW1, 'b1': db1}\nor name the functions: "
                "--forward F --cost C --backward B --parameters P"
            )
        rank, _, i, block = loops[nth]
        self.chain = [(block, block[i])]
        before = known | assigned(block[:i])
        while True:
            block = self.body
            ranks = [(_rank(s, before, False), i) for i, s in enumerate(block)]
            inner = [(r, i) for r, i in ranks if r >= rank and len(block[i].body) > _SHORT]
            if not inner:
                break
            rank, i = max(inner)
            self.chain.append((block, block[i]))

    @property
    def body(self) -> list[Any]:
        """The statements of the step."""
        return self.chain[-1][1].body  # type: ignore[no-any-return]

    @property
    def module(self) -> ast.Module:
        """What stands before the loop, and the step as a function."""
        prelude: list[ast.stmt] = []
        for block, loop in self.chain:
            prelude += block[: block.index(loop)]
            if isinstance(loop, ast.For):
                value = ast.parse(
                    f"list(__import__('itertools').islice(ITEMS, {self.turn + 1}))[-1]", mode="eval"
                ).body
                _Fill(loop.iter).visit(value)
                prelude.append(placed(ast.Assign([loop.target], value), loop))
        loop = self.chain[-1][1]
        names = ast.Global(sorted(assigned(self.body))) if assigned(self.body) else ast.Pass()
        body = [placed(names, loop), *(_NoBreak().visit(s) for s in self.body)]
        nothing = ast.arguments([], [], None, [], [], None, [])
        prelude.append(placed(ast.FunctionDef(STEP, nothing, body, []), loop))
        return ast.Module(prelude, [])

    def costs(self) -> list[str]:
        """What the cost may be called, the likeliest first; raises GradError for nothing."""
        given = [
            name for node in _statements(self.body) if isinstance(node, (ast.Assign, ast.AugAssign))
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            for name in _given(target)
        ]  # fmt: skip
        names = [name for name in reversed(given) if COST.fullmatch(name)]
        named = [n for n in names if re.search("loss|cost", n, re.I)] or names
        if not named:
            raise GradError(NO_COST)
        return named


class _Fill(ast.NodeTransformer):
    def __init__(self, node: Any) -> None:
        self.node = node

    def visit_Name(self, node: ast.Name) -> Any:
        """The items that are looped over."""
        return self.node if node.id == "ITEMS" else node


def _flat(body: list[Any]) -> list[Any]:
    """Statements, with those of ``if __name__ == "__main__":`` in its place."""
    made: list[Any] = []
    for statement in body:
        main = isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test)
        made += statement.body if main else [statement]
    return made


def _levels(body: list[Any], most: int = 3) -> Iterator[list[Any]]:
    """The script's statements; then with those of the function it calls last, and so on."""
    yield body
    functions: dict[str, tuple[Any, bool]] = {}
    for s in body:
        for node in s.body if isinstance(s, ast.ClassDef) else [s]:
            if isinstance(node, ast.FunctionDef):
                functions[node.name] = node, node is not s
    loose = [s for s in body if not isinstance(s, (ast.FunctionDef, ast.ClassDef, *_LOOPS))]
    for call in reversed(list(_calls(loose))) if most else ():
        function, bound = functions.get(called(call), (None, False))
        if function is not None and any(isinstance(n, _LOOPS) for n in ast.walk(function)):
            given = [call.func.value] if bound and isinstance(call.func, ast.Attribute) else []
            at = next(i for i, s in enumerate(body) if call in ast.walk(s))
            start = _arguments(function.args, [*given, *call.args], call)
            known = [made for s in body[:at] for made in _without(s, function)]
            yield from _levels([*known, *start, *function.body], most - 1)
            return


def _without(statement: Any, function: Any) -> list[Any]:
    """A statement without the definition of a function: what is in that stands elsewhere."""
    if isinstance(statement, ast.ClassDef) and function in statement.body:
        statement.body = [s for s in statement.body if s is not function] or [ast.Pass()]
    return [] if statement is function else [statement]


def _arguments(wanted: ast.arguments, given: list[Any], call: ast.Call) -> list[ast.stmt]:
    """A call's arguments assigned to the names that the function has for them."""
    names = [a.arg for a in wanted.args]
    values = dict(zip(names[len(names) - len(wanted.defaults) :], wanted.defaults))
    values |= dict(zip(names, given)) | {k.arg: k.value for k in call.keywords if k.arg}
    return [
        placed(ast.Assign([ast.Name(name, ast.Store())], value), call)
        for name, value in values.items() if ast.unparse(value) != name
    ]  # fmt: skip


def shaped(text: str, turn: int, nth: int, known: frozenset[str]) -> ast.Module:
    """The text's tree with the step as a function."""
    return Script(text, turn, nth, known).module
