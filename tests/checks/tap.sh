# Sourced by the checks: counts and prints TAP.
number=0 failures=0

# ok NAME COMMAND...: the command's success is the test's; what it printed is shown when it fails.
ok() {
    local name=$1 output
    shift
    number=$((number + 1))
    if output=$("$@" 2>&1); then
        echo "ok $number - $name"
    else
        failures=$((failures + 1))
        echo "not ok $number - $name"
        printf '%s\n' "$output" | sed 's/^/# /'
    fi
}

# none NAME COMMAND...: the command finds nothing, that is, prints nothing.
none() {
    local name=$1
    shift
    prints_nothing() { local found; found=$("$@"); printf '%s' "$found"; [ -z "$found" ]; }
    ok "$name" prints_nothing "$@"
}

skip() {
    number=$((number + 1))
    echo "ok $number - $1 # SKIP $2"
}

finish() {
    echo "1..$number"
    [ "$failures" -eq 0 ]
}
