#define _GNU_SOURCE
#include "sip.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int is_header(const char *line, const char *name, int length) {
	return !strncasecmp(line, name, length) && line[length] == ':';
}

static Text value_of(const char *line, int name, const char *end) {
	const char *from = line + name + 1;
	while (*from == ' ') from++;
	return (Text){from, (int)(end - from)};
}

int sip_read(Message *message, const char *text) {
	memset(message, 0, sizeof *message);
	const char *line = strstr(text, "\r\n");
	if (!line) return -1;
	if (!strncmp(text, "SIP/2.0 ", 8)) message->status = atoi(text + 8);
	else message->method = *text;
	line += 2;
	message->headers = line;
	while (*line && *line != '\r') {
		const char *end = strstr(line, "\r\n");
		if (!end) return -1;
		switch (*line | 0x20) {
		case 'c':
			if (is_header(line, "Call-ID", 7)) message->call_id = value_of(line, 7, end);
			else if (is_header(line, "Contact", 7)) message->contact = value_of(line, 7, end);
			else if (message->status && is_header(line, "CSeq", 4)) {
				Text cseq = value_of(line, 4, end);
				const char *space = memchr(cseq.text, ' ', cseq.length);
				message->method = space ? space[1] : 0;
			}
			break;
		case 't':
			if (is_header(line, "To", 2)) message->to = value_of(line, 2, end);
			break;
		case 'r':
			if (is_header(line, "Record-Route", 12) && message->record_routes < SIP_ROUTES)
				message->record_route[message->record_routes++] = value_of(line, 12, end);
			break;
		}
		line = end + 2;
	}
	message->end = line;
	return *line == '\r' ? 0 : -1;
}

Text sip_uri(Text value) {
	const char *from = value.text ? memchr(value.text, '<', value.length) : NULL;
	const char *to = from ? memchr(from, '>', value.text + value.length - from) : NULL;
	return to ? (Text){from + 1, (int)(to - from - 1)} : value;
}

Text sip_tag(Text value) {
	const char *from = value.text ? memmem(value.text, value.length, ";tag=", 5) : NULL;
	if (!from) return (Text){"", 0};
	from += 5;
	const char *end = value.text + value.length, *to = from;
	while (to < end && *to != ';' && *to != ' ') to++;
	return (Text){from, (int)(to - from)};
}

int sip_copy(char *to, int room, const Message *request, const char *tag) {
	int length = 0;
	for (const char *line = request->headers; line < request->end;) {
		const char *end = strstr(line, "\r\n");
		int bytes = (int)(end - line);
		int is_to = is_header(line, "To", 2);
		int wanted = is_to || is_header(line, "Via", 3) || is_header(line, "From", 4) || is_header(line, "Call-ID", 7) || is_header(line, "CSeq", 4) ||
			(request->method == 'I' && is_header(line, "Record-Route", 12));
		if (wanted && length + bytes + 64 < room) {
			memcpy(to + length, line, bytes);
			length += bytes;
			if (is_to && !memmem(line, bytes, ";tag=", 5)) length += sprintf(to + length, ";tag=%s", tag);
			to[length++] = '\r';
			to[length++] = '\n';
		}
		line = end + 2;
	}
	to[length] = 0;
	return length;
}
