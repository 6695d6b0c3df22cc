/* A UDP socket that takes and sends many datagrams with one system call, and knows which of its addresses each of them was for. */
#ifndef WIRE_H
#define WIRE_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

enum { WIRE_BATCH = 128, WIRE_BYTES = 2048, WIRE_CONTROL = CMSG_SPACE(sizeof(struct in_pktinfo)) };

typedef struct {
	int fd;
	int queued;
	long errors;
	struct mmsghdr out[WIRE_BATCH];
	struct iovec out_part[WIRE_BATCH];
	struct sockaddr_in out_to[WIRE_BATCH];
	char out_text[WIRE_BATCH][WIRE_BYTES];
	_Alignas(struct cmsghdr) char out_control[WIRE_BATCH][WIRE_CONTROL];
} Wire;

/* `text` has `length` bytes and a 0 behind them; `at` is the address of ours that it came to. */
typedef void WireTaker(char *text, int length, const struct sockaddr_in *from, struct in_addr at);

/* Listens on `ip`, or, where it is NULL, on each address of the loopback interface. 0, or -1 with errno. */
int wire_open(Wire *wire, const char *ip, int port);

/* Where the next message is to be written: WIRE_BYTES. */
char *wire_slot(Wire *wire);

/* Queues what was written there. `from`: the address of ours that it comes from; 0 where the socket has only one. */
void wire_push(Wire *wire, int length, const struct sockaddr_in *to, struct in_addr from);

void wire_flush(Wire *wire);

/* Takes what has come, WIRE_BATCH datagrams at most. */
void wire_receive(Wire *wire, WireTaker *take);

#endif
