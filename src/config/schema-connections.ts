import { Type } from "typebox";
import { checkOrigin } from "./checks.ts";
import { fraction, item, list, whole } from "./schema-keys.ts";

const SECONDS = { unit: "seconds" } as const;

/** `sip.connections`: the bounds of connections over tcp, tls, ws and wss. */
export const ConnectionsSchema = Type.Object(
  {
    max: whole(
      "Connections at a time, in all: those that peers opened and those that were opened to them, for which a tenth is kept.",
      10_000,
      1,
      1_000_000,
    ),
    max_per_source: whole(
      "Connections that one IPv4 address, or IPv6 block of 64 bits, may have opened at a time; further ones are closed at once.",
      256,
      1,
      1_000_000,
    ),
    idle_timeout: fraction("A connection on which nothing came and nothing was sent for this long is closed.", 600, 10, 86_400, SECONDS),
    first_message_timeout: fraction(
      "A connection on which no message came within this time is closed; a WebSocket is pinged, and stays while it answers.",
      30,
      1,
      3600,
      SECONDS,
    ),
    message_timeout: fraction(
      "How long a message may take to arrive from its first byte to its last, and how long what is sent may wait to be taken; the connection is closed then.",
      10,
      1,
      3600,
      SECONDS,
    ),
    connect_timeout: fraction(
      "How long a destination may take to accept a connection; its request counts as one that could not be sent then. To be less than tm.fr_timeout.",
      4,
      0.1,
      600,
      SECONDS,
    ),
  },
  { description: "Bounds of connections over tcp, tls, ws and wss.", additionalProperties: false },
);

/** `sip.websocket`: who may connect over ws and wss. */
export const WebSocketSchema = Type.Object(
  {
    origins: list(
      "Pages whose scripts may connect, by scheme, host and port, such as https://phone.example.com. Empty: all. Holds for browsers, which alone name their page.",
      item({ check: checkOrigin }),
      [],
      { single: true },
    ),
  },
  { description: "SIP over WebSocket.", additionalProperties: false },
);
