import numpy as np

data = np.array([[2104., 3, 399.9], [1600, 3, 329.9], [2400, 3, 369.0], [1416, 2, 232.0], [3000, 4, 539.9]])
X, y = data[:, :2], data[:, 2:]
X = (X - X.mean(axis=0)) / X.std(axis=0)
X = np.c_[np.ones(len(X)), X]
y = (y - y.mean()) / y.std()
m = len(y)
theta = np.zeros((3, 1))
alpha = 0.1
J_history = []
for it in range(400):
    h = X.dot(theta)
    J = 1 / (2 * m) * np.sum((h - y) ** 2)
    J_history.append(J)
    gradient = 1 / m * X.T.dot(h - y)
    theta = theta - alpha * gradient
print(theta.ravel(), J_history[-1])
