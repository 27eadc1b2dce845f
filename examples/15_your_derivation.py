"""A net of one's own: its rules, its picture, and a backward pass written by hand, checked."""

import tinygrad_edu as tg
from tinygrad_edu import nn

net = nn.Network(4, nn.Dense(5, "tanh"), nn.Dense(3, "sigmoid"), l2=0.1)
X, Y = net.example(m=7)


def backward(X, Y, W1, W2, A1, A2, m):
    """What somebody derived on paper; the slope of tanh is 1 − a², they thought it 1 − a."""
    dZ2 = A2 - Y
    dZ1 = W2.T @ dZ2 * (1 - A1)
    return {
        "dZ2": dZ2, "dW2": dZ2 @ A1.T / m + 0.1 * W2, "db2": dZ2.sum(axis=1, keepdims=True) / m,
        "dZ1": dZ1, "dW1": dZ1 @ X.T / m + 0.1 * W1, "db1": dZ1.sum(axis=1, keepdims=True) / m,
    }  # fmt: skip


print("checked:")
judged = net.check(backward, X, Y)
print(judged)
assert [row.name for row in judged.rows if row.verdict == "correct"] == ["dZ2", "dW2", "db2"]

print("\nthe rules of this net:")
print(net.derive(X, Y))

J = net.lecture_cost(X, Y)
J.backward()
tg.render(J, "15_your_derivation.svg")
