#!/bin/bash
# 64 parts of one corpus as a Slurm array: sbatch examples/scale/slurm.sh /data/noisy /data/clean
# Parts that fail or are preempted are put into the queue again and go on where they were.
# `dacse status /data/clean` adds the parts up while they run.
#SBATCH --job-name=dacse
#SBATCH --array=1-64
#SBATCH --gpus=1
#SBATCH --cpus-per-task=4
#SBATCH --mem=32G
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --signal=TERM@60
#SBATCH --output=dacse-%A-%a.log
set -euo pipefail

input=${1:?usage: sbatch slurm.sh INPUT OUTPUT}
output=${2:?usage: sbatch slurm.sh INPUT OUTPUT}

# the cache must hold the models: run `dacse download` once where there is a network
exec srun dacse enhance "$input" "$output" --shard slurm --offline --device cuda
