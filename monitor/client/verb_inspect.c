/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verb_inspect.c: mayfly inspect: what is known of VMs, or of an image.
 *
 * A name is a VM's if the daemon knows it, else an image file's, which mayfly-image, beside
 * us, tells about. No VM's name has a '/'.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "verb.h"

#define HELPER "mayfly-image"

static const char help[] =
	"Usage: mayfly inspect [OPTION]... VM...|IMAGE\n"
	"Prints what the daemon knows of VMs, as a JSON array; or, where it knows no VM of that\n"
	"name, what the file IMAGE is and whether mayfly can run it: kind, segments, digest,\n"
	"system-call sites and how many of them are rewritten, the memory it takes.\n"
	"\n"
	"      --type TYPE      vm or image: only that\n"
	"      --json           of an image: one JSON object, for programs\n" VERB_SOCKET_HELP
		VERB_HELP_HELP "\n"
	"Exit status: 0; 1 there is no such VM; of an image: 126 it cannot run, 127 it was not\n"
	"found; 125 another failure.\n";

enum { TYPE = VERB_OWN };
enum type { ANY, VM, IMAGE };

/* Becomes the helper. Returns only in failure. */
static int inspect_image(const struct verb *v, const char *path, struct err *err)
{
	char self[4096 + sizeof(HELPER)];
	char *argv[6] = {self, "inspect"};
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - sizeof(HELPER));
	int i = 2;

	if (n <= 0)
		return err_set(err, errno, "cannot find the helper " HELPER);
	self[n] = 0;
	strcpy(strrchr(self, '/') + 1, HELPER);
	if (v->json)
		argv[i++] = "--json";
	argv[i++] = "--";
	argv[i] = (char *)path;
	execv(self, argv);
	return err_set(err, errno, "cannot run the helper %s; install mayfly again", self);
}

static int add_vm(struct daemon *d, const char *vm, void *arg, struct err *err)
{
	json_t *all = arg, *one = NULL;
	int ret = verb_ask(d, "GET", vm, "", &one, err);

	if (!ret && json_array_append_new(all, one))
		ret = err_set(err, ENOMEM, "cannot keep what is known of %s", vm);
	return ret;
}

static int inspect_vms(const struct verb *v, int argc, char **argv)
{
	json_t *all = json_array();
	int status = verb_each(v, argc, argv, add_vm, all);

	/* As docker: an array, also of none. Without a daemon nothing was answered. */
	if (status != ERR_EXIT_SELF || json_array_size(all))
		verb_print_json(all, 4);
	else
		json_decref(all);
	return verb_end(status);
}

/* A name alone: is it a VM's? Prints it, or goes on with the image. */
static int inspect_either(const struct verb *v, const char *name)
{
	json_t *vm = NULL;
	struct err err = {0};
	struct daemon d;
	int ret = daemon_init(&d, v->socket, &err);

	if (ret)
		return verb_fail(&err);
	ret = verb_ask(&d, "GET", name, "", &vm, &err);
	daemon_free(&d);
	if (!ret) {
		json_t *all = json_array();

		json_array_append_new(all, vm);
		verb_print_json(all, 4);
		return verb_end(0);
	}
	/* Other answers than "no such VM" are failures; no answer is no daemon, and no VM. */
	if (d.status && d.status != 404)
		return verb_fail(&err);
	if (access(name, F_OK)) {
		err_set_exit(&err, ERR_EXIT_NOT_FOUND, 0,
			     "there is no %simage file %s in this directory",
			     d.status ? "VM and no " : "", name);
		return verb_fail(&err);
	}
	inspect_image(v, name, &err);
	return verb_fail(&err);
}

int verb_inspect(int argc, char **argv)
{
	static const struct option options[] = {
		{"type", required_argument, NULL, TYPE}, VERB_JSON_OPTION, VERB_OPTIONS};
	struct verb v = {.name = "inspect", .help = help};
	enum type type = ANY;
	struct err err = {0};
	int opt;

	while ((opt = verb_option(&v, argc, argv, ":h", options)) > 0) {
		type = !strcmp(optarg, "vm") ? VM : !strcmp(optarg, "image") ? IMAGE : ANY;
		if (type == ANY)
			return verb_usage(&v, "--type %s: write vm or image", optarg);
	}
	if (opt < 0)
		return v.status;
	if (optind == argc)
		return verb_usage(&v, "which VM, or which image?");
	if (type == ANY && argc - optind == 1 && !strchr(argv[optind], '/'))
		return inspect_either(&v, argv[optind]);
	if (type == VM || (type == ANY && argc - optind > 1))
		return inspect_vms(&v, argc, argv);
	if (argc - optind > 1)
		return verb_usage(&v, "one image at a time");
	inspect_image(&v, argv[optind], &err);
	return verb_fail(&err);
}
