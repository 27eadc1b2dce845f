"""Edits of a formula, one at a time: what a learner may have got wrong, made right.

Most bring in no new word: operators, signs, axes, numbers, transposes, what is left out. Grafts and
insertions bring in a word (see `words`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np

from tinygrad_edu.checking.truth import is_scalar
from tinygrad_edu.diagnosis.lab import Lab
from tinygrad_edu.diagnosis.parts import factors_of, product, terms_of
from tinygrad_edu.diagnosis.words import Words, unique
from tinygrad_edu.sheets.syntax import Expr, nodes

REDUCTIONS = ("sum", "mean")
PRODUCT_CALLS = ("dot", "matmul", "multiply", "outer")

Path = tuple[int, ...]
Places = list[tuple[Path, Expr]]


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


class Edits:
    """The single edits of formulas, with the words of one line."""

    def __init__(self, lab: Lab, words: Words) -> None:
        self.lab, self.words, self.formulas = lab, words, lab.formulas

    def places(self, root: Expr) -> Places:
        """The parts of a formula that may be edited, the root first."""
        return [(path, e) for path, e in nodes(root) if self._editable(root, path)]

    def grafted(self, root: Expr, places: Places) -> Iterator[Edit]:
        """Parts of a formula, or factors of a product, replaced by words."""
        for path, e in places:
            yield from self._at(root, path, self._grafts(root, path, e))

    def inserted(self, root: Expr, places: Places) -> Iterator[Edit]:
        """Words put in: as a factor, a matrix or a term."""
        for path, e in places:
            yield from self._at(root, path, self._insertions(root, path, e))

    def small(self, root: Expr, places: Places) -> Iterator[Edit]:
        """Edits that bring in no new word: operators, signs, axes, numbers, what is left out."""
        for path, e in places:
            yield from self._at(root, path, self._deletions(e))
            yield from self._at(root, path, self._operators(e))
            yield from self._at(root, path, self._reductions(e, root, path))
            yield from self._at(root, path, self._numbers(e))
            yield from self._at(root, path, self._indices(e))
            yield from self._at(root, path, self._orders(e))
            yield from self._at(root, path, self._wraps(e))
        for path, e in places:
            yield from self._at(root, path, self._renamings(e))

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
            factors = factors_of(e)
            if len(factors) <= 8:
                for n in (1, 2, 3):
                    for gone in itertools.combinations(range(len(factors)), n):
                        if n == len(factors):
                            continue
                        kept = [f for i, f in enumerate(factors) if i not in gone]
                        lost = tuple(factors[i][0] for i in gone)
                        yield Edit(product(self.lab, kept), "delete factor", lost)
        elif e.op in ("+", "-"):
            terms = terms_of(e)
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
            factors = factors_of(e)
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
        if e.op == "*" and e.args[1].op in ("+", "-"):
            f, inside = e.args[0], e.args[1]
            moved = make(inside.op, inside.args[0], make("*", f, inside.args[1]))
            yield Edit(moved, "distribute", (e,))
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

    def _indices(self, e: Expr) -> Iterator[Edit]:
        """Indices and slices that are off by one."""
        make, number = self.formulas.make, self.formulas.number
        if e.op != "index":
            return

        def moved(bound: Expr, by: int) -> Expr:
            return number(bound.extra + by) if by and _is_whole(bound) else bound

        for i, part in enumerate(e.args[1:], 1):
            for by in (1, -1):
                new = [moved(part, by)]
                if part.op == "slice":
                    start, stop, step = part.args
                    both = ((by, by), (by, 0), (0, by))
                    new = [make("slice", moved(start, a), moved(stop, b), step) for a, b in both]
                for other in new:
                    if other is not part:
                        changed = make("index", *e.args[:i], other, *e.args[i + 1 :])
                        yield Edit(changed, "index", (e,), (changed,))

    def _orders(self, e: Expr) -> Iterator[Edit]:
        """The members of a list in another order."""
        if e.op == "list" and 2 <= len(e.args) <= 24:
            orders = (
                itertools.permutations(e.args) if len(e.args) <= 4
                else iter((e.args[::-1],))
            )  # fmt: skip
            for order in orders:
                if order != e.args:
                    new = self.formulas.make("list", *order)
                    yield Edit(new, "order", (e,), (new,))

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
                self._renamings(e), self._deletions(e), self._operators(e), self._indices(e),
                self._wraps(e), self._parts_renamed(e),
            ):  # fmt: skip
                new = self.formulas.substituted(root, {e: edit.expr})
                if new is not root:
                    yield Edit(new, f"{edit.kind} everywhere", (e,), (edit.expr,))

    def _parts_renamed(self, e: Expr) -> Iterator[Edit]:
        if e.op == "name":
            for word in self.words.transposes():
                if word is not e:
                    yield Edit(word, "graft", (e,), (word,))

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
                    product(self.lab, [*factors_of(e), (scalar, 1)]), "insert factor", (), (scalar,)
                )
                if not (scalar.op == "number"):
                    over = product(self.lab, [*factors_of(e), (scalar, -1)])
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
            factors = factors_of(e)
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
                        mine = [(f, p) for f, p in factors_of(word)]
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
            factors = factors_of(e)
            for word in self.words.factors:
                yield Edit(
                    product(self.lab, [*factors, *factors_of(word)]), "insert factor", (), (word,)
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
            for term in unique([*self.words.terms, *self.words.factors]):
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


def _is_whole(e: Expr) -> bool:
    return e.op == "number" and isinstance(e.extra, int) and not isinstance(e.extra, bool)
