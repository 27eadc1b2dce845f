"""The derived program, run by JAX: compiled, and shared out over eight (simulated) devices."""

import os
import sys
import time

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"  # before JAX is imported

try:
    import jax
except ImportError:
    print("this example needs JAX: pip install jax jaxlib")
    sys.exit()

import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

import tinygrad_edu as tg
from tinygrad_edu import nn

jax.config.update("jax_enable_x64", True)  # float64, as here
net = nn.Network(20, nn.Dense(30, "tanh"), nn.Dense(5, "softmax"), seed=1)
program = jax.jit(tg.export(net.cost(*net.example(m=2)), "jax"))

X, Y = net.example(m=4096)
devices = Mesh(np.array(jax.devices()), ("examples",))
by_examples = NamedSharding(devices, P(None, "examples"))  # columns shared out
X8, Y8 = jax.device_put(X, by_examples), jax.device_put(Y, by_examples)
print(
    f"X {X.shape}: {len(X8.addressable_shards)} devices, each {X8.addressable_shards[0].data.shape}"
)

everywhere = NamedSharding(devices, P())
there = {name: jax.device_put(a, everywhere) for name, a in net.state().items()}
for step in range(21):
    cost = net.cost(X, Y)
    for p in net.parameters.values():
        p.zero_grad()
    cost.backward()
    J, gradients = program(X=X8, Y=Y8, **there)
    off = max(
        np.abs(np.asarray(gradients[name]) - p.grad).max() for name, p in net.parameters.items()
    )
    for p in net.parameters.values():
        p.data -= 0.5 * p.grad
    there = {name: w - 0.5 * gradients[name] for name, w in there.items()}
    if step % 10 == 0:
        print(f"step {step:2}: cost {cost.item():.6f} here, {float(J):.6f} there; "
              f"gradients differ by {off:.0e}")  # fmt: skip
    assert off < 1e-12

off = max(np.abs(np.asarray(there[name]) - p.data).max() for name, p in net.parameters.items())
print(f"after 21 steps the parameters differ by {off:.0e}")
assert off < 1e-10

start = time.perf_counter()
for _ in range(20):
    J, gradients = program(X=X8, Y=Y8, **there)
jax.block_until_ready(gradients)
rate = 20 * X.shape[1] / (time.perf_counter() - start)
print(f"{rate:,.0f} examples a second, on this machine's cores")
