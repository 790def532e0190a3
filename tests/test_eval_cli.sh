#!/usr/bin/env bash
# `bgdet eval` as a user meets it: tables, JSON, the report, calibration, and labels that are wrong.
#   tests/test_eval_cli.sh BGDET          BGDET is the program
set -u
bgdet=$(realpath "$1")
root=$(cd "$(dirname "$0")/.." && pwd)
labels=$root/samples/labels.csv
cards=$root/samples/cards
model=$root/weights/resnet18-60x80.bgd
# shellcheck source=tests/claims.sh
. "$root/tests/claims.sh"
export CUDA_VISIBLE_DEVICES=-1

claim "eval --help" 0 "$bgdet" eval --help; says out 'usage: bgdet eval'
claim "an unknown option is named" 64 "$bgdet" eval --no-such-option; says err '--no-such-option'
claim "labels are needed" 64 "$bgdet" eval; says err 'no --labels'
claim "cards on the command line are refused" 64 "$bgdet" eval --labels "$labels" a.jpg; says err 'a.jpg: cards are named by the labels'
claim "a target without --calibrate is refused" 64 "$bgdet" eval --labels "$labels" --target f1; says err '--calibrate'
claim "an unknown target is named" 64 "$bgdet" eval --labels "$labels" --calibrate --target auc; says err '--target auc: expected f1'
claim "a precision beyond 1 is refused" 64 "$bgdet" eval --labels "$labels" --calibrate --target precision=1.5; says err 'precision=1.5'
claim "a band the wrong way round is refused" 64 "$bgdet" eval --labels "$labels" --calibrate --review 0.8:0.2; says err '0.8:0.2'
claim "a calibration without an output is refused" 64 "$bgdet" eval --labels "$labels" --calibrate; says err "name it with --output"
claim "an unknown calibration is named" 64 "$bgdet" eval --labels "$labels" --calibrate=isotonic; says err 'isotonic'
claim "missing labels are named" 66 "$bgdet" eval --labels gone.csv; says err 'gone.csv'

# ---------------------------------------------------------------- what it prints
claim "the sample cards are evaluated, a group at a time" 0 "$bgdet" eval --labels "$labels" --root "$cards" -m "$model"
says out '24 of 24 cards judged by resnet18' '^all cards: 24' '^mug: ' 'truth .* verdict +clean +defective' 'accuracy +[0-9.]+ %' \
    'ROC-AUC' 'no positives' '1000 bootstrap draws' 'F1 +[0-9.]+ %'
cp out tables
claim "and again to the same numbers" 0 "$bgdet" eval --labels "$labels" --root "$cards" -m "$model" --threads 1
check "another number of threads gives other numbers" cmp -s out tables
claim "as JSON" 0 "$bgdet" eval --labels "$labels" --root "$cards" -m "$model" --json
says out '"judged":\s*24' '"roc_auc":' '"reliability":' '"confusion":'
check "NaN is no JSON" test -z "$(grep -i nan out)"

# The labels' own folder is where files are looked for, unless --root says otherwise.
mkdir set && cp "$cards"/clean_mug.jpg "$cards"/cropped_chair.jpg set
echo 'not a picture' >set/broken.jpg
cat >set/labels.csv <<'CSV'
file,clean,text,not_white,extra_objects,cropped,duplicates,shop
clean_mug.jpg,1,0,0,0,0,0,a
cropped_chair.jpg,0,0,0,0,1,,b
broken.jpg,1,0,0,0,0,0,a
gone.jpg,0,1,0,0,0,0,b
CSV
claim "files are found beside the labels; what cannot be judged is listed and counted" 0 "$bgdet" eval --labels set/labels.csv -m "$model"
says out '2 of 4 cards judged' 'not judged: 2 of 4' 'broken.jpg: unknown_format' 'gone.jpg: missing'
says err 'columns that are not read: shop'
claim "and in JSON" 0 "$bgdet" eval --labels set/labels.csv -m "$model" --json
says out '"file":\s*"gone.jpg"' '"code":\s*"missing"'
claim "none that can be judged is an error" 65 "$bgdet" eval --labels set/labels.csv --root / -m "$model"; says err 'none of its 4 cards'

# ---------------------------------------------------------------- the report
claim "a report is a page by itself" 0 "$bgdet" eval --labels set/labels.csv --report report
says err 'report/index.html: written'
says report/index.html '<!DOCTYPE html>' 'broken.jpg' '<svg'
check "the page asks for something from elsewhere" test -z "$(grep -oE '(src|href)="[^d#][^"]*"' report/index.html)"
touch file
claim "a report in no folder says so" 75 "$bgdet" eval --labels set/labels.csv -m "$model" --report file/report; says err 'file/report'
claim "nor over a file" 64 "$bgdet" eval --labels set/labels.csv -m "$model" --report file; says err '--report file: not a folder'
check "cards were judged for nothing" test ! -s out

# ---------------------------------------------------------------- calibration
cp "$model" mine.bgd
claim "a calibration goes into the model file" 0 "$bgdet" eval --labels "$labels" --root "$cards" -m mine.bgd --calibrate=platt --review 0.01:0.99 -o mine.bgd
says err 'Platt pair per output' 'mine.bgd: written' 'defective +24'
check "the model file is as it was" test "$(cmp -s mine.bgd "$model"; echo $?)" -eq 1
says out 'calibrated on these very labels'
cp out calibrated
claim "the model file tells" 0 "$bgdet" inspect mine.bgd
says out 'calibration +defective x' 'review +0.01 <= P' '"method":"platt"' '"labels":"labels.csv"'
claim "the report says what flatters it, later too" 0 "$bgdet" eval --labels "$labels" --root "$cards" -m mine.bgd --json
says out '"calibrated_on_these_labels":\s*true'
claim "rows come with the band" 0 "$bgdet" score -q -m mine.bgd -f jsonl -r "$cards"
says out '"verdict":"review"'
claim "and the summary counts it" 0 "$bgdet" score -m mine.bgd -o /dev/null -r "$cards"; says err '[0-9]+ to review'
claim "evaluated anew, the model is what the calibration said" 0 "$bgdet" eval --labels "$labels" --root "$cards" -m mine.bgd
check "the numbers differ" cmp -s out calibrated
claim "-o leaves the model alone" 0 "$bgdet" eval --labels "$labels" --root "$cards" -m "$model" --calibrate -o other.bgd --target precision=0.9
check "no other.bgd" test -s other.bgd
says err 'a precision of at least 0.9'
claim "a calibration of a calibrated model begins at the network's own P" 0 "$bgdet" eval --labels "$labels" --root "$cards" -m other.bgd --calibrate=platt --review 0.01:0.99 -o again.bgd
"$bgdet" inspect again.bgd | grep -E '^  (calibration|review|head)' >a
"$bgdet" inspect mine.bgd | grep -E '^  (calibration|review|head)' >b
check "it is another" cmp -s a b
claim "a band stays where nobody asks for another" 0 "$bgdet" eval --labels "$labels" --root "$cards" -m mine.bgd --calibrate -o kept.bgd
claim "the file has it" 0 "$bgdet" inspect kept.bgd; says out 'review +0.01 <= P'
claim "labels are not overwritten by a model" 64 "$bgdet" eval --labels set/labels.csv -m "$model" --calibrate -o set/labels.csv
says err 'set/labels.csv is there and no classifier'
claim "nor is a segmenter" 64 "$bgdet" eval --labels set/labels.csv --calibrate -o "$root/weights/tracer-te0-96x128.bgd"; says err 'no classifier'
claim "an output in no folder is found out before the work" 64 "$bgdet" eval --labels set/labels.csv -m "$model" --calibrate -o gone/x.bgd
says err 'gone/'
printf 'file,clean,text,not_white,extra_objects,cropped,duplicates\nclean_mug.jpg,1,0,0,0,0,0\n' >set/alike.csv
claim "labels that are all alike calibrate nothing" 65 "$bgdet" eval --labels set/alike.csv -m "$model" --calibrate -o alike.bgd
says err 'nothing to calibrate on'
check "a file is there all the same" test ! -e alike.bgd
cp "$model" real.bgd && chmod 640 real.bgd && ln -s real.bgd link.bgd
claim "a link stays one" 0 "$bgdet" eval --labels "$labels" --root "$cards" -m link.bgd --calibrate -o link.bgd
check "it was replaced" test -L link.bgd
check "its permissions changed" test "$(stat -c %a real.bgd)" = 640
claim "a precision is met to the letter" 0 "$bgdet" eval --labels "$labels" --root "$cards" -m "$model" --calibrate -o p.bgd --target precision=0.8
claim "and written so" 0 "$bgdet" inspect p.bgd; says out '"precision":0.8\}'
claim "a band that leaves the threshold out is refused" 64 "$bgdet" eval --labels "$labels" --root "$cards" -m "$model" --calibrate -o third.bgd --review 0.98:0.99
says err '--review 0.98:0.99: the threshold'
check "a file is there all the same" test ! -e third.bgd

# ---------------------------------------------------------------- labels that are wrong
wrong() { # wrong "WHAT" PATTERN: bad.csv is refused so
    claim "$1" 65 "$bgdet" eval --labels bad.csv -m "$model"; says err "bad.csv.*$2"
}
: >bad.csv; wrong "an empty file" ''
head -1 "$labels" >bad.csv; wrong "a header alone" ''
printf 'file,clean,text\na.jpg,1,0\n' >bad.csv; wrong "a column is missing" 'not_white.*may be empty'
printf 'file;clean;text;not_white;extra_objects;cropped;duplicates\na.jpg;1;0;0;0;0;0\n' >bad.csv; wrong "semicolons" 'semicolons, expected commas'
printf 'file,clean,text,not_wite,extra_objects,cropped,duplicates\na.jpg,1,0,0,0,0,0\n' >bad.csv; wrong "a misspelt column" 'not_white.*found but not read: not_wite'
printf 'file,clean,text,not_white,extra_objects,cropped,duplicates\na.jpg,1,0,0,0,0,2\n' >bad.csv; wrong "a 2" 'line 2.*duplicates'
printf 'file,clean,text,not_white,extra_objects,cropped,duplicates\na.jpg,1,0,0,0,0,0\nb.jpg,1,0,0,0,0,0\na.jpg,1,0,0,0,0,0\n' >bad.csv
wrong "a file twice" 'lines 2 and 4'
printf 'file,clean,text,not_white,extra_objects,cropped,duplicates\na.jpg,1,1,0,0,0,0\n' >bad.csv; wrong "clean with a reason" 'line 2'
printf 'file,clean,text,not_white,extra_objects,cropped,duplicates\n"a.jpg,1,1,0,0,0,0\n' >bad.csv; wrong "a quote that is not closed" 'line 2'

echo "$passed claims passed, $failed failed"
[ "$failed" -eq 0 ]
