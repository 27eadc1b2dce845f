"""The rules of a graph as a user meets them: `derive`, and the `Derivation` of `Rule`s it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from tinygrad_edu.calculus.axes import Origins
from tinygrad_edu.core.collecting import no_collection
from tinygrad_edu.core.plain import printable
from tinygrad_edu.core.primitive import GradError, Shape
from tinygrad_edu.core.signature import checked
from tinygrad_edu.rules.deriving import Deriving, Line
from tinygrad_edu.rules.notation.mathml import inside, math, operator, row
from tinygrad_edu.rules.referee import Referee
from tinygrad_edu.rules.why import Explainer, Why
from tinygrad_edu.rules.writing import Writer
from tinygrad_edu.words import say


@dataclass(frozen=True, repr=False)
class Rule:
    """One derived line: `name` is the gradient's (``dZ2``), `of` the quantity's (``Z2``).

    `text` is for the terminal, `latex` for a document, `mathml` for a web page, `numpy` a Python
    statement; `scale` is what the true gradient was multiplied by (``m``), or nothing. In lines a
    quantity's name is a Python identifier: ``W1`` for ``W₁``.
    """

    name: str
    of: str
    shape: Shape
    text: str
    numpy: str
    scale: str
    _line: Line = field(repr=False, compare=False)
    _writer: Writer = field(repr=False, compare=False)
    _explainer: Explainer = field(repr=False, compare=False)

    @cached_property
    def latex(self) -> str:
        """The line for a document."""
        return self._writer.typeset(self._line)

    @cached_property
    def mathml(self) -> str:
        """The line as a formula for a web page."""
        return math(self._writer.marked_up(self._line))

    @property
    def why(self) -> str:
        """Where the line comes from: the roads of the chain rule, the factor of each step by its
        name, the sums, the side of each matrix, the algebra. `explanation` has it as data."""
        return printable(str(self.explanation))

    @cached_property
    def explanation(self) -> Why:
        """What `why` says, as data; with `to_html` and `to_mathml`."""
        return self._explainer.of(self._line)

    def __str__(self) -> str:
        return printable(self.text)

    def __repr__(self) -> str:
        return f"<Rule {self}>"

    def _repr_latex_(self) -> str:
        return f"$${self.latex}$$"


@dataclass(frozen=True, repr=False)
class Derivation:
    """The rules of a graph in backward order; ``print`` shows them as `text`, and what has none.

    `definitions` are the names that were given to unnamed quantities the rules mention; `left_out`
    names the data, labels and targets that have a gradient but, as nobody asked for it, no rule;
    `m` is the number of examples that the lecture's scale multiplies by.
    """

    rules: list[Rule]
    convention: str
    cost: str
    definitions: list[str]
    left_out: tuple[str, ...]
    m: int | None
    _writer: Writer = field(repr=False, compare=False)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)

    @checked
    def __getitem__(self, name: str | int) -> Rule:
        if isinstance(name, int):
            return self.rules[name]
        for rule in self.rules:
            if name in (rule.name, rule.of):
                return rule
        raise KeyError(f"no rule for {name}; there are {', '.join(r.name for r in self.rules)}")

    @property
    def text(self) -> str:
        """The definitions and the rules as text, a line each; of unnamed arrays what they are."""
        arrays = [f"# {told}" for told in self._writer.unnamed()]
        lines = [*arrays, *self.definitions, *(rule.text for rule in self.rules)]
        return printable("\n".join(lines))

    def __str__(self) -> str:
        left = ", ".join(self.left_out)
        note = f"# {say('why.left_out', names=left)}" if left else ""
        return "\n".join(filter(None, [self.text, note]))

    def to_latex(self) -> str:
        """The rules as an aligned LaTeX block, each with its shape."""
        lines = []
        for rule in self.rules:
            left, _, right = rule.latex.partition(" = ")
            shape = r" \times ".join(map(str, rule.shape))
            lines.append(rf"{left} &= {right}" + (rf" && \left({shape}\right)" if shape else ""))
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"

    def to_mathml(self) -> str:
        """The rules as one MathML formula for a web page, a row each."""
        rows = []
        for rule in self.rules:
            shape = operator("×").join(f"<mn>{n}</mn>" for n in rule.shape)
            cells = (inside(rule.mathml), row(operator("("), shape, operator(")")) if shape else "")
            rows.append(f"<mtr>{''.join(f'<mtd>{cell}</mtd>' for cell in cells)}</mtr>\n")
        return math(f'\n<mtable columnalign="left">\n{"".join(rows)}</mtable>\n', block=True)

    @cached_property
    def source(self) -> str:
        """What `to_numpy` gives."""
        return self._writer.source()

    def to_numpy(self) -> str:
        """The source of a Python function that computes the cost and all rules with NumPy alone."""
        return self.source

    def __repr__(self) -> str:
        names = ", ".join(rule.name for rule in self.rules) or "no rule"
        return f"<Derivation of {self.cost}, convention {self.convention}: {names}>"

    def _repr_latex_(self) -> str | None:
        return f"$${self.to_latex()}$$" if self.rules else None


@checked
def derive(
    cost: Any,
    wrt: Any = None,
    convention: str = "lecture",
    m: Any = None,
    every: bool = False,
    names: Mapping[str, Any] | None = None,
    facts: Mapping[Any, tuple[str, int | None]] | None = None,
    origins: Origins | None = None,
) -> Derivation:
    """The rules of back-propagation for a cost: ``dZ2 = A2 − Y``, ``dW2 = (1/m) dZ2 A1ᵀ`` …

    `cost`: the Value to differentiate, a single number. Without `wrt`, the lines a teacher would
    write: parameters, and the named quantities worth a line; with `wrt` (a Value, a name, or
    several) exactly those, and what they are made of where they would be too long to read; with
    ``every=True`` all named quantities.

    `convention`: ``"lecture"`` gives m·∂J/∂Q for computed quantities that have the examples' axis
    and ∂J/∂Q for parameters; ``"calculus"`` gives ∂J/∂Q throughout. m is found in the graph, or
    given. Where the cost is no mean over examples only "calculus" exists, and is used.

    `names` names nodes for this derivation, as in ``names=locals()``; `facts` declares what is
    known of given data: ``{Y: ("onehot", 0)}`` (its sum along axis 0 is 1),
    ``("probabilities", axis)``, ``("binary", None)``. `origins`: what a sheet knows of where its
    numbers come from.

    Raises GradError for a cost that is not a single number, an unknown name or convention.

    >>> from tinygrad_edu import Value
    >>> w, x, b = Value(2.0, "w"), Value(3.0, "x", requires_grad=False), Value(1.0, "b")
    >>> z = w * x + b
    >>> z.name = "z"
    >>> print(tg.derive(z * z))
    dz = 2 ∗ z
    dw = dz ∗ x
    db = dz
    """
    if convention not in ("lecture", "calculus"):
        raise GradError(f"derive: convention is 'lecture' or 'calculus', not {convention!r}")
    if not hasattr(cost, "parents") or not hasattr(cost, "requires_grad"):
        raise TypeError(f"derive: a Value is needed as the cost, not {type(cost).__name__}")
    if cost.shape != ():
        raise GradError(
            f"derive: the cost {cost.name or ''} has shape {cost.shape}; a single number is "
            "needed: reduce it with tg.mean or tg.sum"
        )
    if not cost.requires_grad:
        raise GradError("derive: the cost was computed from nothing that needs a gradient")
    with no_collection():
        return _derivation(
            partial(Deriving, cost, convention, m, names or {}, facts or {}, origins), wrt, every
        )


def _derivation(deriving: Callable[..., Deriving], wrt: Any, every: bool) -> Derivation:
    work, lines = _derived(deriving(), wrt, every)
    writer = Writer(work, lines)
    if wrt is None and (numbered := writer.numbered()).items() - work.name_of.items():
        work, lines = _derived(deriving(numbered), wrt, every)
        writer = Writer(work, lines)
    explainer = Explainer(work, lines)
    rules = []
    for line in lines:
        text, python = writer.line(line)
        scale = work.scale if line.scaled else ""
        of = work.text_of.get(line.node, work.name_of[line.node])
        shape = line.node.shape
        rules.append(Rule(line.name, of, shape, text, python, scale, line, writer, explainer))
    return Derivation(
        rules, work.convention, work.name_of[work.cost], writer.definitions(), work.left_out(),
        work.m if work.convention == "lecture" else None, writer,
    )  # fmt: skip


def _derived(work: Deriving, wrt: Any, every: bool) -> tuple[Deriving, list[Line]]:
    """The lines of a derivation in order, each in the form that is shown."""
    return work, work.in_order(Referee(work, work.lines(wrt, every)).chosen())
