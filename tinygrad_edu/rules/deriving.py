"""One derivation under way: the sweep run on formulas, a line for each quantity worth one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.calculus.axes import Axes, Origins, find_examples
from tinygrad_edu.core.identifiers import Identifiers
from tinygrad_edu.core.ops import arithmetic, elementwise, linalg, reductions, shaping
from tinygrad_edu.core.primitive import GradError, Shape
from tinygrad_edu.core.sweep import needed, needing, reachable, sweep
from tinygrad_edu.rules.expression import EYE, Algebra
from tinygrad_edu.rules.formula import Formula
from tinygrad_edu.rules.given import Given
from tinygrad_edu.rules.indices import (
    OF_LABELS,
    ONE_HOT,
    WholeNumber,
    described,
    is_new_or_whole,
    parts_of,
    picked,
    within,
)
from tinygrad_edu.rules.layout import Layout
from tinygrad_edu.rules.lengths import Lengths
from tinygrad_edu.rules.poly import Atom, Poly, rational, strip
from tinygrad_edu.rules.ring import Spent
from tinygrad_edu.rules.simplify import Relation, Simplifier
from tinygrad_edu.rules.sizes import Named, hashable
from tinygrad_edu.rules.trees import Tree, holds, in_shape_of, keeping, shaped

#: A formula of more atoms than this is not written out inside another: it gets a name. So does a
#: deeper nest of operations, and what goes into one function more where so many that are not linear
#: are nested already: the chain rule makes a product with all of the nest in each factor.
LONGEST = 50
DEEPEST = 16
MOST_BENT = 3
#: What the source of a derivation uses itself: no quantity is called so in it.
USED_IN_SOURCE = {"np", "scatter", "prod_of_others", "slice", "gradients"}
#: An unnamed one of these, of something that had to be given a name, gets one too.
#: What is looked at on both sides of a number is better read by a name.
KINKED = (arithmetic.maximum, arithmetic.minimum, elementwise.relu)
#: Kinds of trees that NumPy makes new arrays of, which may be written into.
NEW = {"add", "multiply", "divide", "power", "matmul", "sum", "mean"}


@dataclass(frozen=True)
class Addition:
    """What a line adds (or with sign −1 subtracts) at an index of its quantity."""

    index: Any
    amount: Tree
    sign: int


@dataclass
class Line:
    """A line before it is written down."""

    node: Any
    name: str
    poly: Poly
    tree: Tree
    scaled: bool
    used: list[Relation]
    suffix: str = ""  # ".reshape(b.shape)" and the like, for the rare shape that needs it
    #: What the tree scatters, as statements after a first that gives `start` (None: zeros).
    added: tuple[Addition, ...] = ()
    start: Tree | None = None


class Deriving:
    """One derivation under way: the names, the formulas of the nodes, the lines so far."""

    def __init__(
        self,
        cost: Any,
        convention: str,
        m: Any,
        names: Mapping[str, Any],
        facts: Mapping[Any, tuple[str, int | None]],
        origins: Origins | None = None,
    ) -> None:
        self.cost = cost
        self.nodes = reachable(cost, every=True)[::-1]
        self.learning = needed(self.nodes)
        self.axes = Axes(self.nodes)
        n = m._data if hasattr(m, "_data") else m
        examples = find_examples(cost, n, origins)
        if examples is not None and examples.axis is None:
            raise GradError(f"derive: m={n}, but the cost sums over no axis of {n} entries")
        self.examples = examples
        self.roles = Given(self.nodes, origins)
        self.divisors = self.axes.divisors(examples, origins)
        self.example_axis = None if examples is None else examples.axis
        self.convention = convention if self.example_axis is not None else "calculus"
        self.algebra = Algebra()
        self.gradients: dict[Atom, Any] = {}
        self.layout = Layout(
            self.algebra, lambda atom: atom in self.gradients, lambda atom: atom in self.given
        )
        self.simplifier = Simplifier(self.algebra, self.layout)
        self.node_of: dict[str, Any] = {}
        self.name_of: dict[Any, str] = {}
        self.seen: set[Any] = set()  # given arrays whose fact is not declared, only seen
        self.arrays: dict[str, Any] = {}  # unnamed leaves by the names they were given
        self.identifiers = Identifiers(USED_IN_SOURCE)
        self.text_of: dict[Any, str] = {}  # what the user calls a node: ``W₁``, not W1
        self._choose_names(names)
        self.origins = Origins({}, frozenset()) if origins is None else origins
        self.index_names = self._name_indices(names)
        self.indices: dict[Any, Any] = {}  # of nodes, as they are written
        self.unnamed_indices: dict[str, Any] = {}
        self.facts = {self._node(key): fact for key, fact in facts.items()}
        self.identities = {node for node in self.nodes if _is_identity(node)}
        for node in self.nodes:
            labels = self._labels(node)
            if labels is not None:
                self.facts[node] = ("onehot", labels[0])
            known = node in self.facts or node in self.identities
            axis = None if known else _seen_one_hot(node)
            if axis is not None:
                self.facts[node] = ("onehot", axis)
                self.seen.add(node)
        self.lengths = Lengths(self.algebra, self.axes, self.name_of)
        self._shapes: dict[Any, Shape] = {}
        self.formula: dict[Any, Formula] = {}
        self.given: dict[Atom, Any] = {}
        self.auto_named: dict[Any, None] = {}
        #: Names for the entries that are the largest, with the node and the formula of each.
        self.shares: dict[Atom, tuple[Any, Poly]] = {}
        self._lengths: dict[Poly, int] = {}
        self._written: dict[Any, int] = {}  # how long a node's forward line would be …
        self._nested: dict[Any, int] = {}  # … and how deep its brackets
        self._name_lengths(m, origins)
        self._lift()
        self.averaged = {
            axis
            for node in self.nodes if node.op in (reductions.mean, reductions.var, reductions.std)
            for axis in self.axes.at(
                node.parents[0],
                reductions.axes_of(len(node.parents[0].shape), node.options.get("axis")),
            )
            if node.requires_grad and node.shape
        }  # fmt: skip

    # --- names ---------------------------------------------------------------------------------

    def _choose_names(self, names: Mapping[str, Any]) -> None:
        """The name of each node: its own or the one given; of several with one name, the last."""
        known = set(self.nodes)
        given = {v: k for k, v in names.items() if hasattr(v, "requires_grad") and v in known}
        arrays = {k: v for k, v in names.items() if isinstance(v, np.ndarray)}
        texts: dict[Any, str] = {}
        for node in self.nodes:
            text = given.get(node, node.name)
            if node.op is arithmetic.positive and node.parents[0].name == text:
                continue  # the copy that `tg.grad` differentiates by is the node itself
            if not text and node.op is None and node not in self.learning and node.shape:
                text = next((k for k, v in arrays.items() if np.array_equal(v, node._data)), None)
            if text:
                texts[node] = str(text)
        identifier = self.identifiers.all(texts.values())
        for node, text in texts.items():
            name = identifier[text]
            self.text_of[node] = text
            other = self.node_of.get(name)
            if other is not None:
                if other.op is None and node.op is None and _same_numbers(other, node):
                    self.name_of[node] = name
                    continue
                del self.name_of[other], self.text_of[other]
                if other.op is None:  # a leaf must keep some name
                    self._name(other, self.identifiers.fresh(name))
            self._name(node, name)
        if self.cost not in self.name_of:
            self._name(self.cost, self._free("J"))

    def _name_indices(self, names: Mapping[str, Any]) -> dict[str, Any]:
        """Plain arrays by identifiers: that of the node of this name where it holds them."""
        found: dict[str, Any] = {}
        by_text = {text: node for node, text in self.text_of.items()}
        for text, array in names.items():
            if isinstance(array, np.ndarray):
                node = by_text.get(text)
                same = node is not None and np.array_equal(node._data, array)
                found[self.name_of[node] if same else self.identifiers.of(str(text))] = array
        return found

    def _name(self, node: Any, text: str) -> None:
        self.node_of[text] = node
        self.name_of[node] = text

    def _free(self, name: str) -> str:
        """This name, or one with a number behind it."""
        free = self.identifiers.is_free(name)
        return self.identifiers.of(name) if free else self.identifiers.fresh(name)

    def _node(self, key: Any) -> Any:
        """A node by itself or by name."""
        if isinstance(key, str):
            named = {text: node for node, text in self.text_of.items() if node in self.name_of}
            node = named.get(key, self.node_of.get(key))
            if node is None:
                raise GradError(
                    f"derive: nothing is named {key!r} in this graph; "
                    f"there are {', '.join(sorted(self.node_of))}"
                )
            return node
        if key not in set(self.nodes):
            raise GradError(
                f"derive: {getattr(key, 'name', None) or key!r} is not in the cost's graph"
            )
        return key

    # --- lengths -------------------------------------------------------------------------------

    def _name_lengths(self, m: Any, origins: Origins | None) -> None:
        """What lengths are called: m or N where the graph divides by them, or as declared."""
        lengths = self.lengths
        for constant, (axis, factor, power) in self.divisors.items():
            if constant in self.name_of and factor == power == 1 and axis not in lengths.symbols:
                lengths.call(axis, self.name_of[constant])
        if origins is not None:
            lengths.declare(origins)
        examples = self.example_axis
        if examples is not None:
            symbol = lengths.symbols.get(examples)
            if symbol is None or symbol.atom is None:
                text = getattr(m, "name", None) or "m"
                taken = text in self.origins.sizes  # by the length of another axis
                lengths.call(examples, self.identifiers.fresh(text) if taken else self._free(text))

    def shape(self, node: Any) -> Shape:
        """The shape of a node, its lengths by what they are called."""
        found = self._shapes.get(node)
        if found is None:
            found = self._shapes[node] = tuple(map(self.lengths.of, self.axes.of(node)))
        return found

    def options(self, node: Any) -> dict[str, Any]:
        """The options of an operation, lengths and indices by what they are called."""
        if node.op is shaping.reshape:
            return {**node.options, "shape": self.shape(node)}
        if "index" not in node.options:
            return dict(node.options)
        if node not in self.indices:
            self.indices[node] = self._index(node)
        return {**node.options, "index": self.indices[node]}

    # --- indices -------------------------------------------------------------------------------

    def _index(self, node: Any) -> Any:
        """The index of a node as it is written."""
        index = node.options["index"]
        parts = parts_of(index)
        texts = self.origins.indices.get(node, (None,) * len(parts))
        of = self.shape(node.parents[0]) if node.op is shaping.getitem else ()
        if len(texts) != len(parts):
            texts = (None,) * len(parts)
        sizes: list[Any] = [*of, *(None,) * len(parts)]
        taken = -1
        found = []
        for part, text in zip(parts, texts):
            taken += part is not None
            found.append(self._index_part(part, text, sizes[taken]))
        return tuple(found) if isinstance(index, tuple) else found[0]

    def _index_part(self, part: Any, text: Any, size: Any) -> Any:
        if isinstance(part, slice):
            texts = text if isinstance(text, tuple) else (None,) * 3
            limits = (part.start, part.stop, part.step)
            return slice(*(self._limit(n, t) for n, t in zip(limits, texts)))
        if text is not None and type(part) is int:
            return WholeNumber(part, text)
        if not isinstance(part, np.ndarray):
            return part
        if text is not None:
            return described(part, text)
        name = self.array_name(part)
        if name is not None:
            return described(part, name)
        n = len(part) if part.ndim else 0
        if n > 2 and n == size and np.array_equal(part, np.arange(n)):
            return described(part, f"np.arange({n})", size_of=size)
        name = next((k for k, v in self.unnamed_indices.items() if np.array_equal(v, part)), None)
        if name is None:
            name = self.identifiers.fresh("i")
            self.unnamed_indices[name] = part
        return described(part, name, named=False)

    def _limit(self, n: Any, text: Any) -> Any:
        """A limit of a slice, knowing what it is called."""
        if n is None or text is None:
            return n
        return self.lengths.made(text, n, self.origins) or WholeNumber(n, text)

    # --- the forward graph as formulas ---------------------------------------------------------

    def _cuts(self) -> set[Any]:
        """Where a long chain of unnamed quantities is cut, so that each piece can be read."""
        found: set[Any] = set()
        bent: dict[Any, int] = {}  # how many functions that are not linear are nested in a node
        for node in self.nodes:
            bent[node] = 0
            if node.op is None or node in self.name_of or node.op is linalg.matmul:
                continue
            inside = needing(node)
            if not _is_linear(node):
                for p in inside:
                    if bent[p] >= MOST_BENT:
                        found.add(p)
                        bent[p] = 0
            bent[node] = max((bent[p] for p in inside), default=0) + (not _is_linear(node))
        return found

    def _lift(self) -> None:
        nonlinear = self._inputs_of_nonlinear()
        self.cuts = self._cuts()
        self.margins = {
            parent
            for node in self.nodes if node.op in KINKED
            for parent in needing(node)
        }  # fmt: skip
        # Looked up among these, the largest is found only as it was computed, to the last digit.
        self.searched = {
            parent
            for node in self.nodes if node.op in (reductions.max, reductions.min)
            for parent in needing(node)
        }  # fmt: skip
        for node in self.nodes:
            if node.op is None:
                self.formula[node] = self._leaf(node)
                self._written[node] = self._nested[node] = 1
                continue
            inputs = tuple(self.formula[p] for p in node.parents)
            formula = node.op(*inputs, **self.options(node))
            shape = self.shape(node)
            unnamed = [p for p in node.parents if p not in self.name_of]
            self._written[node] = 1 + sum(self._written[p] for p in unnamed)
            self._nested[node] = 1 + max((self._nested[p] for p in unnamed), default=0)
            if node not in self.name_of and self._deserves_a_name(node, formula.poly, nonlinear):
                self._name(node, self.identifiers.fresh("t"))
                self.auto_named[node] = None
            if node in self.name_of and node is not self.cost:
                atom = self.algebra.name(self.name_of[node], shape)
                if formula.poly.atom is not None and formula.poly.atom.positive:
                    atom.positive = True
                self.simplifier.define(atom, formula.poly)
                self._declare(node, atom, shape)
                formula = Formula(self.algebra, self.algebra.of(atom), shape)
                self._name_share(node, formula, inputs)
            self.formula[node] = Formula(self.algebra, formula.poly, shape)

    def _name_share(self, node: Any, formula: Formula, inputs: tuple[Formula, ...]) -> None:
        """Which entry of a block is the largest, shared by those that tie: long, and read in a
        product."""
        if node.op not in (reductions.max, reductions.min) or node.parents[0] not in self.name_of:
            return
        axes = reductions.axes_of(len(inputs[0].shape), node.options.get("axis"))
        if not 1 < len(axes) < len(inputs[0].shape):
            return
        [x] = inputs
        one = Formula(self.algebra, self.algebra.one, formula.shape)
        share = node.op.rules[0](one, formula, x, **node.options).poly
        text = self.identifiers.fresh("share")
        atom = self.algebra.name(text, x.shape)
        if self.simplifier.abbreviate(atom, share):
            self.shares[atom] = node, share

    def _leaf(self, node: Any) -> Formula:
        algebra, shape = self.algebra, self.shape(node)
        divisor = self.divisors.get(node)
        if divisor is not None and (node not in self.name_of or divisor[1] == divisor[2] == 1):
            axis, factor, power = divisor
            poly = (self.lengths.of(axis).symbol ** power).scaled(rational(factor))
            return Formula(algebra, poly, shape)
        if node not in self.name_of and node not in self.learning:
            if not node.shape and np.isfinite(node._data):
                return Formula(algebra, algebra.number(float(node._data)), shape)
            known = self._made_from_known(node)
            if known is not None:
                return Formula(algebra, known, shape)
        labels = None if node in self.name_of else self._labels(node)
        if labels is not None:
            one_hot = algebra.call(ONE_HOT, (), {"n": shape[labels[0]], "index": labels[1]}, shape)
            return Formula(algebra, one_hot, shape)
        if node not in self.name_of and node in self.identities:
            eye = algebra.call(EYE, (), {"n": shape[0]}, shape)
            assert eye.atom is not None
            self._declare(node, eye.atom, shape)
            return Formula(algebra, eye, shape)
        if node not in self.name_of:
            self._name_array(node)
        constant = node not in self.learning and node.shape == ()
        fact = self.facts.get(node, ("", None))[0]
        positive = constant and float(node._data) > 0
        atom = algebra.name(
            self.name_of[node], shape, mask=fact == "binary", positive=positive, constant=constant
        )
        self.given.setdefault(atom, node)
        self._declare(node, atom, shape)
        return Formula(algebra, algebra.of(atom), shape)

    def _made_from_known(self, node: Any) -> Poly | None:
        """``1 - Y`` or ``-Y`` of a plain array Y: NumPy computed it before a Value was met."""
        for atom, other in self.given.items():
            if other.shape == node.shape and other not in self.learning:
                y = self.algebra.of(atom)
                for poly, numbers in (
                    (self.algebra.one - y, 1 - other._data),
                    (y.scaled(-1), -other._data),
                ):
                    if np.array_equal(numbers, node._data):
                        return poly
        return None

    def _labels(self, node: Any) -> tuple[int, Any] | None:
        """The axis along which a given array is one-hot by its formula, and the index of the
        identity matrix that gives it."""
        found = OF_LABELS.fullmatch(self._written_as(node) or "")
        if found is None or node.shape[0 if found["columns"] else -1] < 2:
            return None
        axis = 0 if found["columns"] else len(node.shape) - 1
        labels = described(np.argmax(node._data, axis=axis), found["labels"])
        index = (slice(None), labels) if axis == 0 else labels
        same = np.array_equal(np.eye(node.shape[axis])[index], node._data)
        return (axis, index) if same else None

    def _written_as(self, node: Any) -> str | None:
        """The formula of a given array that is made of labels and lengths."""
        if node.op is not None:
            return None
        return self.origins.written.get(node) or self.origins.made.get(self.name_of.get(node, ""))

    def _name_array(self, node: Any) -> None:
        """A name for an unnamed leaf; two constants of the same numbers share it."""
        if node not in self.learning:
            for text, other in self.arrays.items():
                if _same_numbers(other, node):
                    self.name_of[node] = text
                    return
        text = self.identifiers.fresh("p" if node in self.learning else "c")
        self.arrays[text] = node
        self._name(node, text)

    def _declare(self, node: Any, atom: Atom, shape: Shape) -> None:
        kind, axis = self.facts.get(node, ("", None))
        if kind in ("onehot", "probabilities") and axis is not None:
            axis %= len(shape)
            what = "is one-hot" if kind == "onehot" else "holds probabilities"
            seen = ", as its numbers here show" if node in self.seen else ""
            reason = f"{atom.name} {what} along axis {axis}{seen}"
            self.simplifier.declare_sum(atom, shape, axis - len(shape), reason)
        if node in self.identities:
            for axis in (-2, -1):
                reason = "rows and columns of the identity matrix sum to 1"
                self.simplifier.declare_sum(atom, shape, axis, reason)

    def _inputs_of_nonlinear(self) -> set[Any]:
        bent = [node for node in self.nodes if node.op is not None and not _is_linear(node)]
        return {parent for node in bent for parent in node.parents}

    def _deserves_a_name(self, node: Any, poly: Poly, nonlinear: set[Any]) -> bool:
        """An unnamed pre-activation or margin would be written twice, a deep nest not be read."""
        if node is self.cost:
            return False
        if self._too_long(poly) or self._written[node] > LONGEST or self._nested[node] > DEEPEST:
            return True
        if node in self.cuts or self._is_taken_apart(node):
            return True
        if not node.shape:
            return False
        if node.op.name in ("mean", "var", "std", "norm") and node.requires_grad:
            return True
        if "activation" in node.op.traits and node.parents[0] in self.auto_named:
            return True
        if node in self.searched and not (poly.atom is not None and poly.atom.is_name):
            return True
        if node in self.margins and any(a.op is not None for a in poly.atoms()):
            return True
        holds_product = any(a.op is linalg.matmul for a in poly.atoms())
        return holds_product and node in nonlinear and bool(node.requires_grad)

    def _is_taken_apart(self, node: Any) -> bool:
        """Are entries picked from a node by an index that a gradient is put together at?"""
        return node.requires_grad and any(
            user.op is shaping.getitem
            and not all(map(is_new_or_whole, parts_of(user.options["index"])))
            and picked(self.options(user)["index"], node.shape) is None
            for user in self.roles.users.get(node, ())
        )

    def array_name(self, array: Any) -> str | None:
        """What an index array is called, if `names` told."""
        return next((k for k, v in self.index_names.items() if np.array_equal(v, array)), None)

    @property
    def scale(self) -> str:
        """What m is called."""
        assert self.example_axis is not None
        symbol = self.lengths.symbols[self.example_axis].atom
        assert symbol is not None
        return symbol.name

    @property
    def m(self) -> int:
        """The number of examples."""
        assert self.example_axis is not None
        return self.axes.length(self.example_axis)

    def _too_long(self, poly: Poly) -> bool:
        """To be written out inside another formula."""
        return self._length(poly) > LONGEST

    def _length(self, poly: Poly) -> int:
        """How many atoms a formula is written with."""
        length = self._lengths.get(poly)
        if length is None:
            arguments = [arg for mono in poly.terms for atom, _ in mono for arg in atom.args]
            length = sum(len(mono) for mono in poly.terms) + sum(map(self._length, arguments))
            self._lengths[poly] = length
        return length

    # --- the backward sweep --------------------------------------------------------------------

    def lines(self, wrt: Any, every: bool) -> list[Line]:
        """The lines, as the sweep comes to them."""
        self.wanted = None if wrt is None else {self._node(k) for k in _several(wrt)}
        self.every = every
        for node in self.wanted or ():
            if node not in self.learning:
                raise GradError(
                    f"derive: {self.name_of.get(node, 'a node')} needs no gradient: it was made "
                    "with requires_grad=False"
                )
        self.has_parameters = any(
            n.op is None and n in self.learning and self._is_parameter(n)
            for n in self.nodes
            if n in self.name_of
        )
        self.sums: dict[Any, set[bool]] = {}  # does a gradient flow into lines through sums?
        self.targets = self._targets()
        self.found: list[Line] = []
        self.raw: dict[Any, Formula] = {}
        seed = Formula(self.algebra, self.algebra.one, ())
        read = lambda node: (self.formula[node], tuple(self.formula[p] for p in node.parents))  # noqa: E731
        sweep(self.cost, seed, read, arrived=self._arrived, options=self.options)
        return self.found

    def _targets(self) -> dict[Any, set[Any]]:
        """For each node the lines its gradient flows into; several make it worth its own."""
        targets: dict[Any, set[Any]] = {}
        for node in self.nodes:
            found: set[Any] = set()
            sums: set[bool] = set()
            for p in needing(node):
                has_line = self._is_target_line(p, targets[p])
                found |= {p} if has_line else targets[p]
                summed = {p.shape != node.shape and node.op is not linalg.matmul}
                sums |= summed if has_line or True in summed else self.sums[p]
            targets[node] = found
            self.sums[node] = sums
        return targets

    def _is_target_line(self, node: Any, targets: set[Any]) -> bool:
        if node not in self.name_of:
            return False
        if node.op is None:
            return self._wants(node)
        return self._holds_product(node) or len(targets) > 1 or self._is_part(node)

    def _is_part(self, node: Any) -> bool:
        """Is a named quantity picked from another, a gate or the rows of a table?"""
        if node.op is not shaping.getitem:
            return False
        atom = self.simplifier.definitions[self.algebra.name(self.name_of[node], ())].atom
        return atom is not None and atom.op is shaping.getitem

    def _holds_product(self, node: Any) -> bool:
        definition = self.simplifier.definitions.get(self.algebra.name(self.name_of[node], ()))
        return definition is not None and any(a.op is linalg.matmul for a in definition.deep)

    def _arrived(self, node: Any, dz: Formula) -> Formula:
        """A node's gradient is complete: a line if it is worth one, whose name flows on."""
        if node not in self.name_of or (
            node is self.cost and not (self.wanted and node in self.wanted)
        ):
            return dz
        scaled = self.is_scaled(node)
        self.write_means(scaled)
        poly = dz.poly
        if node.op is None and not self._wants(node):
            return dz
        may_have = node.op is None or self._may_have_line(node, poly)
        if not (may_have or self._too_long(poly) or self._is_put_together(node, poly)):
            return dz
        if scaled:
            assert self.example_axis is not None
            poly = poly * self.lengths.of(self.example_axis).symbol
        simple, used = self.simplifier.simplify(poly)
        if node.op is not None and not self._worth_a_line(node, simple):
            back = simple * self.lengths.of(self.example_axis).symbol ** -1 if scaled else simple
            return Formula(self.algebra, back, dz.shape)
        text = self._gradient_name(node)
        self.found.append(self._line(node, text, simple, scaled, used))
        atom = self.algebra.name(text, self.shape(node))
        self.gradients[atom] = node
        flows = self.algebra.of(atom)
        if scaled:
            flows = flows * self.lengths.of(self.example_axis).symbol ** -1
        return Formula(self.algebra, flows, dz.shape)

    def write_means(self, scaled: bool) -> None:
        """Means where the forward lines take them; the cost's 1/m stays that in its own lines."""
        own = self.convention == "lecture" and not scaled and self.example_axis
        self.layout.average_over(
            frozenset(self.lengths.of(axis).symbol for axis in self.averaged if axis != own)
        )

    def _gradient_name(self, node: Any) -> str:
        text = f"d{self.name_of[node]}"
        while not self.identifiers.is_free(text):
            text += "_"
        return self.identifiers.of(text)

    def is_scaled(self, node: Any) -> bool:
        """Is a node's line m times its gradient?"""
        if self.convention != "lecture" or self.examples is None:
            return False
        is_parameter = node.op is None and node in self.examples.parameters
        return self.examples.has(node) and not is_parameter

    def _wants(self, leaf: Any) -> bool:
        """Does a leaf get a line? If asked for; else if it is a parameter."""
        if self.wanted is not None:
            return leaf in self.wanted
        if self.every or self._is_target(leaf):
            return self.every
        worked_on = self._is_parameter(leaf) or self.roles.is_worked_on(leaf)
        return worked_on or not self.has_parameters

    def left_out(self) -> tuple[str, ...]:
        """Given quantities that have a gradient but, unasked, no line."""
        leaves = [x for x in self.nodes if x.op is None and x in self.learning and x.size > 1]
        if self.wanted is not None:
            return ()
        return tuple(self.text_of[x] for x in leaves if x in self.text_of and not self._wants(x))

    def _is_target(self, leaf: Any) -> bool:
        """Given data of a declared kind, what the lecture calls Y, what is only compared with."""
        called_so = leaf in self.facts or self.name_of[leaf] in ("Y", "y")
        return called_so or self.roles.is_target(leaf)

    def _is_parameter(self, leaf: Any) -> bool:
        """Neither a target nor data along the examples' axis."""
        has_examples = self.examples is not None and self.examples.has(leaf)
        return not (has_examples or self._is_target(leaf) or self.roles.is_data(leaf))

    def _may_have_line(self, node: Any, poly: Poly) -> bool:
        if self.wanted is not None:
            return node in self.wanted
        if self.every:
            return True
        if len(self.targets[node]) > 1 or node in self.cuts:
            return True
        return node not in self.auto_named and (
            self._holds_product(node) or self._is_part(node) or self._is_read_again(node, poly)
        )

    def _is_put_together(self, node: Any, poly: Poly) -> bool:
        """Is a gradient added up at indices, which takes statements of its own?"""
        if not any(atom.op is shaping.scatter for atom in poly.deep):
            return False
        return any(user.op is shaping.getitem for user in self.roles.users.get(node, ()))

    def _is_read_again(self, node: Any, poly: Poly) -> bool:
        """Would a gradient made of others be written in a line below both as it is and in a sum,
        or a product be moved about there?"""
        if not self.targets[node]:
            return False
        if "moves" in node.op.traits and any(atom.op is linalg.matmul for atom in poly.deep):
            return True
        if node.op in (shaping.reshape, shaping.transpose) and poly.atom is None:
            return True
        moved = [a for a in poly.atoms() if a.op in (shaping.reshape, shaping.transpose)]
        if moved and all(atom.constant or atom in moved for atom in poly.atoms()):
            return "moves" not in node.op.traits and any(
                strip(a.args[0].shape) != strip(a.shape) for a in moved
            )
        made_of_others = any(atom in self.gradients for atom in poly.deep)
        statistic = any(atom.op is reductions.sum for atom in poly.atoms())  # of a normalisation
        return len(self.sums[node]) > 1 and made_of_others and not statistic

    def _worth_a_line(self, node: Any, poly: Poly) -> bool:
        if self.every or (self.wanted is not None and node in self.wanted) or self._too_long(poly):
            return True
        if self._is_put_together(node, poly):
            return holds(self.arranged(poly), shaping.scatter)
        if not self._may_have_line(node, poly):
            return False
        if poly.atom is not None and poly.atom.is_name:
            return False
        if all(atom.constant for atom in poly.atoms()):
            return False
        return self._holds_product(node) or self.layout.cost(poly) > 3

    def _line(self, node: Any, text: str, poly: Poly, scaled: bool, used: list[Relation]) -> Line:
        line = Line(node, text, poly, self.arranged(poly), scaled, used)
        self.fit(line)
        self.take_apart(line)
        return line

    def take_apart(self, line: Line) -> None:
        """Give a line that adds up at indices a statement for each of them."""
        line.added, line.start = (), None
        if not holds(line.tree, shaping.scatter):
            return
        amounts: dict[Any, tuple[Any, Poly]] = {}
        start = self.algebra.zero
        for mono, c in line.poly.terms.items():
            scattered = [atom for atom, e in mono if atom.op is shaping.scatter and e == 1]
            others = tuple(f for f in mono if f[0] not in scattered)
            term = self.algebra.poly({others: c})
            if not scattered:
                start = start + term
                continue
            if len(scattered) > 1 or not all(atom.is_single for atom, _ in others):
                return
            [atom] = scattered
            index = within(atom.options["index"], atom.shape, line.node.shape)
            if index is None:
                return
            _, before = amounts.get(hashable(index), (index, self.algebra.zero))
            amounts[hashable(index)] = index, before + term * atom.args[0]
        trees = [self._addition(*amount, line.node.shape) for amount in amounts.values()]
        begin = self.arranged(start) if start.terms else None
        if any(
            holds(tree, shaping.scatter) for tree in (*(a.amount for a in trees), begin) if tree
        ):
            return
        if begin is not None and (tuple(begin.shape) != line.node.shape or begin.kind not in NEW):
            trees.insert(0, Addition(Ellipsis, _of_rank(begin, line.node.shape), 1))
            begin = None
        line.added, line.start = tuple(trees), begin

    def _addition(self, index: Any, amount: Poly, shape: Shape) -> Addition:
        sign = -1 if all(c < 0 for c in amount.terms.values()) else 1
        room = shaping.getitem.shape_rule(shape, index=index)
        return Addition(index, _of_rank(self.arranged(amount.scaled(sign)), room), sign)

    def arranged(self, poly: Poly) -> Tree:
        """A formula written down; flat if there is no work left to look for better."""
        try:
            return self.layout.arrange(poly)
        except Spent:
            return self.layout.plain(poly)

    def fit(self, line: Line) -> None:
        """Make the line's own shape the gradient's: keep summed axes, reshape or repeat."""
        want = line.node.shape
        line.tree = in_shape_of(line.tree, Named(want, f"{self.name_of[line.node]}.shape"))
        for form in (line.tree, keeping(line.tree)):
            if tuple(form.shape) == want:
                line.tree = form
                return
        line.suffix = "reshape" if strip(form.shape) == strip(want) else "broadcast"
        if line.suffix == "broadcast" and len(form.shape) > len(want):
            line.tree = shaped(line.tree, strip(form.shape))

    def in_order(self, lines: list[Line]) -> list[Line]:
        """Backward order, a parameter right after the last gradient that it is written with."""
        place = {line.name: i for i, line in enumerate(x for x in lines if x.node.op is not None)}
        first_use: dict[Any, tuple[int, int]] = {}
        for node in self.nodes:
            for i, parent in enumerate(node.parents):
                first_use.setdefault(parent, (node._created, i))

        def key(line: Line) -> Any:
            if line.node.op is not None:
                return place[line.name], 0, (0, 0)
            after = [place[name] for name in line.tree.names() if name in place]
            return max(after, default=len(place)), 1, first_use.get(line.node, (0, 0))

        return sorted(lines, key=key)


def _of_rank(tree: Tree, shape: Shape) -> Tree:
    """A tree that can be added into something of this shape: axes of length 1 in front, of which
    the algebra knows nothing, are taken off."""
    return shaped(tree, shape) if len(tree.shape) > len(shape) else tree


def _is_linear(node: Any) -> bool:
    """In what needs a gradient."""
    if node.op in (arithmetic.multiply, arithmetic.divide):
        return len(needing(node)) < len(node.parents)
    return not node.op.traits.isdisjoint({"linear", "bilinear"})


def _several(wrt: Any) -> Iterable[Any]:
    if isinstance(wrt, str):
        return [part.strip() for part in wrt.split(",")]
    return wrt if isinstance(wrt, (list, tuple, set)) else [wrt]


def _same_numbers(x: Any, y: Any) -> bool:
    return np.shape(x._data) == np.shape(y._data) and bool(np.all(x._data == y._data))


def _is_identity(node: Any) -> bool:
    """Is a constant the identity matrix?"""
    if node.op is not None or node.requires_grad or len(node.shape) != 2:
        return False
    return node.shape[0] > 1 and np.array_equal(node._data, np.eye(node.shape[0]))


def _seen_one_hot(node: Any) -> int | None:
    """The axis along which given labels are one-hot; None if not, or if too few to tell."""
    if node.op is not None or node.requires_grad or len(node.shape) < 2:
        return None
    data = np.asarray(node._data)
    for axis, n in enumerate(data.shape):
        if 1 < n and data.size > 2 * n and np.all((data == 0) | (data == 1)):
            if np.all(data.sum(axis=axis) == 1):
                return axis
    return None
