#!/usr/bin/env bash
# Nightly runs as whoever operates them relies on them: shards, what is killed and goes on, verify and merge, ledger, exit codes.
#   tests/test_night_cli.sh BGDET          BGDET is the program
set -u
bgdet=$(realpath "$1")
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/claims.sh
. "$root/tests/claims.sh"
export CUDA_VISIBLE_DEVICES=-1
model=$root/weights/resnet18-60x80.bgd
other=$root/weights/resnet18-cutout3-60x80.bgd

score() { "$bgdet" score -q -m "$model" "$@"; }

# ended CODE EXPECTED: what $what says has ended so
ended() { check "exit $1, expected $2: $(tail -1 err)" test "$1" -eq "$2"; }

# wait_for SECONDS COMMAND...: until it succeeds
wait_for() {
    local tries=$(($1 * 50))
    shift
    until "$@"; do
        [ $((tries -= 1)) -gt 0 ] || return 1
        sleep 0.02
    done
}

# card N: a picture like no other, 16x12 pixels: TGA
card() {
    printf '\0\0\2\0\0\0\0\0\0\0\0\0\20\0\14\0\30\40'
    head -c 288 /dev/zero | tr '\0' "\\$(printf %o $((100 + $1 % 100)))"
    head -c 288 /dev/zero | tr '\0' "\\$(printf %o $((250 + $1 / 100)))"
}

mkdir cards
for i in $(seq 100 149); do card "$i" >"cards/$i.tga"; done
score -r cards >plain.jsonl

# ---------------------------------------------------------------- shards

claim "rows go to shards" 0 score --out d --shard-cards 8 -r cards
check "there are words" test ! -s err -a ! -s out
check "not shards of 8, 8, 8, 8, 8, 8 and 2" test "$(wc -l d/*.jsonl | awk '{ printf "%s ", $1 }')" = "8 8 8 8 8 8 2 50 "
cat d/*.jsonl >joined
check "the rows in shards are not the plain rows" cmp -s joined plain.jsonl
says d/manifest.json '"shards":7,"rows":50,.*"errors":\{\}' '"run":\{.*"device":"onednn"'
claim "a folder verifies" 0 "$bgdet" verify d; says err '^d: 7 shards, 50 rows'
claim "merged, it is the plain run" 0 "$bgdet" merge d -o merged.jsonl
check "other bytes" cmp -s merged.jsonl plain.jsonl
claim "on standard output, too" 0 "$bgdet" merge d
check "other bytes" cmp -s out plain.jsonl
cp -r d whole
claim "a second start does nothing" 0 score --out d --shard-cards 8 -r cards --metrics m.prom
says m.prom '^bgdet_images_total\{result="clean"\} 0$' '^bgdet_shards_total 0$'
check "it changes bytes" diff -r whole d
for k in 0 1 2 3; do
    score --out parts --shard $k/4 --shard-cards 8 -r cards 2>"err$k" &
    jobs[k]=$!
done
for k in 0 1 2 3; do
    what="process $k of four that share a folder"
    wait "${jobs[k]}"
    ended $? 0
done
check "other bytes than one's" diff -r whole parts
claim "a part alone is not the whole" 0 score --out part --shard 1/4 --shard-cards 8 -r cards
check "it has done $(cd part && echo *)" test "$(cd part && echo *)" = "run.json run.lock shard-00000001.json shard-00000001.jsonl shard-00000005.json shard-00000005.jsonl"
claim "verify says what is missing" 75 "$bgdet" verify part; says err '4 of the first 6 shards are not there, shard 0 is the first'

# ---------------------------------------------------------------- killed

for _ in $(seq 30); do ls cards/*; done >long.txt # a run that takes long enough to be hit
score --files-from long.txt >long.jsonl
slow=(-q -m "$model" --threads 1 --batch 1 --out killed --shard-cards 50 --files-from long.txt)
what="a run that SIGKILL hits"
"$bgdet" score "${slow[@]}" 2>err & run=$!
check "no shard appears" wait_for 60 test -e killed/shard-00000003.jsonl
kill -KILL $run; wait $run 2>>err; ended $? 137
check "it was over already" test ! -e killed/shard-00000029.jsonl
check "a manifest says that it is complete" test ! -e killed/manifest.json
claim "what is there of it is right, and not all" 75 "$bgdet" verify killed; says err 'no manifest.json: the run has not come to its end'
claim "merge makes no file of it" 75 "$bgdet" merge killed -o early.jsonl
check "there is a file" test ! -e early.jsonl
touch -d @1000000000 killed/shard-00000001.jsonl
what="the second start, which SIGTERM hits"
"$bgdet" score "${slow[@]}" 2>err & run=$!
check "no shard appears" wait_for 60 test -e killed/shard-00000012.jsonl
kill -TERM $run; wait $run; ended $? 75
says err 'stopped by a signal; [1-9][0-9]* shards are done; the same command goes on'
claim "the third ends it" 0 score --out killed --shard-cards 50 --files-from long.txt
claim "it is complete" 0 "$bgdet" merge killed -o early.jsonl
check "other bytes than of a run that nobody hit" cmp -s early.jsonl long.jsonl
check "a shard was done twice" test "$(stat -c %Y killed/shard-00000001.jsonl)" -eq 1000000000
check "something is left over" test -z "$(find killed -name '*.part')"

# ---------------------------------------------------------------- whose folder it is

claim "another model is refused" 64 "$bgdet" score -q -m "$other" --out d --shard-cards 8 -r cards
says err '^bgdet: d holds another run: its pipeline\.(hash|name) is "[^"]+", this one.s "[^"]+"$'
claim "so is another size of shards" 64 score --out d --shard-cards 9 -r cards; says err 'its sources.shard_cards is 8, this one.s 9$'
cp -r cards more && claim "a folder" 0 score --out grown --shard-cards 8 -r more
card 150 >more/150.tga
claim "a folder that has grown is refused" 64 score --out grown --shard-cards 8 -r more; says err 'its sources.names is "[0-9a-f]{32}"'
ls cards/* >list.txt
claim "a list" 0 score --out listed --files-from list.txt
sed -i 2d list.txt
claim "a list that has changed is refused" 64 score --out listed --files-from list.txt; says err 'its sources.list.hash is "[0-9a-f]{32}"'
claim "so is one that can be read once" 64 score --out new --files-from -; says err '^bgdet: -: --out needs a list that can be read again'
check "what was refused has changed something" diff -r whole d
echo mine >d/shard-000000.tar
claim "--replace removes the other run" 0 "$bgdet" score -q -m "$other" --out d --shard-cards 20 --replace -r cards
check "what is not a run's is gone, too" test "$(cat d/shard-000000.tar)" = mine
claim "what there is now is whole" 0 "$bgdet" verify d; says err '3 shards, 50 rows'
check "rows of the run before" test "$(cat d/*.jsonl | grep -o '"model":"[^"]*"' | sort -u | wc -l)" -eq 1
cp -r whole own && rm own/run.json
claim "results of nobody knows what run are refused" 64 score --out own --shard-cards 8 -r cards; says err 'own holds results and no run.json'
what="a run that still goes on is not replaced"
rm -r killed
"$bgdet" score "${slow[@]}" 2>/dev/null & run=$!
check "no shard appears" wait_for 60 test -e killed/shard-00000001.jsonl
claim "$what" 75 score --out killed --replace -r cards; says err 'killed/run.json: its run is still going'
kill -KILL $run; wait $run 2>/dev/null
claim "a file is no folder" 64 score --out plain.jsonl -r cards; says err '^bgdet: plain.jsonl: Not a directory'
claim "nor a folder of cards one for results" 64 score --out cards -r cards; says err '--out cards is one of the folders of cards'
cp -r cards nest
claim "a folder inside the walked one" 0 score --out nest/out --shard-cards 8 -r nest
claim "is no card of the second start" 0 score --out nest/out --shard-cards 8 -r nest
check "nor of the first" test "$(cat nest/out/*.jsonl | wc -l)" -eq 50

# ---------------------------------------------------------------- damage

damaged() { # damaged "WHAT" FILE SED: verify and merge say so of the file, so changed
    cp whole/"$2" kept && sed -i "$3" whole/"$2"
    claim "verify: $1" 65 "$bgdet" verify whole; says err "^bgdet: whole/($2|${2}l): "
    claim "merge: $1" 65 "$bgdet" merge whole -o damaged.jsonl
    check "a file of it" test ! -e damaged.jsonl
    cp kept whole/"$2"
}
damaged "another score" shard-00000002.jsonl '3s/"score":0.[0-9]/"score":0.5/;3s/clean/claen/'
damaged "a lost row" shard-00000006.jsonl 1d
damaged "a receipt of other rows" shard-00000004.json 's/"rows":8/"rows":9/'
damaged "a receipt of rows in halves" shard-00000004.json 's/"rows":8/"rows":8.5/'
damaged "a receipt of 1e300 rows" shard-00000004.json 's/"rows":8/"rows":1e300/'
damaged "a receipt that is a list" shard-00000004.json 's/.*/[1]/'
damaged "a receipt of another shard" shard-00000004.json 's/"shard":4/"shard":3/'
damaged "another sum" manifest.json 's/"rows":50/"rows":51/'
damaged "too few shards" manifest.json 's/"shards":7/"shards":6/'
damaged "-1 shards" manifest.json 's/"shards":7/"shards":-1/'
damaged "50,000 arrays inside each other" manifest.json "s/.*/$(head -c 50000 /dev/zero | tr '\0' '[')/"
sed 's/"shards":7/"shards":999999999999999/' whole/manifest.json >huge && cp -r whole many && cp huge many/manifest.json
claim "a number of shards beyond all folders is read at once" 75 timeout 20 "$bgdet" verify many
cp whole/shard-00000000.jsonl many/shard-18446744073709551615.jsonl
claim "nor is there a shard of every number" 75 timeout 20 "$bgdet" verify many
rm whole/shard-00000003.jsonl
claim "a missing shard is not complete" 75 "$bgdet" verify whole; says err '1 of the first 7 shards are not there, shard 3 is the first'
claim "and the run does it again" 0 score --out whole --shard-cards 8 -r cards
claim "then it is" 0 "$bgdet" merge whole -o merged.jsonl
check "other bytes" cmp -s merged.jsonl plain.jsonl
claim "a folder that is not there" 66 "$bgdet" verify gone; says err '^bgdet: gone: No such file'
claim "a file for merge in no folder" 64 "$bgdet" merge whole -o gone/rows.jsonl; says err 'gone/rows.jsonl'

# ---------------------------------------------------------------- tars, ranges, manifests

mkdir tars
for t in 0 1 2; do
    mkdir "t$t"
    for i in 1 2 3; do
        card $((3 * t + i)) >"t$t/$i.tga"
        echo "{\"seller\": $t, \"text\": \"a \\\"b\\\"\"}" >"t$t/$i.json"
    done
    tar -C "t$t" --sort=name -cf "tars/c-$t.tar" .
done
gzip -k tars/c-2.tar
claim "tars by a range, each a shard" 0 score --out t "tars/c-{0..2}.tar"
check "not 3 shards of 3 rows" test "$(wc -l t/*.jsonl | awk '{ printf "%s ", $1 }')" = "3 3 3 9 "
says t/shard-00000001.jsonl '^\{"id":"tars/c-1.tar/(\./)?1.tga","status":"ok",.*"carried":\{"json":\{"seller":1,"text":"a \\"b\\""\}\}\}$'
score tars/c-0.tar tars/c-1.tar tars/c-2.tar.gz | sed 's/tar.gz/tar/' >tars.jsonl
cat t/*.jsonl >joined
check "packed, or by name, they are others" cmp -s joined tars.jsonl
cp t0/1.tga 1.tga && score 1.tga | sed -E 's/.*("verdict".*)\}/\1/' >single
check "a card in a tar has another row" grep -qFf single t/shard-00000000.jsonl
head -c 3000 tars/c-1.tar >tars/c-5.tar
cp tars/c-0.tar tars/c-4.tar; cp tars/c-2.tar tars/c-6.tar
claim "a cut tar and one that is not there hold nobody up" 65 score --out cut "tars/c-{3..6}.tar"
says err '2 shards could not be read, or not to the end, the first: .*: '
says cut/shard-00000000.jsonl '^\{"id":"tars/c-3.tar","status":"error".*"code":"missing"'
check "the cut one has no row at its end" test "$(tail -1 cut/shard-00000002.jsonl | grep -c '"id":"tars/c-5.tar","status":"error".*"code":"damaged"')" -eq 1
check "the others are not whole" test "$(wc -l <cut/shard-00000001.jsonl)$(wc -l <cut/shard-00000003.jsonl)" = 33
claim "it is a complete run" 0 "$bgdet" verify cut
says cut/manifest.json '"errors":\{"missing":1,"damaged":1\}'
claim "started again, it is still so" 65 score --out cut "tars/c-{3..6}.tar"
cp tars/c-1.tar tars/c-5.tar
claim "--retry-failed=CODE does again what failed so, and the other is still missing" 65 score --out cut --retry-failed=damaged "tars/c-{3..6}.tar"
says cut/manifest.json '"rows":10,.*"errors":\{"missing":1\}'
claim "the others stay as they are, verified" 0 "$bgdet" verify cut
cp tars/c-2.tar tars/c-3.tar
claim "--retry-failed does all of them" 0 score --out cut --retry-failed "tars/c-{3..6}.tar"
says cut/manifest.json '"rows":12,.*"errors":\{\}'

for i in 1 2 3; do
    echo "{\"id\": \"card $i\", \"path\": \"t0/$i.tga\", \"brand\": \"Ac\\u006de\", \"price\": 12345678901234567890}"
done >manifest.jsonl
claim "a manifest's members are carried" 0 score --out m --manifest manifest.jsonl
says m/shard-00000000.jsonl '^\{"id":"card 2","status":"ok",.*"carried":\{"brand":"Ac\\u006de","price":12345678901234567890\}\}$'
echo '{"id": 7}' >>manifest.jsonl
claim "a line that is none ends the run" 65 score --manifest manifest.jsonl; says err '^bgdet: manifest.jsonl: line 4: '
claim "a missing manifest" 66 score --out new --manifest gone.jsonl; says err '^bgdet: gone.jsonl: No such file'
mkdir odd && cp cards/100.tga "odd/$(printf 'new\nline')" && cp cards/101.tga "odd/$(printf 'caf\351')" && ln -s nowhere odd/link && ln -s ../cards odd/cards
claim "odd names are rows" 0 score --out o -r odd
check "not a row for each" test "$(wc -l <o/shard-00000000.jsonl)" -eq 3
says o/shard-00000000.jsonl '"id":"odd/new\\u000aline","status":"ok"' '"id":"odd/caf\\udce9","status":"ok"' '"id":"odd/link".*"missing"'

# ---------------------------------------------------------------- samples and limits

score --sample 13 --seed 5 --limit 40 -r cards >sample.jsonl
check "no sample of 13 of the first 40" test "$(grep -c 'cards/1[0-3][0-9]' sample.jsonl)" -eq 13
for k in 0 1 2; do score --out s --shard $k/3 --shard-cards 4 --sample 13 --seed 5 --limit 40 -r cards; done
claim "a sample is the same in parts" 0 "$bgdet" merge s
check "other cards" cmp -s out sample.jsonl
claim "another seed is another run" 64 score --out s --sample 13 --seed 6 --limit 40 --shard-cards 4 -r cards; says err 'its sources.seed is'

# ---------------------------------------------------------------- ledger

claim "a ledger" 0 "$bgdet" score -m "$model" --ledger ledger.db -o first.jsonl -r cards; says err ' 0 known from the ledger .*, 50 scored'
check "it changes rows" cmp -s first.jsonl plain.jsonl
claim "scores nothing the second night" 0 "$bgdet" score -m "$model" --ledger ledger.db --out night --metrics m.prom -r cards
says err ' 50 known from the ledger .*, 0 scored'
says m.prom '^bgdet_ledger_hits_total 50$' '^bgdet_stage_duration_seconds_count\{stage="classify"\} 0$'
check "other rows" cmp -s night/shard-00000000.jsonl plain.jsonl
claim "another model knows nothing of it" 0 "$bgdet" score -m "$other" --ledger ledger.db -r cards; says err ' 0 known'
touch -d yesterday cards/*
score --ledger ledger.db --trust-mtime -r cards >out
claim "an unchanged file is not even read" 0 score --ledger ledger.db --trust-mtime --metrics m.prom -r cards
says m.prom '^bgdet_read_bytes_total 0$' '^bgdet_ledger_hits_total 50$'
check "other rows" cmp -s out plain.jsonl
card 99 >cards/100.tga && claim "one that has changed is" 0 score --ledger ledger.db --trust-mtime --metrics m.prom -r cards
says m.prom '^bgdet_ledger_hits_total 49$'
card 100 >cards/100.tga
head -c 100 cards/101.tga >cut.tga
claim "a damaged card" 0 score --ledger ledger.db cut.tga cards/102.tga
claim "is known as such" 0 score --ledger ledger.db --metrics m.prom cut.tga cards/102.tga
says out '"id":"cut.tga".*"code":"damaged"'
says m.prom '^bgdet_ledger_hits_total 2$' '^bgdet_image_errors_total\{reason="damaged"\} 1$' '^bgdet_stage_duration_seconds_count\{stage="classify"\} 0$'
claim "and tried again when told" 0 score --ledger ledger.db --retry-failed --metrics m.prom cut.tga cards/102.tga
says m.prom '^bgdet_ledger_hits_total 1$'
claim "what is no ledger is left as it is" 64 score --ledger plain.jsonl -r cards
check "it is not" cmp -s first.jsonl plain.jsonl

# ---------------------------------------------------------------- exit codes, metrics, progress, dry run

yes gone.jpg | head -200 >gone.txt
claim "too many errors end a run" 65 score --out many-errors --max-error-rate 0.5 --files-from gone.txt
says err '^bgdet: [0-9]+ of [0-9]+ cards are errors, --max-error-rate is 0.5'
check "there is a manifest" test ! -e many-errors/manifest.json
claim "as many as allowed do not" 0 score --out all-errors --max-error-rate 1 --files-from gone.txt
if command -v promtool >/dev/null; then
    claim "promtool reads the metrics" 0 bash -c 'promtool check metrics <m.prom'
else
    echo "skipped: promtool is not there"
fi
says m.prom '^bgdet_finished 1$' '^bgdet_exit_code 0$'
claim "the exit code is among them" 65 score --max-error-rate 0 --files-from gone.txt --metrics m.prom; says m.prom '^bgdet_exit_code 65$'
claim "a run that could not begin says so, too" 66 score -p gone.json --metrics m.prom -r cards; says m.prom '^bgdet_finished 1$' '^bgdet_exit_code 66$'
claim "rows and metrics in one file are refused" 64 score -o both.txt --metrics both.txt -r cards; says err 'both.txt is to hold two outputs'
claim "metrics that cannot be written end nothing" 0 score --metrics gone/m.prom -r cards
check "the rows are others" cmp -s out plain.jsonl
check "it is not said once" test "$(grep -c '^bgdet: the run goes on without --metrics: gone/m.prom: ' err)" -eq 1
claim "metrics over a card are refused" 64 score --metrics cards/100.tga -r cards/100.tga; says err 'cards/100.tga is one of the cards'
claim "progress as JSON" 0 "$bgdet" score -m "$model" --progress json --files-from long.txt -o long2.jsonl
number='[0-9]+(\.[0-9]+)?'
grep '^{' err >lines
check "there is no line" test -s lines
check "a line is none: $(head -1 lines)" test -z "$(grep -vE "^\{\"event\":\"progress\",\"rows\":[0-9]+,\"errors\":0(,\"share\":$number)?,\"per_second\":$number(,\"seconds_left\":$number)?\}$" lines)"
says lines '"rows":1500,"errors":0'
mkdir dry
(
    cd dry || exit 1
    score --dry-run --shard 1/2 --shard-cards 8 --out d --ledger ledger.db --metrics m.prom --sheet sheet.png -r ../cards >../out
)
what="a dry run says what there is to do, and writes nothing"
says out '^50 cards in 7 shards, of which 3 are for this process to do, with resnet18 on onednn'
check "it has written $(ls -A dry)" test -z "$(ls -A dry)"
claim "a dry run of what would replace another run" 0 score --dry-run --replace --out m --shard-cards 8 -r cards
says out '^50 cards in 7 shards, of which 7 are'
check "it has replaced it" test -e m/manifest.json
part='"model": "'$root'/tests/fixtures/segmenter.bgd", "width": 48, "height": 64, "sees": "photo", "alpha": "soft"'
echo "{\"segmenter\": {$part}, \"classifier\": {\"model\": \"$model\"}}" >masks.json
claim "nor does it make a folder for masks" 0 "$bgdet" score -q -p masks.json --dry-run --masks masks -r cards
check "it is there" test ! -e masks
claim "masks and a sheet of cards in tars" 0 "$bgdet" score -q -p masks.json --masks masks --sheet sheet.png --out masked tars/c-0.tar
check "not a mask each" test "$(find masks -name '*.tga.png' | wc -l)" -eq 3
check "no sheet" test -s sheet.png
claim "a sheet of what a ledger knows" 0 score --ledger ledger.db --trust-mtime --sheet known.png -r cards
score --sheet scored.png -r cards >out
check "it is another than that of a run without" cmp -s known.png scored.png
for wrong in "--shard 0/2" "--shard-cards 4" --replace --trust-mtime --retry-failed "--out d -o r.jsonl" "--shard 2/2 --out d" "--max-error-rate 2" "--retry-failed=typo --out d"; do
    # shellcheck disable=SC2086
    claim "$wrong is refused" 64 score $wrong -r cards
done

# ---------------------------------------------------------------- the network

if ! command -v python3 >/dev/null; then
    echo "skipped: cards from a server: python3 is not there"
else
    cat >server.py <<'END'
import http.server
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if "hang" in self.path:
            open("asked", "w").close()
            self.rfile.read()
        else:
            super().do_GET()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
END
    python3 server.py >port 2>server.log & server=$!
    what="a server"
    check "it does not start" wait_for 20 test -s port
    url=http://127.0.0.1:$(cat port)
    cp gone.txt not-a.tar
    claim "cards and tars from a server" 0 score "$url/cards/100.tga" "$url/tars/c-{0..1}.tar"
    { head -1 plain.jsonl; cat t/shard-0000000[01].jsonl; } | sed "s|{\"id\":\"|&$url/|" >expected
    check "other rows than from a disk" cmp -s out expected
    claim "a damaged tar is 65, whatever the network did to a card" 65 score --out both not-a.tar http://127.0.0.1:1/x.jpg
    says both/manifest.json '"errors":\{"damaged":1,"network":1\}'
    claim "a tar that is kept back is left for the next time, and holds nobody up" 75 score --out later http://127.0.0.1:1/x.tar t0/1.tga
    says err '^bgdet: later: 1 shards are not done'
    check "the other is not there, or the manifest is" test -e later/shard-00000001.jsonl -a ! -e later/shard-00000000.jsonl -a ! -e later/manifest.json
    claim "of what is kept back nobody knows the first cards" 75 score --out first --limit 2 http://127.0.0.1:1/x.tar t0/1.tga t0/2.tga
    check "some are published all the same" test -z "$(find first -name '*.jsonl')"
    what="a signal while the network keeps a card back, the last one"
    "$bgdet" score -q -m "$model" --out net "$url/cards/100.tga" "$url/hang.jpg" >out 2>err & run=$!
    check "nobody asks for it" wait_for 20 test -e asked
    kill -TERM $run; wait $run; ended $? 75
    check "what lacks it is published" test ! -e net/manifest.json -a ! -e net/shard-00000000.jsonl
    kill $server
fi

echo "$passed claims passed, $failed failed"
[ "$failed" -eq 0 ]
