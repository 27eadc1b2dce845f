"""What is known of a line, in sentences: words, and between them formulas, entries, shapes."""

from __future__ import annotations

import string
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from tinygrad_edu.rules.notation import Text
from tinygrad_edu.rules.notation.base import is_comparison
from tinygrad_edu.rules.trees import Tree
from tinygrad_edu.rules.why.data import (
    Arrival,
    Entry,
    Equation,
    Extent,
    Factor,
    Product,
    Repeated,
    Softmax,
    Why,
)
from tinygrad_edu.words import Words


@dataclass(frozen=True)
class Name:
    """A name, set as one."""

    text: str


@dataclass(frozen=True)
class Partial:
    """``∂A/∂Z``."""

    above: str
    below: str


@dataclass(frozen=True)
class Total:
    """``Σ_i``: what follows, added up over an index."""

    index: str


Piece = str | Tree | Name | Partial | Total | Entry | Extent


@dataclass(frozen=True)
class Sentence:
    """One row; `depth` says how far it stands in, `number` is before a step of the chain."""

    pieces: tuple[Piece, ...]
    depth: int = 0
    number: int = 0


def sentences(why: Why, words: Words) -> Iterator[Sentence]:
    """All of an explanation: whose derivative, which roads, each factor, then why so."""
    return _Teller(why, words).all()


class _Teller:
    """Tells of one line in the words of a language."""

    def __init__(self, why: Why, words: Words) -> None:
        self.why = why
        self.words = words

    def pieces(self, key: str, **values: Any) -> tuple[Piece, ...]:
        """A text of the catalogue with pieces, or several of them, for its placeholders.

        What is a text itself becomes part of the words around it, where these go the same way.
        """
        found: list[Piece] = []
        said = ""
        for literal, name, _, _ in string.Formatter().parse(self.words[f"why.{key}"]):
            said += literal
            if name is None:
                continue
            value = values[name]
            if isinstance(value, str) and self.words.direction == "ltr":
                said += value
                continue
            found += [said, *(value if isinstance(value, tuple) else (value,))]
            said = ""
        return tuple(piece for piece in (*found, said) if piece != "")

    def sentence(self, key: str, depth: int = 0, number: int = 0, **values: Any) -> Sentence:
        """One row."""
        return Sentence(self.pieces(key, **values), depth, number)

    def joined(self, key: str, parts: list[Any]) -> tuple[Piece, ...]:
        """Formulas with a text between them."""
        found: list[Piece] = []
        for part in parts:
            found += [*self.pieces(key), part] if found else [part]
        return tuple(found)

    def all(self) -> Iterator[Sentence]:
        """Sentence by sentence."""
        why = self.why
        yield self.sentence(
            "head", name=Name(why.name), scale=_times(why.scale),
            derivative=Partial(why.cost, why.of), shape=_extent(why.extent),
        )  # fmt: skip
        if not why.arrivals and len(why.chains) > 1:
            yield self.sentence("roads", name=Name(why.of), n=str(len(why.chains)))
        for chain in why.chains:
            yield self.sentence("chain", links=_links(why, chain))
        example = True
        for number, arrival in enumerate(why.arrivals, 1):
            yield from self._arrival(arrival, number, example)
            example = example and not any(f.product for f in arrival.factors)
        yield from self._algebra()
        told = [f.product for a in why.arrivals for f in a.factors if f.product]
        yield from (self._shapes(*product) for product in why.products if _new(product, told))
        said = {f.repeated for a in why.arrivals for f in a.factors}
        yield from (self._repeated(repeated) for repeated in why.sums if repeated not in said)
        if why.mean:
            yield Sentence((self.words.says(why.mean),))
        if why.statistics:
            yield self.sentence("statistics")
        if len(why.read_by) > 1 and why.arrivals and len(why.arrivals[-1].factors) > 1:
            readers = self.words["why.and"].join(why.read_by)
            yield self.sentence("read_by", name=Name(why.name), readers=readers)

    # --- one gradient on the way ----------------------------------------------------------------

    def _arrival(self, arrival: Arrival, number: int, example: bool) -> Iterator[Sentence]:
        if len(arrival.factors) == 1:
            [factor] = arrival.factors
            so = self.pieces("so", name=Name(arrival.name), total=arrival.total)
            yield Sentence((*self._reason(factor), *so), number=number)
            yield from self._details(factor, example)
        else:
            n = str(len(arrival.factors))
            yield self.sentence("used", number=number, name=Name(arrival.of), n=n)
            for factor in arrival.factors:
                yield from self._contribution(factor, example)
                example = example and factor.product is None
            yield self.sentence("together", 1, name=Name(arrival.name), total=arrival.total)
        if arrival.name != self.why.name:
            yield self.sentence(
                "called", 1, name=Name(arrival.name), scale=_times(arrival.scale),
                derivative=Partial(self.why.cost, arrival.of),
            )  # fmt: skip

    def _contribution(self, factor: Factor, example: bool) -> Iterator[Sentence]:
        unchanged = factor.derivative is not None and factor.derivative.kind == "number"
        full: tuple[Piece, ...] = () if factor.in_full is None else (" = ", factor.in_full)
        skip = self.pieces("unchanged") if unchanged and factor.sent.kind == "name" else ()
        sent = self.pieces("contribution", sent=(factor.sent, *full))
        yield Sentence((*self._reason(factor), *sent, *skip), 1)
        details = self._details(factor, example)
        yield from (replace(sentence, depth=2) for sentence in details)

    def _reason(self, factor: Factor) -> tuple[Piece, ...]:
        """The forward line, and the local derivative it has."""
        comma = self.pieces("comma")
        pieces: list[Piece] = [Name(factor.above), " = ", factor.forward]
        if factor.derivative is None:
            return (*pieces, *comma)
        pieces += [": ", Partial(factor.above, factor.below), " = "]
        if factor.law is None:
            own = factor.entrywise and factor.derivative.kind != "number"
            return (*pieces, factor.derivative, *(self.pieces("entrywise") if own else comma))
        function = f"{factor.law.function}'"
        law = self.pieces("law", function=function, slope=factor.law.derivative)
        pieces += ["g'(", Name(factor.below), ") = ", factor.derivative]
        return (*pieces, *comma, *law, *comma)

    def _details(self, factor: Factor, example: bool) -> Iterator[Sentence]:
        if factor.softmax is not None:
            yield from self._softmax(factor, factor.softmax)
        if factor.roads:
            yield self.sentence(
                "uses", 1, below=Name(factor.below), n=str(len(factor.roads)),
                above=Name(factor.above), roads=self.joined("and", list(factor.roads)),
            )  # fmt: skip
        for mask in _masks(factor.derivative):
            yield self.sentence("mask", 1, mask=mask)
        for equation in factor.because:
            yield self.sentence("because", 1, equation=_equation(equation))
        if factor.product is not None:
            yield from self._by_indices(factor.product, example)
        elif factor.repeated is not None:
            yield replace(self._repeated(factor.repeated), depth=1)

    def _softmax(self, factor: Factor, softmax: Softmax) -> Iterator[Sentence]:
        p, z, axis = Name(factor.above), Name(factor.below), str(softmax.axis)
        made: list[Piece] = []
        for i, equation in enumerate(softmax.lines):
            made += [*self.pieces("also" if i else "with"), *_equation(equation)]
        yield self.sentence("softmax", 1, p=p, z=z, axis=axis, made=tuple(made))
        y, x = factor.above, factor.below
        slope = f" ∂{y}_i/∂{x}_j = {y}_i ∗ (1 if i = j, else 0) − {y}_i ∗ {y}_j"
        yield Sentence((*self.pieces("softmax_sum", p=p, z=z, axis=axis), slope), 1)
        if softmax.sums_to_0:
            zero = self.pieces("softmax_zero", z=z, axis=axis)
            yield Sentence((*zero, *self.pieces("softmax_shift", p=p, z=z)), 1)

    def _by_indices(self, product: Product, example: bool) -> Iterator[Sentence]:
        if example:
            x, y = product.terms
            yield self.sentence(
                "entry", 1, entry=product.entry, total=Total(product.inner), x=x, y=y,
                by=product.by, derivative=product.derivative,
            )  # fmt: skip
            which = product.by.indices[:-2]
            if which:
                yield self.sentence("pairs", 1, which=", ".join(which))
            a, b = product.sent
            yield self.sentence(
                "once", 1, by=product.by, summed=product.summed, total=Total(product.summed),
                a=a, b=b,
            )  # fmt: skip
        stood = f"stood_{product.stood}{'_turned' if product.turned else ''}"
        yield self.sentence(
            stood, 1, summed=product.summed, name=Name(str(product.by.of)), other=product.other
        )
        yield replace(self._shapes(product.written, *product.extents), depth=1)
        if example:
            at, terms = product.example
            size: tuple[Piece, ...] = (product.other,)
            if not product.vector:
                size = self.pieces("upstream")
            written: list[Piece] = []
            for left, right in terms:
                written += [*([" + "] if written else []), left, " ", right]
            yield self.sentence("long", 1, size=size, at=at, terms=tuple(written))

    # --- algebra, shapes, sums ------------------------------------------------------------------

    def _algebra(self) -> Iterator[Sentence]:
        why = self.why
        for equation in why.inside:
            yield Sentence(_equation(equation))
        for fact in why.facts:
            reason = self.words.says(fact.reason)
            yield self.sentence("fact", equation=_equation(fact.equation), reason=reason)
        if len(why.steps) > 1:
            for i, step in enumerate(why.steps):
                reason = f"   ({self.words.says(step.reason)})" if step.reason else ""
                start: tuple[Piece, ...] = (Name(why.name), " = ") if not i else ("= ",)
                yield Sentence((*start, step.tree, reason), 1 if i else 0)

    def _shapes(self, tree: Tree, x: Extent, y: Extent, z: Extent) -> Sentence:
        pieces = self.pieces("shapes", product=(tree, ": ", x, " @ ", y, " → ", z))
        if any(tuple(map(str, e.numbers)) != e.symbols for e in (x, y, z)):
            x, y, z = (Extent(tuple(map(str, e.numbers)), e.numbers) for e in (x, y, z))
            pieces += self.pieces("here", product=(x, " @ ", y, " → ", z))
        return Sentence(pieces)

    def _repeated(self, repeated: Repeated) -> Sentence:
        left = len(repeated.small.symbols)
        end = "stays" if repeated.kept else f"drops_{left}" if left < 2 else "drops"
        return self.sentence(
            "sum_axis" if len(repeated.axes) == 1 else "sum_axes",
            name=Name(repeated.name), small=repeated.small, large=repeated.large,
            times=" · ".join(repeated.times), axes=(", ".join(map(str, repeated.axes)),),
            end=self.pieces(end, name=repeated.name, n=str(left)),
        )  # fmt: skip


def _times(scale: str) -> str:
    return f"{scale} · " if scale else ""


def _new(product: tuple[Tree, Extent, Extent, Extent], told: list[Product]) -> bool:
    """Has neither a product nor one of the same shapes been told by its indices?"""
    text, (tree, *extents) = Text(), product
    return all(
        text(tree) != text(other.written) and tuple(extents) != other.extents for other in told
    )


def _extent(extent: Extent) -> tuple[Piece, ...]:
    """A shape in symbols, and in numbers where these say more."""
    numbers = tuple(map(str, extent.numbers))
    if numbers == extent.symbols:
        return (extent,)
    return extent, " = ", Extent(numbers, extent.numbers)


def _links(why: Why, chain: tuple[str, ...]) -> tuple[Piece, ...]:
    links: list[Piece] = [] if chain[0] == why.cost else [Partial(why.cost, chain[0])]
    links += [Partial(above, below) for above, below in pairwise(chain)]
    pieces: list[Piece] = []
    for link in links:
        pieces += [" · ", link] if pieces else [link]
    return tuple(pieces)


def _masks(tree: Tree | None) -> list[Tree]:
    """The comparisons in a derivative."""
    if tree is None or is_comparison(tree):
        return [] if tree is None else [tree]
    return [mask for part in tree.parts for mask in _masks(part)]


def _equation(equation: Equation) -> tuple[Piece, ...]:
    left = Name(equation.left) if isinstance(equation.left, str) else equation.left
    return left, " = ", equation.right
