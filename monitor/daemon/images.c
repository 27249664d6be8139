/* SPDX-License-Identifier: Apache-2.0 */
/* images.c: see images.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "image_file.h"
#include "image_job.h"
#include "images.h"
#include "limits.h"
#include "list.h"
#include "loop.h"

#define KEPT     128  /* open prepared images at most: a descriptor each */
#define SHARE    8    /* and at most this part of RLIMIT_NOFILE */
#define MAX_JOBS 1024 /* under way and waiting */

/* Somebody who waits for a preparation. */
struct wanted {
	struct link link;
	images_done *done;
	void *arg;
};

struct preparation {
	struct images *images;
	struct link link; /* in jobs */
	struct link wanted;
	struct image_job *job; /* NULL: it waits for its turn */
	struct stat identity;
	bool settled; /* its identity names one content only */
	int elf_fd;
	char *path, *real;
};

struct images {
	struct loop *loop;
	const char *run_dir;
	int run_dir_fd, root;
	char root_path[PATH_MAX]; /* "": there is none */
	void (*prepared)(void *arg, const char *path);
	void *arg;
	struct image_ref *kept[KEPT];
	int nkept;      /* at most */
	uint64_t clock; /* counts uses */
	struct link jobs;
	unsigned njobs, running, cpus;
	uint64_t later; /* timer: run_jobs */
	uint64_t nprepared, nhits;
};

static int kept_at_most(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur / SHARE >= KEPT)
		return KEPT;
	return files.rlim_cur >= SHARE ? (int)(files.rlim_cur / SHARE) : 1;
}

static int open_root(struct images *im, const char *root, struct err *err)
{
	im->root = -1;
	if (!root || !strcmp(root, "/"))
		return 0;
	im->root = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (im->root < 0 || !realpath(root, im->root_path))
		return err_set(err, errno, "cannot open the images' root %s", root);
	return 0;
}

struct images *images_open(struct loop *loop, const char *run_dir, int run_dir_fd, const char *root,
			   void (*prepared)(void *arg, const char *path), void *arg,
			   struct err *err)
{
	struct images *im = calloc(1, sizeof(*im));
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (!im) {
		err_set(err, ENOMEM, "no memory for images");
		return NULL;
	}
	im->loop = loop;
	im->run_dir = run_dir;
	im->run_dir_fd = run_dir_fd;
	im->prepared = prepared;
	im->arg = arg;
	im->cpus = cpus > 0 ? (unsigned)cpus : 1;
	im->nkept = kept_at_most();
	list_init(&im->jobs);
	if (open_root(im, root, err)) {
		images_close(im);
		return NULL;
	}
	return im;
}

static void preparation_free(struct preparation *p)
{
	struct link *l;

	while ((l = list_first(&p->wanted))) {
		list_remove(l);
		free(LIST_OF(l, struct wanted, link));
	}
	list_remove(&p->link);
	p->images->njobs--;
	if (p->elf_fd >= 0)
		close(p->elf_fd);
	free(p->path);
	free(p->real);
	free(p);
}

void images_counts(const struct images *im, uint64_t *prepared, uint64_t *hits)
{
	*prepared = im->nprepared;
	*hits = im->nhits;
}

/* ---- open images ---- */

void image_put(struct image_ref *ref)
{
	if (--ref->refs)
		return;
	close(ref->fd);
	free(ref->path);
	free(ref);
}

static struct image_ref *find_kept(struct images *im, const struct stat *st)
{
	for (int i = 0; i < im->nkept && im->kept[i]; i++)
		if (image_file_same(&im->kept[i]->identity, st)) {
			im->kept[i]->used = ++im->clock;
			im->kept[i]->refs++;
			return im->kept[i];
		}
	return NULL;
}

/* They fill from the front; the one that was not used for longest makes room. */
static void keep(struct images *im, struct image_ref *ref)
{
	int at = 0;

	for (int i = 0; i < im->nkept; i++) {
		if (!im->kept[i]) {
			at = i;
			break;
		}
		if (im->kept[i]->used < im->kept[at]->used)
			at = i;
	}
	if (im->kept[at])
		image_put(im->kept[at]);
	im->kept[at] = ref;
	ref->used = ++im->clock;
	ref->refs++;
}

/* A new one with one reference; takes over fd and path, also in failure (NULL). */
static struct image_ref *new_ref(const struct stat *st, int fd, char *path)
{
	struct image_ref *ref = path ? malloc(sizeof(*ref)) : NULL;

	if (!ref) {
		close(fd);
		free(path);
		return NULL;
	}
	*ref = (struct image_ref){.fd = fd, .path = path, .identity = *st, .refs = 1};
	return ref;
}

/* ---- preparing ---- */

/* errnum: of what there is not enough. */
static int lacking(int errnum, const char *path, struct err *err)
{
	size_t n;

	err_set(err, errnum, "cannot prepare the image %s", path);
	n = strlen(err->message);
	limits_explain(errnum, err->message + n, sizeof(err->message) - n);
	return ENGINE_BUSY;
}

/* An enum engine_failure for a message that has been made. */
static int failure_of(const struct err *err)
{
	return err->exit == ERR_EXIT_IMAGE || err->exit == ERR_EXIT_NOT_FOUND ? ENGINE_IMAGE
									      : ENGINE_FAILED;
}

static void run_jobs(struct images *im);

/* Tells all who wait. Each may ask for more from within. */
static void conclude(struct preparation *p, struct image_ref *ref, int failure,
		     const struct err *err)
{
	struct link *l;

	while ((l = list_first(&p->wanted))) {
		struct wanted w = *LIST_OF(l, struct wanted, link);

		list_remove(l);
		free(LIST_OF(l, struct wanted, link));
		if (ref)
			ref->refs++;
		w.done(w.arg, ref, failure, err);
	}
	if (ref)
		image_put(ref);
}

static void job_done(void *arg, int fd, const struct err *err)
{
	struct preparation *p = arg;
	struct images *im = p->images;
	struct image_ref *ref = NULL;
	struct err problem = *err;
	int failure = 0;

	im->running--;
	/* From here on a new request does not join, for it would not be called. */
	list_remove(&p->link);
	if (fd < 0) {
		failure = failure_of(&problem);
	} else {
		ref = new_ref(&p->identity, fd, p->real);
		p->real = NULL;
		if (!ref)
			failure = lacking(ENOMEM, p->path, &problem);
	}
	if (ref) {
		im->nprepared++;
		if (p->settled)
			keep(im, ref);
		im->prepared(im->arg, ref->path);
	}
	conclude(p, ref, failure, &problem);
	preparation_free(p);
	run_jobs(im);
}

/* One that could not even be started; told from the loop, like any other. */
static void start_failed(struct preparation *p, const struct err *err)
{
	list_remove(&p->link);
	conclude(p, NULL, ENGINE_BUSY, err);
	preparation_free(p);
}

static void run_jobs(struct images *im)
{
	struct link *l = im->jobs.next;

	while (l != &im->jobs && im->running < im->cpus) {
		struct preparation *p = LIST_OF(l, struct preparation, link);
		struct err err = {0};

		l = l->next;
		if (p->job)
			continue;
		p->job = image_job_start(im->loop, im->run_dir, im->run_dir_fd, p->elf_fd, p->path,
					 job_done, p, &err);
		if (p->job) {
			im->running++;
			continue;
		}
		start_failed(p, &err);
		l = im->jobs.next; /* whoever was told may have changed the list */
	}
}

static void run_jobs_now(void *arg)
{
	struct images *im = arg;

	im->later = 0;
	run_jobs(im);
}

/* A loop's turn later: nobody is called from within images_get. */
static int run_jobs_later(struct images *im)
{
	if (!im->later)
		im->later = loop_after(im->loop, 0, run_jobs_now, im);
	return im->later ? 0 : -ENOMEM;
}

static struct preparation *find_preparation(struct images *im, const struct stat *st)
{
	for (struct link *l = im->jobs.next; l != &im->jobs; l = l->next) {
		struct preparation *p = LIST_OF(l, struct preparation, link);

		if (p->settled && image_file_same(&p->identity, st))
			return p;
	}
	return NULL;
}

/* NULL: errno says why. */
static struct preparation *new_preparation(struct images *im, const char *path, int elf_fd,
					   const struct stat *st)
{
	struct preparation *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	*p = (struct preparation){
		.images = im,
		.identity = *st,
		.settled = image_file_settled(st),
		.elf_fd = fcntl(elf_fd, F_DUPFD_CLOEXEC, 3),
		.path = strdup(path),
		.real = image_file_path(elf_fd, im->root_path, path),
	};
	list_init(&p->wanted);
	list_init(&p->link);
	im->njobs++;
	if (p->elf_fd >= 0 && p->path && p->real)
		return p;
	preparation_free(p);
	return NULL;
}

static int prepare(struct images *im, const char *path, int elf_fd, const struct stat *st,
		   images_done *done, void *arg, struct err *err)
{
	struct preparation *p = find_preparation(im, st);
	struct wanted *w;

	if (!p && im->njobs >= MAX_JOBS) {
		err_set(err, 0, "%d images wait to be prepared already; try again later", MAX_JOBS);
		return ENGINE_BUSY;
	}
	w = malloc(sizeof(*w));
	if (!w)
		return lacking(ENOMEM, path, err);
	*w = (struct wanted){.done = done, .arg = arg};
	if (!p) {
		p = new_preparation(im, path, elf_fd, st);
		if (p && run_jobs_later(im)) {
			preparation_free(p);
			p = NULL;
		}
		if (!p) {
			int errnum = errno;

			free(w);
			return lacking(errnum, path, err);
		}
		list_add(&im->jobs, &p->link);
	}
	list_add(&p->wanted, &w->link);
	return IMAGES_LATER;
}

void images_close(struct images *im)
{
	struct err err;
	struct link *l;

	err_set(&err, 0, "the daemon is ending");
	while ((l = list_first(&im->jobs))) {
		struct preparation *p = LIST_OF(l, struct preparation, link);

		if (p->job)
			image_job_cancel(p->job);
		conclude(p, NULL, ENGINE_BUSY, &err);
		preparation_free(p);
	}
	for (int i = 0; i < KEPT; i++)
		if (im->kept[i])
			image_put(im->kept[i]);
	loop_cancel(im->loop, im->later);
	if (im->root >= 0)
		close(im->root);
	free(im);
}

/* ---- asking ---- */

static int look_up(struct images *im, const char *path, int elf_fd, images_done *done, void *arg,
		   struct image_ref **ref, struct err *err)
{
	struct stat st;
	int cached;

	if (image_file_check(elf_fd, path, &st, err))
		return failure_of(err);
	*ref = find_kept(im, &st);
	if (*ref) {
		im->nhits++;
		return 0;
	}
	cached = image_file_cached(im->run_dir_fd, &st);
	if (cached < 0)
		return prepare(im, path, elf_fd, &st, done, arg, err);
	*ref = new_ref(&st, cached, image_file_path(elf_fd, im->root_path, path));
	if (!*ref)
		return lacking(ENOMEM, path, err);
	im->nhits++;
	keep(im, *ref);
	return 0;
}

/* The path of nearly every start: one system call tells that the image is open already. */
static struct image_ref *look_fast(struct images *im, const char *path)
{
	struct image_ref *ref;
	struct stat st;

	if (im->root >= 0 || stat(path, &st))
		return NULL;
	ref = find_kept(im, &st);
	im->nhits += ref != NULL;
	return ref;
}

int images_get(struct images *im, const char *path, int elf_fd, images_done *done, void *arg,
	       struct image_ref **ref, struct err *err)
{
	int fd = elf_fd, ret;

	*ref = fd < 0 ? look_fast(im, path) : NULL;
	if (*ref)
		return 0;
	if (fd < 0)
		fd = image_file_open(im->root, path, err);
	if (fd < 0)
		return fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM ? ENGINE_BUSY
								       : failure_of(err);
	ret = look_up(im, path, fd, done, arg, ref, err);
	if (fd != elf_fd)
		close(fd);
	return ret;
}
