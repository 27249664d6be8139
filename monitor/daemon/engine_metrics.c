/* SPDX-License-Identifier: Apache-2.0 */
/* engine_metrics.c: figures. */
#include <string.h>

#include "engine_own.h"

/* Bucket i holds up to 16 us * 2^i, the last what is more. */
void metrics_count_us(struct engine_histogram *h, uint64_t us)
{
	int i = 0;

	while (i < ENGINE_BUCKETS - 1 && us > 16ull << i)
		i++;
	h->bucket[i]++;
	h->count++;
	h->sum_us += us;
}

void metrics_count_end(struct engine *e, const struct record *r)
{
	const struct news_counters *c = &r->vm.counters;
	struct engine_metrics *m = &e->metrics;

	m->ended[r->vm.end]++;
	m->stdout_bytes += c->stdout_bytes;
	m->stderr_bytes += c->stderr_bytes;
	m->stdin_bytes += c->stdin_bytes;
	m->lost_bytes += c->lost_bytes;
	m->exits += c->exits;
	for (unsigned i = 0; r->vm.net && i < r->vm.net->n; i++) {
		const struct news_net *n = &r->vm.net->device[i].counters;

		m->net.rx_frames += n->rx_frames;
		m->net.rx_bytes += n->rx_bytes;
		m->net.rx_dropped += n->rx_dropped;
		m->net.tx_frames += n->tx_frames;
		m->net.tx_bytes += n->tx_bytes;
		m->net.tx_dropped += n->tx_dropped;
		m->net.kicks += n->kicks;
		m->net.copying += n->copying;
		m->net.broken += n->broken;
	}
	if (r->vm.run_us)
		metrics_count_us(&m->run, r->vm.run_us);
}

void engine_metrics(struct engine *e, struct engine_metrics *m)
{
	*m = e->metrics;
	images_counts(e->images, &m->images_prepared, &m->image_hits);
	memcpy(m->vms, e->vms.count, sizeof(m->vms));
}
