/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_metrics.c: GET /metrics, in Prometheus' text exposition format 0.0.4. Names and base
 * units follow prometheus.io/docs/practices/naming; process_* are those of its own clients.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api.h"

#define TYPE_METRICS   "text/plain; version=0.0.4; charset=utf-8"
#define FIRST_BOUND_US 16 /* engine.h: 16 us * 2^i */

static void head(struct out *o, const char *name, const char *type, const char *help)
{
	out_printf(o, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(struct out *o, const char *name, const char *type, const char *help, uint64_t value)
{
	head(o, name, type, help);
	out_printf(o, "%s %" PRIu64 "\n", name, value);
}

static void seconds(struct out *o, const char *name, const char *type, const char *help,
		    double value)
{
	head(o, name, type, help);
	out_printf(o, "%s %.6f\n", name, value);
}

/* label: 'path="warm"', or "". Buckets are cumulative, the last is +Inf. */
static void histogram(struct out *o, const char *name, const char *label,
		      const struct engine_histogram *h)
{
	const char *comma = *label ? "," : "", *open = *label ? "{" : "",
		   *close = *label ? "}" : "";
	uint64_t sum = 0;

	for (int i = 0; i < ENGINE_BUCKETS; i++) {
		sum += h->bucket[i];
		if (i < ENGINE_BUCKETS - 1)
			out_printf(o, "%s_bucket{%s%sle=\"%.9g\"} %" PRIu64 "\n", name, label,
				   comma, (double)((uint64_t)FIRST_BOUND_US << i) / 1e6, sum);
		else
			out_printf(o, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, label,
				   comma, sum);
	}
	out_printf(o, "%s_sum%s%s%s %.6f\n", name, open, label, close, (double)h->sum_us / 1e6);
	out_printf(o, "%s_count%s%s%s %" PRIu64 "\n", name, open, label, close, sum);
}

static void starts(struct out *o, const struct engine_metrics *m)
{
	head(o, "mayfly_start_latency_seconds", "histogram",
	     "From a request, parsed, to the guest's first instruction.");
	histogram(o, "mayfly_start_latency_seconds", "path=\"warm\"", &m->boot[ENGINE_WARM]);
	histogram(o, "mayfly_start_latency_seconds", "path=\"cold\"", &m->boot[ENGINE_COLD]);
	head(o, "mayfly_run_seconds", "histogram",
	     "From the guest's first instruction to its end.");
	histogram(o, "mayfly_run_seconds", "", &m->run);
}

static void vms(struct out *o, const struct engine_metrics *m)
{
	head(o, "mayfly_vms", "gauge", "VMs that there are, by state.");
	for (unsigned i = 0; i <= VM_EXITED; i++)
		out_printf(o, "mayfly_vms{state=\"%s\"} %" PRIu32 "\n", vm_state_name(i),
			   m->vms[i]);
	head(o, "mayfly_vm_ends_total", "counter",
	     "VMs that have ended, by reason; killed: the VM's process was ended from outside.");
	for (unsigned i = END_EXITED; i <= END_FAILED; i++)
		out_printf(o, "mayfly_vm_ends_total{reason=\"%s\"} %" PRIu64 "\n", end_name(i),
			   m->ended[i]);
	out_printf(o, "mayfly_vm_ends_total{reason=\"killed\"} %" PRIu64 "\n", m->killed);
}

static void bytes(struct out *o, const struct engine_metrics *m)
{
	head(o, "mayfly_bytes_total", "counter", "What programs have read and written.");
	out_printf(o, "mayfly_bytes_total{stream=\"stdin\"} %" PRIu64 "\n", m->stdin_bytes);
	out_printf(o, "mayfly_bytes_total{stream=\"stdout\"} %" PRIu64 "\n", m->stdout_bytes);
	out_printf(o, "mayfly_bytes_total{stream=\"stderr\"} %" PRIu64 "\n", m->stderr_bytes);
	one(o, "mayfly_lost_bytes_total", "counter", "Output beyond a limit.", m->lost_bytes);
}

static void net(struct out *o, const struct engine_metrics *m)
{
	const struct news_net *n = &m->net;

	head(o, "mayfly_net_frames_total", "counter",
	     "Frames of net devices of VMs that have ended; rx: to the program.");
	out_printf(o, "mayfly_net_frames_total{direction=\"rx\"} %" PRIu64 "\n", n->rx_frames);
	out_printf(o, "mayfly_net_frames_total{direction=\"tx\"} %" PRIu64 "\n", n->tx_frames);
	head(o, "mayfly_net_bytes_total", "counter", "Bytes of those frames.");
	out_printf(o, "mayfly_net_bytes_total{direction=\"rx\"} %" PRIu64 "\n", n->rx_bytes);
	out_printf(o, "mayfly_net_bytes_total{direction=\"tx\"} %" PRIu64 "\n", n->tx_bytes);
	head(o, "mayfly_net_dropped_total", "counter", "Frames that could not be passed on.");
	out_printf(o, "mayfly_net_dropped_total{direction=\"rx\"} %" PRIu64 "\n", n->rx_dropped);
	out_printf(o, "mayfly_net_dropped_total{direction=\"tx\"} %" PRIu64 "\n", n->tx_dropped);
	one(o, "mayfly_net_kicks_total", "counter",
	    "System calls of VMs' processes to send frames, or to make room for them.", n->kicks);
	one(o, "mayfly_net_broken_total", "counter",
	    "Net devices that had to be given up: their interface was gone.", n->broken);
}

/* NAME{memory_mib="64",net="tap",LABEL="VALUE"} N; net where the flavour has some. */
static void of_flavour(struct out *o, const char *name, const struct flavour *f, const char *label,
		       const char *value, uint64_t n)
{
	char net[ENGINE_NET_BYTES];

	/* Nothing in a label's value that has to be escaped. */
	for (size_t i = 0; (net[i] = f->net[i]); i++)
		if (strchr("\n\"\\", net[i]))
			net[i] = net[i] == '\n' ? ' ' : '?';
	out_printf(o, "%s{memory_mib=\"%g\",%s%s%s%s=\"%s\"} %" PRIu64 "\n", name,
		   (double)f->memory_bytes / (1 << 20), *net ? "net=\"" : "", net,
		   *net ? "\"," : "", label, value, n);
}

static void level(struct out *o, const struct flavour *f, const char *state, uint64_t n)
{
	of_flavour(o, "mayfly_pool_shells", f, "state", state, n);
}

static void taken(struct out *o, const struct flavour *f, const char *result, uint64_t n)
{
	of_flavour(o, "mayfly_pool_starts_total", f, "result", result, n);
}

static void pool(struct out *o, struct engine *engine)
{
	struct flavour_level l[ENGINE_MAX_FLAVOURS];
	size_t n = engine_pool(engine, l);

	head(o, "mayfly_pool_shells", "gauge",
	     "Prepared VMs, by flavour; target: how many should be ready.");
	for (size_t i = 0; i < n; i++) {
		level(o, &l[i].flavour, "ready", l[i].ready);
		level(o, &l[i].flavour, "preparing", l[i].preparing);
		level(o, &l[i].flavour, "target", l[i].target);
	}
	head(o, "mayfly_pool_starts_total", "counter",
	     "Starts by flavour: with a shell from the pool, with one made for it, failed.");
	for (size_t i = 0; i < n; i++) {
		taken(o, &l[i].flavour, "warm", l[i].taken);
		taken(o, &l[i].flavour, "cold", l[i].cold);
		taken(o, &l[i].flavour, "failed", l[i].failed);
	}
}

static void inner(struct out *o, const struct engine_metrics *m)
{
	one(o, "mayfly_vcpu_exits_total", "counter", "Exits of vCPUs to user space.", m->exits);
	one(o, "mayfly_news_rejected_total", "counter",
	    "Messages from VM processes that broke the protocol.", m->news_rejected);
	one(o, "mayfly_events_lost_total", "counter", "Events that a slow reader did not get.",
	    m->events_lost + api_events_lost());
	one(o, "mayfly_images_prepared_total", "counter",
	    "Programs that were seen for the first time.", m->images_prepared);
	one(o, "mayfly_image_hits_total", "counter", "Starts whose program was in the cache.",
	    m->image_hits);
}

static void http(struct out *o, struct request *r)
{
	struct http_figures f;

	http_figures(r, &f);
	head(o, "mayfly_http_replies_total", "counter", "Replies, by their status' class.");
	for (int i = 2; i <= 5; i++)
		out_printf(o, "mayfly_http_replies_total{class=\"%dxx\"} %" PRIu64 "\n", i,
			   f.replies[i]);
	one(o, "mayfly_http_connections", "gauge", "Open connections.", f.connections);
	one(o, "mayfly_http_waiting", "gauge", "Requests that wait for a VM or follow something.",
	    f.waiting);
}

/* ---- the daemon's process ---- */

/* 0: it cannot be told, for want of one. */
static uint64_t open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	uint64_t n = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 3; /* ".", ".." and the directory itself */
}

/* Virtual and resident bytes; 0: they cannot be told. */
static void memory(uint64_t *all, uint64_t *resident)
{
	FILE *f = fopen("/proc/self/statm", "re");
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	*all = *resident = 0;
	if (!f)
		return;
	if (fscanf(f, "%" SCNu64 "%" SCNu64, all, resident) != 2)
		*all = *resident = 0;
	fclose(f);
	*all *= page;
	*resident *= page;
}

static double of_timeval(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void process(struct out *o, const struct engine_metrics *m)
{
	struct rlimit files = {0};
	struct rusage use = {0};
	uint64_t all, resident, fds = open_fds();

	getrusage(RUSAGE_SELF, &use);
	getrlimit(RLIMIT_NOFILE, &files);
	memory(&all, &resident);
	seconds(o, "process_cpu_seconds_total", "counter", "CPU time of the daemon.",
		of_timeval(use.ru_utime) + of_timeval(use.ru_stime));
	if (resident) {
		one(o, "process_resident_memory_bytes", "gauge", "Resident memory of the daemon.",
		    resident);
		one(o, "process_virtual_memory_bytes", "gauge", "Virtual memory of the daemon.",
		    all);
	}
	if (fds)
		one(o, "process_open_fds", "gauge", "Descriptors that the daemon has open.", fds);
	one(o, "process_max_fds", "gauge", "Descriptors that it may have.", files.rlim_cur);
	seconds(o, "process_start_time_seconds", "gauge",
		"When the daemon was started, since the epoch.", (double)m->started_ns / 1e9);
}

void api_metrics(struct request *r)
{
	struct engine_metrics m;
	struct out o = {0};

	engine_metrics(r->engine, &m);
	starts(&o, &m);
	vms(&o, &m);
	pool(&o, r->engine);
	bytes(&o, &m);
	net(&o, &m);
	inner(&o, &m);
	http(&o, r);
	process(&o, &m);
	reply(r, 200, TYPE_METRICS, &o);
}
