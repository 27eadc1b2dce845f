"""One step of a script: what it changes, what its gradients are, and the function that runs it.

A parameter is a number, an array or a list of numbers that is reached by a name and changed by the
step, and on which the cost depends: `W1`, `net.weights[0]`, `network[0][1]['weights']`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.sheets.claims import claimed
from tinygrad_edu.tracing.check import Case, told_error
from tinygrad_edu.tracing.parameters import is_table
from tinygrad_edu.tracing.scripts import COST, NO_COST, STEP
from tinygrad_edu.tracing.study import same
from tinygrad_edu.tracing.workspace import Source, Workspace
from tinygrad_edu.words import say

#: How far parameters are moved from their start: zeros and equal numbers hide mistakes.
_START = 0.2
#: So many things, so deep inside one another, are looked through for parameters.
_MOST, _DEEP = 3000, 6
_HARNESS = "<the step of the script>"
_RATE = re.compile(r"lr|learning_?rate|alpha|eta|step(_?size)?|rate|l_rate", re.I)

#: Where something is: a name, then attributes (".W"), keys and places ("['W']", "[0]").
Path = tuple[str, ...]


def harnessed(
    cells: Mapping[str, str], names: dict[str, Any], text: str,
    shapes: Mapping[str, Callable[[str], Any]] | None = None,
) -> Source:  # fmt: skip
    """A source whose function ``run_one_step`` is made here, beside the learner's own text."""
    exec(compile(text, _HARNESS, "exec", dont_inherit=True), names)  # noqa: S102 - names checked
    return Source(names["run_one_step"], {**cells, _HARNESS: text}, shapes)


def _leaves(names: Mapping[str, Any], module: Any) -> Iterator[tuple[Path, Any]]:
    """Numbers, arrays and lists of numbers, reached by names; each way to them."""
    stack: list[tuple[Path, Any]] = [
        ((name,), x) for name, x in names.items() if not name.startswith("__")
    ]
    for _ in range(_MOST):
        if not stack:
            return
        path, x = stack.pop(0)
        if isinstance(x, (float, np.ndarray, np.floating)) or (type(x) is list and is_table(x)):
            yield path, x
        elif len(path) > _DEEP:
            continue
        elif isinstance(x, dict):
            stack += [((*path, f"[{key!r}]"), part) for key, part in x.items()
                      if isinstance(key, (str, int))]  # fmt: skip
        elif isinstance(x, list):
            stack += [((*path, f"[{i}]"), part) for i, part in enumerate(x)]
        elif type(x).__module__ == module and hasattr(x, "__dict__"):
            stack += [((*path, f".{key}"), part) for key, part in vars(x).items()]


def _rooted(path: str, wanted: str) -> bool:
    """Is something at `path`, or a part of what is there, wanted?"""
    return path == wanted or (path.startswith(wanted) and path[len(wanted)] in ".[")


class Step:
    """A step of a script: `start` has its parameters, moved away from where they begin."""

    def __init__(
        self, cells: Mapping[str, str], names: dict[str, Any],
        shapes: Mapping[str, Callable[[str], Any]], costs: list[str], wanted: list[str],
    ) -> None:  # fmt: skip
        self.cells, self.names, self.shapes = cells, names, shapes
        before = dict(_leaves(names, names.get("__name__")))
        missing = [w for w in wanted if not any(_rooted("".join(path), w) for path in before)]
        if missing:
            raise GradError(f"check-code: there is no {missing[0]} before the loop")
        text = f"def run_one_step(numbers):\n    {STEP}()\n    return globals()\n"
        source = harnessed(cells, names, text, shapes)
        try:
            after = Workspace(source).run({})
        except Exception as error:
            raise GradError(f"check-code: a step raised {told_error(error, source)}") from error
        # A cost is a number: what is called an error may be one for every example.
        self.cost = next((c for c in costs if np.size(after.get(c, 0.0)) == 1), "")
        if not self.cost:
            raise GradError(NO_COST)
        self.after = dict(_leaves(after, names.get("__name__")))
        self.ways: dict[str, list[Path]] = {}
        trained = {path: x for path, x in before.items() if self._may_be_trained(path, x, wanted)}
        words = [_word(path[-1]) for path in trained]
        known: dict[int, str] = {}
        for path, x in trained.items():
            short = words.count(_word(path[-1])) == 1 and _word(path[-1]).isidentifier()
            key = known.setdefault(id(x), _word(path[-1]) if short else "".join(path))
            self.ways.setdefault(key, []).append(path)
        self.start = {
            key: _moved(before[ways[0]], i) for i, (key, ways) in enumerate(self.ways.items())
        }
        self.idle: list[str] = []
        if self.start:
            _, found = self._measured(dict.fromkeys(self.start, "0"))
            self.idle = [key for key, (_, slope) in found.items() if not slope]
            if not wanted:
                self.start = {k: x for k, x in self.start.items() if k not in self.idle}

    def _may_be_trained(self, path: Path, x: Any, wanted: list[str]) -> bool:
        text, after = "".join(path), self.after.get(path)
        if wanted:
            return any(_rooted(text, w) for w in wanted)
        if after is None or np.shape(after) != np.shape(x) or np.array(x).dtype.kind not in "fiu":
            return False
        return not COST.fullmatch(text) and not same(np.array(after, float), np.array(x, float), 0)

    def _measured(self, gradients: Mapping[str, str]) -> tuple[Source, dict[str, Any]]:
        """The step as a function of numbers, with gradients as they are written.

        And along a direction of each parameter, what its gradient says and how the cost changes.
        """
        roots = sorted({path[0] for ways in self.ways.values() for path in ways})
        lines = ["def run_one_step(numbers):", f"    global {', '.join(roots)}"]
        for key in self.start:
            ways = " = ".join("".join(path) for path in self.ways[key])
            lines.append(f"    {ways} = numbers[{key!r}]")
        lines += ["    before = {key: kept(x) for key, x in numbers.items()}", f"    {STEP}()"]
        pairs = ", ".join(f"{key!r}: {text}" for key, text in gradients.items())
        lines.append(f"    return ({self.cost}), {{{pairs}}}")
        text = _TAKEN + "\n".join(lines) + "\n"
        source = harnessed(self.cells, dict(self.names), text, self.shapes)
        case = Case(source, self.start)
        values = case.parameters.values
        _, told = case.runner.outcome(values)
        found = {}
        for p in case.parameters.all:
            direction = np.random.default_rng(3).normal(size=p.value.shape)
            along = np.sum(told[p.name] * direction) if _fits(told[p.name], p.value) else None
            found[p.name] = along, case.runner.slope(values, p.name, direction)
        return source, found

    def source(self, step: bool, rate: float | None) -> tuple[Source, list[str]]:
        """The source with the gradients that are named, or what the step takes away; a remark."""
        named = {key: self._named(key) for key in self.start}
        if not step and rate is None and all(named.values()):
            return self._measured({key: text or "" for key, text in named.items()})[0], []
        _, found = self._measured({key: self._taken(key, 1.0) for key in self.start})
        remark = ""
        if rate is None:
            rate, remark = self._rate(found)
        said = say("code.taken_away", rate=f"{rate:g}", remark=remark)
        taken = {key: self._taken(key, rate) for key in self.start}
        return self._measured(taken)[0], [said]

    def _taken(self, key: str, rate: float) -> str:
        return f"taken(before[{key!r}], {''.join(self.ways[key][0])}, {rate!r})"

    def _named(self, key: str) -> str | None:
        """Where the gradient of a parameter is left, by its name; None where there is none."""
        path = self.ways[key][0]
        of, words = _word(path[-1]), set(map(_word, path))
        found = []
        for other, x in self.after.items():
            word, text = _word(other[-1]), "".join(other)
            beside = other[:-1] == path[:-1] or len(other) == 1
            inside = any("grad" in part or claimed(_word(part), words) for part in other[:-1])
            if (claimed(word, {of}) and (beside or inside)) or (word == of and inside):
                found.append((np.shape(x) != np.shape(self.start[key]), not beside, text))
        if not found:
            return None
        apart, _, text = min(found)
        # What is updated takes the gradient's numbers, whatever axes of length 1 it has or lacks.
        like = np.shape(self.start[key])
        return f"({text}).reshape{like}" if apart and self._broadcasts(text, like) else text

    def _broadcasts(self, text: str, like: tuple[int, ...]) -> bool:
        x = next(x for path, x in self.after.items() if "".join(path) == text)
        spread = isinstance(x, np.ndarray) and x.size == np.prod(like)
        return spread and (1,) * (len(like) - x.ndim) + x.shape == like

    def _rate(self, found: Mapping[str, Any]) -> tuple[float, str]:
        """The learning rate: a number of that name, or what the steps have in common."""
        named = [
            float(x) for path, x in {**self.after, **_numbers(self.names)}.items()
            if _RATE.fullmatch(_word(path[-1])) and np.size(x) == 1 and x
        ]  # fmt: skip
        told = [pair for pair in found.values() if pair[0] is not None and pair[1]]

        def right(rate: float) -> int:
            return sum(abs(a - rate * slope) <= 1e-4 * abs(rate * slope) for a, slope in told)

        common = [float(f"{along / slope:.6g}") for along, slope in told if along * slope > 0]
        shared = max(common, key=right, default=1.0)
        best = max(named, key=right, default=None)
        if best is not None and (right(best) or right(shared) < max(2, len(found))):
            return best, ""
        if best is not None:
            return shared, say("code.rate", times=f"{shared / best:g}", rate=f"{best:g}")
        written = {float(x) for text in self.cells.values() for x in _WRITTEN.findall(text)}
        if right(shared) < min(2, len(found)) or len(found) == 1:
            shared = max(written, key=right, default=1.0)
        return shared, ""


def _fits(x: Any, like: Any) -> bool:
    return x is not None and np.shape(x) == np.shape(like)


def _word(part: str) -> str:
    """What is written in a part of a path: a name, a key, a place."""
    return part.strip(".[]'\"")


def _numbers(names: Mapping[str, Any]) -> dict[Path, Any]:
    return {(name,): x for name, x in names.items() if type(x) in (int, float)}


#: A learning rate that has no name: ``W -= 0.1 * dW``.
_WRITTEN = re.compile(r"[-+]=? *(\d+\.?\d*(?:e-?\d+)?|\.\d+) *\*")
_TAKEN = """
def taken(before, after, rate):
    if isinstance(before, (list, tuple)):
        return [taken(a, b, rate) for a, b in zip(before, after)]
    return (before - after) / rate


def kept(x):
    return [kept(part) for part in x] if isinstance(x, (list, tuple)) else x * 1.0


"""


def _moved(x: Any, seed: int) -> Any:
    """A parameter away from its start, in lists where it is."""
    random = np.random.default_rng(seed)

    def move(part: Any) -> Any:
        if isinstance(part, list):
            return [move(value) for value in part]
        if isinstance(part, np.ndarray):
            return part + _START * random.normal(size=part.shape)
        return float(part) + _START * float(random.normal())

    return move(x)
