"""Initial weights learnt by Boltzmann machines: an update derived automatically, and its effect."""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

from tinygrad_edu import nn

# --- the rule v hᵀ is the derivative of the free energy -------------------------------------------

rng = np.random.default_rng(0)
V = (rng.random((6, 8)) < 0.5).astype(float)
machine = nn.RBM(6, 4, seed=1)
machine.W.data = rng.standard_normal((4, 6))
V_1 = machine.gibbs(V, rng)
machine.contrast(V, V_1).backward()
by_hand = (machine.hidden(V_1) @ V_1.T - machine.hidden(V) @ V.T) / 8
print(f"dW by hand and automatically differ by {np.abs(by_hand - machine.W.grad).max():.1e}")
assert np.allclose(by_hand, machine.W.grad)

# --- training, with the exact likelihood as referee -----------------------------------------------

V = np.repeat(np.array([[1.0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]]).T, 50, axis=1)
machine = nn.RBM(6, 3, seed=1)
print("exact −log p of the data (at best log 2 = 0.693):", end="")
for _ in range(5):
    print(f" {machine.negative_log_likelihood(V).item():.3f}", end="", flush=True)
    machine.fit(V, epochs=20, k=1, optimiser=nn.GradientDescent(0.2))
print(f" {machine.negative_log_likelihood(V).item():.3f}")

# --- a deep net of sigmoids on digits, with and without -------------------------------------------

data = nn.digits()
curves = {}
for label, init, activation, machines in (
    ("randn · 0.01", "small", "sigmoid", 0),
    ("Xavier", "xavier", "sigmoid", 0),
    ("Boltzmann", "small", "sigmoid", 10),
    ("ReLU, He", "he", "relu", 0),
):
    runs = []
    for seed in range(3):
        hidden = [nn.Dense(64, activation, init) for _ in range(3)]
        net = nn.Network(64, *hidden, nn.Dense(10, "softmax"), seed=seed)
        if machines:
            nn.pretrain(net, data.X, epochs=machines, batch_size=20, seed=seed)
        history = net.fit(
            data.X, data.Y, epochs=15, optimiser=nn.Momentum(0.1), seed=seed,
            validation=(data.X_test, data.Y_test),
        )  # fmt: skip
        runs.append(history["validation_accuracy"])
    curves[label] = np.mean(runs, axis=0)
    print(f"{label:<13} accuracy on unseen digits after 1, 5, 15 epochs: "
          + ", ".join(f"{curves[label][e - 1]:.1%}" for e in (1, 5, 15)))  # fmt: skip
nn.line_chart(
    "12_boltzmann.svg", curves, title="64-64-64-64-10 on digits, mean of three seeds",
    x_label="epoch", y_label="accuracy on unseen digits", first_x=1,
)  # fmt: skip
print("Boltzmann machines start a deep net of sigmoids that otherwise hardly moves;")
print("ReLU with He's weights needs no such help, which is why the machines are history.")
