# SPDX-License-Identifier: Apache-2.0
#
# own.bash: what the files share whose tests have a daemon each, on top of helpers.bash and
# daemon.bash.
#
# shellcheck shell=bash disable=SC2154,SC2034,SC2030,SC2031 # shared with helpers and tests

setup() {
	need_machine
	LIMIT=30
	T=$BATS_TEST_TMPDIR
	GUEST=$(dirname "$PROGRAMS")/guest-cli/musl
	BB=$PROGRAMS/busybox
	[ -x "$GUEST/hello" ] || fail "$GUEST/hello is missing: run make check-build"
	# What a test leaves: processes, a directory that is not in $T, a cgroup.
	children=() elsewhere='' cgroup=''
}

teardown() {
	local pid
	for pid in "${children[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	daemon_kill
	[ -z "$elsewhere" ] || rm -rf "$elsewhere"
	[ -z "$cgroup" ] || until_true 5 rmdir "$cgroup"
}

# ---- clients ----

# in_background NAME CURL-OPTION... PATH: the reply goes to $T/NAME, its status to $T/NAME.code.
in_background() {
	local name=$1 path=${*: -1}
	shift
	curl -sS --max-time "$LIMIT" --unix-socket "$SOCKET" -o "$T/$name" -w '%{http_code}' \
		"${@:1:$#-1}" "http://mayfly$path" >"$T/$name.code" 2>"$T/$name.curl" 3>&- &
	children+=($!)
}

# All that were begun so.
wait_for_all() {
	local pid
	for pid in "${children[@]}"; do
		wait "$pid" || true
	done
	children=()
}

# run_in_background PROGRAM ARG...: by mayfly run --pool; its streams go to $T/run.out and $T/run.err.
run_in_background() {
	"$MAYFLY" run --pool "$@" >"$T/run.out" 2>"$T/run.err" 3>&- &
	children+=($!)
}

# ---- VMs ----

# hello [MEMBERS]: runs it in a VM, which must be as it should be; the reply stays.
hello() {
	asked 200 POST /v1/vms "{\"image\":\"$GUEST/hello\",\"wait\":true${1:+,$1}}"
	has '.exit_code == 0 and .stdout == "Hello, world\n"'
}

# start_is CODE: for until_true: how such a start is answered.
start_is() {
	api POST /v1/vms "{\"image\":\"$GUEST/hello\",\"wait\":true}"
	[ "$code" = "$1" ]
}

# waiter NAME [MEMBERS]: a VM that runs on; $pid.
waiter() {
	create "{\"image\":\"$GUEST/handler\",\"args\":[\"wait\"],\"name\":\"$1\"${2:+,$2}}"
	pid=$(field .pid)
}

# waiters COUNT: that many.
waiters() {
	requests "$1" "{\"image\":\"$GUEST/handler\",\"args\":[\"wait\"]}"
	[ "$(grep -c '"state":"running"' "$replies")" -eq "$1" ] || fail "$(cat "$replies")"
}

# For until_true: so many VMs in that state.
count_is() { # STATE N
	api GET "/v1/vms?state=$1"
	[ "$(field '.vms | length')" -eq "$2" ]
}

said() { # VM TEXT
	api GET "/v1/vms/$1/logs"
	grep -q "$2" "$body"
}

# says TEXT: the error that was answered last.
says() {
	[[ "$(field .error.message)" == *"$1"* ]] || fail "no '$1' in: $(cat "$body")"
}

# ---- the pool ----

# pool JQ-EXPRESSION: is it true of the first flavour, now?
pool() {
	api GET /v1/pool
	jq -e ".flavours[0] | $1" "$body" >/dev/null
}

is_settled() {
	pool '.preparing == 0 and .ready == .target'
}

metric() { # NAME-AND-LABELS
	asked 200 GET /metrics
	awk -v name="$1" '$1 == name { print $2 }' "$body"
}

# ---- users ----

# as_nobody DIR: has daemon_start's daemons run as the user nobody, who may use /dev/kvm; DIR is
# theirs. Or skips: this takes what root may in a machine, and not in every container.
as_nobody() {
	local number
	[ "$(id -u)" -eq 0 ] || skip "only root can start a daemon as another user"
	mkdir "$1/dev" "$1/run"
	chown nobody "$1/run"
	chmod 755 "$1"
	number=$(stat -c '%t %T' /dev/kvm)
	# shellcheck disable=SC2016
	DAEMON_UNDER=(unshare -m --propagation private bash -c '
		mount -t tmpfs none "$0/dev" && mknod -m 666 "$0/dev/kvm" c "$1" "$2" &&
			mount --bind "$0/dev/kvm" /dev/kvm && shift 2 &&
			exec setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"'
		"$1" "$((16#${number% *}))" "$((16#${number#* }))")
	"${DAEMON_UNDER[@]}" bash -c ': <>/dev/kvm' 2>"$1/why" ||
		skip "nobody cannot be given /dev/kvm: $(tail -n 1 "$1/why")"
	"${DAEMON_UNDER[@]}" test -x "$MAYFLY" -a -w "$1/run" || skip "nobody cannot execute $MAYFLY"
}
