"""A ten-class net reads handwritten digits; the same net in scikit-learn and PyTorch beside it."""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # one core for everybody

import time
import warnings

import numpy as np

from tinygrad_edu import nn

data = nn.digits()
print(data, "·", data.source, "·", data.licence)
EPOCHS, BATCH = 25, 64


def timed(train):
    """The accuracy on digits never seen, and the seconds it took to get there."""
    start = time.perf_counter()
    net = train()
    return net, time.perf_counter() - start


def ours(part, seed):
    net = nn.Network(
        64, nn.Dense(128), nn.BatchNorm("relu"), nn.Dropout(0.3), nn.Dense(64, "relu"),
        nn.Dense(10, "softmax"), l2=1e-4, seed=seed,
    )  # fmt: skip
    steps = 40 * -(-part.Y.size // BATCH)
    history = net.fit(
        part.X, part.Y, epochs=40, batch_size=BATCH, seed=seed,
        optimiser=nn.Adam(nn.Cosine(0.005, steps)), validation=(part.X_test, part.Y_test),
    )  # fmt: skip
    if seed == 0:
        history.plot("09_digits.svg", title="digits: 64-128-64-10")
    return net


print("64-128-64-10 with BatchNorm and Dropout, another fifth held out each time:")
for seed in range(3):
    part = nn.digits(seed=seed)
    net, seconds = timed(lambda part=part, seed=seed: ours(part, seed))
    accuracy = net.accuracy(part.X_test, part.Y_test)
    i = np.flatnonzero(net.classes(part.X_test) != part.Y_test)[0]
    print(f"  {accuracy:.1%} of {part.Y_test.size} unseen digits in {seconds:.2f} s;", end=" ")
    print(f"first mistake: a {part.Y_test[i]} taken for a {net.classes(part.X_test)[i]}")
    assert accuracy >= 0.97

# --- the same plain net, 64-64-10 with ReLU and Adam(0.003), three times --------------------------


def tell(who, accuracy, seconds):
    print(f"64-64-10, {who:<35} {accuracy:.1%} of unseen digits, {seconds:.2f} s")


def plain():
    net = nn.Network(64, nn.Dense(64, "relu"), nn.Dense(10, "softmax"))
    net.fit(data.X, data.Y, epochs=EPOCHS, batch_size=BATCH, optimiser=nn.Adam(0.003))
    return net


net, seconds = timed(plain)
tell("tinygrad_edu", net.accuracy(data.X_test, data.Y_test), seconds)

try:
    from sklearn.neural_network import MLPClassifier
except ImportError:
    print("scikit-learn is not installed: pip install scikit-learn")
else:

    def theirs():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns that it was stopped after EPOCHS
            return MLPClassifier(
                (64,), alpha=0, learning_rate_init=0.003, batch_size=BATCH, max_iter=EPOCHS,
                random_state=0,
            ).fit(data.X.T, data.Y)  # fmt: skip

    there, seconds = timed(theirs)
    tell("scikit-learn's MLPClassifier", there.score(data.X_test.T, data.Y_test), seconds)

try:
    import torch
except ImportError:
    print("PyTorch is not installed: pip install torch")
else:
    torch.set_num_threads(1)
    X, Y = torch.tensor(data.X.T), torch.tensor(data.Y)
    twin = nn.Network(64, nn.Dense(64, "relu"), nn.Dense(10, "softmax"))  # the same first weights
    start = {name: torch.tensor(a) for name, a in twin.state().items()}

    def torchs():
        net = torch.nn.Sequential(
            torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)
        ).double()
        with torch.no_grad():
            for layer, l in ((net[0], 1), (net[2], 2)):
                layer.weight.copy_(start[f"W{l}"])
                layer.bias.copy_(start[f"b{l}"].ravel())
        optimiser = torch.optim.Adam(net.parameters(), 0.003)
        for epoch in range(EPOCHS):
            order = torch.tensor(np.random.default_rng([0, 0, epoch]).permutation(Y.numel()))
            for chosen in order.split(BATCH):  # the same mini-batches
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(net(X[chosen]), Y[chosen]).backward()
                optimiser.step()
        return net

    torchs()  # its first steps load much that later ones have: they are not timed
    there, seconds = timed(torchs)
    with torch.no_grad():
        guesses = there(torch.tensor(data.X_test.T)).argmax(1).numpy()
    tell("PyTorch, same start, same batches", np.mean(guesses == data.Y_test), seconds)
    off = np.abs(there[0].weight.detach().numpy() - net.parameters["W1"].data).max()
    print(f"after the last of {EPOCHS} epochs PyTorch's W1 and ours differ by {off:.1e}")
