import numpy as np

rng = np.random.default_rng(7)
X = rng.normal(size=(8, 4))
y = np.sin(X.sum(axis=1, keepdims=True))
W1 = rng.normal(size=(4, 6)) * 0.5
b1 = np.zeros(6)
W2 = rng.normal(size=(6, 1)) * 0.5
b2 = np.zeros(1)
vW1 = np.zeros_like(W1)
vW2 = np.zeros_like(W2)
learning_rate, beta = 0.01, 0.9
for step in range(500):
    h = np.tanh(X @ W1 + b1)
    out = h @ W2 + b2
    loss = np.mean((out - y) ** 2)
    dout = 2 * (out - y) / len(X)
    dW2 = h.T @ dout
    db2 = dout.sum(axis=0)
    dh = (dout @ W2.T) * (1 - h**2)
    dW1 = X.T @ dh
    db1 = dh.sum(axis=0)
    vW1 = beta * vW1 + dW1
    vW2 = beta * vW2 + dW2
    W1 -= learning_rate * vW1
    W2 -= learning_rate * vW2
    b1 -= learning_rate * db1
    b2 -= learning_rate * db2
