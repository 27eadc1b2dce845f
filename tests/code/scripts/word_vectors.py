import numpy as np

corpus = "the king loves the queen and the queen loves the king".split()
vocab = sorted(set(corpus))
index = {w: i for i, w in enumerate(vocab)}
V, N = len(vocab), 3
rng = np.random.RandomState(0)
W_in = rng.uniform(-1, 1, (V, N))
W_out = rng.uniform(-1, 1, (N, V))
pairs = [(index[corpus[i]], [index[corpus[j]] for j in (i - 1, i + 1) if 0 <= j < len(corpus)])
         for i in range(len(corpus))]
lr = 0.05
for epoch in range(50):
    total = 0
    for center, context in pairs:
        h = W_in[center]
        u = np.dot(h, W_out)
        y_pred = np.exp(u) / np.sum(np.exp(u))
        error = np.zeros(V)
        loss = 0.0
        for c in context:
            loss += -np.log(y_pred[c])
            e = y_pred.copy()
            e[c] -= 1
            error += e
        dW_out = np.outer(h, error)
        dh = np.dot(W_out, error)
        W_out -= lr * dW_out
        W_in[center] -= lr * dh
        total += loss
    print(epoch, total)
