import numpy as np

np.random.seed(1)
sizes = [3, 5, 4, 2]
params = {}
for l in range(1, len(sizes)):
    params["W" + str(l)] = np.random.randn(sizes[l], sizes[l - 1]) * np.sqrt(2.0 / sizes[l - 1])
    params["b" + str(l)] = np.zeros((sizes[l], 1))
X = np.random.randn(3, 6)
Y = np.eye(2)[[0, 1, 1, 0, 1, 0]].T
L = len(sizes) - 1
lr = 0.05


def relu(z):
    return np.maximum(0, z)


def softmax(z):
    e = np.exp(z - z.max(axis=0, keepdims=True))
    return e / e.sum(axis=0, keepdims=True)


def forward(X, params):
    cache = {"A0": X}
    for l in range(1, L + 1):
        cache[f"Z{l}"] = params[f"W{l}"] @ cache[f"A{l - 1}"] + params[f"b{l}"]
        cache[f"A{l}"] = softmax(cache[f"Z{l}"]) if l == L else relu(cache[f"Z{l}"])
    return cache


for epoch in range(200):
    cache = forward(X, params)
    m = X.shape[1]
    cost = -np.sum(Y * np.log(cache[f"A{L}"] + 1e-12)) / m
    grads = {}
    dZ = cache[f"A{L}"] - Y
    for l in range(L, 0, -1):
        grads[f"W{l}"] = dZ @ cache[f"A{l - 1}"].T / m
        grads[f"b{l}"] = dZ.sum(axis=1, keepdims=True) / m
        if l > 1:
            dZ = params[f"W{l}"].T @ dZ * (cache[f"Z{l - 1}"] > 0)
    for key in params:
        params[key] -= lr * grads[key]
    if epoch % 50 == 0:
        print(epoch, cost)
