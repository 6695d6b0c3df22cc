#include "wire.h"
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Without the privilege to go further, the limit of the system holds (net.core.rmem_max). */
static void enlarge_buffers(int fd) {
	int bytes = 16 << 20;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes)) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes)) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

int wire_open(Wire *wire, const char *ip, int port) {
	struct sockaddr_in self = {.sin_family = AF_INET, .sin_port = htons(port)};
	int on = 1;
	wire->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (wire->fd < 0) return -1;
	enlarge_buffers(wire->fd);
	if (ip) inet_pton(AF_INET, ip, &self.sin_addr);
	else if (setsockopt(wire->fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2)) return -1; /* nobody outside is to reach it */
	if (setsockopt(wire->fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on)) return -1;
	return bind(wire->fd, (struct sockaddr *)&self, sizeof self);
}

char *wire_slot(Wire *wire) {
	if (wire->queued == WIRE_BATCH) wire_flush(wire);
	return wire->out_text[wire->queued];
}

void wire_push(Wire *wire, int length, const struct sockaddr_in *to, struct in_addr from) {
	int i = wire->queued++;
	struct msghdr *head = &wire->out[i].msg_hdr;
	wire->out_to[i] = *to;
	wire->out_part[i] = (struct iovec){.iov_base = wire->out_text[i], .iov_len = length};
	*head = (struct msghdr){.msg_name = &wire->out_to[i], .msg_namelen = sizeof wire->out_to[i], .msg_iov = &wire->out_part[i], .msg_iovlen = 1};
	if (from.s_addr == 0) return;
	head->msg_control = wire->out_control[i];
	head->msg_controllen = WIRE_CONTROL;
	struct cmsghdr *control = CMSG_FIRSTHDR(head);
	control->cmsg_level = IPPROTO_IP;
	control->cmsg_type = IP_PKTINFO;
	control->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
	struct in_pktinfo info = {.ipi_spec_dst = from};
	memcpy(CMSG_DATA(control), &info, sizeof info);
}

void wire_flush(Wire *wire) {
	int sent = 0;
	while (sent < wire->queued) {
		int count = sendmmsg(wire->fd, wire->out + sent, wire->queued - sent, 0);
		if (count > 0) {
			sent += count;
			continue;
		}
		if (errno == EAGAIN || errno == ENOBUFS || errno == EINTR) {
			usleep(50);
			continue;
		}
		wire->errors++;
		sent++;
	}
	wire->queued = 0;
}

static struct in_addr address_of(struct msghdr *head) {
	for (struct cmsghdr *control = CMSG_FIRSTHDR(head); control; control = CMSG_NXTHDR(head, control)) {
		struct in_pktinfo info;
		if (control->cmsg_level != IPPROTO_IP || control->cmsg_type != IP_PKTINFO) continue;
		memcpy(&info, CMSG_DATA(control), sizeof info);
		return info.ipi_addr;
	}
	return (struct in_addr){0};
}

void wire_receive(Wire *wire, WireTaker *take) {
	static char text[WIRE_BATCH][WIRE_BYTES + 1];
	static _Alignas(struct cmsghdr) char control[WIRE_BATCH][WIRE_CONTROL];
	static struct sockaddr_in from[WIRE_BATCH];
	static struct iovec part[WIRE_BATCH];
	static struct mmsghdr in[WIRE_BATCH];
	for (int i = 0; i < WIRE_BATCH; i++) {
		part[i] = (struct iovec){.iov_base = text[i], .iov_len = WIRE_BYTES};
		in[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &part[i], .msg_iovlen = 1, .msg_control = control[i], .msg_controllen = WIRE_CONTROL};
	}
	int count = recvmmsg(wire->fd, in, WIRE_BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < count; i++) {
		text[i][in[i].msg_len] = 0;
		take(text[i], in[i].msg_len, &from[i], address_of(&in[i].msg_hdr));
	}
}
