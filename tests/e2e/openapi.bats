#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# openapi.bats: the daemon is as monitor/daemon/openapi.yaml says, and that says all of it.
# The work is openapi.py's.

load helpers
load daemon

setup_file() {
	need_machine
	daemon_start "$BATS_FILE_TMPDIR" --shells 4 --max-shells 8
}

teardown_file() {
	daemon_end
}

# Debian's python3, for Debian's python3-jsonschema and python3-yaml.
conforms() {
	GUEST=$(dirname "$PROGRAMS")/guest-cli/musl /usr/bin/python3 "$ROOT/tests/e2e/openapi.py" "$1"
}

@test "the description is sound by itself" {
	conforms schemas
}

@test "description and daemon have the same routes and query parameters" {
	conforms routes
}

@test "what is allowed on a path is what is described" {
	conforms methods
}

@test "every operation replies as is described" {
	conforms replies
}

@test "and so do the errors of each" {
	conforms errors
}

@test "bodies that the description allows are accepted, others are refused" {
	conforms requests
}
