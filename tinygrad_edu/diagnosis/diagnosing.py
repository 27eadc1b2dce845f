"""The diagnosis of wrong lines: which mistake, the smallest correction, and a sentence about it."""

from __future__ import annotations

import contextlib
import itertools
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_edu import words
from tinygrad_edu.checking.rows import Diagnosis
from tinygrad_edu.checking.truth import equal
from tinygrad_edu.checking.verdict import Judged, Judgement
from tinygrad_edu.diagnosis import statements as say
from tinygrad_edu.diagnosis import symbolic
from tinygrad_edu.diagnosis.correction import Correction, Search
from tinygrad_edu.diagnosis.evidence import Case
from tinygrad_edu.diagnosis.lab import Lab, size
from tinygrad_edu.diagnosis.matrices import of_matrix
from tinygrad_edu.diagnosis.mistakes.state import accumulated
from tinygrad_edu.diagnosis.registry import named
from tinygrad_edu.diagnosis.roles import Roles
from tinygrad_edu.diagnosis.words import LONGEST_SEARCHED, Words, visible_keys
from tinygrad_edu.sheets.account import DIAGNOSING, LARGEST_SEARCHED, Account, TooMuch
from tinygrad_edu.sheets.lines import Jacobian, Key, Statement
from tinygrad_edu.sheets.syntax import Expr, assigns, names_in, nodes, show

#: What is said of a wrong line when nothing more may be sought.
NOT_SOUGHT = words.say("diagnosis.not_sought")
NOTHING_FOUND = words.say("diagnosis.not_found")
#: What comes before the derived rule.
RULE = "The rule:"


def diagnose(judged: Judged) -> dict[str, Diagnosis]:
    """A diagnosis for every wrong claim of a judged sheet, the first ones first.

    All share one account: where it is used up, the rest is not sought, and says so.
    """
    wrong = [
        judgement
        for judgement in judged.judgements.values()
        if judgement.verdict == "wrong"
        and judgement.truth is not None
        and judgement.claim.last.expr.op != "unread"
    ]
    matrices = {
        name: of_matrix(judged, judgement.claim)
        for name, judgement in judged.judgements.items()
        if isinstance(judgement.claim, Jacobian)
        and judgement.verdict == "wrong"
        and judgement.claim.last.expr.op != "unread"
    }
    if not wrong:
        return matrices
    wrong.sort(key=lambda judgement: judgement.claim.last.line)
    found: dict[str, Diagnosis] = {}
    with (
        np.errstate(all="ignore"),
        warnings.catch_warnings(),
        contextlib.suppress(TooMuch),
    ):
        warnings.simplefilter("ignore")  # a mean of nothing, in some trial
        lab = Lab(judged, Account(DIAGNOSING, LARGEST_SEARCHED))
        roles = Roles(lab)
        for judgement in wrong:
            found[judgement.claim.name] = _at_least_something(lab, roles, judgement)
    rest = Diagnosis("other", NOT_SOUGHT, None)
    return matrices | {j.claim.name: found.get(j.claim.name, rest) for j in wrong}


def _at_least_something(lab: Lab, roles: Roles, judgement: Judgement) -> Diagnosis:
    """The diagnosis; a formula so odd that naming it fails still gets its verdict."""
    try:
        return _diagnosed(lab, roles, judgement)
    except (ValueError, TypeError, LookupError, ArithmeticError):
        return Diagnosis("other", NOTHING_FOUND, None)


def gradients_above(lab: Lab, before: Statement) -> dict[Key, tuple[Expr, float]]:
    """What is claimed above a statement: quantity, the learner's name, the factor of its scale."""
    above: dict[Key, tuple[Expr, float]] = {}
    lab.account.spend(4_000 * len(lab.judged.final))
    for statement in itertools.takewhile(lambda s: s is not before, lab.sheet.backward):
        claim = lab.judged.final.get(statement.key)
        if claim is not None:
            truth = lab.judged.judgements[claim.name].truth
            if truth is not None:
                above[truth[0]] = (lab.name(statement.key), truth[1])
    return above


def derived_rules(lab: Lab, before: Statement) -> dict[Key, symbolic.Line]:
    """The rules for all quantities, in terms of the gradients claimed above a statement."""
    return symbolic.derive(lab, gradients_above(lab, before))


def _diagnosed(lab: Lab, roles: Roles, judgement: Judgement) -> Diagnosis:
    statement = judgement.claim.last
    assert judgement.truth is not None
    rules = _rules(lab, judgement, statement)
    nothing = lab.judged.of_nothing(judgement.claim, judgement.truth)
    if nothing is not None:  # many a formula gives 0; none of them is nearer than another
        rule = f"{statement.name} = {show(rules[0])}" if rules else None
        capital = f"{nothing[0].upper()}{nothing[1:]}."
        return Diagnosis("other", words.Said(capital, "diagnosis.sentence", said=nothing), rule)
    case = Case(lab, roles, judgement, statement.expr, None, statement, rules)
    if say.only_overwrites(case):  # += is the correction
        return Diagnosis(*named(case), accumulated(case))
    found, line = _correct(lab, judgement, statement, rules)
    edit = found.edit if found is not None and line.length <= LONGEST_SEARCHED else None
    case = Case(lab, roles, judgement, line, edit, statement, rules)
    mistake, explanation = named(case)
    if mistake == "updated_weights":
        return Diagnosis(mistake, explanation, one_line(statement))
    if rules and (found is None or found.edit.expr is not rules[0]):
        rule = words.say("diagnosis.rule", line=f"{statement.name} = {show(rules[0])}")
        explanation = words.together("note.space", explanation, rule)
    text = None if found is None else f"{statement.name} = {found.text}"
    if found is not None and assigns(found.edit.expr):
        text = found.text
    return Diagnosis(mistake, explanation, text)


def _rules(lab: Lab, judgement: Judgement, statement: Statement) -> list[Expr]:
    """Formulas of the right gradient: in terms of the gradients above, and softmax's own."""
    assert judgement.truth is not None
    key, factor = judgement.truth
    lab.use_names_above(statement)
    derived = derived_rules(lab, statement)
    line = derived.get(key)
    rules = [] if line is None else [line.written(factor)]
    for other, (name, scale) in gradients_above(lab, statement).items():
        if other in derived:
            derived[other] = symbolic.Line(lab, name, derived[other].shape, 1.0 / scale)
    shorter = _softmax_rules(lab, key, factor, derived)
    shorter += _normalising_rules(lab, key, factor, derived)
    return shorter + rules


def _softmax_rules(
    lab: Lab, key: Key, factor: float, derived: dict[Key, symbolic.Line]
) -> list[Expr]:
    """``p * (dp - sum(dp * p))`` for forward names p that are positive and sum to one."""
    found: list[Expr] = []
    for other in lab.forward_keys:
        p = lab.points[0].plain[other]
        if other not in derived or not isinstance(p, np.ndarray) or not lab._computed(other):
            continue
        if p.shape != np.shape(lab.points[0].gradient(key)):
            continue
        name, above = lab.name(other), derived[other]
        found += _of_log_softmax(lab, p, name, above, factor)
        if np.all(p >= 0):
            for axis in _axes_adding_to_one(p):
                found += _of_softmax(lab, name, above, axis, factor)
                found += _against_targets(lab, p, name, axis)
    right = [e for e in found if _is_right(lab, e, key, factor)]
    right.sort(key=size)
    return right[:2]


def _axes_adding_to_one(p: Any) -> list[int | None]:
    if np.isclose(p.sum(), 1.0):
        return [None]
    return [a for a in range(p.ndim) if p.shape[a] > 1 and np.allclose(p.sum(axis=a), 1.0)]


def _along(lab: Lab, axis: int | None) -> dict[str, Expr]:
    """The options of a sum along an axis."""
    number = lab.formulas.number
    return {} if axis is None else {"axis": number(axis), "keepdims": number(True)}


def _of_log_softmax(
    lab: Lab, p: Any, name: Expr, above: symbolic.Line, factor: float
) -> Iterator[Expr]:
    """``dp - exp(p) * sum(dp)``."""
    make, call = lab.formulas.make, lab.formulas.call
    for axis in range(p.ndim):
        if p.shape[axis] > 1 and np.allclose(np.exp(p).sum(axis=axis), 1.0):
            total = call("sum", above.expr, **_along(lab, axis))
            share = make("*", call("exp", name), total)
            written = lab.times(factor * above.constant, make("-", above.expr, share))
            if written is not None:
                yield written


def _of_softmax(
    lab: Lab, name: Expr, above: symbolic.Line, axis: int | None, factor: float
) -> Iterator[Expr]:
    """``p * (dp - sum(dp * p))``."""
    make = lab.formulas.make
    total = lab.formulas.call("sum", make("*", above.expr, name), **_along(lab, axis))
    rule = make("*", name, make("-", above.expr, total))
    written = lab.times(factor * above.constant, rule)
    if written is not None:
        yield written


def _against_targets(lab: Lab, p: Any, name: Expr, axis: int | None) -> Iterator[Expr]:
    """``p * sum(y) - y`` for what is given in the shape of p, divided by a length of it or not."""
    make = lab.formulas.make
    for given in lab.sheet.givens:
        y = lab.formulas.name(given, 0)
        if np.shape(lab.value(y)) != p.shape:
            continue
        summed = make("*", name, lab.formulas.call("sum", y, **_along(lab, axis)))
        for constant in (1.0, *(1.0 / n for n in p.shape)):
            written = lab.times(constant, make("-", summed, y))
            if written is not None:
                yield written


def _normalised_axes(p: Any) -> list[int]:
    """The axes along which numbers have mean square 1, a 1e-5 added below apart."""
    if not isinstance(p, np.ndarray) or p.dtype.kind != "f":
        return []
    return [
        axis
        for axis in range(p.ndim)
        if p.shape[axis] > 2 and np.allclose((p**2).mean(axis=axis), 1.0, atol=1e-2)
    ]


def _normalising_rules(
    lab: Lab, key: Key, factor: float, derived: dict[Key, symbolic.Line]
) -> list[Expr]:
    """``(dp - mean(dp) - p * mean(dp * p)) / s`` for what ``p = (x - mean(x)) / s`` was made of."""
    make, number, call = lab.formulas.make, lab.formulas.number, lab.formulas.call
    found = []
    for statement in lab.sheet.forward:
        made = statement.expr
        if made.op != "/" or statement.key not in derived:
            continue
        name, above = lab.name(statement.key), derived[statement.key]
        for axis in _normalised_axes(lab.points[0].plain[statement.key]):
            options = {"axis": number(axis), "keepdims": number(True)}
            centred = above.expr
            if np.allclose(lab.points[0].plain[statement.key].mean(axis=axis), 0.0, atol=1e-8):
                centred = make("-", centred, call("mean", above.expr, **options))
            along = make("*", name, call("mean", make("*", above.expr, name), **options))
            centred = make("-", centred, along)
            written = lab.times(factor * above.constant, make("/", centred, made.args[1]))
            if written is not None:
                found.append(written)
    return [e for e in found if _is_right(lab, e, key, factor)]


def _is_right(lab: Lab, e: Expr, key: Key, factor: float) -> bool:
    return all(equal(lab.value(e, i), lab.truth(key, factor, i)) for i in range(len(lab.points)))


def _shares_of_normalising(lab: Lab, visible: set[Key]) -> list[Expr]:
    """``p * sum(dq * p)``, as part of a rule multiplied out, by the shortest name it goes by."""
    make, number, call = lab.formulas.make, lab.formulas.number, lab.formulas.call
    found = []
    for other in lab.forward_keys:
        p = lab.points[0].plain[other]
        for axis in _normalised_axes(p):
            name = lab.name(other)
            for key in visible:
                above = lab.name(key)
                if key not in lab.points[0].plain and np.shape(lab.value(above)) == p.shape:
                    for function in ("sum", "mean"):
                        options = {"axis": number(axis), "keepdims": number(True)}
                        total = call(function, make("*", above, name), **options)
                        constant, known = lab.simplest(total)
                        found.append(make("*", name, known if constant == 1.0 else total))
    return found


def _correct(
    lab: Lab, judgement: Judgement, statement: Statement, rules: list[Expr]
) -> tuple[Correction | None, Expr]:
    """The smallest correction of a line; where none is near, of the line with its steps put in."""
    assert judgement.truth is not None
    truth = judgement.truth
    visible = visible_keys(lab, statement)
    own = _own_words(lab, statement, visible) + _shares_of_normalising(lab, visible)
    best: tuple[float, Correction, Expr] | None = None
    for line in _versions(lab, judgement, statement):
        words = Words(lab, rules, visible, line, own)
        search = Search(lab, statement, line, lambda i: lab.truth(*truth, i), words, rules)
        chosen = search.run()
        if chosen is None:
            continue
        cost = search.best[0]
        if best is None or cost < best[0]:
            best = (cost, chosen, line)
        if best[0] <= 6 or chosen.edit.kind != "rule":
            break
    if best is None:
        return None, statement.expr
    return best[1], best[2]


def _versions(lab: Lab, judgement: Judgement, statement: Statement) -> list[Expr]:
    """The line as it stands, and with earlier steps of the same claim and scratch lines put in."""
    definitions = {}
    for other in itertools.takewhile(lambda s: s is not statement, lab.sheet.backward):
        if other.key not in lab.judged.final and other.plain:
            definitions[lab.name(other.key)] = other.expr
    inlined = statement.expr
    for _ in range(6):
        new = lab.formulas.substituted(inlined, definitions)
        if new is inlined or size(new) > 60:
            break
        inlined = new
    return [statement.expr] if inlined is statement.expr else [statement.expr, inlined]


def _own_words(lab: Lab, statement: Statement, visible: set[Key]) -> list[Expr]:
    """Parts of the learner's other lines that mean something here."""
    found = []
    for other in lab.sheet.backward:
        if other is statement or size(other.expr) > 40:
            continue
        for path, e in nodes(other.expr):
            if path and e.op not in ("name", "number") and names_in(e) <= visible:
                if isinstance(lab.value(e), np.ndarray):
                    found.append(e)
    return found[:60]


def one_line(statement: Statement) -> str:
    """A statement as ``NAME = expression``, also where it was written otherwise."""
    if statement.plain:
        text = statement.text
        if ":" in text.split("=", 1)[0]:
            return f"{statement.name} = {text.split('=', 1)[1].strip()}"
        return text
    if assigns(statement.expr):
        return statement.text
    return f"{statement.name} = {show(statement.expr, statement.reader.spelling)}"
