/** Largest HTTP body in bytes. OpenSIPS takes 1,024 (`httpd` `post_buf_size`); a full batch of resizes with named parameters needs about 16 KiB. */
export const MAX_BODY_BYTES = 64 * 1024;
/** Requests in one JSON-RPC batch. They run one after the other on the thread that also carries the calls. */
export const MAX_BATCH = 100;
/** Characters in the answers of a batch; the requests after that are not run. Room for one list of the most dialogs. */
export const MAX_BATCH_ANSWER_CHARS = 16 * 1024 * 1024;
/** Time in ms for a client to deliver one whole HTTP request, so that a slow or silent client cannot hold a connection. */
export const REQUEST_RECEIVE_TIMEOUT_MS = 10_000;
/** How often in ms Node.js looks for connections that are over that time. */
export const CONNECTION_CHECK_INTERVAL_MS = 5_000;
/** Time in ms for a method, or a whole batch, to answer. A reload waits for the database and for DNS. */
export const METHOD_TIMEOUT_MS = 20_000;
/** Connections open at the same time: panels and scripts need a handful; those who listen to events have at most 16 of them, and dashboards as many. */
export const MAX_CONNECTIONS = 64;
/** Time in ms that a connection may stay open after an answer without another request. */
export const KEEP_ALIVE_TIMEOUT_MS = 5_000;
/**
 * Time in ms after which a connection is closed on which nothing moves at all, such as that of a client that does not read its answer. Above the time
 * for a method to answer and between the heartbeats of a stream of events.
 */
export const IDLE_TIMEOUT_MS = 60_000;
/** Dialogs in one answer: about 8 MB of JSON. Larger tables are read with `index` and `counter`. */
export const MAX_LISTED_DIALOGS = 10_000;
/** Headers that `dlg_end_dlg` may add to a BYE, and their length in characters together. */
export const MAX_EXTRA_HEADERS = 16;
export const MAX_EXTRA_HEADERS_LENGTH = 2_048;
/** Characters of a caller's text that go into a log line. */
export const MAX_LOGGED_LENGTH = 200;
/** Clients of which it is remembered how much they have asked; about 200 bytes each. */
export const MAX_CLIENTS = 1_024;
/** Wrong tokens that one client may send at once: a script that was not told the new token does not lock out the people beside it. */
export const FAILED_LOGIN_BURST = 10;
/** Time in ms after which it may send one more. */
export const FAILED_LOGIN_REFILL_MS = 5_000;
/** Changes that `audit_log` remembers, each with at most about 500 characters. */
export const MAX_AUDIT_ENTRIES = 1_000;
/** Changes that viewers tried, remembered beside these. */
export const MAX_AUDIT_FORBIDDEN = 100;
/** Changes that one viewer may try at once and each is told of in log, events and audit list; what comes beyond that is only counted. */
export const TOLD_FORBIDDEN_BURST = 20;
/** Time in ms after which one more is told of. */
export const TOLD_FORBIDDEN_REFILL_MS = 1_000;
/** Characters of the reason why a change was not done. */
export const MAX_AUDIT_REASON_LENGTH = 300;
