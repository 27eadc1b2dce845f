"""One derivation under way: the sweep run on formulas, a line for each quantity worth one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tinygrad_edu.calculus.axes import Origins
from tinygrad_edu.core.ops import linalg, reductions, shaping
from tinygrad_edu.core.primitive import GradError, Shape
from tinygrad_edu.core.sweep import needing, sweep
from tinygrad_edu.rules.formula import Formula
from tinygrad_edu.rules.indices import within
from tinygrad_edu.rules.lifting import LiftedGraph
from tinygrad_edu.rules.poly import Atom, Poly, strip
from tinygrad_edu.rules.relations import Relation
from tinygrad_edu.rules.ring import Spent
from tinygrad_edu.rules.sizes import Named, hashable
from tinygrad_edu.rules.tensors import ONES
from tinygrad_edu.rules.trees import Tree, holds, in_shape_of, keeping, put_at, shaped

#: Kinds of trees that NumPy makes new arrays of, which may be written into; a name is copied.
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


class Deriving(LiftedGraph):
    """One derivation under way: the names, the formulas of the nodes, the lines so far."""

    def __init__(
        self,
        cost: Any,
        convention: str,
        m: Any,
        names: Mapping[str, Any],
        facts: Mapping[Any, tuple[str, int | None]],
        origins: Origins | None = None,
        numbered: Mapping[Any, str] | None = None,
    ) -> None:
        super().__init__(cost, convention, m, names, facts, origins, numbered)
        self.averaged = {
            axis
            for node in self.nodes if node.op in (reductions.mean, reductions.var, reductions.std)
            for axis in self.axes.at(
                node.parents[0],
                reductions.axes_of(len(node.parents[0].shape), node.options.get("axis")),
            )
            if node.requires_grad and node.shape
        }  # fmt: skip

    def lines(
        self, wrt: Any, every: bool = False, above: Mapping[Any, str] | None = None
    ) -> list[Line]:
        """The lines, as the sweep comes to them.

        `above`: nodes whose gradients, in the scale of their lines, are known by a name each.
        """
        self.above = {node: self.identifiers.of(text) for node, text in (above or {}).items()}
        self.wanted = None if wrt is None else {self.node(k) for k in _several(wrt)}
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

    # --- which quantities get a line -------------------------------------------------------------

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
        leaves = [x for x in self.nodes if x.op is None and x in self.learning]
        if self.wanted is not None:
            return ()
        return tuple(self.text_of.get(x, self.name_of[x]) for x in leaves if not self._wants(x))

    def _is_target(self, leaf: Any) -> bool:
        """Given data of a declared kind, what of each example the lecture calls Y, what is only
        compared with."""
        called_so = self._has_examples(leaf) and self.name_of[leaf] in ("Y", "y")
        return leaf in self.facts or called_so or self.roles.is_target(leaf)

    def _is_parameter(self, leaf: Any) -> bool:
        """Neither a target nor data along the examples' axis."""
        return not (self._has_examples(leaf) or self._is_target(leaf) or self.roles.is_data(leaf))

    def _has_examples(self, node: Any) -> bool:
        return self.examples is not None and self.examples.has(node)

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
        if self.every or (self.wanted is not None and node in self.wanted) or self.too_long(poly):
            return True
        if self._is_put_together(node, poly):
            return holds(self.arranged(poly), shaping.scatter)
        if not self._may_have_line(node, poly):
            return False
        if poly.atom is not None and poly.atom.is_name:
            return False
        if poly.shape != strip(node.shape):  # the same for all along an axis: it goes on as it is
            return False
        if all(atom.constant for atom in poly.atoms()):
            return False
        return self._holds_product(node) or self.layout.cost(poly) > 3

    # --- the lines -------------------------------------------------------------------------------

    def _arrived(self, node: Any, dz: Formula) -> Formula:
        """A node's gradient is complete: a line if it is worth one, whose name flows on."""
        if node in self.above:
            return self._under_name(node, self.above[node], dz.shape)
        is_asked_for = node.op is None or (self.wanted is not None and node in self.wanted)
        if node not in self.name_of or (node is self.cost and not is_asked_for):
            return dz
        scaled = self.is_scaled(node)
        self.write_means(scaled)
        poly = dz.poly
        if node.op is None and not self._wants(node):
            return dz
        may_have = node.op is None or self._may_have_line(node, poly)
        if not (may_have or self.too_long(poly) or self._is_put_together(node, poly)):
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
        return self._under_name(node, text, dz.shape)

    def _under_name(self, node: Any, text: str, shape: Shape) -> Formula:
        """A gradient that flows on by the name of its line."""
        atom = self.algebra.name(text, self.shape(node))
        self.gradients[atom] = node
        flows = self.algebra.of(atom)
        if self.is_scaled(node):
            flows = flows * self.lengths.of(self.example_axis).symbol ** -1
        return Formula(self.algebra, flows, shape)

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
        if not any(atom.op is shaping.scatter for atom in line.poly.deep):
            self._put_at(line)
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
        whole = begin is not None and tuple(begin.shape) == line.node.shape
        if begin is not None and not (whole and begin.kind in (*NEW, "name")):
            trees.insert(0, Addition(Ellipsis, _of_rank(begin, line.node.shape), 1))
            begin = None
        line.added, line.start = tuple(trees), begin

    def _put_at(self, line: Line) -> None:
        """A statement for a line of the sweep itself, whose formula holds labels instead."""
        index, amount = put_at(line.tree) or (None, line.tree)
        if not holds(amount, shaping.scatter) and tuple(line.tree.shape) == line.node.shape:
            line.added = (Addition(index, amount, 1),)

    def _addition(self, index: Any, amount: Poly, shape: Shape) -> Addition:
        room = shaping.getitem.shape_rule(shape, index=index)
        amount = self._unfilled(amount, room)
        sign = -1 if all(c < 0 for c in amount.terms.values()) else 1
        return Addition(index, _of_rank(self.arranged(amount.scaled(sign)), room), sign)

    def _unfilled(self, amount: Poly, room: Shape) -> Poly:
        """Without ones that only fill the room: what is put there is repeated as it has to be."""
        bare = [
            self.algebra.poly({tuple(f for f in mono if not _fills(f[0], room)): c})
            for mono, c in amount.terms.items()
        ]
        return self.algebra.total(bare)

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


def _fills(atom: Atom, room: Shape) -> bool:
    return atom.op is ONES and strip(atom.shape) == strip(room)


def _of_rank(tree: Tree, shape: Shape) -> Tree:
    """A tree that can be added into something of this shape: axes of length 1 in front, of which
    the algebra knows nothing, are taken off."""
    return shaped(tree, shape) if len(tree.shape) > len(shape) else tree


def _several(wrt: Any) -> Iterable[Any]:
    if isinstance(wrt, str):
        return [part.strip() for part in wrt.split(",")]
    return wrt if isinstance(wrt, (list, tuple, set)) else [wrt]
