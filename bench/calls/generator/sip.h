/* Just enough SIP to be a caller and a callee: messages of peers that write each header on one line. */
#ifndef SIP_H
#define SIP_H

enum { SIP_ROUTES = 8 };

typedef struct {
	const char *text;
	int length;
} Text;

typedef struct {
	int status; /* 0: it is a request */
	char method; /* its first letter, of a response that of CSeq */
	Text call_id, to, contact; /* values; `text` is NULL where there is none */
	Text record_route[SIP_ROUTES];
	int record_routes;
	const char *headers; /* first header line */
	const char *end; /* behind the last header line */
} Message;

/* 0, or -1: it is none. Points into `text`, which ends with a 0. */
int sip_read(Message *message, const char *text);

/* What is between the angle brackets of a name-addr; all of it where there are none. */
Text sip_uri(Text name_addr);

/* The tag of a From or To value; of length 0 where there is none. */
Text sip_tag(Text value);

/* Writes the headers that a response has in common with its request (RFC 3261 §8.2.6.2); `tag` goes to a To that has none. Returns the length. */
int sip_copy(char *to, int room, const Message *request, const char *tag);

#endif
