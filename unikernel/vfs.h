/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfs.h: what the files of the virtual file system share among themselves.
 *
 * A descriptor names a struct uk_file (an open file: offset, status flags), which most
 * often stands on a struct uk_node (an inode). A node has names, struct uk_name, each in
 * a directory's node. All of it lives in the kernel's heap; only the descriptor table's
 * first entries and the three console streams are static, so that a program which only
 * prints makes nothing.
 *
 * Nothing here is locked: the kernel serves one call at a time and is never re-entered.
 */
#ifndef UK_VFS_H
#define UK_VFS_H

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/stat.h>
#include <linux/uio.h>

#include "uk.h"

/* Every operation of an ops table has all its parameters; few use all of them. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

#define UK_FD_STATIC  64          /* entries that cost nothing; one word of close-on-exec bits */
#define UK_FD_DEFAULT 1024        /* RLIMIT_NOFILE at the start */
#define UK_FD_MAX     4096        /* the most that RLIMIT_NOFILE may become */
#define UK_RW_MAX     0x7ffff000u /* bytes that one call moves, as Linux has it */
#define UK_OFF_MAX    INT64_MAX
#define UK_LINKS_MAX  40 /* symbolic links in one lookup */

/* Frames that file data leaves to the program's own memory and to the kernel's heap. */
#define UK_FRAMES_RESERVE 256

/* st_dev of the file systems. */
enum uk_fs { UK_FS_RAM = 1, UK_FS_PROC, UK_FS_SYS, UK_FS_PIPE };

#define UK_INO_ANON 9 /* eventfd, timerfd, epoll */
#define UK_INO_TTY  5 /* /dev/tty, and a console stream that is one: ttyname() compares */

struct uk_file;
struct uk_node;

/*
 * What an open file can do. user is an address in the program, off the file offset (of
 * no meaning where seekable is false), flags the file's O_ flags, O_NONBLOCK added where
 * this one call must not wait. All return a count or -errno; a missing function has the
 * errno that is written behind it.
 */
struct uk_file_ops {
	bool seekable;                      /* has a position: lseek, pread and pwrite work */
	bool mappable;                      /* pages of a regular file, or zeroes */
	long (*open)(struct uk_file *f);    /* 0 */
	void (*release)(struct uk_file *f); /* nothing */
	long (*read)(struct uk_file *f, uint64_t user, size_t n, uint64_t off, uint32_t flags);
	long (*write)(struct uk_file *f, uint64_t user, size_t n, uint64_t off, uint32_t flags);
	/* All of the iovecs at once, where their borders must not show; NULL: one after the other
	 */
	long (*vector)(struct uk_file *f, bool write, const struct iovec *iov, size_t n,
		       uint32_t flags);
	/* Kernel memory, for sendfile; more: of the same call follows. NULL: only sockets have it
	 */
	long (*send)(struct uk_file *f, const void *data, size_t n, bool more);
	long (*lseek)(struct uk_file *f, int64_t off, int whence);    /* ESPIPE */
	long (*stat)(struct uk_file *f, struct statx *st);            /* the node's */
	long (*getdents)(struct uk_file *f, uint64_t user, size_t n); /* ENOTDIR */
	long (*ioctl)(struct uk_file *f, uint32_t cmd, uint64_t arg); /* ENOTTY */
	/*
	 * POLL* that hold now; *wait gets the enum noxs_event that can change them. What changes by
	 * what the program or the network does (pipe, socket, eventfd, ...) calls uk_file_changed.
	 */
	uint32_t (*poll)(struct uk_file *f, uint32_t *wait); /* readable and writable */
	/* What has neither a node nor a stat of its own: "anon_inode:[eventfd]", ... */
	const char *anon;
};

struct uk_file {
	const struct uk_file_ops *ops;
	struct uk_node *node; /* NULL: a console stream or a pipe */
	uint32_t refs;        /* descriptors that name it */
	uint32_t flags;       /* O_ACCMODE and the status flags */
	uint64_t pos;
	struct uk_watch *watches; /* epoll.c: who wants to know of it */
	union {
		int stream;        /* console: enum noxs_stream */
		struct sock *sock; /* net/socket.c */
		void *own;         /* what only its ops know */
		struct {           /* pipe */
			struct uk_pipe *pipe;
			struct uk_file *next; /* open on it */
		};
		uint32_t dir_end; /* directory: slots there were when reading began */
		struct {          /* generated text */
			char *text;
			size_t length;
		};
	};
};

/* ---- nodes (node.c), directories (dir.c), contents of files (ramfs.c) ---- */
struct uk_time {
	int64_t sec;
	uint32_t nsec;
};

/* A name in a directory. The node and its directory outlive it. */
struct uk_name {
	struct uk_node *node, *dir;
	uint32_t hash;
	uint32_t slot; /* in dir; its cookie for getdents, less two */
	uint32_t next; /* slot + 1 of the next in this bucket; 0: last */
	bool dead;     /* unlinked; kept for the path of files that are still open */
	uint8_t length;
	char text[];
};

struct uk_dir {
	struct uk_node *parent;
	struct uk_name **slot; /* in the order of making; NULL where one was removed */
	uint32_t *bucket;      /* capacity of them: slot + 1, 0: empty */
	uint32_t nslots, capacity, count;
	uint32_t readers;                  /* open files on it: slots must stay where they are */
	void (*fill)(struct uk_node *dir); /* makes entries before they are looked at */
};

/* Pages of a regular file: a radix tree, 64 pointers a node. Height 0: root is page 0. */
struct uk_data {
	void *root;
	uint32_t height;
	uint64_t pages; /* present */
};

enum uk_magic { UK_LINK_TEXT, UK_LINK_FD, UK_LINK_CWD };

struct uk_node {
	const struct uk_file_ops *ops; /* of files that are opened on it */
	struct uk_name *name;          /* its last name, dead or alive; a directory has but one */
	uint32_t mode, nlink;
	uint32_t refs; /* other than names: open files, the current directory, dead names */
	uint32_t uid, gid;
	uint8_t fs;    /* enum uk_fs */
	uint32_t maps; /* shared mappings: its frames must stay */
	bool linkable; /* by O_TMPFILE: may get a name though it has none */
	uint64_t ino, rdev, size;
	struct uk_time atime, mtime, ctime, btime;
	union {
		struct uk_data data; /* S_IFREG on UK_FS_RAM */
		struct uk_dir dir;   /* S_IFDIR */
		struct {             /* S_IFLNK */
			char *target;
			enum uk_magic magic; /* else a link to an object, not to a path */
			int fd;
		} link;
		size_t (*text)(char *buf, size_t size); /* generated; as snprintf */
		struct sock *bound;                     /* S_IFSOCK: net/unix.c; NULL: none */
	};
};

#define UK_S_ISDIR(mode) (((mode)&S_IFMT) == S_IFDIR)
#define UK_S_ISREG(mode) (((mode)&S_IFMT) == S_IFREG)
#define UK_S_ISLNK(mode) (((mode)&S_IFMT) == S_IFLNK)

extern const struct uk_file_ops uk_ramfs_ops, uk_dir_ops, uk_none_ops;

struct uk_time uk_now(void);
/* A node without a name; NULL: no memory. ops and fs follow from mode and parent. */
struct uk_node *uk_node_new(struct uk_node *parent, uint32_t mode);
struct uk_node *uk_link_new(struct uk_node *parent, const char *target, size_t length);
void uk_node_ref(struct uk_node *node);
void uk_node_unref(struct uk_node *node); /* frees it if neither names nor refs are left */
void uk_node_free(struct uk_node *node);  /* for those who know that nothing is left */
void uk_node_stat(struct uk_node *node, struct statx *st);
/* Absolute path of a node, NUL-terminated: its length, -ENOENT, -ENAMETOOLONG. */
long uk_node_path(struct uk_node *node, char *buf, size_t size);

struct uk_name *uk_dir_find(struct uk_node *dir, const char *text, size_t length);
long uk_dir_add(struct uk_node *dir, const char *text, size_t length, struct uk_node *node);
void uk_dir_remove(struct uk_name *name); /* counts links, frees the node if it was the last */
/* For rename: name stands for node from now on; the caller counts links. */
void uk_name_set(struct uk_name *name, struct uk_node *node);

void uk_ramfs_free(struct uk_node *node); /* the contents, with the node */
long uk_ramfs_truncate(struct uk_node *node, uint64_t size);
bool uk_ramfs_can_fallocate(uint32_t mode); /* FALLOC_FL_* */
long uk_ramfs_fallocate(struct uk_node *node, uint32_t mode, uint64_t off, uint64_t n);
/* Frame of a page of the file, in the linear map; NULL: a hole, or no memory to make it. */
void *uk_ramfs_page(struct uk_node *node, uint64_t page, bool make);
/* A shared mapping more or less: while there are any, no frame of the file is freed. */
void uk_ramfs_mapped(struct uk_node *node, bool more);
/* Kernel text into a fresh file (the tree's own files). */
long uk_ramfs_fill(struct uk_node *node, const char *text, size_t n);

/* For the tree: a directory, link, device or text under dir. NULL where memory is out. */
struct uk_node *uk_make_dir(struct uk_node *dir, const char *text, uint32_t mode,
			    void (*fill)(struct uk_node *dir));
struct uk_node *uk_make_link(struct uk_node *dir, const char *text, const char *target);
struct uk_node *uk_make_file(struct uk_node *dir, const char *text, uint32_t mode,
			     const struct uk_file_ops *ops);

/* ---- descriptors (vfs.c) ---- */
struct uk_fds {
	struct uk_file **file;
	uint64_t *cloexec; /* bits */
	uint32_t size;     /* entries there are */
	uint32_t limit;    /* RLIMIT_NOFILE, soft */
	uint32_t low;      /* no free entry below */
};
extern struct uk_fds uk_fds;

/* For mmap: 0, the open flags and the file, NULL for zeroes; -EBADF, -EACCES (not open for
 * reading) or -ENODEV (nothing to map). */
long uk_file_mappable(int fd, uint32_t *open_flags, struct uk_node **node);

/* The open file, or NULL. */
static inline struct uk_file *uk_fd(uint64_t fd)
{
	/* A system call's int is the register's low half. */
	return (uint32_t)fd < uk_fds.size ? uk_fds.file[(uint32_t)fd] : NULL;
}

/* The open file unless it is by O_PATH, which can do nothing but name. */
static inline struct uk_file *uk_fd_io(uint64_t fd)
{
	struct uk_file *f = uk_fd(fd);
	return f && !(f->flags & O_PATH) ? f : NULL;
}

/* The descriptor, lowest from min on, or -EMFILE, -ENOMEM. Takes the reference over. */
long uk_fd_install(struct uk_file *f, uint32_t min, bool cloexec);
/* At exactly this number, over what was there: fd or -EBADF, -ENOMEM. */
long uk_fd_install_at(struct uk_file *f, uint32_t fd, bool cloexec);
long uk_fd_close(uint64_t fd);
bool uk_fd_cloexec(uint32_t fd);
void uk_fd_set_cloexec(uint32_t fd, bool on);

struct uk_file *uk_file_new(const struct uk_file_ops *ops, uint32_t flags); /* one ref */
void uk_file_put(struct uk_file *f);
long uk_file_stat(struct uk_file *f, struct statx *st);
long uk_lseek_nothing(struct uk_file *f, int64_t off, int whence); /* of anonymous inodes: 0 */
/* Text of the link /proc/self/fd/N: its length. */
size_t uk_file_link(struct uk_file *f, char *buf, size_t size);

/* ---- names (walk.c) ---- */
enum uk_walk_flags {
	UK_WALK_FOLLOW = 1,   /* a link in last place too */
	UK_WALK_PARENT = 2,   /* to make, remove or rename: trailing slashes follow nothing */
	UK_WALK_CREATE = 64,  /* for O_CREAT: trailing slashes are -EISDIR, before all else */
	UK_WALK_NO_LINKS = 4, /* RESOLVE_NO_SYMLINKS */
	UK_WALK_NO_MAGIC = 8, /* RESOLVE_NO_MAGICLINKS */
	UK_WALK_BENEATH = 16, /* RESOLVE_BENEATH */
	UK_WALK_IN_ROOT = 32, /* RESOLVE_IN_ROOT */
};

struct uk_walk {
	struct uk_node *dir;  /* of the last component */
	struct uk_node *node; /* what it names; NULL: nothing, or an object without a node */
	struct uk_file *file; /* it is a /proc/self/fd link: to this file */
	const char *name;     /* last component, not terminated; valid until uk_walk_end */
	size_t length;
	bool slash;     /* slashes trail */
	bool dots;      /* last is ".", ".." or the root */
	char *expanded; /* path with links put in, on the heap */
};

/* 0 (also where only the last component is missing) or -errno; end it in any case. */
long uk_walk(struct uk_walk *w, int dirfd, const char *path, uint32_t flags);
void uk_walk_end(struct uk_walk *w);
/* As above, and what it names must be there: else -ENOENT. */
long uk_walk_existing(struct uk_walk *w, int dirfd, const char *path, uint32_t flags);

/*
 * Copies a path into one of the two static buffers: its length or -errno. Static, for the
 * kernel serves one call at a time and has a small stack.
 */
extern char uk_path_buffer[2][PATH_MAX];
long uk_path_in(uint64_t user, int which, char **path);

struct uk_node *uk_root(void); /* makes the tree at the first call; NULL: no memory */
struct uk_node *uk_cwd(void);
void uk_cwd_set(struct uk_node *dir);

enum uk_may { UK_MAY_X = 1, UK_MAY_W = 2, UK_MAY_R = 4 };
long uk_may(const struct uk_node *node, uint32_t mask); /* 0 or -EACCES */

/* ---- file.c ---- */
/* Moves data between f and the program: count or -errno. pos NULL: the file's own. */
long uk_file_rw(struct uk_file *f, bool write, const struct iovec *iov, size_t n, uint64_t *pos,
		uint32_t flags);

/* ---- dev.c ---- */
extern const struct uk_file_ops uk_console_ops;
void uk_dev_fill(struct uk_node *dir);
/* /proc/self/fd/N of a console stream opened anew. */
struct uk_file *uk_console_reopen(struct uk_file *of, uint32_t flags);

/* ---- proc.c ---- */
void uk_proc_fill(struct uk_node *dir);
void uk_sys_fill(struct uk_node *dir);
/* Files whose text is made when they are read, into buf: its length, as snprintf. */
struct uk_text {
	const char *name;
	size_t (*make)(char *buf, size_t size);
};
void uk_text_add(struct uk_node *dir, const struct uk_text *text, size_t n);
extern const struct uk_node *uk_text_node; /* whose text is being made */

/* ---- etc.c ---- */
void uk_etc_fill(struct uk_node *dir);

/* ---- pipe.c ---- */
long uk_pipe_pair(struct uk_file *end[2], uint32_t flags); /* 0 or -ENOMEM, -EINVAL */
struct uk_file *uk_pipe_reopen(struct uk_file *of, uint32_t flags);
long uk_pipe_size(struct uk_file *f);
long uk_pipe_set_size(struct uk_file *f, uint64_t bytes);

/* ---- epoll.c ---- */
/*
 * Something has happened to f that may make a poll ready (data came, room came, it was closed
 * on the other side): epoll's lists are told. Called once per event, for edge-triggering, also
 * where the POLL* held already. With uk_file_ready only those are told that asked for one of
 * events: what came is then no edge for who waits for room.
 */
void uk_watches_changed(struct uk_file *f, uint32_t events);
void uk_watches_closed(struct uk_file *f); /* its last descriptor is gone: vfs.c */
static inline void uk_file_ready(struct uk_file *f, uint32_t events)
{
	if (f && f->watches)
		uk_watches_changed(f, events);
}
static inline void uk_file_changed(struct uk_file *f)
{
	uk_file_ready(f, UINT32_MAX);
}

/* ---- poll.c ---- */
/* POLL* of events that hold (POLLERR and POLLHUP always), *wait what to await. */
uint32_t uk_file_events(struct uk_file *f, uint32_t events, uint32_t *wait);
/* Counts what is ready, notes it in what, and says what to wait for. Count or -errno. */
typedef long uk_scan_fn(void *what, uint32_t *wait);
/* Until something is ready or the deadline (0: not at all, NOXS_FOREVER) has passed: count,
 * or -errno. set_user: the signal mask meanwhile, as ppoll has it; 0: none. */
long uk_poll_wait(uk_scan_fn *scan, void *what, uint64_t deadline, uint64_t set_user,
		  size_t set_size);
/* Deadline in ns from now (0: none); of a struct timespec of the program (0: never): 0,
 * -EFAULT or -EINVAL. */
uint64_t uk_deadline_in(uint64_t ns);
long uk_deadline_copy(uint64_t user, uint64_t *deadline);

/* ---- timerfd.c ---- */
extern uint64_t uk_timerfd_next; /* not before this is one due; NOXS_FOREVER: none */
void uk_timerfd_run(void);       /* tells who watches those that are */

/* ---- signalfd.c ---- */
extern uint64_t uk_signalfd_mask; /* signals that one is open for */
void uk_signalfd_raised(void);    /* one of them has come */

/* ---- signal.c: what poll needs (as in signal.h, which needs more than files may see) ---- */
bool uk_signal_poll(void);
/* As uk_wait, and it ends, too, when a signal comes that a signalfd is open for: 0. */
long uk_signalfd_wait(uint32_t events, uint64_t deadline_ns);
long uk_sigmask_swap(uint64_t set_user, size_t size, uint64_t *old);
void uk_sigmask_restore(uint64_t old, bool interrupted);
void uk_signal_no_restart(void); /* the -EINTR that this call returns is final: SA_RESTART or not */

/* ---- mmap.c: sendfile's buffer is given back with it ---- */
uk_syscall_fn sys_munmap;

#endif
