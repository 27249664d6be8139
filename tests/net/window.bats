#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# window.bats: peers that read late. The window ends somewhere within a segment, which is cut there
# to fill it, and the last one has the stream's end on it: whatever the sizes, all of it comes.
#
# shellcheck disable=SC2154,SC2030,SC2031,SC2034 # shared with net.bash

load ../e2e/helpers
load net

# From ADDRESS so many bytes, by step, as there may be around the end of the window; read only
# when the sender has found that there is no more room (its probe comes after 0.3 s).
LATE='
import socket, struct, sys, time
address = sys.argv[1]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
streams = []
for bytes in range(10000, 50000, 400):
    s = socket.socket(family)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20000)
    s.settimeout(10)
    s.connect((address, 7001))
    s.sendall(struct.pack("=QQ", bytes, 5))
    streams.append((bytes + 24, s))
time.sleep(1)
for bytes, s in streams:
    came = 0
    while True:
        data = s.recv(65536)
        if not data:
            break
        came += len(data)
    if came != bytes:
        sys.exit("%d of %d bytes came" % (came, bytes))'

@test "the end of a stream comes after all of it, whatever the window" {
	for kind in $(kinds tap xdp); do
		world "$kind"
		plain "$C" c0
		server
		for from in 10.9.0.2 fd09::2; do
			here python3 -c "$LATE" $from 2>"$T/late.err" || fail "$kind: $from: $(tail -n 1 "$T/late.err")"
		done
	done
}
