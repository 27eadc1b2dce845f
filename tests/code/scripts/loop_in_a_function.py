import numpy as np

np.random.seed(0)
N = 30
X = np.random.randn(N, 2)
y = (X[:, 0] * X[:, 1] > 0).astype(int)
num_examples = len(X)
nn_input_dim, nn_output_dim = 2, 2
epsilon = 0.01
reg_lambda = 0.01


def build_model(hidden, num_passes=2000, print_loss=False):
    W1 = np.random.randn(nn_input_dim, hidden) / np.sqrt(nn_input_dim)
    b1 = np.zeros((1, hidden))
    W2 = np.random.randn(hidden, nn_output_dim) / np.sqrt(hidden)
    b2 = np.zeros((1, nn_output_dim))
    for i in range(0, num_passes):
        z1 = X.dot(W1) + b1
        a1 = np.tanh(z1)
        z2 = a1.dot(W2) + b2
        exp_scores = np.exp(z2)
        probs = exp_scores / np.sum(exp_scores, axis=1, keepdims=True)
        correct_logprobs = -np.log(probs[range(num_examples), y])
        data_loss = np.sum(correct_logprobs)
        data_loss += reg_lambda / 2 * (np.sum(np.square(W1)) + np.sum(np.square(W2)))
        delta3 = probs
        delta3[range(num_examples), y] -= 1
        dW2 = (a1.T).dot(delta3)
        db2 = np.sum(delta3, axis=0, keepdims=True)
        delta2 = delta3.dot(W2.T) * (1 - np.power(a1, 2))
        dW1 = np.dot(X.T, delta2)
        db1 = np.sum(delta2, axis=0)
        dW2 += reg_lambda * W2
        dW1 += reg_lambda * W1
        W1 += -epsilon * dW1
        b1 += -epsilon * db1
        W2 += -epsilon * dW2
        b2 += -epsilon * db2
        if print_loss and i % 1000 == 0:
            print(i, data_loss)
    return {'W1': W1, 'b1': b1, 'W2': W2, 'b2': b2}


model = build_model(3, print_loss=True)
