/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c: the command line of mayfly-image, the helper that makes prepared images.
 *
 *	mayfly-image prepare --in-fd N --out-fd M [--cache DIR] PATH
 *	mayfly-image inspect [--json] PATH
 *
 * `mayfly run` starts the first where its cache has no image; people use the second.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inspect.h"
#include "prepare.h"
#include "store.h"

static const char usage[] = "usage: mayfly-image prepare --in-fd N --out-fd M [--cache DIR] PATH\n"
			    "       mayfly-image inspect [--json] PATH\n";

/* People come here by way of `mayfly inspect`. */
static const char inspect_help[] =
	"Usage: mayfly inspect [--json] IMAGE\n"
	"Says what IMAGE is and whether mayfly can run it: kind, segments, digest, system-call\n"
	"sites and how many of them are rewritten, the memory it takes.\n"
	"\n"
	"      --json   one JSON object, for programs\n"
	"      --help   this text\n"
	"\n"
	"Exit status: 0 it can run; 126 it cannot; 127 it was not found; 125 another failure.\n";

struct options {
	int in_fd, out_fd;
	const char *cache, *path;
	bool json;
};

static int parse_fd(const char *text, const char *option, struct err *err)
{
	char *end;
	long fd;

	errno = 0;
	fd = strtol(text, &end, 10);
	if (errno || end == text || *end || fd < 0 || fd > INT_MAX)
		return err_set(err, 0, "%s %s: not a descriptor's number", option, text);
	return (int)fd;
}

static int parse(int argc, char **argv, struct options *opt, struct err *err)
{
	enum { IN_FD = 1, OUT_FD, CACHE, JSON, HELP };
	static const struct option longs[] = {
		{"in-fd", required_argument, NULL, IN_FD},
		{"out-fd", required_argument, NULL, OUT_FD},
		{"cache", required_argument, NULL, CACHE},
		{"json", no_argument, NULL, JSON},
		{"help", no_argument, NULL, HELP},
		{0},
	};
	int c;

	*opt = (struct options){.in_fd = -1, .out_fd = -1};
	opterr = 0; /* one line for one error: ours */
	while ((c = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
		switch (c) {
		case IN_FD:
			opt->in_fd = parse_fd(optarg, "--in-fd", err);
			if (opt->in_fd < 0)
				return opt->in_fd;
			break;
		case OUT_FD:
			opt->out_fd = parse_fd(optarg, "--out-fd", err);
			if (opt->out_fd < 0)
				return opt->out_fd;
			break;
		case CACHE:
			opt->cache = optarg;
			break;
		case JSON:
			opt->json = true;
			break;
		case HELP:
			fputs(strcmp(argv[0], "inspect") ? usage : inspect_help, stdout);
			exit(0);
		default:
			return err_set(err, 0,
				       "%s: no such option, or its value is missing; "
				       "try 'mayfly inspect --help'",
				       argv[optind - 1]);
		}
	}
	if (optind != argc - 1)
		return err_set(err, 0, "inspect needs one image; try 'mayfly inspect --help'");
	opt->path = argv[optind];
	return 0;
}

static int prepare(const struct options *opt, struct err *err)
{
	struct store_file file;
	struct image_out out;
	int ret;

	if (opt->in_fd < 0 || opt->out_fd < 0)
		return err_set(err, 0, "prepare needs --in-fd and --out-fd");
	ret = store_read(opt->in_fd, opt->path, &file, err);
	if (ret)
		return ret;
	ret = image_prepare(file.bytes, file.n, opt->path, &out, err);
	if (ret)
		return ret;
	ret = store_write(opt->out_fd, out.file, out.bytes, opt->path, err);
	if (ret)
		return ret;
	if (opt->cache)
		store_publish(opt->out_fd, opt->cache, out.file, out.bytes, out.header->digest,
			      &file);
	return 0; /* the memory goes with the process */
}

static int inspect(const struct options *opt, struct err *err)
{
	struct store_file file;
	int fd, ret;

	/* O_NONBLOCK: a FIFO without a writer must not hang us; it is refused later. */
	fd = open(opt->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_set_exit(err,
				    errno == ENOENT || errno == ENOTDIR ? ERR_EXIT_NOT_FOUND
									: ERR_EXIT_IMAGE,
				    errno, "open %s", opt->path);
	ret = store_read(fd, opt->path, &file, err);
	close(fd);
	if (ret)
		return ret;
	ret = inspect_print(&file, opt->path, opt->json, err);
	store_free(&file);
	return ret;
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct options opt;
	int ret;

	if (argc >= 2 && !strcmp(argv[1], "--help")) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc < 2 || (strcmp(argv[1], "prepare") && strcmp(argv[1], "inspect"))) {
		fputs(usage, stderr);
		return ERR_EXIT_SELF;
	}
	ret = parse(argc - 1, argv + 1, &opt, &err);
	if (!ret)
		ret = strcmp(argv[1], "prepare") ? inspect(&opt, &err) : prepare(&opt, &err);
	if (ret) {
		if (err.message[0])
			fprintf(stderr, "mayfly: %s\n", err.message);
		return err.exit ? err.exit : ERR_EXIT_SELF;
	}
	return 0;
}
