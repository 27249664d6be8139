#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# debsrc.sh PACKAGE VERSION DESTDIR: unpacks a Debian source package at a pinned version.
# debsrc.sh --pin PACKAGE VERSION:   fetches it and adds its files to debsrc.sha256.
#
# The files come from the archives that the machine's own apt is configured with, asked
# for their sources through a private configuration: nothing under /etc/apt or
# /var/lib/apt changes, and root is not needed. Every file must match scripts/debsrc.sha256.
# Downloads are kept in build/debsrc ($DEBSRC_CACHE), so a second call does nothing.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
pins=$here/debsrc.sha256
cache=${DEBSRC_CACHE:-$here/../build/debsrc}

die() {
	echo "debsrc.sh: $*" >&2
	exit 1
}

# The machine's sources, asked for deb-src instead of deb, into the directory $1.
private_sources() {
	local file
	mkdir -p "$1"
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ ! -f "$file" ] ||
			sed -nE 's/^[[:space:]]*deb(-src)?([[:space:]])/deb-src\2/p' "$file" \
				>"$1/$(basename "$file" .list).list"
	done
	for file in /etc/apt/sources.list.d/*.sources; do
		[ ! -f "$file" ] ||
			sed -E 's/^Types:.*/Types: deb-src/I' "$file" >"$1/$(basename "$file")"
	done
}

# Downloads the source package into the directory $tmp/files. apt itself checks the files
# against the archive's signed index.
download() {
	local apt=(apt-get -q
		-o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$tmp/sources"
		-o "Dir::State::Lists=$tmp/lists"
		-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=)
	[ "$(id -u)" -ne 0 ] || apt+=(-o APT::Sandbox::User=root)
	private_sources "$tmp/sources"
	mkdir -p "$tmp/lists/partial" "$tmp/files"
	echo "debsrc.sh: fetching $package $version"
	# An archive without sources makes update fail; what counts is whether ours is found.
	"${apt[@]}" update >"$tmp/log" 2>&1 || true
	if ! (cd "$tmp/files" && "${apt[@]}" source --download-only --only-source \
		"$package=$version" >>"$tmp/log" 2>&1); then
		cat "$tmp/log" >&2
		die "$package $version could not be fetched. If the archive has moved on to a newer" \
			"version, pin that: scripts/debsrc.sh --pin $package VERSION"
	fi
}

# The files that a .dsc names: the lines of its Checksums-Sha256 field.
dsc_files() {
	awk '/^Checksums-Sha256:/ { on = 1; next } /^[^ ]/ { on = 0 } on { print $3 }' "$1"
}

# True if the directory $1 holds all files of the package, each as pinned. Says what is
# wrong in $why. The .dsc is checked before the list in it is believed.
verified() {
	local name sum
	for name in "$dsc" $([ ! -f "$1/$dsc" ] || dsc_files "$1/$dsc"); do
		sum=$(awk -v name="$name" '$2 == name { print $1 }' "$pins")
		why="$name is not pinned in scripts/debsrc.sha256"
		[ -n "$sum" ] || return 1
		why="$name is missing"
		[ -f "$1/$name" ] || return 1
		why="$name does not have the SHA-256 that scripts/debsrc.sha256 pins"
		[ "$(sha256sum <"$1/$name")" = "$sum  -" ] || return 1
	done
}

pin=
[ "${1:-}" != --pin ] || { pin=yes && shift; }
[ $# -eq "$([ -n "$pin" ] && echo 2 || echo 3)" ] ||
	die "usage: debsrc.sh PACKAGE VERSION DESTDIR | debsrc.sh --pin PACKAGE VERSION"
package=$1
version=$2
dsc=${package}_${version#*:}.dsc # file names leave the epoch out
stamp="$package $version"

if [ -z "$pin" ]; then
	dest=$3
	[ "$(cat "$dest/.debsrc" 2>/dev/null)" != "$stamp" ] || exit 0
	[ ! -e "$dest" ] || [ -f "$dest/.debsrc" ] ||
		die "$dest exists and was not made by debsrc.sh; remove it first"
	grep -q "  $dsc\$" "$pins" ||
		die "$package $version is not pinned; scripts/debsrc.sh --pin $package $version"
	command -v dpkg-source >/dev/null || die "dpkg-source is missing: scripts/deps.sh check"
fi

mkdir -p "$cache"
exec 9>"$cache/lock" # parallel makes take turns
flock 9
tmp=$(mktemp -d "$cache/tmp.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

if [ -n "$pin" ]; then
	download
	(cd "$tmp/files" && sha256sum -- *) | cat "$pins" - | sort -u -k2 >"$tmp/pins"
	cat "$tmp/pins" >"$pins"
	mv "$tmp/files"/* "$cache"
	echo "debsrc.sh: pinned $package $version"
	exit 0
fi

if ! verified "$cache"; then
	download
	verified "$tmp/files" || die "$package $version: $why"
	mv "$tmp/files"/* "$cache"
fi
# --no-check: the signature's keyring need not be installed; the SHA-256s are what we trust.
dpkg-source --no-check -x "$cache/$dsc" "$tmp/tree" >"$tmp/log" 2>&1 ||
	{ cat "$tmp/log" >&2 && die "$dsc could not be unpacked"; }
echo "$stamp" >"$tmp/tree/.debsrc"
rm -rf "$dest"
mkdir -p "$(dirname "$dest")"
mv "$tmp/tree" "$dest"
