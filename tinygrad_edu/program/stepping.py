"""A whole step of training as one program: forward, backward, and the optimiser's update.

All parameters lie in one vector, their gradients in another, and so does each letter of what the
optimiser remembers: its formula is a few calls to NumPy, however many parameters there are. A step
reads one `State` and writes another, so until the new one is taken nothing has happened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from tinygrad_edu.core.habits import only_named
from tinygrad_edu.core.ops import arithmetic as ar
from tinygrad_edu.core.ops import elementwise as el
from tinygrad_edu.core.ops import reductions
from tinygrad_edu.core.primitive import GradError, Shape, plain
from tinygrad_edu.program.arguments import Argument, Scalars
from tinygrad_edu.program.careful import Careful
from tinygrad_edu.program.program import Program, Run
from tinygrad_edu.program.symbol import ELEMENTWISE, Symbol

Array = np.ndarray[Any, np.dtype[Any]]


class Optimiser(Protocol):
    """What is asked of an optimiser: see `tinygrad_edu.nn.Optimiser`."""

    @property
    def remembers(self) -> tuple[str, ...]:
        """The letters of what is kept for each parameter, zero at the start."""

    def rate(self, t: int) -> float:
        """The learning rate of step t = 1, 2, …"""

    def update(self, t: Any, lr: Any, p: Any, g: Any, *kept: Any) -> tuple[Any, ...]:
        """New numbers, and what to remember, number by number."""


class Update:
    """An optimiser's formula, with the gradients shortened first where that is asked for."""

    def __init__(self, optimiser: Optimiser, clip: float | None) -> None:
        self.optimiser, self.clip = optimiser, clip
        self.remembers = optimiser.remembers

    def scale(self, g: Any) -> Any:
        """What all gradients are shortened by, a number or a Symbol; None where nothing does."""
        if self.clip is None:
            return None
        length = el.sqrt(reductions.sum(g * g))
        return self.clip / ar.maximum(length, self.clip)

    def __call__(self, t: Any, rate: Any, scale: Any, p: Any, g: Any, *kept: Any) -> Any:
        """From (t, rate, scale, p, g, *kept) to (p, *kept): of numbers, or of Symbols."""
        if scale is not None:
            g = g * scale
        found = self.optimiser.update(t, rate, p, g, *kept)
        if isinstance(g, Symbol):
            _check_elementwise(found, (p, g, *kept), self.optimiser)
        return found


def _check_elementwise(found: Sequence[Any], known: Sequence[Symbol], optimiser: Any) -> None:
    """Is every number computed from those at its own place? Else one vector is not many arrays."""
    seen, todo = set(known), list(found)
    while todo:
        s = todo.pop()
        if not isinstance(s, Symbol) or s.shape not in ((), known[0].shape):
            raise GradError(f"compile: {optimiser!r} gives no new number for each number")
        if s in seen or s.constant:
            continue
        seen.add(s)
        if s.op is not None and s.op not in ELEMENTWISE:
            raise GradError(
                "compile: update= is computed number by number, and the formula of "
                f"{type(optimiser).__name__} looks at several. Compile without it, and call "
                "optimiser.step with the gradients"
            )
        todo += s.parents


class Layout:
    """Which part of a vector is which parameter's."""

    def __init__(self, shapes: Mapping[str, Shape], letters: Sequence[str], dtype: Any) -> None:
        self.shapes, self.letters, self.dtype = dict(shapes), tuple(letters), np.dtype(dtype)
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()]).tolist()
        self.size = ends[-1]
        self._places = [slice(a, b) for a, b in zip([0, *ends], ends)]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layout) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> Any:
        return tuple(self.shapes.items()), self.letters, self.dtype

    def parts(self, vector: Array) -> list[Array]:
        """Each parameter's part of a vector, in its shape."""
        return [vector[at].reshape(s) for at, s in zip(self._places, self.shapes.values())]

    def named(self, vector: Array) -> dict[str, Array]:
        """The same by name."""
        return dict(zip(self.shapes, self.parts(vector)))


class State:
    """Parameters, and what is remembered of them: a vector each.

    `shown`: whether somebody besides the steps has been given these arrays. Then they are theirs:
    they may still be read, and never again written.
    """

    __slots__ = ("layout", "parts", "shown", "vectors")

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.vectors = [np.zeros(layout.size, layout.dtype) for _ in range(1 + len(layout.letters))]
        self.parts = layout.parts(self.vectors[0])
        self.shown = False

    def show(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """Parameters and memory by name, given away: from now on nobody writes here."""
        self.shown = True
        for array in (self.vectors[0], *self.parts):
            array.setflags(write=False)
        memory = {
            f"{name}.{letter}": part
            for letter, vector in zip(self.layout.letters, self.vectors[1:])
            for name, part in self.layout.named(vector).items()
        }
        return dict(zip(self.layout.shapes, self.parts)), memory

    def load(self, parameters: Mapping[str, Any], memory: Mapping[str, Any]) -> State:
        """Take over parameters, and what is remembered of them: zeros where nothing is."""
        for name, part in zip(self.layout.shapes, self.parts):
            part[...] = parameters[name]
        for letter, vector in zip(self.layout.letters, self.vectors[1:]):
            for name, part in self.layout.named(vector).items():
                part[...] = memory.get(f"{name}.{letter}", 0.0)
        return self


class Gradients:
    """The gradients of all parameters: a vector and its parts; and which step they are of."""

    __slots__ = ("layout", "of", "parts", "vector")

    def __init__(self, layout: Layout) -> None:
        self.layout, self.of = layout, 0
        self.vector = np.zeros(layout.size, layout.dtype)
        self.parts = layout.parts(self.vector)

    def named(self) -> dict[str, Array]:
        """They by name."""
        return dict(zip(self.layout.shapes, self.parts))


class Step(Program):
    """A recorded graph, its backward pass and an optimiser's update as straight-line NumPy.

    ``step(X=…, Y=…)`` moves the parameters, every named leaf that requires a gradient, and returns
    the cost before that; and a dictionary, where `compile` was told what ``also``. The step keeps
    the parameters itself: `parameters`, `gradients` and `memory` are copies by name, `restore`
    gives it other numbers. The Values it was compiled from stay as they are.

    A step that is interrupted or fails has not happened. One thread at a time may take steps.

    >>> import tinygrad_edu as tg
    >>> w, x = tg.Value(2.0, "w"), tg.Value(5.0, "x", requires_grad=False)
    >>> step = tg.compile(w * x, update=tg.nn.GradientDescent(0.5))
    >>> step(x=3.0), step(x=4.0), step.parameters
    (6.0, 2.0, {'w': -1.5})
    """

    def __init__(
        self,
        arguments: Sequence[Argument | Scalars],
        source: str,
        make: Callable[[], Run],
        careful: Careful | None,
        story: str,
        constants: Sequence[Any],
        update: Update,
    ) -> None:
        super().__init__(arguments, source, make, careful, story, constants)
        self._given = [a for a in arguments if not a.requires_grad]
        self._moved = [a for a in arguments if a.requires_grad]
        self._update = update
        shapes = {a.name: a.shape for a in self._moved}
        self.layout = Layout(shapes, update.remembers, self._moved[0].dtype)
        self.given = [a.name for a in self._given]
        self._t = 0
        self._held: State | None = None
        self._spare: State | None = None
        self._gradients: Gradients | None = None

    @property
    def _state(self) -> State:
        """The parameters and memory there are; those of the recording before the first step."""
        if self._held is None:
            start = {a.name: a.read({}) for a in self._moved}
            self._held = State(self.layout).load(start, {})
        return self._held

    def __call__(self, /, *unnamed: Any, **given: Any) -> Any:
        if unnamed:
            raise only_named("step", unnamed[0], self.given)
        numbers = self._read(self._given, given)
        now = self._state
        new = self._spare
        if new is None or new is now:  # as Ctrl-C may have left it
            new = State(self.layout)
        rate = self._update.optimiser.rate(self._t + 1)
        g = self._gradients = self._gradients or Gradients(self.layout)
        cost, more = self.run(now, new, g, self._t + 1, rate, numbers)
        self._held, self._t = new, self._t + 1
        self._spare = now
        return (plain(cost), {k: plain(x) for k, x in more.items()}) if more else plain(cost)

    def again(self) -> Step:
        """The same step with working memory and parameters of its own."""
        new: Step = super().again()
        new._held = new._spare = new._gradients = None
        new._t = 0
        return new

    def new_state(self) -> State:
        """Vectors for a further state of these parameters."""
        return State(self.layout)

    def new_gradients(self) -> Gradients:
        """Memory for the gradients of these parameters."""
        return Gradients(self.layout)

    def run(
        self, now: State, new: State, g: Gradients, t: int, rate: float, numbers: Sequence[Any]
    ) -> tuple[Any, dict[str, Any]]:
        """Write step `t` into `new` and `g`, from `now` and the numbers of `given`, in order."""
        g.of = 0
        run = self._take()
        found: tuple[Any, dict[str, Any]] = run(
            *numbers, *now.parts, *g.parts, g.vector, *now.vectors,
            np.float64(t), np.float64(rate), *new.vectors,
        )  # fmt: skip
        self._idle.append(run)  # only then: of a call that was interrupted it is not kept
        if self._careful and self._careful.suspects(g.named()):
            careful = self._careful.gradients([*numbers, *now.parts])
            for name, part in g.named().items():
                part[...] = careful[name]
            scale = self._update.scale(g.vector)
            after = self._update(t, rate, scale, now.vectors[0], g.vector, *now.vectors[1:])
            for vector, array in zip(new.vectors, after):
                vector[...] = array
        g.of = t
        return found

    def _named(self, parts: Mapping[str, Any]) -> dict[str, Any]:
        """Copies, as callers see them."""
        found = {name: plain(part.copy()) for name, part in parts.items()}
        for a in self._moved:
            if not a.handed_on:
                a.hand_out(found)
        return found

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters as they are now."""
        return self._named(self.layout.named(self._state.vectors[0]))

    @property
    def gradients(self) -> dict[str, Any]:
        """The gradients of the last step; zeros before the first."""
        return self._named((self._gradients or Gradients(self.layout)).named())

    @property
    def memory(self) -> dict[str, Any]:
        """What the optimiser remembers, as its own `step` gives it."""
        found: dict[str, Any] = {"t": self._t}
        for letter, vector in zip(self.layout.letters, self._state.vectors[1:]):
            named = self._named(self.layout.named(vector))
            found |= {f"{name}.{letter}": part for name, part in named.items()}
        return found

    def restore(
        self, parameters: Mapping[str, Any], memory: Mapping[str, Any] | None = None
    ) -> None:
        """Go on from other numbers, and from what an optimiser remembers of them."""
        given = dict(parameters)
        read = dict(zip(self.layout.shapes, self._read(self._moved, given)))
        memory = memory or {}
        kept = {}
        for a in self._moved:
            for letter in self.layout.letters:
                found = [memory.get(f"{name}.{letter}", 0.0) for name in a.names]
                kept[f"{a.name}.{letter}"] = found[0] if isinstance(a, Argument) else found
        self._held, self._t = State(self.layout).load(read, kept), int(memory.get("t", 0))
