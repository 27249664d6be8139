# SPDX-License-Identifier: Apache-2.0
#
# lib.sh: what the scripts share. They run as `sh -eu scripts/NAME.sh` in /, each in a machine
# where the one before left no process (init ends all) and no cgroup mount.
#
# shellcheck shell=sh

PATH=$PATH:/mayfly
SOCKET=/run/mayfly/mayfly.sock
reply=/tmp/reply # of the last api
log=/tmp/daemon.log

fail() {
	echo "FAILED: $*" >&2
	[ ! -s $log ] || sed 's/^/daemon: /' $log >&2
	exit 1
}

# check TEXT COMMAND...: one check, told if it fails.
check() {
	what=$1
	shift
	"$@" || fail "$what ($*)"
}

uptime_s() {
	read -r up _ </proc/uptime
	echo "${up%.*}"
}

# soon SECONDS COMMAND...: waits until COMMAND succeeds.
soon() {
	until_s=$(($(uptime_s) + $1))
	shift
	until "$@"; do
		[ "$(uptime_s)" -le $until_s ] || return 1
		usleep 50000
	done
}

no() { # COMMAND...
	! "$@" 2>/dev/null
}

# Runs a command when the script ends, however it does.
at_exit() {
	# shellcheck disable=SC2064 # what it is now
	trap "$1" EXIT
}

# Its cgroups are removed afterwards.
mount_v2() {
	mount -t cgroup2 none /sys/fs/cgroup
	at_exit 'find /sys/fs/cgroup -mindepth 1 -depth -type d -exec rmdir {} +
		echo -memory -cpu -pids >/sys/fs/cgroup/cgroup.subtree_control
		umount /sys/fs/cgroup'
	check "all controllers are in v2" grep -q 'cpu .*memory .*pids' /sys/fs/cgroup/cgroup.controllers
}

# cgroup_tests FILE: runs what tests/unit has for real cgroups; FILE takes what they say.
cgroup_tests() {
	: >"$1"
	for name in test_cgroup_limits test_cgroup_place; do
		check "$name was built" [ -x /bin/$name ]
		CMOCKA_MESSAGE_OUTPUT=TAP $name >>"$1" 2>&1 || {
			cat "$1"
			fail "$name: see above"
		}
	done
	check "nothing is left" [ -z "$(find /sys/fs/cgroup -name '*mayfly*')" ]
}

# ---- a daemon ----

# api PATH [BODY]: GET, or POST with a body; the answer is in $reply. Fails unless it is 2xx.
api() {
	path=$1
	shift
	[ $# -eq 0 ] || set -- -d "$1"
	code=$(curl -sS --unix-socket $SOCKET -o $reply -w '%{http_code}' "$@" "http://mayfly$path" \
		2>/tmp/curl.err) || return 1
	case $code in
	2*) ;;
	*) return 1 ;;
	esac
}

# says TEXT...: the last answer has each of them. Line breaks and blanks do not count.
says() {
	for text in "$@"; do
		tr -d ' \n' <$reply | grep -qF -e "$text" || fail "no $text in: $(cat $reply)"
	done
}

# The text or number of FIELD in the last answer, the first that is there.
field() {
	grep -o "\"$1\": *\"*[^\",}]*" $reply | head -n 1 | sed 's/.*: *"*//'
}

is_ready() { api /healthz; }

shells_ready() { # N
	api /v1/pool && [ "$(field ready)" -ge "$1" ]
}

start_daemon() { # OPTION...
	mayfly daemon "$@" >$log 2>&1 &
	daemon=$!
	soon 10 is_ready || fail "the daemon does not answer"
}

gone() { # PID
	[ ! -d "/proc/$1" ]
}

# stop_daemon SIGNAL: and waits for its end.
stop_daemon() {
	kill "-$1" "$daemon"
	soon 10 gone "$daemon" || fail "the daemon does not end at SIG$1"
}
