"""What was measured in a training run: costs and accuracies, step by step and epoch by epoch."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.core.habits import OF_HISTORY, no_attribute
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.shown import table
from tinygrad_edu.core.signature import checked
from tinygrad_edu.nn.initialise import Array
from tinygrad_edu.nn.plots import line_chart


class History(dict[str, list[float]]):
    """What was measured: ``history["cost"]``, one number per epoch; ``"step_cost"`` one per step.

    Other keys: "accuracy" (of the batches, as they were trained on), "validation_cost",
    "validation_accuracy".
    """

    if not TYPE_CHECKING:  # to mypy, what is not declared is not there

        def __getattr__(self, name: str) -> Any:
            raise no_attribute(self, name, OF_HISTORY)

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

    def note(self, key: str, number: float) -> None:
        """Add a number."""
        if key in self:
            self[key].append(number)
        else:
            self[key] = [number]

    def cut(self, steps: int, epochs: int) -> None:
        """Forget what is beyond so many: an interrupted step leaves nothing behind."""
        for key, numbers in list(self.items()):
            del numbers[steps if key == "step_cost" else epochs :]
            if not numbers:
                del self[key]
