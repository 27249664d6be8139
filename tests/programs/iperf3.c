/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iperf3.c: the iperf3 command, on Debian's static library of it. The library wants libsctp,
 * of which Debian has no archive; nobody here asks for SCTP.
 */
#include <stdint.h>
#include <stdio.h>

#include <iperf_api.h>

int sctp_bindx(int fd, void *addresses, int count, int flags)
{
	(void)fd, (void)addresses, (void)count, (void)flags;
	return -1;
}

int main(int argc, char **argv)
{
	struct iperf_test *test = iperf_new_test();
	int result = -1;

	if (!test || iperf_defaults(test) < 0 || iperf_parse_arguments(test, argc, argv) < 0) {
		fprintf(stderr, "iperf3: %s\n", iperf_strerror(i_errno));
		return 1;
	}
	if (iperf_get_test_role(test) == 'c')
		result = iperf_run_client(test);
	else
		do {
			result = iperf_run_server(test);
			if (result < 0)
				fprintf(stderr, "iperf3: %s\n", iperf_strerror(i_errno));
			iperf_reset_test(test);
		} while (!iperf_get_test_one_off(test));
	iperf_free_test(test);
	return result < 0;
}
