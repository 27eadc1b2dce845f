"""Edits of a formula, one at a time: what a learner may have got wrong, made right.

Most bring in no new word: operators, signs, axes, numbers, transposes, what is left out.
Replacements and insertions bring in a word (see `words`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from tinygrad_edu.checking.truth import is_scalar
from tinygrad_edu.diagnosis.context import Context
from tinygrad_edu.diagnosis.parts import Factors, factors_of, kind_of_product, product, terms_of
from tinygrad_edu.diagnosis.words import Words, unique
from tinygrad_edu.sheets.syntax import COMPARING, Expr, is_transposed, nodes, part_at

REDUCTIONS = ("sum", "mean")
_INFIX = ("+", "-", "*", "/", "**", "@")
#: Functions of one argument that are taken for one another.
_SMOOTH = ("tanh", "exp", "log", "sqrt", "square", "sigmoid")
_PAIRS = (("maximum", "minimum"), ("sin", "cos"), ("sinh", "cosh"))
#: Calls of which only the first argument is an array that may be edited.
_OF_THE_FIRST = ("reshape", "astype", "sum", "mean", "zeros")
#: Of longer sums and products nothing is left out or replaced.
_MOST_PARTS = 10

Path = tuple[int, ...]
Places = list[tuple[Path, Expr]]


@dataclass(slots=True, eq=False)
class Edit:
    """A changed formula, and what was changed: `removed` gave way to `added` at `path`.

    `first` is the edit before this one, of a pair.
    """

    expr: Expr
    kind: str
    removed: tuple[Expr, ...] = ()
    added: tuple[Expr, ...] = ()
    path: Path = ()
    first: Edit | None = None


class Edits:
    """The single edits of formulas, with the words of one line."""

    def __init__(self, context: Context, words: Words) -> None:
        self.context, self.words, self.formulas = context, words, context.formulas
        self.make, self.number = context.formulas.make, context.formulas.number

    def places(self, root: Expr) -> Places:
        """The parts of a formula that may be edited, the root first."""
        return [(path, e) for path, e in nodes(root) if self._editable(root, path)]

    def replaced(self, root: Expr, places: Places) -> Iterator[Edit]:
        """Parts of a formula, or factors of a product, replaced by words."""
        for path, e in places:
            above = part_at(root, path[:-1]).op if path else ""
            yield from self._at(root, path, self._replacements(e, above))
            if not path:
                yield from self._sums_for(e)
            if e.op in ("*", "/") and not (above in ("*", "/") and path[-1] == 0):
                yield from self._at(root, path, self._factor_replacements(e))

    def inserted(self, root: Expr, places: Places) -> Iterator[Edit]:
        """Words put in: as a factor, a matrix or a term."""
        for path, e in places:
            above = part_at(root, path[:-1]).op if path else ""
            if e.op == "number" and above in ("**", "/", *COMPARING):
                continue
            if e.op != "neg" and above != "/" and not (above == "*" and path[-1] == 0):
                yield from self._at(root, path, self._factors(e))
            if np.ndim(self.context.value(e)) == 2:
                yield from self._at(root, path, self._matrices(e))
            if above not in ("+", "-"):
                yield from self._at(root, path, self._terms(e))

    def small(self, root: Expr, places: Places) -> Iterator[Edit]:
        """Edits that bring in no new word: operators, signs, axes, numbers, what is left out."""
        for path, e in places:
            for edits in (
                self._deletions(e), self._operators(e), self._functions(e), self._brackets(e),
                self._reductions(e), self._insert_reductions(e, path), self._numbers(e),
                self.indices(e), self._orders(e), self._wraps(e),
            ):  # fmt: skip
                yield from self._at(root, path, edits)
        for path, e in places:
            yield from self._at(root, path, self._renamings(e))

    def everywhere(self, root: Expr) -> Iterator[Edit]:
        """One and the same edit of a part wherever the part occurs: a slip made several times."""
        counts: dict[Expr, int] = {}
        for path, e in nodes(root):
            if e.op not in ("number", "slice", "tuple") and self._editable(root, path):
                counts[e] = counts.get(e, 0) + 1
        for e, n in counts.items():
            if n < 2:
                continue
            for edit in itertools.chain(
                self._renamings(e), self._deletions(e), self._operators(e), self._functions(e),
                self._brackets(e), self.indices(e), self._wraps(e), self._transposed_words(e),
            ):  # fmt: skip
                new = self.formulas.substituted(root, {e: edit.expr})
                if new is not root:
                    yield Edit(new, f"{edit.kind} everywhere", (e,), (edit.expr,))

    def _at(self, root: Expr, path: Path, edits: Iterable[Edit]) -> Iterator[Edit]:
        rebuilt = self.formulas.rebuilder(root, path)
        for edit in edits:
            edit.expr, edit.path = rebuilt(edit.expr), path
            yield edit

    def _editable(self, root: Expr, path: Path) -> bool:
        """Is this a place for arrays and numbers, not an axis, a shape or an index?"""
        e = root
        for i in path:
            if e.op in ("slice", "tuple") or (e.op == "index" and i > 0):
                return False
            if e.function is not None:
                if i >= len(e.positional) or (i > 0 and e.function in _OF_THE_FIRST):
                    return False
            e = e.args[i]
        return True

    # --- without a new word --------------------------------------------------------------------

    def _deletions(self, e: Expr) -> Iterator[Edit]:
        """Factors, terms or an operation left out; the sign of a term turned."""
        if e.op in ("*", "/"):
            for _, lost, kept in _without(factors_of(e), 3):
                yield Edit(product(self.context, kept), "delete factor", lost)
        elif e.op in ("+", "-"):
            for _, lost, kept in _without(terms_of(e), 2):
                yield Edit(self._sum(kept), "delete term", lost)
            yield from self._turned(e, terms_of(e))
        elif e.function is not None or e.op in ("neg", "attribute", "index", "@", "**"):
            kind = "delete factor" if e.op == "@" else "unwrap"
            for a in e.args if e.function is None else e.positional:
                yield Edit(a, kind, tuple(b for b in e.args if b is not a))

    def _turned(self, e: Expr, terms: Factors) -> Iterator[Edit]:
        """A sum with the sign of one term turned."""
        for n in range(1, len(terms)):
            turned = [(t, -sign if i == n else sign) for i, (t, sign) in enumerate(terms)]
            yield Edit(self._sum(turned), "sign", (terms[n][0],))
        if len(terms) == 2:
            yield Edit(
                self.make("-", e.args[1], e.args[0]), "sign", (e.args[0],) if e.op == "+" else ()
            )

    def _sum(self, terms: Factors) -> Expr:
        (e, sign), *others = terms
        e = e if sign > 0 else self.make("neg", e)
        for t, sign in others:
            e = self.make("+" if sign > 0 else "-", e, t)
        return e

    def _operators(self, e: Expr) -> Iterator[Edit]:
        """Another operator between the same things."""
        if kind_of_product(e) is not None:
            yield from self.products(e)
        if e.op in ("*", "/"):
            yield from self._neighbours(factors_of(e))
            yield Edit(self.make("/" if e.op == "*" else "*", *e.args), "operator", (e.args[1],))
        if e.op == "/":
            yield Edit(self.make("/", *e.args[::-1]), "operator")
        if e.op in COMPARING:
            for op in COMPARING:
                if op != e.op:
                    new = self.make(op, *e.args)
                    yield Edit(new, "comparison", (e,), (new,))

    def _neighbours(self, factors: Factors) -> Iterator[Edit]:
        """Another product of two neighbours in a product, behind its first factor."""
        for i in range(1, len(factors) - 1):
            (a, p), (b, q) = factors[i : i + 2]
            if p > 0 and q > 0:
                for edit in self.products(self.make("*", a, b)):
                    joined = [*factors[:i], (edit.expr, 1), *factors[i + 2 :]]
                    edit.expr = product(self.context, joined)
                    yield edit

    def products(self, e: Expr) -> Iterator[Edit]:
        """``x * y`` as every product of x or its transpose and y or its transpose."""
        x, y = e.args[0], e.args[-1]
        was = kind_of_product(e)
        for a, b, ops in ((x, y, "@*"), (y, x, "@")):
            for left, right, op in itertools.product(
                (a, self._flipped(a)), (b, self._flipped(b)), ops
            ):
                if left is None or right is None:
                    continue
                made = [self.make(op, left, right)]
                if e.op == "call":
                    function = e.extra[0] if op == was else "multiply" if op == "*" else "dot"
                    made.insert(0, self.formulas.call(function, left, right))
                for new in made:
                    if new is not e:
                        yield Edit(new, "transpose" if op == was else "product", (e,), (new,))

    def _flipped(self, e: Expr) -> Expr | None:
        if is_transposed(e):
            return e.args[0]
        return None if e.op == "number" else self.formulas.transposed(e)

    def _functions(self, e: Expr) -> Iterator[Edit]:
        """Another function of the same arguments."""
        if e.op != "call":
            return
        others: tuple[str, ...] = _SMOOTH if len(e.args) == 1 else ()
        others = next((pair for pair in _PAIRS if e.function in pair), others)
        for other in others:
            if other != e.function:
                yield Edit(self.formulas.call(other, *e.args), "function", (e,))
        if e.function == "where" and len(e.args) == 3:
            a, b, c = e.args
            yield Edit(self.make("call", a, c, b, extra=e.extra), "where", (e,))

    def _brackets(self, e: Expr) -> Iterator[Edit]:
        """Brackets that close elsewhere: ``a / b + c`` as ``a / (b + c)``, and back."""
        make = self.make
        if e.op in _INFIX:
            x, y = e.args
            if x.op in _INFIX:
                yield Edit(make(x.op, x.args[0], make(e.op, x.args[1], y)), "brackets", (e,))
            if y.op in _INFIX:
                yield Edit(make(y.op, make(e.op, x, y.args[0]), y.args[1]), "brackets", (e,))
            if e.op == "*" and y.op in ("+", "-"):
                moved = make(y.op, y.args[0], make("*", x, y.args[1]))
                yield Edit(moved, "distribute", (e,))
        if e.op == "neg" and e.args[0].op in ("+", "-"):
            a, b = e.args[0].args
            yield Edit(make(e.args[0].op, make("neg", a), b), "brackets", (e,))

    def _reductions(self, e: Expr) -> Iterator[Edit]:
        """A sum as another one, over other axes, or of a product."""
        if e.function not in (*REDUCTIONS, "max"):
            return
        inner, value = e.args[0], self.context.value(e.args[0])
        ndim = 2 if value is None else np.ndim(value)
        for function in dict.fromkeys((e.function, *REDUCTIONS)):
            for options in self._over(ndim, "keepdims" in e.options):
                new = self.make(e.op, inner, *options.values(), extra=(function, tuple(options)))
                if new is not e:
                    yield Edit(new, "reduction", (e,), (new,))
        yield from self._matrices(inner)

    def _over(self, ndim: int, always: bool = False) -> Iterator[dict[str, Expr]]:
        """What a reduction may be given; keepdims=False too if it is `always` spelled out."""
        for axis, keep in itertools.product((None, *range(ndim)), (False, True)):
            options = {} if axis is None else {"axis": self.number(axis)}
            if keep or always:
                options["keepdims"] = self.number(keep)
            yield options

    def _insert_reductions(self, e: Expr, path: Path) -> Iterator[Edit]:
        """A sum put around a part; around the whole line a mean over an axis too."""
        value = self.context.value(e)
        for options in self._over(np.ndim(value)) if isinstance(value, np.ndarray) else ():
            if list(options) == ["keepdims"]:
                continue
            for function in ("sum",) if path or not options else REDUCTIONS:
                new = self.formulas.call(function, e, **options)
                yield Edit(new, "insert reduction", (), (new,))

    def _numbers(self, e: Expr) -> Iterator[Edit]:
        if e.op == "number" and is_scalar(e.extra):
            for n in dict.fromkeys((0, 1, 2, 3, 4, 0.5, -1, e.extra + 1, e.extra - 1)):
                if n != e.extra:
                    yield Edit(self.number(n), "number", (e,), (self.number(n),))
            for scalar in self.words.scalars:
                yield Edit(scalar, "number", (e,), (scalar,))

    def indices(self, e: Expr) -> Iterator[Edit]:
        """Indices and slices that are off by one, or another number."""
        for i, part in enumerate(e.args[1:], 1) if e.op == "index" else ():
            new = [self._moved(part, by) for by in (1, -1)]
            if part.op == "slice":
                start, stop, step = part.args
                new = [
                    self.make("slice", self._moved(start, a), self._moved(stop, b), step)
                    for by in (1, -1)
                    for a, b in ((by, by), (by, 0), (0, by))
                ]
                new += self._other_end(part)
            elif is_scalar(self.context.value(part)):
                new += [edit.expr for edit in self._deletions(part)]
                new += [word for word in self.words.scalars if word.op == "name"]
            for other in new:
                if other is not part:
                    changed = self.make("index", *e.args[:i], other, *e.args[i + 1 :])
                    yield Edit(changed, "index", (e,), (changed,))

    def _other_end(self, part: Expr) -> Iterator[Expr]:
        """All but the last for all but the first, and the other way round: ``[:-1]``, ``[1:]``."""
        start, stop, step = part.args
        none, zero = self.number(None), (self.number(None), self.number(0))
        if stop is none and start.op == "number" and start not in zero:
            yield self.make("slice", none, self.make("neg", start), step)
        if start in zero and stop.op == "neg":
            yield self.make("slice", stop.args[0], none, step)

    def _moved(self, bound: Expr, by: int) -> Expr:
        """A bound, one more or one less."""
        if not by or (bound.op == "number" and type(bound.extra) is not int):
            return bound
        if bound.op == "number":
            return self.number(bound.extra + by)
        one, back = self.number(1), "-" if by > 0 else "+"
        if bound.op == back and bound.args[1] is one:
            return bound.args[0]
        whole = is_scalar(self.context.value(bound))
        return self.make("+" if by > 0 else "-", bound, one) if whole else bound

    def _orders(self, e: Expr) -> Iterator[Edit]:
        """The members of a list in another order."""
        if e.op == "list" and 2 <= len(e.args) <= 24:
            short = len(e.args) <= 4
            for order in itertools.permutations(e.args) if short else (e.args[::-1],):
                if order != e.args:
                    new = self.make("list", *order)
                    yield Edit(new, "order", (e,), (new,))

    def _wraps(self, e: Expr) -> Iterator[Edit]:
        """An operation put around a part: a sign, a square, a transpose, a number as a factor."""
        make, number, value = self.make, self.number, self.context.value(e)
        if not isinstance(value, (np.ndarray, int, float, np.number, np.bool_)):
            return
        one, two = number(1), number(2)
        yield Edit(make("neg", e), "sign")
        if e.op == "number":
            return
        yield Edit(make("**", e, two), "square", (), (e,))
        yield Edit(make("-", one, e), "one minus", (), (one,))
        yield Edit(make("+", one, e), "one plus", (), (one,))
        if isinstance(value, np.ndarray):
            yield from self._arranged(e, value.ndim)
            yield Edit(make("/", e, two), "insert factor", (), (two,))
        if e.op in ("+", "-", "*", "/", "name", "@", "call", "index", "attribute"):
            for scalar in (two, *self.words.scalars):
                yield self._times(e, scalar)
                if scalar is not two:
                    yield self._divided(e, scalar)

    def _arranged(self, e: Expr, ndim: int) -> Iterator[Edit]:
        """A matrix transposed; a vector as a column or a row."""
        make, none = self.make, self.number(None)
        if ndim == 2:
            flipped = self._flipped(e)
            assert flipped is not None
            yield Edit(flipped, "transpose", (e,), (flipped,))
        if ndim == 1:
            whole, one, rest = (
                make("slice", none, none, none),
                self.number(1),
                make("neg", self.number(1)),
            )
            for parts in ((whole, none), (none, whole)):
                yield Edit(make("index", e, *parts), "column", (e,))
            for sizes in ((rest, one), (one, rest)):
                yield Edit(make("method", e, *sizes, extra=("reshape", ())), "column", (e,))

    def _times(self, e: Expr, word: Expr) -> Edit:
        new = product(self.context, [*factors_of(e), *factors_of(word)])
        return Edit(new, "insert factor", (), (word,))

    def _divided(self, e: Expr, scalar: Expr) -> Edit:
        new = product(self.context, [*factors_of(e), (scalar, -1)])
        return Edit(new, "insert factor", (), (self.make("/", self.number(1), scalar),))

    def _renamings(self, e: Expr) -> Iterator[Edit]:
        if e.op == "name":
            pool = self.words.arrays if e not in self.words.scalars else self.words.scalars
            for other in pool:
                if other is not e:
                    yield Edit(other, "rename", (e,), (other,))
            if e not in pool:
                for other in self.words.scalars:
                    yield Edit(other, "rename", (e,), (other,))

    # --- with a new word -----------------------------------------------------------------------

    def _replacements(self, e: Expr, above: str) -> Iterator[Edit]:
        """A part replaced by a word."""
        if e.op == "number" and above in ("**", "/"):
            return
        for word in self.words.factors:
            # As factors of the product they need no brackets: below.
            if word is not e and not (above == "*" and word.op in ("*", "/")):
                yield Edit(word, "replacement", (e,), (word,))
        yield from self._transposed_words(e)

    def _sums_for(self, e: Expr) -> Iterator[Edit]:
        """A whole line replaced by the sum of a matrix along an axis, or minus that."""
        for word in self.words.arrays:
            for axis in range(2) if np.ndim(self.context.value(word)) == 2 else ():
                new = self.formulas.call("sum", word, axis=self.number(axis))
                for whole in (new, self.make("neg", new)):
                    yield Edit(whole, "replacement", (e,), (whole,))

    def _transposed_words(self, e: Expr) -> Iterator[Edit]:
        for word in self.words.transposes():
            if word is not e:
                yield Edit(word, "replacement", (e,), (word,))

    def _factor_replacements(self, e: Expr) -> Iterator[Edit]:
        """Factors of a product replaced by a word; three of them where they are neighbours."""
        factors = factors_of(e)
        for gone, lost, rest in _without(factors, 3):
            if len(gone) == 3 and gone[2] - gone[0] > 2:
                continue
            before, behind = rest[: gone[0]], rest[gone[0] :]
            for word in self.words.factors if len(gone) == 1 else self.words.strong:
                new = product(self.context, [*before, *factors_of(word), *behind])
                yield Edit(new, "replacement", lost, (word,))

    def two_factors(self, e: Expr) -> Iterator[Edit]:
        """Two factors of a product replaced by two of the line's own words, of the same shapes."""
        factors = factors_of(e)
        value, own = self.context.value, self.words.own
        alike = [[w for w in own if np.shape(value(w)) == np.shape(value(f))] for f, _ in factors]
        for i, j in itertools.combinations(range(len(factors)), 2):
            for x, y in itertools.product(alike[i], alike[j]):
                new = [*factors]
                new[i], new[j] = (x, factors[i][1]), (y, factors[j][1])
                lost = (factors[i][0], factors[j][0])
                yield Edit(product(self.context, new), "replacement", lost, (x, y))

    def _factors(self, e: Expr) -> Iterator[Edit]:
        for word in self.words.factors:
            yield self._times(e, word)
            if is_scalar(self.context.value(word)):
                yield self._divided(e, word)

    def _matrices(self, e: Expr) -> Iterator[Edit]:
        for word in self.words.arrays:
            if np.ndim(self.context.value(word)) == 2:
                for matrix in (word, self.formulas.transposed(word)):
                    yield Edit(self.make("@", matrix, e), "insert @", (), (word,))
                    yield Edit(self.make("@", e, matrix), "insert @", (), (word,))

    def _terms(self, e: Expr) -> Iterator[Edit]:
        make, terms = self.make, self.words.terms
        for term in unique([*terms, *self.words.factors, *self.words.ends]):
            if term.op == "neg":
                yield Edit(make("-", e, term.args[0]), "insert term", (), (term,))
            else:
                yield Edit(make("+", e, term), "insert term", (), (term,))
                yield Edit(make("-", e, term), "insert term", (), (make("neg", term),))
        for n in range(2, min(len(terms), 4)):
            for chosen in itertools.combinations(terms, n):
                new = self._sum([(e, 1), *((t, 1) for t in chosen)])
                yield Edit(new, "insert term", (), chosen)


def _without(
    parts: Factors, most: int
) -> Iterator[tuple[tuple[int, ...], tuple[Expr, ...], Factors]]:
    """Up to `most` parts left out, never all: where they stand, what they are, and what is kept."""
    if len(parts) > _MOST_PARTS:
        return
    for n in range(1, min(most + 1, len(parts))):
        for gone in itertools.combinations(range(len(parts)), n):
            kept = [part for i, part in enumerate(parts) if i not in gone]
            yield gone, tuple(parts[i][0] for i in gone), kept
