"""The words that corrections of a line may use, all taken from the sheet itself."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tinygrad_edu.checking.truth import is_scalar
from tinygrad_edu.diagnosis.context import Context
from tinygrad_edu.diagnosis.parts import subproducts, summands
from tinygrad_edu.sheets.lines import Key, Statement
from tinygrad_edu.sheets.syntax import Expr, parts, walk

#: A longer line is not searched: each trial costs as much as it is long.
LONGEST_SEARCHED = 400
#: Longer parts of the learner's other lines are no words.
LONGEST_PIECE = 40


class Words:
    """What edits of one line may use: see the module."""

    def __init__(
        self, context: Context, rules: list[Expr], visible: set[Key], line: Expr, own: list[Expr]
    ) -> None:
        self.context = context
        formulas = context.formulas
        self.arrays: list[Expr] = []
        self.scalars: list[Expr] = []
        for key in visible:
            e = formulas.name(*key)
            value = context.value(e)
            if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
                self.arrays.append(e)
            elif is_scalar(value):
                (
                    self.arrays
                    if context.depends(e) or key in context.graph_scalars
                    else self.scalars
                ).append(e)
        self.arrays.sort(key=lambda e: e.number)
        self.scalars.sort(key=lambda e: e.number)
        self.forms = [
            form
            for activation in context.elementwise
            if (activation.before in visible or activation.before[1] < 0)
            and (activation.after is None or activation.after in visible)
            for form in activation.forms
            if form.op != "number" and context.depends(form)
        ]
        self.forms += self._masks(visible)
        pieces: list[Expr] = []
        self.terms: list[Expr] = []
        #: Derivatives of activations, parts of the rule: what two factors may give way to.
        self.strong: list[Expr] = []
        for rule in rules:
            for e in walk(rule):
                value = context.value(e)
                if isinstance(value, np.ndarray) or (is_scalar(value) and context.depends(e)):
                    pieces.append(e)
                if e.op in ("*", "/"):
                    pieces.extend(subproducts(context, e))
            self.terms += summands(context, rule)
        self.terms += self._shares()
        self.strong = [e for e in unique([*self.forms, *pieces]) if e.op != "name"]
        pieces += own
        self.own = own
        for e in walk(line) if line.length <= LONGEST_SEARCHED else ():
            value = context.value(e)
            if isinstance(value, np.ndarray) or (e.op == "index" and is_scalar(value)):
                pieces += [e] if e is not line else []
        self.factors = unique([*self.forms, *pieces, *self.arrays])
        self.ends = self._ends(np.shape(context.value(line)))
        #: Formulas the sheet itself contains, or that its rules are made of.
        self.known = {*parts(*self.factors), *context.written}

    def _masks(self, visible: set[Key]) -> list[Expr]:
        """Where a forward line chooses: what is compared, its contrary, what a maximum passes, and
        the sign of what it takes the size of."""
        make, zero = self.context.formulas.make, self.context.formulas.number(0)
        contrary = {">": "<=", ">=": "<", "<": ">=", "<=": ">"}
        found = []
        for statement in self.context.sheet.forward:
            for e in walk(statement.expr):
                if e.op in contrary and e.names <= visible:
                    found += [e, make(contrary[e.op], *e.args)]
                if e.function in ("abs", "absolute") and e.names <= visible:
                    found.append(self.context.formulas.call("sign", e.args[0]))
            made = statement.expr
            if made.function in ("maximum", "relu") and statement.key in visible:
                if any(a is zero for a in made.args) or made.function == "relu":
                    found.append(make(">", self.context.name(statement.key), zero))
        return [e for e in found if isinstance(self.context.value(e), np.ndarray)]

    def _shares(self) -> list[Expr]:
        """What is summed over an axis, times a forward quantity: ``N * dg`` of a normalisation."""
        make, context = self.context.formulas.make, self.context
        return [
            make("*", q, total)
            for q in self.arrays if q.extra in context.forward_keys
            for total in self.arrays if total.extra not in context.forward_keys
            if np.shape(context.value(q)) != np.shape(context.value(total))
            and np.shape(context.value(make("*", q, total))) == np.shape(context.value(q))
        ]  # fmt: skip

    def _ends(self, shape: tuple[int, ...]) -> list[Expr]:
        """The first and last entries of arrays, where they have the shape of the line."""
        make, number = self.context.formulas.make, self.context.formulas.number
        return [
            make("index", e, number(i))
            for e in self.arrays
            if np.ndim(value := self.context.value(e)) and np.shape(value[0]) == shape
            for i in (0, -1)
        ]

    def transposes(self) -> list[Expr]:
        """The matrices among the names, transposed."""
        matrices = (e for e in self.arrays if np.ndim(self.context.value(e)) == 2)
        return list(map(self.context.formulas.transposed, matrices))


def visible_keys(context: Context, statement: Statement) -> set[Key]:
    """The names that have a value when a line is computed, each in its latest state."""
    forward: dict[str, Key] = {key[0]: key for key in context.forward_keys}
    # Of an updated forward name its own value is what rules speak of.
    own = {s.name: s.key for s in context.above(statement) if s.name not in forward}
    keys = {*forward.values(), *own.values(), *statement.expr.names}
    return {key for key in keys if key[1] >= 0}


def unique(items: Iterable[Expr]) -> list[Expr]:
    """Each formula once, in order."""
    return list(dict.fromkeys(items))
