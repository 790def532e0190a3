#!/usr/bin/env bash
# Nights on a Slurm cluster of two nodes: a node dies, a task is ended by a signal, the disk is full, a model is none.
#   tests/slurm/test_slurm.sh BGDET          BGDET is the program
# The cluster (slurm.conf) is real and has namespaces of its own for processes, network, mounts and host name: it meets nothing
# else on the machine, and the kernel ends it with this script, however that ends. A node has its own process namespace, too, so
# that killing one process is the end of all that runs there.
# Exits with 77 (skipped) without root, Slurm or such namespaces.
set -u

if [ "${IN_NAMESPACES:-no}" = no ]; then
    skip() { echo "skipped: $1"; exit 77; }
    [ "$(id -u)" -eq 0 ] || skip "not root"
    for needed in munged mungekey slurmctld slurmd sbatch srun ip; do
        command -v $needed >/dev/null || skip "$needed is not installed (tools/packages slurm)"
    done
    namespaces=(unshare --pid --net --uts --mount-proc --fork --kill-child)
    "${namespaces[@]}" true 2>/dev/null || skip "no namespaces here"
    TMPDIR=$(mktemp -d)
    export TMPDIR
    trap 'kill -KILL "$inside" 2>/dev/null; rm -rf "$TMPDIR"' EXIT
    trap 'exit 130' INT TERM
    IN_NAMESPACES=yes setpriv --pdeathsig KILL "${namespaces[@]}" "$0" "$@" &
    inside=$!
    wait $inside
    exit
fi

bgdet=$(realpath "$1")
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/claims.sh
. "$root/tests/claims.sh"
PATH=$(dirname "$bgdet"):$PATH

# ---------------------------------------------------------------- the cluster

hostname localhost
ip link set lo up
ip address add 192.0.2.1/32 dev lo # getaddrinfo (AI_ADDRCONFIG) wants one that is not 127.0.0.1
mount -t tmpfs tmpfs /run
mkdir -p /run/munge /run/slurm /run/disk
mount -t tmpfs -o size=64k tmpfs /run/disk # before the nodes: they see what is mounted now
export SLURM_CONF=$root/tests/slurm/slurm.conf
mungekey -c -k /run/munge/key
munged --force -F --key-file=/run/munge/key --log-file=/run/munge/log >munged.log 2>&1 &
slurmctld -D -c >/dev/null 2>&1 &

declare -A node
# boot NODE: as a process of ours, whose end is the end of all of the node's
boot() {
    unshare --pid --mount-proc --fork --kill-child slurmd -D -N "$1" >/dev/null 2>&1 &
    node[$1]=$!
}
boot n1
boot n2

# wait_for SECONDS COMMAND...: until the command succeeds; a failure if it does not
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || { check "waited in vain for: $*" false; return 1; }
        sleep 0.2
    done
}
idle() { [ "$(sinfo -h -t idle -o %D)" = 2 ]; }
# submit COMMAND...: leaves the jobs' numbers in array and merge
submit() {
    read -r _ array _ merge < <("$root/tools/slurm/submit" "$@" | tr -d ,)
}
ended() { [ -z "$(squeue -h -j "$array,$merge")" ]; }
# state JOB: as Slurm's own word
state() { scontrol show job "$1" | grep -o 'JobState=[A-Z_]*' | sort -u; }
# starts TASK: how often it was started
starts() { grep -c ': start ' "bgdet-${array}_$1.log"; }
# shown TASK: what an operator would look at
shown() { sed "s/^/    bgdet-${array}_$1.log: /" "bgdet-${array}_$1.log"; }

what="the cluster comes up"
if ! wait_for 60 idle; then
    tail -n 20 munged.log /run/slurm/*.log
    exit 1
fi

# ---------------------------------------------------------------- the catalogue, and its rows without a cluster

cards=("$root"/samples/cards/*)
for shard in {0..7}; do
    mkdir "$shard"
    for copy in {0..9}; do
        for card in "${cards[@]}"; do ln -s "$card" "$shard/$copy-${card##*/}"; done
    done
    tar -ch --hard-dereference -f "cards-$shard.tar" "$shard"
done
night=(-p "$root/pipelines/default.json" --device onednn --threads 1)
tars=("$folder"/cards-{0..7}.tar)
claim "the catalogue, undisturbed, on one machine" 0 "$bgdet" score "${night[@]}" --threads 2 --out alone "${tars[@]}"
claim "its rows" 0 "$bgdet" merge alone -o alone.jsonl
head -n $((2 * 10 * ${#cards[@]})) alone.jsonl >two.jsonl # of the first two shards

# ---------------------------------------------------------------- a node dies

what="a night in which a node dies"
export OUT=$folder/night TASKS=4
submit "${night[@]}" "${tars[@]}" # task 1 has the shards 1 and 5
first=$OUT/shard-00000001
wait_for 120 test -e "$first.jsonl"
first_was=$(stat -c '%i %Y' "$first.jsonl" "$first.json")
lost=$(sed -n 's/.*task 1.* on \(n[12]\): start 1,.*/\1/p' "bgdet-${array}_1.log")
check "the log does not say on which node task 1 is" test -n "$lost"
{ kill -KILL "${node[$lost]}"; wait "${node[$lost]}"; } 2>/dev/null # bash would say so, too
echo "$(date +%FT%T) node $lost is dead"
check "task 1 was done before its node died: nothing is shown" test ! -e "$OUT/shard-00000005.jsonl"
wait_for 120 grep -q ': start 2' "bgdet-${array}_1.log"
check "it was not given a GPU" grep -q 'start 1, GPU 0$' "bgdet-${array}_1.log"
check "task 1 did not start again on the other node" grep -q "on n$((3 - ${lost#n})): start 2," "bgdet-${array}_1.log"
wait_for 180 ended
shown 1
check "the rows are not those of an undisturbed run" cmp alone.jsonl "$OUT.jsonl"
check "a shard that was there was done again" test "$(stat -c '%i %Y' "$first.jsonl" "$first.json")" = "$first_was"
for task in 0 2 3; do check "task $task was started again" test "$(starts $task)" -eq 1; done
boot "$lost"
wait_for 60 idle

# ---------------------------------------------------------------- tasks that end with 75, and one that ends with 65

what="a task that gets SIGTERM"
export OUT=$folder/term TASKS=1
submit "${night[@]}" "${tars[@]:0:2}"
wait_for 120 test -e "$OUT/shard-00000000.jsonl"
scancel --signal=TERM "$array"
wait_for 120 ended
shown 0
check "it did not end with 75 and start again" test "$(grep -oE ': (start [0-9]|exit .*)' "bgdet-${array}_0.log" | tr -d '\n')" = \
    ": start 1: exit 75, requeued: start 2: exit 0"
check "the rows are not those of an undisturbed run" cmp two.jsonl "$OUT.jsonl"

what="a full disk"
export OUT=/run/disk/night
RESTARTS=1 submit "${night[@]}" "${tars[@]:0:2}"
wait_for 120 ended
shown 0
check "it was not started twice" test "$(starts 0)" -eq 2
check "it did not end with 75" grep -q ': exit 75$' "bgdet-${array}_0.log"
check "the merge is $(state "$merge")" test "$(state "$merge")" = JobState=CANCELLED

what="a full disk of which more is given"
submit "${night[@]}" "${tars[@]:0:2}"
wait_for 120 grep -q ': exit 75, requeued' "bgdet-${array}_0.log"
mount -o remount,size=64m /run/disk
wait_for 120 ended
shown 0
check "it was not started twice" test "$(starts 0)" -eq 2
check "the rows are not those of an undisturbed run" cmp two.jsonl "$OUT.jsonl"

what="a model that is none"
echo "not a model" >broken.bgd
export OUT=$folder/broken
submit "${night[@]}" -p "$folder/broken.bgd" "${tars[@]}"
wait_for 120 ended
shown 0
check "it did not end with 65" grep -q ': exit 65$' "bgdet-${array}_0.log"
check "it was started again" test "$(starts 0)" -eq 1
check "the array is $(state "$array")" test "$(state "$array")" = JobState=FAILED
check "the merge is $(state "$merge")" test "$(state "$merge")" = JobState=CANCELLED

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
