"""A training run under way: where it is, what it has measured, and one step after another.

Everything random in a run is drawn from its seed and its place (epoch, step), never from a
generator that is carried along. So a run that was interrupted and resumed is the same run.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.core.files import read_npz, write_npz
from tinygrad_edu.core.primitive import GradError, plain
from tinygrad_edu.core.recording import no_grad
from tinygrad_edu.core.signature import Natural, Positive, checked
from tinygrad_edu.core.value import Value
from tinygrad_edu.nn.examples import Examples
from tinygrad_edu.nn.history import History
from tinygrad_edu.nn.initialise import Array
from tinygrad_edu.nn.network import Network
from tinygrad_edu.nn.optimisers import Memory, Optimiser, clip_norm
from tinygrad_edu.nn.recorded import Compiled, Programs, kind_of_net, recorded


class Position(NamedTuple):
    """How far a run has come: a constant, replaced as a whole after every step."""

    step: int = 0  # steps done
    epoch: int = 0  # epochs done
    batch: int = 0  # steps done in the epoch under way
    examples: int = 0  # examples seen in the epoch under way,
    cost: float = 0.0  # the sum of their costs,
    right: float = 0.0  # and how many were classified right
    best: float = float("inf")  # the lowest validation cost so far
    best_epoch: int = 0
    memory: Memory = {}  # noqa: RUF012  # a constant too
    best_state: dict[str, Array] = {}  # noqa: RUF012
    state: Any = None  # where a program has left parameters and memory: see `Run.show`


class Run:
    """A run under way: the network, how far it is, and its history. `fit` makes and drives it.

    Steps by a program keep parameters and memory in vectors of their own. `show` gives the
    parameters, `gradients` and ``position.memory`` what they are: whenever anybody may look.
    """

    @checked
    def __init__(
        self,
        net: Network,
        optimiser: Optimiser,
        seed: Natural = 0,
        clip: Positive | None = None,
        validation: tuple[Any, Any] | None = None,
    ) -> None:
        self.net, self.optimiser, self.seed, self.clip = net, optimiser, seed, clip
        self.validation = validation
        self.position = Position()
        self.history = History()
        self.gradients: dict[str, Any] = {}
        self.stop = False  # a callback may set it
        self.programs = Programs(optimiser, clip)
        self._kind: Any = None  # what the network was when programs were last asked for,
        self._by_size: dict[int, Compiled | None] = {}  # and those for examples, by how many
        self._spare: Any = None  # a state to write into that nobody else has
        self._shown: Any = None  # the state that was shown last
        self._gradients: Any = None  # those of the last step by a program, not yet shown

    def __repr__(self) -> str:
        at = self.position
        return f"<Run of {self.optimiser} at step {at.step}, epoch {at.epoch}>"

    @property
    def epoch_ended(self) -> bool:
        """Has the last epoch been summed up, and the next not begun?"""
        return self.position.batch == 0 and self.position.epoch > 0

    # --- a step ----------------------------------------------------------------------------------

    @checked
    def step(self, X: Any, Y: Any) -> None:
        """One step of the optimiser on one mini-batch; interrupted, it has not happened at all."""
        try:
            made = self.programs.compiled(self.net, X, Y, self._draw)
            if made is None or not made.moves:
                self._by_graph(X, Y)
                return
            x, y = made.data(self.net, X, Y)
            classes = self.net.classes_in(Y, made.logits) if self.net.classifies else None
            if not self._by_program(made, x, y, classes):
                self._by_graph(X, Y)
        finally:
            self.show()

    def step_on(self, examples: Examples, chosen: Array | None) -> None:
        """The same on some examples, all for None; the numbers are shown only when asked for.

        Which program it takes is asked once for so many examples, until `look_again`.
        """
        m = examples.m if chosen is None else len(chosen)
        if m not in self._by_size:
            X, Y = examples.given(chosen)
            self._by_size[m] = self.programs.compiled(self.net, X, Y, self._draw)
        made = self._by_size[m]
        if made is not None and made.moves:
            if self._by_program(made, *examples.ready(chosen, made.logits)):
                return
        self._by_graph(*examples.given(chosen))

    def look_again(self) -> None:
        """Code that is not this package's has run: is the network still what it was?"""
        kind = kind_of_net(self.net)
        if kind is None or kind != self._kind:
            self._kind = kind
            self._by_size.clear()

    def _by_program(self, made: Compiled, x: Array, y: Array, classes: Array | None) -> bool:
        """A step by one program; where a number is not finite it has not happened.

        It is done as soon as `position` is replaced, and not before.
        """
        at, program = self.position, made.program
        now = self._numbers(program)
        new, g = self._spare, self._gradients
        if new is None or new is now or new.shown or new.layout is not program.layout:
            new = program.new_state()
        if g is None or g.layout is not program.layout:
            g = self._gradients = program.new_gradients()
        try:
            numbers = made.numbers(self.net, x, y, self._draw)
            with np.errstate(over="raise", divide="raise", invalid="raise"):
                rate = self.optimiser.rate(at.step + 1)
                cost, more = program.run(now, new, g, at.step + 1, rate, numbers)
            cost = float(cost)
            if not math.isfinite(cost):
                return False
            right = 0
            if classes is not None:
                right = int(np.count_nonzero(self.net.said(more["Z"]) == classes))
            m = made.m
            self.history.note("step_cost", cost)
            self.position = Position(
                at.step + 1, at.epoch, at.batch + 1, at.examples + m, at.cost + m * cost,
                at.right + right, at.best, at.best_epoch, at.memory, at.best_state, new,
            )  # fmt: skip
        except FloatingPointError:
            return False
        except BaseException:
            self.history.cut(self.position.step, self.position.epoch)
            raise
        self._spare = None if now.shown else now
        return True

    def _numbers(self, program: Any) -> Any:
        """The state that holds parameters and memory as they are now."""
        state, layout = self.position.state, program.layout
        if state is not None and state.layout is layout:
            if not state.shown:
                return state
            parameters = self.net.parameters  # somebody may have given them other numbers
            if all(parameters[name]._data is p for name, p in zip(layout.shapes, state.parts)):
                return state
        self.show()
        parameters = self.net.parameters
        held = {name: p._data for name, p in parameters.items()}
        return program.new_state().load(held, self.position.memory)

    def show(self) -> None:
        """Give parameters, gradients and memory what the last step by a program has left."""
        state, g = self.position.state, self._gradients
        if state is None or state is self._shown:
            return
        try:
            self._show(state, g)
        except BaseException:
            self._show(state, g)
            raise

    def _show(self, state: Any, g: Any) -> None:
        at = self.position
        found, memory = state.show()
        # They are given away too. Those that an interrupted step has written over are nobody's.
        parts = g.named() if g is not None and g.of == at.step else {}
        gradients = {}
        for name, p in self.net.parameters.items():
            if name in found:
                p._data = plain(found[name])
            if name in parts:
                gradients[name] = plain(parts[name])
            p._grad = gradients.get(name)
        self.gradients = gradients if self.clip is None else clip_norm(gradients, self.clip)
        self._gradients = None
        self.position = at._replace(memory={**at.memory, **memory, "t": at.step})
        self._shown = state

    def _by_graph(self, X: Any, Y: Any) -> None:
        """A step by a graph recorded anew, or by a program for the gradients alone."""
        self.show()
        net, at = self.net, self.position
        with self._whole():
            parameters = net.parameters
            for p in parameters.values():
                p.zero_grad()
            self.gradients = {}  # the last ones go before new ones are made
            found = self.programs.measured(net, X, Y, self._draw)
            found = found or recorded(net, X, Y, self._draw())
            if not math.isfinite(found.cost):
                _check_finite("X", X)
                _check_finite("Y", Y)
                raise GradError(
                    f"fit: the cost is {found.cost} at step {at.step + 1}. The steps are too "
                    "large: try a smaller learning rate, clip=1.0, or smaller initial weights"
                )
            gradients = found.gradients
            if self.clip is not None:
                gradients = clip_norm(gradients, self.clip)
            memory = self.optimiser.step(parameters, at.memory, gradients)
            self.gradients = gradients
            Z = found.logits
            m = Z.shape[1 - net.axis]
            self.history.note("step_cost", found.cost)
            self.position = at._replace(
                step=at.step + 1,
                batch=at.batch + 1,
                examples=at.examples + m,
                cost=at.cost + m * found.cost,
                right=at.right + (m * net.accuracy_of(Z, Y) if net.classifies else 0.0),
                memory=memory,
                state=None,
            )

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """All of what follows or none of it: an error or Ctrl-C puts everything back as it was."""
        position = self.position
        held = [(p, p._data) for p in self.net.parameters.values()]
        buffers = [(layer, layer.buffers) for layer in self.net.layers]
        try:
            yield
        except BaseException:
            for p, data in held:
                p._data = data
            for layer, kept in buffers:
                layer.buffers = kept
            self.position = position
            self.history.cut(position.step, position.epoch)
            raise

    def _draw(self) -> np.random.Generator:
        """What is random in the step under way comes from here."""
        return np.random.default_rng([self.seed, 1, self.position.step])

    # --- an epoch --------------------------------------------------------------------------------

    def end_epoch(self) -> None:
        """Sum the epoch up and validate; interrupted, it has not happened at all."""
        net, at = self.net, self.position
        if not at.batch:
            raise GradError("fit: an epoch had no examples")
        best = at.best, at.best_epoch, at.memory, at.best_state
        note = self.history.note
        try:
            note("cost", at.cost / at.examples)
            if net.classifies:
                note("accuracy", at.right / at.examples)
            if self.validation is not None:
                self.show()
                at = self.position
                best = at.best, at.best_epoch, at.memory, at.best_state
                X, Y = self.validation
                with no_grad():
                    Z = net.before_output(X)
                    cost = net.cost_of(Z, Y).item()
                    note("validation_cost", cost)
                    if net.classifies:
                        note("validation_accuracy", net.accuracy_of(Z, Y))
                if cost < at.best:
                    best = cost, at.epoch + 1, at.memory, net.state()
            self.position = Position(at.step, at.epoch + 1, 0, 0, 0.0, 0.0, *best, at.state)
        except BaseException:
            self.history.cut(self.position.step, self.position.epoch)
            raise

    # --- on disk -------------------------------------------------------------------------------

    def settings(self, data: str) -> dict[str, str]:
        """What a resumed run must have in common with the one that was interrupted."""
        return {
            "net": repr(self.net), "optimiser": repr(self.optimiser), "seed": str(self.seed),
            "clip": str(self.clip), "data": data,
        }  # fmt: skip

    @checked
    def save(self, path: str | os.PathLike[str], data: str = "") -> None:
        """Write the run to a checkpoint, whole or not at all."""
        self.show()
        at = self.position
        numbers = {key: v for key, v in at._asdict().items() if isinstance(v, (int, float))}
        parts = {"settings": self.settings(data), "position": numbers}
        text = json.dumps({**parts, "programs": self.programs.kinds})
        groups = {
            "net": self.net.state(), "memory": at.memory, "best": at.best_state,
            "history": self.history.arrays(),
        }  # fmt: skip
        arrays = {
            f"{group}/{name}": a for group, named in groups.items() for name, a in named.items()
        }
        write_npz(path, {"run": np.array(text), **arrays})

    @checked
    def load(self, path: str | os.PathLike[str], data: str = "") -> None:
        """Go on where a checkpoint was written. Raises GradError where it is of another run."""
        groups: dict[str, dict[str, Any]] = {"net": {}, "memory": {}, "best": {}, "history": {}}
        numbers = read_npz(path)
        try:
            run = json.loads(str(numbers.pop("run")))
            for key, array in numbers.items():
                group, name = key.split("/", 1)
                groups[group][name] = array
            settings, position = run["settings"], run["position"]
            programs = [str(kind) for kind in run.get("programs", [])]
        except (KeyError, ValueError):
            raise GradError(f"{os.fspath(path)} is no checkpoint of a training run") from None
        for key, here in self.settings(data).items():
            if settings.get(key) != here:
                raise GradError(
                    f"{os.fspath(path)} is of another run: its {key} is {settings.get(key)}, "
                    f"here it is {here}"
                )
        memory = {k: int(v) if k == "t" else v for k, v in groups["memory"].items()}
        self.net.restore(groups["net"])
        self.programs.kinds = programs
        self.position = Position(**position, memory=memory, best_state=groups["best"])
        self.history = History({key: a.tolist() for key, a in groups["history"].items()})


def _check_finite(name: str, numbers: Any) -> None:
    """Raise GradError for data that is not finite."""
    data = np.asarray(numbers.data if isinstance(numbers, Value) else numbers)
    bad = int(np.sum(~np.isfinite(data)))
    if bad:
        raise GradError(
            f"fit: {bad} of the {data.size} numbers of {name} in this mini-batch, shape "
            f"{data.shape}, are nan or infinite: no cost can be computed of them. "
            f"np.argwhere(~np.isfinite({name})) finds them"
        )
