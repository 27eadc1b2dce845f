"""Training is interrupted, as by Ctrl-C, and goes on from its checkpoint to the same result."""

import os
import signal

import numpy as np

from tinygrad_edu import nn

rng = np.random.default_rng(0)
X = rng.standard_normal((2, 300))
Y = (X[0] * X[1] > 0).astype(int)  # exclusive or, with noise around the corners


def a_net():
    return nn.Network(2, nn.Dense(8, "tanh"), nn.Dropout(0.1), nn.Dense(1, "sigmoid"), seed=1)


settings = {"epochs": 30, "batch_size": 20, "optimiser": nn.Adam(0.02), "seed": 4}

whole = a_net()
history = whole.fit(X, Y, **settings)
print(f"uninterrupted: cost {history['cost'][-1]:.6f}, accuracy {whole.accuracy(X, Y):.1%}")


def ctrl_c(run):
    if run.position.step == 200:  # in the middle of the 14th epoch
        os.kill(os.getpid(), signal.SIGINT)


try:
    a_net().fit(X, Y, **settings, checkpoint="run.npz", callbacks=[ctrl_c])
except KeyboardInterrupt:
    print("interrupted; run.npz holds", sorted(np.load("run.npz").files)[:4], "…")

again = a_net()
resumed = again.fit(X, Y, **settings, checkpoint="run.npz", resume=True)
print(f"resumed:       cost {resumed['cost'][-1]:.6f}, accuracy {again.accuracy(X, Y):.1%}")

assert resumed == history
assert all(np.array_equal(a, whole.state()[name]) for name, a in again.state().items())
os.remove("run.npz")
print("identical to the bit: every parameter, every number of the history")
