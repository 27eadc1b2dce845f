"""Networks from Values only: layers, losses, initial weights, optimisers, the training loop.

In reading order: `initialise`, `layers`, `network`, `optimisers`, `recorded` (one step's
gradients), `examples`, `history`, `run`, `training`; then `diagnostics` (where gradients vanish),
`plots`, `rbm` (initial weights learnt from the inputs), `datasets`, `export`.

>>> import numpy as np
>>> from tinygrad_edu import nn
>>> X = np.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]])  # four examples as columns
>>> Y = np.array([[0, 1, 1, 0]])  # exclusive or
>>> net = nn.Network(2, nn.Dense(4, "tanh"), nn.Dense(1, "sigmoid"), seed=1)
>>> history = net.fit(X, Y, epochs=300, batch_size=None, optimiser=nn.Adam(0.05))
>>> net.classes(X).tolist()
[0, 1, 1, 0]
"""

from typing import Any

from tinygrad_edu.core.habits import OF_THE_PACKAGE, hint
from tinygrad_edu.nn.datasets import Dataset, breast_cancer, digits, iris
from tinygrad_edu.nn.diagnostics import Diagnosis, Watch, diagnose, plot_vanishing
from tinygrad_edu.nn.history import History
from tinygrad_edu.nn.initialise import he, small, unscaled, xavier, zeros
from tinygrad_edu.nn.layers import BatchNorm, Dense, Dropout, Layer, LayerNorm, Recurrent
from tinygrad_edu.nn.network import Network
from tinygrad_edu.nn.optimisers import (
    Adam,
    Cosine,
    GradientDescent,
    Momentum,
    Optimiser,
    RMSProp,
    StepDecay,
    clip_norm,
    norm_of,
)  # fmt: skip
from tinygrad_edu.nn.plots import decision_boundary, line_chart
from tinygrad_edu.nn.rbm import RBM, pretrain
from tinygrad_edu.nn.run import Run
from tinygrad_edu.nn.training import fit

__all__ = [
    "RBM", "Adam", "BatchNorm", "Cosine", "Dataset", "Dense", "Diagnosis", "Dropout",
    "GradientDescent", "History", "Layer", "LayerNorm", "Momentum", "Network", "Optimiser",
    "RMSProp", "Recurrent", "Run", "StepDecay", "Watch", "breast_cancer", "clip_norm",
    "decision_boundary", "diagnose", "digits", "fit", "he", "iris", "line_chart", "norm_of",
    "plot_vanishing", "pretrain", "small", "unscaled", "xavier", "zeros",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    import tinygrad_edu as tg

    told = hint(name, __all__, {**{other: f"tg.{other}" for other in tg.__all__}, **OF_THE_PACKAGE})
    raise AttributeError(f"module 'tinygrad_edu.nn' has no attribute {name!r}{told}")
