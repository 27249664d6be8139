/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_doctor.c: mayfly doctor: checks this machine and prints what it found. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "doctor.h"
#include "json.h"

static const char help[] =
	"Usage: mayfly doctor [--json]\n"
	"Checks this machine, and says how to fix what is missing.\n"
	"\n"
	"      --json           print an array of {name, status, found, fix}\n"
	"      --help           this text\n"
	"\n"
	"Exit status: 0 if 'mayfly run' works here (there may be warnings), 1 if something\n"
	"that it needs fails, 125 if the checks could not be made.\n";

#define EXIT_NEEDED 1

static const struct {
	const char *text, *colour;
} status_text[] = {
	[CHECK_OK] = {"ok", "\033[32m"},
	[CHECK_WARN] = {"warn", "\033[33m"},
	[CHECK_FAIL] = {"fail", "\033[31m"},
};

void doctor_add(struct doctor *d, const char *name, enum check_status status, const char *fmt, ...)
{
	/* Checks beyond the last place would be lost unseen: the last one is overwritten. */
	struct check *c = &d->check[d->n < DOCTOR_MAX_CHECKS ? d->n++ : DOCTOR_MAX_CHECKS - 1];
	va_list args;

	c->name = name;
	c->status = status;
	c->fix[0] = 0;
	va_start(args, fmt);
	vsnprintf(c->found, sizeof(c->found), fmt, args);
	va_end(args);
}

void doctor_fix(struct doctor *d, const char *fmt, ...)
{
	struct check *c = &d->check[d->n - 1];
	va_list args;

	va_start(args, fmt);
	vsnprintf(c->fix, sizeof(c->fix), fmt, args);
	va_end(args);
}

bool doctor_read(const char *path, char *text, size_t size)
{
	FILE *f = fopen(path, "re");
	bool done = f && fgets(text, (int)size, f);

	if (f)
		fclose(f);
	if (!done)
		text[0] = 0;
	text[strcspn(text, "\n")] = 0;
	return done;
}

static size_t count(const struct doctor *d, enum check_status status)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n; i++)
		n += d->check[i].status == status;
	return n;
}

static void print_lines(const struct doctor *d)
{
	const bool colour = isatty(STDOUT_FILENO);
	const size_t fails = count(d, CHECK_FAIL), warns = count(d, CHECK_WARN);

	for (size_t i = 0; i < d->n; i++) {
		const struct check *c = &d->check[i];

		printf("%s%-4s%s  %-16s  %s\n", colour ? status_text[c->status].colour : "",
		       status_text[c->status].text, colour ? "\033[0m" : "", c->name, c->found);
		if (c->fix[0])
			printf("      %-16s  -> %s\n", "", c->fix);
	}
	printf("\nmayfly run %s here", fails ? "does not work" : "works");
	if (fails)
		printf(": %zu failed", fails);
	if (warns)
		printf("%s%zu warning%s", fails ? ", " : "; ", warns, warns == 1 ? "" : "s");
	putchar('\n');
}

static void print_json(const struct doctor *d)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct check *c = &d->check[i];

		fputs(i ? ",\n {\"name\": " : "[\n {\"name\": ", stdout);
		json_string(stdout, c->name);
		fputs(", \"status\": ", stdout);
		json_string(stdout, status_text[c->status].text);
		fputs(", \"found\": ", stdout);
		json_string(stdout, c->found);
		fputs(", \"fix\": ", stdout);
		json_string(stdout, c->fix);
		putchar('}');
	}
	fputs("\n]\n", stdout);
}

int cmd_doctor(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	static struct doctor doctor;
	bool json = false;
	int opt;

	opterr = 0; /* one line for one error: ours */
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (opt != 'j')
			return cmd_usage("doctor", "there is no option %s", argv[optind - 1]);
		json = true;
	}
	if (optind < argc)
		return cmd_usage("doctor", "it takes no arguments, but got %s", argv[optind]);

	doctor_kvm_checks(&doctor);
	doctor_file_checks(&doctor);
	doctor_host_checks(&doctor);
	doctor_net_checks(&doctor);
	if (json)
		print_json(&doctor);
	else
		print_lines(&doctor);
	if (fflush(stdout) || ferror(stdout)) {
		perror("mayfly: cannot write the report");
		return ERR_EXIT_SELF;
	}
	return count(&doctor, CHECK_FAIL) ? EXIT_NEEDED : 0;
}
