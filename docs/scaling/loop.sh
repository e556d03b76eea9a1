#!/bin/sh
# All shards on one machine, two at a time, then the curve: loop.sh [count]
set -eu
cd "$(dirname "$0")"
count=${1:-16}
seq "$count" | xargs -P 2 -I INDEX \
  env ITD_SHARD=INDEX/"$count" RAYON_NUM_THREADS=1 itd run --no-html --output-dir runs/INDEX eval.ipynb
itd run --no-html --output-dir runs/merge merge.ipynb
