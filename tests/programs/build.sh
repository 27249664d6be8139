#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# build.sh OUTDIR: builds real programs, static and unmodified, to run under mayfly.
#
# They are what Debian ships, from its static libraries where it has them and from its
# source packages (scripts/debsrc.sh) where it does not. The name says which C library a
# program is linked against when there are two of it: lua-musl, lua-glibc. What is newer
# than all that it is made of is left alone.
set -euo pipefail

[ $# -eq 1 ] || { echo "usage: tests/programs/build.sh OUTDIR" >&2 && exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
debsrc=$here/../../scripts/debsrc.sh
src=$out/.src
libs=/usr/lib/x86_64-linux-gnu
flags=(-static -O2 -g0 -w)

# fresh OUTPUT INPUT...: true if OUTPUT is there and no older than its inputs and this file.
fresh() {
	local output=$out/$1 input
	shift
	[ -e "$output" ] || return 1
	for input in "$here/build.sh" "$@"; do
		[ ! "$input" -nt "$output" ] || return 1
	done
}

# make_it OUTPUT COMMAND...: runs the compiler with -o OUTPUT. Debian's static libraries
# warn at every link that glibc's dlopen and getpwuid want shared ones; nobody here calls
# them, so what the compiler says is shown only when it fails.
make_it() {
	local name=$1
	shift
	if ! "$@" -o "$out/$name.new" >"$out/.$name.log" 2>&1; then
		head -n 20 "$out/.$name.log" >&2
		echo "build.sh: $name failed" >&2
		return 1
	fi
	rm -f "$out/.$name.log"
	mv "$out/$name.new" "$out/$name"
	echo "  programs/$name"
}

busybox() {
	fresh busybox /bin/busybox && return
	cp /bin/busybox "$out/busybox.new"
	touch "$out/busybox.new"
	mv "$out/busybox.new" "$out/busybox"
	echo "  programs/busybox"
}

# Lua: all of it against musl; the interpreter on Debian's library against glibc.
lua() {
	local lua=$src/lua5.4 files=()
	"$debsrc" lua5.4 5.4.4-3+deb12u1 "$lua"
	mkdir -p "$src/include" # what debian/rules generates
	echo '#define DEB_HOST_MULTIARCH "x86_64-linux-gnu"' >"$src/include/lua5.4-deb-multiarch.h"
	mapfile -t files < <(find "$lua/src" -name '*.c' ! -name luac.c | sort)
	fresh lua-musl "${files[@]}" ||
		make_it lua-musl musl-gcc "${flags[@]}" -DLUA_USE_POSIX -I"$src/include" \
			"${files[@]}" -lm
	fresh lua-glibc "$lua/src/lua.c" "$libs/liblua5.4.a" ||
		make_it lua-glibc gcc "${flags[@]}" -I/usr/include/lua5.4 "$lua/src/lua.c" \
			-llua5.4 -lm
}

# The SQLite shell on Debian's library; the source package generates shell.c.
sqlite() {
	local sqlite=$src/sqlite3
	"$debsrc" sqlite3 3.40.1-2+deb12u2 "$sqlite"
	fresh sqlite3 "$sqlite/src/shell.c.in" "$libs/libsqlite3.a" && return
	tclsh "$sqlite/tool/mkshellc.tcl" >"$src/shell.c"
	make_it sqlite3 gcc "${flags[@]}" -O1 "$src/shell.c" -lsqlite3 -lm
}

# zstd's own command on Debian's library, with its threads; --single-thread --no-asyncio
# makes it start none.
zstd() {
	local zstd=$src/libzstd files=()
	"$debsrc" libzstd 1.5.4+dfsg2-5 "$zstd"
	files=(zstdcli.c util.c timefn.c fileio.c fileio_asyncio.c)
	files=("${files[@]/#/$zstd/programs/}")
	fresh zstd "${files[@]}" "$libs/libzstd.a" && return
	make_it zstd gcc "${flags[@]}" -DZSTD_MULTITHREAD -DZSTD_LEGACY_SUPPORT=0 -DZSTD_NOBENCH \
		-DZSTD_NODICT -DZSTD_NOTRACE -I"$zstd/lib" -I"$zstd/lib/common" "${files[@]}" -lzstd
}

# built NAME DIR COMMAND...: has COMMAND, a package's own way to build, make $src/NAME/DIR/NAME.
# Its output is shown only when it fails, and what it made is stripped: nobody debugs it here.
built() {
	local name=$1 dir=$2
	shift 2
	if ! (cd "$src/$name" && "$@") >"$out/.$name.log" 2>&1; then
		tail -n 20 "$out/.$name.log" >&2
		echo "build.sh: $name failed" >&2
		return 1
	fi
	rm -f "$out/.$name.log"
	strip -o "$out/$name.new" "$src/$name/$dir/$name"
	mv "$out/$name.new" "$out/$name"
	echo "  programs/$name"
}

# Redis, against glibc. Its three background threads close files, sync logs and free large
# values; a VM has one thread, so pthread_create is nothreads.c's, which starts none.
redis() {
	"$debsrc" redis 5:7.0.15-1~deb12u7 "$src/redis-server"
	fresh redis-server "$here/nothreads.c" "$src/redis-server/src/Makefile" && return
	gcc -O1 -w -c -o "$src/nothreads.o" "$here/nothreads.c"
	built redis-server src make -j2 -C src redis-server MALLOC=libc USE_SYSTEMD=no BUILD_TLS=no \
		OPTIMIZATION=-O1 DEBUG= CFLAGS=-w \
		LDFLAGS="-static -Wl,--wrap=pthread_create $src/nothreads.o"
}

# lighttpd, against glibc, with no library and no more modules than a static page takes.
# The file of the modules and the version stamp are its INSTALL's and its Makefile's.
lighttpd() {
	"$debsrc" lighttpd 1.4.69-1 "$src/lighttpd"
	fresh lighttpd "$src/lighttpd/src/server.c" && return
	printf 'PLUGIN_INIT(mod_%s)\n' indexfile staticfile setenv status \
		>"$src/lighttpd/src/plugin-static.h"
	echo '#define REPO_VERSION ""' >"$src/lighttpd/src/versionstamp.h"
	# shellcheck disable=SC2016
	built lighttpd src sh -c 'LIGHTTPD_STATIC=yes CFLAGS="-O1 -w" ./configure \
		--disable-dependency-tracking --without-pcre2 --without-zlib &&
		make -j2 -C src lighttpd LDFLAGS=-all-static'
}

# iperf3: Debian's library, whose command of 30 lines is written here again.
iperf() {
	fresh iperf3 "$here/iperf3.c" "$libs/libiperf.a" ||
		make_it iperf3 gcc "${flags[@]}" -s "$here/iperf3.c" -liperf -lssl -lcrypto -lm
}

# What is written here, each for one thing that the other programs do not do.
own() {
	local name
	fresh cxx "$here/cxx.cc" || make_it cxx g++ "${flags[@]}" "$here/cxx.cc"
	fresh sha256 "$here/sha256.c" "$libs/libnettle.a" ||
		make_it sha256 gcc "${flags[@]}" "$here/sha256.c" -lnettle
	for name in tls big; do
		fresh "$name-musl" "$here/$name.c" ||
			make_it "$name-musl" musl-gcc "${flags[@]}" "$here/$name.c"
		fresh "$name-glibc" "$here/$name.c" ||
			make_it "$name-glibc" gcc "${flags[@]}" "$here/$name.c"
	done
	# One that the loader must place: position independent.
	fresh tls-pie "$here/tls.c" ||
		make_it tls-pie gcc -static-pie -fPIE -O2 "$here/tls.c"
}

for tool in musl-gcc g++ dpkg-source tclsh /bin/busybox; do
	command -v "$tool" >/dev/null ||
		{ echo "build.sh: $tool is missing: scripts/deps.sh check" >&2 && exit 1; }
done

# Each in a subshell of its own, all at once; wait by pid to see who failed.
mkdir -p "$src"
pids=()
(busybox) & pids+=($!)
(lua) & pids+=($!)
(sqlite) & pids+=($!)
(zstd) & pids+=($!)
(own) & pids+=($!)
(redis) & pids+=($!)
(lighttpd) & pids+=($!)
(iperf) & pids+=($!)
failed=0
for pid in "${pids[@]}"; do
	wait "$pid" || failed=1
done
cp -u "$here"/*.lua "$out"
exit $failed
