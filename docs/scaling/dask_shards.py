"""All shards as Dask tasks: dask_shards.py [count [scheduler]]. Without a scheduler, two workers here."""

import os
import subprocess
import sys

from dask.distributed import Client, LocalCluster


def measure(index, count):
    command = ["itd", "run", "--no-html", "--output-dir", f"runs/{index}", "eval.ipynb"]
    environment = {**os.environ, "ITD_SHARD": f"{index}/{count}", "RAYON_NUM_THREADS": "1"}
    subprocess.run(command, env=environment, check=True)


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 16
    cluster = sys.argv[2] if len(sys.argv) > 2 else LocalCluster(n_workers=2, threads_per_worker=1)
    with Client(cluster) as client:
        # Not pure: a task is its file, not its return value. A worker that dies is replaced, its shard sent again.
        client.gather(client.map(measure, range(1, count + 1), count=count, pure=False, retries=2))
    subprocess.run(["itd", "run", "--no-html", "--output-dir", "runs/merge", "merge.ipynb"], check=True)
