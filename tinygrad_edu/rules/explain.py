"""Where a line comes from: the chain rule factor by factor, shapes, sums, and what was used."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from tinygrad_edu.core.primitive import Shape
from tinygrad_edu.core.sweep import sweep
from tinygrad_edu.rules.deriving import Deriving, Line
from tinygrad_edu.rules.expression import Formula, Size
from tinygrad_edu.rules.forms import forward
from tinygrad_edu.rules.notation import Text
from tinygrad_edu.rules.poly import Poly
from tinygrad_edu.rules.simplify import Relation
from tinygrad_edu.rules.trees import Tree
from tinygrad_edu.rules.writing import Writer


def explained(work: Deriving, lines: list[Line], line: Line) -> str:
    """The explanation of one line, a fact a row."""
    return "\n".join(_Explanation(work, lines).of(line))


class _Explanation:
    def __init__(self, work: Deriving, lines: list[Line]) -> None:
        self.work = work
        self.writer = Writer(work, lines)
        self.text = Text(work.array_name)
        self.line_of = {line.node: line for line in lines}
        self.readers: dict[Any, list[Any]] = {}  # the named quantities computed from each
        for node in work.nodes:
            if node in work.name_of:
                for parent in dict.fromkeys(self.writer.named_inputs(node)):
                    self.readers.setdefault(parent, []).append(node)

    def of(self, line: Line) -> Iterator[str]:
        work, name = self.work, self.work.name_of[line.node]
        cost = work.name_of[work.cost]
        scale = f"{work.scale} · " if line.scaled else ""
        shape = self._shape(work.shape(line.node))
        yield f"{line.name} is {scale}∂{cost}/∂{name}, of shape {shape}"
        paths = list(self._paths(line.node))
        if len(paths) > 1:
            yield f"{name} is used {len(paths)} times, and the contributions add up:"
        factors: dict[str, None] = {}
        for path in paths:
            yield self._chain(path)
            factors |= dict.fromkeys(self._factors(path))
        yield from factors
        yield from dict.fromkeys(self._products(line.tree))
        yield from self._sums(line.node)
        yield from dict.fromkeys(self._used(line))

    # --- the chain -----------------------------------------------------------------------------

    def _paths(self, node: Any) -> Iterator[list[Any]]:
        """From each quantity that has a line (or the cost) down to this one."""
        for reader in self.readers.get(node, []):
            path = [reader, node]
            while path[0] not in self.line_of and len(self.readers.get(path[0], [])) == 1:
                path.insert(0, self.readers[path[0]][0])
            yield path

    def _chain(self, path: list[Any]) -> str:
        names = [self.work.name_of[node] for node in path]
        cost = self.work.name_of[self.work.cost]
        start = [] if path[0] is self.work.cost else [f"∂{cost}/∂{names[0]}"]
        links = [f"∂{above}/∂{below}" for above, below in pairwise(names)]
        return "chain rule: " + " · ".join([*start, *links])

    def _factors(self, path: list[Any]) -> Iterator[str]:
        for above, below in pairwise(path):
            upper, lower = self.work.name_of[above], self.work.name_of[below]
            local, is_factor = self._local(above, below)
            if local is None:
                continue
            shown = self.text(self.work.layout.arrange(local))
            if not is_factor:
                yield f"through {upper}: d{upper} becomes {shown}"
            elif self._is_activation(above, below):
                yield f"∂{upper}/∂{lower} = g'({lower}) = {shown}"
            else:
                yield f"∂{upper}/∂{lower} = {shown}"

    def _is_activation(self, above: Any, below: Any) -> bool:
        inputs = set(self.writer.named_inputs(above))
        return above.shape == below.shape != () and inputs == {below}

    def _local(self, above: Any, below: Any) -> tuple[Poly | None, bool]:
        """What reaches `below` of the gradient of `above`; as a factor where it is one."""
        work, algebra = self.work, self.work.algebra
        seed = algebra.one
        if above is not work.cost:
            seed = algebra.of(algebra.name(f"d{work.name_of[above]}", work.shape(above)))
        found: list[Formula] = []

        def arrived(node: Any, dz: Formula) -> Formula | None:
            if node is below:
                found.append(dz)
            return None if node is not above and node in work.name_of else dz

        def read(node: Any) -> Any:
            return work.formula[node], tuple(work.formula[p] for p in node.parents)

        sweep(above, Formula(algebra, seed, work.shape(above)), read, arrived=arrived)
        if not found:
            return None, False
        local, _ = work.simplifier.simplify(found[0].poly)
        if above is work.cost:
            return local, True
        atom = seed.atom
        if atom is not None and all((atom, 1) in mono for mono in local.terms):
            factor = algebra.poly(
                {tuple(f for f in mono if f[0] is not atom): c for mono, c in local.terms.items()}
            )
            if atom not in factor.deep:
                return factor, True
        return local, False

    # --- shapes and sums -----------------------------------------------------------------------

    def _shape(self, shape: Shape) -> str:
        """A shape, its lengths by their names where these are short."""
        texts = []
        for n in shape:
            atom = n.symbol.atom if isinstance(n, Size) else None
            texts.append(atom.name if atom is not None and "." not in atom.name else str(int(n)))
        return f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"

    def _products(self, tree: Tree) -> Iterator[str]:
        stack = [tree]
        while stack:
            at = stack.pop()
            if at.kind == "matmul":
                x, y = at.parts
                shapes = (
                    f"{self._shape(x.shape)} @ {self._shape(y.shape)} → {self._shape(at.shape)}"
                )
                yield f"shapes: {self.text(at)}: {shapes}"
            stack.extend(at.parts)

    def _sums(self, node: Any) -> Iterator[str]:
        """Where a small quantity met a large one, it was repeated, and its gradient is a sum."""
        name, small = self.work.name_of[node], self._shape(self.work.shape(node))
        for above in self.work.nodes:
            if above.op is None or above.op.name in ("matmul", "sum", "mean", "reshape"):
                continue
            extra = len(above.shape) - len(node.shape)
            if extra < 0 or all(parent is not node for parent in above.parents):
                continue
            large = self.work.shape(above)
            repeated = [
                n
                for i, n in enumerate(large)
                if n != 1 and (i < extra or node.shape[i - extra] == 1)
            ]
            if repeated:
                times = " · ".join(self._shape((n,))[1:-2] for n in repeated)
                yield (
                    f"sum: {name} {small} was used {times} times to make {self._shape(large)}; "
                    "its gradient is the sum over all of them"
                )

    # --- relations and facts -------------------------------------------------------------------

    def _used(self, line: Line) -> Iterator[str]:
        algebra, arrange = self.work.algebra, self.work.layout.arrange
        for relation in line.used:
            left = algebra.of(relation.atom) ** relation.power
            for atom, e in relation.along:
                left = left * algebra.of(atom, e)
            equation = f"{self.text(arrange(left))} = {self.text(arrange(relation.value))}"
            yield f"used: {equation}, because {self._reason(relation)}"

    def _reason(self, relation: Relation) -> str:
        if relation.reason == "virtual":
            return f"{self.text(self.work.layout.arrange(relation.source))} is a name for it"
        if relation.reason != "definition" or relation.source.atom is None:
            return relation.reason
        source = relation.source.atom.name
        made = forward(self.work, self.work.node_of[source], self.writer.trees)
        return f"{source} = {self.text(made)}"
