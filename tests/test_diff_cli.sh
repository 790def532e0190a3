#!/usr/bin/env bash
# `bgdet diff` as a user meets it: tables, JSON, the report, the gate, and rows that are wrong.
#   tests/test_diff_cli.sh BGDET          BGDET is the program
set -u
bgdet=$(realpath "$1")
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/claims.sh
. "$root/tests/claims.sh"
export CUDA_VISIBLE_DEVICES=-1

claim "diff --help" 0 "$bgdet" diff --help; says out 'usage: bgdet diff'
claim "an unknown option is named" 64 "$bgdet" diff --no-such-option; says err '--no-such-option'
claim "one run is not enough" 64 "$bgdet" diff a.jsonl; says err 'expected A and B, found 1 name'
claim "a run that is not there is named" 66 "$bgdet" diff gone.jsonl gone.jsonl; says err 'gone.jsonl: No such file'

# ---------------------------------------------------------------- two models on the sample cards
ln -s "$root/samples/cards" cards
"$bgdet" score -q -f jsonl -r cards/ -o a.jsonl && "$bgdet" score -q -f jsonl -m "$root/weights/resnet18-60x80.bgd" -r cards/ -o b.jsonl
claim "two models are compared" 0 "$bgdet" diff a.jsonl b.jsonl
says out 'in both: 24 cards, 24 judged' '^flips: [1-9]' 'of the same picture, 0 of the 0' 'PSI [0-9.]+' 'mean move' 'the largest moves' '1 model: [0-9a-f]{32}'
cp out tables
shuf --random-source=a.jsonl b.jsonl >shuffled.jsonl
claim "in any order" 0 "$bgdet" diff a.jsonl shuffled.jsonl
check "the order changes the numbers" test "$(sed s/shuffled/b/ out | cmp -s - tables; echo $?)" -eq 0
mkdir run
head -10 b.jsonl >run/shard-00000000.jsonl
tail -n +11 b.jsonl >run/shard-00000001.jsonl
claim "a sharded run is its shards" 0 "$bgdet" diff a.jsonl run
check "shards change the numbers" test "$(sed 's/^B: run/B: b.jsonl/' out | cmp -s - tables; echo $?)" -eq 0
claim "a run does not differ from itself" 0 "$bgdet" diff a.jsonl a.jsonl --max-flips 0; says out '^flips: 0' 'PSI 0.0000 \(no shift\)'
claim "as JSON" 0 "$bgdet" diff a.jsonl b.jsonl --json --moves 3
says out '"in_both":\s*24' '"psi":' '"towards_defective":' '"reasons":'
check "--moves is not obeyed" test "$(grep -c '"id":' out)" -eq 3

# ---------------------------------------------------------------- the gate
flips=$(sed -nE 's/^flips: ([0-9]+).*/\1/p' tables)
claim "as many flips as --max-flips pass" 0 "$bgdet" diff a.jsonl b.jsonl --max-flips "$flips"
claim "one more does not" 1 "$bgdet" diff a.jsonl b.jsonl --max-flips $((flips - 1))
check "the tables are not printed" cmp -s out tables
claim "nor a larger share" 1 "$bgdet" diff a.jsonl b.jsonl --max-flips 0.5%
claim "all may" 0 "$bgdet" diff a.jsonl b.jsonl --max-flips 100%
for wrong in -1 101% 5x %; do
    claim "a gate of $wrong is refused" 64 "$bgdet" diff a.jsonl b.jsonl --max-flips "$wrong"; says err "--max-flips $wrong: expected"
done
claim "so are too many moves" 64 "$bgdet" diff a.jsonl b.jsonl --moves 401; says err '0..400'

# ---------------------------------------------------------------- groups
sed 's/}$/,"carried":{"group":"mugs","seller":7}}/' b.jsonl >grouped.jsonl
claim "groups are carried" 0 "$bgdet" diff a.jsonl grouped.jsonl; says out '^ +24 .* mugs$'
claim "--group names another member" 0 "$bgdet" diff a.jsonl grouped.jsonl --group seller; says out '^ +24 .* 7$'

# ---------------------------------------------------------------- the report
claim "a report is a page by itself" 0 "$bgdet" diff a.jsonl b.jsonl --report report
says err 'report/index.html: written'
says report/index.html '<!DOCTYPE html>' '<svg' 'src="data:image/png;base64,'
check "the page asks for something from elsewhere" test -z "$(grep -oE '(src|href)="[^d#][^"]*"' report/index.html)"
check "a picture was not found" test "$(grep -c 'picture not found' report/index.html)" -eq 0
cp report/index.html first.html
claim "and again to the same bytes" 0 "$bgdet" diff a.jsonl b.jsonl --report report
check "the page differs" cmp -s first.html report/index.html
claim "pictures are looked for in --root" 0 "$bgdet" diff a.jsonl b.jsonl --report report --root /nowhere
check "pictures were found in no folder" test "$(grep -c 'picture not found' report/index.html)" -eq 24
touch file
claim "a report over a file is refused before the work" 64 "$bgdet" diff a.jsonl b.jsonl --report file; says err '--report file: not a folder'

# ---------------------------------------------------------------- rows that are wrong
(cat b.jsonl; tail -1 b.jsonl) >twice.jsonl
claim "an id that stands twice counts once" 0 "$bgdet" diff a.jsonl twice.jsonl; says out '25 rows, 1 of them' 'in both: 24'
(head -2 a.jsonl; sed -n 3p a.jsonl | head -c 100) >cut.jsonl
claim "a cut line is named" 65 "$bgdet" diff a.jsonl cut.jsonl; says err 'cut.jsonl:3: expected one whole JSON object'
check "something was printed" test ! -s out
sed 's/"score":0/"score":NaN0/' a.jsonl >nan.jsonl
claim "NaN is no score" 65 "$bgdet" diff nan.jsonl a.jsonl; says err 'nan.jsonl:1: '
head -c 2000000 /dev/zero >zeros.jsonl
claim "zeros are no rows" 65 "$bgdet" diff a.jsonl zeros.jsonl; says err 'zeros.jsonl:1: byte 1: expected UTF-8 without NUL'
: >empty.jsonl
claim "an empty run is compared" 0 "$bgdet" diff a.jsonl empty.jsonl; says out 'in both: 0' 'PSI - \(not defined\)'
claim "a gate does not let through what could not be compared" 1 "$bgdet" diff a.jsonl empty.jsonl --max-flips 0%; says err 'no card is judged in both'
claim "in JSON, too" 0 "$bgdet" diff a.jsonl empty.jsonl --json; says out '"value":\s*null'
mkdir none
claim "a folder without shards is no run" 66 "$bgdet" diff a.jsonl none; says err 'none: a folder without shards'

echo "$passed claims passed, $failed failed"
[ "$failed" -eq 0 ]
