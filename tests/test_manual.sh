#!/usr/bin/env bash
# The manual page and the completions, as groff and the shells that are here take them.
#   tests/test_manual.sh BGDET       BGDET is the program
set -u
bgdet=$(realpath "$1")
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/claims.sh
. "$root/tests/claims.sh"

for kind in man bash zsh fish; do
    claim "manual $kind" 0 "$bgdet" manual $kind
    cp out $kind
done
claim "an unknown manual is refused" 64 "$bgdet" manual tcsh; says err 'man, bash, zsh or fish'
claim "a manual nobody can read" 75 bash -c "'$bgdet' manual man >/dev/full"

what="every option stands everywhere"
for command in score show eval diff verify merge convert inspect infer bench manual; do
    for option in $("$bgdet" $command --help | grep -oE '^  (-.,|   ) --[a-z0-9-]+' | grep -oE '[^ -][a-z0-9-]+$'); do
        check "$command --$option is not in the page" grep -qF -- "\\-\\-${option//-/\\-}" man
        check "$command --$option is not in zsh's" grep -qE -- "--$option(=|\[|\})" zsh
        check "$command --$option is not in fish's" grep -qE -- "from $command'.* -l $option " fish
        check "$command --$option is not in bash's" grep -qE -- "^ .*--$option " bash
    done
done
if command -v groff >/dev/null; then
    claim "the page is sound" 0 groff -man -Tutf8 -ww -z man
    check "groff warns: $(cat err)" test ! -s err
fi

# ---------------------------------------------------------------- bash

bash -n bash || failed=$((failed + 1))
. ./bash
mkdir folders && mkdir folders/one && touch folders/two
# completes "WHAT" "EXPECTED..." WORD...: what bash offers for the last word, as readline cuts them (at '=', too)
completes() {
    what=$1 expected=$2
    shift 2
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _bgdet
    check "offers \"${COMPREPLY[*]}\", expected \"$expected\"" test "${COMPREPLY[*]}" = "$expected"
}
completes "a command" "score show" bgdet s
completes "an option" "--decode --device" bgdet score x.jpg --de
completes "an option of another command" "" bgdet show --for
completes "a choice" "exact" bgdet score --decode e
completes "a choice behind =" "exact" bgdet score --decode = e
completes "all choices behind =" "scaled exact" bgdet eval --decode =
completes "a choice of a letter" "csv" bgdet score -f c
completes "a value that may be left out" "platt" bgdet eval --calibrate = p
completes "all that may be left out" "temperature platt" bgdet eval --calibrate =
completes "what follows where it was left out" "" bgdet eval --calibrate p
completes "a folder" "folders/one" bgdet score --masks folders/
completes "files, which are bash's own" "" bgdet score --sheet fol
completes "a number" "" bgdet score --threads 1
completes "an operand of a few" "zsh" bgdet manual z

# ---------------------------------------------------------------- other shells, if they are here

if command -v zsh >/dev/null; then
    claim "zsh reads its own" 0 zsh -n zsh
fi
if command -v fish >/dev/null; then
    # offers "WHAT" "LINE" "EXPECTED..."
    offers() {
        export HOME=$folder
        claim "$1" 0 fish --no-config -c "source fish; complete -C '$2'"
        check "fish offers \"$(cut -f1 out | tr '\n' ' ')\", expected \"$3\"" test "$(cut -f1 out | sort | tr '\n' ' ')" = "$3 "
    }
    offers "fish: a command" "bgdet s" "score show"
    offers "fish: an option" "bgdet score --de" "--decode --device"
    offers "fish: a choice" "bgdet score --decode e" "exact"
    offers "fish: a value that may be left out" "bgdet eval --calibrate=p" "--calibrate=platt"
    offers "fish: a folder" "bgdet score --masks folders/" "folders/one/"
    offers "fish: an operand" "bgdet manual z" "zsh"
fi

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
