/* SPDX-License-Identifier: Apache-2.0 */
/* vm_spec.c: see vm_spec.h. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "text.h"
#include "vm_net.h"
#include "vm_spec.h"

void vm_spec_close(const struct vm_spec *spec)
{
	if (spec->image_fd >= 0)
		close(spec->image_fd);
	for (int i = 0; i < 3; i++)
		if (spec->fds[i] >= 0)
			close(spec->fds[i]);
}

/* ---- checks ---- */

static int bad(struct err *err, const char *what)
{
	err_set(err, 0, "%s", what);
	return ENGINE_BAD;
}

static bool is_name(const char *name)
{
	static const char first[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	static const char rest[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	size_t n = strlen(name);

	return n && n <= VM_MAX_NAME && strspn(name, first) && strspn(name, rest) == n;
}

static int check_labels(const struct vm_spec *spec, struct err *err)
{
	size_t bytes = 0;

	if (spec->nlabels > VM_MAX_LABELS)
		return bad(err, "a VM has at most 64 labels");
	for (size_t i = 0; i < spec->nlabels; i++) {
		if (!*spec->labels[i].key)
			return bad(err, "a label needs a key");
		bytes += strlen(spec->labels[i].key) + strlen(spec->labels[i].value) + 2;
	}
	return bytes > VM_MAX_LABEL_BYTES ? bad(err, "a VM's labels have at most 4096 bytes") : 0;
}

static int check_streams(const struct vm_spec *spec, struct err *err)
{
	int given = (spec->fds[0] >= 0) + (spec->fds[1] >= 0) + (spec->fds[2] >= 0);

	if (given && given != 3)
		return bad(err, "standard streams come all three, or none");
	if (given && (spec->stdin_bytes || spec->stdin_open || spec->capture))
		return bad(err, "with standard streams of its own a VM has no other input or "
				"output");
	if (spec->stdin_bytes > VM_MAX_STDIN_BYTES) {
		err_set(err, 0,
			"stdin has %zu bytes, %u at most come with the request; keep it open and "
			"send the rest",
			spec->stdin_bytes, VM_MAX_STDIN_BYTES);
		return ENGINE_TOO_LARGE;
	}
	return 0;
}

int vm_spec_check(const struct vm_spec *spec, struct err *err)
{
	int ret;

	if (!spec->image || !*spec->image)
		return bad(err, "a VM needs an image");
	if (strlen(spec->image) >= PATH_MAX)
		return bad(err, "the image's path is too long");
	if (spec->image_fd < 0 && *spec->image != '/') {
		err_set(err, 0, "image %s: the path must be absolute", spec->image);
		return ENGINE_BAD;
	}
	if (spec->argv && !spec->argv[0])
		return bad(err, "the arguments lack the program's name");
	if (spec->workdir && (*spec->workdir != '/' || strlen(spec->workdir) >= PATH_MAX))
		return bad(err, "the working directory must be an absolute path");
	if (spec->name && !is_name(spec->name))
		return bad(err, "a name has 1 to 63 letters, digits, '_', '.', '-', and begins "
				"with a letter or a digit");
	if (spec->cpu_weight > 10000)
		return bad(err, "a CPU weight is 1 to 10000");
	ret = check_labels(spec, err);
	return ret ? ret : check_streams(spec, err);
}

/* ---- copies ---- */

static char *const no_strings[] = {NULL};

/* Adds a string with its NUL at *at; what it points to moves on. */
static char *append(char **at, const char *s, size_t n)
{
	char *copy = *at;

	memcpy(copy, s, n);
	copy[n] = 0;
	*at += n + 1;
	return copy;
}

static uint32_t list_bytes(char *const *list, uint64_t *bytes)
{
	uint32_t n = 0;

	for (; list[n]; n++)
		*bytes += strlen(list[n]) + 1;
	return n;
}

/* START's strings and input (wire.h). The host name is the VM's name or id. */
static int copy_start(const struct vm_spec *spec, char *const *argv, const char *host,
		      struct start **start, struct err *err)
{
	const char *workdir = spec->workdir ? spec->workdir : "/";
	char *const *envp = spec->envp ? spec->envp : no_strings;
	uint64_t bytes = strlen(workdir) + strlen(host) + 2;
	uint32_t argc = list_bytes(argv, &bytes), envc = list_bytes(envp, &bytes);
	struct start *s;
	char *at;

	if (bytes > VM_MAX_TEXT_BYTES) {
		err_set(err, 0, "arguments and environment have %llu bytes, %u at most",
			(unsigned long long)bytes, VM_MAX_TEXT_BYTES);
		return ENGINE_TOO_LARGE;
	}
	s = malloc(sizeof(*s) + bytes + spec->stdin_bytes);
	if (!s) {
		err_set(err, ENOMEM, "no memory for a VM's arguments");
		return ENGINE_BUSY;
	}
	*s = (struct start){
		.flags = (spec->strace ? START_STRACE : 0) | (spec->capture ? START_CAPTURE : 0) |
			 (spec->stdin_open ? START_STDIN : 0) | (spec->fds[0] >= 0 ? START_FDS : 0),
		.argc = argc,
		.envc = envc,
		.text_bytes = (uint32_t)bytes,
		.stdin_bytes = (uint32_t)spec->stdin_bytes,
		.image_fd = spec->image_fd,
		.fds = {spec->fds[0], spec->fds[1], spec->fds[2]},
		.limits = {spec->memory_max_bytes, spec->pids_max, spec->cpu_weight,
			   spec->cpu_max_milli},
	};
	s->limited =
		spec->memory_max_bytes || spec->pids_max || spec->cpu_weight || spec->cpu_max_milli;
	at = s->text;
	append(&at, workdir, strlen(workdir));
	append(&at, host, strlen(host));
	for (uint32_t i = 0; i < argc; i++)
		append(&at, argv[i], strlen(argv[i]));
	for (uint32_t i = 0; i < envc; i++)
		append(&at, envp[i], strlen(envp[i]));
	if (spec->stdin_bytes)
		memcpy(at, spec->stdin_data, spec->stdin_bytes);
	*start = s;
	return 0;
}

/* As a command line, as far as it is shown. */
static size_t join_args(char *const *argv, char out[VM_ARGS_SHOWN + 4])
{
	size_t n = 0;

	for (; *argv; argv++) {
		size_t bytes = strlen(*argv), room = VM_ARGS_SHOWN - n;

		if (n)
			out[n++] = ' ', room--;
		if (bytes > room || (bytes == room && argv[1])) {
			memcpy(out + n, *argv, room);
			n = text_clean(out, n + room);
			memcpy(out + n, "...", 3);
			return n + 3;
		}
		memcpy(out + n, *argv, bytes);
		n += bytes;
	}
	return text_clean(out, n);
}

static size_t label_bytes(const struct vm_spec *spec)
{
	size_t bytes = spec->nlabels * sizeof(struct label);

	for (size_t i = 0; i < spec->nlabels; i++)
		bytes += strlen(spec->labels[i].key) + strlen(spec->labels[i].value) + 2;
	return bytes;
}

static void copy_strings(struct record *r, const struct vm_spec *spec, const char *args,
			 size_t args_bytes)
{
	char *at = (char *)(r + 1);
	struct vm *vm = &r->vm;

	/* The array first: it wants to be aligned. */
	vm->labels = spec->nlabels ? (struct label *)(void *)at : NULL;
	vm->nlabels = (uint32_t)spec->nlabels;
	at += spec->nlabels * sizeof(struct label);
	for (size_t i = 0; i < spec->nlabels; i++) {
		const struct label *l = &spec->labels[i];

		vm->labels[i].key = append(&at, l->key, strlen(l->key));
		vm->labels[i].value = append(&at, l->value, strlen(l->value));
	}
	vm->name = spec->name ? append(&at, spec->name, strlen(spec->name)) : NULL;
	vm->args = append(&at, args, args_bytes);
	vm->image = append(&at, spec->image, strlen(spec->image));
	/* Where it is only shown it need not be a path that opens. */
	if (spec->image_fd >= 0)
		vm->image[text_clean(vm->image, strlen(vm->image))] = 0;
}

int vm_spec_copy(const struct vm_spec *spec, const char id[ENGINE_ID_BYTES], struct record **record,
		 struct err *err)
{
	char *const by_image[] = {(char *)spec->image, NULL};
	char *const *argv = spec->argv ? spec->argv : by_image;
	char args[VM_ARGS_SHOWN + 4];
	size_t args_bytes = join_args(argv, args);
	size_t bytes = label_bytes(spec) + (spec->name ? strlen(spec->name) + 1 : 0) + args_bytes +
		       1 + strlen(spec->image) + 1;
	struct record *r = calloc(1, sizeof(*r) + bytes);
	struct timespec now;
	int failure;

	if (!r) {
		err_set(err, ENOMEM, "no memory for a VM's record");
		return ENGINE_BUSY;
	}
	failure = vm_net_make(spec, &r->vm.net, err);
	if (!failure)
		failure = copy_start(spec, argv, spec->name ? spec->name : id, &r->start, err);
	if (failure) {
		free(r->vm.net);
		free(r);
		return failure;
	}
	copy_strings(r, spec, args, args_bytes);
	memcpy(r->vm.id, id, ENGINE_ID_BYTES);
	clock_gettime(CLOCK_REALTIME, &now);
	r->vm.created_ns = now.tv_sec * 1000000000ll + now.tv_nsec;
	r->vm.remove = spec->remove;
	r->vm.timeout_ns = spec->timeout_ns;
	r->vm.parsed_tsc = spec->parsed_tsc;
	r->vm.private = r;
	r->captures = spec->capture;
	r->capture_bytes = spec->capture ? spec->capture_bytes : 0;
	r->takes_input = spec->stdin_open;
	*record = r;
	return 0;
}
