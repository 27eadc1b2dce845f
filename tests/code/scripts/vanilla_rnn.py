import numpy as np

np.random.seed(10)
T, n_in, n_h, n_out = 4, 2, 3, 2
xs = np.random.randn(T, n_in, 1)
ts = np.random.randn(T, n_out, 1)
U = np.random.uniform(-0.5, 0.5, (n_h, n_in))
W = np.random.uniform(-0.5, 0.5, (n_h, n_h))
V = np.random.uniform(-0.5, 0.5, (n_out, n_h))
for it in range(100):
    s = {-1: np.zeros((n_h, 1))}
    o = {}
    loss = 0
    for t in range(T):
        s[t] = np.tanh(U.dot(xs[t]) + W.dot(s[t - 1]))
        o[t] = V.dot(s[t])
        loss += 0.5 * np.sum((o[t] - ts[t]) ** 2)
    dU, dW, dV = np.zeros(U.shape), np.zeros(W.shape), np.zeros(V.shape)
    ds_next = np.zeros((n_h, 1))
    for t in range(T)[::-1]:
        do = o[t] - ts[t]
        dV += do.dot(s[t].T)
        ds = V.T.dot(do) + ds_next
        dz = ds * (1 - s[t] ** 2)
        dU += dz.dot(xs[t].T)
        dW += dz.dot(s[t - 1].T)
        ds_next = W.T.dot(dz)
    for param, dparam in zip([U, W, V], [dU, dW, dV]):
        param -= 0.1 * dparam
