import numpy as np

n = 6
n_embd, block_size, n_hidden, vocab_size = 3, 2, 7, 5


def cmp(s, dt, t):
    print(f'{s:15s} | shape {np.shape(dt)} value ok? {np.isfinite(dt).all()}')


def step(C, W1, b1, W2, b2, bngain, bnbias, Xb, Yb):
    # forward pass, "chunkated" into smaller steps
    emb = C[Xb]
    embcat = emb.reshape(emb.shape[0], -1)
    # Linear layer 1
    hprebn = embcat @ W1 + b1
    # BatchNorm layer
    bnmeani = 1 / n * hprebn.sum(0, keepdims=True)
    bndiff = hprebn - bnmeani
    bndiff2 = bndiff**2
    bnvar = 1 / (n - 1) * (bndiff2).sum(0, keepdims=True)
    bnvar_inv = (bnvar + 1e-5)**-0.5
    bnraw = bndiff * bnvar_inv
    hpreact = bngain * bnraw + bnbias
    # Non-linearity
    h = np.tanh(hpreact)
    # Linear layer 2
    logits = h @ W2 + b2
    # cross entropy loss
    logit_maxes = logits.max(1, keepdims=True)
    norm_logits = logits - logit_maxes
    counts = np.exp(norm_logits)
    counts_sum = counts.sum(1, keepdims=True)
    counts_sum_inv = counts_sum**-1
    probs = counts * counts_sum_inv
    logprobs = np.log(probs)
    loss = -logprobs[range(n), Yb].mean()

    # backward
    dlogprobs = np.zeros_like(logprobs)
    dlogprobs[range(n), Yb] = -1.0 / n
    dprobs = (1.0 / probs) * dlogprobs
    dcounts_sum_inv = (counts * dprobs).sum(1, keepdims=True)
    dcounts = counts_sum_inv * dprobs
    dcounts_sum = (-counts_sum**-2) * dcounts_sum_inv
    dcounts += np.ones_like(counts) * dcounts_sum
    dnorm_logits = counts * dcounts
    dlogits = dnorm_logits.copy()
    dlogit_maxes = (-dnorm_logits).sum(1, keepdims=True)
    dlogits += np.eye(logits.shape[1])[logits.argmax(1)] * dlogit_maxes
    dh = dlogits @ W2.T
    dW2 = h.T @ dlogits
    db2 = dlogits.sum(0)
    dhpreact = (1.0 - h**2) * dh
    dbngain = (bnraw * dhpreact).sum(0, keepdims=True)
    dbnraw = bngain * dhpreact
    dbnbias = dhpreact.sum(0, keepdims=True)
    dbndiff = bnvar_inv * dbnraw
    dbnvar_inv = (bndiff * dbnraw).sum(0, keepdims=True)
    dbnvar = (-0.5 * (bnvar + 1e-5)**-1.5) * dbnvar_inv
    dbndiff2 = (1.0 / (n - 1)) * np.ones_like(bndiff2) * dbnvar
    dbndiff += (2 * bndiff) * dbndiff2
    dhprebn = dbndiff.copy()
    dbnmeani = (-dbndiff).sum(0)
    dhprebn += 1.0 / n * (np.ones_like(hprebn) * dbnmeani)
    dembcat = dhprebn @ W1.T
    dW1 = embcat.T @ dhprebn
    db1 = dhprebn.sum(0)
    demb = dembcat.reshape(emb.shape)
    dC = np.zeros_like(C)
    for k in range(Xb.shape[0]):
        for j in range(Xb.shape[1]):
            ix = Xb[k, j]
            dC[ix] += demb[k, j]
    return loss, dict(C=dC, W1=dW1, b1=db1, W2=dW2, b2=db2, bngain=dbngain, bnbias=dbnbias)

# --- how it is run, by this project's tests
rng = np.random.default_rng(1)
Xb = rng.integers(0, 5, size=(6, 2)); Yb = rng.integers(0, 5, size=6)

def numbers():
    r = np.random.default_rng(2)
    return {"C": r.normal(size=(5, 3)), "W1": r.normal(size=(6, 7)), "b1": r.normal(size=7), "W2": r.normal(size=(7, 5)), "b2": r.normal(size=5),
            "bngain": r.normal(size=(1, 7)), "bnbias": r.normal(size=(1, 7))}

def run(P):
    return step(P["C"], P["W1"], P["b1"], P["W2"], P["b2"], P["bngain"], P["bnbias"], Xb, Yb)
# Posted in public: https://github.com/karpathy/nn-zero-to-hero (makemore part 4), issue 59 (dbnmeani without keepdim: harmless)
