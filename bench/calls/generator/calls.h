/* Batches of calls: a caller and a callee for each, in one process, with the retransmissions of RFC 3261. */
#ifndef CALLS_H
#define CALLS_H
#include <netinet/in.h>
#include <stdint.h>

enum { MAX_BATCHES = 4096, CODES = 700 };

enum State { FRESH, CALLING, PROCEEDING, TALKING, HANGING_UP, OVER, FAILED };

typedef struct {
	uint8_t state, repeats, callee_repeats, acknowledged;
	uint8_t repeated; /* the caller or the callee had to send something again */
	uint32_t at_us; /* of the INVITE, from the begin of the batch; all further times from the INVITE, 0: not yet */
	uint32_t reached_us, ringing_us, answered_us, over_us;
	uint64_t bye_us;
	char *target; /* of the caller's requests in the call; the Route lines and the To value stand behind its 0 */
	char *routes, *to;
	char *answer; /* the 200 of the callee until it is acknowledged */
	int answer_length;
	struct sockaddr_in answer_to;
	struct in_addr callee;
} Call;

typedef struct {
	int id, count;
	int held; /* a call stays up until it is told to end */
	uint64_t hold_us, begun_us, offered_us;
	struct sockaddr_in proxy;
	Call *calls;
	int started, up, over, failed, closing;
	long repeated_invites, repeated_byes, repeated_answers, unexpected, reordered;
	int codes[CODES]; /* final answers but 2xx */
} Batch;

uint64_t now_us(void);

/* 0, or -1 with errno. */
int calls_open(const char *caller_ip, int caller_port, int callee_port);

Batch *batch_new(int count, const struct sockaddr_in *proxy);
Batch *batch_find(int id);

/* Frees the calls; what still comes for them is no longer known. */
void batch_free(Batch *batch);

void call_start(Batch *batch, int index);
void call_hang_up(Batch *batch, int index);

/* Does what is due. */
void calls_tick(uint64_t now);

/* Waits for messages, `fd` (a further file) and at most so long, and takes what comes. 1: the file can be read. */
int calls_wait(int fd, int64_t wait_us);

/* Datagrams that came for no call that is known, and that could not be sent. */
long calls_strangers(void), calls_send_errors(void);

#endif
