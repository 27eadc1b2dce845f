import numpy as np


def sigmoid(z, derivative=False):
    if derivative:
        return z * (1 - z)
    return 1 / (1 + np.exp(-z))


if __name__ == "__main__":
    np.random.seed(42)
    inputs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    targets = np.array([[0], [1], [1], [0]])
    hidden_weights = np.random.uniform(size=(2, 3))
    hidden_bias = np.random.uniform(size=(1, 3))
    output_weights = np.random.uniform(size=(3, 1))
    output_bias = np.random.uniform(size=(1, 1))
    lr = 0.1
    for _ in range(10000):
        hidden = sigmoid(np.dot(inputs, hidden_weights) + hidden_bias)
        predicted = sigmoid(np.dot(hidden, output_weights) + output_bias)
        error = targets - predicted
        loss = 0.5 * (error ** 2).sum()
        d_predicted = error * sigmoid(predicted, derivative=True)
        d_hidden = d_predicted.dot(output_weights.T) * sigmoid(hidden, derivative=True)
        output_weights += hidden.T.dot(d_predicted) * lr
        output_bias += np.sum(d_predicted, axis=0, keepdims=True) * lr
        hidden_weights += inputs.T.dot(d_hidden) * lr
        hidden_bias += np.sum(d_hidden, axis=0, keepdims=True) * lr
        if loss < 1e-3:
            break
