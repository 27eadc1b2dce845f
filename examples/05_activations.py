"""The four activations of the lecture: their derivatives on a grid, and the choice at z = 0."""

import numpy as np

import tinygrad_edu as tg

grid = np.array([-2.0, -0.5, 0.0, 0.5, 2.0])
print("z          ", *(f"{at:8.2f}" for at in grid))
for g in (tg.sigmoid, tg.tanh, tg.relu, tg.leaky_relu):
    z = tg.Value(grid)
    g(z).backward(seed=np.ones(5))
    print(f"{g.name + chr(39):11}", *(f"{slope:8.4f}" for slope in z.grad))

# The lecture takes 1 at zero; PyTorch and JAX take 0.
for at_zero in (1, 0):
    z = tg.Value(0.0)
    tg.relu(z, at_zero=at_zero).backward()
    print(f"relu'(0) with at_zero={at_zero}:", z.grad)
    assert z.grad == at_zero
