/*
 * Callers and callees for the bench of calls. Usage: generator CALLER_IP PORT CALLEE_PORT; the callees are at each address of 127.0.0.0/8 at that port.
 * Takes one command a line, answers each with one line of JSON, and ends with its input:
 *   run PROXY_IP PORT HOLD_MS RATE CALLS [RATE CALLS]...   calls that end by themselves, at one rate after the other whatever comes back
 *   hold PROXY_IP PORT RATE CALLS                          calls that stay
 *   hangup BATCH RATE                                      ends those of a hold
 */
#define _GNU_SOURCE
#include "calls.h"
#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PHASES = 8, BURST = 64, BIN_US = 100000 };
/* Beyond 64*T1 nobody sends anything again. */
static const uint64_t LATEST_US = 36000000;

typedef struct {
	double rate;
	int calls;
} Phase;

typedef struct {
	Phase phases[PHASES];
	int count;
} Plan;

static char line[1024];
static int line_length;

static double processor_s(void) {
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* How many calls are to have begun so long after the begin; `next` becomes when the one after them is due. */
static int due_calls(const Plan *plan, uint64_t us, uint64_t *next) {
	int due = 0;
	uint64_t begin = 0;
	for (int i = 0; i < plan->count; i++) {
		const Phase *phase = &plan->phases[i];
		uint64_t end = begin + phase->calls / phase->rate * 1e6;
		if (us < end) {
			int done = (us - begin) * phase->rate / 1e6 + 1;
			*next = begin + done / phase->rate * 1e6;
			return due + (done < phase->calls ? done : phase->calls);
		}
		due += phase->calls;
		begin = end;
	}
	*next = UINT64_MAX;
	return due;
}

static int compare(const void *a, const void *b) {
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static uint32_t at_share(const uint32_t *sorted, int count, double share) {
	return count ? sorted[(int)(share * (count - 1) + 0.5)] : 0;
}

static void print_times(const char *name, const Batch *batch, size_t member) {
	uint32_t *times = malloc(sizeof *times * (batch->count + 1));
	int count = 0;
	for (int i = 0; i < batch->count; i++) {
		uint32_t us = *(const uint32_t *)((const char *)&batch->calls[i] + member);
		if (us) times[count++] = us;
	}
	qsort(times, count, sizeof *times, compare);
	printf(",\"%s\":{\"count\":%d,\"p50\":%u,\"p90\":%u,\"p99\":%u,\"p999\":%u,\"max\":%u}", name, count, at_share(times, count, 0.5), at_share(times, count, 0.9),
		at_share(times, count, 0.99), at_share(times, count, 0.999), at_share(times, count, 1));
	free(times);
}

static void print_bins(const char *name, const uint32_t *bins, int count) {
	printf(",\"%s\":[", name);
	for (int i = 0; i < count; i++) printf("%s%u", i ? "," : "", bins[i]);
	printf("]");
}

/* What became of the calls, by the tenth of a second in which they began, but `completed`: in which they ended. */
static void print_series(const Batch *batch) {
	uint64_t last = 0;
	for (int i = 0; i < batch->started; i++) {
		const Call *call = &batch->calls[i];
		if (last < call->at_us + (uint64_t)call->over_us) last = call->at_us + (uint64_t)call->over_us;
	}
	int count = last / BIN_US + 1;
	uint32_t *started = calloc(5 * count, sizeof *started), *completed = started + count, *refused = completed + count, *bad = refused + count, *slowest = bad + count;
	for (int i = 0; i < batch->started; i++) {
		const Call *call = &batch->calls[i];
		int bin = call->at_us / BIN_US;
		int is_refused = call->state == FAILED && !call->answered_us && call->over_us < LATEST_US / 2 && !call->repeated;
		started[bin]++;
		if (call->state == OVER) completed[(call->at_us + (uint64_t)call->over_us) / BIN_US]++;
		if (is_refused) refused[bin]++;
		else if (call->state != OVER || call->repeated) bad[bin]++;
		if (slowest[bin] < call->ringing_us) slowest[bin] = call->ringing_us;
	}
	printf(",\"series\":{\"binMs\":%d", BIN_US / 1000);
	print_bins("started", started, count);
	print_bins("completed", completed, count);
	print_bins("refused", refused, count);
	print_bins("bad", bad, count);
	print_bins("slowestUs", slowest, count);
	printf("}");
	free(started);
}

static void report(const Batch *batch, double processor, int is_run) {
	int repeated = 0;
	for (int i = 0; i < batch->count; i++) repeated += batch->calls[i].repeated;
	printf("{\"batch\":%d,\"calls\":%d,\"completed\":%d,\"failed\":%d,\"up\":%d,\"unfinished\":%d,\"repeatedCalls\":%d,\"repeatedInvites\":%ld,\"repeatedByes\":%ld,\"repeatedAnswers\":%ld,"
		"\"reordered\":%ld,\"strangers\":%ld,\"sendErrors\":%ld,\"offerS\":%.3f,\"elapsedS\":%.3f,\"processorS\":%.3f,\"codes\":{",
		batch->id, batch->count, batch->over, batch->failed, batch->up, batch->count - batch->over - batch->failed - batch->up, repeated, batch->repeated_invites, batch->repeated_byes,
		batch->repeated_answers, batch->reordered, calls_strangers(), calls_send_errors(), (batch->offered_us - batch->begun_us) / 1e6, (now_us() - batch->begun_us) / 1e6, processor_s() - processor);
	const char *comma = "";
	for (int i = 0; i < CODES; i++)
		if (batch->codes[i]) comma = (printf("%s\"%d\":%d", comma, i, batch->codes[i]), ",");
	printf("}");
	print_times("reachedUs", batch, offsetof(Call, reached_us));
	print_times("ringingUs", batch, offsetof(Call, ringing_us));
	print_times("answeredUs", batch, offsetof(Call, answered_us));
	if (is_run) print_series(batch);
	printf("}\n");
	fflush(stdout);
}

/* Makes or ends calls as planned, until each of them is where it is to be. */
static void carry_out(Batch *batch, const Plan *plan, void (*act)(Batch *, int)) {
	uint64_t begun = now_us(), next = 0, latest = LATEST_US + batch->hold_us;
	int done = 0;
	for (int i = 0; i < plan->count; i++) latest += plan->phases[i].calls / plan->phases[i].rate * 1e6;
	for (;;) {
		uint64_t now = now_us();
		int due = due_calls(plan, now - begun, &next), behind;
		for (int burst = 0; done < due && burst < BURST; burst++) {
			act(batch, done++);
			if (done == batch->count) batch->offered_us = now_us();
		}
		behind = done < due;
		calls_tick(now);
		if (done == batch->count && batch->over + batch->failed + (act == call_start ? batch->up : 0) == batch->count) break;
		if (now - begun > latest) break;
		now = now_us() - begun;
		int64_t wait = behind || next <= now ? 0 : next - now < 1000 ? (int64_t)(next - now) : 1000;
		calls_wait(-1, wait);
	}
}

static void refuse(const char *why) {
	printf("{\"error\":\"%s\"}\n", why);
	fflush(stdout);
}

static Batch *new_batch(const char *ip, int port, int count) {
	struct sockaddr_in proxy = {.sin_family = AF_INET, .sin_port = htons(port)};
	if (inet_pton(AF_INET, ip, &proxy.sin_addr) != 1 || count < 1) return NULL;
	return batch_new(count, &proxy);
}

static void obey(void) {
	char ip[64];
	int port, hold, at, used, id, total = 0;
	double rate, processor = processor_s();
	Plan plan = {.count = 0};
	if (sscanf(line, "run %63s %d %d %n", ip, &port, &hold, &at) == 3) {
		while (plan.count < PHASES && sscanf(line + at, "%lf %d%n", &plan.phases[plan.count].rate, &plan.phases[plan.count].calls, &used) == 2) {
			total += plan.phases[plan.count++].calls;
			at += used;
		}
		Batch *batch = new_batch(ip, port, total);
		if (!batch) return refuse("Cannot run calls: want an address, a port, a time, and rates with their numbers of calls");
		batch->hold_us = hold * 1000ull;
		carry_out(batch, &plan, call_start);
		report(batch, processor, 1);
		batch_free(batch);
	} else if (sscanf(line, "hold %63s %d %lf %d", ip, &port, &rate, &total) == 4) {
		Batch *batch = new_batch(ip, port, total);
		if (!batch) return refuse("Cannot hold calls: want an address, a port, a rate and a number of calls");
		batch->held = 1;
		plan = (Plan){{{rate, total}}, 1};
		carry_out(batch, &plan, call_start);
		report(batch, processor, 0);
	} else if (sscanf(line, "hangup %d %lf", &id, &rate) == 2 && batch_find(id)) {
		Batch *batch = batch_find(id);
		plan = (Plan){{{rate, batch->count}}, 1};
		carry_out(batch, &plan, call_hang_up);
		report(batch, processor, 0);
		batch_free(batch);
	} else refuse("Cannot obey: want run, hold or hangup with their arguments");
}

/* 0: there is no more input. */
static int read_command(void) {
	ssize_t count = read(0, line + line_length, sizeof line - 1 - line_length);
	if (count <= 0) return 0;
	line_length += count;
	line[line_length] = 0;
	char *end = strchr(line, '\n');
	if (!end) return line_length < (int)sizeof line - 1;
	*end = 0;
	obey();
	line_length = 0; /* the next command comes after the answer */
	return 1;
}

int main(int count, char **arguments) {
	if (count != 4) {
		fprintf(stderr, "usage: generator CALLER_IP PORT CALLEE_PORT\n");
		return 2;
	}
	if (calls_open(arguments[1], atoi(arguments[2]), atoi(arguments[3]))) {
		perror("Cannot open the sockets of callers and callees");
		return 1;
	}
	printf("{\"ready\":true}\n");
	fflush(stdout);
	for (;;) {
		calls_tick(now_us());
		if (calls_wait(0, 10000) && !read_command()) return 0;
	}
}
