"""Scripts without functions: one turn of the training loop becomes a function, at the same lines.

The innermost loop in which names known before it are updated is the *step*; what stands before it
is run first, loops around it take one of their values. The text stays as it is.
"""

from __future__ import annotations

import ast
import re
from typing import Any

from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.sheets.claims import claimed
from tinygrad_edu.tracing.stamp import placed

#: What a cost is called in a loop, the likeliest last.
_COST = re.compile(r"j|l|e|err|error|mse|bce|ce|nll|cost|loss|\w*_?(?:loss|cost)", re.I)
_RATE = re.compile(r"lr|learning_?rate|alpha|eta|step(_?size)?|rate|l_rate", re.I)
STEP = "training_step"

HARNESS = """
def taken(before, after, rate):
    if isinstance(before, dict):
        return {{key: taken(before[key], after[key], rate) for key in before}}
    if isinstance(before, (list, tuple)):
        return [taken(a, b, rate) for a, b in zip(before, after)]
    return (before - after) / rate


def kept(x):
    if isinstance(x, dict):
        return {{key: kept(part) for key, part in x.items()}}
    return [kept(part) for part in x] if isinstance(x, (list, tuple)) else x * 1.0


def run_one_step(numbers):
    before = kept(numbers)
    globals().update(numbers)
    {step}()
    names = globals()
    return ({cost}), {gradients}
"""


def base(target: Any) -> str | None:
    """The name that is changed when a target is assigned to."""
    while isinstance(target, (ast.Subscript, ast.Attribute)):
        target = target.value
    return target.id if isinstance(target, ast.Name) else None


def _statements(body: list[ast.stmt]) -> list[Any]:
    return [node for statement in body for node in ast.walk(statement)]


def updated(body: list[ast.stmt]) -> list[str]:
    """Names that get a new value from their own old one."""
    found: dict[str, None] = {}
    for node in _statements(body):
        target: Any = None
        if isinstance(node, ast.AugAssign) and isinstance(node.op, (ast.Add, ast.Sub)):
            target = node.target
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp):
            if ast.unparse(node.value.left) == ast.unparse(node.targets[0]):
                target = node.targets[0]
        name = base(target)
        if name is not None:
            found[name] = None
    return list(found)


def assigned(body: list[ast.stmt]) -> set[str]:
    """Names that are given a value."""
    names = {n.id for n in _statements(body)
             if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}  # fmt: skip
    return names | set(updated(body))


def trained(body: list[ast.stmt], before: set[str]) -> list[str]:
    """Names known before that are updated, or whose gradient is computed."""
    claims = [claimed(name, before) for name in sorted(assigned(body))]
    told = [*updated(body), *(name for name in claims if name is not None)]
    return list(dict.fromkeys(name for name in told if name in before))


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
    """A script's loop found: the names it updates, its cost, the module with the step in it."""

    def __init__(self, text: str, turn: int, known: frozenset[str]) -> None:
        self.turn, self.known = turn, known
        self.chain, self.before = self._loops(ast.parse(text))
        if not self.chain:
            raise GradError(
                "check-code: there is no function run in the file, and no loop in which names "
                "known before it are updated"
            )
        self.body = self.chain[-1][1].body
        self.parameters = trained(self.body, self.before)
        self.module = self._module()

    def _loops(self, tree: ast.Module) -> tuple[list[tuple[list[Any], Any]], set[str]]:
        """The loops around the step, each with the statements it stands among."""
        chain: list[tuple[list[Any], Any]] = []
        before = set(self.known)
        block = _flat(tree.body)
        while True:
            loops = [
                s for s in block
                if isinstance(s, (ast.For, ast.While))
                and trained(s.body, before | assigned(block[: block.index(s)]))
                and (not chain or self._is_step(s, before))
            ]  # fmt: skip
            if not loops:
                return chain, before
            loop = loops[-1]
            before |= assigned(block[: block.index(loop)])
            chain.append((block, loop))
            block = loop.body

    def _is_step(self, loop: Any, before: set[str]) -> bool:
        """Is an inner loop a whole step, not the update of one parameter's entries?"""
        makes = any(isinstance(s, ast.Assign) for s in loop.body)
        return bool(set(updated(loop.body)) & before) and makes and len(loop.body) > 3

    def _module(self) -> ast.Module:
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
        names = ast.Global(sorted(assigned(self.body)))
        body = [placed(names, loop), *(_NoBreak().visit(s) for s in self.body)]
        nothing = ast.arguments([], [], None, [], [], None, [])
        prelude.append(placed(ast.FunctionDef(STEP, nothing, body, []), loop))
        return ast.Module(prelude, [])

    def cost(self) -> str:
        """The name of the cost; raises GradError where there is none."""
        names = [
            target.id for node in _statements(self.body) if isinstance(node, ast.Assign)
            for target in node.targets if isinstance(target, ast.Name)
            and _COST.fullmatch(target.id)
        ]  # fmt: skip
        named = [n for n in names if re.search("loss|cost", n, re.I)] or names
        if not named:
            raise GradError(
                "check-code: no cost was found in the loop: name it, or give it, as in --loss "
                '"0.5 * np.sum((y - a) ** 2)"'
            )
        return named[-1]

    def gradient_names(self, parameters: list[str]) -> dict[str, str]:
        """The names of gradients that the step computes, by parameter."""
        found = {}
        for name in sorted(assigned(self.body)):
            of = claimed(name, set(parameters))
            if of is not None and name not in parameters:
                found[of] = name
        return found

    def rates(self, names: dict[str, Any]) -> list[float]:
        """Numbers that are called as learning rates are; else 1."""
        found = [
            float(x) for name, x in names.items()
            if _RATE.fullmatch(name) and isinstance(x, (int, float)) and x
        ]  # fmt: skip
        return found or [1.0]


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


def shaped(text: str, turn: int, known: frozenset[str]) -> ast.Module:
    """The text's tree with the step as a function; `known`: names of the cells above."""
    return Script(text, turn, known).module
