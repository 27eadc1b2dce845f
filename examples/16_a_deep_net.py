"""A graph too large to look at is folded: layers alike become one box, and the picture says so."""

import numpy as np

import tinygrad_edu as tg

rng = np.random.default_rng(0)
A = tg.Value(rng.standard_normal((8, 20)), "X", requires_grad=False)
for layer in range(1, 41):
    W = tg.Value(rng.standard_normal((8, 8)) / np.sqrt(8), f"W{layer}")
    b = tg.Value(np.zeros((8, 1)), f"b{layer}")
    Z = W @ A + b
    A = tg.tanh(Z)
    tg.name_values(**{f"Z{layer}": Z, f"A{layer}": A})
J = tg.mean(A**2)
J.name = "J"
J.backward()

picture = tg.draw(J, max_nodes=6)
print(picture.folded)
print("picture:", picture.render(outfile="16_a_deep_net.svg"))
