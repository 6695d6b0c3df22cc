import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { createManagementServer, type ManagementServer } from "../../src/management/index.ts";
import { fakePorts } from "./fake-ports.ts";
import { type RawResponse, request } from "./raw-http.ts";
import { readTranscript, type Transcript } from "./transcript.ts";

// The recorded server ran in UTC.
process.env["TZ"] = "UTC";

/** Where we answer otherwise on purpose. `docs/management.md` tells users. */
interface Difference {
  readonly reason: string;
  readonly status?: number;
  /** The whole body, or a change of the recorded one. */
  readonly body?: string | ((recorded: string) => string);
}

const INVALID = '{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request"},"id":null}';
const NO_METHOD_14 = '{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"},"id":14}';
const POST_ONLY =
  'Management answers POST only: send a JSON-RPC 2.0 request such as {"jsonrpc":"2.0","id":1,"method":"which"} with Content-Type: application/json\n';
const UNENDING = "OpenSIPS never ends this answer: we end it at once, and say what was wrong";

const DIFFERENCES: Readonly<Record<string, Difference>> = {
  // Batches
  batch: {
    reason: "JSON-RPC 2.0 has batches: they work",
    body: '[{"jsonrpc":"2.0","result":{"enable":"yes","attrs":"id=1"},"id":1},{"jsonrpc":"2.0","result":{"enable":"yes","attrs":"id=2"},"id":2}]',
  },
  batch_one: { reason: "JSON-RPC 2.0 has batches: they work", body: '[{"jsonrpc":"2.0","result":{"enable":"yes","attrs":"id=1"},"id":1}]' },
  batch_with_error: {
    reason: "JSON-RPC 2.0 has batches: each request is answered for itself",
    body: `[{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"},"id":1},{"jsonrpc":"2.0","result":{"enable":"yes","attrs":"id=2"},"id":2},${INVALID}]`,
  },
  batch_with_notification: {
    reason: "JSON-RPC 2.0 has batches: a notification runs and is not answered",
    body: '[{"jsonrpc":"2.0","result":{"enable":"yes","attrs":"id=2"},"id":2}]',
  },
  // Requests that OpenSIPS cannot finish
  id_bool: {
    reason: "OpenSIPS hangs because it cannot echo the id: it is an invalid request (JSON-RPC 2.0, section 4)",
    status: 200,
    body: INVALID,
  },
  id_object: {
    reason: "OpenSIPS hangs because it cannot echo the id: it is an invalid request (JSON-RPC 2.0, section 4)",
    status: 200,
    body: INVALID,
  },
  http_get: { reason: UNENDING, body: POST_ONLY },
  http_get_plain: { reason: UNENDING, body: POST_ONLY },
  http_post_empty_json: { reason: UNENDING, body: "Cannot read an empty body: a JSON-RPC 2.0 request is wanted\n" },
  http_post_form_urlencoded: {
    reason: UNENDING,
    body: 'Cannot read a body of type "application/x-www-form-urlencoded": Content-Type must be application/json\n',
  },
  http_post_no_content_type: {
    reason: "OpenSIPS breaks the connection: a status tells more",
    status: 415,
    body: 'Cannot read a body of type "": Content-Type must be application/json\n',
  },
  http_post_text_plain: {
    reason: "OpenSIPS breaks the connection: a status tells more",
    status: 415,
    body: 'Cannot read a body of type "text/plain": Content-Type must be application/json\n',
  },
  trailing_garbage: {
    reason: "A body that goes on after its JSON text was cut, doubled or glued together: running its first part would hide that",
    body: '{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null}',
  },
  // Capacities
  lb_resize_negative: {
    reason: "OpenSIPS makes 4294967295 of -1: a negative capacity is refused",
    body: '{"jsonrpc":"2.0","error":{"code":-32602,"message":"Invalid params","data":"Cannot resize \\"transcoding\\" of destination 1: new_capacity must be >= 0, current value is -1"},"id":6}',
  },
  lb_list_after_negative: {
    reason: "The refused resize changed nothing: the capacity is what lb_resize_zero made it",
    body: (recorded) => recorded.replace('"max":4294967295', '"max":0'),
  },
  lb_list_after_reload: {
    reason: "OpenSIPS forgets lb_resize at a reload: here it stays until the row itself says another capacity",
    body: (recorded) => recorded.replace('"max":10', '"max":0'),
  },
  // What we are
  version: {
    reason: "We are another program",
    body: `{"jsonrpc":"2.0","result":{"Server":"Headroom (0.1.0 (${process.arch}/${process.platform}))"},"id":11}`,
  },
  help_lb_status: {
    reason: "Our methods have a help text",
    body: '{"jsonrpc":"2.0","result":{"Help":"tells whether a destination is enabled or, with new_status, enables (1) or disables (0) it","Exported by":"load_balancer"},"id":8}',
  },
  which: { reason: "Lists our methods, and the old names too: opensips-cli does not send what is not listed", body: () => OUR_METHODS },
  list_all_profiles: {
    reason: "The first three came from the script of the recorded server: we have the profiles of the resources",
    body: (recorded) => recorded.replace(/\{"name":"all".*\{"name":"both","has value":true\},/, ""),
  },
  clusterer_list: { reason: "A node alone has no methods of a cluster", body: NO_METHOD_14 },
  clusterer_list_cap: { reason: "A node alone has no methods of a cluster", body: NO_METHOD_14 },
};

const NEW_NAMES =
  "statistics:get statistics:list statistics:reset core:uptime core:version core:pwd core:arg core:which core:ps core:help rpc.discover headroom:audit_log dialog:list dialog:list_ctx dialog:find dialog:end_dlg dialog:profile_get_size dialog:profile_list_dlgs dialog:profile_get_values dialog:list_all_profiles load_balancer:reload load_balancer:resize load_balancer:list load_balancer:status";
const OLD_NAMES =
  "get_statistics list_statistics reset_statistics uptime version pwd arg which ps help audit_log dlg_list dlg_list_ctx dlg_find dlg_end_dlg profile_get_size profile_list_dlgs profile_get_values list_all_profiles lb_reload lb_resize lb_list lb_status";
const OUR_METHODS = JSON.stringify({ jsonrpc: "2.0", result: [...NEW_NAMES.split(" "), ...OLD_NAMES.split(" ")], id: 8 });

/** What differs between two answers of one and the same server. */
const VOLATILE = [/"core:timestamp":\d+/g, /"load:load-proc-1":\d+/g];

/** They change the table or depend on such a change. Replayed last, in the order in which they were recorded. */
const STATEFUL = [
  "lb_status_set_0",
  "lb_list_after_set_0",
  "lb_status_get_after_set_0",
  "lb_status_set_1_named",
  "lb_status_set_strings",
  "lb_status_set_negative",
  "lb_resize",
  "lb_resize_named",
  "lb_resize_strings",
  "lb_list_after_resize",
  "lb_resize_zero",
  "lb_resize_negative",
  "lb_list_after_negative",
  "lb_reload",
  "lb_list_after_reload",
];

const ALL = readdirSync(new URL("../fixtures/mi-transcripts/", import.meta.url))
  .filter((name) => name.endsWith(".txt"))
  .map((name) => name.slice(0, -".txt".length))
  .sort();

describe("answers recorded from OpenSIPS 4.1", () => {
  let server: ManagementServer;
  before(async () => {
    server = await createManagementServer(recordedPorts(), { host: "127.0.0.1", port: 0, root: "mi", bearerTokens: [] });
  });
  after(() => server.close());

  for (const name of ALL.filter((other) => !STATEFUL.includes(other))) replay(name, () => server.url);
  describe("one after the other", () => {
    for (const name of STATEFUL) replay(name, () => server.url);
  });

  it("lists no difference that is none", () => {
    assert.deepEqual(
      Object.keys(DIFFERENCES).filter((name) => !ALL.includes(name)),
      [],
    );
  });
});

function replay(name: string, url: () => string): void {
  const { reason } = DIFFERENCES[name] ?? {};
  it(reason === undefined ? name : `${name}, not as recorded: ${reason}`, async () => {
    const transcript = readTranscript(name);
    const answer = await request(url(), transcript);
    check(name, transcript, answer);
  });
}

function check(name: string, { recorded, hung }: Transcript, answer: RawResponse): void {
  const { status, body } = DIFFERENCES[name] ?? {};
  assert.equal(answer.status, status ?? recorded?.status);
  const recordedBody = recorded?.body ?? "";
  const expected = body === undefined ? recordedBody : typeof body === "string" ? body : body(recordedBody);
  assert.equal(steady(answer.body), steady(expected));
  const isDifferent = answer.status !== recorded?.status || steady(answer.body) !== steady(recordedBody);
  assert.equal(isDifferent, DIFFERENCES[name] !== undefined, "the table of differences must name exactly those that differ");
  if (!hung && recorded !== undefined) assert.equal(answer.headers.get("content-type"), recorded.headers.get("content-type"));
}

function steady(text: string): string {
  return VOLATILE.reduce((changed, pattern) => changed.replace(pattern, ""), text);
}

/** A program in the state of the recorded one: its processes, its statistics, its clock. */
function recordedPorts() {
  const statistics: Record<string, Record<string, number>> = {};
  for (const [key, value] of Object.entries<number>(recordedResult("get_statistics_all"))) {
    const [group = "", name = ""] = key.split(/:(.*)/);
    statistics[group] = { ...statistics[group], [name]: value };
  }
  const types = Object.entries<string>(recordedResult("list_statistics"));
  return fakePorts({
    statistics: () => statistics,
    gauges: new Set(types.filter(([, type]) => type === "non-incremental").map(([key]) => key)),
    processes: () => recordedResult("ps").Processes,
  });
}

function recordedResult(name: string) {
  return JSON.parse(readTranscript(name).recorded?.body ?? "null").result;
}
