#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# programs.bats: real programs do in a VM what they do natively: the same bytes on stdout
# and stderr, the same exit code. What they are and how they were built:
# tests/programs/build.sh. Each test's input comes by arguments and stdin.
#
# Mind bats: in `a && b` a failing `a` goes unnoticed, so each check has its own line.
#
# $out and $err come from helpers.bash; what is in single quotes is for the programs.
# shellcheck disable=SC2154,SC2016,SC1003

load helpers

setup_file() {
	need_machine
	noise_file "$(scaled 5000000)" "$BATS_FILE_TMPDIR/noise"
	text_file "$(scaled 1000000)" "$BATS_FILE_TMPDIR/text"
	seq 1 "$(scaled 20000)" | awk '{ print ($1 * 7919) % 10007, "key" $1 % 97, $1 }' \
		>"$BATS_FILE_TMPDIR/table"
}

setup() {
	noise=$BATS_FILE_TMPDIR/noise
	text=$BATS_FILE_TMPDIR/text
	table=$BATS_FILE_TMPDIR/table
	T=$BATS_TEST_TMPDIR
}

bb() { mayfly_same busybox "$@"; }
bb_in() { mayfly_same -i "$1" busybox "${@:2}"; }

# ---- busybox: text and files ----

@test "busybox: echo and printf" {
	bb echo hello "two  spaces" '$HOME'
	wrote 'two  spaces $HOME'
	bb echo -n -e 'a\tb\n\0101\c'
	bb printf '%s|%5d|%-8s|%x|%o|%c\n' text 42 left 255 8 z
	wrote 'text|   42|left    |ff|10|z'
	bb printf '%b' 'no newline at the end\\'
	bb echo
}

@test "busybox: an empty argument and bytes that are no text" {
	bb printf '[%s]' '' $'\xff\x01' 'ü' ''
}

@test "busybox: cat of nothing, text and 5 MB of noise" {
	bb cat
	bb_in "$text" cat
	bb_in "$noise" cat
	bb_in "$text" cat -n -
}

@test "busybox: cat of a pipe that is slow" {
	{ echo first && sleep 0.3 && head -c 200000 "$noise" && sleep 0.3 && echo last; } |
		timeout "$LIMIT" "$MAYFLY" run "$PROGRAMS/busybox" cat >"$T/got"
	{ echo first && head -c 200000 "$noise" && echo last; } | cmp - "$T/got"
}

@test "busybox: cat of a file that is not there" {
	mayfly_same -c 1 busybox cat /no/such/file
	grep -q 'No such file or directory' "$err"
}

@test "busybox: checksums of 5 MB" {
	for sum in sha256sum md5sum sha1sum sha512sum; do
		bb_in "$noise" $sum
	done
	bb_in /dev/null sha256sum
	wrote e3b0c44298fc1c149afbf4c8996fb924
}

@test "busybox: gzip and gunzip, a round trip of 5 MB" {
	bb_in "$noise" gzip -c
	cp "$out" "$T/noise.gz"
	bb_in "$T/noise.gz" gunzip -c
	cmp "$noise" "$out"
	bb_in "$text" gzip -9 -c
	cp "$out" "$T/text.gz"
	bb_in "$T/text.gz" gunzip -c
	cmp "$text" "$out"
}

@test "busybox: gunzip of what is no gzip" {
	mayfly_same -c 1 -i "$text" busybox gunzip -c
}

@test "busybox: sort" {
	bb_in "$table" sort
	bb_in "$table" sort -n -r
	bb_in "$table" sort -k2,2 -k1,1n
	bb_in "$table" sort -u -k2,2
}

@test "busybox: awk with arithmetic, strings and associative arrays" {
	bb_in "$table" awk '
		{ sum[$2] += $1; count[$2]++; if ($1 > max) max = $1 }
		END {
			for (i = 0; i < 97; i++) {
				k = "key" i
				printf "%s %d %.4f\n", k, count[k], count[k] ? sum[k] / count[k] : 0
			}
			print max, length(sum), substr("associative", 3, 5), toupper("done")
		}'
	bb awk 'BEGIN { for (i = 1; i <= 20; i++) { printf "%.12g %.6e %d\n", i * i / 7, i / 3e9, i % 7 }
		s = "a-b-c"; gsub(/-/, "+", s); n = split(s, p, "+"); print s, n, p[3] }'
	mayfly_same -c 3 busybox awk 'BEGIN { exit 3 }'
}

@test "busybox: sed, tr, grep, cut, uniq, rev" {
	bb_in "$table" sed -n -e '5,20s/key\([0-9]*\)/<\1>/p' -e '$p'
	bb_in "$text" tr 0-9 a-j
	bb_in "$text" tr -d '\n'
	bb_in "$table" grep -c 'key1[0-9] '
	bb_in "$table" grep -nE '^(1|22)[0-9]* .*7$'
	mayfly_same -c 1 -i "$table" busybox grep nowhere
	bb_in "$table" cut -d ' ' -f 3,1
	bb_in "$table" uniq -c
	bb_in "$table" rev
}

@test "busybox: wc, head, tail, od, base64, hexdump" {
	bb_in "$noise" wc
	bb_in "$text" head -n 3
	bb_in "$text" head -c 100000
	bb_in "$text" tail -n 5
	head -c 20000 "$noise" >"$T/some"
	bb_in "$T/some" od -A x -t x1
	bb_in "$T/some" od -c
	bb_in "$T/some" hexdump -C
	bb_in "$noise" base64
	cp "$out" "$T/base64"
	bb_in "$T/base64" base64 -d
	cmp "$noise" "$out"
}

@test "busybox: expr, seq, test, basename, dirname" {
	bb expr 6 '*' 7
	wrote 42
	bb expr abcdef : 'abc\(.*\)'
	mayfly_same -c 1 busybox expr 1 - 1
	bb seq "$(scaled 50000)"
	bb seq 10 -3 -10
	mayfly_same -c 1 busybox test a = b
	bb test 3 -lt 4
	bb basename /a/b/c.txt .txt
	bb dirname /a/b/c.txt
}

@test "busybox: true and false" {
	bb true
	mayfly_same -c 1 busybox false
}

@test "busybox: date of the epoch, uname -s" {
	bb date -u -d @0
	wrote 'Thu Jan  1 00:00:00 UTC 1970'
	bb date -u -d @1234567890 '+%Y-%m-%d %H:%M:%S %j %u'
	bb uname -s
	wrote Linux
	bb uname -m
	wrote x86_64
}

@test "busybox: the clock is the host's" {
	before=$(date +%s)
	captured vm "$MAYFLY" run "$PROGRAMS/busybox" date +%s
	[ "$status" -eq 0 ]
	now=$(cat "$T/vm.out")
	[ "$now" -ge $((before - 1)) ]
	[ "$now" -le $(($(date +%s) + 1)) ]
}

@test "busybox: sleep takes its time" {
	start=$(date +%s%N)
	captured vm "$MAYFLY" run "$PROGRAMS/busybox" sleep 1
	[ "$status" -eq 0 ]
	[ $(($(date +%s%N) - start)) -ge 1000000000 ]
}

@test "busybox: the environment is what -e says" {
	captured vm "$MAYFLY" run -e T_ONE=1 -e T_EMPTY= -e 'T_TEXT=two  words = three' \
		"$PROGRAMS/busybox" env
	[ "$status" -eq 0 ]
	grep ^T_ "$T/vm.out" | sort >"$T/sorted"
	printf 'T_EMPTY=\nT_ONE=1\nT_TEXT=two  words = three\n' | cmp - "$T/sorted"
}

@test "busybox: usage texts, unknown applets and options" {
	bb vi --help
	bb tar --help
	mayfly_same -c 1 busybox vi -h
	mayfly_same -c 1 busybox head --no-such-option
	mayfly_same -c 127 busybox nosuchapplet
	bb --list
}

# ---- busybox sh: builtins only, for a fork there is not ----

@test "sh: arithmetic, loops, functions" {
	bb sh -c '
		fib() { local a=0 b=1 i=0 t; while [ $i -lt $1 ]; do t=$((a + b)); a=$b; b=$t; i=$((i+1)); done; echo "fib $1 = $a"; }
		for n in 1 10 50 90; do fib $n; done
		i=0; until [ $i -ge 3 ]; do i=$((i + 1)); [ $i = 2 ] && continue; echo "i=$i $((i << 4 | 1)) $((-7 / 2)) $((7 % -3))"; done
		case abc.tar in *.zip) echo zip ;; *.tar) echo tar ;; esac
		set -- one "two three" four; echo $# "$2"; shift; echo "$@"
		v=path/to/file.c; echo ${v##*/} ${v%.c}.o ${#v} ${none:-default}'
	wrote 'fib 90 = 2880067194370816120'
}

@test "sh: read from stdin, line by line" {
	mayfly_same -i "$table" busybox sh -c '
		n=0; while read -r a b c; do n=$((n + a)); [ $((c % 5000)) = 0 ] && echo "$c: $b"; done; echo $n'
	printf 'last line without newline' >"$T/line"
	mayfly_same -i "$T/line" busybox sh -c 'read x; echo "$? [$x]"'
}

@test "sh: here-documents and redirections" {
	f=/tmp/mayfly-e2e.$$
	mayfly_same -f "$f" busybox sh -c '
		f='"$f"'
		name=world
		while read -r line; do echo "<$line>"; done <<-END
			hello $name
			$((6 * 7)) things
		END
		{ echo one; echo two; } >$f
		echo three >>$f
		n=0; while read -r line; do n=$((n + 1)); echo "$n $line"; done <$f
		exec 3<$f; read -r a <&3; read -r b <&3; exec 3<&-; echo "$a+$b"
		echo to stderr >&2
		echo gone >/dev/null
		[ -s $f ] && [ ! -d $f ] && [ ! -e $f.no ] && echo tests'
	wrote '<hello world>'
	grep -q 'to stderr' "$err"
}

@test "sh: exit codes, traps, set -e, syntax errors" {
	mayfly_same -c 7 busybox sh -c 'trap "echo bye" EXIT; echo hi; exit 7'
	mayfly_same -c 1 busybox sh -c 'set -e; echo before; false; echo after'
	mayfly_same -c 2 busybox sh -c 'if then'
	mayfly_same -c 2 busybox sh -c 'set -u; echo $undefined'
	mayfly_same -c 255 busybox sh -c 'exit 255'
}

@test "sh: a script on stdin" {
	printf '%s\n' 'x=1' 'echo "x is $x"' 'for i in a b c; do' 'printf "%s," $i' 'done' 'exit 4' >"$T/script"
	mayfly_same -c 4 -i "$T/script" busybox sh
}

@test "sh: getopts, eval, printf, globs without matches" {
	bb sh -c '
		set -- -a -b value rest
		while getopts ab:c o; do echo "$o ${OPTARG-}"; done
		shift $((OPTIND - 1)); echo "$*"
		eval "y=\$((1 + 2))"; printf "%03d %s\n" $y "q"
		echo /nowhere/*.x; type cd; command -v echo; umask; cd /; pwd'
}

# ---- Lua, on both C libraries ----

lua_both() {
	local lua
	for lua in lua-musl lua-glibc; do
		mayfly_same "${@:1:$#-1}" $lua -e "${!#}"
	done
}

@test "Lua: fib" {
	for lua in lua-musl lua-glibc; do
		mayfly_same -i "$ROOT/tests/programs/fib.lua" $lua - "$(scaled 27)"
	done
	wrote 'fib('
}

@test "Lua: strings" {
	lua_both '
		local t = {}
		for w in ("the quick brown fox jumps over the lazy dog"):gmatch("%a+") do t[#t + 1] = w:upper():reverse() end
		print(table.concat(t, " "), #t)
		print(("%5.2f|%-10s|%x|%q"):format(3.14159, "left", 255, "a\nb\0c"))
		print(("x"):rep(100000):gsub("x", "yz"):len())
		print(string.pack(">I4i8z", 7, -1, "end"):byte(1, -1))
		print(utf8.char(228, 8364, 128512), utf8.len("äö"))
		print(("key=value; k2=v2"):find("(%w+)=(%w+)", 5))
		print(1e15, 2^53, 7 // 2, -7 % 3, 0.1 + 0.2, math.maxinteger, math.pi, 1/0, -(0/0) ~= 0)'
}

@test "Lua: sort a table of 100,000" {
	lua_both '
		local n = '"$(scaled 100000)"'
		local t, x = {}, 42
		for i = 1, n do x = (x * 1103515245 + 12345) % 2147483648; t[i] = x end
		table.sort(t)
		for i = 2, n do assert(t[i - 1] <= t[i]) end
		print(t[1], t[n], #t)
		table.sort(t, function(a, b) return a % 1000 > b % 1000 end)
		print(t[1] % 1000, t[n] % 1000)'
}

@test "Lua: garbage, coroutines, metatables, closures" {
	lua_both '
		local sum = 0
		for i = 1, '"$(scaled 200000)"' do local t = {i, {i}}; sum = sum + t[2][1] end
		collectgarbage(); print(sum, collectgarbage("count") < 1000)
		local gen = coroutine.wrap(function() for i = 1, 5 do coroutine.yield(i * i) end end)
		print(gen(), gen(), gen(), gen(), gen())
		local v = setmetatable({}, {__index = function(_, k) return k .. "!" end, __call = function(_, a) return a + 1 end})
		print(v.hello, v(41), select("#", table.unpack({}, 1, 200)))'
}

@test "Lua: files in /tmp, the time" {
	f=/tmp/mayfly-e2e.$$
	lua_both -f "$f" '
		local name = "'"$f"'"
		local f = assert(io.open(name, "w"))
		for i = 1, 10000 do f:write("line ", i, "\n") end
		print(f:seek("cur"), f:close())
		local n, bytes = 0, 0
		for line in io.lines(name) do n = n + 1; bytes = bytes + #line end
		print(n, bytes)
		f = assert(io.open(name, "r+b")); f:seek("set", 5); f:write("X"); f:seek("set", 0); print(f:read("l")); f:seek("end", -6); print(f:read("a")); f:close()
		f = assert(io.open(name, "a")); f:write("appended\n"); f:close()
		print(assert(os.rename(name, name .. ".b")), io.open(name))
		print(os.remove(name .. ".b"), (select(2, os.remove(name .. ".b"))))
		local t = os.tmpname(); print(#t > 5, os.remove(t))
		print(os.time() > 1.7e9, os.time{year=2001, month=9, day=9, hour=12} // 86400, os.date("!%Y-%m-%d %H:%M:%S", 1e9), os.clock() >= 0)
		print(os.getenv("NO_SUCH_VARIABLE"))'
}

@test "Lua: reading stdin" {
	for lua in lua-musl lua-glibc; do
		mayfly_same -i "$table" $lua -e 'local s, n = 0, 0; while true do local a = io.read("n"); if not a then break end; s = s + a; n = n + 1; io.read("l") end; print(s, n)'
		mayfly_same -i "$noise" $lua -e 'local d = io.read("a"); local s = 0; for i = 1, #d, 997 do s = s + d:byte(i) end; print(#d, s)'
	done
}

@test "Lua: errors: pcall, stderr, exit codes" {
	# The recursion ends at Lua's own limit, which takes 70 MB natively too.
	lua_both -r --memory=256M 'print(pcall(error, {code = 2}) == false, select(2, pcall(function() local x = nil; return x.y end)), xpcall(error, debug.traceback ~= nil and function(m) return "handled " .. m end, "m"))
		print(pcall(string.rep, "x", 1 << 40))
		local function deep(n) return n == 0 and 0 or 1 + deep(n - 1) end; print(deep(10000), (pcall(deep, 1e7)))'
	lua_both -c 1 'error("an error for stderr")'
	grep -q 'an error for stderr' "$err"
	lua_both -c 9 'io.stdout:write("partly"); os.exit(9)'
	lua_both -c 1 'this is no Lua'
	for lua in lua-musl lua-glibc; do
		mayfly_same -c 1 $lua /no/such/script.lua
	done
}

# ---- SQLite ----
# -init /dev/null: without it the shell looks for ~/.sqliterc, natively in another home.

sql() { mayfly_same -i "$T/sql" "$@"; }

@test "SQLite: schema, 100,000 inserts and aggregates in memory" {
	{
		echo 'create table item(id integer primary key, grp text, price real, note text);'
		echo 'create index item_grp on item(grp);'
		echo 'begin;'
		seq 1 "$(scaled 100000)" | awk '{ printf "insert into item values(%d, %cg%d%c, %d.%02d, %cnote %d%c);\n",
			$1, 39, $1 % 37, 39, $1 % 1000, $1 % 100, 39, $1 * 7, 39 }'
		echo 'commit;'
		echo 'select count(*), sum(price), avg(price), min(note), max(note) from item;'
		echo 'select grp, count(*) n, round(total(price), 2) from item group by grp order by n desc, grp;'
		echo 'select a.id, b.id from item a join item b on a.id = b.id * 2 where a.grp = "g1" order by 1 limit 20;'
		echo 'with recursive c(x) as (values(1) union all select x + 1 from c where x < 1000) select sum(x * x) from c;'
		echo 'select id, price, rank() over (partition by grp order by price desc) from item order by id limit 10;'
		printf '%s\n' '.mode json' 'select * from item limit 3;' '.mode column' 'select * from item limit 3;' '.schema' 'pragma integrity_check;'
	} >"$T/sql"
	sql sqlite3 -init /dev/null :memory:
	wrote 'CREATE INDEX item_grp'
}

@test "SQLite: a database file, every journal mode" {
	db=/tmp/mayfly-e2e.$$.db
	for mode in delete truncate persist memory wal off; do
		{
			echo "pragma journal_mode=$mode;"
			echo 'create table t(a integer primary key, b blob);'
			echo "begin; with recursive c(x) as (values(1) union all select x + 1 from c where x < $(scaled 5000))"
			echo 'insert into t select x, zeroblob(x % 300) from c; commit;'
			echo 'update t set b = hex(a) where a % 3 = 0; delete from t where a % 7 = 0;'
			[ $mode = off ] || echo 'begin; delete from t; rollback;'
			echo 'select count(*), sum(length(b)), max(a) from t; pragma integrity_check;'
			echo 'vacuum; pragma page_count;'
			[ $mode != wal ] || echo 'pragma wal_checkpoint(truncate);'
			echo ".open $db"
			printf '%s\n' 'select count(*), sum(length(b)) from t;' '.tables'
		} >"$T/sql"
		sql -f "$db" sqlite3 -init /dev/null "$db"
		wrote ok
	done
}

@test "SQLite: errors" {
	mayfly_same -c 1 sqlite3 -init /dev/null :memory: 'select no_such_column;'
	mayfly_same -c 1 sqlite3 -init /dev/null /no/such/dir/db 'select 1;' '.tables'
	echo 'create table t(a unique); insert into t values(1); insert into t values(1); select 5;' >"$T/sql"
	sql -c 1 sqlite3 -init /dev/null -bail :memory:
}

# ---- zstd ----
# Without its worker and I/O threads.

@test "zstd: compress 50 MB, decompress natively and in the VM" {
	local one=(--single-thread --no-asyncio -q)
	text_file "$(scaled 45000000)" "$T/big"
	noise_file "$(scaled 5000000)" "$T/tail"
	cat "$T/tail" >>"$T/big"
	mayfly_same -i "$T/big" zstd "${one[@]}" -c
	cp "$out" "$T/big.zst"
	"$PROGRAMS/zstd" -q -d -c <"$T/big.zst" | cmp - "$T/big"
	mayfly_same -i "$T/big.zst" zstd "${one[@]}" -d -c
	cmp "$out" "$T/big"
	mayfly_same -r --memory=256M -i "$text" zstd "${one[@]}" -15 --check -c
}

@test "zstd: data that is damaged" {
	local one=(--single-thread --no-asyncio -q)
	"$PROGRAMS/zstd" "${one[@]}" --check -c <"$text" >"$T/bad"
	printf 'xxxx' | dd of="$T/bad" bs=1 seek=1000 conv=notrunc status=none
	mayfly_same -c 1 -i "$T/bad" zstd "${one[@]}" -d -c
}

# ---- what the C and C++ run-time libraries need ----

@test "C++: exceptions, iostreams, containers" {
	mayfly_same -i "$table" cxx
	wrote SUCCESS
}

@test "thread-local variables: musl, glibc, static PIE" {
	for program in tls-musl tls-glibc tls-pie; do
		mayfly_same $program
		wrote SUCCESS
	done
}

@test "a mapping of 1 GiB" {
	for program in big-musl big-glibc; do
		mayfly_same -r --memory -r 2G $program
		wrote SUCCESS
	done
}

@test "sha256 of 200 MB" {
	mayfly_same sha256 "$(scaled 200)"
}
