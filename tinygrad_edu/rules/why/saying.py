"""What is known of a line, in sentences: words, and between them formulas, entries, shapes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

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


def sentences(why: Why) -> Iterator[Sentence]:
    """All of an explanation: whose derivative, which roads, each factor, then why so."""
    scale = f"{why.scale} · " if why.scale else ""
    yield Sentence((
        Name(why.name), f" is {scale}", Partial(why.cost, why.of), ", of shape ",
        *_extent(why.extent),
    ))  # fmt: skip
    if not why.arrivals and len(why.chains) > 1:
        yield Sentence((Name(why.of), f" is used on {len(why.chains)} roads, which add up:"))
    for chain in why.chains:
        yield _chain(why, chain)
    example = True
    for number, arrival in enumerate(why.arrivals, 1):
        yield from _arrival(why, arrival, number, example)
        example = example and not any(f.product for f in arrival.factors)
    yield from _algebra(why)
    told = {f.product.written for a in why.arrivals for f in a.factors if f.product}
    yield from (_shapes(*product) for product in why.products if _new(product[0], told))
    said = {f.repeated for a in why.arrivals for f in a.factors}
    yield from (_repeated(repeated) for repeated in why.sums if repeated not in said)
    if why.mean:
        yield Sentence((why.mean,))
    if why.statistics:
        yield Sentence(("np.mean is that of the forward pass; its 1/m is not the cost's",))
    if len(why.read_by) > 1 and why.arrivals and len(why.arrivals[-1].factors) > 1:
        readers = " and ".join(why.read_by)
        yield Sentence((Name(why.name), f" is worth a line of its own: {readers} are made of it"))


def _new(tree: Tree, told: set[Tree]) -> bool:
    """Has a product not been told by its indices?"""
    text = Text()
    return all(text(tree) != text(other) for other in told)


def _extent(extent: Extent) -> tuple[Piece, ...]:
    """A shape in symbols, and in numbers where these say more."""
    numbers = tuple(map(str, extent.numbers))
    if numbers == extent.symbols:
        return (extent,)
    return extent, " = ", Extent(numbers, extent.numbers)


def _chain(why: Why, chain: tuple[str, ...]) -> Sentence:
    links: list[Piece] = [] if chain[0] == why.cost else [Partial(why.cost, chain[0])]
    links += [Partial(above, below) for above, below in pairwise(chain)]
    pieces: list[Piece] = ["chain rule: "]
    for i, link in enumerate(links):
        pieces += [" · ", link] if i else [link]
    return Sentence(tuple(pieces))


# --- one gradient on the way --------------------------------------------------------------------


def _arrival(why: Why, arrival: Arrival, number: int, example: bool) -> Iterator[Sentence]:
    single = len(arrival.factors) == 1
    if single:
        [factor] = arrival.factors
        yield from _single(why, arrival, factor, number, example)
        return
    own = arrival.name == why.name
    opening: tuple[Piece, ...] = (
        Name(arrival.of), f" is used {len(arrival.factors)} times, so what arrives is added up:",
    )  # fmt: skip
    yield Sentence(opening, number=number)
    for factor in arrival.factors:
        yield from _contribution(factor, example)
        example = example and factor.product is None
    yield Sentence(("together: ", Name(arrival.name), " = ", arrival.total), 1)
    if not own:
        yield _called(why, arrival)


def _called(why: Why, arrival: Arrival) -> Sentence:
    scale = f"{arrival.scale} · " if arrival.scale else ""
    return Sentence((Name(arrival.name), f" is {scale}", Partial(why.cost, arrival.of)), 1)


def _single(
    why: Why, arrival: Arrival, factor: Factor, number: int, example: bool
) -> Iterator[Sentence]:
    so: tuple[Piece, ...] = ("so ", Name(arrival.name), " = ", arrival.total)
    yield Sentence((*_reason(factor), *so), number=number)
    yield from _details(factor, example)
    if arrival.name != why.name:
        yield _called(why, arrival)


def _contribution(factor: Factor, example: bool) -> Iterator[Sentence]:
    unchanged = factor.derivative is not None and factor.derivative.kind == "number"
    full: tuple[Piece, ...] = () if factor.in_full is None else (" = ", factor.in_full)
    skip = ", as it is" if unchanged and factor.sent.kind == "name" else ""
    yield Sentence((*_reason(factor), "contribution ", factor.sent, *full, skip), 1)
    yield from (replace(sentence, depth=2) for sentence in _details(factor, example))


def _reason(factor: Factor) -> tuple[Piece, ...]:
    """The forward line, and the local derivative it has."""
    pieces: list[Piece] = [Name(factor.above), " = ", factor.forward]
    if factor.derivative is None:
        return (*pieces, ", ")
    pieces += [": ", Partial(factor.above, factor.below), " = "]
    if factor.law is None:
        own = factor.entrywise and factor.derivative.kind != "number"
        return (*pieces, factor.derivative, " entry by entry, " if own else ", ")
    law = (f"as {factor.law.function}' = ", factor.law.derivative, ", ")
    return (*pieces, "g'(", Name(factor.below), ") = ", factor.derivative, ", ", *law)


def _details(factor: Factor, example: bool) -> Iterator[Sentence]:
    if factor.softmax is not None:
        yield from _softmax(factor, factor.softmax)
    if factor.roads:
        several: list[Piece] = [
            Name(factor.below), f" is used {len(factor.roads)} times in ", Name(factor.above), ": ",
        ]  # fmt: skip
        for i, road in enumerate(factor.roads):
            several += [" and ", road] if i else [road]
        yield Sentence(tuple(several), 1)
    for mask in _masks(factor.derivative):
        yield Sentence((mask, " is 1 where that holds, and 0 elsewhere"), 1)
    for equation in factor.because:
        yield Sentence(("because ", *_equation(equation)), 1)
    if factor.product is not None:
        yield from _by_indices(factor.product, example)
    elif factor.repeated is not None:
        yield replace(_repeated(factor.repeated), depth=1)


def _masks(tree: Tree | None) -> list[Tree]:
    """The comparisons in a derivative."""
    if tree is None or is_comparison(tree):
        return [] if tree is None else [tree]
    return [mask for part in tree.parts for mask in _masks(part)]


def _softmax(factor: Factor, softmax: Softmax) -> Iterator[Sentence]:
    p, z = factor.above, factor.below
    made: list[Piece] = []
    for i, equation in enumerate(softmax.lines):
        made += [", and " if i else ", with ", *_equation(equation)]
    yield Sentence((
        Name(p), " is the softmax of ", Name(z), f" along axis {softmax.axis}", *made,
    ), 1)  # fmt: skip
    yield Sentence((
        "each ", Name(z), " is in its own ", Name(p), " and in the sum that every ", Name(p),
        f" along axis {softmax.axis} is divided by:",
        f" ∂{p}_i/∂{z}_j = {p}_i ∗ (1 if i = j, else 0) − {p}_i ∗ {p}_j",
    ), 1)  # fmt: skip
    if softmax.sums_to_0:
        yield Sentence((
            "check: d", Name(z), f" sums to 0 along axis {softmax.axis}, since a number added to ",
            "all ", Name(z), " there changes no ", Name(p),
        ), 1)  # fmt: skip


def _equation(equation: Equation) -> tuple[Piece, ...]:
    left = Name(equation.left) if isinstance(equation.left, str) else equation.left
    return left, " = ", equation.right


def _by_indices(product: Product, example: bool) -> Iterator[Sentence]:
    x, y = product.terms
    if example:
        yield Sentence((
            "one entry: ", product.entry, " = ", Total(product.inner), x, " ", y,
            ", its derivative by ", product.by, " is ", product.derivative,
        ), 1)  # fmt: skip
        which = product.by.indices[:-2]
        if which:
            yield Sentence((
                f"{', '.join(which)}: each pair of matrices is multiplied by itself, and so is its "
                "gradient; transposed means that the last two axes are exchanged",
            ), 1)  # fmt: skip
        a, b = product.sent
        yield Sentence((
            "sum: ", product.by, f" is used once for each {product.summed}, and these add up: ",
            Total(product.summed), a, " ", b,
        ), 1)  # fmt: skip
    # Where the other factor stands in the gradient: across from where it stood, if not transposed.
    across = (product.stood == "right") != product.turned
    yield Sentence((
        f"as a product {product.summed}, which is added up, stands inside: ",
        Name(str(product.by.of)), f" stood {'transposed ' if product.turned else ''}on the "
        f"{product.stood} of ", product.other, ", so ", product.other,
        f"{'' if product.turned else ' transposed'} stands on the {'left' if across else 'right'}",
    ), 1)  # fmt: skip
    yield replace(_shapes(product.written, *product.extents), depth=1)
    if example:
        at, terms = product.example
        size: Piece = product.other if product.vector else "the upstream gradient"
        pieces: list[Piece] = ["in long form, ", size, " being 2 × 3: ", at, " gets "]
        for i, (left, right) in enumerate(terms):
            pieces += [*([" + "] if i else []), left, " ", right]
        yield Sentence(tuple(pieces), 1)


# --- algebra, shapes, sums ----------------------------------------------------------------------


def _algebra(why: Why) -> Iterator[Sentence]:
    for equation in why.inside:
        yield Sentence(_equation(equation))
    for fact in why.facts:
        yield Sentence(("used: ", *_equation(fact.equation), f", because {fact.reason}"))
    if len(why.steps) > 1:
        for i, step in enumerate(why.steps):
            reason = f"   ({step.reason})" if step.reason else ""
            start: tuple[Piece, ...] = (Name(why.name), " = ") if not i else ("= ",)
            yield Sentence((*start, step.tree, reason), 1 if i else 0)


def _shapes(tree: Tree, x: Extent, y: Extent, z: Extent) -> Sentence:
    pieces: list[Piece] = ["shapes: ", tree, ": ", x, " @ ", y, " → ", z]
    if any(tuple(map(str, e.numbers)) != e.symbols for e in (x, y, z)):
        here = [Extent(tuple(map(str, e.numbers)), e.numbers) for e in (x, y, z)]
        pieces += [", here ", here[0], " @ ", here[1], " → ", here[2]]
    return Sentence(tuple(pieces))


def _repeated(repeated: Repeated) -> Sentence:
    times = " · ".join(repeated.times)
    axes = ", ".join(map(str, repeated.axes))
    left = len(repeated.small.symbols)
    has = ("is a single number", "has one axis")[left] if left < 2 else f"has {left} axes"
    return Sentence((
        "sum: ", Name(repeated.name), " ", repeated.small, f" was used {times} times to make ",
        repeated.large, "; its gradient is the sum over all of them: over axis "
        if len(repeated.axes) == 1 else "; its gradient is the sum over all of them: over axes ",
        axes,
        ", which stays, with length 1" if repeated.kept
        else f"; no keepdims, since {repeated.name} {has}",
    ))  # fmt: skip
