#!/bin/sh
#SBATCH --job-name=curve
#SBATCH --array=1-16
#SBATCH --cpus-per-task=8
#SBATCH --output=slurm-%a.txt
# Submitted from this folder. The count is written down: SLURM_ARRAY_TASK_COUNT is 1 when one task is sent again.
set -eu
count=16
export ITD_SHARD="$SLURM_ARRAY_TASK_ID/$count"
export RAYON_NUM_THREADS="$SLURM_CPUS_PER_TASK"
itd run --no-html --output-dir "runs/$SLURM_ARRAY_TASK_ID" eval.ipynb
