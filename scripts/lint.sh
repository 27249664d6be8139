#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# lint.sh [BUILD]: what can be said of the sources without running them. Each check is one test;
# last comes "N passed, N failed, N skipped".
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

build=${1:-build}
passed=0 failed=0
check() { # NAME COMMAND...
	local name=$1 out
	shift
	if out=$("$@" 2>&1); then
		echo "ok     $name"
		passed=$((passed + 1))
	else
		echo "FAILED $name"
		head -n 40 <<<"$out" | sed 's/^/    | /'
		failed=$((failed + 1))
	fi
}

mapfile -t c_files < <(git ls-files -co --exclude-standard '*.c' '*.h')
mapfile -t sh_files < <(git ls-files -co --exclude-standard '*.sh' '*.bats' '*.bash' .ci/run tests/amdv/init)

# True if no line of the files matches.
no_match() { # PATTERN FILES...
	local pattern=$1
	shift
	! grep -nE "$pattern" "$@"
}

format() { clang-format --dry-run -Werror "${c_files[@]}"; }
shell() { shellcheck -x "${sh_files[@]}"; }
static() {
	cppcheck --quiet --error-exitcode=1 --enable=warning,portability --inline-suppr \
		--suppress=missingInclude --suppress=nullPointerRedundantCheck \
		--suppress=unknownMacro -j "$(nproc)" monitor/*.c monitor/*/*.c
}
# monitor -> noxs <- unikernel, and noxs includes only freestanding headers.
directions() {
	no_match '#include "[^"]*(monitor|unikernel)/' noxs/*.h &&
		no_match '#include <' <(grep -hE '#include <' noxs/*.h | grep -vE '<(stddef|stdint)\.h>') &&
		no_match '#include "[^"]*monitor/' unikernel/*.[chS] unikernel/vdso/* &&
		no_match '#include "[^"]*unikernel/' monitor/*.[chS] monitor/*/*.[ch]
}
# Who may see the heavy or the dangerous headers.
owners() {
	no_match '#include <linux/kvm\.h>' <(grep -lE '#include <linux/kvm\.h>' -r --include='*.[chS]' monitor unikernel noxs |
		grep -vE '^monitor/(vm|vcpu|kick|run|doorbell|host|crash|core|doctor|cmd_doctor|x86_[a-z]+|jail/[a-z]+)\.c$' |
		sed 's/.*/#include <linux\/kvm.h> in &/') &&
		no_match '#include <(libelf|gelf|elfutils|dwarf|Zydis|nettle|jansson|curl|microhttpd|cap-ng|seccomp|systemd)' \
			monitor/*.[ch] unikernel/*.[ch] noxs/*.h &&
		no_match '#include <microhttpd' <(grep -rl '#include <microhttpd' monitor | grep -vE '^monitor/daemon/http' |
			sed 's/.*/#include <microhttpd> in &/') &&
		no_match '#include <seccomp' <(grep -rl '#include <seccomp' monitor | grep -vE '^monitor/jail/' |
			sed 's/.*/#include <seccomp.h> in &/')
}
tables() {
	diff <(scripts/syscalls.sh) unikernel/SYSCALLS.md &&
		diff <("$build/jail-filter" --table) monitor/jail/SYSCALLS.md
}
marks() { no_match '\b(TODO|FIXME|XXX|HACK)\b' "${c_files[@]}" "${sh_files[@]/scripts\/lint.sh/.ci\/run}"; }

check "clang-format" format
check "shellcheck" shell
check "cppcheck" static
check "include directions: monitor -> noxs <- unikernel" directions
check "headers with one owner: KVM, libelf, HTTP, seccomp" owners
check "generated tables are up to date" tables
check "no unfinished marks" marks
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
