/** Port of the event socket when a `fs://` URL names none (`event_socket.conf.xml`, OpenSIPS `FS_DEFAULT_EVS_PORT`). */
export const DEFAULT_EVENT_SOCKET_PORT = 8021;

/** Longest `fs://` URL: the `resources` column that holds it has 255 characters at OpenSIPS; ours may be wider. */
export const MAX_FS_URL_CHARS = 1024;

/** Most bytes before the empty line that ends the headers of a frame. FreeSWITCH's longest is a `command/reply` of some 200 bytes. */
export const MAX_FRAME_HEADER_BYTES = 16 * 1024;

/** Most header lines of a frame: the parser looks each up in a list of those before. */
export const MAX_FRAME_HEADERS = 64;

/** Most bytes of a body. Replies to what we ask have some 400. */
export const MAX_FRAME_BODY_BYTES = 1024 * 1024;

/** Most bytes of an event's body. A HEARTBEAT has some 900; the longest events, which we do not ask for, some 10,000. */
export const MAX_EVENT_BODY_BYTES = 64 * 1024;

/** Most fields of an event. A HEARTBEAT has 24. The parser needs time that grows with the square of their number. */
export const MAX_EVENT_FIELDS = 512;

/** Most frames and bytes within a second. FreeSWITCH sends a heartbeat a second at most, and a reply to each of our few commands; after a standstill of ours some minutes of them come at once. */
export const MAX_FRAMES_PER_SECOND = 200;
export const MAX_BYTES_PER_SECOND = 4 * 1024 * 1024;

/** Most commands that wait for their reply on one connection. */
export const MAX_PENDING_COMMANDS = 32;

/** First and longest wait before a connection is tried again, before chance makes it up to a fifth shorter or longer. */
export const MIN_BACKOFF_MS = 1000;
export const MAX_BACKOFF_MS = 30_000;

/** A connection that was ready for so long was a good one: after it the waits start at the shortest again. */
export const GOOD_CONNECTION_MS = 30_000;

/** When the system begins to ask whether the other side of an idle connection is still there. */
export const TCP_KEEPALIVE_MS = 15_000;

/** How long a connection that says `exit` may take to close before it is cut. */
export const EXIT_MS = 500;

/** Longest text of FreeSWITCH that a log line quotes. */
export const MAX_QUOTED_CHARS = 120;

/** Most sessions that a heartbeat or a status may tell of: capacities are 32-bit signed numbers. */
export const MAX_SESSIONS = 2_147_483_647;
