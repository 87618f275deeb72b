#!/usr/bin/env bash
# Run a cosinterp command on all nodes of a Slurm allocation, through a Ray that lives as long as it does:
#
#     sbatch --nodes 4 --gpus-per-node 8 examples/slurm_ray.sh trace --model maze-wan --dataset mazes/ \
#         --seeds 0-7 --store /shared/runs/mazes
#
# The words after the script are those after `cosinterp`; --executor ray, --address and --resume are added.
# The store, the dataset and the working directory have to be on a file system that all nodes see. If the time
# runs out, or a node is lost for good, submit the same line again: what is finished is not made again.
#
# Nodes have to reach one another, so Ray listens on their addresses inside the cluster. Nobody without the
# token, which is made anew for each allocation, can have it do anything.
#
#SBATCH --job-name=cosinterp
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=1
#SBATCH --time=12:00:00
#SBATCH --output=cosinterp-%j.log
# An interrupt before the time is over, so that the command can say what it kept.
#SBATCH --signal=B:INT@120

set -euo pipefail

say() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*" >&2; }

if (($# == 0)); then
    say "usage: sbatch examples/slurm_ray.sh COMMAND [FLAG...], as after cosinterp"
    exit 2
fi

umask 077
job=${SLURM_JOB_ID:?this script runs inside an allocation: use sbatch}
cpus=${SLURM_CPUS_PER_TASK:-1}
mapfile -t nodes < <(scontrol show hostnames "${SLURM_JOB_NODELIST:?}")
head=${nodes[0]}

# The address by which Slurm itself reaches the node.
name=$(scontrol show node "$head" | sed -n 's/.*NodeAddr=\([^ ]*\).*/\1/p')
ip=$(getent ahostsv4 "${name:-$head}" | awk 'NR == 1 { print $1 }')
if [[ -z $ip || $ip == 127.* ]]; then
    say "the address of $head inside the cluster is not known (found: ${ip:-none})"
    exit 2
fi
# Jobs that share a node must not share a port.
port=$((20000 + job % 12000))
address=$ip:$port

export RAY_USAGE_STATS_ENABLED=0
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_TOKEN
# On each node's own disk, and short: the paths of sockets are limited.
export RAY_TMPDIR=/tmp/ray-$job

ray_pids=()
command_pid=

# One step of the allocation that is kept alive; its first arguments, up to --, are those of srun.
start() {
    local where=()
    while [[ $1 != -- ]]; do
        where+=("$1")
        shift
    done
    shift
    srun --overlap --ntasks-per-node=1 --cpus-per-task="$cpus" "${where[@]}" \
        ray start --num-cpus="$cpus" --disable-usage-stats --block "$@" &
    ray_pids+=("$!")
}

wait_for_nodes() {
    python -m cosinterp.executors.ray_nodes "$address" "$1" 300
}

stop() {
    local status=$?
    trap '' EXIT INT TERM
    if [[ -n $command_pid ]]; then
        kill -INT "$command_pid" 2>/dev/null || true
        wait "$command_pid" 2>/dev/null || true
    fi
    # Not `ray stop`, which would end other Rays of the same user on these nodes.
    if ((${#ray_pids[@]})); then
        say "stopping Ray"
        kill -TERM "${ray_pids[@]}" 2>/dev/null || true
        wait "${ray_pids[@]}" 2>/dev/null || true
        srun --overlap --nodes="${#nodes[@]}" --ntasks-per-node=1 rm -rf "$RAY_TMPDIR" || true
    fi
    exit "$status"
}
trap stop EXIT
# A signal ends the `wait` below; the exit codes are those of a command that it ended.
trap 'exit 130' INT
trap 'exit 143' TERM

say "starting Ray on ${#nodes[@]} nodes, the head at $address"
start --nodes=1 --ntasks=1 --nodelist="$head" -- \
    --head --node-ip-address="$ip" --port="$port" --include-dashboard=false
wait_for_nodes 1
if ((${#nodes[@]} > 1)); then
    start --nodes="$((${#nodes[@]} - 1))" --ntasks="$((${#nodes[@]} - 1))" --exclude="$head" -- \
        --address="$address"
fi
wait_for_nodes "${#nodes[@]}"

resume=(--resume)
for word in "$@"; do
    if [[ $word == --resume ]]; then
        resume=()
    fi
done

say "all nodes are there"
# In a process group of its own, so that an interrupt is not ignored, as it is in a plain background process.
set -m
cosinterp "$@" --executor ray --address "$address" "${resume[@]}" &
command_pid=$!
set +m
status=0
wait "$command_pid" || status=$?
command_pid=
exit "$status"
