#define _GNU_SOURCE
#include "calls.h"
#include "sip.h"
#include "wire.h"
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* RFC 3261 §17.1.1.1, in microseconds. */
enum { T1 = 500000, T2 = 4000000, GIVE_UP = 64 * T1 };
enum { TICK = 1000, WHEEL = 65536 };
enum Timer { INVITE_AGAIN, BYE_AGAIN, ANSWER_AGAIN, HOLD_OVER };

#define SDP "v=0\r\no=bench 53655765 2353687637 IN IP4 127.0.24.100\r\ns=-\r\nc=IN IP4 127.0.24.100\r\nt=0 0\r\nm=audio 40002 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"

typedef struct {
	int batch;
	int index;
	enum Timer timer;
} Due;

static struct {
	Due *due;
	int count, room;
} wheel[WHEEL];
static uint64_t ticked;
static Wire caller, callee;
static char caller_at[32], run[24];
static int callee_port;
static Batch *batches[MAX_BATCHES];
static int next_batch;
static long strangers;

uint64_t now_us(void) {
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000ull + time.tv_nsec / 1000;
}

static void arm(const Batch *batch, int index, enum Timer timer, uint64_t at) {
	uint64_t tick = at / TICK + 1;
	if (tick <= ticked) tick = ticked + 1;
	if (tick - ticked >= WHEEL) tick = ticked + WHEEL - 1;
	typeof(*wheel) *slot = &wheel[tick % WHEEL];
	if (slot->count == slot->room) slot->due = realloc(slot->due, sizeof(Due) * (slot->room = slot->room ? slot->room * 2 : 16));
	slot->due[slot->count++] = (Due){batch->id, index, timer};
}

int calls_open(const char *ip, int port, int destination_port) {
	snprintf(caller_at, sizeof caller_at, "%s:%d", ip, port);
	snprintf(run, sizeof run, "%x%lx", getpid(), (long)time(NULL));
	callee_port = destination_port;
	ticked = now_us() / TICK;
	return wire_open(&caller, ip, port) || wire_open(&callee, NULL, callee_port) ? -1 : 0;
}

Batch *batch_new(int count, const struct sockaddr_in *proxy) {
	if (next_batch == MAX_BATCHES) return NULL;
	Batch *batch = calloc(1, sizeof *batch);
	batch->id = next_batch;
	batch->count = count;
	batch->proxy = *proxy;
	batch->calls = calloc(count, sizeof *batch->calls);
	batch->begun_us = now_us();
	return batches[next_batch++] = batch;
}

Batch *batch_find(int id) {
	return id >= 0 && id < next_batch ? batches[id] : NULL;
}

void batch_free(Batch *batch) {
	for (int i = 0; i < batch->count; i++) {
		free(batch->calls[i].target);
		free(batch->calls[i].answer);
	}
	batches[batch->id] = NULL;
	free(batch->calls);
	free(batch);
}

static uint32_t since_invite(const Batch *batch, const Call *call) {
	uint64_t us = now_us() - batch->begun_us - call->at_us;
	return us ? us : 1;
}

static void call_over(Batch *batch, Call *call, int well) {
	if (call->state == OVER || call->state == FAILED) return;
	if (batch->held && call->state >= TALKING) batch->up--;
	call->state = well ? OVER : FAILED;
	call->over_us = since_invite(batch, call);
	if (well) batch->over++;
	else batch->failed++;
	free(call->target);
	call->target = NULL;
}

/* The call whose Call-ID is `batch-index-run`. */
static Call *call_of(Text id, Batch **batch, int *index) {
	char *end;
	if (!id.text) return NULL;
	*batch = batch_find(strtol(id.text, &end, 10));
	if (*end != '-' || !*batch) return NULL;
	*index = strtol(end + 1, &end, 10);
	if (*end != '-' || strncmp(end + 1, run, strlen(run)) || *index < 0 || *index >= (*batch)->count) return NULL;
	return &(*batch)->calls[*index];
}

static void send_invite(const Batch *batch, int index) {
	char uri[64];
	sprintf(uri, "sip:service@%s:%d", inet_ntoa(batch->proxy.sin_addr), ntohs(batch->proxy.sin_port));
	int length = sprintf(wire_slot(&caller),
		"INVITE %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK-i%d-%d-%s\r\nMax-Forwards: 70\r\nFrom: \"bench\" <sip:bench@%s>;tag=c%d\r\nTo: <%s>\r\n"
		"Call-ID: %d-%d-%s@bench\r\nCSeq: 1 INVITE\r\nContact: <sip:bench@%s>\r\nSubject: bench\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" SDP,
		uri, caller_at, batch->id, index, run, caller_at, index, uri, batch->id, index, run, caller_at, (int)sizeof SDP - 1);
	wire_push(&caller, length, &batch->proxy, (struct in_addr){0});
}

static void send_in_call(const Batch *batch, int index, const char *method, int number) {
	const Call *call = &batch->calls[index];
	int length = snprintf(wire_slot(&caller), WIRE_BYTES,
		"%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK-%c%d-%d-%s\r\n%sMax-Forwards: 70\r\nFrom: \"bench\" <sip:bench@%s>;tag=c%d\r\nTo: %s\r\nCall-ID: %d-%d-%s@bench\r\n"
		"CSeq: %d %s\r\nContent-Length: 0\r\n\r\n",
		method, call->target, caller_at, *method, batch->id, index, run, call->routes, caller_at, index, call->to, batch->id, index, run, number, method);
	if (length < WIRE_BYTES) wire_push(&caller, length, &batch->proxy, (struct in_addr){0});
}

/* To a refusal: it belongs to the transaction of the INVITE (RFC 3261 §17.1.1.3). */
static void send_ack(const Batch *batch, int index, Text to) {
	const char *ip = inet_ntoa(batch->proxy.sin_addr);
	int port = ntohs(batch->proxy.sin_port);
	int length = snprintf(wire_slot(&caller), WIRE_BYTES,
		"ACK sip:service@%s:%d SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK-i%d-%d-%s\r\nMax-Forwards: 70\r\nFrom: \"bench\" <sip:bench@%s>;tag=c%d\r\nTo: %.*s\r\nCall-ID: %d-%d-%s@bench\r\n"
		"CSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
		ip, port, caller_at, batch->id, index, run, caller_at, index, to.length, to.text ? to.text : "", batch->id, index, run);
	if (length < WIRE_BYTES) wire_push(&caller, length, &batch->proxy, (struct in_addr){0});
}

void call_start(Batch *batch, int index) {
	Call *call = &batch->calls[index];
	uint64_t now = now_us();
	call->state = CALLING;
	call->at_us = now - batch->begun_us;
	batch->started++;
	send_invite(batch, index);
	arm(batch, index, INVITE_AGAIN, now + T1);
}

void call_hang_up(Batch *batch, int index) {
	Call *call = &batch->calls[index];
	if (call->state != TALKING) return;
	call->state = HANGING_UP;
	call->repeats = 0;
	call->bye_us = now_us();
	send_in_call(batch, index, "BYE", 2);
	arm(batch, index, BYE_AGAIN, call->bye_us + T1);
}

/* What requests in the call need: target, Route lines in the order that a caller has them (RFC 3261 §12.1.2), To. */
static void keep_dialog(Call *call, const Message *answer) {
	Text target = sip_uri(answer->contact), to = answer->to;
	int bytes = target.length + to.length + 3;
	for (int i = 0; i < answer->record_routes; i++) bytes += answer->record_route[i].length + 9;
	char *at = call->target = malloc(bytes);
	at += sprintf(at, "%.*s", target.length, target.text ? target.text : "") + 1;
	call->routes = at;
	*at = 0;
	for (int i = answer->record_routes - 1; i >= 0; i--) at += sprintf(at, "Route: %.*s\r\n", answer->record_route[i].length, answer->record_route[i].text);
	call->to = ++at;
	sprintf(at, "%.*s", to.length, to.text ? to.text : "");
}

static void answered(Batch *batch, int index, Call *call, const Message *message) {
	if (call->state == CALLING || call->state == PROCEEDING) {
		call->answered_us = since_invite(batch, call);
		if (!call->ringing_us) {
			batch->reordered++;
			call->ringing_us = call->answered_us;
		}
		keep_dialog(call, message);
		call->state = TALKING;
		if (batch->held) batch->up++;
		else arm(batch, index, HOLD_OVER, now_us() + batch->hold_us);
	}
	if (call->target) send_in_call(batch, index, "ACK", 1);
}

static void caller_takes(char *text, int length, const struct sockaddr_in *from, struct in_addr at) {
	Message message;
	Batch *batch;
	int index;
	(void)length, (void)from, (void)at;
	Call *call = sip_read(&message, text) || !message.status ? NULL : call_of(message.call_id, &batch, &index);
	if (!call) {
		strangers++;
		return;
	}
	if (message.method == 'I') {
		if (message.status < 200) {
			if (call->state == CALLING) call->state = PROCEEDING;
			if (message.status >= 180 && !call->ringing_us) call->ringing_us = since_invite(batch, call);
		} else if (message.status < 300) answered(batch, index, call, &message);
		else {
			send_ack(batch, index, message.to);
			if (call->state != CALLING && call->state != PROCEEDING) return;
			batch->codes[message.status < CODES ? message.status : 0]++;
			call_over(batch, call, 0);
		}
	} else if (message.status >= 200 && call->state == HANGING_UP) {
		if (message.status >= 300) batch->codes[message.status < CODES ? message.status : 0]++;
		call_over(batch, call, message.status < 300);
	}
}

static void ring_and_answer(Batch *batch, int index, Call *call, const char *copied, const struct sockaddr_in *from, struct in_addr at) {
	char contact[64];
	sprintf(contact, "<sip:callee@%s:%d>", inet_ntoa(at), callee_port);
	if (!call->reached_us) {
		call->reached_us = since_invite(batch, call);
		call->callee = at;
	} else if (call->acknowledged) return;
	int length = snprintf(wire_slot(&callee), WIRE_BYTES, "SIP/2.0 180 Ringing\r\n%sContact: %s\r\nContent-Length: 0\r\n\r\n", copied, contact);
	wire_push(&callee, length, from, at);
	char *answer = wire_slot(&callee);
	length = snprintf(answer, WIRE_BYTES, "SIP/2.0 200 OK\r\n%sContact: %s\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" SDP, copied, contact, (int)sizeof SDP - 1);
	if (!call->answer) {
		call->answer = malloc(length);
		memcpy(call->answer, answer, length);
		call->answer_length = length;
		call->answer_to = *from;
		arm(batch, index, ANSWER_AGAIN, now_us() + T1);
	}
	wire_push(&callee, length, from, at);
}

static void callee_takes(char *text, int bytes, const struct sockaddr_in *from, struct in_addr at) {
	Message message;
	Batch *batch;
	int index;
	char copied[WIRE_BYTES - 512], tag[32] = "s";
	(void)bytes;
	if (sip_read(&message, text) || message.status) {
		strangers++;
		return;
	}
	Call *call = call_of(message.call_id, &batch, &index);
	if (message.method == 'A') {
		if (!call) return;
		call->acknowledged = 1;
		free(call->answer);
		call->answer = NULL;
		return;
	}
	if (call) sprintf(tag, "s%d-%d", batch->id, index);
	sip_copy(copied, sizeof copied, &message, tag);
	if (message.method == 'I') {
		if (call) ring_and_answer(batch, index, call, copied, from, at);
		else strangers++;
		return;
	}
	int length = snprintf(wire_slot(&callee), WIRE_BYTES, "SIP/2.0 200 OK\r\n%sContent-Length: 0\r\n\r\n", copied);
	wire_push(&callee, length, from, at);
}

static void repeat_invite(Batch *batch, int index, Call *call, uint64_t now) {
	if (call->state != CALLING) return;
	if (now - batch->begun_us - call->at_us >= GIVE_UP) {
		call_over(batch, call, 0);
		return;
	}
	call->repeated = 1;
	batch->repeated_invites++;
	send_invite(batch, index);
	arm(batch, index, INVITE_AGAIN, now + ((uint64_t)T1 << ++call->repeats));
}

static uint64_t capped(int repeats) {
	return repeats >= 3 ? T2 : (uint64_t)T1 << repeats;
}

static void repeat_bye(Batch *batch, int index, Call *call, uint64_t now) {
	if (call->state != HANGING_UP) return;
	if (now - call->bye_us >= GIVE_UP) {
		call_over(batch, call, 0);
		return;
	}
	call->repeated = 1;
	batch->repeated_byes++;
	send_in_call(batch, index, "BYE", 2);
	arm(batch, index, BYE_AGAIN, now + capped(++call->repeats));
}

/* RFC 3261 §13.3.1.4: 64*T1 long, which are ten times. */
static void repeat_answer(Batch *batch, int index, Call *call, uint64_t now) {
	if (!call->answer || call->callee_repeats == 10) return;
	call->repeated = 1;
	batch->repeated_answers++;
	memcpy(wire_slot(&callee), call->answer, call->answer_length);
	wire_push(&callee, call->answer_length, &call->answer_to, call->callee);
	arm(batch, index, ANSWER_AGAIN, now + capped(++call->callee_repeats));
}

static void fire(const Due *due, uint64_t now) {
	Batch *batch = batch_find(due->batch);
	if (!batch) return;
	Call *call = &batch->calls[due->index];
	switch (due->timer) {
	case INVITE_AGAIN: repeat_invite(batch, due->index, call, now); break;
	case BYE_AGAIN: repeat_bye(batch, due->index, call, now); break;
	case ANSWER_AGAIN: repeat_answer(batch, due->index, call, now); break;
	case HOLD_OVER: call_hang_up(batch, due->index); break;
	}
}

void calls_tick(uint64_t now) {
	while (ticked < now / TICK) {
		ticked++;
		typeof(*wheel) slot = wheel[ticked % WHEEL];
		if (!slot.count) continue;
		memset(&wheel[ticked % WHEEL], 0, sizeof *wheel); /* firing arms again, elsewhere */
		for (int i = 0; i < slot.count; i++) fire(&slot.due[i], now);
		free(slot.due);
	}
}

int calls_wait(int fd, int64_t wait_us) {
	struct pollfd files[3] = {{caller.fd, POLLIN, 0}, {callee.fd, POLLIN, 0}, {fd, POLLIN, 0}};
	struct timespec wait = {wait_us / 1000000, wait_us % 1000000 * 1000};
	wire_flush(&caller);
	wire_flush(&callee);
	if (ppoll(files, fd < 0 ? 2 : 3, &wait, NULL) <= 0) return 0;
	if (files[0].revents) wire_receive(&caller, caller_takes);
	if (files[1].revents) wire_receive(&callee, callee_takes);
	wire_flush(&caller);
	wire_flush(&callee);
	return fd >= 0 && files[2].revents != 0;
}

long calls_strangers(void) {
	return strangers;
}

long calls_send_errors(void) {
	return caller.errors + callee.errors;
}
