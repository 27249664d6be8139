#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# host.bats: `mayfly net`, as a newcomer meets it: each line that it prints is typed as it stands,
# and VMs reach the host and each other; its help and its man page. What it makes and refuses is in
# e2e/net_helper.bats.
#
# One namespace is the host.
#
# shellcheck disable=SC2154,SC2034,SC2030,SC2031 # shared with net.bash

load ../e2e/helpers
load net

a_host() {
	H=mf$$.$BATS_TEST_NUMBER.h C=$H kind=host
	namespace "$H"
}

# typed CODE WORD...: "mayfly net WORD..." in it; what it says in $T/typed and $T/typed.err.
typed() {
	local code=$1 got=0
	shift
	there "$MAYFLY" net "$@" >"$T/typed" 2>"$T/typed.err" || got=$?
	[ "$got" -eq "$code" ] || fail "mayfly net $*: $got, not $code: $(cat "$T/typed.err")"
}

# hint: the printed line, as words, up to IMAGE, in $line.
hint() {
	read -r -a line < <(grep -oP '^  mayfly \Krun --net .* (?=IMAGE$)' "$T/created")
	[ "${#line[@]}" -eq 3 ] || fail "no line to type: $(cat "$T/created")"
}

# serving WORD...: a VM by that line.
serving() {
	background home1 "$H" "$MAYFLY" "$@" "$NET/serve"
	pid[1]=$!
	until_ready home1
}

vms() { # BRIDGE N
	typed 0 ls --json
	jq -e --arg name "$1" --argjson n "$2" '.[] | select(.name == $name) | .vms == $n' "$T/typed" >"$T/jq"
}

@test "create: the line that it prints works, with either back end, too; VMs reach each other; rm" {
	a_host
	typed 0 create vmnet
	cp "$T/typed" "$T/created"
	grep -q '^vmnet is a bridge, the host is 10.77.0.1/24 there. Next:$' "$T/created"
	hint
	for kind in vmnet xdp=vmnet tap,bridge=vmnet; do
		serving "${line[@]/#vmnet/$kind}"
		until_true 5 vms vmnet 1
		ask both 10.77.0.2 1000000
		here ping -q -c 2 -i 0.1 -W 2 10.77.0.2 >"$T/ping.out"
		# The same line once more, with an address of its own: it asks the first.
		timeout 20 ip netns exec "$H" "$MAYFLY" "${line[@]/10.77.0.2/10.77.0.3}" \
			"$NET/ask" both 10.77.0.2 1000000 2>"$T/other.err" >"$T/other.out" ||
			fail "another VM to $kind: $(cat "$T/other.err")"
		# Its addresses are not made another's, and nobody pulls it from under a VM.
		until_true 5 vms vmnet 1
		typed 125 create vmnet
		typed 125 rm vmnet
		grep -q 'vmnet has 1 VM' "$T/typed.err"
		ask end 10.77.0.2
		ended 1 0
		until_true 5 vms vmnet 0
	done
	grep -qx 'Remove it: mayfly net rm vmnet' "$T/created"
	typed 0 rm vmnet
	[ -z "$(ip -n "$H" -o link show type bridge)" ]
}

@test "create --veth, create --ipv6, create --address: what they print works, too" {
	a_host
	typed 0 create pair --veth
	cp "$T/typed" "$T/created"
	hint
	serving "${line[@]}"
	ask both 10.77.0.2 1000000
	ask end 10.77.0.2
	ended 1 0
	typed 0 rm pair

	typed 0 create six --ipv6 --address 192.168.7.9/29
	cp "$T/typed" "$T/created"
	six=$(grep -oP ' and \Kfd[0-9a-f:]+(?=::1/64 there)' "$T/created")
	hint
	serving "${line[0]}" "${line[1]}" "${line[2]},ip=$six::2/64"
	ask both 192.168.7.10 1000000
	ask both "$six::2" 1000000
	ask end 192.168.7.10
	ended 1 0
	until_true 5 vms six 0
	typed 0 rm six
	[ "$(ip -n "$H" -o link | wc -l)" -eq 1 ] || fail "left: $(ip -n "$H" -o link)" # lo
}

@test "rm --force: a VM's bridge goes, the VM runs on and ends as it is told" {
	a_host
	typed 0 create vmnet
	cp "$T/typed" "$T/created"
	hint
	serving "${line[@]}"
	ask both 10.77.0.2 1000000
	typed 0 rm -f vmnet
	kill -0 "${pid[1]}"
	kill -TERM "${pid[1]}"
	ended 1 143
}

@test "without privileges, without a verb: said, 125" {
	a_host
	status=0
	there setpriv --bounding-set=-all --inh-caps=-all "$MAYFLY" net create vmnet 2>"$T/err" >"$T/out" || status=$?
	[ "$status" -eq 125 ]
	grep -q CAP_NET_ADMIN "$T/err"
	[ "$(wc -l <"$T/err")" -eq 1 ]
	typed 125
	grep -q '^Usage: mayfly net' "$T/typed.err"
	typed 125 nope
	grep -q "no verb 'nope'" "$T/typed.err"
	typed 0 --help
	grep -q '^Usage: mayfly net' "$T/typed"
}

@test "help and man page have the same options, of each verb" {
	page=$ROOT/man/mayfly-net.1
	for verb in create rm ls; do
		"$MAYFLY" net $verb --help >"$T/text"
		grep -q "^Usage: mayfly net $verb " "$T/text"
		grep -oE '^ +(-[a-z], )?--[a-z0-9-]+' "$T/text" | grep -oE -- '--.*' | sort >"$T/help"
		# Those below "Of VERB :", and those below "Of all:".
		awk -v verb="$verb" '
			/^\.Sh/ { on = 0; options = /OPTIONS/ }
			options && /^\.Cm / { on = $2 == verb }
			options && /^Of all:/ { on = 1 }
			on && /^\.It Fl/' "$page" | grep -oE 'Fl -[a-z0-9-]+' | sed 's/Fl -/--/' | sort >"$T/man"
		diff "$T/help" "$T/man" || fail "mayfly net $verb: --help (<) and its man page (>) differ"
		[ -s "$T/man" ]
		# The synopsis has them, too, but for --help.
		awk -v verb="$verb" '/^\.Nm mayfly Cm net/ { on = $5 == verb } /^\.Sh DESC/ { exit } on' "$page" |
			grep -oE 'Fl [-a-z0-9]+' | sed 's/Fl -/--/; s/Fl f/--force/' | sort >"$T/synopsis"
		diff <(grep -vx -- --help "$T/help") "$T/synopsis" || fail "mayfly net $verb: the synopsis differs (>)"
	done
}
