"""Writes schedules.json: noise schedules with 60 digits, rounded to the nearest double at the end.

    python -m venv .venv-golden && .venv-golden/bin/pip install mpmath
    .venv-golden/bin/python prelude/tests/golden/schedules.py

The formulas are those of the papers (Ho et al. 2020; Nichol and Dhariwal 2021; Jabri et al. 2022), step by step and
without the rearrangements that double precision needs. Parameters such as 1e-4 and 0.999 are the doubles.
"""

import json
import pathlib

from mpmath import cos, exp, log, mp, mpf, pi

mp.dps = 60


def linear(steps):
    scale = mpf(1000) / steps
    first, last = mpf(1e-4) * scale, mpf(0.02) * scale
    return [first + (last - first) * t / (steps - 1) for t in range(steps)]


def from_signal(steps, signal, low, high):
    betas = (1 - signal(mpf(t + 1) / steps) / signal(mpf(t) / steps) for t in range(steps))
    return [min(max(beta, mpf(low)), mpf(high)) for beta in betas]


def cosine(steps, offset=0.008, low=0.0, high=0.999):
    s = mpf(offset)
    return from_signal(steps, lambda u: cos(pi / 2 * (u + s) / (1 + s)) ** 2, low, high)


def sigmoid(steps, start=-3, end=3, low=0.0, high=0.999):
    def logistic(x):
        return 1 / (1 + exp(-x))

    def signal(u):
        return logistic(mpf(end)) - logistic(start + (end - start) * u)

    return from_signal(steps, signal, low, high)


def table(betas, kept):
    """Rows of t, beta, log-SNR, posterior variance and the two coefficients of the posterior mean."""
    rows, before = [], mpf(1)
    for t, beta in enumerate(betas):
        now = before * (1 - beta)
        if t in kept:
            variance = beta * (1 - before) / (1 - now)
            of_x = before**0.5 * beta / (1 - now)
            of_z = (1 - beta) ** mpf(0.5) * (1 - before) / (1 - now)
            numbers = [beta, log(now / (1 - now)), variance, of_x, of_z]
            rows.append([t] + [float(number) for number in numbers])
        before = now
    return rows


def kept(steps):
    return {t for t in (0, 1, 2, 10, 100, steps // 2, steps - 10, steps - 2, steps - 1) if t < steps}


schedules = {
    "linear 1000": linear(1000),
    "linear 4000": linear(4000),
    "linear 100": linear(100),
    "cosine 4000": cosine(4000),
    "cosine 1000": cosine(1000),
    "cosine 20": cosine(20),
    "cosine 300 offset 0.01 clip 1e-4 0.9999": cosine(300, 0.01, 1e-4, 0.9999),
    "sigmoid 1000": sigmoid(1000),
    "sigmoid 20": sigmoid(20),
}
out = {name: table(betas, kept(len(betas))) for name, betas in schedules.items()}
path = pathlib.Path(__file__).with_suffix(".json")
lines = []
for name, rows in out.items():
    body = ",\n  ".join(json.dumps(row) for row in rows)
    lines.append(f"{json.dumps(name)}: [\n  {body}\n]")
path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
