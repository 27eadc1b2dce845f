import numpy as np


def expit(x):
    return 1 / (1 + np.exp(-x))


class Network:

    def __init__(self, num_hidden):
        self.input_size = 6
        self.output_size = 4
        self.num_hidden = num_hidden
        hidden_layer = np.random.rand(self.num_hidden, self.input_size + 1) / self.num_hidden
        output_layer = np.random.rand(self.output_size, self.num_hidden + 1) / self.output_size
        self.layers = [hidden_layer, output_layer]
        self.iteration = 0.

    def feed_forward(self, input_vector):
        outputs = []
        for layer in self.layers:
            input_with_bias = np.append(input_vector, 1)
            output = np.inner(layer, input_with_bias)
            output = expit(output)
            outputs.append(output)
            # The output is the input of the next layer
            input_vector = output
        return outputs

    def backpropagate(self, input_vector, target):
        c = 1. / (self.iteration + 10)  # Learning coefficient
        hidden_outputs, outputs = self.feed_forward(input_vector)

        output_deltas = outputs * (1 - outputs) * (outputs - target)
        self.layers[-1] -= c * np.outer(output_deltas, np.append(hidden_outputs, 1))

        hidden_deltas = hidden_outputs * (1 - hidden_outputs) * \
            np.dot(np.delete(self.layers[-1], self.num_hidden, 1).T, output_deltas)
        self.layers[0] -= c * np.outer(hidden_deltas, np.append(input_vector, 1))

# --- how it is run, by this project's tests
rng = np.random.default_rng(1)
x = rng.normal(size=6); t = np.array([0., 0, 1, 0])

def numbers():
    r = np.random.default_rng(2)
    return {"hidden_layer": r.normal(size=(5, 7)), "output_layer": r.normal(size=(4, 6))}

def run(P):
    net = Network(5)
    net.layers = [P["hidden_layer"].copy(), P["output_layer"].copy()]
    loss = 0.5 * np.sum((net.feed_forward(x)[-1] - t)**2)
    net.backpropagate(x, t)
    return loss, {k: (P[k] - net.layers[i]) * 10 for i, k in enumerate(P)}
# Posted in public: https://github.com/louisjc/mnist-neural-network/issues/1
