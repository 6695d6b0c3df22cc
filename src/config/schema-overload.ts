import { Type } from "typebox";
import { checkCidr } from "./checks.ts";
import { fraction, item, list, whole } from "./schema-keys.ts";

/** What the usual tools call themselves unless they are told otherwise. */
const SCANNERS = [
  "friendly-scanner",
  "friendly-request",
  "sipvicious",
  "sundayddr",
  "sip-scan",
  "sipscan",
  "sipcli",
  "siparmyknife",
  "vaxsipuseragent",
  "pplsip",
  "sivus",
  "smap",
];

/** The section `overload` of the configuration. */
export const OverloadSchema = Type.Object(
  {
    sampling_time_unit: fraction("Length of the window in which the requests of a source are counted.", 2, 0.1, 3600, { unit: "seconds" }),
    reqs_density_per_unit: whole(
      "Requests of one source in a window that are taken; a source with more is banned. A source is an IPv4 address, or the first 64 bits of an IPv6 one. Each call that is up with it allows 10 more. 0: no limit.",
      60_000,
      0,
      1_000_000,
    ),
    remove_latency: fraction("How long a ban lasts, from the last window with too many requests.", 120, 0.1, 86_400, { unit: "seconds" }),
    exempt: list(
      "Addresses and CIDR blocks that are never banned and never taken for scanners, besides destinations and what sip.allow names.",
      item({ check: checkCidr }),
      [],
      { single: true },
    ),
    new_calls_per_second: whole(
      "New calls that are taken within any second, from all sources together; more get 503. 0: no ceiling.",
      0,
      0,
      100_000,
    ),
    max_lag: fraction("How long the event loop may stand still, twice in a row, until new calls get 503. 0: not looked at.", 0.5, 0, 10, {
      unit: "seconds",
    }),
    max_utilization: fraction(
      "Share of its time that the event loop may be busy, for 3 seconds in which callers have to repeat INVITEs, until new calls get 503. 0: not looked at.",
      0.98,
      0,
      1,
    ),
    max_backlog: fraction(
      "Share of the queue of a UDP socket, in memory of the system, that may be full without an empty moment for 50 ms, until new calls get 503. 0: not looked at.",
      0.5,
      0,
      1,
    ),
    retry_after: whole("What callers that get 503 for one of these reasons are told to wait.", 10, 1, 3600, { unit: "seconds" }),
    scanners: list(
      "Marks of tools that search for SIP servers: words that stand in User-Agent or in the name beside the address in From or To, or Header: text for a text anywhere in another header. Upper and lower case are alike.",
      item({ check: checkMark }),
      SCANNERS,
      { single: true },
    ),
    scanner_answer: Type.Enum(["silence", "403"], {
      description: "What a request with such a mark gets, outside of calls.",
      default: "silence",
    }),
  },
  {
    description:
      "Limits that keep the program able to work: who sends too much, who only searches, and when there is no time for new calls.",
    additionalProperties: false,
  },
);

function checkMark(text: string): string | undefined {
  const fits = text.length >= 3 && text.length <= 100 && /^[\x20-\x7e]+$/.test(text);
  return fits ? undefined : 'a text of 3 to 100 printable ASCII characters, such as "friendly-scanner" or "Contact: sip:100@1.1.1.1"';
}
