"""The training loop: mini-batches, validation, early stopping, checkpoints to go on from."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu.core.primitive import GradError, asarray
from tinygrad_edu.core.signature import Amount, Count, Natural, Positive, check, checked
from tinygrad_edu.nn.examples import Examples
from tinygrad_edu.nn.history import History
from tinygrad_edu.nn.network import Network
from tinygrad_edu.nn.optimisers import Adam, Optimiser
from tinygrad_edu.nn.recorded import rate_is_known
from tinygrad_edu.nn.run import Run

Batches = Callable[[int], Iterable[tuple[Any, Any]]]
Callback = Callable[["Run"], object]


def shuffled(
    net: Network, X: Any, Y: Any, batch_size: int | None = None, seed: int = 0
) -> tuple[Batches, int]:
    """Arrays as a function from an epoch to its mini-batches; and how many there are.

    >>> from tinygrad_edu.nn.layers import Dense
    >>> net = Network(1, Dense(1))
    >>> batches, n = shuffled(net, np.arange(5.0).reshape(1, 5), np.zeros((1, 5)), batch_size=2)
    >>> n, [X.shape for X, Y in batches(0)]
    (3, [(1, 2), (1, 2), (1, 1)])
    """
    examples = Examples(net, X, Y, batch_size, seed)
    return lambda epoch: map(examples.given, examples.batches(epoch)), examples.steps


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
    tolerance: Amount | None = None,
    clip: Positive | None = None,
    dtype: Any = None,
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

    `dtype`: float64 or float32, for data, parameters and all that is computed; X's own if it is an
    array of floats and nothing else is said.

    Where all steps record the same graph, it is compiled once with the optimiser's update (see
    `tinygrad_edu.compile`) and run with new numbers; results are the same to rounding. A layer,
    loss or activation of your own, and batch normalisation, are recorded at every step. The
    parameters have their new numbers whenever code of yours runs: callbacks, streams, the end.

    Raises GradError for data that does not fit the network, a checkpoint of another run, and a cost
    that is no longer finite; the network then has the numbers from before that step.

    >>> net = nn.Network(1, nn.Dense(1, init="zeros"))
    >>> X = np.array([[-1.0, 0.0, 1.0]])
    >>> descent = nn.GradientDescent(0.3)
    >>> history = nn.fit(net, X, 2 * X + 3, epochs=200, batch_size=None, optimiser=descent)
    >>> round(net.parameters["W1"].item(), 6), round(net.parameters["b1"].item(), 6)
    (2.0, 3.0)
    """
    if patience is not None and validation is None:
        raise GradError("fit: patience needs validation=(X, Y), whose cost it watches")
    held_as = _float_type(dtype, net, X)
    examples, data = None, "a stream"
    if not callable(X):
        X = asarray(X) if dtype is None else asarray(X).astype(held_as, copy=False)
        examples = Examples(net, X, Y, batch_size, seed)
        data = f"{np.shape(X)}, {np.shape(Y)}, batch size {batch_size}"
        if checkpoint is not None:
            data += f", checksums {[zlib.crc32(np.ascontiguousarray(a).data) for a in (X, Y)]}"
    if validation is not None and held_as == np.float32:
        validation = asarray(validation[0]).astype(held_as, copy=False), validation[1]
    run = Run(net, optimiser or Adam(), seed, clip, validation)
    if resume and checkpoint is None:
        raise GradError("fit: resume=True needs checkpoint=, the file to go on from")
    if resume and checkpoint is not None and Path(checkpoint).exists():
        run.load(checkpoint, data)
    net.hold(held_as)
    loop = _Loop(run, epochs, patience, tolerance, callbacks, checkpoint, save_every, data)
    show = sys.stderr.isatty() if progress is None else progress
    steps = None if examples is None else examples.steps
    with _bar(epochs, steps) if show else contextlib.nullcontext(lambda run: None) as loop.tick:
        if examples is None:
            of_stream = None if dtype is None else held_as
            loop.train(X, functools.partial(_step_on_given, run, of_stream))
        else:
            loop.train(examples.batches, functools.partial(run.step_on, examples))
    if patience is not None and run.position.best_state:
        net.restore(run.position.best_state)
    return run.history


def _step_on_given(run: Run, dtype: np.dtype[Any] | None, batch: Any) -> None:
    """A step on a batch of a stream."""
    check("fit: a batch (X, Y)", tuple[Any, Any], batch)
    x, y = batch
    run.step(x if dtype is None else asarray(x).astype(dtype), y)


@dataclass
class _Loop:
    """What `fit` was told, and what it does between the steps of a run."""

    run: Run
    epochs: int
    patience: int | None
    tolerance: float | None
    callbacks: Sequence[Callback]
    checkpoint: str | os.PathLike[str] | None
    save_every: int | None
    data: str
    tick: Callback = lambda run: None

    def __post_init__(self) -> None:
        self.watched = bool(self.callbacks) or not rate_is_known(self.run.optimiser)

    def train(self, batches: Callable[[int], Iterable[Any]], step: Callable[[Any], None]) -> None:
        """Epoch after epoch; on Ctrl-C what is done is saved."""
        run = self.run
        run.look_again()
        try:
            while not self.finished():
                done = run.position.batch  # more than 0 in a run that goes on within an epoch
                for batch in itertools.islice(batches(run.position.epoch), done, None):
                    step(batch)
                    self.tell()
                    if run.stop or (self.save_every and run.position.step % self.save_every == 0):
                        self.save()
                    if run.stop:
                        break
                else:
                    run.end_epoch()
                    self.tell()
                    self.save()
        except KeyboardInterrupt:
            self.save()
            raise
        finally:
            run.show()

    def finished(self) -> bool:
        """Is there no further epoch?"""
        at, costs = self.run.position, self.run.history.get("cost", [])
        tolerance = self.tolerance
        return (
            self.run.stop
            or at.epoch >= self.epochs
            or (self.patience is not None and at.epoch - at.best_epoch >= self.patience)
            or (tolerance is not None and len(costs) > 1 and abs(costs[-1] - costs[-2]) < tolerance)
        )

    def tell(self) -> None:
        """Call the callbacks, which see the numbers there are and may change what they like."""
        run = self.run
        if self.watched:
            run.show()
            for callback in self.callbacks:
                callback(run)
            run.look_again()
        self.tick(run)

    def save(self) -> None:
        """Write the checkpoint, if there is one."""
        if self.checkpoint is not None:
            self.run.save(self.checkpoint, self.data)


def _float_type(dtype: Any, net: Network, X: Any) -> np.dtype[Any]:
    """What to compute in."""
    if dtype is not None:
        try:
            found: np.dtype[Any] = np.dtype(dtype)
        except TypeError:
            found = np.dtype(object)
        if found not in (np.float64, np.float32):
            raise GradError(f"fit: dtype is float64 or float32, not {dtype!r}")
        return found
    data = None if callable(X) else asarray(X, "fit: X")
    own: np.dtype[Any] = net.dtype if data is None or data.dtype.kind != "f" else data.dtype
    return own


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
