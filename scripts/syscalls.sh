#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# syscalls.sh: writes the table of system calls that the library kernel serves, made from
# unikernel/syscalls.h, to stdout:
#
#   scripts/syscalls.sh >unikernel/SYSCALLS.md
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

awk '
function header() {
	if (!open) {
		print "| call | number | arguments |"
		print "|---|---|---|"
		open = 1
	}
}
BEGIN {
	split("d int,u unsigned,x hex,o octal,p pointer,s string,b buffer,f fd,n signal", pairs, ",")
	for (i in pairs) {
		split(pairs[i], pair, " ")
		word[pair[1]] = pair[2]
	}
	print "# System calls\n"
	print "Made from syscalls.h by scripts/syscalls.sh; do not edit. Any other call returns"
	print "-1 ENOSYS and is counted: `mayfly run --stats` names it, `--strace` prints each."
}
/^\/\* .*\.c.* \*\/$/ {
	text = $0
	gsub(/^\/\* | \*\/$/, "", text)
	print "\n## " text "\n"
	open = 0
}
/^UK_CALL\(/ {
	gsub(/^UK_CALL\(|\)$/, "")
	split($0, f, /, /)
	gsub(/"/, "", f[3])
	args = ""
	for (i = 1; i <= length(f[3]); i++)
		args = args (i > 1 ? ", " : "") word[substr(f[3], i, 1)]
	header()
	print "| " f[2] " | " f[1] " | " args " |"
	n++
}
END { print "\n" n " calls." }
' unikernel/syscalls.h
