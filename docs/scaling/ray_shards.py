"""All shards as Ray tasks: ray_shards.py [count [address]]. Without an address, two processors here."""

import os
import subprocess
import sys

import ray


@ray.remote(num_cpus=1, max_retries=2, retry_exceptions=True)
def measure(folder, index, count):
    command = ["itd", "run", "--no-html", "--output-dir", f"runs/{index}", "eval.ipynb"]
    environment = {**os.environ, "ITD_SHARD": f"{index}/{count}", "RAYON_NUM_THREADS": "1"}
    subprocess.run(command, cwd=folder, env=environment, check=True)


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 16
    ray.init(**({"address": sys.argv[2]} if len(sys.argv) > 2 else {"num_cpus": 2}))
    ray.get([measure.remote(os.getcwd(), index, count) for index in range(1, count + 1)])
    subprocess.run(["itd", "run", "--no-html", "--output-dir", "runs/merge", "merge.ipynb"], check=True)
