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
from tinygrad_edu.tracing.check import Case, judged
from tinygrad_edu.tracing.report import CodeReport
from tinygrad_edu.tracing.study import wrong_among
from tinygrad_edu.tracing.workspace import Source

#: How far a script's parameters are moved from their start: zeros and equal numbers hide mistakes.
_START = 0.2
_TURNS = 4
_HARNESS = "<the step of the script>"


def check_file(
    path: str | os.PathLike[str],
    run: str = "run",
    numbers: str = "numbers",
    calls: Sequence[str] = (),
    loss: str | None = None,
    parameters: str | None = None,
    step: bool = False,
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
            return _script(cells, loss, parameters, step)
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


def _harnessed(
    cells: dict[str, str], names: dict[str, Any], text: str, script: scripts.Script | None
) -> Source:
    """A source whose run is made here, beside the learner's own text."""
    exec(compile(text, _HARNESS, "exec", dont_inherit=True), names)  # noqa: S102 - names checked
    shapes = {}
    if script is not None:
        shape = partial(scripts.shaped, turn=script.turn, known=script.known)
        shapes = {list(cells)[-1]: shape}
    return Source(names["run_one_step"], {**cells, _HARNESS: text}, shapes)


def _script(
    cells: dict[str, str], loss: str | None, parameters: str | None, step: bool
) -> CodeReport:
    """A script's step judged: at the turn of its loop at which most parameters have a slope."""
    best = None
    for turn in range(_TURNS):
        made = _at_turn(cells, loss, parameters, step, turn)
        if best is None or len(made[1]) > len(best[1]):
            best = made
        if not made[2]:
            break
    assert best is not None
    return judged(best[0], best[1])


def _at_turn(
    cells: dict[str, str], loss: str | None, parameters: str | None, step: bool, turn: int
) -> tuple[Source, dict[str, Any], list[str]]:
    """The source of a step, the parameters it changes, and those without a slope there."""
    trees = [_parsed(file, text) for file, text in cells.items()]
    known = frozenset(name for tree in trees[:-1] for name in scripts.assigned(tree.body))
    script = scripts.Script(list(cells.values())[-1], turn, known)
    names = _executed(cells, [*trees[:-1], script.module])
    wanted = [p.strip() for p in parameters.split(",")] if parameters else script.parameters
    missing = [name for name in wanted if name not in names]
    if missing:
        raise GradError(f"check-code: there is no {missing[0]} before the loop")
    start = {
        name: moved for name in wanted if (moved := _moved(names[name], len(name))) is not None
    }
    if loss is not None:
        _parsed("--loss", loss)
    cost = loss or script.cost()
    named = script.gradient_names(list(start))
    ways = [
        f"{{key: taken(before[key], names[key], {rate!r}) for key in before}}"
        for rate in script.rates(names)
    ]
    if not step and set(named) == set(start):
        pairs = ", ".join(f"{of!r}: names[{name!r}]" for of, name in named.items())
        ways.insert(0, f"{{{pairs}}}")
    sources = []
    for way in ways:
        text = scripts.HARNESS.format(step=scripts.STEP, cost=cost, gradients=way)
        source = _harnessed(cells, dict(names), text, script)
        sources.append((*_wrong_and_idle(source, start), source))
    _, idle, source = min(sources, key=lambda found: found[0])
    kept = {name: x for name, x in start.items() if name not in idle or parameters}
    return source, kept or start, idle


def _wrong_and_idle(source: Source, start: dict[str, Any]) -> tuple[int, list[str]]:
    """How many gradients differ from differences; which parameters the cost does not depend on."""
    case = Case(source, start)
    values = case.parameters.values
    _, gradients = case.runner.outcome(values)
    wrong, slopes = 0, dict.fromkeys(start, 0.0)
    for p in case.parameters.all:
        direction = np.random.default_rng(3).normal(size=p.value.shape)
        slope = case.runner.slope(values, p.name, direction)
        slopes[p.path[0]] += abs(slope)
        told = gradients[p.name]
        along = None if told is None or told.shape != p.value.shape else np.sum(told * direction)
        wrong += bool(wrong_among({"": along}, {"": np.array(slope)}, 1e-4))
    return wrong, [name for name, size in slopes.items() if size == 0]


def _moved(x: Any, seed: int) -> Any:
    """A parameter away from its start, in its own structure; None for what is no number."""
    random = np.random.default_rng(seed)

    def move(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: move(value) for key, value in part.items()}
        if isinstance(part, (list, tuple)):
            return [move(value) for value in part]
        if isinstance(part, np.ndarray) and part.dtype.kind in "fiu":
            return part + _START * random.normal(size=part.shape)
        if isinstance(part, (int, float, np.number)):
            return float(part) + _START * float(random.normal())
        raise TypeError

    try:
        return move(x)
    except TypeError:
        return None


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
    text = "\n".join(lines) + "\n"
    return judged(_harnessed(cells, names, text, None), given)


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
