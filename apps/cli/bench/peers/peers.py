"""What peers written in Python take, as lines of JSON on standard output. Called by peers.ts; threads are set by the environment.

python3 peers.py versions
python3 peers.py solve CLONE G.npy W.npy RIDGE RUNS SPARSITY...    the active-set IHT of the authors of CHITA, from a clone of their repository
python3 peers.py train NETWORK THREADS BATCH STEPS            torch: images a second of SGD with momentum, random images
"""
import json
import sys
import time


def say(**line):
    print(json.dumps(line), flush=True)


def versions():
    for name in ["numpy", "numba", "sklearn", "torch"]:
        try:
            say(name=name, version=__import__(name).__version__)
        except ImportError:
            say(name=name, version=None)


def solve(clone, rows, weights, ridge, runs, *sparsities):
    """n Q = 1/2 ||G (w - v)||^2 + n ridge/2 ||w - v||^2, with the settings of the authors' scripts (500 iterations)."""
    import numpy as np

    sys.path.insert(0, clone)
    from CHITA_opt.L0_card_const import Active_IHTCDLS_PP

    G = np.load(rows).astype(np.float64)
    v = np.load(weights).astype(np.float64).reshape(-1)
    n, p = G.shape
    lambda2 = float(ridge) * n / 2

    def run(G, v, keep):
        zero = np.zeros_like(v)
        return Active_IHTCDLS_PP(
            G @ v, G, v, keep, alpha=zero, lambda1=0, lambda2=lambda2, M=np.inf, beta_tilde1=zero, beta_tilde2=np.copy(v), L=None,
            iht_max_itr=500, ftol=1e-7, act_max_itr=500, buget=None, kimp=1.5, act_itr=1, cd_itr=0, ctol=1e-4, sea1_max_itr=5, sea2_max_itr=10,
        )[0]

    # A small problem first: the time of the compiler is not the method's.
    some = np.argsort(-np.abs(v))[:400]
    run(np.ascontiguousarray(G[:50, some]), v[some], 40)
    for sparsity in map(float, sparsities):
        keep = int(np.floor((1 - sparsity) * p + 1e-9))
        seconds = float("inf")
        for _ in range(int(runs)):
            started = time.perf_counter()
            w = run(G, v, keep)
            seconds = min(seconds, time.perf_counter() - started)
        d = w - v
        say(sparsity=sparsity, seconds=seconds, kept=int(np.count_nonzero(w)), objective=float(0.5 * np.sum((G @ d) ** 2) + lambda2 * np.sum(d**2)))


def train(network, threads, batch, steps):
    import torch
    from torch import nn

    torch.set_num_threads(int(threads))
    torch.manual_seed(0)

    class Block(nn.Module):
        def __init__(self, inside, out, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(inside, out, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(out)
            self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(out)
            self.short = nn.Sequential(nn.Conv2d(inside, out, 1, stride, bias=False), nn.BatchNorm2d(out)) if stride != 1 else nn.Identity()

        def forward(self, x):
            y = torch.relu(self.bn1(self.conv1(x)))
            return torch.relu(self.bn2(self.conv2(y)) + self.short(x))

    def resnet20():
        layers, inside = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()], 16
        for out in [16, 32, 64]:
            for b in range(3):
                layers.append(Block(inside, out, 2 if b == 0 and out > 16 else 1))
                inside = out
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))

    def mlpnet():
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 40), nn.ReLU(), nn.Linear(40, 20), nn.ReLU(), nn.Linear(20, 10))

    model, shape = {"resnet20": (resnet20, [3, 32, 32]), "mlpnet": (mlpnet, [784])}[network]
    model = model()
    batch, steps = int(batch), int(steps)
    x, y = torch.randn([steps * batch, *shape]), torch.randint(0, 10, [steps * batch])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    loss_of = nn.CrossEntropyLoss()
    best = float("inf")
    for turn in range(4):
        started = time.perf_counter()
        for chosen in torch.randperm(steps * batch).split(batch):
            optimizer.zero_grad()
            loss_of(model(x[chosen]), y[chosen]).backward()
            optimizer.step()
        # The first turn does not count.
        if turn > 0:
            best = min(best, time.perf_counter() - started)
    say(network=network, threads=int(threads), imagesPerSecond=batch * steps / best)


if __name__ == "__main__":
    {"versions": versions, "solve": solve, "train": train}[sys.argv[1]](*sys.argv[2:])
