#!/bin/bash
#SBATCH --job-name=textmill
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
#SBATCH --time=12:00:00
#SBATCH --requeue
# One shard an array task: sbatch --array=1-4 slurm.sh job.yaml
set -euo pipefail
job=$1
shard=$SLURM_ARRAY_TASK_ID
total=$SLURM_ARRAY_TASK_COUNT
# SIGTERM lets the run commit and end; a requeued task goes on where it was.
exec textmill run "$job" --shard "$shard/$total" --out "shards/$shard" \
    --ledger "shards/ledger-$shard.sqlite" --no-progress
