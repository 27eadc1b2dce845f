"""The smallest correction of a wrong line: edits of the learner's own formula, nearest first.

Every edit is tried on the true values at a fresh point, then at the others. The words an edit may
use come from the sheet: its names, the derivatives of its activations, and the pieces of the rule
derived for this very quantity; there is no list of known mistakes. The search is bounded by a
number of formulas tried, never by a clock, so that its answer does not depend on the machine.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.checking.formula import Expr, names_in, nodes, show
from tinygrad_edu.checking.lab import Lab, equal, is_scalar
from tinygrad_edu.checking.parts import flat, product, spine, subproducts, summands
from tinygrad_edu.checking.sheet import Key, Statement

#: Formulas tried per line: single edits, and pairs where no single edit does it.
MOST_SINGLE = 12_000
MOST_PAIRS = 10_000
REDUCTIONS = ("sum", "mean")
PRODUCT_CALLS = ("dot", "matmul", "multiply", "outer")
_TOKEN = re.compile(r"\d+\.?\d*(?:e[-+]?\d+)?|\.\d+|\w+|\*\*|//|[<>=!]=|\S")

Path = tuple[int, ...]


class Edit:
    """A changed formula, and what was changed: `removed` gave way to `added` at `path`.

    `first` is the edit before this one, of a pair.
    """

    __slots__ = ("added", "expr", "first", "kind", "path", "removed")

    def __init__(
        self,
        expr: Expr,
        kind: str,
        removed: tuple[Expr, ...] = (),
        added: tuple[Expr, ...] = (),
        path: Path = (),
        first: Edit | None = None,
    ) -> None:
        self.expr, self.kind, self.removed, self.added = expr, kind, removed, added
        self.path, self.first = path, first


@dataclass(frozen=True)
class Correction:
    """The edit chosen for a line, its text, and its distance from the learner's in tokens."""

    edit: Edit
    text: str
    distance: int


def tokens(text: str) -> list[str]:
    """A formula cut into names, numbers and signs."""
    return _TOKEN.findall(text)


def distance(a: list[str], b: list[str]) -> int:
    """How many tokens must be put in, taken out or exchanged (Levenshtein)."""
    while a and b and a[0] == b[0]:
        a, b = a[1:], b[1:]
    while a and b and a[-1] == b[-1]:
        a, b = a[:-1], b[:-1]
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


class Words:
    """What edits of one line may use: see the module."""

    def __init__(
        self, lab: Lab, rules: list[Expr], visible: set[Key], line: Expr, own: list[Expr]
    ) -> None:
        self.lab = lab
        formulas = lab.formulas
        self.arrays: list[Expr] = []
        self.scalars: list[Expr] = []
        for key in visible:
            e = formulas.name(*key)
            value = lab.value(e)
            if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
                self.arrays.append(e)
            elif is_scalar(value):
                (
                    self.arrays if lab.depends(e) or key in lab.graph_scalars else self.scalars
                ).append(e)
        self.arrays.sort(key=lambda e: e.number)
        self.scalars.sort(key=lambda e: e.number)
        self.forms = [
            form
            for link in lab.links
            if (link.before in visible or link.before[1] < 0)
            and (link.after is None or link.after in visible)
            for form in link.forms
            if form.op != "number" and lab.depends(form)
        ]
        self.forms += self._masks(visible)
        pieces: list[Expr] = []
        self.terms: list[Expr] = []
        #: Derivatives of activations, parts of the rule: what two factors may give way to.
        self.strong: list[Expr] = []
        for rule in rules:
            for _, e in nodes(rule):
                value = lab.value(e)
                if isinstance(value, np.ndarray) or (is_scalar(value) and lab.depends(e)):
                    pieces.append(e)
                if e.op in ("*", "/"):
                    pieces.extend(subproducts(lab, e))
            self.terms += summands(lab, rule)
        self.strong = [e for e in _unique([*self.forms, *pieces]) if e.op != "name"]
        pieces += own
        for _, e in nodes(line):
            if isinstance(lab.value(e), np.ndarray) and e is not line:
                pieces.append(e)
        self.factors = _unique([*self.forms, *pieces, *self.arrays])
        #: Formulas the sheet itself contains, or that its rules are made of.
        self.known = {sub for word in self.factors for _, sub in nodes(word)} | lab.written

    def _masks(self, visible: set[Key]) -> list[Expr]:
        """Where a forward line chooses: what is compared, its contrary, what a maximum passes."""
        make, zero = self.lab.formulas.make, self.lab.formulas.number(0)
        contrary = {">": "<=", ">=": "<", "<": ">=", "<=": ">"}
        found = []
        for statement in self.lab.sheet.forward:
            for _, e in nodes(statement.expr):
                if e.op in contrary and names_in(e) <= visible:
                    found += [e, make(contrary[e.op], *e.args)]
            made = statement.expr
            if made.function in ("maximum", "relu") and statement.key in visible:
                if any(a is zero for a in made.args) or made.function == "relu":
                    found.append(make(">", self.lab.name(statement.key), zero))
        return [e for e in found if isinstance(self.lab.value(e), np.ndarray)]

    def transposes(self) -> list[Expr]:
        """The matrices among the names, transposed."""
        make = self.lab.formulas.make
        return [
            make("attribute", e, extra="T") for e in self.arrays if np.ndim(self.lab.value(e)) == 2
        ]


def _unique(items: Iterable[Expr]) -> list[Expr]:
    return list(dict.fromkeys(items))


class Search:
    """The search for corrections of one line."""

    def __init__(
        self,
        lab: Lab,
        statement: Statement,
        line: Expr,
        target: Callable[[int], Any],
        words: Words,
        rules: list[Expr],
        known_at: list[int] | None = None,
    ) -> None:
        self.lab, self.line, self.words, self.rules = lab, line, words, rules
        self.formulas = lab.formulas
        self.spelling = statement.reader.spelling
        own = line is statement.expr and statement.plain
        self.was = tokens(statement.text.split("=", 1)[1] if own else show(line, self.spelling))
        #: The points at which the wanted numbers are known, and these numbers.
        self.known_at = list(range(len(lab.points))) if known_at is None else known_at
        self.targets = [np.asarray(target(i), float) for i in self.known_at]
        first = self.targets[0]
        self.shape = first.shape
        self.top = int(np.argmax(np.abs(first))) if first.size else 0
        self.expected = float(first.flat[self.top]) if first.size else 0.0
        self.tried: dict[Expr, bool] = {}
        #: The lowest cost so far, and the correction that has it.
        self.best: tuple[float, Correction | None] = (float("inf"), None)

    # --- trying --------------------------------------------------------------------------------

    def right(self, e: Expr) -> bool:
        """Has this formula the true value at every point?"""
        known = self.tried.get(e)
        if known is None:
            known = self.tried[e] = self._right(e)
        return known

    def _right(self, e: Expr) -> bool:
        value = self.lab.value(e, self.known_at[0])
        if value is None or np.shape(value) != self.shape:
            return False
        try:
            here = value.item(self.top) if isinstance(value, np.ndarray) else float(value)
        except (TypeError, ValueError):
            return False
        if not abs(here - self.expected) <= 1e-5 * abs(self.expected) + 1e-300:
            return False
        return all(
            equal(self.lab.value(e, i), t) for i, t in zip(self.known_at, self.targets, strict=True)
        )

    def run(self) -> Correction | None:
        """The nearest correction: single edits, in stages, else pairs, else the derived rule."""
        budget = MOST_SINGLE
        for enough, edits in self._stages():
            for edit in edits:
                if edit.expr in self.tried:
                    continue
                budget -= 1
                if budget < 0:
                    break
                if self.right(edit.expr):
                    self._hit(edit)
                    if self.best[0] <= 1.5:
                        return self.best[1]
            if self.best[0] <= enough or budget < 0:
                break
        best = self.best[1]
        if (
            best is None
            or self.best[0] > max(5.0, best.distance + 0.5)
            or (best.edit.kind == "graft" and best.distance > 8)
        ):
            self._pairs()
        for e in _unique(self.rules):
            if self.right(e):
                self._hit(Edit(e, "rule", (self.line,), (e,)))
        return self.best[1]

    def _stages(self) -> Iterator[tuple[float, Iterator[Edit]]]:
        """Ever larger sets of edits, each with the cost at which it is not worth going on.

        No edit is nearer than one token, so what costs no more than three is near enough.
        """
        places = [(path, e) for path, e in nodes(self.line) if self._editable(self.line, path)]
        yield 3.0, self.small(self.line, places)
        yield 2.5, self._grafted(self.line, places)
        yield 4.0, self._inserted(self.line, places)

    def _hit(self, edit: Edit) -> None:
        text = show(edit.expr, self.spelling)
        d = distance(self.was, tokens(text))
        cost = cost_of(edit, d, self.line, self.words)
        if cost < self.best[0]:
            self.best = (cost, Correction(edit, text, d))

    # --- single edits --------------------------------------------------------------------------

    def _grafted(self, root: Expr, places: list[tuple[Path, Expr]]) -> Iterator[Edit]:
        for path, e in places:
            yield from self._at(root, path, self._grafts(root, path, e))

    def _inserted(self, root: Expr, places: list[tuple[Path, Expr]]) -> Iterator[Edit]:
        for path, e in places:
            yield from self._at(root, path, self._insertions(root, path, e))

    def small(self, root: Expr, places: list[tuple[Path, Expr]] | None = None) -> Iterator[Edit]:
        """Edits that bring in no new word: operators, signs, axes, numbers, what is left out."""
        if places is None:
            places = [(path, e) for path, e in nodes(root) if self._editable(root, path)]
        for path, e in places:
            yield from self._at(root, path, self._deletions(e))
            yield from self._at(root, path, self._operators(e))
            yield from self._at(root, path, self._reductions(e, root, path))
            yield from self._at(root, path, self._numbers(e))
            yield from self._at(root, path, self._wraps(e))
        for path, e in places:
            yield from self._at(root, path, self._renamings(e))
        yield from self._scalings(root, places)

    def _scalings(self, root: Expr, places: list[tuple[Path, Expr]]) -> Iterator[Edit]:
        """One part times a constant, which is found by seeing what doubling the part does."""
        at = self.known_at[0]
        before = self.lab.value(root, at)
        if before is None or np.shape(before) != self.shape:
            return
        two, target = self.formulas.number(2), self.targets[0]
        for path, e in places:
            if e.op == "number" or not path:
                continue
            rebuilt = self.formulas.rebuilder(root, path)
            after = self.lab.value(rebuilt(self.formulas.make("*", e, two)), at)
            if after is None or np.shape(after) != self.shape:
                continue
            change = np.ravel(np.asarray(after, float) - before)
            wanted = np.ravel(target - before)
            top = int(np.argmax(np.abs(change))) if change.size else 0
            if not change.size or not change[top] or not np.isfinite(wanted[top] / change[top]):
                continue
            constant = 1 + float(wanted[top] / change[top])
            if constant in (0.0, 1.0) or not equal(wanted, (constant - 1) * change):
                continue
            scalar = self.lab.scalar(constant)
            if scalar is not None:
                new = product(self.lab, [*spine(e), *spine(scalar)])
                yield Edit(rebuilt(new), "insert factor", (), (scalar,), path)

    def _at(self, root: Expr, path: Path, edits: Iterable[Edit]) -> Iterator[Edit]:
        rebuilt = self.formulas.rebuilder(root, path)
        for edit in edits:
            edit.expr, edit.path = rebuilt(edit.expr), path
            yield edit

    def _editable(self, root: Expr, path: Path) -> bool:
        """Is this a place for arrays and numbers, not an axis, a shape or an index?"""
        e = root
        for i in path:
            if e.op in ("call", "method") and i >= len(e.args) - len(e.extra[1]):
                return False
            if e.op in ("slice", "tuple") or (e.op == "index" and i > 0):
                return False
            if e.op == "method" and i > 0 and e.extra[0] in ("reshape", "astype", "sum", "mean"):
                return False
            if e.op == "call" and i > 0 and e.extra[0] in ("reshape", "sum", "mean", "zeros"):
                return False
            e = e.args[i]
        return True

    def _deletions(self, e: Expr) -> Iterator[Edit]:
        make = self.formulas.make
        if e.op in ("*", "/"):
            factors = spine(e)
            if len(factors) <= 8:
                for n in (1, 2, 3):
                    for gone in itertools.combinations(range(len(factors)), n):
                        if n == len(factors):
                            continue
                        kept = [f for i, f in enumerate(factors) if i not in gone]
                        lost = tuple(factors[i][0] for i in gone)
                        yield Edit(product(self.lab, kept), "delete factor", lost)
        elif e.op in ("+", "-"):
            terms = self._terms(e)
            if len(terms) <= 10:
                for n in (1, 2):
                    for gone in itertools.combinations(range(len(terms)), n):
                        if n == len(terms):
                            continue
                        kept_terms = [t for i, t in enumerate(terms) if i not in gone]
                        lost = tuple(terms[i][0] for i in gone)
                        yield Edit(self._sum(kept_terms), "delete term", lost)
                for n in range(1, len(terms)):
                    turned = [(t, -s if i == n else s) for i, (t, s) in enumerate(terms)]
                    yield Edit(self._sum(turned), "sign", (terms[n][0],))
                if len(terms) == 2 and e.op == "-":
                    yield Edit(make("-", e.args[1], e.args[0]), "sign")
                if len(terms) == 2 and e.op == "+":
                    yield Edit(make("-", e.args[1], e.args[0]), "sign", (e.args[0],))
        if e.op in ("call", "method", "neg", "attribute", "index", "@", "**"):
            for a in e.positional if e.op in ("call", "method") else e.args:
                other = tuple(b for b in e.args if b is not a)
                yield Edit(
                    a, "unwrap" if len(e.args) < 2 or e.op != "@" else "delete factor", other
                )

    def _terms(self, e: Expr) -> list[tuple[Expr, int]]:
        terms: list[tuple[Expr, int]] = []
        while e.op in ("+", "-"):
            terms.append((e.args[1], 1 if e.op == "+" else -1))
            e = e.args[0]
        terms.append((e, 1))
        return terms[::-1]

    def _sum(self, terms: list[tuple[Expr, int]]) -> Expr:
        make = self.formulas.make
        e = terms[0][0] if terms[0][1] > 0 else make("neg", terms[0][0])
        for t, sign in terms[1:]:
            e = make("+" if sign > 0 else "-", e, t)
        return e

    def _operators(self, e: Expr) -> Iterator[Edit]:
        make = self.formulas.make
        if e.op in ("*", "@") or (e.op in ("call", "method") and e.function in PRODUCT_CALLS):
            yield from self.products(e)
        if e.op in ("*", "/"):
            factors = spine(e)
            for i in range(len(factors) - 1):
                (a, p), (b, q) = factors[i], factors[i + 1]
                if p > 0 and q > 0 and i > 0:
                    for edit in self.products(make("*", a, b)):
                        joined = [*factors[:i], (edit.expr, 1), *factors[i + 2 :]]
                        edit.expr = product(self.lab, joined)
                        yield edit
            other = "/" if e.op == "*" else "*"
            yield Edit(make(other, *e.args), "operator", (e.args[1],))
            if e.op == "/":
                yield Edit(make("/", e.args[1], e.args[0]), "operator")
        if e.op in (">", ">=", "<", "<=", "==", "!="):
            for other in (">", ">=", "<", "<=", "==", "!="):
                if other != e.op:
                    yield Edit(make(other, *e.args), "comparison", (e,), (make(other, *e.args),))
        if e.op in ("call", "method") and e.function in ("maximum", "minimum"):
            other = "minimum" if e.function == "maximum" else "maximum"
            yield Edit(make(e.op, *e.args, extra=(other, e.extra[1])), "function", (e,))
        if e.op == "call" and len(e.args) == 1 and e.function is not None:
            for other in ("tanh", "exp", "log", "sqrt", "square", "sigmoid"):
                if other != e.function:
                    yield Edit(make("call", *e.args, extra=(other, ())), "function", (e,))
        if e.op == "call" and len(e.args) == 3 and e.function == "where":
            a, b, c = e.args
            yield Edit(make("call", a, c, b, extra=e.extra), "where", (e,))
        # brackets: (a / b) + c as a / (b + c), and back
        for i, child in enumerate(e.args[:2]):
            if e.op in ("+", "-", "*", "/", "**", "@") and child.op in (
                "+",
                "-",
                "*",
                "/",
                "**",
                "@",
            ):
                if i == 0:
                    inner = make(e.op, child.args[1], e.args[1])
                    yield Edit(make(child.op, child.args[0], inner), "brackets", (e,))
                else:
                    inner = make(e.op, e.args[0], child.args[0])
                    yield Edit(make(child.op, inner, child.args[1]), "brackets", (e,))
        if e.op in ("neg",) and e.args[0].op in ("+", "-"):
            inside = e.args[0]
            yield Edit(
                make(inside.op, make("neg", inside.args[0]), inside.args[1]), "brackets", (e,)
            )

    def products(self, e: Expr) -> Iterator[Edit]:
        """``x * y`` as every product of x or its transpose and y or its transpose."""
        make = self.formulas.make
        x, y = (e.args[0], e.args[1]) if len(e.args) > 1 else (e.args[0], e.args[0])
        was = "@" if e.op == "@" or e.function in ("dot", "matmul") else "*"
        for a, b in ((x, y), (y, x)):
            for flip_a, flip_b in itertools.product((False, True), repeat=2):
                left = self._flipped(a) if flip_a else a
                right = self._flipped(b) if flip_b else b
                if left is None or right is None:
                    continue
                for op in ("@", "*"):
                    if op == "*" and a is y:
                        continue
                    kind = "transpose" if op == was else "product"
                    if e.op in ("call", "method"):
                        function = (
                            e.function if op == was
                            else "multiply" if op == "*"
                            else "dot"
                        )  # fmt: skip
                        if e.op == "call":
                            new = make("call", left, right, extra=(function, ()))
                            if new is not e:
                                yield Edit(new, kind, (e,), (new,))
                    new = make(op, left, right)
                    if new is not e:
                        yield Edit(new, kind, (e,), (new,))

    def _flipped(self, e: Expr) -> Expr | None:
        if e.op == "attribute" and e.extra == "T":
            return e.args[0]
        if e.op == "number":
            return None
        return self.formulas.make("attribute", e, extra="T")

    def _reductions(self, e: Expr, root: Expr, path: Path) -> Iterator[Edit]:
        make, number = self.formulas.make, self.formulas.number
        if e.op in ("call", "method") and e.function in (*REDUCTIONS, "max"):
            inner = e.args[0]
            ndim = np.ndim(self.lab.value(inner)) if self.lab.value(inner) is not None else 2
            spelled = [k for k in ("axis", "keepdims") if k in e.options]
            for function in dict.fromkeys((e.function, *REDUCTIONS)):
                for axis in (None, *range(ndim)):
                    for keep in (False, True):
                        options: dict[str, Expr] = {}
                        if axis is not None:
                            options["axis"] = number(axis)
                        if keep:
                            options["keepdims"] = number(True)
                        elif "keepdims" in spelled:
                            options["keepdims"] = number(False)
                        new = make(e.op, inner, *options.values(), extra=(function, tuple(options)))
                        if new is not e:
                            yield Edit(new, "reduction", (e,), (new,))
            for other in self.words.arrays:
                if np.ndim(self.lab.value(other)) == 2:
                    flipped = make("attribute", other, extra="T")
                    for new in (
                        make("@", flipped, inner), make("@", inner, flipped),
                        make("@", other, inner), make("@", inner, other),
                    ):  # fmt: skip
                        yield Edit(new, "insert @", (e,), (other,))
        value = self.lab.value(e)
        if isinstance(value, np.ndarray) and value.ndim:
            for axis in (None, *range(value.ndim)):
                for keep in (True, False):
                    if axis is None and keep:
                        continue
                    options = {} if axis is None else {"axis": number(axis)}
                    if keep:
                        options["keepdims"] = number(True)
                    for function in ("sum",) if path or axis is None else REDUCTIONS:
                        new = self.formulas.call(function, e, **options)
                        yield Edit(new, "insert reduction", (), (new,))

    def _numbers(self, e: Expr) -> Iterator[Edit]:
        if e.op == "number" and is_scalar(e.extra):
            for n in dict.fromkeys((0, 1, 2, 3, 4, 0.5, -1, e.extra + 1, e.extra - 1)):
                if n != e.extra:
                    yield Edit(self.formulas.number(n), "number", (e,), (self.formulas.number(n),))
            for scalar in self.words.scalars:
                yield Edit(scalar, "number", (e,), (scalar,))

    def _wraps(self, e: Expr) -> Iterator[Edit]:
        make, number = self.formulas.make, self.formulas.number
        value = self.lab.value(e)
        if value is None:
            return
        one = number(1)
        if not isinstance(value, (np.ndarray, int, float, np.number, np.bool_)):
            return
        yield Edit(make("neg", e), "sign")
        if e.op != "number":
            yield Edit(make("**", e, number(2)), "square", (), (e,))
            yield Edit(make("-", one, e), "one minus", (), (one,))
            yield Edit(make("+", one, e), "one plus", (), (one,))
        if isinstance(value, np.ndarray) and value.ndim == 2:
            flipped = self._flipped(e)
            if flipped is not None:
                yield Edit(flipped, "transpose", (e,), (flipped,))
        if isinstance(value, np.ndarray) and value.ndim == 1:
            whole = make("slice", number(None), number(None), number(None))
            for parts in ((whole, number(None)), (number(None), whole)):
                yield Edit(make("index", e, *parts), "column", (e,))
            for shape in ((-1, 1), (1, -1)):
                sizes = [number(n) if n > 0 else make("neg", number(-n)) for n in shape]
                yield Edit(make("method", e, *sizes, extra=("reshape", ())), "column", (e,))
        if isinstance(value, np.ndarray) and e.op not in ("number",):
            yield Edit(make("/", e, number(2)), "insert factor", (), (number(2),))
        if e.op in ("+", "-", "*", "/", "name", "@", "call", "index", "attribute"):
            for scalar in (number(2), *self.words.scalars):
                yield Edit(
                    product(self.lab, [*spine(e), (scalar, 1)]), "insert factor", (), (scalar,)
                )
                if not (scalar.op == "number"):
                    over = product(self.lab, [*spine(e), (scalar, -1)])
                    inverse = make("/", one, scalar)
                    yield Edit(over, "insert factor", (), (inverse,))

    def _renamings(self, e: Expr) -> Iterator[Edit]:
        if e.op == "name":
            pool = self.words.arrays if e not in self.words.scalars else self.words.scalars
            for other in pool:
                if other is not e:
                    yield Edit(other, "rename", (e,), (other,))
            if e not in pool:
                for other in self.words.scalars:
                    yield Edit(other, "rename", (e,), (other,))

    # --- edits that bring in words --------------------------------------------------------------

    def _grafts(self, root: Expr, path: Path, e: Expr) -> Iterator[Edit]:
        """A part, or two factors of a product, replaced by a word."""
        if e.op == "number" and path and self._parent(root, path).op in ("**", "/"):
            return
        parent = self._parent(root, path) if path else None
        for word in self.words.factors:
            if word is e:
                continue
            if parent is not None and parent.op == "*" and word.op in ("*", "/"):
                continue  # as factors of the product they need no brackets: below
            yield Edit(word, "graft", (e,), (word,))
        for word in self.words.transposes():
            if word is not e:
                yield Edit(word, "graft", (e,), (word,))
        if e.op in ("*", "/") and (parent is None or parent.op not in ("*", "/") or path[-1] == 1):
            factors = spine(e)
            if len(factors) > 7:
                return
            for n in (1, 2, 3):
                for gone in itertools.combinations(range(len(factors)), n):
                    if n == len(factors):
                        continue
                    if n == 3 and gone[2] - gone[0] > 2:
                        continue
                    lost = tuple(factors[i][0] for i in gone)
                    at = gone[0]
                    rest = [f for i, f in enumerate(factors) if i not in gone]
                    at = min(at, len(rest))
                    for word in self.words.factors if n == 1 else self.words.strong:
                        mine = [(f, p) for f, p in spine(word)]
                        new = product(self.lab, [*rest[:at], *mine, *rest[at:]])
                        yield Edit(new, "graft", lost, (word,))

    def _insertions(self, root: Expr, path: Path, e: Expr) -> Iterator[Edit]:
        """A factor, a matrix or a term put in at a part."""
        make = self.formulas.make
        parent = self._parent(root, path) if path else None
        inside_product = (
            parent is not None and parent.op in ("*", "/") and (parent.op == "/" or path[-1] == 0)
        )
        if e.op == "number" and (parent is not None and parent.op in ("**", "/", ">", ">=", "<")):
            return
        if not inside_product and e.op != "neg":
            factors = spine(e)
            for word in self.words.factors:
                yield Edit(
                    product(self.lab, [*factors, *spine(word)]), "insert factor", (), (word,)
                )
                if word.op == "name" and is_scalar(self.lab.value(word)):
                    yield Edit(
                        product(self.lab, [*factors, (word, -1)]), "insert factor", (),
                        (make("/", self.formulas.number(1), word),),
                    )  # fmt: skip
        value = self.lab.value(e)
        if isinstance(value, np.ndarray) and value.ndim == 2:
            for word in self.words.arrays:
                if np.ndim(self.lab.value(word)) != 2:
                    continue
                for matrix in (word, make("attribute", word, extra="T")):
                    yield Edit(make("@", matrix, e), "insert @", (), (word,))
                    yield Edit(make("@", e, matrix), "insert @", (), (word,))
        if parent is None or parent.op not in ("+", "-"):
            for term in _unique([*self.words.terms, *self.words.factors]):
                if term.op == "neg":
                    yield Edit(make("-", e, term.args[0]), "insert term", (), (term,))
                else:
                    yield Edit(make("+", e, term), "insert term", (), (term,))
                    yield Edit(make("-", e, term), "insert term", (), (make("neg", term),))
            for i in range(2, len(self.words.terms)):
                for chosen in itertools.combinations(self.words.terms, i):
                    new = self._sum([(e, 1), *((t, 1) for t in chosen)])
                    yield Edit(new, "insert term", (), chosen)
                if i >= 3:
                    break

    def _parent(self, root: Expr, path: Path) -> Expr:
        for i in path[:-1]:
            root = root.args[i]
        return root

    # --- pairs ---------------------------------------------------------------------------------

    def _pairs(self) -> None:
        """Two edits: any one, then what is still missing at the root; then two small ones."""
        seen: set[Expr] = set()
        firsts: list[Edit] = []
        places = [(path, e) for path, e in nodes(self.line) if self._editable(self.line, path)]
        for edit in itertools.chain(self.small(self.line), self._grafted(self.line, places)):
            if edit.expr in seen:
                continue
            seen.add(edit.expr)
            if len(seen) > MOST_SINGLE // 2:
                break
            value = self.lab.value(edit.expr, self.known_at[0])
            if isinstance(value, (np.ndarray, float, np.number)) and np.shape(value) == self.shape:
                self._complete(edit, np.asarray(value, float))
        firsts = list(itertools.islice(_distinct(self.small(self.line)), 600))
        if self.best[0] <= 5:
            return
        product_nodes = [
            path
            for path, e in nodes(self.line)
            if e.op in ("*", "@") or (e.op == "call" and e.function in PRODUCT_CALLS)
        ]
        budget = MOST_PAIRS
        for path, other in itertools.permutations(product_nodes[:6], 2):
            if len(path) >= len(other):  # the outer of two nested ones first
                continue
            for inner in self.products(_node(self.line, other)):
                once = self.formulas.replaced(self.line, other, inner.expr)
                for outer in self.products(_node(once, path)):
                    budget -= 1
                    e = self.formulas.replaced(once, path, outer.expr)
                    if budget > 0 and e not in self.tried and self.right(e):
                        self._hit(Edit(e, outer.kind, outer.removed, outer.added, path, inner))
        if self.best[0] <= 5:
            return
        target = self.targets[0]
        scored = []
        for i, edit in enumerate(firsts):
            value = self.lab.value(edit.expr, self.known_at[0])
            near = _likeness(value, target)
            scored.append((-near, i, edit))
        scored.sort(key=lambda item: item[:2])
        for _, _, first in scored[:40]:
            for second in self.small(first.expr):
                if second.expr in self.tried:
                    continue
                budget -= 1
                if budget < 0:
                    return
                if self.right(second.expr):
                    second.first = first
                    self._hit(second)

    def _complete(self, edit: Edit, value: Any) -> None:
        """One factor or one term more at the root, found by its value."""
        target = self.targets[0]
        e = edit.expr
        with np.errstate(all="ignore"):
            ratio = target / value
            difference = target - value
        if np.isfinite(ratio).all() and ratio.size:
            first = float(ratio.flat[0])
            if np.ptp(ratio) <= 1e-6 * abs(first) and abs(first - 1) > 1e-6:
                scalar = self.lab.scalar(first)
                if scalar is not None:
                    if (
                        scalar.op == "/"
                        and scalar.args[0].op == "number"
                        and scalar.args[0].extra == 1
                    ):
                        new = product(self.lab, [*spine(e), (scalar.args[1], -1)])
                    elif scalar.op == "neg":
                        new = self.formulas.make("neg", e)
                    else:
                        new = product(self.lab, [*spine(e), *spine(scalar)])
                    self._second(edit, new, "insert factor", scalar)
            else:
                for word, constant in self._alike(ratio):
                    if abs(constant - 1) < 1e-6:
                        new = product(self.lab, [*spine(e), *spine(word)])
                        self._second(edit, new, "insert factor", word)
        if np.isfinite(difference).all() and np.abs(difference).max(initial=0.0) > 0:
            for word, constant in self._alike(difference):
                term = self.lab.times(constant, word)
                if term is None:
                    continue
                if term.op == "neg":
                    new = self.formulas.make("-", e, term.args[0])
                else:
                    new = self.formulas.make("+", e, term)
                self._second(edit, new, "insert term", term)

    def _alike(self, value: Any) -> Iterable[tuple[Expr, float]]:
        """Known formulas of these values; formulas are known by their values at point 0."""
        return self.lab.alike(value) if self.known_at[0] == 0 else ()

    def _second(self, first: Edit, new: Expr, kind: str, added: Expr) -> None:
        if new not in self.tried and self.right(new):
            self._hit(Edit(new, kind, (), (added,), (), first))


def _node(root: Expr, path: Path) -> Expr:
    for i in path:
        root = root.args[i]
    return root


def _distinct(edits: Iterable[Edit]) -> Iterator[Edit]:
    seen: set[Expr] = set()
    for edit in edits:
        if edit.expr not in seen:
            seen.add(edit.expr)
            yield edit


def _likeness(value: Any, target: Any) -> float:
    """How near numbers are to the true ones, their size apart; -1 where the shape is another."""
    if value is None or np.shape(value) != np.shape(target):
        return -1.0
    v, t = np.ravel(np.asarray(value, float)), np.ravel(target)
    norm = float(np.linalg.norm(v) * np.linalg.norm(t))
    return abs(float(v @ t)) / norm if norm and np.isfinite(norm) else -0.5


def unnatural(e: Expr, line: Expr, words: Words) -> float:
    """How unlike anything a person would write a right formula is, in tokens."""
    lab = words.lab
    penalty = 0.0
    before = {sub for _, sub in nodes(line)} | words.known
    for _, sub in nodes(e):
        if sub.op in ("*", "/"):
            penalty += _cancelling(lab, sub, before)
        if sub in before:
            continue
        if sub.op in ("+", "-") and sub.args[0] is sub.args[1]:
            penalty += 3
        if sub.op == "*" and any(
            a.op == "number" and a.extra in (1, 0, -1) and not isinstance(a.extra, bool)
            for a in sub.args
        ):
            penalty += 3
        if sub.op == "/" and isinstance(lab.value(sub.args[1]), np.ndarray):
            penalty += 8
        if sub.function == "maximum" and any(a.op in (">", ">=", "<", "<=") for a in sub.args):
            penalty += 6
        if sub.op == "neg":
            penalty += 1.5
            if sub.args[0].op in ("neg", "number"):
                penalty += 1.5
        if sub.op == "number" and isinstance(sub.extra, float):
            penalty += 1
        if sub.op == "name" and sub.extra[0].startswith("?"):
            penalty += 50
        if sub.op in ("setitem", "addat") and (sub is not e or len(sub.args) > 3):
            penalty += 20  # no formula on one line
        if sub.op == "@" and any(a.op == "number" for a in sub.args):
            penalty += 5
        if sub.op == "**" and is_scalar(lab.value(sub.args[0])) and not lab.depends(sub):
            penalty += 1
        if (
            sub.op == "call"
            and len(sub.args) == 1
            and sub.function in ("exp", "log", "tanh", "sqrt")
        ):
            penalty += 4  # a function of something nobody mentioned
        if sub.op in ("+", "-"):
            terms = _terms(sub)
            penalty += 3 * (len(terms) - len(set(terms)))
            if any(s is not t and s in (f for f, _ in flat(t)) for s in terms for t in terms):
                penalty += 2  # x * y + x
    return penalty


def _cancelling(lab: Lab, e: Expr, before: set[Expr]) -> float:
    """How bad a product is in which two factors cancel, or one stands twice, newly."""
    if e in before:
        return 0.0
    factors = [(f, p) for f, p in flat(e) if f.op != "number"]
    for whole, p in factors[:]:  # (m * W) @ dZ is m * (W @ dZ)
        if whole.op == "@":
            inside = [pair for a in whole.args for pair in flat(a) if a.op in ("*", "/")]
            factors += [(f, p * q) for f, q in inside if is_scalar(lab.value(f))]
    penalty = 0.0
    for (f, p), (g, q) in itertools.combinations(factors, 2):
        if f is g:
            penalty += 5 if p != q else 3
        elif isinstance(lab.value(f), np.ndarray) and isinstance(lab.value(g), np.ndarray):
            a, b = lab.value(f), lab.value(g)
            if a.shape == b.shape and a.dtype.kind == b.dtype.kind == "f":
                with np.errstate(all="ignore"):
                    one = a * b if p == q else a / b
                if np.allclose(one, 1.0, equal_nan=False):
                    penalty += 8
    return penalty


def _terms(e: Expr) -> list[Expr]:
    terms: list[Expr] = []
    while e.op in ("+", "-"):
        terms.append(e.args[1])
        e = e.args[0]
    return [*terms, e]


def cost_of(edit: Edit, d: int, line: Expr, words: Words) -> float:
    """What an edit costs: its distance in tokens, and more the less natural it is.

    Leaving something out is one step, however long what is left out.
    """
    cost = float(d)
    if edit.kind in ("delete factor", "delete term") and edit.first is None:
        cost = min(cost, 2.0 * max(len(edit.removed), 1) + 0.1 * d)
    if edit.kind == "brackets" and edit.first is None and edit.removed[0].op != "neg":
        return cost  # nothing but what the learner wrote
    if edit.kind == "function":
        cost += 1.5
    if edit.first is not None:
        cost += 1.5
    return cost + unnatural(edit.expr, line, words)


def visible_keys(lab: Lab, statement: Statement) -> set[Key]:
    """The names that have a value when a line is computed, each in its latest state."""
    seen: dict[str, Key] = {key[0]: key for key in lab.forward_keys}
    forward = set(lab.forward_keys)
    for other in lab.sheet.backward:
        if other is statement:
            break
        if (other.name, 0) in forward:
            continue  # an update of a forward name: its own value is what rules speak of
        seen[other.name] = other.key
    keys = set(seen.values()) | names_in(statement.expr)
    return {key for key in keys if key[1] >= 0}
