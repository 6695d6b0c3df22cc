import { Type } from "typebox";
import { flag, fraction, MAX_INT32, whole } from "./schema-keys.ts";

const MEASURED = "measured";
const MAX_SESSIONS_PER_CALL = 16;

/** The keys of `load_balancer` that are about FreeSWITCH. */
export const FREESWITCH_KEYS = {
  fetch_freeswitch_stats: flag(
    "Take capacities from FreeSWITCH for resources of the form name=fs://[user]:password@host[:port]. False: such rows are skipped.",
    false,
  ),
  initial_freeswitch_load: whole("Capacity of such a resource before the first heartbeat of its FreeSWITCH.", 1000, 0, MAX_INT32, {
    unit: "calls",
  }),
};

/** The section `freeswitch` of the configuration. */
export const FreeswitchSchema = Type.Object(
  {
    event_heartbeat_interval: whole("Time between two computations of the capacities, besides the one at each heartbeat.", 1, 1, 3600, {
      unit: "seconds",
    }),
    esl_connect_timeout: whole("How long a connection to the event socket may take.", 5000, 100, 120_000, { unit: "milliseconds" }),
    esl_cmd_timeout: whole("How long the event socket may take to answer the login, and each question.", 5000, 100, 120_000, {
      unit: "milliseconds",
    }),
    heartbeat_interval: whole("Interval in which FreeSWITCH sends heartbeats, until it has been seen.", 20, 1, 3600, { unit: "seconds" }),
    stale_heartbeats: whole(
      "Statistics older than this many heartbeats are stale: 2 or more, as FreeSWITCH's gaps vary by half. 0: they never are.",
      3,
      0,
      1000,
    ),
    stale_action: Type.Enum(["keep", "shrink", "disable"], {
      description:
        "What becomes of a capacity whose statistics are stale. keep: it stays. shrink: it is halved with each heartbeat that is missing. disable: no new calls until a heartbeat comes.",
      default: "keep",
    }),
    sessions_per_call: Type.String({
      description:
        'Sessions that FreeSWITCH counts for one of our calls; a bridged call is two. "measured": one, until the heartbeats show another number.',
      default: "1",
      maxLength: 20,
      numberIsText: true,
      check: checkSessionsPerCall,
    }),
    predict: flag(
      "Count the calls placed since the last heartbeat as sessions that cost CPU, so that one idle server does not get all calls until it tells how busy it is. False: as OpenSIPS.",
      true,
    ),
    reserved_sessions: whole("Sessions of Max-Sessions that are left free.", 0, 0, MAX_INT32, { unit: "sessions" }),
    obey_sessions_per_second: flag("Stay below FreeSWITCH's sessions-per-second, which is asked of it.", true),
    foreign_load: Type.Enum(["capacity", "load"], {
      description:
        "How sessions that are not ours show. capacity: they make it smaller, as in OpenSIPS. load: they count as load, so that flag r compares how full the whole server is.",
      default: "capacity",
    }),
    idle_cpu_smoothing: fraction("Share that the Idle-CPU of earlier heartbeats has in the one that is used. 0: none.", 0, 0, 0.99),
    status_interval: whole(
      "Time between two questions whether FreeSWITCH is paused or shuts down, which heartbeats do not say.",
      5,
      1,
      3600,
      {
        unit: "seconds",
      },
    ),
    limits_interval: whole("Time between two questions for sessions-per-second.", 60, 1, 86_400, { unit: "seconds" }),
  },
  {
    description: "FreeSWITCH's event socket, and how heartbeats become capacities. In use with load_balancer.fetch_freeswitch_stats.",
    additionalProperties: false,
  },
);

/** The value of `freeswitch.sessions_per_call`, which is checked. */
export function parseSessionsPerCall(text: string): number | typeof MEASURED {
  return text === MEASURED ? MEASURED : Number(text);
}

function checkSessionsPerCall(text: string): string | undefined {
  const fits = text === MEASURED || (/^\d{1,2}(?:\.\d{1,3})?$/.test(text) && Number(text) >= 1 && Number(text) <= MAX_SESSIONS_PER_CALL);
  return fits ? undefined : `a number from 1 to ${MAX_SESSIONS_PER_CALL}, or "${MEASURED}"`;
}
