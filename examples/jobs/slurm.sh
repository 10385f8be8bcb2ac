#!/bin/sh
# Sixteen parts of a sweep: sbatch slurm.sh, then secateur merge part-*.json --out sweep.json
#SBATCH --array=1-16
#SBATCH --cpus-per-task=2
#SBATCH --mem=4G
exec npx secateur sweep net.safetensors --data mnist --solvers magnitude,chita --sparsities 0.9,0.95,0.98 --seeds 0,1,2 \
  --shard "$SLURM_ARRAY_TASK_ID/16" --out "part-$SLURM_ARRAY_TASK_ID.json" --store "${TMPDIR:-/tmp}/store-$SLURM_ARRAY_TASK_ID" --force
