import numpy as np

hidden_size = 3


def sigmoid(x, derivative=False):
    x_safe = x + 1e-12
    f = 1 / (1 + np.exp(-x_safe))
    if derivative:
        return f * (1 - f)
    else:
        return f


def tanh(x, derivative=False):
    x_safe = x + 1e-12
    f = (np.exp(x_safe) - np.exp(-x_safe)) / (np.exp(x_safe) + np.exp(-x_safe))
    if derivative:
        return 1 - f**2
    else:
        return f


def softmax(x):
    x_safe = x + 1e-12
    f = np.exp(x_safe) / np.sum(np.exp(x_safe))
    return f


def forward(inputs, h_prev, C_prev, p):
    assert h_prev.shape == (hidden_size, 1)
    W_f, W_i, W_g, W_o, W_v, b_f, b_i, b_g, b_o, b_v = p
    z_s, f_s, i_s, = [], [], []
    g_s, C_s, o_s, h_s = [], [], [], []
    a_s, v_s, output_s = [], [], []
    for x in inputs:
        z = np.vstack((h_prev, x))
        z_s.append(z)
        af = np.dot(W_f, z) + b_f
        f = sigmoid(af)
        f_s.append(f)
        ai = np.dot(W_i, z) + b_i
        i = sigmoid(ai)
        i_s.append(i)
        ag = np.dot(W_g, z) + b_g
        g = tanh(ag)
        g_s.append(g)
        C_prev = f * C_prev + i * g
        C_s.append(C_prev)
        ao = np.dot(W_o, z) + b_o
        o = sigmoid(ao)
        o_s.append(o)
        h_prev = o * tanh(C_prev)
        h_s.append(h_prev)
        a_s.append((af, ai, ag, ao))
        v = np.dot(W_v, h_prev) + b_v
        v_s.append(v)
        output = softmax(v)
        output_s.append(output)
    return z_s, f_s, i_s, g_s, C_s, o_s, h_s, a_s, v_s, output_s


def backward(z, f, i, g, C, o, h, a, v, outputs, targets, C0, p):
    W_f, W_i, W_g, W_o, W_v, b_f, b_i, b_g, b_o, b_v = p
    W_f_d = np.zeros_like(W_f)
    b_f_d = np.zeros_like(b_f)
    W_i_d = np.zeros_like(W_i)
    b_i_d = np.zeros_like(b_i)
    W_g_d = np.zeros_like(W_g)
    b_g_d = np.zeros_like(b_g)
    W_o_d = np.zeros_like(W_o)
    b_o_d = np.zeros_like(b_o)
    W_v_d = np.zeros_like(W_v)
    b_v_d = np.zeros_like(b_v)
    dh_next = np.zeros_like(h[0])
    dC_next = np.zeros_like(C[0])
    loss = 0

    for t in reversed(range(len(outputs))):
        loss += -np.sum(np.log(outputs[t]) * targets[t])
        C_prev = C[t - 1] if t > 0 else C0
        af, ai, ag, ao = a[t]

        dv = np.copy(outputs[t])
        dv[np.argmax(targets[t])] -= 1
        W_v_d += np.dot(dv, h[t].T)
        b_v_d += dv

        dh = np.dot(W_v.T, dv)
        dh += dh_next
        do = dh * tanh(C[t])
        do = sigmoid(ao, derivative=True) * do
        W_o_d += np.dot(do, z[t].T)
        b_o_d += do

        dC = np.copy(dC_next)
        dC += dh * o[t] * tanh(C[t], derivative=True)
        dg = dC * i[t]
        dg = tanh(ag, derivative=True) * dg
        W_g_d += np.dot(dg, z[t].T)
        b_g_d += dg

        di = dC * g[t]
        di = sigmoid(ai, True) * di
        W_i_d += np.dot(di, z[t].T)
        b_i_d += di

        df = dC * C_prev
        df = sigmoid(f[t]) * df
        W_f_d += np.dot(df, z[t].T)
        b_f_d += df

        dz = (np.dot(W_f.T, df)
              + np.dot(W_i.T, di)
              + np.dot(W_g.T, dg)
              + np.dot(W_o.T, do))
        dh_prev = dz[:hidden_size, :]
        dC_prev = f[t] * dC

    grads = W_f_d, W_i_d, W_g_d, W_o_d, W_v_d, b_f_d, b_i_d, b_g_d, b_o_d, b_v_d
    return loss, grads

# --- how it is run, by this project's tests
rng = np.random.default_rng(1)
inputs = [rng.normal(size=(4, 1)) for _ in range(3)]
targets = [np.eye(4)[:, [k]] for k in (2, 0, 3)]
h0 = rng.normal(size=(3, 1)); c0 = rng.normal(size=(3, 1))
NAMES = "W_f W_i W_g W_o W_v b_f b_i b_g b_o b_v".split()

def numbers():
    r = np.random.default_rng(2)
    return {k: r.normal(size=((4 if k[2] == "v" else 3), (3 if k == "W_v" else 7) if k[0] == "W" else 1)) for k in NAMES}

def run(P):
    p = tuple(P[k] for k in NAMES)
    z, f, i, g, C, o, h, a, v, out = forward(inputs, h0, c0, p)
    loss, grads = backward(z, f, i, g, C, o, h, a, v, out, targets, c0, p)
    return loss, dict(zip(NAMES, grads))
# Posted in public: https://github.com/CaptainE/RNN-LSTM-in-numpy/issues/1
