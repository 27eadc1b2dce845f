"""The diagnosis of wrong lines: which mistake, the smallest correction, and a sentence about it."""

from __future__ import annotations

import contextlib
import warnings

import numpy as np

from tinygrad_edu import words
from tinygrad_edu.checking.table import Diagnosis
from tinygrad_edu.checking.verdict import Judged, Judgement, Truth
from tinygrad_edu.diagnosis import statements as say
from tinygrad_edu.diagnosis.activations import context_of
from tinygrad_edu.diagnosis.claims import Claim
from tinygrad_edu.diagnosis.context import Context
from tinygrad_edu.diagnosis.correcting import correct
from tinygrad_edu.diagnosis.derived import DerivedRules
from tinygrad_edu.diagnosis.differences import chain
from tinygrad_edu.diagnosis.edits import Edit
from tinygrad_edu.diagnosis.evidence import Case
from tinygrad_edu.diagnosis.matrices import of_matrix
from tinygrad_edu.diagnosis.mistakes.state import accumulated
from tinygrad_edu.diagnosis.places import Place, places_of
from tinygrad_edu.diagnosis.registry import family_of, named
from tinygrad_edu.diagnosis.scratch import Fault, ScratchLines
from tinygrad_edu.diagnosis.search import Correction
from tinygrad_edu.diagnosis.words import LONGEST_SEARCHED
from tinygrad_edu.sheets.account import DIAGNOSING, LARGEST_SEARCHED, Account, TooMuch
from tinygrad_edu.sheets.lines import Jacobian, Statement
from tinygrad_edu.sheets.syntax import Expr, assigns, parts, show

#: What is said of a wrong line when nothing more may be sought.
NOT_SOUGHT = words.say("diagnosis.not_sought")
UNFINISHED = words.say("diagnosis.unfinished")
NOTHING_FOUND = words.say("diagnosis.not_found")
#: A longer rule of a loop's line, with all turns one after another, tells nobody anything.
_LONGEST_OF_TURNS = 25
#: What comes before the derived rule.
RULE = "The rule:"


def diagnose(judged: Judged) -> dict[str, Diagnosis]:
    """A diagnosis for every wrong claim of a judged sheet, the first ones first.

    All share one account: where it is used up, the rest is not sought, and says so.
    """
    wrong = [
        judgement
        for judgement in judged.judgements.values()
        if judgement.verdict == "wrong" and judgement.claim.last.expr.op != "unread"
    ]
    found = {
        judgement.claim.name: of_matrix(judged, judgement.claim)
        for judgement in wrong
        if isinstance(judgement.claim, Jacobian)
    }
    wrong = [judgement for judgement in wrong if judgement.truth is not None]
    wrong.sort(key=lambda judgement: judgement.claim.last.line)
    found |= {judgement.claim.name: Diagnosis("other", NOT_SOUGHT, None) for judgement in wrong}
    derived: DerivedRules | None = None
    failures: list[str] = []
    with np.errstate(all="ignore"), warnings.catch_warnings(), contextlib.suppress(TooMuch):
        warnings.simplefilter("ignore")  # a mean of nothing, in some trial
        todo, early = list(wrong), list[Judgement]()
        for judgement in todo:  # which grows
            name = judgement.claim.name
            found[name] = Diagnosis("other", UNFINISHED, None)
            try:
                if derived is None:
                    account = Account(DIAGNOSING, LARGEST_SEARCHED)
                    derived = DerivedRules(context_of(judged, account))
                    scratch = ScratchLines(derived.context, wrong)
                    scratch.find_common()
                untold = scratch.told is None
                found[name] = _diagnosed(derived, scratch, judgement)
                if untold and scratch.told is not None:  # perhaps for those before too
                    todo += [j for j in early if j.claim.last.turn and scratch.told_for(j)]
                early.append(judgement)
            except TooMuch:
                raise
            except Exception as error:
                # A formula so odd that naming what is wrong with it fails is still wrong.
                found[name] = Diagnosis("other", NOTHING_FOUND, None)
                failures.append(f"{name}: {error!r}")
    for failure in failures:
        warnings.warn(f"the diagnosis failed on {failure}", RuntimeWarning, stacklevel=2)
    return found


def _diagnosed(derived: DerivedRules, scratch: ScratchLines, judgement: Judgement) -> Diagnosis:
    context, statement = derived.context, judgement.claim.last
    context.use_names_above(statement)
    # A learner has no `scatter`.
    rules = [e for e in derived.of(judgement) if all(x.function != "scatter" for x in parts(e))]
    case = Case(context, judgement, statement.expr, None, rules)
    places = list(places_of(context, statement))
    known = _at_once(case, places)
    if known is not None:
        return known
    fault = scratch.above(judgement) if statement.turn else scratch.told_for(judgement)
    found, place = correct(context, judgement, [] if fault else places, rules)
    if not statement.turn and fault is None:
        fault = scratch.fault(judgement, found)
    line, edit = _compared(context, statement, place, found, fault)
    mistake, explanation = named(Case(context, judgement, line, edit, rules))
    if mistake == "updated_weights":
        return Diagnosis(mistake, explanation, one_line(statement))
    if fault is not None and edit is None and family_of(mistake) not in ("scale", "sign"):
        mistake = "other"  # what the line lacks may be in the line that it reads
    if fault is not None:
        more = () if mistake == "other" else (explanation,)
        explanation = words.together("note.space", fault.says, *more)
    elif mistake == "other" and found is not None and line is not place.line:
        explanation = _changed(place.line, found.edit).says
    if statement.turn:
        rules = [rule for rule in rules if rule.length <= _LONGEST_OF_TURNS]
    if rules and (found is None or found.edit.expr is not rules[0]):
        rule = words.say("diagnosis.rule", line=f"{statement.name} = {show(rules[0])}")
        explanation = words.together("note.space", explanation, rule)
    return Diagnosis(mistake, explanation, None if found is None else found.text)


def _compared(
    context: Context,
    statement: Statement,
    place: Place,
    found: Correction | None,
    fault: Fault | None,
) -> tuple[Expr, Edit | None]:
    """The formula in which the mistake is looked for, and what is changed in it."""
    line = place.line
    if found is None or place.whole(line) is not line or line.length > LONGEST_SEARCHED:
        return statement.expr, None  # what is written in part is compared as a whole
    if fault is not None:
        put, name = context.formulas.substituted, context.name(fault.statement.key)
        was = put(statement.expr, {name: fault.statement.expr})
        now = put(statement.expr, {name: fault.right})
        if was is not now:
            removed, added = chain(was, now)[-1]
            return was, Edit(now, "replacement", (removed,), (added,))
    return line, found.edit


def _at_once(case: Case, places: list[Place]) -> Diagnosis | None:
    """Of a gradient that is 0, and a share that is overwritten, no correction is sought."""
    judgement, rules = case.judgement, case.rules
    statement = judgement.claim.last
    nothing = case.context.judged.of_nothing(judgement.claim, Truth(case.of, case.factor))
    if nothing is not None:  # many a formula gives 0; none of them is nearer than another
        rule = f"{statement.name} = {show(rules[0])}" if rules else None
        capital = f"{nothing[0].upper()}{nothing[1:]}."
        return Diagnosis("other", words.Said(capital, "diagnosis.sentence", said=nothing), rule)
    if say.only_overwrites(case):  # += is the correction
        return Diagnosis(*named(case), accumulated(case))
    for adding in (place.adding() for place in places if statement.turn):
        if adding is not None and case.right(adding.whole(adding.line)):
            return Diagnosis("lost_accumulation", say.overwritten().says, adding.text(adding.line))
    return None


def _changed(line: Expr, edit: Edit) -> Claim:
    """What gave way to what in a line that its correction makes right."""
    if edit.kind.startswith("index") and edit.first is None:
        return say.with_for(edit.added[0], edit.removed[0])
    x, y = chain(line, edit.expr)[-1]
    return say.with_for(y, x)


def one_line(statement: Statement) -> str:
    """A statement as ``NAME = expression``, where it is no assignment to a part, nor in a loop."""
    text = statement.looped or statement.text
    if statement.plain and ":" in text.split("=", 1)[0]:
        return f"{statement.name} = {text.split('=', 1)[1].strip()}"
    if statement.plain or statement.looped or assigns(statement.expr):
        return text
    return f"{statement.name} = {show(statement.expr, statement.reader.spelling)}"
