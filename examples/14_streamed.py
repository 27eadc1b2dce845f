"""Training on more data than is held in memory at once: batches are read as they are needed."""

import time
import tracemalloc
from pathlib import Path

import numpy as np

from tinygrad_edu import nn

M, N, BATCH = 400_000, 40, 500
truth = np.random.default_rng(0).standard_normal((3, N))
path = Path("stream.npy")

# Written piece by piece, one example after another: float32, as measurements are kept.
file = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(M, N))
for start in range(0, M, 50_000):
    file[start : start + 50_000] = np.random.default_rng(start).standard_normal((50_000, N))
file.flush()
del file


def batches(epoch):
    """X (N, BATCH) and labels; only the part of the file that is asked for is read."""
    examples = np.load(path, mmap_mode="r")
    for start in np.random.default_rng([1, epoch]).permutation(M // BATCH) * BATCH:
        X = np.asarray(examples[start : start + BATCH], dtype=float).T
        yield X, np.argmax(truth @ X, axis=0)


net = nn.Network(N, nn.Dense(30, "relu"), nn.Dense(3, "softmax"))
tracemalloc.start()
clock = time.perf_counter()
history = net.fit(batches, epochs=1, optimiser=nn.Adam(0.003))
seconds = time.perf_counter() - clock
peak = tracemalloc.get_traced_memory()[1]
tracemalloc.stop()

X_new = np.random.default_rng(9).standard_normal((N, 2000))
accuracy = net.accuracy(X_new, np.argmax(truth @ X_new, axis=0))
print(f"{M:,} examples, {path.stat().st_size / 2**20:.0f} MiB on disk; "
      f"at most {peak / 2**20:.1f} MiB in memory")  # fmt: skip
print(f"cost {history['cost'][-1]:.3f}, accuracy on new examples {accuracy:.1%}")
assert peak < path.stat().st_size / 10
assert accuracy > 0.95

rate = M / seconds
hours, disk = 1e9 / rate / 3600, 1e9 * N * 4 / 2**30
numbers = sum(p.size for p in net.parameters.values())
print(
    f"{rate:,.0f} examples a second on this machine.\n\n"
    f"A billion examples, at this rate on one machine: {hours:.1f} hours an epoch and {disk:.0f}\n"
    "GiB on disk; memory stays as it is. Eight machines with an eighth of every batch each add up\n"
    f"gradients of {numbers:,} numbers a step (13_eight_devices.py does that with simulated\n"
    "devices); as long as a step's arithmetic takes longer than that exchange, they need an\n"
    "eighth of the time. Shuffling whole blocks instead of single examples keeps reading\n"
    "sequential, and fit(…, checkpoint=…, save_every=1000) makes hours of training safe."
)
path.unlink()
