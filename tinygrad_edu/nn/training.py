"""The training loop: mini-batches, validation, early stopping, checkpoints that go on to the bit.

Everything random in a run is drawn from its seed and its place (epoch, step), never from a
generator that is carried along. So a run that was interrupted and resumed is the same run.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.core.files import read_npz, write_npz
from tinygrad_edu.core.habits import no_attribute
from tinygrad_edu.core.primitive import GradError, asarray
from tinygrad_edu.core.shown import table
from tinygrad_edu.core.signature import Count, Natural, check, checked
from tinygrad_edu.core.value import Value, no_grad
from tinygrad_edu.nn.initialise import Array
from tinygrad_edu.nn.network import Network
from tinygrad_edu.nn.optimisers import Adam, Memory, Optimiser, clip_norm
from tinygrad_edu.nn.plots import line_chart
from tinygrad_edu.nn.recorded import Programs, recorded

Batches = Callable[[int], Iterable[tuple[Any, Any]]]
Callback = Callable[["Run"], object]


@dataclass(frozen=True)
class Position:
    """How far a run has come: a constant, replaced as a whole after every step."""

    step: int = 0  # steps done
    epoch: int = 0  # epochs done
    batch: int = 0  # steps done in the epoch under way
    examples: int = 0  # examples seen in the epoch under way,
    cost: float = 0.0  # the sum of their costs,
    right: float = 0.0  # and how many were classified right
    best: float = float("inf")  # the lowest validation cost so far
    best_epoch: int = 0
    memory: Memory = field(default_factory=dict)
    best_state: dict[str, Array] = field(default_factory=dict)


class History(dict[str, list[float]]):
    """What was measured: ``history["cost"]``, one number per epoch; ``"step_cost"`` one per step.

    Other keys: "accuracy" (of the batches, as they were trained on), "validation_cost",
    "validation_accuracy".
    """

    if not TYPE_CHECKING:  # to mypy, what is not declared is not there

        def __getattr__(self, name: str) -> Any:
            raise no_attribute(self, name)

    def __missing__(self, key: str) -> Any:
        words = {"loss": "cost", "val_loss": "validation_cost", "acc": "accuracy"}
        told = f"it is called {words[key]!r} here" if key in words else f"there are {list(self)}"
        raise KeyError(f"no {key!r} was measured; {told}")

    def arrays(self) -> dict[str, Array]:
        """The same as arrays."""
        return {key: np.array(numbers) for key, numbers in self.items()}

    def __repr__(self) -> str:
        last = ", ".join(f"{key} {y[-1]:.4g}" for key, y in self._per_epoch().items() if y)
        return f"<History of {len(self.get('cost', ()))} epochs{': ' * bool(last)}{last}>"

    def _repr_html_(self) -> str:
        rows = [[key, f"{y[0]:.4g}", f"{y[-1]:.4g}"] for key, y in self._per_epoch().items() if y]
        shown = table(f"{len(self.get('cost', ()))} epochs", ["", "first", "last"], rows)
        try:
            plot = self.plot()
        except (GradError, ImportError):  # nothing finite; no matplotlib
            return shown
        return f"{shown}{plot._repr_html_()}"

    def _per_epoch(self) -> dict[str, list[float]]:
        return {key.replace("_", " "): y for key, y in self.items() if key != "step_cost"}

    @checked
    def plot(self, path: str | os.PathLike[str] | None = None, title: str = "") -> Any:
        """The curves per epoch, costs and accuracies in one: shown in a notebook, or written.

        With a `path` they are an SVG or PNG file, without one a `Plot`.
        """
        return line_chart(path, self._per_epoch(), title=title, x_label="epoch", first_x=1)

    def cut(self, position: Position) -> None:
        """Forget what is beyond a position: an interrupted step leaves nothing behind."""
        for key, numbers in list(self.items()):
            del numbers[position.step if key == "step_cost" else position.epoch :]
            if not numbers:
                del self[key]


class Run:
    """A run under way: the network, how far it is, and its history. `fit` makes and drives it."""

    @checked
    def __init__(
        self,
        net: Network,
        optimiser: Optimiser,
        seed: Natural = 0,
        clip: float | None = None,
        validation: tuple[Any, Any] | None = None,
    ) -> None:
        self.net, self.optimiser, self.seed, self.clip = net, optimiser, seed, clip
        self.validation = validation
        self.position = Position()
        self.history = History()
        self.gradients: dict[str, Any] = {}
        self.stop = False  # a callback may set it
        self.programs = Programs()

    def __repr__(self) -> str:
        at = self.position
        return f"<Run of {self.optimiser} at step {at.step}, epoch {at.epoch}>"

    @property
    def epoch_ended(self) -> bool:
        """Has the last epoch been summed up, and the next not begun?"""
        return self.position.batch == 0 and self.position.epoch > 0

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """All of what follows or none of it: an error or Ctrl-C puts everything back as it was."""
        state, position = self.net.state(), self.position
        try:
            yield
        except BaseException:
            self.net.restore(state)
            self.position = position
            self.history.cut(position)
            raise

    def step(self, X: Any, Y: Any) -> None:
        """One step of the optimiser on one mini-batch; interrupted, it has not happened at all."""
        net, at = self.net, self.position
        with self.whole():
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
            self.position = replace(
                at,
                step=at.step + 1,
                batch=at.batch + 1,
                examples=at.examples + m,
                cost=at.cost + m * found.cost,
                right=at.right + (m * net.accuracy_of(Z, Y) if net.classifies else 0.0),
                memory=memory,
            )
            self.note(step_cost=found.cost)

    def _draw(self) -> np.random.Generator:
        """What is random in the step under way comes from here."""
        return np.random.default_rng([self.seed, 1, self.position.step])

    def end_epoch(self) -> None:
        """Sum the epoch up and validate; interrupted, it has not happened at all."""
        net, at = self.net, self.position
        if not at.batch:
            raise GradError("fit: an epoch had no examples")
        with self.whole():
            self.note(cost=at.cost / at.examples)
            if net.classifies:
                self.note(accuracy=at.right / at.examples)
            new = replace(at, epoch=at.epoch + 1, batch=0, examples=0, cost=0.0, right=0.0)
            if self.validation is not None:
                X, Y = self.validation
                with no_grad():
                    Z = net.before_output(X)
                    cost = net.cost_of(Z, Y).item()
                    self.note(validation_cost=cost)
                    if net.classifies:
                        self.note(validation_accuracy=net.accuracy_of(Z, Y))
                if cost < at.best:
                    new = replace(new, best=cost, best_epoch=new.epoch, best_state=net.state())
            self.position = new

    def note(self, **numbers: float) -> None:
        """Add to the history."""
        for key, number in numbers.items():
            self.history.setdefault(key, []).append(number)

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
        at = self.position
        numbers = {key: v for key, v in vars(at).items() if isinstance(v, (int, float))}
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


def shuffled(
    net: Network, X: Any, Y: Any, batch_size: int | None = None, seed: int = 0
) -> tuple[Batches, int]:
    """Arrays as mini-batches, in an order drawn anew for every epoch; and how many there are.

    The last batch of an epoch holds what is left over.

    >>> from tinygrad_edu.nn.layers import Dense
    >>> net = Network(1, Dense(1))
    >>> batches, n = shuffled(net, np.arange(5.0).reshape(1, 5), np.zeros((1, 5)), batch_size=2)
    >>> n, [X.shape for X, Y in batches(0)]
    (3, [(1, 2), (1, 2), (1, 1)])
    """
    X, Y = asarray(X), asarray(Y)
    along = -2 if net.rows else -1
    m = X.shape[along] if X.ndim > 1 else 0
    along_y = 0 if Y.ndim == 1 else along
    if m == 0 or Y.ndim == 0 or Y.shape[along_y] != m:
        raise GradError(
            f"fit: X of shape {X.shape} holds {m} examples, Y of shape {Y.shape} does not hold as "
            "many, or there are none"
        )
    if batch_size is not None and batch_size < 1:
        raise GradError(f"fit: batch_size is a number of examples from 1, not {batch_size}")
    size = min(batch_size or m, m)

    def epoch(number: int) -> Iterator[tuple[Array, Array]]:
        order = np.random.default_rng([seed, 0, number]).permutation(m)
        for start in range(0, m, size):
            chosen = order[start : start + size]
            yield X.take(chosen, axis=along), Y.take(chosen, axis=along_y)

    return epoch, -(-m // size)


@checked
def fit(
    net: Network,
    X: Any,
    Y: Any = None,
    *,
    epochs: Natural = 100,
    batch_size: Count | None = 32,
    optimiser: Optimiser | None = None,
    seed: Natural = 0,
    validation: tuple[Any, Any] | None = None,
    patience: Natural | None = None,
    tolerance: float | None = None,
    clip: float | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
    save_every: Count | None = None,
    resume: bool = False,
    progress: bool | None = None,
) -> History:
    """Train `net` on X (n0, m) and Y (n_out, m), or (m,) labels; returns the `History`.

    Instead of X and Y a function ``epoch -> batches (X, Y)`` may be given: data that does not fit
    in memory. ``batch_size=None`` is the whole set at once, the lecture's gradient descent (S5).
    `optimiser`: ``Adam(0.001)`` unless said otherwise. `clip`: a limit for the gradient's norm.

    It ends after `epochs`; or when the cost of an epoch differs from the last one's by less than
    `tolerance` ("until convergence"); or when the cost on `validation` has not fallen for
    `patience` epochs. With `patience` the network ends with the numbers of its best epoch.

    `callbacks` are called with the `Run` (``run.net``, ``run.history``, ``run.gradients``) after
    every step, and once more after every epoch, with ``run.epoch_ended``; ``run.stop = True`` ends
    the training. `checkpoint`: a file written after every epoch, after every `save_every` steps and
    on Ctrl-C; with ``resume=True`` training goes on from it, if it exists, to the result it would
    have had. `progress`: a bar with cost and accuracy on standard error, by default where that is a
    terminal.

    Where all steps record the same graph, it is compiled once (see `tinygrad_edu.compile`) and run
    with new numbers; results are the same to rounding. A layer, loss or activation of your own, and
    batch normalisation, are recorded at every step.

    Raises GradError for data that does not fit the network, a checkpoint of another run, and a cost
    that is no longer finite; the network then has the numbers from before that step.

    >>> net = nn.Network(1, nn.Dense(1, init="zeros"))
    >>> X = np.array([[-1.0, 0.0, 1.0]])
    >>> descent = nn.GradientDescent(0.3)
    >>> history = nn.fit(net, X, 2 * X + 3, epochs=200, batch_size=None, optimiser=descent)
    >>> round(net.parameters["W1"].item(), 6), round(net.parameters["b1"].item(), 6)
    (2.0, 3.0)
    """
    if (patience is not None) and validation is None:
        raise GradError("fit: patience needs validation=(X, Y), whose cost it watches")
    if callable(X):
        batches, steps, data = X, None, "a stream"
    else:
        batches, steps = shuffled(net, X, Y, batch_size, seed)
        data = f"{np.shape(X)}, {np.shape(Y)}, batch size {batch_size}"
        if checkpoint is not None:
            data += f", checksums {[zlib.crc32(np.ascontiguousarray(a).data) for a in (X, Y)]}"
    run = Run(net, optimiser or Adam(), seed, clip, validation)
    if resume and checkpoint is None:
        raise GradError("fit: resume=True needs checkpoint=, the file to go on from")
    if resume and checkpoint is not None and Path(checkpoint).exists():
        run.load(checkpoint, data)

    def finished() -> bool:
        at, costs = run.position, run.history.get("cost", [])
        return (
            run.stop
            or at.epoch >= epochs
            or (patience is not None and at.epoch - at.best_epoch >= patience)
            or (tolerance is not None and len(costs) > 1 and abs(costs[-1] - costs[-2]) < tolerance)
        )

    show = sys.stderr.isatty() if progress is None else progress
    with _bar(epochs, steps) if show else contextlib.nullcontext(lambda run: None) as tick:
        tellers = [*callbacks, tick]
        try:
            while not finished():
                done = run.position.batch  # more than 0 in a run that goes on within an epoch
                for batch in itertools.islice(batches(run.position.epoch), done, None):
                    check("fit: a batch (X, Y)", tuple[Any, Any], batch)
                    run.step(*batch)
                    _tell(tellers, run)
                    if checkpoint is not None and save_every:
                        if run.position.step % save_every == 0:
                            run.save(checkpoint, data)
                    if run.stop:
                        if checkpoint is not None:
                            run.save(checkpoint, data)
                        break
                else:
                    run.end_epoch()
                    _tell(tellers, run)
                    if checkpoint is not None:
                        run.save(checkpoint, data)
        except KeyboardInterrupt:
            if checkpoint is not None:
                run.save(checkpoint, data)
            raise
    if patience is not None and run.position.best_state:
        net.restore(run.position.best_state)
    return run.history


def _tell(callbacks: Iterable[Callback], run: Run) -> None:
    for callback in callbacks:
        callback(run)


@contextlib.contextmanager
def _bar(epochs: int, steps: int | None) -> Iterator[Callback]:
    """A progress bar with the last epoch's cost and accuracy; gives the callback that moves it."""
    from rich import progress as rich
    from rich.console import Console

    columns = (
        rich.TextColumn("epoch"), rich.MofNCompleteColumn(), rich.BarColumn(),
        rich.TimeRemainingColumn(), rich.TextColumn("{task.description}"),
    )  # fmt: skip
    with rich.Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=epochs)

        def tick(run: Run) -> None:
            at = run.position
            words = []
            for key in ("cost", "accuracy"):
                kept = run.history.get(f"validation_{key}") or run.history.get(key, [])
                words += [f"{key} {kept[-1]:.4f}"] if kept else []
            part = at.batch / steps if steps else 0.0
            progress.update(task, completed=at.epoch + part, description=" ".join(words))

        yield tick
