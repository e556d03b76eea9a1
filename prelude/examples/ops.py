"""PyTorch's side of ops.rs: for each line `operation sizes` on the standard input the times of a few tries, in
milliseconds, forward and then forward and backward. The arguments are the numbers of threads and of tries."""

import sys
import time

import torch
import torch.nn.functional as F


def conv2d(n, c, o, side, kernel, stride):
    arguments = [torch.randn(n, c, side, side), torch.randn(o, c, kernel, kernel), torch.randn(o)]
    return lambda x, w, b: F.conv2d(x, w, b, stride, kernel // 2), arguments


def group_norm(n, c, side, groups):
    arguments = [torch.randn(n, c, side, side), torch.randn(c), torch.randn(c)]
    return lambda x, w, b: F.silu(F.group_norm(x, groups, w, b)), arguments


def attention(n, heads, tokens, dim):
    return F.scaled_dot_product_attention, [torch.randn(n, heads, tokens, dim) for _ in range(3)]


def times(call, tries):
    call()
    found = []
    for _ in range(tries):
        start = time.perf_counter()
        call()
        found.append(1e3 * (time.perf_counter() - start))
    return " ".join(f"{t:.4f}" for t in found)


threads, tries = map(int, sys.argv[1:])
torch.set_num_threads(threads)
print(torch.__version__, flush=True)
for line in sys.stdin:
    name, *sizes = line.split()
    call, arguments = globals()[name](*map(int, sizes))

    def forward():
        with torch.no_grad():
            return call(*arguments)

    print(times(forward, tries), flush=True)
    weights = torch.randn_like(forward())
    leaves = [t.requires_grad_() for t in arguments]
    print(times(lambda: torch.autograd.grad(call(*leaves), leaves, weights), tries), flush=True)
