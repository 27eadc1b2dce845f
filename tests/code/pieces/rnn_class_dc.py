import numpy as np


class RNN:
    def __init__(self, hidden_size, vocab_size, seq_length):
        self.hidden_size = hidden_size
        self.vocab_size = vocab_size
        self.seq_length = seq_length
        self.U = np.random.uniform(-np.sqrt(1. / vocab_size), np.sqrt(1. / vocab_size), (hidden_size, vocab_size))
        self.V = np.random.uniform(-np.sqrt(1. / hidden_size), np.sqrt(1. / hidden_size), (vocab_size, hidden_size))
        self.W = np.random.uniform(-np.sqrt(1. / hidden_size), np.sqrt(1. / hidden_size), (hidden_size, hidden_size))
        self.b = np.zeros((hidden_size, 1))
        self.c = np.zeros((vocab_size, 1))

    def softmax(self, x):
        p = np.exp(x - np.max(x))
        return p / np.sum(p)

    def forward(self, inputs, hprev):
        xs, hs, os, ycap = {}, {}, {}, {}
        hs[-1] = np.copy(hprev)
        for t in range(len(inputs)):
            xs[t] = np.zeros((self.vocab_size, 1))
            xs[t][inputs[t]] = 1  # one hot encoding
            hs[t] = np.tanh(np.dot(self.U, xs[t]) + np.dot(self.W, hs[t - 1]) + self.b)
            os[t] = np.dot(self.V, hs[t]) + self.c
            ycap[t] = self.softmax(os[t])
        return xs, hs, ycap

    def backward(self, xs, hs, ps, targets):
        dU, dW, dV = np.zeros_like(self.U), np.zeros_like(self.W), np.zeros_like(self.V)
        db, dc = np.zeros_like(self.b), np.zeros_like(self.c)
        dhnext = np.zeros_like(hs[0])
        for t in reversed(range(self.seq_length)):
            dy = np.copy(ps[t])
            dy[targets[t]] -= 1  # backprop into y
            dV += np.dot(dy, hs[t].T)
            dc += dc
            dh = np.dot(self.V.T, dy) + dhnext
            dhrec = (1 - hs[t] * hs[t]) * dh
            db += dhrec
            dU += np.dot(dhrec, xs[t].T)
            dW += np.dot(dhrec, hs[t - 1].T)
            dhnext = np.dot(self.W.T, dhrec)
        for dparam in [dU, dW, dV, db, dc]:
            np.clip(dparam, -5, 5, out=dparam)
        return dU, dW, dV, db, dc

    def loss(self, ps, targets):
        return sum(-np.log(ps[t][targets[t], 0]) for t in range(self.seq_length))

# --- how it is run, by this project's tests
rng = np.random.default_rng(1)
inputs = [1, 3, 0]; targets = [3, 0, 2]
h0 = rng.normal(size=(5, 1))

def numbers():
    r = np.random.default_rng(2)
    return {"U": 0.5 * r.normal(size=(5, 4)), "W": 0.5 * r.normal(size=(5, 5)), "V": 0.5 * r.normal(size=(4, 5)), "b": r.normal(size=(5, 1)), "c": r.normal(size=(4, 1))}

def run(P):
    rnn = RNN(5, 4, 3)
    for k, v in P.items():
        setattr(rnn, k, v)
    xs, hs, ps = rnn.forward(inputs, h0)
    loss = rnn.loss(ps, targets)
    return loss, dict(zip("UWVbc", rnn.backward(xs, hs, ps, targets)))
# Posted in public: https://github.com/javaidnabi31/RNN-from-scratch/issues/2
