# Shared by the end-to-end scripts over PostgreSQL: clusters beside the temporary directory of lib.sh (which
# only its owner may enter, and PostgreSQL may be another user), stopped by their own ids and removed.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pg=$root/tests/support/postgres
clusters=$(mktemp -d /tmp/ds-pg-XXXXXX)
chmod 711 "$clusters"

stop_clusters() {
    local status=$? one
    for one in "$clusters"/*/; do
        [ -d "$one/data" ] && "$pg" stop "$one" >/dev/null 2>&1 || true
    done
    rm -rf "$clusters"
    (exit "$status")
    finish
}
trap stop_clusters EXIT

ls -d /usr/lib/postgresql/*/bin >/dev/null 2>&1 || {
    echo "skipped: PostgreSQL is not installed (toolchains/setup test)"
    exit 77
}

# one_more_centre DIR: another doorstepd for the same county; adds to `addresses` and `centres`.
addresses=''
centres=()
one_more_centre() {
    start_centre "$1"
    addresses=${addresses:+$addresses,}127.0.0.1:$centre_port
    centres+=("$centre_pid")
}

# counted NAME: what doorstepd status says of it.
counted() { "$bin/doorstepd" status "$c" --json | json "$1"; }

# everything_once FRAMES HOUSEHOLDS: nothing is lost and nothing is doubled, and the log makes this state.
everything_once() {
    local frames households same
    frames=$(counted frames) households=$(counted households)
    [ "$frames" = "$1" ] || die "$frames frames are here instead of $1"
    [ "$households" = "$2" ] || die "$households households are here instead of $2"
    [ "$(counted submissions)" = "$2" ] || die "$(counted submissions) visits are here instead of $2"
    [ "$(counted frames_quarantined)" = 0 ] || die "frames were set apart"
    same=$("$bin/doorstepd" check "$c" --replay --json | json same)
    [ "$same" = true ] || die "the log makes another state"
}
