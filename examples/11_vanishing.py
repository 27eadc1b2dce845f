"""Where gradients vanish and explode: depth, activation and initial weights, on one plot (S9)."""

from tinygrad_edu import nn

curves = nn.plot_vanishing("11_vanishing.svg", depth=20)
print("‖dZ‖ so many layers below the last, over that of the last:")
print(f"{'activation, start':<20}" + "".join(f"{k:>10}" for k in (1, 5, 10, 19)))
for kind, norms in curves.items():
    print(f"{kind:<20}" + "".join(f"{norms[k]:10.1e}" for k in (1, 5, 10, 19)))
assert curves["sigmoid, xavier"][-1] < 1e-9 < 0.01 < curves["relu, he"][-1]

print("\na net of one's own, in one line:")
net = nn.Network(
    8,
    nn.Dense(30, "sigmoid"),
    nn.Dense(30, "sigmoid"),
    nn.Dense(30, "relu"),
    nn.Dense(3, "softmax"),
)
X, Y = net.example(m=100)
found = nn.diagnose(net, X, Y)
print(found)
found.plot("11_vanishing_own.svg")
assert all(layer.dZ <= layer.bound * (1 + 1e-9) for layer in found)

watch = nn.Watch(X, Y, every=20)
net.fit(X, Y, epochs=50, optimiser=nn.Adam(0.01), callbacks=[watch])
print("\n‖dZ‖ of each layer while training:")
for step, norms in zip(watch.steps[::2], watch.history("dZ")[::2]):
    print(f"step {step:3}: " + "  ".join(f"{norm:.1e}" for norm in norms))
