#!/bin/sh
# A fleet of real processes on this machine: one orch-broker and N orch-node, with certificates made by `orch pki`,
# each node with facts and classes of its own.
#
#   examples/fleet.sh start DIR [N]    make a fleet of N nodes (25) in DIR and start it
#   examples/fleet.sh start DIR        start again what is in DIR
#   examples/fleet.sh status DIR       which of its processes run
#   examples/fleet.sh stop DIR         end them; DIR stays
#
# What they write is in DIR. The programs are taken from ORCH_BIN, from target/release or
# target/debug beside this script, or from PATH.
set -eu

usage() {
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    exit 64
}

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "fleet.sh: $*"
    exit 1
}

here=$(cd "$(dirname "$0")" && pwd -P)

# The folder of the programs; empty when they are in PATH.
programs() {
    for folder in "${ORCH_BIN:-}" "$here/../target/release" "$here/../target/debug"; do
        if [ -n "$folder" ] && [ -x "$folder/orch" ] && [ -x "$folder/orch-broker" ] && [ -x "$folder/orch-node" ]; then
            (cd "$folder" && printf '%s/' "$(pwd -P)")
            return
        fi
    done
    for program in orch orch-broker orch-node; do
        command -v "$program" >/dev/null || fail "$program is not there: run \`cargo build --release\` or set ORCH_BIN"
    done
}

# Whether the process of a pid file runs, and is the program it should be: a pid may have been given to another.
runs() {
    [ -s "$1" ] || return 1
    pid=$(cat "$1")
    kill -0 "$pid" 2>/dev/null || return 1
    # Not every machine has ps, and not every system has /proc.
    { tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null || ps -o args= -p "$pid" 2>/dev/null; } | grep -q "orch-$2"
}

# What kind of machine the node with number $1 is: role, environment, datacenter, operating system, cores, memory.
describe() {
    case $(($1 % 5)) in
        1 | 2) role=web os=Debian family=Debian release=12 cores=2 memory=8 ;;
        3) role=db os=Rocky family=RedHat release=9 cores=16 memory=64 ;;
        4) role=app os=Ubuntu family=Debian release=24 cores=4 memory=16 ;;
        0) role=cache os=Debian family=Debian release=12 cores=8 memory=32 ;;
    esac
    case $(($1 % 3)) in
        0) datacenter=fra1 ;;
        1) datacenter=ams2 ;;
        2) datacenter=lon3 ;;
    esac
    environment=production
    [ $(($1 % 10)) -ne 7 ] || environment=staging
}

furnish() {
    mkdir -p "$1/facts.d"
    cat >"$1/facts.d/fleet.json" <<FACTS
{
  "role": "$role", "environment": "$environment", "datacenter": "$datacenter",
  "os": { "name": "$os", "family": "$family", "release": { "major": "$release" } },
  "processors": { "count": $cores },
  "memory": { "system": { "total_bytes": $((memory * 1073741824)) } }
}
FACTS
    printf 'base\nrole::%s\nenv::%s\n' "$role" "$environment" >"$1/classes.txt"
    # The sample agents; a node runs none that others than its user may write.
    mkdir -p "$1/agents"
    cp "$here"/agents/* "$1/agents/"
    chmod -R go-w "$1/agents"
    # They stand in the place of the built-in agents: what those change would be this machine, once for each node.
    awk '{ print } $0 == "[agents]" { print "builtin = []" }' "$1/node.toml" >"$1/node.toml.new"
    mv "$1/node.toml.new" "$1/node.toml"
}

make() {
    dir=$1 count=$2
    case $count in
        '' | *[!0-9]* | 0) fail "$count is no number of nodes" ;;
    esac
    # The system chooses the port: the broker writes it into a file, and what is added then is told.
    "${bin}orch" -q pki init "$dir" --broker 127.0.0.1 --port 0 --local >/dev/null
    start_broker "$dir"
    address=$(cat "$dir/broker/address")
    for file in "$dir/fleet.toml" "$dir/broker/broker.toml"; do
        sed "s/\"127\.0\.0\.1:0\"/\"$address\"/" "$file" >"$file.new"
        mv "$file.new" "$file"
    done

    number=1
    while [ "$number" -le "$count" ]; do
        describe "$number"
        eval "next=\$((\${${role}_count:-0} + 1)); ${role}_count=\$next"
        name=$role$next
        printf '%s %s\n' "$number" "$name"
        number=$((number + 1))
    done >"$dir/nodes.list"
    names=$(cut -d' ' -f2 "$dir/nodes.list")
    # shellcheck disable=SC2086 # one argument for each name
    "${bin}orch" -q pki add-node "$dir" $names >/dev/null
    while read -r number name; do
        describe "$number"
        furnish "$dir/nodes/$name"
    done <"$dir/nodes.list"

    "${bin}orch" -q pki add-operator "$dir" admin >/dev/null
    # The operator's file once more where the fleet is, so that `--config DIR/orch.toml` is all one has to type.
    mkdir -p "$dir/agents"
    cp "$here"/agents/*.json "$dir/agents/"
    {
        sed 's#^\(ca\|cert\|key\|psk\) = "#&operators/admin/#' "$dir/operators/admin/orch.toml"
        printf 'agents = ["agents"]\n'
    } >"$dir/orch.toml"
}

start_broker() {
    rm -f "$1/broker/address"
    "${bin}orch-broker" --config "$1/broker/broker.toml" --port-file "$1/broker/address" \
        >"$1/broker/log" 2>&1 </dev/null &
    echo $! >"$1/broker/pid"
    tries=0
    until [ -s "$1/broker/address" ]; do
        # By its pid alone: until it has become the broker it still bears the name of this script.
        kill -0 "$(cat "$1/broker/pid")" 2>/dev/null || fail "the broker did not start: $(tail -n 1 "$1/broker/log")"
        tries=$((tries + 1))
        [ "$tries" -le 100 ] || fail "the broker does not listen; see $1/broker/log"
        sleep 0.1
    done
}

start_nodes() {
    for folder in "$1"/nodes/*/; do
        folder=${folder%/}
        if ! runs "$folder/pid" node; then
            "${bin}orch-node" --config "$folder/node.toml" >"$folder/log" 2>&1 </dev/null &
            echo $! >"$folder/pid"
        fi
    done
}

# Until as many nodes answer as there are folders.
await() {
    wanted=$(ls "$1/nodes" | wc -l)
    wanted=$((wanted)) tries=0
    while :; do
        found=$("${bin}orch" --config "$1/orch.toml" find 2>/dev/null | wc -l)
        found=$((found))
        [ "$found" -lt "$wanted" ] || return 0
        tries=$((tries + 1))
        [ "$tries" -le 60 ] || fail "only $found of $wanted nodes answer; their logs are in $1/nodes/*/log"
        sleep 0.5
    done
}

start() {
    dir=$1
    if [ -e "$dir/fleet.toml" ]; then
        [ -z "${2:-}" ] || say "$dir holds a fleet already: starting that one"
        dir=$(cd "$dir" && pwd -P)
        runs "$dir/broker/pid" broker || start_broker "$dir"
    else
        mkdir -p "$dir"
        dir=$(cd "$dir" && pwd -P)
        make "$dir" "${2:-25}"
    fi
    start_nodes "$dir"
    await "$dir"
    printf '%s nodes and a broker at %s\n\n' "$wanted" "$(cat "$dir/broker/address")"
    printf '  orch --config %s/orch.toml find\n' "$1"
    printf '  orch --config %s/orch.toml script examples/inventory.orch\n' "$1"
    printf '  %s stop %s\n' "$0" "$1"
}

# Asks the processes of pid files to end and waits until they have: $1 is their kind, the files follow.
end_all() {
    kind=$1
    shift
    for file; do
        if runs "$file" "$kind"; then
            kill "$pid" 2>/dev/null || true
            ended=$((ended + 1))
        fi
    done
    tries=0
    for file; do
        while runs "$file" "$kind"; do
            tries=$((tries + 1))
            [ "$tries" -le 200 ] || fail "process $pid does not end"
            sleep 0.1
        done
        rm -f "$file"
    done
}

stop() {
    [ -e "$1/fleet.toml" ] || fail "$1 holds no fleet"
    ended=0
    # The nodes first, so that they can still say goodbye.
    end_all node "$1"/nodes/*/pid
    end_all broker "$1/broker/pid"
    printf '%s processes ended; remove %s when you no longer need it\n' "$ended" "$1"
}

status() {
    [ -e "$1/fleet.toml" ] || fail "$1 holds no fleet"
    up=0 down=''
    for folder in "$1"/nodes/*/; do
        if runs "${folder}pid" node; then up=$((up + 1)); else down="$down $(basename "$folder")"; fi
    done
    if runs "$1/broker/pid" broker; then broker=runs; else broker='does not run'; fi
    printf 'the broker %s, %s nodes run%s\n' "$broker" "$up" "${down:+, these do not:$down}"
}

[ $# -ge 2 ] && [ $# -le 3 ] || usage
bin=$(programs)
case $1 in
    start) start "$2" "${3:-}" ;;
    stop) stop "$2" ;;
    status) status "$2" ;;
    *) usage ;;
esac
