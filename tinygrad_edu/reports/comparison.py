"""`compare`: hand-derived gradients beside the automatic ones and the central difference."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinygrad_edu.calculus.axes import Examples, find_examples
from tinygrad_edu.checking import table
from tinygrad_edu.checking.conventions import check_convention, scales
from tinygrad_edu.checking.flow import Entry, Flow, reads_others
from tinygrad_edu.checking.notes import joined, moved, of_data
from tinygrad_edu.checking.rounding import (
    SHARE,
    Rounding,
    difference,
    numerical_error,
    relative_error,
)
from tinygrad_edu.checking.table import Row
from tinygrad_edu.checking.truth import (
    TOLERANCE,
    Kinks,
    Replay,
    gradient_of,
    gradients,
)
from tinygrad_edu.core.numbers import numbers
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.signature import Size, checked
from tinygrad_edu.core.sweep import needed, reachable
from tinygrad_edu.core.value import Value
from tinygrad_edu.diagnosis.graphs import diagnosed
from tinygrad_edu.sheets.account import TooMuch
from tinygrad_edu.sheets.claims import claimed
from tinygrad_edu.sheets.evaluate import Evaluator
from tinygrad_edu.sheets.paper import advice, one_formula
from tinygrad_edu.sheets.reader import Reader
from tinygrad_edu.sheets.syntax import Formulas
from tinygrad_edu.sheets.vocabulary import suggestion
from tinygrad_edu.words import say

#: How many entries of one quantity the central difference is computed for: all, up to this many.
MOST_ENTRIES = 64

#: A node, the factor of a convention, and that times the node's gradient.
Truth = tuple[Value, float, Any]


@dataclass(frozen=True, repr=False)
class Comparison:
    """A derivation judged line by line: see `compare`.

    `rows` has a `Row` per quantity, `convention` is the scale they were judged in, `ok` says if
    all are right. ``str`` is a table; a notebook shows it as HTML.
    """

    rows: list[Row]
    convention: str
    m: Size | None = None
    cost: str = "J"
    remarks: list[str] = field(default_factory=list)
    assumed: str = ""  # why a mere number was taken for m

    @property
    def ok(self) -> bool:
        """Is something claimed, and every quantity right?"""
        return bool(self.rows) and all(row.ok for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """The comparison as plain JSON values: dicts, lists, strings, numbers, None."""
        return {
            "cost": self.cost,
            "convention": self.convention,
            "m": self.m,
            "ok": self.ok,
            "rules": [row.to_json() for row in self.rows],
            "remarks": self.remarks,
        }

    @property
    def title(self) -> str:
        """The scale of the table, in words, and which lines are in another."""
        apart = table.in_other_scale(self.rows)
        if self.convention == "lecture":
            m = f"m = {self.m}, {self.assumed}" if self.assumed else f"m = {self.m}"
            return f"lecture's scale, {m}: dZ is of the sum of losses, dW of {self.cost}{apart}"
        return f"calculus' scale: everything is ∂{self.cost}/∂…{apart}"

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.text import Text

        said = [*table.remarks(self.rows), *self.remarks]
        return Group(table.rich_table(self.title, self.rows), *map(Text, said))

    def __repr__(self) -> str:
        scale = say(f"scale.{self.convention}")
        return f"<Comparison in {scale} scale: {table.counted(self.rows)}>"

    def __str__(self) -> str:
        return table.text_of(self)

    def _repr_html_(self) -> str:
        return table.html_table(self.title, self.rows, self.remarks)


@checked
def compare(
    cost: Value, manual: Mapping[str, Any], convention: str = "auto", m: Size | None = None
) -> Comparison:
    """Put hand-derived gradients beside the automatic ones; nothing in the graph is changed.

    `manual` has an entry per quantity, ``"dZ2"`` for that of the node named Z2: an array, a
    function of named arrays (``lambda A2, Y: A2 - Y``; it may read entries above it, and m), or a
    formula as text (``"A2 - Y"``). Shapes must be equal, nothing is broadcast to make a line pass.

    In the lecture's convention ``dZ`` is m times ``∂J/∂Z`` for computed quantities that have the
    example axis; in calculus' all is ``∂J/∂Q``; "auto" takes the one that fits better. Verdicts:
    *correct*; *follows*: wrong only because an entry above is; *wrong*; *kink*: differs only where
    the derivative jumps; *unchecked*: the cost does not depend on it.

    What is handed in as numbers follows where the derived rule gives it at the gradients handed in
    for what comes after it in the forward pass. Another spelling of a key, ``"dJ_dZ2"``,
    ``"grad_Z2"``, ``"Z2_grad"``, means the same. Nothing handed in is not `ok`.

    Raises GradError where no node has the name, or the lecture's convention finds no m.

    >>> z = tg.Value(2.0, "z")
    >>> tg.compare(z * z, {"dz": 4.0}).ok
    True
    """
    found = gradients(cost)
    named = names_of(cost)
    for name in manual:
        if not isinstance(name, str) or claimed(name, named) is None:
            raise GradError(
                f"{name!r} is not d + the name of a node of the graph"
                f"{suggestion(str(name), {f'd{n}': '' for n in named})}. Named nodes: "
                f"{', '.join(named) or 'none; use tg.name_values(W1=W1, …)'}"
            )
    examples = find_examples(cost, m)
    tried = [
        _judge(cost, manual, named, found, examples, choice)
        for choice in check_convention(convention, examples)
    ]
    best, entries = min(tried, key=lambda judged: table.score(judged[0].rows))
    best = replace(best, rows=_forgiven(best, entries, manual))
    wrong = [row.name for row in best.rows if row.verdict == "wrong"]
    if wrong:
        said = diagnosed(cost, manual, entries, wrong, examples, best.convention)
        rows = [replace(row, diagnosis=said.get(row.name)) for row in best.rows]
        best = replace(best, rows=rows)
    return best


@checked
def assert_derivation(
    cost: Value, manual: Mapping[str, Any], convention: str = "auto", m: Size | None = None
) -> None:
    """`compare` for tests: an AssertionError, whose message is the table, where a line is wrong or
    nothing is claimed.

    >>> z = tg.Value(2.0, "z")
    >>> tg.assert_derivation(z * z, {"dz": 4.0})
    """
    comparison = compare(cost, manual, convention, m)
    if not comparison.rows:
        raise AssertionError("nothing is claimed: hand in gradients, {'dW1': …}")
    if not comparison.ok:
        wrong = ", ".join(row.name for row in comparison.rows if not row.ok)
        raise AssertionError(f"{wrong} differ from the automatic gradients\n{comparison}")


@checked
def check_function(
    backward: Callable[..., Any],
    forward: Value | Callable[..., Any],
    convention: str = "auto",
    m: Size | None = None,
    **inputs: Any,
) -> Comparison:
    """Judge a function that computes gradients by hand, on copies of its inputs.

    `forward`: the cost, a Value whose graph has named nodes; or a function of Values that returns
    it, called with `inputs` (arrays by name). `backward` is called with plain copies of the numbers
    its parameters name (given or computed ones, and m) and returns a dict ``{"dW1": array, …}``. An
    input it writes into is reported in `remarks`.

    Raises GradError for a parameter that no node is named after, TypeError where no dict comes
    back.

    >>> def forward(w):
    ...     return w * w
    >>> tg.check_function(lambda w: {"dw": 2 * w}, forward, w=3.0).ok
    True
    """
    if isinstance(forward, Value):
        cost = forward
        if inputs:
            raise TypeError("inputs are for a forward function; a graph has its own")
    else:
        cost = forward(**{name: Value(data, name) for name, data in inputs.items()})
        if not isinstance(cost, Value):
            raise TypeError(f"forward returned a {type(cost).__name__}, not the cost as a Value")
    known = {name: nodes[-1]._data for name, nodes in names_of(cost).items()}
    examples = find_examples(cost, m)
    if examples is not None:
        known.setdefault("m", examples.m)
    parameters = inspect.signature(backward).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        wanted = list(known)
    else:
        wanted = [n for n, p in parameters.items() if n in known or p.default is p.empty]
    missing = [name for name in wanted if name not in known]
    if missing:
        raise GradError(
            f"{backward.__name__} asks for {', '.join(missing)}; the graph has {', '.join(known)}"
        )
    given = {name: _copy(known[name]) for name in wanted}
    found = backward(**given)
    if not isinstance(found, Mapping):
        raise TypeError(
            f"{backward.__name__} returned a {type(found).__name__}; a dict {{'dW1': …}} is needed"
        )
    manual = {k if claimed(str(k), known) else f"d{k}": v for k, v in found.items()}
    spoilt = [
        name for name in wanted if not np.array_equal(given[name], known[name], equal_nan=True)
    ]
    remarks = [f"{backward.__name__} writes into its input {name}" for name in spoilt]
    if not manual:
        remarks.append(f"{backward.__name__} returns no gradient, so nothing is shown")
    return replace(compare(cost, manual, convention, m), remarks=remarks)


def names_of(cost: Value) -> dict[str, list[Value]]:
    """The named nodes of a graph by name, oldest first; a name given twice has two nodes."""
    named: dict[str, list[Value]] = {}
    for node in reversed(reachable(cost, every=True)):
        if node.name is not None:
            named.setdefault(node.name, []).append(node)
    return named


def _judge(
    cost: Value,
    manual: Mapping[str, Any],
    named: dict[str, list[Value]],
    found: dict[Value, Any],
    examples: Examples | None,
    convention: str,
) -> tuple[Comparison, dict[str, Entry]]:
    """A table in one convention, and what every entry of it was found to be."""
    base: dict[str, Any] = {name: nodes[-1]._data for name, nodes in named.items()}
    if examples is not None:
        base.setdefault("m", examples.m)
    as_given, as_true = dict(base), dict(base)
    claims = {name: str(claimed(name, named)) for name in manual}
    kinks = Kinks(cost, [node for of in claims.values() for node in named[of]], found)
    replay, rounding = Replay(cost), Rounding(cost)
    learning = needed(replay.order)
    entries: dict[str, Entry] = {}
    rows = []
    for name, formula in manual.items():
        nodes = named[claims[name]]
        truths = [
            (node, factor, factor * gradient_of(node, found))
            for node in nodes
            for factor in scales(node, examples, convention)
        ]
        raised: list[str] = []
        given = from_truth = _evaluated(name, formula, as_given, raised)
        (node, factor, truth), error = _closest(given, truths, kinks, rounding)
        error_from_truth = error
        if not _right(error) and reads_others(formula):
            raised.clear()  # of what is right above it, it may be computed
            from_truth = _evaluated(name, formula, as_true, raised)
            other, error_from_truth = _closest(from_truth, truths, kinks, rounding)
            node, factor, truth = other if _right(error_from_truth) else (node, factor, truth)
        full = None if error is None else _error(given, (node, factor, truth), rounding)
        note, numerical = _numerically(given, (node, factor, truth), replay, rounding)
        verdict = (
            "unchecked" if learning.isdisjoint(nodes)
            else "correct" if _right(error)
            else "unchecked" if error is not None and np.isnan(truth).any()
            else "follows" if _right(error_from_truth)
            else "wrong"
        )  # fmt: skip
        if verdict == "unchecked" and np.isnan(truth).any():
            note = say("note.not_a_number")
        if (
            verdict == "correct"
            and np.any(kinks.masks[node])
            and (not _right(full) or not _right(numerical))
        ):
            verdict = "kink"
            note = note or say("note.kinks", n=int(kinks.masks[node].sum()), size=node.size)
        scale = of_data(claims[name], factor, scales(node, examples, convention))
        if verdict == "correct" and scale is not None:
            note = joined(scale, note)
        for reason in raised:
            note = joined(note, reason)
        entries[name] = Entry(node, factor, given, from_truth, truth)
        rows.append(
            Row(
                name=name,
                of=claims[name],
                verdict=verdict,
                shape=None if given is None else tuple(np.shape(given)),
                expected_shape=tuple(node.shape),
                max_error=full,
                numerical_error=numerical,
                note=note,
                other_scale=verdict == "correct" and scale is not None,
                formula=formula if isinstance(formula, str) else None,
            )
        )
        as_given[name] = given
        as_true[name] = truth
    flow = Flow(cost, entries)
    rows = [
        replace(row, verdict="follows")
        if row.verdict == "wrong"
        and not reads_others(manual[row.name])
        and flow.agrees(entries[row.name], kinks)
        else row
        for row in rows
    ]
    m = examples.m if examples else None
    assumed = examples.assumed if examples else ""
    return Comparison(rows, convention, m, cost.name or "J", [], assumed), entries


def _forgiven(
    comparison: Comparison, entries: dict[str, Entry], manual: Mapping[str, Any]
) -> list[Row]:
    """The rows, a constant that the lines reading it make up for being no mistake.

    As in a sheet: all parameters' gradients that read the entry, directly or through others, are
    right. Which entries an array was computed from is not known, so only formulas and functions
    count as readers.
    """
    reads = {name: _reads(formula) for name, formula in manual.items()}
    verdicts = {row.name: row.verdict for row in comparison.rows}
    result = []
    for row in comparison.rows:
        accused = row.verdict in ("wrong", "follows")
        constant = entries[row.name].multiple(comparison.m) if accused else None
        if constant is not None:
            tainted = {row.name}
            for name in manual:  # entries read those above them only
                if reads[name] & tainted:
                    tainted.add(name)
            parameters = [n for n in tainted - {row.name} if entries[n].node.op is None]
            if parameters and all(verdicts[name] == "correct" for name in parameters):
                note = moved(constant, str(row.of), comparison.convention)
                row = replace(row, verdict="correct", note=note, other_scale=True)
        result.append(row)
    return result


def _reads(formula: Any) -> set[str]:
    """The names that a function or a formula as text reads; none for numbers."""
    if isinstance(formula, str):
        return set(re.findall(r"[A-Za-z_]\w*", formula))
    return set(inspect.signature(formula).parameters) if reads_others(formula) else set()


def _right(error: float | None) -> bool:
    return error is not None and error <= TOLERANCE


def _closest(
    given: Any, truths: list[Truth], kinks: Kinks, rounding: Rounding
) -> tuple[Truth, float | None]:
    """The true gradient nearest to the given one, with its node and scale; how far it is."""
    best: tuple[Truth, float | None] = (truths[0], None)
    for truth in truths:
        node, factor, _ = truth
        if given is None or np.shape(given) != node.shape:
            continue
        error = _error(given, truth, rounding, kinks.excused(node, given, factor))
        if best[1] is None or error < best[1]:
            best = (truth, error)
    return best


def _error(given: Any, truth: Truth, rounding: Rounding, ignore: Any = False) -> float:
    """How far numbers are off, as a share of the true ones: up to `TOLERANCE` they are right.

    Entry by entry; for rounding of the terms that an entry was added up from there is room as well.
    """
    apart = np.where(ignore, 0.0, difference(given, truth[2]))
    share = TOLERANCE if np.asarray(given).dtype == np.float32 else SHARE
    return relative_error(apart, truth[2], lambda: _terms(truth, rounding), share)


def _terms(truth: Truth, rounding: Rounding) -> Any:
    """The size of the terms that a true gradient was added up from."""
    node, factor, gradient = truth
    return abs(factor) * rounding.of_gradient(node, gradient / factor)


def _evaluated(name: str, formula: Any, known: dict[str, Any], raised: list[str]) -> Any:
    """The numbers of one entry; None where its function raises what NumPy raises for misfits, which
    is told in `raised`."""
    if isinstance(formula, Value):
        formula = formula._data
    if isinstance(formula, str):
        return _computed(name, formula, known)
    if not callable(formula):
        array = np.array(numbers(formula, what=name))
        return array if array.dtype == np.float32 else array.astype(float)
    wanted = list(inspect.signature(formula).parameters)
    missing = [key for key in wanted if key not in known]
    if missing:
        raise GradError(
            f"{name}: its function asks for {', '.join(missing)}; there are "
            f"{', '.join(sorted(known))}"
        )
    arguments = {key: _copy(known[key]) for key in wanted}
    if any(value is None for value in arguments.values()):
        return None
    try:
        with np.errstate(all="ignore"):
            result = formula(**arguments)
    except (ValueError, IndexError, ArithmeticError) as error:
        raised.append(say("note.raised", error=f"{type(error).__name__}: {error}"))
        return None
    return _evaluated(name, result._data if isinstance(result, Value) else result, known, raised)


def _computed(name: str, text: str, known: dict[str, Any]) -> Any:
    """The numbers of a formula given as text; None where its shapes do not fit."""
    text = text.split("=", 1)[1] if text.split("=", 1)[0].strip() == name else text
    text = one_formula(text, lambda n: n in known and not np.shape(known[n])).strip()
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError as error:
        why = advice(text, error.msg)
        raise GradError(f"{name}: {text!r:.60} is not a formula: {why}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise GradError(f"{name}: {text!r:.60} is not a formula: {error}") from None
    e = Reader(Formulas(), text, lambda n: 0 if n in known else -1).read(tree.body)
    missing = sorted({key[0] for key in e.names if key[0] not in known})
    if missing:
        raise GradError(
            f"{name}: its formula reads {', '.join(missing)}{suggestion(missing[0], known)}; "
            f"there are {', '.join(sorted(known))}"
        )
    try:
        with np.errstate(all="ignore"):
            value = Evaluator({(k, 0): v for k, v in known.items()}).get(e)
    except TooMuch:
        raise GradError(f"{name}: this formula asks for more work than a formula may") from None
    return None if value is None else np.asarray(value, float)


def _copy(x: Any) -> Any:
    return np.array(x) if isinstance(x, np.ndarray) else x


def _numerically(
    given: Any, truth: Truth, replay: Replay, rounding: Rounding
) -> tuple[str | None, float | None]:
    """The error against the central difference, and a note where only some entries were tried."""
    node, factor, gradient = truth
    if given is None or np.shape(given) != node.shape:
        return None, None
    entries = list(range(node.size))
    note = None
    if len(entries) > MOST_ENTRIES:
        chosen = np.random.default_rng(0).choice(node.size, MOST_ENTRIES, replace=False)
        entries = sorted(int(i) for i in chosen)
        note = say("note.entries", n=MOST_ENTRIES, size=node.size)
    return note, numerical_error(
        factor * replay.difference(node, entries),
        np.ravel(given)[entries],
        np.ravel(gradient)[entries],
        lambda: np.ravel(_terms(truth, rounding))[entries],
        lambda: abs(factor) * rounding.of_cost(),
    )
