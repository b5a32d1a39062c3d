# Shared by the end-to-end scripts: a temporary directory, a centre and handhelds as separate processes on loopback, all stopped by the ids
# they were started with. The first argument of every script is the build directory.
set -euo pipefail
export LC_ALL=C.UTF-8
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${1:?build directory}
bin=$build/bin
tools=$build/tests
pids=()
keep=0
work=$(mktemp -d "${TMPDIR:-/tmp}/doorstep.XXXXXX")
unset DOORSTEP_DATA

finish() {
    status=$?
    if [ "$keep" = 0 ]; then
        for p in "${pids[@]:-}"; do [ -n "$p" ] && kill "$p" 2>/dev/null || true; done
        wait 2>/dev/null || true
        rm -rf "$work"
    fi
    exit $status
}
trap finish EXIT

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
die() { printf 'failed: %s\n' "$*" >&2; exit 1; }

# The value of a name in a flat JSON object on standard input.
json() { perl -0777 -ne 'print $2 if /"'"$1"'"\s*:\s*("?)(.*?)\1\s*[,}\]]/s'; }

# exit_codes: the codes by name ($USAGE, $FULL ...), as platform/base/err.c gives them
exit_codes() {
    eval "$(perl -0777 -ne 'print uc($1), "=$2\n" while /\[ERR_(\w+)\]\s*=\s*\{\s*"[^"]*",\s*(\d+)/g' \
        "$root/platform/base/err.c")"
}

# first_line FILE: waits until FILE has a line (at most 10 s) and prints it.
first_line() {
    for _ in $(seq 100); do
        if [ -s "$1" ] && IFS= read -r line <"$1"; then printf '%s' "$line"; return 0; fi
        sleep 0.1
    done
    die "nothing appeared in $1"
}

# start_centre DIR: sets centre_port, centre_pid.
start_centre() {
    : >"$work/centre.port"
    "$bin/doorstepd" serve "$1" --listen 127.0.0.1:0 --print-port >"$work/centre.port" 2>>"$work/centre.log" &
    centre_pid=$!
    pids+=("$centre_pid")
    centre_port=$(first_line "$work/centre.port")
}

# start_relay: sets relay_port, relay_pid. `cut_after N` orders a cut; the counts are in $work/wire.
start_relay() {
    : >"$work/relay.port"
    "$tools/relay" "$centre_port" --stats "$work/wire" --cut "$work/cut" >"$work/relay.port" &
    relay_pid=$!
    pids+=("$relay_pid")
    relay_port=$(first_line "$work/relay.port")
}
cut_after() { echo "$1" >"$work/cut.new"; mv "$work/cut.new" "$work/cut"; }

# enrol DEVICE_DIR PERSON AREA PORT
enrol() {
    local ticket
    ticket=$("$bin/doorstepd" enrol-token "$work/centre" --person "$2" --role cadre --area "$3" --url "http://127.0.0.1:$4" --json)
    "$bin/doorstep" enrol "$(printf '%s' "$ticket" | json token)" --centre "http://127.0.0.1:$4" \
        --root "$(printf '%s' "$ticket" | json fingerprint)" --data "$1" 2>/dev/null
}

wire_up() { awk '{print $4}' "$work/wire"; }
wire_down() { awk '{print $6}' "$work/wire"; }
wire_cuts() { awk '{print $8}' "$work/wire"; }
