# shellcheck shell=bash
# What the tests of the command line share: a scratch folder, which they are in from here on, and claims that are counted.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
passed=0 failed=0
# A sanitizer's own exit codes are those of --fail-on and of a missing file.
export ASAN_OPTIONS=exitcode=99 TSAN_OPTIONS=exitcode=99 UBSAN_OPTIONS=exitcode=99

# claim "WHAT" EXIT COMMAND...: the command ends with that code; its output is then in out and err
claim() {
    what=$1 expected=$2
    shift 2
    "$@" >out 2>err </dev/null
    code=$?
    grep -E 'Sanitizer:|runtime error:' err && code=99
    if [ $code -eq "$expected" ]; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAIL: $what: exit $code, expected $expected"
        sed 's/^/    /' err | head -20
    fi
}
# check "WHAT IS WRONG" COMMAND...: the command succeeds
check() {
    wrong=$1
    shift
    if "$@"; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAIL: $what: $wrong"
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
