#!/usr/bin/env bash
# Runs that are killed, lose their power or get errors from the disk, at each call that changes something there, and are
# then started again. Always: what has been published is whole, and the run ends with the bytes of an unbroken one.
#   tests/faults/test_faults.sh SHIM BGDET      SHIM is the library of shim.c, BGDET the program
#   TRIALS=N    as many as that of the faults, evenly chosen; 0: all of them (default: 300)
#   KILLS=N     of a larger run, at random (default: 100)
#   SEED=N      of what is random (default: 1)
set -u
shim=$(realpath "$1")
bgdet=$(realpath "$2")
root=$(cd "$(dirname "$0")/../.." && pwd)
model=$root/weights/resnet18-60x80.bgd
# shellcheck source=tests/claims.sh
. "$root/tests/claims.sh"
folder=$(pwd -P) && cd "$folder" || exit 1 # the shim wants a path without links
RANDOM=${SEED:-1}
trials=${TRIALS:-300} kills=${KILLS:-100}
export shim bgdet model folder
export ASAN_OPTIONS=exitcode=99:verify_asan_link_order=0 # the shim comes before the sanitizer

# ---------------------------------------------------------------- runs

# grey BYTE: half a card of it
grey() { head -c 288 /dev/zero | tr '\0' "\\$(printf %o "$1")"; }

# A card like no other, 16x12 pixels: TGA
draw_card() {
    printf '\0\0\2\0\0\0\0\0\0\0\0\0\20\0\14\0\30\40'
    grey $((100 + $1 % 100))
    grey $((252 + $1 / 100))
}

# run FORM: that run in the current folder, its results in disk/out/; what FAULT... says happens to it. It is killed after
# $limit seconds, if that is set, and has let go of its files when this returns (timeout would kill itself, too, and not wait
# for it, were it not in the foreground). The disk begins as in before/FORM.
run() {
    local sources
    [ -e disk ] || cp -r "$folder/before/$1" disk
    case $1 in
    file) sources=(-o disk/out/rows.jsonl --files-from "$folder/cards.txt") ;;
    list) sources=(--out disk/out --shard-cards 4 --files-from "$folder/cards.txt") ;;
    ledger) sources=(--out disk/out --shard-cards 4 --ledger disk/ledger.db --files-from "$folder/cards.txt") ;;
    replace) sources=(--out disk/out --shard-cards 4 --replace --files-from "$folder/cards.txt") ;;
    retry) sources=(--out disk/out --shard-cards 4 --retry-failed --files-from "$folder/cards.txt") ;;
    tars) sources=(--out disk/out --threads 2 "$folder"/tars/*.tar) ;;
    esac
    ${limit:+timeout --foreground -s KILL "$limit"} env LD_PRELOAD="$shim" FAULT_FOLDER="$PWD/disk" \
        "$bgdet" score -q -p "$model" --threads 1 "${sources[@]}" >stdout 2>stderr </dev/null
}

# What is published is whole, however the run ended.
check_published() {
    local file
    for file in disk/out/*; do
        case $file in *.part | *.tmp-* | 'disk/out/*') continue ;; esac
        cmp -s "$file" "$folder/unbroken/$1/$file" || cmp -s "$file" "$folder/before/$1/${file#disk/}" ||
            echo "$file is torn or wrong"
    done
}

# check_verify FORM CODE...: it ends with one of them
check_verify() {
    [ "$1" = file ] && return
    "$bgdet" verify disk/out >stdout 2>stderr
    local code=$?
    [[ " ${*:2} " = *" $code "* ]] || echo "verify: exit $code, expected ${*:2}: $(tail -1 stderr)"
}

# What is not complete is never taken for damage. Where another run was, its manifest may be there still.
check_verify_broken() {
    if [ -e disk/out/manifest.json ]; then
        case $1 in replace | retry) check_verify "$1" 0 75 ;; *) check_verify "$1" 0 ;; esac
    elif [ -e disk/out/run.json ]; then
        check_verify "$1" 75
    fi
}

# A run without faults completes what is there.
check_resumed() {
    run "$1"
    local code=$?
    [ $code -eq 0 ] || echo "started again: exit $code: $(<stderr)"
    diff -rq "$folder/unbroken/$1/disk/out" disk/out
    check_verify "$1" 0
    if [ -e disk/ledger.db ] && command -v sqlite3 >/dev/null; then
        sqlite3 disk/ledger.db 'pragma integrity_check' | grep -vx ok
    fi
}

# After a failed fsync nobody knows what the disk holds: the file is neither synced again nor published.
check_not_retried() {
    awk -F '\t' '$2 ~ /sync/ && $5 ~ /EIO|ENOSPC/ && $3 !~ /ledger/ { failed[$3] = 1; next }
        $3 in failed && $2 ~ /sync|rename|link/ { print $2 " of " $3 " after its fsync failed" }' log
}

# lose_power N: what was not synced is lost: the ends of files, and, if N is odd, one of the renames that the folder's fsync
# has not made sure of, whichever the disk has not come to. What has no name yet may hold anything.
lose_power() {
    awk -F '\t' -v n="$1" -v renames=0 '
        $2 ~ /write|truncate|fallocate/ { dirty[$3] = 1 }
        $2 ~ /sync/ { dirty[$3] = 0; size[$3] = $4; if ($3 ~ /out$/) renames = 0 }
        $2 ~ /^rename/ { dirty[$4] = dirty[$3]; size[$4] = size[$3]; dirty[$3] = 0
                         from[renames] = $3; to[renames++] = $4 }
        END { for (path in dirty) if (dirty[path]) print "cut", size[path] + 0, path
              lost = renames ? int(n / 2) % renames : 0
              if (n % 2 && renames) print "undo", to[lost], from[lost] }' log |
        while read -r what a b; do
            if [ "$what" = cut ]; then [ ! -e "$b" ] || truncate -s "<$a" "$b"; else mv "$a" "$b"; fi
        done
    find disk -name '*.part' -exec truncate -s 10000 {} +
}

# ---------------------------------------------------------------- a trial: one fault, at one call

# The call that was hit: "fsync shard-00000001.jsonl.part"; nothing if the run ended before it
hit() {
    awk -F '\t' '$5 != "-" { n = split($3, parts, "/"); print $2, parts[n]; exit }' log
}

# A fault that a run may pass over: of closing, when the disk has the file already, and of what SQLite can do without. Short and
# interrupted writes go on.
harmless() {
    case "$1 $2" in
    'short '* | 'EINTR '*write* | 'EINTR close'*) ;;
    E*' close '* | E*' ledger.db'* | E*'fdatasync disk') ;;
    *) false ;;
    esac
}

# What is wrong after a run that ended with CODE: judge FORM FAULT CODE HIT
judge() {
    local form=$1 fault=$2 code=$3 hit=$4
    case $fault:$code in
    kill:137 | power:137 | E*:75) [ -n "$hit" ] || echo "exit $code without a fault: $(tail -1 stderr)" ;;
    *:0) [ -z "$hit" ] || harmless "$fault" "$hit" || echo "exit 0 in spite of the fault" ;;
    *) echo "exit $code: $(<stderr)" ;;
    esac
    case $fault:$hit in EINTR:*write*) [ "$code" -eq 0 ] || echo "exit $code: $(tail -1 stderr)" ;; esac
    [ "$code" -ne 0 ] || diff -rq "$folder/unbroken/$form/disk/out" disk/out
    check_published "$form"
    check_verify_broken "$form"
    check_not_retried
}

# trial FORM FAULT AT [AGAIN]: AGAIN kills the run that is started again, too. One line says how it went.
trial() {
    local form=$1 fault=$2 at=$3 again=${4:-} where code wrong name=${2%-lasting}
    mkdir "$folder/$form-$fault-$at-$again" && cd "$folder/$form-$fault-$at-$again" || exit 1
    case $fault in *-lasting) export FAULT_LASTING=1 ;; power) name=kill-after ;; esac
    FAULT=$name FAULT_AT=$at FAULT_LOG=$PWD/log run "$form" 2>/dev/null
    code=$?
    unset FAULT_LASTING
    touch log
    where=$(hit)
    [ "$fault" != power ] || [ -z "$where" ] || lose_power "$at"
    wrong=$(
        judge "$form" "$fault" $code "$where"
        if [ -n "$again" ]; then
            FAULT=kill FAULT_AT=$again run "$form" 2>/dev/null
            check_published "$form"
        fi
        check_resumed "$form"
    )
    if [ -n "$wrong" ]; then
        echo "FAIL $form $fault $at $again: at \"$where\": ${wrong//$'\n'/; }"
    else
        echo "ok $form $fault $at $again ${where:-missed}"
    fi
    rm -rf "$PWD"
}

# siege SEED KILLS: the larger run, killed again and again, at random calls and at random moments, until so many kills have
# hit; one that gets through is looked at, and the next begins anew.
siege() {
    local kills=0 calls code wrong=
    RANDOM=$1
    calls=$(wc -l <"$folder/unbroken/tars/log")
    mkdir "$folder/siege-$1" && cd "$folder/siege-$1" || exit 1
    while [ $kills -lt "$2" ] && [ -z "$wrong" ]; do
        if [ $((RANDOM % 2)) -eq 0 ]; then
            FAULT=kill FAULT_AT=$((RANDOM % (calls / 4) + 1)) run tars 2>/dev/null
        else
            limit=$(printf '0.%03d' $((RANDOM % 250 + 10))) run tars 2>/dev/null
        fi
        code=$?
        case $code in # 124: it got through in the moment when its time was over
        0 | 124) wrong=$(diff -rq "$folder/unbroken/tars/disk/out" disk/out) && rm -r disk/out ;;
        137) kills=$((kills + 1)) wrong=$(check_published tars) ;;
        *) wrong="exit $code: $(<stderr)" ;;
        esac
    done
    wrong=$wrong$(check_resumed tars)
    [ -n "$wrong" ] && echo "FAIL siege $1, kill $kills: ${wrong//$'\n'/; }" || echo "ok siege $1"
    rm -rf "$PWD"
}
export -f run check_published check_verify check_verify_broken check_resumed check_not_retried lose_power hit harmless judge
export -f trial siege

# ---------------------------------------------------------------- all of them

# The trials of a form, a line each, from the log of its unbroken run. Only writes can be short or interrupted.
plan() {
    awk -F '\t' -v form="$1" '
        { n = split("kill power EIO EIO-lasting ENOSPC ENOSPC-lasting", faults, " ")
          for (i = 1; i <= n; i++) print "trial", form, faults[i], $1 }
        $2 !~ /rename|link|mkdir/ { print "trial", form, "EINTR", $1 }
        $2 ~ /write/ { print "trial", form, "short", $1 }' "unbroken/$1/log"
}

forms=(file list ledger replace retry)
mkdir cards tars unbroken before before/{file,list,ledger,tars} before/file/out
for i in {0..399}; do
    folder_of_10=cards/$(printf %02d $((i / 10)))
    mkdir -p "$folder_of_10" && draw_card "$i" >"$folder_of_10/$((i % 10)).tga"
done
for i in {00..39}; do
    tar -C "cards/$i" -cf "tars/$i.tar" .
done
printf "$folder/cards/%s.tga\n" {00..02}/{0..3} >cards.txt

# other FORM CARDS: another run's results, in shards of so many cards, are there before
other() {
    "$bgdet" score -q -p "$model" --out "before/$1/out" --shard-cards "$2" --files-from "$folder/cards.txt"
}
mkdir before/{replace,retry}
other replace 3
mv cards/01/2.tga away
other retry 4 # a night in which a card was not there
mv away cards/01/2.tga

for form in "${forms[@]}" tars; do
    mkdir "unbroken/$form"
    (cd "unbroken/$form" && FAULT_LOG=$PWD/log run "$form") || {
        echo "FAIL: the unbroken run, $form: $(cat "unbroken/$form/stderr")"
        exit 1
    }
    for call in open write fsync rename; do
        grep -qP "\t$call\t.*/disk/out" "unbroken/$form/log" || { echo "FAIL: $form: no $call is seen" && exit 1; }
    done
done
for form in "${forms[@]}"; do
    plan "$form"
done >planned
for form in list ledger; do
    calls=$(wc -l <"unbroken/$form/log")
    for _ in {1..25}; do
        echo "trial $form kill $((RANDOM % calls + 1)) $((RANDOM % calls + 1))"
    done
done >again
for i in 1 2 3 4; do
    echo "siege $((RANDOM)) $((kills / 4))"
done >sieges
all=$(wc -l <planned)
awk -v all="$all" -v most="$trials" 'most == 0 || int(NR * most / all) > int((NR - 1) * most / all)' planned >chosen
cat sieges again chosen >work
xargs -a work -P "$(nproc)" -L 1 bash -c '"$@"' - >results

grep ^FAIL results
failed=$((failed + $(grep -c ^FAIL results)))
[ "$(wc -l <results)" -eq "$(wc -l <work)" ] || failed=$((failed + 1))
echo "$(wc -l <chosen) of $all faults (TRIALS=0 for all), $(wc -l <again) kills of a resumed run, $kills of a larger one:" \
    "$failed failed, $(grep -c missed results) met no such call"
[ $failed -eq 0 ]
