import numpy as np


class TwoLayerNet(object):
    def __init__(self, input_size, hidden_size, output_size, std=1e-4):
        self.params = {}
        self.params['W1'] = std * np.random.randn(input_size, hidden_size)
        self.params['b1'] = np.zeros(hidden_size)
        self.params['W2'] = std * np.random.randn(hidden_size, output_size)
        self.params['b2'] = np.zeros(output_size)

    def loss(self, X, y=None, reg=0.0):
        W1, b1 = self.params['W1'], self.params['b1']
        W2, b2 = self.params['W2'], self.params['b2']
        N, D = X.shape

        hidden = np.maximum(0, X.dot(W1) + b1)
        scores = hidden.dot(W2) + b2
        if y is None:
            return scores

        scores -= np.max(scores, axis=1, keepdims=True)
        exp_scores = np.exp(scores)
        probs = exp_scores / np.sum(exp_scores, axis=1, keepdims=True)
        correct_logprobs = -np.log(probs[range(N), y])
        loss = np.sum(correct_logprobs) / N
        loss += reg * (np.sum(W1 * W1) + np.sum(W2 * W2))

        grads = {}
        dscores = probs
        dscores[range(N), y] -= 1
        dscores /= N
        grads['W2'] = np.dot(hidden.T, dscores)
        grads['b2'] = np.sum(dscores, axis=0)
        dhidden = np.dot(dscores, W2.T)
        dhidden[hidden <= 0] = 0
        grads['W1'] = np.dot(X.T, dhidden)
        grads['b1'] = np.sum(dhidden, axis=0)
        grads['W2'] += 2 * reg * W2
        grads['W1'] += 2 * reg * W1
        return loss, grads

# --- how it is run, by this project's tests
rng = np.random.default_rng(1)
X = rng.normal(size=(5, 4)); y = np.array([0, 1, 2, 2, 1])

def numbers():
    r = np.random.default_rng(2)
    return {"W1": r.normal(size=(4, 6)), "b1": r.normal(size=6), "W2": r.normal(size=(6, 3)), "b2": r.normal(size=3)}

def run(P):
    net = TwoLayerNet(4, 6, 3)
    net.params.update(P)
    return net.loss(X, y, reg=0.05)
# Posted in public: CS231n assignment 1 neural_net.py style (e.g. https://github.com/bruceoutdoors/CS231n/issues/8)
