"""What is wrong with gradients handed in as numbers: a rule made wrong until it gives the same.

The graph stands there as a sheet, with a stand-in line for every gradient handed in. Then the rule
for one of them is mutated in every way the checker knows of (a factor left out, another layer's
value, no transpose, …), at the gradients the learner handed in for what comes later; where a
mutation gives the learner's numbers, the difference between the two formulas is the mistake. Where
several parameters' gradients are wrong together, it is sought in the gradients between them and the
cost that nobody handed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.calculus.axes import find_examples
from tinygrad_edu.checking.flow import Entry, gradients_with
from tinygrad_edu.checking.samples import Sample, samples_of
from tinygrad_edu.checking.table import Diagnosis
from tinygrad_edu.checking.truth import TOLERANCE, gradient_of, largest_error, multiple_of
from tinygrad_edu.checking.verdict import Judged, Judgement
from tinygrad_edu.core.sweep import reachable
from tinygrad_edu.core.value import Value
from tinygrad_edu.diagnosis.activations import context_of
from tinygrad_edu.diagnosis.derived import DerivedRules
from tinygrad_edu.diagnosis.edits import Edit
from tinygrad_edu.diagnosis.evidence import Case
from tinygrad_edu.diagnosis.places import Place
from tinygrad_edu.diagnosis.registry import named
from tinygrad_edu.diagnosis.search import CorrectionSearch
from tinygrad_edu.diagnosis.words import Words, visible_keys
from tinygrad_edu.sheets.account import DIAGNOSING, JUDGING, LARGEST_SEARCHED, Account
from tinygrad_edu.sheets.evaluate import Evaluator
from tinygrad_edu.sheets.lines import Statement
from tinygrad_edu.sheets.sheet import Sheet
from tinygrad_edu.sheets.syntax import Expr, parts, show

#: In the rules of so many gradients that nobody handed in a mistake is sought.
MOST_HIDDEN = 3


class StandIns:
    """A graph as a sheet, with a line ``dQ: dQ = 0 * Q`` for every gradient in `nodes`.

    `rules` are those of the gradients in `wanted`, where they can be written.
    """

    def __init__(
        self,
        graph: tuple[str, Mapping[str, Any]],
        nodes: Mapping[str, Value],
        wanted: Iterable[str],
        convention: str,
        m: int | None,
    ) -> None:
        forward, data = graph
        self.nodes = nodes
        lines = [f"{name}: d{node.name} = 0 * {node.name}\n" for name, node in nodes.items()]
        sheet = Sheet(forward + "".join(lines), "graph", data)
        account = Account(JUDGING)
        samples = samples_of(sheet, account)[0] or [Sample(sheet, sheet.main, account)]
        self.judged = Judged(sheet, samples, find_examples(sheet.cost, m), convention)
        self.context = context_of(self.judged, Account(DIAGNOSING, LARGEST_SEARCHED))
        self.at = self.context.order.index(0)
        derived = DerivedRules(self.context)
        self.rules = {
            name: rule
            for name in wanted
            if self.judgement(name).truth
            for rule in derived.of(self.judgement(name))
        }

    def use(self, numbers: Mapping[str, Any]) -> None:
        """From now on the gradients are these: the rules, derived before, hold for true ones."""
        own = {self.statement(name).key: array for name, array in numbers.items()}
        self.context.at[self.at] = Evaluator({**self.judged.worlds[0], **own})

    def judgement(self, name: str) -> Judgement:
        """What a stand-in is the gradient of, and in which scale."""
        return self.judged.judgements[name]

    def statement(self, name: str) -> Statement:
        """The stand-in line of a gradient."""
        return self.judged.sheet.claims[name].last

    def factor(self, name: str) -> float:
        """What the convention puts in front of ``∂J/∂Q``."""
        truth = self.judgement(name).truth
        return truth.factor if truth else 1.0

    def mutated(self, name: str, rule: Expr, numbers: Any, pairs: bool = True) -> Edit | None:
        """The nearest change of `rule`, for the gradient `name`, that gives these numbers."""
        statement = self.statement(name)
        words = Words(self.context, [rule], visible_keys(self.context, statement), rule, [])
        place = Place(self.context, statement, rule)
        search = CorrectionSearch(self.context, place, lambda i: numbers, words, [], [self.at])
        found = search.run(pairs)
        return None if found is None or found.edit.expr is rule else found.edit

    def value(self, e: Expr) -> Any:
        """A formula's value in the learner's numbers."""
        return self.context.value(e, self.at)

    def diagnosis(self, name: str, wrong: Expr, kind: str, said: str) -> Diagnosis:
        """The mistake that makes `wrong` of a gradient's rule; `said` is said first."""
        rule = self.rules[name]
        back = Edit(rule, kind, (wrong,), (rule,))
        fresh = [i for i in range(len(self.context.samples)) if i != self.at]
        case = Case(self.context, self.judgement(name), wrong, back, [rule], fresh)
        mistake, explanation = named(case)
        return Diagnosis(mistake, f"{said} {explanation}", f"{name} = {show(rule)}")


class HandedIn:
    """Gradients handed in as numbers, some of them wrong.

    `graph` is the cost's graph as a sheet, with its numbers; `own` has ``∂J/∂node`` as the learner
    computed it, by node, for what other gradients were computed from.
    """

    def __init__(
        self,
        graph: tuple[str, Mapping[str, Any]],
        cost: Value,
        entries: Mapping[str, Entry],
        own: Mapping[Value, Any],
        convention: str,
        m: int | None,
    ) -> None:
        self.graph, self.cost, self.convention, self.m = graph, cost, convention, m
        self.entries, self.own = entries, own
        self.flowing = gradients_with(cost, own)
        #: How far from the cost each node is, in steps of the backward pass.
        self.place = {node: i for i, node in enumerate(reachable(cost))}

    def explained(self, wrong: Sequence[str], right: Iterable[str]) -> dict[str, Diagnosis]:
        """A diagnosis for each wrong entry for which one is found."""
        parameters = [name for name in wrong if self.entries[name].node.op is None]
        suspects = self._suspects(parameters, right)
        found = self._together(parameters, suspects) if len(parameters) > 1 else {}
        found |= self._alone([name for name in wrong if name not in found])
        if len(parameters) == 1 and not found:
            found = self._together(parameters, suspects)
        return found

    # --- each by its own rule ------------------------------------------------------------------

    def _alone(self, wrong: list[str]) -> dict[str, Diagnosis]:
        """Mistakes in the very lines whose numbers were handed in."""
        if not wrong:
            return {}
        stand_ins = self._stand_ins({}, wrong)
        found = {}
        for name, rule in stand_ins.rules.items():
            edit = _times(stand_ins, rule, self._constant(self.entries[name]))
            edit = edit or stand_ins.mutated(name, rule, self.entries[name].given)
            if edit is not None:
                said = f"The numbers are those of {name} = {show(edit.expr)}."
                found[name] = stand_ins.diagnosis(name, edit.expr, edit.kind, said)
        return found

    def _stand_ins(self, hidden: Mapping[str, Value], wanted: Iterable[str]) -> StandIns:
        """A line for every entry and every `hidden` gradient, in the order of the backward pass."""
        nodes = {name: entry.node for name, entry in self.entries.items()} | dict(hidden)
        order = sorted(nodes, key=lambda name: self.place.get(nodes[name], len(self.place)))
        made = StandIns(self.graph, {n: nodes[n] for n in order}, wanted, self.convention, self.m)
        own = {name: e.given for name, e in self.entries.items() if e.node in self.own}
        for name, node in hidden.items():
            own[name] = made.factor(name) * gradient_of(node, self.flowing)
        made.use(own)
        return made

    # --- together, by a rule nobody handed in ----------------------------------------------------

    def _hidden(self) -> dict[str, Value]:
        """The gradients that would have a line of their own and were not handed in."""
        handed_in = {entry.node for entry in self.entries.values()}
        return {
            f"d{node.name}": node
            for node in self.place
            if _has_a_line(node)
            and node not in handed_in
            and node is not self.cost
            and f"d{node.name}" not in self.entries
        }

    def _suspects(self, wrong: Iterable[str], right: Iterable[str]) -> list[str]:
        """Those hidden that all the wrong entries are computed from, and no right one is; the
        nearest to them first."""
        targets = {self.entries[name].node for name in wrong}
        innocent = {self.entries[name].node for name in right}
        found = []
        for name, node in reversed(self._hidden().items()):
            before = set(reachable(node))
            if targets <= before and not innocent & before:
                found.append(name)
        return found[:MOST_HIDDEN]

    def _together(self, wrong: list[str], suspects: list[str]) -> dict[str, Diagnosis]:
        """One mistake in a gradient not handed in that explains all these entries."""
        if not suspects:
            return {}
        hidden = self._hidden()
        stand_ins = self._stand_ins(hidden, [*suspects, *wrong])
        for candidate in (self._multiple, self._mutated):
            for name in suspects:
                made = candidate(stand_ins, wrong, name) if name in stand_ins.rules else None
                if made is not None:
                    said = (
                        f"The numbers of {', '.join(wrong)} are those that {name} = "
                        f"{show(made.expr)} gives, a line not handed in."
                    )
                    diagnosis = stand_ins.diagnosis(name, made.expr, made.kind, said)
                    return dict.fromkeys(wrong, diagnosis)
        return {}

    def _multiple(self, stand_ins: StandIns, wrong: list[str], name: str) -> Edit | None:
        """The rule of a hidden gradient times the constant that all these entries are off by."""
        constants = [self._constant(entry) for entry in map(self.entries.__getitem__, wrong)]
        first = constants[0]
        if first is None or any(c is None or not np.isclose(c, first) for c in constants):
            return None
        examples = stand_ins.judged.examples
        if (
            self.convention == "lecture"
            and examples
            and np.isclose(abs(first), (examples.m, 1 / examples.m)).any()
        ):
            return None  # 1/m belongs to the parameters' own lines there
        return _times(stand_ins, stand_ins.rules[name], first)

    def _constant(self, entry: Entry) -> float | None:
        """The constant by which an entry differs from what flows into its node."""
        return multiple_of(entry.given, entry.factor * gradient_of(entry.node, self.flowing))

    def _mutated(self, stand_ins: StandIns, wrong: list[str], name: str) -> Edit | None:
        """The change of a hidden gradient's rule that gives all these entries."""
        node, hole = stand_ins.nodes[name], stand_ins.context.name(stand_ins.statement(name).key)
        largest = max(wrong, key=lambda n: self.entries[n].node.size)
        pattern = stand_ins.rules.get(largest)
        if pattern is None or hole not in parts(pattern):
            return None
        line = stand_ins.context.formulas.substituted(pattern, {hole: stand_ins.rules[name]})
        edit = stand_ins.mutated(largest, line, self.entries[largest].given, pairs=False)
        mutated = edit and filling(pattern, edit.expr, hole)
        if not edit or not mutated:
            return None
        value = stand_ins.value(mutated)
        if np.shape(value) != node.shape:
            return None
        flowing = gradients_with(self.cost, {**self.own, node: value / stand_ins.factor(name)})
        for entry in map(self.entries.__getitem__, wrong):
            expected = entry.factor * gradient_of(entry.node, flowing)
            if largest_error(entry.given, expected) > TOLERANCE:
                return None
        return Edit(mutated, edit.kind)


def _times(stand_ins: StandIns, rule: Expr, constant: float | None) -> Edit | None:
    e = None if constant is None else stand_ins.context.constants.times(constant, rule)
    return None if e is None or e is rule else Edit(e, "insert factor")


def _has_a_line(node: Value) -> bool:
    """Is a computed quantity one whose gradient gets a line, as Z does, and A = g(Z) does not?"""
    inner = [parent for parent in node.parents if parent.requires_grad]
    of_named = len(inner) == 1 and inner[0].op is not None and inner[0].name is not None
    activation = of_named and inner[0].shape == node.shape
    return node.name is not None and node.op is not None and not activation


def filling(pattern: Expr, e: Expr, hole: Expr) -> Expr | None:
    """What stands in `e` where `pattern` has `hole`; None where they differ in anything else."""
    if pattern is hole:
        return e
    if pattern is e:
        return None
    if (pattern.op, pattern.extra, len(pattern.args)) != (e.op, e.extra, len(e.args)):
        return None
    pairs = [(p, a) for p, a in zip(pattern.args, e.args, strict=True) if p is not a]
    fillings = {filling(p, a, hole) for p, a in pairs}
    return fillings.pop() if len(fillings) == 1 else None
