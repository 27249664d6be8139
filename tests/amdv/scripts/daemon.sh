# SPDX-License-Identifier: Apache-2.0
#
# daemon.sh: a daemon with a pool runs programs on AMD-V, and when it is killed so are its VMs.
#
# shellcheck shell=sh source=tests/amdv/scripts/lib.sh
. scripts/lib.sh

start_daemon --shells 2
check "two shells get ready" soon 10 shells_ready 2

# shellcheck disable=SC2016 # for the shell in the VM
# Warm, with output and an exit code.
api /v1/vms '{"image": "/programs/busybox", "argv0": "sh", "wait": true, "stdin": "in\n",
	"args": ["-c", "read x; echo $x out $V; echo err >&2; exit 7"], "env": ["V=1"]}' ||
	fail "wait: $(cat $reply /tmp/curl.err)"
says '"exit_code":7' '"stdout":"inout1\n"' '"stderr":"err\n"' '"end":"exited"'
api /v1/pool
says '"warm":1' '"cold":0' '"failed":0'

# A crash is told as one.
api /v1/vms '{"image": "/guest-crash/null_read", "wait": true}'
says '"end":"crashed"' '"signal":11' '"exit_code":139' 'SIGSEGV'

# Two that run on: the one is stopped, and both would live for long.
for name in one two; do
	api /v1/vms "{\"image\": \"/programs/busybox\", \"argv0\": \"sleep\", \"args\": [\"1000\"],
		\"name\": \"$name\"}" || fail "$name: $(cat $reply)"
done
api /v1/vms/one
one=$(field pid)
api /v1/vms/two
two=$(field pid)
check "a process for each VM" [ -d "/proc/$one" -a -d "/proc/$two" ]
api '/v1/vms/one/kill?signal=KILL' ''
check "KILL ends the one" soon 5 gone "$one"
check "and not the other" [ -d "/proc/$two" ]

zygote_runs() { grep -qs zygote /proc/[0-9]*/cmdline; }
check "there is a zygote" zygote_runs

# The daemon is killed: nothing of it is left running.
stop_daemon KILL
check "its VM ended with it" soon 5 gone "$two"
check "so did all it had started" soon 5 no zygote_runs

# The next one takes over the directory, with no VM in it.
start_daemon --shells 1
api '/v1/vms?all'
says '{"vms":[]}'
api /v1/vms '{"image": "/guest-cli/hello", "wait": true}'
says '"exit_code":0' 'Hello'
stop_daemon TERM
check "the socket is gone" [ ! -e $SOCKET ]
