#!/usr/bin/env bash
# The command line as a user meets it: what it prints, where, and with which exit code.
#   tests/test_cli.sh BGDET          BGDET is the program
set -u
bgdet=$(realpath "$1")
root=$(cd "$(dirname "$0")/.." && pwd)
cards=$root/samples/cards
model=$root/weights/resnet18-60x80.bgd
# shellcheck source=tests/claims.sh
. "$root/tests/claims.sh"


claim "help goes to stdout" 0 "$bgdet" --help; says out 'usage: bgdet' score show eval diff verify merge convert inspect infer bench
claim "version" 0 "$bgdet" --version; says out '^bgdet [0-9]'
claim "no command is a usage error" 64 "$bgdet"; says err 'usage: bgdet'
claim "an unknown command is named" 64 "$bgdet" scroe; says err '"scroe"'
for command in score show eval diff verify merge convert inspect infer bench manual; do
    claim "$command --help" 0 "$bgdet" $command --help; says out "usage: bgdet $command"
    claim "$command names an unknown option" 64 "$bgdet" $command --no-such-option; says err '--no-such-option'
done
claim "an option without its value is named" 64 "$bgdet" score -o; says err 'option -o needs a value'
claim "no cards is a usage error" 64 "$bgdet" score; says err 'no cards'
claim "a folder without -r is a usage error" 64 "$bgdet" score "$cards"; says err 'is a folder: -r'
claim "a wrong number is named" 64 "$bgdet" score --threads 0 x; says err '^bgdet score: --threads 0: expected 1\.\.1024$'
claim "a wrong choice is named" 64 "$bgdet" score --decode half x; says err '--decode half: expected scaled or exact$'
claim "a name that is empty is refused" 64 "$bgdet" show -o '' x; says err "--output \"\": expected a file's name"
claim "an unknown device is named" 64 "$bgdet" score -m "$model" --device abacus x; says err 'abacus'
"$bgdet" --version | grep -q cuda && no_cuda=75 || no_cuda=64 # the device is missing, or the build's part for it
export CUDA_VISIBLE_DEVICES=-1                                # on machines that have one, too
claim "cuda is refused where there is none" $no_cuda "$bgdet" score -m "$model" --device cuda x; says err 'cuda|CUDA'
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
claim "a defective card's row says where" 0 "$bgdet" score -q "$cards/not_white_room_lamp.jpg"
says out '"reasons":\{[^}]*\},"evidence":\[\{"reason":"not_white","box":\[[01]\.[0-9]{4},[01]\.[0-9]{4},[01]\.[0-9]{4},[01]\.[0-9]{4}\],"share":0\.[0-9]{4}'
check "CSV has no such column" test "$("$bgdet" score -q -f csv "$cards/not_white_room_lamp.jpg" | grep -cE '^id,.*,duplicates,evidence,width|,not_white ([01]\.[0-9]{4} ?){4}(;|,)')" -eq 2
claim "a clean card's row does not" 0 "$bgdet" score -q "$cards/clean_mug.jpg"; says out '"verdict":"clean"'
check "evidence of nothing" test "$(grep -c evidence out)" -eq 0
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
what="a signal ends a run in good order"
kill -TERM $run; wait $run; code=$?
kill $feeder 2>/dev/null
[ $code -eq 75 ] && [ "$(wc -l <stopped.jsonl.part)" -eq 3 ] && [ ! -e stopped.jsonl ] && passed=$((passed + 1)) ||
    { failed=$((failed + 1)); echo "FAIL: $what: exit $code"; }
says err 'stopped by a signal; the rows of the first 3 cards stand in stopped.jsonl.part'

claim "inspect shows a model" 0 "$bgdet" inspect "$model"
says out 'resnet18' 'layer4.1.conv2 +conv +3x3 pad 1 +256, 3, 2' '2\.[0-9]+ M parameters in f16' '[0-9.]+ M MACs a picture' 'provenance'
claim "inspect refuses what is no model" 65 "$bgdet" inspect bad.bgd; says err 'bad.bgd: .*not a model file|shorter'

printf '\x93NUMPY\x01\x00v\x00%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 80, 60), }" >x.npy
head -c 115200 /dev/zero >>x.npy
claim "infer writes every output by name" 0 "$bgdet" infer "$model" --input x.npy -o y.npy
says out 'logits +\(2, 6, 1, 1\) +y.logits.npy' 'scores +\(2, 6, 1, 1\) +y.scores.npy'; says err 'resnet18 on onednn'
claim "infer on the reference" 0 "$bgdet" infer "$model" --input x.npy -o r.npy --backend ref; says err 'on ref'
claim "infer names a backend that is not there" $no_cuda "$bgdet" infer "$model" --input x.npy -o y.npy --backend cuda; says err 'cuda|CUDA'
claim "infer refuses a wrong shape" 64 "$bgdet" infer "$model" --input y.logits.npy -o z.npy; says err 'expected \(n, 3, 80, 60\)'
claim "infer names a missing input" 66 "$bgdet" infer "$model" --input gone.npy -o y.npy; says err 'gone.npy'

claim "convert names a missing checkpoint" 66 "$bgdet" convert gone.pth -o m.bgd; says err 'gone.pth'
claim "convert refuses what is no checkpoint" 65 "$bgdet" convert bad.bgd -o m.bgd; says err 'bad.bgd'
claim "convert needs a target" 64 "$bgdet" convert x.pth; says err '--output'
claim "convert names a wrong size" 64 "$bgdet" convert x.pth -o m.bgd --input 60; says err '--input 60'
fixtures=$root/tests/fixtures
claim "convert reads a ZFNet" 0 "$bgdet" convert "$fixtures/zfnet_tiny.pth" -o m.bgd
says out '^m.bgd: zfnet, 6 labels, input 60x80 with 4 channels, from a zip checkpoint of 16 tensors$'
claim "convert is told of LRN" 0 "$bgdet" convert "$fixtures/zfnet_tiny.pth" -o m.bgd --lrn; says out '^m.bgd: zfnet_lrn, '
claim "LRN is refused elsewhere" 64 "$bgdet" convert "$fixtures/alexnet_tiny.pth" -o n.bgd --lrn; says err "is ZFNet's, this is AlexNet"
claim "convert says how large an input must be" 64 "$bgdet" convert "$fixtures/alexnet_tiny.pth" -o n.bgd
says err 'AlexNet takes an input of 63x63 or more, not 60x80'
claim "convert reads an AlexNet" 0 "$bgdet" convert "$fixtures/alexnet_tiny.pth" -o n.bgd --input 63x84; says out 'a legacy checkpoint'
claim "convert refuses an optimizer's file" 65 "$bgdet" convert "$fixtures/optimizer.pth" -o n.bgd; says err 'optimizer.pth: '

# ---------------------------------------------------------------- pipelines, masks, show

for file in "$root"/pipelines/*.json; do
    claim "$(basename "$file") opens" 0 "$bgdet" score -q -p "$file" "$cards/clean_mug.jpg"; says out '"status":"ok"'
done
claim "no convolution is left to oneDNN's plain loops" 0 env DNNL_VERBOSE=1 "$bgdet" score -q -p "$root/pipelines/founders.json" \
    --device onednn --threads 1 "$root/samples/cards/clean_mug.jpg"
says out 'exec,cpu,convolution,jit'; check "some are" test "$(grep -c 'exec,cpu,convolution,ref' out)" -eq 0
# fixtures/segmenter.bgd: what is not white is object
part() { echo "\"segmenter\": {\"model\": \"$root/tests/fixtures/segmenter.bgd\", \"width\": 48, \"height\": 64, \"sees\": \"$1\", \"alpha\": $2}"; }
whole="\"classifier\": {\"model\": \"$model\"}"
echo "{$(part photo '"soft"'), $whole}" >p.json
echo "{$(part thumbnail 0.5), $whole}" >hard.json
claim "a pipeline with a segmenter" 0 "$bgdet" score -p p.json -r "$cards"
says err '24 cards in .* not-white \+ resnet18 on onednn.*, 0 errors' 'read [0-9.]+, decode [0-9.]+, segment [0-9.]+, classify [0-9.]+, evidence [0-9.]+$'
cp out soft.jsonl
claim "threads and batch change nothing there" 0 "$bgdet" score -q -p p.json -r "$cards" --threads 8 --batch 7
check "rows by a pipeline depend on threads or batch" cmp -s out soft.jsonl
claim "other settings, other rows" 0 "$bgdet" score -q -p hard.json -r "$cards"
check "rows name the same model for other settings" test "$(grep -o '"model":.*' out | sort -u)" != "$(grep -o '"model":.*' soft.jsonl | sort -u)"

refused() { # refused "WHAT" EXIT JSON PATTERN...: one line that names the file
    what=$1 expected=$2
    printf '%s' "$3" >bad.json
    shift 3
    claim "$what" "$expected" "$bgdet" score -p bad.json "$cards/clean_mug.jpg"
    says err '^bgdet: bad.json: ' "$@"
    check "$what: more than one line, or rows" test "$(wc -l <err)" -eq 1 -a ! -s out
}
refused "an unknown key" 65 "{\"treshold\": 1, $whole}" 'unknown key "treshold"'
refused "a key that stands twice" 65 "{$whole, $whole}" 'key "classifier" stands twice'
refused "no classifier" 65 "{}" '"classifier" is missing'
refused "half a file" 65 "{$(part photo '"soft"'), " 'not one JSON object'
refused "an empty file" 65 "" 'neither a pipeline .* nor a model file'
refused "a YAML file" 65 "classifier: $model" 'neither a pipeline .* nor a model file'
refused "no such alpha" 65 "{$(part photo '"hard"'), $whole}" 'segmenter: "alpha"'
refused "no such sight" 65 "{$(part nothing '"soft"'), $whole}" 'segmenter: "sees"'
refused "a missing model" 66 '{"classifier": {"model": "gone.bgd"}}' 'classifier: gone.bgd: No such file'
refused "a segmenter for a classifier" 64 "{\"classifier\": {\"model\": \"$root/tests/fixtures/segmenter.bgd\"}}" 'is a segmenter, expected a classifier'
refused "a classifier for a segmenter" 64 "$(sed "s|$root/tests/fixtures/segmenter.bgd|$model|" p.json)" 'is a classifier, expected a segmenter'
refused "another size" 64 "$(sed 's/"width": 48/"width": 64/' p.json)" 'segmenter: "width" is 64, its model was converted for 48'
mkfifo fifo.json
claim "a pipeline from a FIFO is refused at once" 65 timeout 20 "$bgdet" score -p fifo.json x; says err 'fifo.json: not a regular file'
claim "a missing pipeline is named" 66 "$bgdet" score -p gone.json x; says err 'gone.json: No such file'

# png FILE: its width, height, bits and colour type (0 is grey, 2 is RGB)
png() { set -- $(od -An -tu1 -j16 -N10 "$1"); echo "$((($1 << 24) + ($2 << 16) + ($3 << 8) + $4)) $((($5 << 24) + ($6 << 16) + ($7 << 8) + $8)) $9 ${10}"; }
mkdir -p deep/work/sub && cd deep/work || exit 1
cp "$cards/clean_mug.jpg" a.jpg; cp "$cards/clean_chair.webp" sub/b.webp; cp "$cards/clean_mug.jpg" ../up.jpg; cp "$cards/clean_mug.jpg" "$folder/top.jpg"
find "$folder" -newer "$folder/fifo.json" | sort >"$folder/before"
claim "masks in a folder" 0 "$bgdet" score -q -p ../../p.json --masks masks a.jpg sub/b.webp ../up.jpg sub/../../../top.jpg "$folder/top.jpg" gone.jpg "$folder/bad.bgd"
find masks -type f | sort >found
printf '%s\n' masks/__/up.jpg.png "masks$folder/top.jpg.png" masks/a.jpg.png masks/sub/__/__/__/top.jpg.png masks/sub/b.webp.png | sort >expected
check "masks: $(tr '\n' ' ' <found)" cmp -s found expected
find "$folder" -newer "$folder/fifo.json" -not -path '*/work/masks*' -not -name found -not -name expected -not -name out -not -name err | sort >"$folder/after"
check "a mask outside of its folder: $(comm -13 "$folder/before" "$folder/after" | tr '\n' ' ')" test -z "$(comm -13 <(grep -v before "$folder/before") <(grep -v -e before -e after "$folder/after"))"
check "a mask of $(png masks/a.jpg.png), expected 900 1200 8 0" test "$(png masks/a.jpg.png)" = "900 1200 8 0"
check "a mask of $(png masks/sub/b.webp.png)" test "$(png masks/sub/b.webp.png)" = "$(sed -n 2p out | sed -E 's/.*"width":([0-9]+),"height":([0-9]+),.*/\1 \2 8 0/')"
cp out rows
claim "masks change no row, and are no cards" 0 "$bgdet" score -q -p ../../p.json --masks masks -r .
check "the masks are taken for cards" test "$(grep -c status...ok out)" -eq 2 -a "$(grep -c masks out)" -eq 0
check "a row changes with --masks" test "$(grep -F '"a.jpg"' rows | sed 's/^[^,]*,//')" = "$(grep -F '"./a.jpg"' out | sed 's/^[^,]*,//')"
claim "masks among the cards are refused" 64 "$bgdet" score -q -p ../../p.json --masks sub -r sub; says err 'sub is one of the folders of cards'
claim "masks need a segmenter" 64 "$bgdet" score -q -m "$model" --masks none a.jpg; says err '--masks: the pipeline resnet18 has no segmenter'
check "a folder for no masks" test ! -e none
claim "a folder that cannot be is an error to retry" 75 "$bgdet" score -q -p ../../p.json --masks no/such a.jpg; says err 'no/such: No such file'
cd "$folder" || exit 1

claim "show needs a target" 64 "$bgdet" show "$cards/clean_mug.jpg"; says err '--output OUT.png'
claim "show needs cards" 64 "$bgdet" show -o s.png; says err 'no cards'
claim "show refuses a hostile pipeline" 65 "$bgdet" show -p bad.bgd -o s.png "$cards/clean_mug.jpg"; says err 'bad.bgd'
check "a picture of nothing" test ! -e s.png
claim "show draws and prints a table" 0 "$bgdet" show -p p.json -o s.png "$cards/clean_mug.jpg" bad.bgd
says out '^verdict +score' '(clean|defective) +[0-9]+ %' '^error +bad.bgd: unknown_format'; says err '2 cards'
set -- $(png s.png)
check "a picture of $*" test "$1" -ge 1400 -a "$1" -le 1700 -a "$2" -ge 500 -a "$2" -le 700 -a "$4" -eq 2
claim "show outlines what is not white" 0 "$bgdet" show -q -m "$model" -o lamp.png "$cards/not_white_room_lamp.jpg"
claim "a sheet outlines it, too" 0 "$bgdet" score -q -m "$model" --sheet sheet.png "$cards/not_white_room_lamp.jpg"
check "show and score --sheet differ" cmp -s lamp.png sheet.png
claim "show -q says nothing" 0 "$bgdet" show -q -p p.json -o one.png "$cards/clean_mug.jpg"
set -- $(png one.png)
check "one card: a picture of $*, or words" test "$1" -ge 700 -a "$1" -le 900 -a ! -s out -a ! -s err
claim "show without a segmenter" 0 "$bgdet" show -q -m "$model" -o plain.png "$cards/clean_mug.jpg"
set -- $(png plain.png)
check "no cut-out: a picture of $*" test "$1" -le 600
mkdir shown; cp "$cards/clean_mug.jpg" shown
for i in 1 2; do claim "show -r, time $i: its own picture is no card" 0 "$bgdet" show -p p.json -o shown/s.png -r shown; says err '1 card in'; done

mkdir -p own && cp "$cards/clean_mug.jpg" own/ && echo own/clean_mug.jpg >own.txt && cp "$model" own.bgd
claim "masks are not written among the cards" 64 "$bgdet" score -q -p "$root/pipelines/default.json" --masks . -r own; says err 'among the cards'
claim "rows do not replace the list they come from" 64 "$bgdet" score -q --files-from own.txt -o own.txt; says err 'own.txt is an input'
claim "a sheet does not replace the model" 64 "$bgdet" show -q -p own.bgd -o own.bgd own/clean_mug.jpg; says err 'own.bgd is an input'
claim "rows do not replace a card" 64 "$bgdet" score -q -o own/clean_mug.jpg own/clean_mug.jpg; says err 'is one of the cards'
what="the inputs are as they were"
check "a model or a card was replaced" cmp -s own.bgd "$model"
check "a card was replaced" cmp -s own/clean_mug.jpg "$cards/clean_mug.jpg"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
