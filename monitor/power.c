/* SPDX-License-Identifier: Apache-2.0 */
/* power.c: see power.h. */
#include <errno.h>
#include <signal.h>

#include "power.h"

#define HOLD_NS 50000000ull /* a guest that has not answered by then is held all the same */

#define BIT(sig) (1ull << ((sig)-1))
/* What a process takes no notice of, if it has no handler; a stop would be nobody's to end. */
#define HARMLESS                                                                                   \
	(BIT(SIGCHLD) | BIT(SIGURG) | BIT(SIGWINCH) | BIT(SIGCONT) | BIT(SIGTSTP) | BIT(SIGTTIN) | \
	 BIT(SIGTTOU) | BIT(SIGSTOP))

void power_init(struct power *p, struct noxs_power *page)
{
	*p = (struct power){.page = page};
}

static bool takes(const struct power *p, uint64_t feature)
{
	return p->front.state == NOXS_READY && p->front.features & feature;
}

static uint64_t handled(const struct power *p)
{
	return __atomic_load_n(&p->page->handled, __ATOMIC_RELAXED) &
	       ~(BIT(SIGKILL) | BIT(SIGSTOP));
}

bool power_signal(struct power *p, int sig)
{
	if (sig < 1 || sig > 64)
		return false;
	if (takes(p, NOXS_POWER_SIGNAL) && handled(p) & BIT(sig)) {
		p->signals |= BIT(sig);
		return false;
	}
	return !(HARMLESS & BIT(sig));
}

bool power_shutdown(struct power *p)
{
	if (!takes(p, NOXS_POWER_SHUTDOWN) || !(handled(p) & BIT(SIGTERM)))
		return true;
	p->shutdown = true;
	return false;
}

void power_suspend(struct power *p, bool suspend, uint64_t now_ns)
{
	if (p->suspend == suspend)
		return;
	p->suspend = suspend;
	p->held &= suspend;
	p->hold_at_ns = !suspend ? 0 : takes(p, NOXS_POWER_SUSPEND) ? now_ns + HOLD_NS : now_ns;
}

/* Writes a request into the guest's page. */
static void ask(struct power *p, uint32_t what, uint32_t sig)
{
	p->count = (p->count + 1) & 0xffff;
	if (!p->count)
		p->count = 1;
	p->request = NOXS_REQUEST(p->count, what, sig);
	/* Release: what the guest may look for when it sees this is there. */
	__atomic_store_n(&p->page->request, p->request, __ATOMIC_RELEASE);
}

static bool asked(const struct power *p, uint32_t what)
{
	return NOXS_REQUEST_WHAT(p->request) == what;
}

static void ask_next(struct power *p)
{
	if (p->suspend) {
		if (!asked(p, NOXS_REQ_SUSPEND) && takes(p, NOXS_POWER_SUSPEND))
			ask(p, NOXS_REQ_SUSPEND, 0);
	} else if (asked(p, NOXS_REQ_SUSPEND)) {
		ask(p, NOXS_REQ_RESUME, 0);
	} else if (p->signals) {
		int sig = __builtin_ctzll(p->signals) + 1;

		p->signals &= ~BIT(sig);
		ask(p, NOXS_REQ_SIGNAL, (uint32_t)sig);
	} else if (p->shutdown) {
		p->shutdown = false;
		ask(p, NOXS_REQ_SHUTDOWN, 0);
	}
}

static void see_suspend(struct power *p, uint64_t now_ns)
{
	bool answered = asked(p, NOXS_REQ_SUSPEND) && p->acked == p->request;

	if (p->suspend && !p->held && (answered || now_ns >= p->hold_at_ns)) {
		p->held = true;
		p->unacknowledged += !answered && takes(p, NOXS_POWER_SUSPEND);
	}
}

int power_look(struct power *p, uint64_t now_ns, struct err *err)
{
	uint32_t ack = __atomic_load_n(&p->page->ack, __ATOMIC_ACQUIRE);
	uint64_t timer = __atomic_load_n(&p->page->timer_ns, __ATOMIC_RELAXED);
	int ret =
		device_look(&p->front, &p->page->front, DEVICE_POWER_FEATURES, "power device", err);

	if (ret)
		return ret;
	if (ack != p->acked && ack != p->request)
		return err_set(err, EPROTO,
			       "the guest acknowledged request 0x%x to its power device, which was "
			       "not made",
			       ack);
	p->acked = ack;
	see_suspend(p, now_ns);
	/* One at a time; but a RESUME may take the place of a SUSPEND that was never seen. */
	if (p->acked == p->request || (asked(p, NOXS_REQ_SUSPEND) && !p->suspend))
		ask_next(p);
	return p->acked != p->request || (timer && now_ns >= timer);
}

uint64_t power_next_ns(const struct power *p)
{
	return p->suspend && !p->held ? p->hold_at_ns : 0;
}
