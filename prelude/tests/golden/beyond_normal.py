"""Quantiles and moments of the samples of `benchmark-mi`, for tests/tasks.rs.

    pip install benchmark-mi==0.1.3 "jax==0.4.33" "jaxlib==0.4.33"
    python beyond_normal.py beyond_normal.json

Each of the 40 tasks is sampled with seeds 0 to 9, 10,000 samples each (5,000 where a dimension is above 5). Of each
sample up to thirteen numbers are taken ("features"): the first two and the last coordinate of x and of y, three
projections of all coordinates, and four products of a coordinate of x with one of y. Of each feature f the file has
quantiles at the levels below, and mean and mean square of g(f) with their standard errors, where g is asinh for
Student tasks, which have no moments of their own, and the identity otherwise.
"""

import json
import sys

import numpy as np
from bmi.benchmark.task_list import BENCHMARK_TASKS_LIST

SEEDS = range(10)
LEVELS = [0.005, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995]


def coordinates(dim):
    return sorted({0, min(1, dim - 1), dim - 1})


def features(x, y):
    """A dictionary from names to arrays of one number for each sample."""
    found = {f"x{i}": x[:, i] for i in coordinates(x.shape[1])}
    found |= {f"y{j}": y[:, j] for j in coordinates(y.shape[1])}
    for k in range(3):
        a = np.cos(1.0 + (k + 1) * np.arange(x.shape[1]))
        b = np.sin(1.0 + (k + 1) * np.arange(y.shape[1]))
        found[f"p{k}"] = x @ a + y @ b
    for i in range(min(2, x.shape[1])):
        for j in range(min(2, y.shape[1])):
            found[f"x{i}*y{j}"] = x[:, i] * y[:, j]
    return found


def short(value):
    return float(f"{value:.5g}")


def of_task(task):
    n = 10_000 if max(task.dim_x, task.dim_y) <= 5 else 5_000
    draws = [task.sample(n, seed) for seed in SEEDS]
    x = np.concatenate([np.asarray(x, dtype=np.float64) for x, _ in draws])
    y = np.concatenate([np.asarray(y, dtype=np.float64) for _, y in draws])
    g = np.arcsinh if "student" in task.id else (lambda f: f)
    entry = {
        "id": task.id,
        "dims": [task.dim_x, task.dim_y],
        "nats": float(task.mutual_information),
        "n": len(x),
        "features": {},
    }
    for name, f in features(x, y).items():
        moments = []
        for value in (g(f), g(f) ** 2):
            moments += [short(value.mean()), short(value.std() / np.sqrt(len(value)))]
        entry["features"][name] = {
            "quantiles": [short(q) for q in np.quantile(f, LEVELS)],
            "moments": moments,
        }
    return entry


if __name__ == "__main__":
    tasks = []
    for task in BENCHMARK_TASKS_LIST:
        tasks.append(of_task(task))
        print(tasks[-1]["id"], tasks[-1]["nats"], file=sys.stderr, flush=True)
    golden = {"package": "benchmark-mi 0.1.3", "levels": LEVELS, "tasks": tasks}
    with open(sys.argv[1], "w") as file:
        json.dump(golden, file, separators=(",", ":"))
        file.write("\n")
