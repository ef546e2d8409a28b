#!/bin/bash
# Hugging Face Jobs, one shard a job: hf_jobs.sh job.yaml 4 USER/NAME
# Each shard's folder is uploaded to a private dataset repository; fetch all and merge them.
set -euo pipefail
job=$1
total=$2
repository=$3
image=${IMAGE:?an image that has textmill and the job in its working folder}
for shard in $(seq "$total"); do
    hf jobs run --detach --flavor "${FLAVOR:-l4x1}" --secrets HF_TOKEN "$image" \
        bash -c "textmill run '$job' --shard $shard/$total --out shards/$shard --no-progress &&
            hf upload --repo-type dataset --private '$repository' shards/$shard shards/$shard"
done
