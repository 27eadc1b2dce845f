"""What there is to say of a line, as data: the roads of the chain rule, factors, sums, steps."""

from __future__ import annotations

from dataclasses import dataclass

from tinygrad_edu.rules.notation import Names
from tinygrad_edu.rules.trees import Tree
from tinygrad_edu.words import Words


@dataclass(frozen=True)
class Extent:
    """A shape, in symbols (``n1``, ``m``) and in numbers."""

    symbols: tuple[str, ...]
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Equation:
    """``left = right``; `left` is a name, or a formula."""

    left: str | Tree
    right: Tree


@dataclass(frozen=True)
class Law:
    """A derivative by name: ``σ' = σ ∗ (1 − σ)``."""

    function: str
    derivative: Tree


@dataclass(frozen=True)
class Entry:
    """One entry of a matrix: ``W[j, k]``."""

    of: str | Tree
    indices: tuple[str, ...]


@dataclass(frozen=True)
class Product:
    """Why a matrix stands on its side: one entry of the product, the sum over what is used again.

    `entry` is the sum over `inner` of `terms`, two entries; its derivative by `by`, an entry of the
    quantity, is `derivative`. That entry is used once for each `summed`, so its gradient is the sum
    over `summed` of `sent`, which is the matrix product `written`. `example` says it in long form,
    the upstream gradient (of a vector, the matrix) being 2 × 3.
    """

    entry: Entry
    inner: str
    terms: tuple[Entry, Entry]
    by: Entry
    derivative: Entry
    summed: str
    sent: tuple[Entry, Entry]
    written: Tree
    extents: tuple[Extent, Extent, Extent]
    stood: str  # "left" or "right": where the quantity stood
    other: Tree
    turned: bool  # did the quantity stand transposed?
    example: tuple[Entry, tuple[tuple[Entry, Entry], ...]]
    vector: bool  # is the quantity a vector?


@dataclass(frozen=True)
class Repeated:
    """Broadcasting: a small quantity was used several times to make a large one."""

    name: str
    small: Extent
    large: Extent
    times: tuple[str, ...]
    axes: tuple[int, ...]
    kept: bool  # do the summed axes stay, with length 1?


@dataclass(frozen=True)
class Softmax:
    """`of` is the softmax along `axis`, made as `lines` say; `sums_to_0`: so does its gradient."""

    axis: int
    lines: tuple[Equation, ...]
    sums_to_0: bool


@dataclass(frozen=True)
class Factor:
    """What one reader sends back: of ``dA1`` through ``A1 = tanh(Z1)``.

    `forward` is how `above` was computed of `below`. `derivative` is the local derivative where it
    is a factor, `law` its name; `entrywise`: each entry reaches only its own. `sent` is what
    arrives, in terms of the gradient of `above`, `in_full` the same by the lines above; `roads` its
    parts where `below` is used several times on the way. `because` are the forward lines by which
    it was written so.
    """

    above: str
    below: str
    forward: Tree
    derivative: Tree | None
    law: Law | None
    entrywise: bool
    sent: Tree
    in_full: Tree | None = None
    roads: tuple[Tree, ...] = ()
    because: tuple[Equation, ...] = ()
    product: Product | None = None
    repeated: Repeated | None = None
    softmax: Softmax | None = None  # where `above` is the softmax of `below`


@dataclass(frozen=True)
class Arrival:
    """A gradient complete: what its readers send, added up. `scale` is ``m`` or nothing."""

    name: str
    of: str
    scale: str
    factors: tuple[Factor, ...]
    total: Tree


@dataclass(frozen=True)
class Step:
    """A step of algebra, and what it needs."""

    tree: Tree
    reason: str = ""


@dataclass(frozen=True)
class Fact:
    """``left = right`` because of something declared, or seen."""

    equation: Equation
    reason: str


@dataclass(frozen=True, repr=False)
class Why:
    """All there is to say of one line. `print` shows it as text, `to_text` in either language;
    `to_html` and `to_mathml` typeset.

    `chains` are the roads from the cost, or from a line above, as names; `arrivals` the gradients
    on the way in backward order, that of the line last; `steps` how the formulas of these become
    the line, every one of them tried on numbers; `facts` what that needs.
    """

    name: str
    of: str
    cost: str
    scale: str
    extent: Extent
    line: Tree
    chains: tuple[tuple[str, ...], ...]
    arrivals: tuple[Arrival, ...]
    products: tuple[tuple[Tree, Extent, Extent, Extent], ...]
    sums: tuple[Repeated, ...]
    inside: tuple[Equation, ...]
    facts: tuple[Fact, ...]
    steps: tuple[Step, ...]
    mean: str  # where 1/m comes from, or why it is not here
    statistics: bool  # are there means of the forward pass in the line, beside the 1/m of the cost?
    read_by: tuple[str, ...]  # the lines that are made of this one
    names: Names

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return f"<Why of {self.name}: print it>"

    def to_text(self, language: str = "en") -> str:
        """A sentence a row. `language`: "en" or "fa"."""
        from tinygrad_edu.rules.why.printing import as_text

        return as_text(self, Words(language))

    def to_html(self, language: str = "en") -> str:
        """The explanation as a piece of a web page, its formulas in MathML."""
        from tinygrad_edu.rules.why.printing import as_html

        return as_html(self, Words(language))

    def to_mathml(self) -> str:
        """The explanation, in English, as one MathML formula, a row for each sentence."""
        from tinygrad_edu.rules.why.printing import as_mathml

        return as_mathml(self)

    def _repr_html_(self) -> str:
        return self.to_html()
