#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# daemon.bats: the life of the daemon and of its VMs: starts and ends, sockets and directories,
# users, pausing, and that nothing is left or leaks. What goes wrong is in safety.bats.
#
# shellcheck disable=SC2154,SC2030,SC2031,SC2314 # shared with helpers; bats' subshells

load helpers
load daemon
load own

# refuses TEXT COMMAND...: it ends with 125 and one line that has TEXT.
refuses() {
	local text=$1
	shift
	run timeout 10 "$@"
	[ "$status" -eq 125 ] || fail "exit code $status, not 125: $output"
	[[ $output == *"$text"* ]] || fail "not a word of '$text': $output"
	[ "${#lines[@]}" -eq 1 ] || fail "not one line: $output"
}

# ---- starting and ending ----

@test "SIGTERM ends all VMs, tells who waits, and leaves no process and no file of theirs" {
	daemon_start "$T" --shells 3 --max-shells 8
	grep -q "ready on $SOCKET" "$DAEMON_LOG"
	[ "$(stat -c %a "$SOCKET" "$SOCKET.run" | xargs)" = '600 600' ]
	for i in 1 2 3; do
		create "{\"image\":\"$GUEST/handler\",\"args\":[\"spin\",\"handle\"],\"name\":\"vm$i\"}"
	done
	in_background waited -d "{\"image\":\"$GUEST/handler\",\"args\":[\"wait\"],\"wait\":true}" /v1/vms
	run_in_background "$GUEST/handler" wait
	until_true 10 count_is running 5
	until_true 10 said vm1 ready
	pids="$(zygote) $(shells)"
	[ "$(wc -w <<<"$pids")" -ge 6 ]
	daemon_end
	# shellcheck disable=SC2086
	all_ended $pids
	code=0
	wait "${children[1]}" || code=$?
	[ $code -eq 125 ]
	grep -q '^mayfly: .*daemon' "$T/run.err"
	wait "${children[0]}"
	[ "$(jq -r '"\(.exit_code) \(.end) \(.reason)"' "$T/waited")" = '125 failed the daemon was ended' ]
	[ ! -e "$SOCKET" ]
	[ ! -e "$SOCKET.run" ]
	# It was found out in the zygote's namespace, and would not be true of the machine's init.
	[ ! -e "$MAYFLY_RUN_DIR/orphans-are-reaped" ]
	files_are 0 0
}

@test "SIGINT ends it, too, and a start that waits for its image" {
	cp "$GUEST/hello" "$T/large"
	truncate -s 300M "$T/large"
	daemon_start "$T" --shells 1 --max-shells 1
	in_background waited -d "{\"image\":\"$T/large\",\"wait\":true}" /v1/vms
	until_true 10 pgrep -P "$DAEMON_PID" -f '^mayfly-image' >/dev/null
	job=$(pgrep -P "$DAEMON_PID" -f '^mayfly-image')
	kill -INT "$DAEMON_PID"
	until_true 10 not_running "$DAEMON_PID"
	wait "$DAEMON_PID"
	all_ended "$job"
	wait "${children[0]}"
	grep -q 'the daemon' "$T/waited"
}

@test "a second daemon: refused, and the first does not notice" {
	daemon_start "$T" --shells 1 --max-shells 1
	refuses "another daemon, of pid $DAEMON_PID," "$MAYFLY" daemon
	refuses "another daemon, of pid $DAEMON_PID," "$MAYFLY" daemon --socket "$T/other.sock"
	refuses "listens on $SOCKET already" env MAYFLY_RUN_DIR="$T/other" "$MAYFLY" daemon --socket "$SOCKET"
	hello
	[ "$(stat -c %a "$SOCKET")" = 600 ]
}

@test "what stands where its socket is to be: a dead socket goes, anything else stays" {
	daemon_start "$T" --shells 1 --max-shells 1
	daemon_kill
	[ -S "$SOCKET" ]
	[ -S "$SOCKET.run" ]
	daemon_start "$T" --shells 1 --max-shells 1
	hello
	daemon_end
	echo precious >"$T/file"
	mkdir "$T/empty"
	ln -s "$T/file" "$T/link"
	for path in "$T/file" "$T/empty" "$T/link"; do
		refuses "$path is there" "$MAYFLY" daemon --socket "$path"
	done
	[ "$(cat "$T/file")" = precious ]
	[ -L "$T/link" ]
	refuses 'bytes at most' "$MAYFLY" daemon --socket "$T/$(printf 'long%.0s' {1..30})"
}

@test "run directories that cannot be had" {
	echo >"$T/file"
	mkdir "$T/others" "$T/open"
	ln -s "$T/open" "$T/link"
	refuses "cannot make the run directory $T/no/such" env MAYFLY_RUN_DIR="$T/no/such" "$MAYFLY" daemon
	refuses 'cannot make the run directory /proc/mayfly' env MAYFLY_RUN_DIR=/proc/mayfly "$MAYFLY" daemon
	refuses "cannot open the run directory $T/file" env MAYFLY_RUN_DIR="$T/file" "$MAYFLY" daemon
	refuses "cannot open the run directory $T/link" env MAYFLY_RUN_DIR="$T/link" "$MAYFLY" daemon
	if [ "$(id -u)" -eq 0 ]; then
		chown nobody "$T/others"
		refuses 'belongs to user' env MAYFLY_RUN_DIR="$T/others" "$MAYFLY" daemon
	fi
	# One that others can look into becomes ours alone.
	chmod 777 "$T/open"
	env MAYFLY_RUN_DIR="$T/open" "$MAYFLY" daemon --shells 0 >"$T/log" 2>&1 3>&- &
	children+=($!)
	until_true 10 test -S "$T/open/mayfly.sock"
	[ "$(stat -c %a "$T/open")" = 700 ]
}

@test "options that are wrong" {
	export MAYFLY_RUN_DIR=$T/run
	refuses 'a number of 0 to' "$MAYFLY" daemon --shells many
	refuses 'a number of 0 to' "$MAYFLY" daemon --shells -1
	refuses 'less than its minimum' "$MAYFLY" daemon --shells 5 --max-shells 4
	refuses 'a size is wanted' "$MAYFLY" daemon --memory lots
	refuses 'MiB of memory at least' "$MAYFLY" daemon --memory 1M
	refuses '--uids' "$MAYFLY" daemon --uids 0:10
	refuses "root $T/nowhere" "$MAYFLY" daemon --root "$T/nowhere"
	refuses 'no such option' "$MAYFLY" daemon --bogus
	refuses 'options only' "$MAYFLY" daemon start
}

# activated KIND:PATH...: has daemon_start's daemons get these sockets, as systemd does it.
# $listen_pid is for whom they are, if not for the daemon.
activated() {
	cat >"$T/activate.py" <<-'PY'
		import os, socket, sys

		kinds = {"stream": socket.SOCK_STREAM, "seqpacket": socket.SOCK_SEQPACKET,
		         "dgram": socket.SOCK_DGRAM}
		end = sys.argv.index("--")
		sockets = []
		os.umask(0o177)
		for kind, path in (argument.split(":") for argument in sys.argv[2:end]):
		    s = socket.socket(socket.AF_UNIX, kinds[kind])
		    s.bind(path)
		    if kind != "dgram":
		        s.listen()
		    sockets.append(s)
		# Out of the way first: one may have the number that another is to get.
		for i, s in enumerate(sockets):
		    os.dup2(s.fileno(), 100 + i)
		for i, s in enumerate(sockets):
		    os.dup2(100 + i, 3 + i)
		    os.close(100 + i)
		os.environ.update(LISTEN_FDS=str(len(sockets)), LISTEN_PID=sys.argv[1] or str(os.getpid()))
		os.execv(sys.argv[end + 1], sys.argv[end + 1:])
	PY
	DAEMON_UNDER=(python3 "$T/activate.py" "$listen_pid" "$@" --)
}

@test "sockets that systemd has made" {
	listen_pid=
	mkdir "$T/run"
	activated "stream:$T/run/mayfly.sock" "seqpacket:$T/run/mayfly.sock.run"
	daemon_start "$T" --shells 1 --max-shells 1
	grep -q "ready on $SOCKET" "$DAEMON_LOG"
	hello
	[ "$("$MAYFLY" run --pool "$GUEST/hello")" = 'Hello, world' ]
	daemon_end
	# They are systemd's, and stay.
	[ -S "$SOCKET" ]
	[ -S "$SOCKET.run" ]
	# The other one is made beside what there is, wherever that is.
	activated "stream:$T/else.sock"
	"${DAEMON_UNDER[@]}" "$MAYFLY" daemon --shells 1 --max-shells 1 >"$T/else.log" 2>&1 3>&- &
	DAEMON_PID=$!
	until_true 10 grep -q "ready on $T/else.sock" "$T/else.log"
	[ -S "$T/else.sock.run" ]
	daemon_end
	[ -S "$T/else.sock" ]
	[ ! -e "$T/else.sock.run" ]
}

@test "sockets that are not what the daemon wants, or not for it" {
	listen_pid=
	export MAYFLY_RUN_DIR=$T/run
	activated "dgram:$T/dgram"
	refuses 'has passed a socket of another kind' "${DAEMON_UNDER[@]}" "$MAYFLY" daemon
	activated "stream:$T/1" "stream:$T/2"
	refuses 'has passed a socket of another kind' "${DAEMON_UNDER[@]}" "$MAYFLY" daemon
	listen_pid=1
	activated "stream:$T/3"
	daemon_start "$T" --shells 1 --max-shells 1
	hello
}

@test "it tells systemd when it is ready, and when it ends" {
	python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
s.settimeout(60)
while True:
    print(s.recv(4096).decode(), flush=True)' "$T/notify" >"$T/told" 3>&- &
	children+=($!)
	until_true 10 test -S "$T/notify"
	DAEMON_UNDER=(env NOTIFY_SOCKET="$T/notify")
	daemon_start "$T" --shells 1 --max-shells 1
	until_true 5 grep -q '^READY=1$' "$T/told"
	grep -q "^STATUS=.*$SOCKET" "$T/told"
	daemon_end
	until_true 5 grep -q '^STOPPING=1$' "$T/told"
}

# ---- what it may reach ----

@test "--root: images are looked up beneath it, and there is no way out" {
	local way
	mkdir -p "$T/root/bin" "$T/root/sub" "$T/outside"
	cp "$GUEST/hello" "$T/root/bin/"
	cp "$GUEST/status" "$T/outside/"
	ln -s /bin/hello "$T/root/absolute"
	ln -s ../../../../../../../../../../bin/hello "$T/root/sub/dots"
	ln -s "$T/outside/status" "$T/root/out"
	ln -s ../outside/status "$T/root/up"
	ln -s ../outside "$T/root/dir"
	ln -s /proc/self/exe "$T/root/magic"
	daemon_start "$T" --shells 2 --max-shells 2 --root "$T/root"
	for way in /bin/hello /absolute /sub/dots /../bin/hello /sub/../bin/hello; do
		asked 200 POST /v1/vms "{\"image\":\"$way\",\"wait\":true}"
		has '.stdout == "Hello, world\n"'
	done
	for way in "$T/outside/status" "$T/root/bin/hello" /out /up /dir/status /../outside/status \
		/magic /proc/self/exe "$GUEST/hello"; do
		asked 422 POST /v1/vms "{\"image\":\"$way\",\"wait\":true}"
		has '.error.exit_code == 127'
	done
	# What the program sees of its own path is what is beneath.
	cp "$BB" "$T/root/bin/"
	asked 200 POST /v1/vms '{"image":"/absolute","argv0":"x","wait":true,"rm":false,"name":"a"}'
	asked 200 POST /v1/vms '{"image":"/bin/busybox","args":["readlink","/proc/self/exe"],"wait":true}'
	has '.stdout == "/bin/busybox\n"'
	# Replaced while the daemon knows it: the new one.
	sleep 0.1
	cp "$GUEST/handler" "$T/root/bin/new"
	mv "$T/root/bin/new" "$T/root/bin/hello"
	asked 200 POST /v1/vms '{"image":"/absolute","args":[],"wait":true}'
	has '.exit_code == 2 and .stdout == ""'
}

@test "an unprivileged user's daemon: VMs in a jail, or what is missing" {
	elsewhere=$(mktemp -d /tmp/mayfly-test.XXXXXX)
	as_nobody "$elsewhere"
	cp "$GUEST/hello" "$GUEST/handler" "$elsewhere"
	daemon_start "$elsewhere" --shells 2 --max-shells 2
	asked 200 POST /v1/vms "{\"image\":\"$elsewhere/hello\",\"wait\":true}"
	has '.stdout == "Hello, world\n"'
	create "{\"image\":\"$elsewhere/handler\",\"args\":[\"spin\"]}"
	pid=$(field .pid)
	[ "$(stat -c %U "/proc/$pid")" = nobody ]
	grep -q '^CapEff:[[:space:]]*0*$' "/proc/$pid/status"
	grep -q '^CapBnd:[[:space:]]*0*$' "/proc/$pid/status"
	grep -q '^NoNewPrivs:[[:space:]]*1$' "/proc/$pid/status"
	grep -q '^Seccomp:[[:space:]]*2$' "/proc/$pid/status"
	for kind in pid net mnt ipc uts user; do
		[ "$(readlink "/proc/$pid/ns/$kind")" != "$(readlink "/proc/self/ns/$kind")" ] || fail "its $kind namespace is ours"
	done
	daemon_end
	not_running "$pid"
	# Its own options, and what it cannot have.
	DAEMON_UNDER=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
	refuses 'only root' "${DAEMON_UNDER[@]}" "$MAYFLY" daemon --uids 100000:10
	[ -w /dev/kvm ] && [ "$(stat -c %a /dev/kvm | cut -c3)" -lt 6 ] || skip 'everybody may use /dev/kvm here'
	refuses 'cannot open /dev/kvm: join its group' "${DAEMON_UNDER[@]}" "$MAYFLY" daemon
}

@test "images that only their owner may read: the daemon's user may, whoever the VM's process is" {
	daemon_start "$T" --shells 1 --max-shells 1
	cp "$GUEST/hello" "$T/mine"
	chmod 700 "$T/mine"
	asked 200 POST /v1/vms "{\"image\":\"$T/mine\",\"wait\":true}"
	has '.exit_code == 0'
	chmod 600 "$T/mine"
	asked 422 POST /v1/vms "{\"image\":\"$T/mine\",\"wait\":true}"
	has '.error.exit_code == 126 and (.error.message | contains("chmod +x"))'
}

# ---- VMs ----

@test "a VM that computes: paused it makes no progress, resumed it goes on" {
	daemon_start "$T" --shells 1 --max-shells 1
	create "{\"image\":\"$GUEST/ticks\",\"args\":[\"compute\",\"5\",\"1000000\"],\"name\":\"vm\"}"
	pid=$(field .pid)
	until_true 10 said vm .
	for _ in 1 2 3; do
		asked 200 POST /v1/vms/vm/pause
		has '.state == "paused"'
		asked 200 GET /v1/vms/vm/logs
		bytes=$(wc -c <"$body") ticks=$(cpu_ticks "$pid")
		sleep 0.3
		asked 200 GET /v1/vms/vm/logs
		[ "$(wc -c <"$body")" -eq "$bytes" ]
		[ "$(cpu_ticks "$pid")" -eq "$ticks" ]
		# It answers all the same.
		asked 200 GET /v1/vms/vm/stats
		has '.state == "paused" and .stdout_bytes == '"$bytes"
		asked 200 POST /v1/vms/vm/resume
		has '.state == "running"'
		until_true 10 has_more_than "$bytes"
		[ "$(cpu_ticks "$pid")" -gt "$ticks" ] || until_true 5 has_computed "$ticks"
	done
}

has_more_than() { # BYTES
	api GET /v1/vms/vm/logs
	[ "$(wc -c <"$body")" -gt "$1" ]
}

has_computed() { # TICKS
	[ "$(cpu_ticks "$pid")" -gt "$1" ]
}

# paused NAME [handle]: a VM that computes, and does not now.
paused() {
	create "{\"image\":\"$GUEST/handler\",\"args\":[\"spin\",\"${2:-}\"],\"name\":\"$1\"}"
	until_true 10 said "$1" ready
	asked 200 POST "/v1/vms/$1/pause"
}

@test "a paused VM: killed, stopped, removed, and its time limit holds" {
	daemon_start "$T" --shells 4 --max-shells 4
	paused killed handle
	asked 200 POST /v1/vms/killed/kill
	asked 200 POST /v1/vms/killed/wait
	has '.exit_code == 137 and .end == "signal"'
	# A signal that nobody handles ends it; one that the program handles waits until it can.
	paused term
	asked 200 POST '/v1/vms/term/stop?grace_ms=10000'
	has '.exit_code == 143'
	paused handles handle
	asked 200 POST '/v1/vms/handles/kill?signal=TERM'
	asked 504 POST '/v1/vms/handles/wait?timeout_ms=300'
	asked 200 POST /v1/vms/handles/resume
	asked 200 POST /v1/vms/handles/wait
	has '.exit_code == 7 and .end == "exited"'
	paused stopped handle
	asked 200 POST '/v1/vms/stopped/stop?grace_ms=200'
	has '.exit_code == 137'
	paused removed
	pid=$(field .pid)
	asked 409 DELETE /v1/vms/removed
	asked 204 DELETE '/v1/vms/removed?force'
	until_true 5 not_running "$pid"
	create "{\"image\":\"$GUEST/handler\",\"args\":[\"spin\"],\"name\":\"late\",\"timeout_ms\":400}"
	asked 200 POST /v1/vms/late/pause
	asked 200 POST /v1/vms/late/wait
	has '.exit_code == 124 and .end == "timeout" and .timing.run_us > 390000 and .timing.run_us < 3000000'
}

@test "a VM that takes no notice of SIGTERM is killed when its time is up" {
	daemon_start "$T" --shells 1 --max-shells 1
	create "{\"image\":\"$BB\",\"args\":[\"sh\",\"-c\",\"trap '' TERM; echo ready; while :; do :; done\"],\"name\":\"vm\"}"
	until_true 10 said vm ready
	begin=$(date +%s%N)
	asked 200 POST '/v1/vms/vm/stop?grace_ms=500'
	has '.exit_code == 137 and .signal == 9'
	ms=$((($(date +%s%N) - begin) / 1000000))
	[ $ms -ge 500 ]
	[ $ms -lt 5000 ]
	# A detached one has its time limit, too.
	create "{\"image\":\"$GUEST/handler\",\"args\":[\"wait\"],\"name\":\"late\",\"timeout_ms\":200}"
	asked 200 POST /v1/vms/late/wait
	has '.exit_code == 124 and .end == "timeout" and (.reason | contains("time limit"))'
}

# ---- what is kept, and what is not ----

at_rest() { # DESCRIPTORS at most
	is_settled && [ "$(shells | wc -l)" -eq 4 ] && [ "$(open_files "$DAEMON_PID")" -le "$1" ]
}

@test "300 VMs later: descriptors, processes, files and memory are what they were" {
	daemon_start "$T" --shells 4 --max-shells 4 --keep 10
	requests 20 "{\"image\":\"$GUEST/hello\",\"wait\":true}"
	until_true 10 at_rest 1000
	sleep 0.2 # connections that are just ending
	files=$(open_files "$DAEMON_PID") peak=$(peak_kib "$DAEMON_PID")
	requests 200 "{\"image\":\"$GUEST/hello\",\"wait\":true}"
	[ "$(grep -c '"stdout":"Hello, world' "$replies")" -eq 200 ]
	requests 80 "{\"image\":\"$GUEST/hello\"}"
	[ "$(grep -c '"state":' "$replies")" -eq 80 ]
	for _ in $(seq 20); do
		[ "$("$MAYFLY" run --pool "$GUEST/hello")" = 'Hello, world' ]
	done
	until_true 10 count_is running 0
	until_true 10 at_rest "$files" || fail "$(ls -l "/proc/$DAEMON_PID/fd")"
	# Logs: the shells' own, and of the last ten that have ended.
	until_true 5 files_are 4 14
	asked 200 GET '/v1/vms?all'
	has '(.vms | length) == 10 and all(.vms[]; .exit_code == 0)'
	[ "$(peak_kib "$DAEMON_PID")" -lt $((peak + 4096)) ] || fail "$peak KiB, and now $(peak_kib "$DAEMON_PID")"
	[ "$(metric 'mayfly_vm_ends_total{reason="exited"}')" -eq 320 ]
	[ "$(metric mayfly_news_rejected_total)" -eq 0 ]
}

@test "50 running VMs cost the daemon no descriptor, and their end gives everything back" {
	daemon_start "$T" --shells 4 --max-shells 4
	until_true 10 at_rest 1000
	hello
	files=$(open_files "$DAEMON_PID")
	requests 50 "{\"image\":\"$GUEST/handler\",\"args\":[\"wait\"]}"
	count_is running 50
	# But for a connection, and the image.
	[ "$(open_files "$DAEMON_PID")" -le $((files + 2)) ] || fail "$(ls -l "/proc/$DAEMON_PID/fd")"
	[ "$(shells | wc -l)" -ge 50 ]
	jq -r '"next\nurl = http://mayfly/v1/vms/\(.id)?force\nunix-socket = '"$SOCKET"'\nrequest = DELETE"' \
		"$replies" | tail -n +2 >"$T/curlrc"
	curl -sS --max-time 60 -K "$T/curlrc"
	until_true 10 at_rest $((files + 1))
	until_true 5 files_are 4 4
}
