#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh: runs mayfly on AMD-V. Boots a Debian cloud kernel in QEMU without KVM (-cpu max
# emulates SVM and nested paging), loads kvm-amd in there and runs the tests in that
# machine. Slow, so its timings mean nothing; but its semantics are those of hardware.
#
#   tests/amdv/run.sh [OPTION]... [--] [CASES-FILE]...
#     --build DIR      where what was built is         (build)
#     --only REGEX     run only the tests with such names
#     --limit SECONDS  for one test                    (60)
#     --timeout SECONDS for the whole machine          (1200)
#
# Runs all of DIR/tests/guest/{musl,glibc} (static programs that print SUCCESS and exit
# with 0; 77: skipped), the cases in the files (tests/amdv/cases) and the scripts in
# tests/amdv/scripts (a busybox sh runs each; exit code 0, or 77 and a reason: skipped).
# Prints TAP, then "N passed, N failed, N skipped". With $RETRY set, those that failed or were
# not reached are run once more, in a new machine, and only that second time counts. What happens inside is in tests/amdv/init.
# $AMDV_MODULES: the modules to load, with what they depend on (KVM, and what a network takes).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$root/build
only=
limit=60
timeout=1200
read -r -a modules <<<"${AMDV_MODULES:-kvm-amd tun veth bridge}"

die() {
	echo "amdv: $*" >&2
	exit 1
}

while [ $# -gt 0 ]; do
	case $1 in
	--build) build=$(cd "$2" && pwd) && shift 2 ;;
	--only) only=$2 && shift 2 ;;
	--limit) limit=$2 && shift 2 ;;
	--timeout) timeout=$2 && shift 2 ;;
	--) shift && break ;;
	-*) die "unknown option $1; see the head of tests/amdv/run.sh" ;;
	*) break ;;
	esac
done
lists=("$@")
[ $# -gt 0 ] || lists=("$here/cases")

PATH=$PATH:/usr/sbin:/sbin
for tool in ip ethtool qemu-system-x86_64 cpio modprobe depmod dpkg-deb /bin/busybox; do
	command -v "$tool" >/dev/null || die "$tool is missing: scripts/deps.sh amdv"
done
[ -x "$build/mayfly" ] || die "$build/mayfly is missing: run make first"

# The machine's work is per run, so that two runs do not meet; its kernel is kept.
store=$root/build/amdv
mkdir -p "$store"
work=$(mktemp -d "$store/run.XXXXXX")
qemu=
cleanup() {
	[ -z "$qemu" ] || { kill -9 "$qemu" && wait "$qemu"; } 2>/dev/null || true
	[ ! -f "$work/serial.log" ] || cp "$work/serial.log" "$store/serial.log"
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# ---- the kernel ----

newest_offered() {
	apt-cache search --names-only '^linux-image-6\.1\.0-[0-9]+-cloud-amd64$' 2>/dev/null |
		cut -d ' ' -f 1 | sort -V | tail -n 1
}

# Downloads and unpacks the newest 6.1 cloud kernel that apt offers, once. Not installed.
# apt checks the download; if apt offers none, one that was unpacked earlier will do.
get_kernel() {
	local package try=0
	exec 9>"$store/lock"
	flock 9
	package=$(newest_offered)
	while [ ! -e "$store/kernel/$package/done" ] || [ -z "$package" ]; do
		mkdir -p "$work/kernel"
		if [ -n "$package" ] && (cd "$work/kernel" && apt-get download -q "$package") \
			>"$work/apt.log" 2>&1; then
			echo "# unpacking $package"
			dpkg-deb -x "$work/kernel"/linux-image-*.deb "$work/kernel/$package"
			rm "$work/kernel"/*.deb
			depmod -b "$work/kernel/$package" "$(ls "$work/kernel/$package/lib/modules")"
			touch "$work/kernel/$package/done"
			mkdir -p "$store/kernel"
			rm -rf "${store:?}/kernel/$package"
			mv "$work/kernel/$package" "$store/kernel/"
			break
		fi
		# Lists that are old or were never fetched: once more with new ones.
		if [ $((try++)) -eq 0 ] && [ "$(id -u)" -eq 0 ]; then
			apt-get update -q >"$work/apt.log" 2>&1 || true
			package=$(newest_offered)
			continue
		fi
		package=$(find "$store/kernel" -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null |
			sort -V | tail -n 1)
		[ -n "$package" ] || { cat "$work/apt.log" >&2 && die "no 6.1 cloud kernel to be had"; }
	done
	exec 9>&-
	kernel=$store/kernel/$package
}

# ---- the initrd ----

# add FILE DIR [NAME]: copies FILE into the machine's DIR.
add() {
	mkdir -p "$work/root/$2"
	cp -L "$1" "$work/root/$2/${3:-}"
}

# The shared libraries and the dynamic loader that FILE needs, at the paths where it looks.
add_libraries() {
	local library
	while read -r library; do
		[ -e "$work/root$library" ] || add "$library" "$(dirname "$library")"
	done < <(ldd "$1" 2>/dev/null | grep -oE '(^|[[:space:]])/[^ ]+' | tr -d '[:blank:]')
}

# The modules, in the order that insmod must take them, unpacked if they are compressed.
add_modules() {
	local release module file name
	release=$(ls "$kernel/lib/modules")
	mkdir -p "$work/root/modules" "$work/root/tests"
	for module in "${modules[@]}"; do
		modprobe -d "$kernel" -S "$release" --show-depends "$module" >>"$work/depends" \
			2>"$work/modprobe.log" ||
			die "$module is no module of $(basename "$kernel"): $(cat "$work/modprobe.log")"
	done
	# "insmod PATH" each; what is built in says "builtin NAME".
	awk '$1 == "insmod" && !seen[$2]++ { print $2 }' "$work/depends" >"$work/files"
	while read -r file; do
		name=$(basename "$file" .xz)
		case $file in
		*.xz) xz -dc "$file" >"$work/root/modules/$name" ;;
		*) cp "$file" "$work/root/modules/$name" ;;
		esac
		echo "/modules/$name"
	done <"$work/files" >"$work/root/tests/modules"
}

# plan NAME CODE TEXT COMMAND: adds a test, unless --only leaves it out.
plan() {
	[[ $1 =~ $only ]] || return 0
	echo "$1|$2|$3|$4" >>"$work/root/tests/plan"
}

# Every guest program; tests/guest/NAME.run has options of `mayfly run` for it, if any.
plan_guests() {
	local file libc name options
	for file in "$build"/tests/guest/{musl,glibc}/*; do
		if [ ! -f "$file" ] || [ ! -x "$file" ]; then continue; fi
		libc=$(basename "$(dirname "$file")")
		name=$(basename "$file")
		options=
		[ ! -f "$root/tests/guest/$name.run" ] ||
			options="$(grep -v '^#' "$root/tests/guest/$name.run" | tr '\n' ' ')"
		add "$file" "guest/$libc"
		plan "guest/$libc/$name" 0 SUCCESS "/mayfly/mayfly run $options guest/$libc/$name"
	done
}

plan_cases() {
	local list number line name code text arguments file
	# What the cases name: programs that crash, or break the contract.
	for file in "$build"/tests/guest-crash/glibc/{null_read,stack_overflow,abort_call} \
		"$build"/tests/guest-hostile/musl/*; do
		[ ! -x "$file" ] || add "$file" "$(basename "$(dirname "$(dirname "$file")")")"
	done
	for list in "${lists[@]}"; do
		[ -f "$list" ] || die "there is no case file $list"
		number=0
		while IFS= read -r line || [ -n "$line" ]; do
			number=$((number + 1))
			[[ $line =~ ^[[:space:]]*(#.*)?$ ]] && continue
			[[ $line =~ ^([^|]*)\|([^|]*)\|([^|]*)\|(.*)$ ]] ||
				die "$list:$number: not NAME | exit code | substring | arguments"
			read -r name <<<"${BASH_REMATCH[1]}"
			read -r code <<<"${BASH_REMATCH[2]}"
			read -r text <<<"${BASH_REMATCH[3]}"
			read -r arguments <<<"${BASH_REMATCH[4]}"
			[[ $name =~ ^[^[:space:]:]+$ && $code =~ ^[0-9]+$ && -n $arguments ]] ||
				die "$list:$number: a name without spaces, an exit code and arguments"
			plan "$name" "$code" "$text" "/mayfly/mayfly $arguments"
		done <"$list"
	done
}

# Scripts, and the dynamic programs that they use. A test that was not built is a failure of
# the script that wants it.
plan_scripts() {
	local file
	for file in "$(command -v curl)" "$(command -v ethtool)" "$build"/tests/unit/test_cgroup_{limits,place}; do
		[ -x "$file" ] || continue
		add "$file" bin
		add_libraries "$file"
	done
	# busybox has an ip of its own, and this one looks at its name.
	add "$(command -v ip)" iproute2
	add_libraries "$(command -v ip)"
	for file in "$build"/tests/net/musl/*; do
		[ ! -x "$file" ] || add "$file" net
	done
	for file in "$here"/scripts/*.sh; do
		add "$file" scripts
		[[ $file != */lib*.sh ]] || continue
		plan "script/$(basename "$file" .sh)" 0 '' "sh -eu scripts/$(basename "$file")"
	done
	for file in "$build"/tests/guest-cli/musl/*; do
		[ ! -x "$file" ] || add "$file" guest-cli
	done
}

make_initrd() {
	local file applet twice
	mkdir -p "$work/root"/{bin,dev,proc,sys,tmp,run,root,etc,var,mayfly,tests}
	add /bin/busybox bin busybox
	for applet in $(/bin/busybox --list); do
		[ "$applet" = busybox ] || ln -s busybox "$work/root/bin/$applet"
	done
	add "$here/init" . init
	chmod 755 "$work/root/init"
	printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'nobody:x:65534:65534:nobody:/:/bin/sh' >"$work/root/etc/passwd"
	seq 20000 >"$work/root/tests/lines"
	echo "$limit" >"$work/root/tests/limit"
	add_modules
	for file in "$build"/mayfly*; do
		if [ ! -f "$file" ] || [ ! -x "$file" ]; then continue; fi
		add "$file" mayfly
		add_libraries "$file"
	done
	for file in "$build"/tests/programs/*; do
		[ ! -f "$file" ] || add "$file" programs
	done
	: >"$work/root/tests/plan"
	plan_guests
	plan_cases
	plan_scripts
	[ -s "$work/root/tests/plan" ] || die "there is no test to run"
	twice=$(cut -d '|' -f 1 "$work/root/tests/plan" | sort | uniq -d)
	[ -z "$twice" ] || die "two tests have the same name: $twice"
	pack
}

pack() {
	# Not compressed: QEMU copies faster than an emulated processor inflates.
	(cd "$work/root" && find . | cpio -o -H newc --quiet -R 0:0) >"$work/initrd"
}

# ---- the machine ----

# One processor: with two, each in a thread of QEMU, the machine hung for good in two runs
# of three (QEMU 7.2), and was no faster.
# Ends when QEMU does, when the time is up, or when nothing was printed for so long that
# not even the limit of a test can be working any more.
boot() {
	local begin=$SECONDS quiet_since=$SECONDS size=0 now stall=$((limit * 2 + 60))
	qemu-system-x86_64 -accel tcg -cpu max -smp 1 -m 2048 -display none \
		-nodefaults -no-user-config -no-reboot -serial "file:$work/serial.log" \
		-kernel "$kernel"/boot/vmlinuz-* -initrd "$work/initrd" -append \
		"console=ttyS0 panic=-1 tsc=unstable nokaslr mitigations=off quiet rdinit=/init" \
		>"$work/qemu.log" 2>&1 </dev/null &
	qemu=$!
	while kill -0 "$qemu" 2>/dev/null; do
		sleep 0.2
		now=$(stat -c %s "$work/serial.log" 2>/dev/null || echo 0)
		[ "$now" -eq "$size" ] || quiet_since=$SECONDS
		size=$now
		if [ $((SECONDS - begin)) -ge "$timeout" ]; then
			why="the machine was ended by its limit of $timeout s"
		elif [ $((SECONDS - quiet_since)) -ge $stall ]; then
			why="the machine printed nothing for $stall s"
		else
			continue
		fi
		{ kill -9 "$qemu" && wait "$qemu"; } 2>/dev/null || true
		break
	done
	wait "$qemu" 2>/dev/null || true
	qemu=
	[ -s "$work/serial.log" ] || why="QEMU: $(tail -n 3 "$work/qemu.log")"
	tr -d '\r' <"$work/serial.log" >"$work/log" 2>/dev/null || : >"$work/log"
	seconds=$((SECONDS - begin))
}

# The log as TAP, and into the file $work/counts: passed failed skipped told
# (told: the end is there, or the reason why not). The plan tells what
# should have run: what the log does not tell of has failed. A line of ours need not stand
# at the line's begin, for the kernel may have printed something before it.
report() {
	awk -v died="$why" -v counts="$work/counts" '
	# "NAME: reason" from column n of the line
	function named(line, n) {
		line = substr(line, n)
		reason = substr(line, index(line, ": ") + 2)
		return substr(line, 1, index(line, ": ") - 1)
	}
	FNR == NR { split($0, field, "|"); name[++n] = field[1]; next }
	/^AMDV\| / {
		if (last != "")
			output[last] = output[last] "\n#   " substr($0, 7)
		next
	}
	!match($0, /AMDV (run|ok|not ok|skip|fatal|done) /) { next }
	{ line = substr($0, RSTART); last = "" }
	line ~ /^AMDV run / { running = substr(line, 10); next }
	line ~ /^AMDV ok / {
		split(substr(line, 9), word, " ")
		result[word[1]] = "ok"
		why[word[1]] = substr(line, 9 + length(word[1]))
	}
	line ~ /^AMDV not ok / { last = named(line, 13); result[last] = "not ok"; why[last] = reason }
	line ~ /^AMDV skip / { s = named(line, 11); result[s] = "skip"; why[s] = reason }
	line ~ /^AMDV fatal / { last = "(fatal)"; fatal = substr(line, 12) }
	line ~ /^AMDV done / { done = 1 }
	{ running = "" }
	END {
		print "1.." n
		for (i = 1; i <= n; i++) {
			s = name[i]
			if (result[s] == "ok") {
				passed++
				print "ok " i " - " s why[s]
			} else if (result[s] == "skip") {
				skipped++
				print "ok " i " - " s " # SKIP " why[s]
			} else {
				failed++
				if (result[s] == "")
					why[s] = s == running ? "the machine died while it ran" : "did not run"
				print "not ok " i " - " s ": " why[s] output[s]
			}
		}
		if (fatal != "")
			print "# fatal: " fatal output["(fatal)"]
		else if (!done)
			print "# the machine did not reach the end of its plan" (died != "" ? ": " died : "")
		if (!done && !failed)
			failed = 1
		print passed + 0, failed + 0, skipped + 0, (done || fatal != "") >counts
	}' "$work/root/tests/plan" "$work/log"
}

# A machine for the tests in the plan: adds to passed and skipped; failed is this machine's.
run_plan() {
	local p s
	why=
	boot
	report | tee "$work/tap"
	read -r p failed s told <"$work/counts"
	passed=$((passed + p)) skipped=$((skipped + s))
	if [ "$told" -ne 1 ]; then
		echo "# the end of the serial console (all of it: build/amdv/serial.log):"
		tail -n 40 "$work/log" | sed 's/^/#   /'
	fi
	echo "# $seconds s"
}

passed=0 skipped=0
get_kernel
make_initrd
echo "# $(basename "$kernel"), $(wc -l <"$work/root/tests/plan") tests," \
	"initrd of $(($(stat -c %s "$work/initrd") >> 20)) MiB"
run_plan
if [ -n "${RETRY:-}" ] && [ "$failed" -gt 0 ]; then
	sed -n 's/^not ok [0-9]* - //p' "$work/tap" >"$work/flaky"
	cut -d : -f 1 "$work/flaky" >"$work/again"
	awk -F '|' 'FNR == NR { again[$0]; next } $1 in again' "$work/again" "$work/root/tests/plan" >"$work/plan"
	mv "$work/plan" "$work/root/tests/plan"
	pack
	echo "# once more:"
	run_plan
	echo "what failed, and was run once more:"
	head -n 40 "$work/flaky"
fi
if [ "$failed" -gt 0 ]; then
	echo "what failed:"
	sed -n 's/^not ok [0-9]* - //p' "$work/tap" | head -n 40
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
