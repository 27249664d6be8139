#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# deps.sh GROUP...: installs the Debian packages that the named groups need.
#
#   build   what `make` needs             amdv    the AMD-V machine (tests/amdv)
#   check   what `make check` needs       bench   what the benchmarks compare with
#   lint    what `make lint` needs
#
# When nothing is missing it asks dpkg once, prints nothing and is done; only otherwise
# does it need root and the network.
set -euo pipefail

build=(gcc make musl-tools linux-libc-dev pkg-config libelf-dev libdw-dev libzydis-dev
	nettle-dev libjansson-dev zlib1g-dev libseccomp-dev libcap-ng-dev libmicrohttpd-dev
	libsystemd-dev libcurl4-gnutls-dev curl dpkg-dev clang llvm libbpf-dev libxdp-dev libmnl-dev passt)
# clang for the fuzz targets: the unversioned libclang-rt-dev depends on the sanitizer
# runtimes of the very version that the unversioned clang stands for.
# From liblua5.4-dev on: what tests/programs/build.sh makes its programs of.
check=(bats libcmocka-dev clang libclang-rt-dev gdb busybox-static g++ jq procps util-linux curl
	python3 python3-jsonschema python3-yaml
	liblua5.4-dev libsqlite3-dev libzstd-dev nettle-dev musl-tools dpkg-dev tcl
	iproute2 iputils-ping ethtool tcpdump netcat-openbsd iperf3 wrk redis-tools dnsmasq-base libiperf-dev libssl-dev)
amdv=(qemu-system-x86 cpio kmod xz-utils busybox-static iproute2 ethtool curl)
bench=(runc jq procps iproute2 iputils-ping wrk iperf3 ethtool curl)
# No clang-tidy: it wants a compilation database and its checks overlap with cppcheck and gcc -Wall.
lint=(clang-format shellcheck cppcheck)

usage() {
	echo "usage: scripts/deps.sh build|check|amdv|bench|lint ..." >&2
	exit 2
}

[ $# -gt 0 ] || usage
wanted=()
for group in "$@"; do
	case $group in
	build) wanted+=("${build[@]}") ;;
	check) wanted+=("${check[@]}") ;;
	amdv) wanted+=("${amdv[@]}") ;;
	bench) wanted+=("${bench[@]}") ;;
	lint) wanted+=("${lint[@]}") ;;
	*) usage ;;
	esac
done

if ! command -v dpkg-query >/dev/null; then
	echo "deps.sh: this is not a Debian machine; install by hand: ${wanted[*]}" >&2
	exit 1
fi

# dpkg-query fails when it does not know one of the names, and still lists the others.
# The state "ii" is: wanted and completely installed ("hi": held, and installed).
declare -A have=()
while read -r state name; do
	[[ $state != ?i ]] || have[$name]=1
done < <(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "${wanted[@]}" 2>/dev/null || true)

missing=()
for name in "${wanted[@]}"; do
	[ -n "${have[$name]:-}" ] || missing+=("$name")
	have[$name]=1 # a package that two groups name is listed once
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "deps.sh: packages are missing. As root, run:" >&2
	echo "  apt-get update && apt-get install --no-install-recommends -y ${missing[*]}" >&2
	exit 1
fi

echo "deps.sh: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
apt-get update -q
apt-get install -q --no-install-recommends -y "${missing[@]}"
