"""The graph of a cost with its names: what nodes, lengths and indices are called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_edu.calculus.axes import Axes, Origins, find_examples
from tinygrad_edu.core.identifiers import Identifiers
from tinygrad_edu.core.ops import arithmetic, shaping
from tinygrad_edu.core.primitive import GradError, Shape
from tinygrad_edu.core.sweep import needed, reachable
from tinygrad_edu.rules.expression import Algebra
from tinygrad_edu.rules.given import Given
from tinygrad_edu.rules.indices import OF_LABELS, WholeNumber, described, parts_of
from tinygrad_edu.rules.lengths import Lengths
from tinygrad_edu.rules.scales import made_of, scaling

#: What the source of a derivation uses itself: no quantity is called so in it.
USED_IN_SOURCE = {"np", "scatter", "prod_of_others", "slice", "gradients"}


class NamedGraph:
    """The nodes of a cost, their axes, examples and facts, and what all are called."""

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
        self.roles = Given(self.nodes, origins, examples)
        self.divisors = self.axes.divisors(examples, origins)
        self.example_axis = None if examples is None else examples.axis
        if self.example_axis is not None and origins is None:
            for number, (factor, power) in made_of(self.m, cost, self.learning).items():
                self.divisors.setdefault(number, (self.example_axis, factor, power))
        self.convention = convention if self.example_axis is not None else "calculus"
        self.algebra = Algebra()
        self.node_of: dict[str, Any] = {}
        self.name_of: dict[Any, str] = {}
        self.seen: set[Any] = set()  # given arrays whose fact is not declared, only seen
        self.identifiers = Identifiers(USED_IN_SOURCE)
        self.text_of: dict[Any, str] = {}  # what the user calls a node: ``W₁``, not W1
        self._choose_names(names)
        self.origins = Origins({}, frozenset()) if origins is None else origins
        self.index_names = self._name_indices(names)
        self.indices: dict[Any, Any] = {}  # of nodes, as they are written
        self.unnamed_indices: dict[str, Any] = {}
        self.facts = {self.node(key): fact for key, fact in facts.items()}
        self.identities = {node for node in self.nodes if _is_identity(node)}
        self._see_facts()
        self.lengths = Lengths(self.algebra, self.axes, self.name_of)
        self._shapes: dict[Any, Shape] = {}
        self._name_lengths(m, origins)

    def _see_facts(self) -> None:
        """What labels are by their formula, or by their numbers."""
        for node in self.nodes:
            labels = self.labels(node)
            if labels is not None:
                self.facts[node] = ("onehot", labels[0])
            known = node in self.facts or node in self.identities
            axis = None if known else _seen_one_hot(node)
            if axis is not None:
                self.facts[node] = ("onehot", axis)
                self.seen.add(node)

    # --- names -----------------------------------------------------------------------------------

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
                if other.op is None and node.op is None and same_numbers(other, node):
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

    def node(self, key: Any) -> Any:
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

    def labels(self, node: Any) -> tuple[int, Any] | None:
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

    # --- lengths ---------------------------------------------------------------------------------

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
            assert self.examples is not None
            for axis in self.examples.axes:
                lengths.symbols.setdefault(axis, lengths.symbols[examples])
        elif origins is None:
            self._name_length_of_data()

    def _name_length_of_data(self) -> None:
        """Call m the one length of data that the cost is divided by, though that is no mean over
        examples alone: of a layer whose input is looked for, say."""
        scales = {number for number, _ in scaling(self.cost, self.learning)}
        axes = {axis for number, (axis, _, _) in self.divisors.items() if number in scales}
        axes = {a for a in axes if any(x not in self.learning for x in self.axes.leaves(a))}
        if len(axes) == 1 and not axes & self.lengths.symbols.keys():
            self.lengths.call(axes.pop(), self._free("m"))

    def shape(self, node: Any) -> Shape:
        """The shape of a node, its lengths by what they are called."""
        found = self._shapes.get(node)
        if found is None:
            found = self._shapes[node] = tuple(map(self.lengths.of, self.axes.of(node)))
        return found

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

    # --- indices ---------------------------------------------------------------------------------

    def options(self, node: Any) -> dict[str, Any]:
        """The options of an operation, lengths and indices by what they are called."""
        if node.op is shaping.reshape:
            return {**node.options, "shape": self.shape(node)}
        if "index" not in node.options:
            return dict(node.options)
        if node not in self.indices:
            self.indices[node] = self._index(node)
        return {**node.options, "index": self.indices[node]}

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
        if type(part) is int and _has_name(text):
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
        name = next((k for k, v in self.unnamed_indices.items() if same_index(v, part)), None)
        if name is None:
            name = self.identifiers.fresh("i")
            self.unnamed_indices[name] = part
        return described(part, name, named=False)

    def _limit(self, n: Any, text: Any) -> Any:
        """A limit of a slice, knowing what it is called."""
        if n is None or not _has_name(text):
            return n
        return self.lengths.made(text, n, self.origins) or WholeNumber(n, text)

    def array_name(self, array: Any) -> str | None:
        """What an index array is called, if `names` told."""
        return next((k for k, v in self.index_names.items() if same_index(v, array)), None)


def _has_name(text: str | None) -> bool:
    """Is the formula of a whole number more than numbers: no ``2 + 3`` of a loop's turn?"""
    return text is not None and any(c.isalpha() for c in text)


def same_index(x: Any, y: Any) -> bool:
    """Do two arrays pick the same entries? [True, False] is a mask, [1, 0] are places."""
    return (x.dtype == bool) == (y.dtype == bool) and np.array_equal(x, y)


def same_numbers(x: Any, y: Any) -> bool:
    """Do two nodes hold the same numbers?"""
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
