#!/usr/bin/env bash
# The command line as a user meets it: what it prints, where, and with which exit code.
#   tests/test_cli.sh BGDET          BGDET is the program
set -u
bgdet=$(realpath "$1")
root=$(cd "$(dirname "$0")/.." && pwd)
cards=$root/samples/cards
model=$root/weights/resnet18-60x80.bgd
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
passed=0 failed=0

# claim "WHAT" EXIT COMMAND...: the command ends with that code; its output is then in out and err
claim() {
    what=$1 expected=$2
    shift 2
    "$@" >out 2>err </dev/null
    code=$?
    if [ $code -eq "$expected" ]; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAIL: $what: exit $code, expected $expected"
        sed 's/^/    /' err | head -20
    fi
}
# says FILE PATTERN...: out or err holds each of the patterns
says() {
    file=$1
    shift
    for pattern in "$@"; do
        if grep -qE -- "$pattern" "$file"; then passed=$((passed + 1)); else
            failed=$((failed + 1))
            echo "FAIL: $what: no \"$pattern\" in:"
            head -20 "$file" | sed 's/^/    /'
        fi
    done
}

claim "help goes to stdout" 0 "$bgdet" --help; says out 'usage: bgdet' score convert inspect infer
claim "version" 0 "$bgdet" --version; says out '^bgdet [0-9]'
claim "no command is a usage error" 64 "$bgdet"; says err 'usage: bgdet'
claim "an unknown command is named" 64 "$bgdet" scroe; says err '"scroe"'
for command in score convert inspect infer; do
    claim "$command --help" 0 "$bgdet" $command --help; says out "usage: bgdet $command"
    claim "$command names an unknown option" 64 "$bgdet" $command --no-such-option; says err '--no-such-option'
done
claim "an option without its value is named" 64 "$bgdet" score -o; says err 'option -o needs a value'
claim "no cards is a usage error" 64 "$bgdet" score; says err 'no cards'
claim "a folder without -r is a usage error" 64 "$bgdet" score "$cards"; says err 'is a folder: -r'
claim "a wrong number is named" 64 "$bgdet" score --threads 0 x; says err '--threads 0'
claim "an unknown device is named" 64 "$bgdet" score -m "$model" --device abacus x; says err 'abacus'
claim "cuda is refused where the build has none" 64 "$bgdet" score -m "$model" --device cuda x; says err 'cuda'
claim "a missing model file is named" 66 "$bgdet" score -m gone.bgd x; says err 'gone.bgd'
echo "not a model" >bad.bgd
claim "a file that is no model is refused" 65 "$bgdet" score -m bad.bgd x; says err 'bad.bgd'
claim "a missing list is named" 66 "$bgdet" score -m "$model" --files-from gone.txt; says err 'gone.txt'

claim "cards give rows on stdout, the summary on stderr" 0 "$bgdet" score -r "$cards"
says err '24 cards in .* resnet18 on onednn.*, 0 errors'
says out '^\{"id":".*/clean_bottle.jpg","status":"ok","verdict":"(clean|defective)","score":[01]\.[0-9]{6},"reasons":\{"text":'
[ "$(wc -l <out)" -eq 24 ] && passed=$((passed + 1)) || { failed=$((failed + 1)); echo "FAIL: $(wc -l <out) rows of 24"; }
cp out rows.jsonl
claim "-q says nothing" 0 "$bgdet" score -q -r "$cards"
cmp -s out rows.jsonl && [ ! -s err ] && passed=$((passed + 1)) || { failed=$((failed + 1)); echo "FAIL: -q changes rows or speaks"; }
claim "names come from standard input" 0 bash -c "find '$cards' -type f | sort | '$bgdet' score -q --files-from -"
cmp -s out rows.jsonl && passed=$((passed + 1)) || { failed=$((failed + 1)); echo "FAIL: rows by --files-from - differ"; }
claim "names separated by NUL" 0 bash -c "find '$cards' -type f -print0 | sort -z | '$bgdet' score -q -0 --files-from -"
cmp -s out rows.jsonl && passed=$((passed + 1)) || { failed=$((failed + 1)); echo "FAIL: rows by -0 differ"; }
claim "threads and batch change nothing" 0 "$bgdet" score -q -r "$cards" --threads 8 --batch 7
cmp -s out rows.jsonl && passed=$((passed + 1)) || { failed=$((failed + 1)); echo "FAIL: rows depend on threads or batch"; }

claim "a damaged card costs its row only" 0 "$bgdet" score "$cards/clean_mug.jpg" bad.bgd gone.jpg
says out '"id":"bad.bgd","status":"error"' '"code":"unknown_format"' '"code":"missing"'; says err '2 errors'
claim "--fail-on defective finds a defective card" 1 "$bgdet" score -q --fail-on defective "$cards/not_white_room_lamp.jpg"
claim "--fail-on defective passes errors" 0 "$bgdet" score -q --fail-on defective bad.bgd
claim "a table for people" 0 "$bgdet" score -f table "$cards/not_white_room_lamp.jpg"; says out '^defective +[0-9]+ %  not_white'
claim "rows to a file, as CSV by its name" 0 "$bgdet" score -q -o rows.csv -r "$cards"
[ "$(wc -l <rows.csv)" -eq 25 ] && [ ! -e rows.csv.part ] && passed=$((passed + 1)) || { failed=$((failed + 1)); echo "FAIL: rows.csv"; }
claim "a full disk is an error to retry" 75 "$bgdet" score -q -o /dev/full "$cards/clean_mug.jpg"; says err '/dev/full'
claim "a closed pipe ends the run" 75 bash -c "set -o pipefail; yes '$cards/clean_mug.jpg' | '$bgdet' score --files-from - | true"
claim "a contact sheet" 0 "$bgdet" score -q --sheet sheet.png "$cards/clean_mug.jpg" gone.jpg
[ "$(head -c 4 sheet.png | tail -c 3)" = PNG ] && passed=$((passed + 1)) || { failed=$((failed + 1)); echo "FAIL: no sheet"; }

mkfifo names
(exec 3>names; for i in 1 2 3; do echo "$cards/clean_mug.jpg" >&3; done; sleep 20) & feeder=$!
"$bgdet" score -o stopped.jsonl --files-from names 2>err & run=$!
for i in $(seq 100); do [ -e stopped.jsonl.part ] && [ "$(wc -l <stopped.jsonl.part)" -eq 3 ] && break; sleep 0.1; done
what="SIGINT ends a run in good order"
kill -INT $run; wait $run; code=$?
kill $feeder 2>/dev/null
[ $code -eq 75 ] && [ "$(wc -l <stopped.jsonl.part)" -eq 3 ] && [ ! -e stopped.jsonl ] && passed=$((passed + 1)) ||
    { failed=$((failed + 1)); echo "FAIL: $what: exit $code"; }
says err 'stopped by a signal; the rows of the first 3 cards stand in stopped.jsonl.part'

claim "inspect shows a model" 0 "$bgdet" inspect "$model"
says out 'resnet18' 'layer4.1.conv2 +conv +3x3 pad 1 +512, 3, 2' '11\.[0-9]+ M parameters in f16' '[0-9.]+ M MACs a picture' 'provenance'
claim "inspect refuses what is no model" 65 "$bgdet" inspect bad.bgd; says err 'bad.bgd: .*not a model file|shorter'

printf '\x93NUMPY\x01\x00v\x00%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 80, 60), }" >x.npy
head -c 115200 /dev/zero >>x.npy
claim "infer writes every output by name" 0 "$bgdet" infer "$model" --input x.npy -o y.npy
says out 'logits +\(2, 6, 1, 1\) +y.logits.npy' 'scores +\(2, 6, 1, 1\) +y.scores.npy'; says err 'resnet18 on onednn'
claim "infer on the reference" 0 "$bgdet" infer "$model" --input x.npy -o r.npy --backend ref; says err 'on ref'
claim "infer names a backend that is not there" 64 "$bgdet" infer "$model" --input x.npy -o y.npy --backend cuda; says err 'cuda'
claim "infer refuses a wrong shape" 64 "$bgdet" infer "$model" --input y.logits.npy -o z.npy; says err 'expected \(n, 3, 80, 60\)'
claim "infer names a missing input" 66 "$bgdet" infer "$model" --input gone.npy -o y.npy; says err 'gone.npy'

claim "convert names a missing checkpoint" 66 "$bgdet" convert gone.pth -o m.bgd; says err 'gone.pth'
claim "convert refuses what is no checkpoint" 65 "$bgdet" convert bad.bgd -o m.bgd; says err 'bad.bgd'
claim "convert needs a target" 64 "$bgdet" convert x.pth; says err '--output'
claim "convert names a wrong size" 64 "$bgdet" convert x.pth -o m.bgd --input 60; says err '--input 60'

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
