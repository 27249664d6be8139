#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# apps.bats: the programs of unikernel/apps in a home: noop, daytime, echo, http. The firewall has a
# file of its own.
#
# shellcheck disable=SC2154,SC2034 # shared with net.bash

load ../e2e/helpers
load net

APPS=${MAYFLY%/*}/apps

# app NAME [OPTION...] [-- ARG...]: home 1 is that program, and has said that it may be asked.
app() {
	local name=$1 options=()
	shift
	[ -x "$APPS/$name" ] || fail "$APPS/$name is missing: run make apps"
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	home_command 1 "${options[@]}" -- "$APPS/$name" "${@:2}"
	background home1 "${command[@]}"
	pid[1]=$!
	[ "$name" = noop ] || until_true 10 grep -qs "^$name: port" "$T/home1.out"
}

# SIGTERM is the program's, in a VM, too, and it ends with 0.
told_to_end() {
	kill -TERM "${pid[1]}"
	ended 1 0
}

pinged() {
	here ping -q -c 1 -W 1 "$1" >"$T/ping.out" 2>&1
}

@test "noop: the kernel answers ping for it; SIGTERM" {
	for kind in $(kinds tap xdp); do
		world "$kind"
		app noop
		until_true 10 pinged 10.9.0.2
		until_true 10 pinged fd09::2
		told_to_end
	done
}

@test "daytime: the time of now, over IPv4 and IPv6" {
	for kind in $(kinds tap xdp); do
		world "$kind"
		app daytime
		for address in 10.9.0.2 fd09::2 10.9.0.2; do
			before=$(date +%s)
			here timeout 5 bash -c "exec 3<>/dev/tcp/$address/13 && cat <&3" >"$T/time"
			after=$(date +%s)
			# Saturday, November 21, 2026 17:24:34-UTC
			grep -qP '^[A-Z][a-z]+day, [A-Z][a-z]+ \d\d, \d{4} \d\d:\d\d:\d\d-UTC\r$' "$T/time" ||
				fail "$kind: $(cat "$T/time")"
			said=$(date -u -d "$(sed 's/-UTC\r$/ UTC/' "$T/time")" +%s)
			[ "$said" -ge $((before - 1)) ] || fail "$kind: $(cat "$T/time") is the past"
			[ "$said" -le $((after + 1)) ] || fail "$kind: $(cat "$T/time") is to come"
		done
		told_to_end
	done
}

# COUNT datagrams without a pause, of all sizes: each comes back once, as it was.
BURST='
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
s.connect((sys.argv[1], 7002))
s.settimeout(2)
count = int(sys.argv[2])
sent = {bytes([n]) + bytes((n * i) % 251 for i in range(n * 1450 // count)) for n in range(count)}
for one in sent: s.send(one)
while sent: sent.remove(s.recv(2048))
'

# Several datagrams were taken by one call. (musl makes many sendmsg of a sendmmsg.)
batched() {
	here python3 -c "$BURST" 10.9.0.2 10
	grep -qE 'recvmmsg\(.*= ([2-9]|10)$' "$T/home1.err"
}

@test "echo: streams, datagrams, and datagrams in batches" {
	for kind in $(kinds tap xdp); do
		world "$kind"
		app echo -- 7002 # where ask looks for it
		for address in 10.9.0.2 fd09::2; do
			ask both $address "$(scaled 10000000)"
			ask many $address 100
			ask udp $address 20 1000
			ask big $address 8000
			here python3 -c "$BURST" $address 100 || fail "$kind, $address: a burst came back otherwise"
		done
		told_to_end
		[ "$kind" != process ] || continue
		app echo --strace -- 7002
		until_true 10 batched
		told_to_end
	done
}

# What it says to requests in one piece, before it has answered any: GET, HEAD, one for nothing,
# GET and end. 200 times, so that neither side's buffer holds all of it.
PIPELINE='
import socket, sys
def ask(what): return b"%s HTTP/1.1\r\nHost: vm\r\n" % what
four = [ask(b"GET /"), ask(b"HEAD /"), ask(b"GET /nothing"), ask(b"GET /") + b"Connection: close\r\n"]
s = socket.create_connection((sys.argv[1], 8080), 5)
s.sendall((b"\r\n".join(four[:3]) + b"\r\n") * 200 + four[3] + b"\r\n")
f = s.makefile("rb")
page = b"<!doctype html><title>mayfly</title><p>It flies.</p>\n"
def answer(status, body, wanted=True):
    line = f.readline()
    assert line.split()[1] == status, line
    fields = dict(l.strip().lower().split(b": ", 1) for l in iter(f.readline, b"\r\n"))
    assert int(fields[b"content-length"]) == len(body), fields
    if wanted: assert f.read(len(body)) == body
    return fields
for n in range(200):
    answer(b"200", page)
    answer(b"200", page, False)
    answer(b"404", b"404 Not Found")
assert answer(b"200", page)[b"connection"] == b"close"
assert f.read() == b""
'

@test "http: its page, HEAD, 404, keep-alive, pipelining, wrk" {
	for kind in $(kinds tap xdp user); do
		world "$kind"
		publish=8080 app http
		url=http://10.9.0.2:8080
		here curl -sS "$url/" >"$T/page"
		[ "$(<"$T/page")" = '<!doctype html><title>mayfly</title><p>It flies.</p>' ] || fail "$kind: $(<"$T/page")"
		here curl -sSg 'http://[fd09::2]:8080/' | cmp - "$T/page"
		here curl -sSI "$url/" >"$T/head"
		grep -q '^HTTP/1.1 200 OK' "$T/head"
		grep -q "^Content-Length: $(stat -c %s "$T/page")" "$T/head"
		here curl -sS -o "$T/none" -w '%{http_code}' "$url/nothing" | grep -qx 404
		here curl -sS --path-as-is -o "$T/none" -w '%{http_code}' "$url/../etc/passwd" | grep -qx 400
		# Three requests over one connection.
		here curl -sS -w '%{num_connects} %{http_code}\n' -o "$T/1" "$url/" -o "$T/2" "$url/nothing" \
			-o "$T/3" "$url/" >"$T/connects"
		diff - "$T/connects" <<<$'1 200\n0 404\n0 200' || fail "$kind: no keep-alive"
		cmp "$T/1" "$T/page"
		cmp "$T/3" "$T/page"
		here python3 -c "$PIPELINE" 10.9.0.2 || fail "$kind: pipelining"
		here wrk -t 1 -c 100 -d 2 "$url/" >"$T/wrk.out"
		! grep -qE 'Socket errors|Non-2xx' "$T/wrk.out" || fail "$kind: $(cat "$T/wrk.out")"
		awk '/requests in/ { exit !($1 > 1000) }' "$T/wrk.out" || fail "$kind: $(cat "$T/wrk.out")"
		told_to_end
	done
}

@test "http: files of a directory" {
	for kind in $(kinds tap xdp user); do
		world "$kind"
		# In a VM no file is the host's; /etc/services is the kernel's.
		in_home 1 -- "$PROGRAMS/busybox" cat /etc/services >"$T/services"
		publish=8080 app http -- 8080 /etc
		url=http://10.9.0.2:8080
		here curl -sS "$url/services" | cmp - "$T/services" || fail "$kind: it is not as it was"
		here curl -sS "$url/%73ervices?really#not" | cmp - "$T/services"
		here curl -sSI "$url/services" >"$T/head"
		grep -q "^Content-Length: $(stat -c %s "$T/services")" "$T/head"
		here curl -sS "$url/" | grep -q flies # there is no index.html
		# Over connections that are kept: sendfile, again and again.
		here wrk -t 1 -c 20 -d 1 "$url/services" >"$T/wrk.out"
		! grep -qE 'Socket errors|Non-2xx' "$T/wrk.out" || fail "$kind: $(cat "$T/wrk.out")"
		awk '/requests in/ { exit !($1 > 500) }' "$T/wrk.out" || fail "$kind: $(cat "$T/wrk.out")"
		told_to_end
	done
}
