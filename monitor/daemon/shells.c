/* SPDX-License-Identifier: Apache-2.0 */
/* shells.c: see shells.h. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop.h"
#include "shells.h"

int shells_init(struct shells *s, uint32_t uid_first, uint32_t uid_count, struct err *err)
{
	*s = (struct shells){.uid_first = uid_first, .uid_count = uid_count};
	list_init(&s->preparing);
	list_init(&s->taken);
	list_init(&s->leaving);
	if (!table_init(&s->by_number) && !table_init(&s->by_pid))
		return 0;
	table_free(&s->by_number);
	return err_set(err, ENOMEM, "no memory for the table of shells");
}

void shells_free(struct shells *s)
{
	struct shell *shell;

	while ((shell = shells_any(s)))
		shells_remove(s, shell);
	table_free(&s->by_number);
	table_free(&s->by_pid);
	free(s->uid_free);
}

/* ---- uids: one for each shell that lives, so that none can touch another ---- */

static int take_uid(struct shells *s, uint32_t *uid, struct err *err)
{
	if (!s->uid_count) {
		*uid = SHELL_NO_UID;
		return 0;
	}
	/* Those never used first: one that was used comes back as late as can be. */
	if (s->uid_next < s->uid_count) {
		*uid = s->uid_first + s->uid_next++;
		return 0;
	}
	if (!s->uid_nfree)
		return err_set(err, EAGAIN,
			       "all %u uids of the shells are in use; give the daemon more "
			       "(--uids FIRST:COUNT)",
			       s->uid_count);
	*uid = s->uid_free[--s->uid_nfree];
	return 0;
}

static void give_uid(struct shells *s, uint32_t uid)
{
	if (uid == SHELL_NO_UID)
		return;
	if (s->uid_nfree == s->uid_size) {
		uint32_t size = s->uid_size ? s->uid_size * 2 : 256;
		uint32_t *uids = realloc(s->uid_free, size * sizeof(*uids));

		if (!uids)
			return; /* one less of many */
		s->uid_free = uids;
		s->uid_size = size;
	}
	s->uid_free[s->uid_nfree++] = uid;
}

/* ---- the table ---- */

static struct link *list_of(struct shells *s, enum shell_state state)
{
	switch (state) {
	case SHELL_PREPARING:
		return &s->preparing;
	case SHELL_TAKEN:
		return &s->taken;
	case SHELL_LEAVING:
		return &s->leaving;
	case SHELL_READY:
		break;
	}
	return NULL;
}

struct shell *shells_add(struct shells *s, uint64_t memory_bytes, struct err *err)
{
	struct shell *shell = calloc(1, sizeof(*shell));

	if (!shell) {
		err_set(err, ENOMEM, "no memory for a shell");
		return NULL;
	}
	if (take_uid(s, &shell->uid, err)) {
		free(shell);
		return NULL;
	}
	shell->number = ++s->last_number;
	shell->memory_bytes = memory_bytes;
	shell->since_ns = loop_now_ns();
	list_init(&shell->kill_link);
	list_init(&shell->list);
	list_add(&s->preparing, &shell->list);
	table_add(&s->by_number, &shell->by_number, table_mix(shell->number));
	return shell;
}

void shells_remove(struct shells *s, struct shell *shell)
{
	list_remove(&shell->list);
	list_remove(&shell->kill_link);
	table_remove(&s->by_number, &shell->by_number);
	if (shell->pid)
		table_remove(&s->by_pid, &shell->by_pid);
	give_uid(s, shell->uid);
	free(shell);
}

void shells_set_state(struct shells *s, struct shell *shell, enum shell_state state)
{
	struct link *list = list_of(s, state);

	list_remove(&shell->list);
	if (list)
		list_add(list, &shell->list);
	shell->state = (uint8_t)state;
	shell->since_ns = loop_now_ns();
}

struct shell *shells_find(const struct shells *s, uint64_t number)
{
	struct table_node *node = table_find(&s->by_number, table_mix(number), NULL);

	return node ? LIST_OF(node, struct shell, by_number) : NULL;
}

static struct shell *find_pid(const struct shells *s, int32_t pid)
{
	struct table_node *node = table_find(&s->by_pid, table_mix((uint64_t)pid), NULL);

	return node ? LIST_OF(node, struct shell, by_pid) : NULL;
}

struct shell *shells_any(struct shells *s)
{
	if (!s->by_number.count)
		return NULL;
	while (!s->by_number.bucket[s->any])
		s->any = (s->any + 1) % (1u << TABLE_BITS);
	return LIST_OF(s->by_number.bucket[s->any], struct shell, by_number);
}

static void become_known(struct shells *s, struct shell *shell, int32_t pid)
{
	shell->pid = pid;
	table_add(&s->by_pid, &shell->by_pid, table_mix((uint64_t)pid));
}

/* Is that the shell's uid? Before its jail it has the daemon's, which no jailed one can have. */
static bool fits_uid(const struct shell *shell, uint32_t uid)
{
	return shell->uid == SHELL_NO_UID || uid == shell->uid || uid == geteuid();
}

struct shell *shells_sender(struct shells *s, uint64_t number, const struct ucred *sender,
			    bool hello, struct shell **culprit)
{
	struct shell *shell = shells_find(s, number), *owner = find_pid(s, sender->pid);

	*culprit = owner;
	/* pid 0: a process that our PID namespace does not know. */
	if (!shell || sender->pid <= 0 || !fits_uid(shell, sender->uid))
		return NULL;
	if (shell->pid)
		return shell->pid == sender->pid ? shell : NULL;
	if (!hello || (owner && !owner->ended))
		return NULL;
	/* A pid whose process has been reaped can be in use again. */
	if (owner) {
		table_remove(&s->by_pid, &owner->by_pid);
		owner->pid = 0;
	}
	become_known(s, shell, sender->pid);
	*culprit = shell;
	return shell;
}
