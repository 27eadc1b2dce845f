"""Files and notebooks checked: executed, the function to run found or made, and judged."""

from __future__ import annotations

import ast
import builtins
import contextlib
import inspect
import json
import os
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.tracing import scripts
from tinygrad_edu.tracing.check import judged
from tinygrad_edu.tracing.report import CodeReport
from tinygrad_edu.tracing.steps import Step, harnessed
from tinygrad_edu.tracing.workspace import Source

#: So many turns of so many loops are tried.
_TURNS, _LOOPS = 4, 4


def check_file(
    path: str | os.PathLike[str],
    run: str = "run",
    numbers: str = "numbers",
    calls: Sequence[str] = (),
    loss: str | None = None,
    parameters: str | None = None,
    step: bool = False,
    rate: float | None = None,
) -> CodeReport:
    """Execute a file, or a notebook's cells, and judge the function `run` of the names in it.

    `calls`: the functions of the forward pass, the cost and the backward pass instead; their
    arguments are found by their names. Without any a script's loop is run for one step, `loss` and
    `parameters` naming its cost and what it trains. Raises GradError for what cannot be run.
    """
    cells = _cells(Path(path))
    with _beside(Path(path)):
        if calls:
            return _called(cells, calls, parameters)
        if not _defines(cells, run):
            return _script(cells, loss, parameters, step, rate)
        names = _executed(cells, [ast.parse(text) for text in cells.values()])
        given = names.get(numbers)
        given = given() if callable(given) else given
        if not isinstance(given, dict):
            raise GradError(f"check-code: there is no dict, nor a function of one, named {numbers}")
        return judged(Source(names[run], cells), given)


def _cells(path: Path) -> dict[str, str]:
    """The sources of a file: one, or those of a notebook's cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return {str(path): text}
    try:
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError):
        raise GradError(f"check-code: {path} is not a notebook") from None
    return {
        f"{path}[{i}]": "\n".join(
            "pass" if line.startswith(("%", "!")) else line
            for line in "".join(cell["source"]).split("\n")
        )
        for i, cell in enumerate(cells, 1)
    }


def _defines(cells: dict[str, str], name: str) -> bool:
    trees = [_parsed(file, text) for file, text in cells.items()]
    return any(
        isinstance(node, ast.FunctionDef) and node.name == name
        for tree in trees for node in tree.body
    )  # fmt: skip


def _parsed(file: str, text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise GradError(f"check-code: {file}, line {error.lineno}: {error.msg}") from None


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[None]:
    """Modules beside the file can be imported while it is executed."""
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _executed(cells: dict[str, str], trees: Sequence[ast.Module]) -> dict[str, Any]:
    """The names a file makes; what it prints goes where errors go."""
    first = next(iter(cells))
    own = {**vars(builtins), "print": partial(print, file=sys.stderr)}
    names: dict[str, Any] = {"__name__": Path(first).stem, "__file__": first, "__builtins__": own}
    for file, tree in zip(cells, trees):
        try:
            with np.errstate(all="ignore"):
                exec(compile(tree, file, "exec", dont_inherit=True), names)  # noqa: S102
        except Exception as error:
            raise GradError(f"check-code: {file} raised {type(error).__name__}: {error}") from error
    return names


def _script(
    cells: dict[str, str], loss: str | None, parameters: str | None, step: bool, rate: float | None
) -> CodeReport:
    """A script's step judged: at the turn of its loop at which most parameters have a slope."""
    if loss is not None:
        _parsed("--loss", loss)
    best: Step | None = None
    for nth in range(_LOOPS):
        for turn in range(_TURNS):
            made = _at_turn(cells, loss, parameters, nth, turn)
            if len(made.start) <= (len(best.start) if best else 0):
                break
            best = made
        if best is not None:
            break
    if best is None:
        raise GradError("check-code: nothing that the cost depends on changes in the loop")
    source, remarks = best.source(step, rate)
    return judged(source, best.start, remarks)


def _at_turn(
    cells: dict[str, str], loss: str | None, parameters: str | None, nth: int, turn: int
) -> Step:
    """A step of a script, with the parameters it changes."""
    trees = [_parsed(file, text) for file, text in cells.items()]
    known = frozenset(name for tree in trees[:-1] for name in scripts.assigned(tree.body))
    shape = partial(scripts.shaped, turn=turn, nth=nth, known=known)
    text = list(cells.values())[-1]
    script = scripts.Script(text, turn, nth, known)
    names = _executed(cells, [*trees[:-1], script.module])
    wanted = [p.strip() for p in parameters.split(",")] if parameters else []
    costs = [loss] if loss else script.costs()
    return Step(cells, names, {list(cells)[-1]: shape}, costs, wanted)


def _called(cells: dict[str, str], calls: Sequence[str], parameters: str | None) -> CodeReport:
    """Forward pass, cost and backward pass called by the names of their arguments."""
    names = _executed(cells, [_parsed(file, text) for file, text in cells.items()])
    lacking = [name for name in (*calls, parameters or "parameters") if name not in names]
    if lacking:
        raise GradError(f"check-code: there is no {lacking[0]} in the file")
    given = names[parameters or "parameters"]
    given = given() if callable(given) else given
    if not isinstance(given, dict):
        raise GradError("check-code: --parameters names a dict of them, or a function of one")
    lines = ["def run_one_step(numbers):"]
    known = {**dict.fromkeys(names, ""), parameters or "parameters": "numbers"}
    results: list[str] = []
    for function in calls:
        made = _results(cells, function)
        arguments = [
            f"{key}={_argument(key, known, given, function)}"
            for key, p in inspect.signature(names[function]).parameters.items()
            if p.default is p.empty or key in known
        ]
        results = [f"{function}_{name}" for name in made]
        lines.append(f"    {', '.join(results)} = {function}({', '.join(arguments)})")
        known |= dict(zip(made, results))
    costs = f"{calls[1]}_{_results(cells, calls[1])[0]}"
    lines.append(f"    return {costs}, {results[0]}")
    return judged(harnessed(cells, names, "\n".join(lines) + "\n"), given)


def _argument(name: str, known: dict[str, str], given: dict[str, Any], function: str) -> str:
    """What is handed over for an argument: a result so far, a parameter, or data of the file."""
    if known.get(name):
        return known[name]
    if name in given:
        return f"numbers[{name!r}]"
    if name in ("params", "parameters", "theta", "weights"):
        return "numbers"
    if name in known:
        return name
    raise GradError(f"check-code: {function} takes {name}, and there is nothing of that name")


def _results(cells: dict[str, str], name: str) -> list[str]:
    """The names that a function returns."""
    made = [
        node for text in cells.values() for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and node.name == name
    ]  # fmt: skip
    returns = [
        node for function in made[-1:] for node in ast.walk(function)
        if isinstance(node, ast.Return) and node.value is not None
    ]  # fmt: skip
    if not returns:
        raise GradError(f"check-code: {name} is no function of the file, or returns nothing")
    value: Any = returns[-1].value
    parts = value.elts if isinstance(value, ast.Tuple) else [value]
    return [p.id if isinstance(p, ast.Name) else f"result_{i}" for i, p in enumerate(parts)]
