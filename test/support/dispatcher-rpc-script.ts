/** The list that the commands of {@link RPC_SCRIPT} begin with. Nothing answers at its addresses, and nobody is probed. */
export const RPC_LIST = [
  "1 sip:127.0.0.1:9091 8 10 duid=one;maxload=20;weight=40;rweight=60;obproxy=sip:127.0.0.1:9099;ping_from=sip:x@y;latency=12;extra=1",
  "1 sip:127.0.0.1:9092;transport=udp 0 5 a=b;cc=1",
  "1 sips:127.0.0.1:9093 4 0",
  "2 sip:127.0.0.1:9100 8 0 duid=two",
  "4 sip:nobody.invalid:5070 16",
  "3 sip:user@127.0.0.1 1",
  "",
].join("\n");

/** One request of the script: a body, or the parameters of a method. */
export interface RpcStep {
  readonly body: string;
  /** Why we answer something else on purpose; absent: the answers have to be the same. */
  readonly differs?: string;
}

let id = 0;

function step(method: string, params?: unknown, differs?: string): RpcStep {
  const body = JSON.stringify({ jsonrpc: "2.0", method: `dispatcher.${method}`, ...(params !== undefined && { params }), id: ++id });
  return { body, ...(differs !== undefined && { differs }) };
}

const KINDER = "a number may be a text";
const NOTHING_DONE = "a command that did nothing says so";

/** Commands of Kamailio's dispatcher, one after the other. */
export const RPC_SCRIPT: readonly RpcStep[] = [
  step("list"),
  step("list", ["full"]),
  step("list", ["SHORT"]),
  step("list", ["anything"]),
  step("list", { mode: "short" }),
  step("list", { x: "full" }),
  step("list", [5]),
  step("ping_active"),
  step("ping_active", [0]),
  step("ping_active"),
  step("ping_active", [1]),
  step("ping_active", ["1"], KINDER),
  step("ping_active", [1], KINDER),
  step("hash", [4, "abc"]),
  step("hash", [4, "abc", "def"]),
  step("hash", [0, "abc"]),
  step("hash", [-4, "abc"]),
  step("hash", [4, "ä"]),
  step("hash", [4, "abc", "def", "too many"]),
  step("hash", ["4", "abc"], KINDER),
  step("hash"),
  step("hash", [4]),
  step("set_state", ["i", 1, "sip:127.0.0.1:9091"]),
  step("set_state", ["TP", 3, "sip:user@127.0.0.1"]),
  step("set_state", ["ip", 2, "all"]),
  step("list", ["short"]),
  step("set_state", ["0", 1, "sip:127.0.0.1:9091"]),
  step("set_state", ["1p", 1, "SIP:127.0.0.1:9091"]),
  step("set_state", ["2p", 3, "all"]),
  step("set_state", ["3x", 2, "all"]),
  step("list", ["short"]),
  step("set_state", ["z", 1, "sip:127.0.0.1:9091"]),
  step("set_state", ["", 1, "sip:127.0.0.1:9091"]),
  step("set_state", ["a", 1, "sip:192.0.2.1"]),
  step("set_state", ["a", 1, "127.0.0.1:9091"]),
  step("set_state", ["a", 99, "sip:192.0.2.1"]),
  step("set_state", ["a", 99, "all"], NOTHING_DONE),
  step("set_state", ["a"]),
  step("set_state", ["a", 1]),
  step("set_state"),
  step("set_duid_state", ["i", 1, "one"]),
  step("set_duid_state", ["dp", 2, "TWO"]),
  step("set_duid_state", ["t", 3, "all"]),
  step("list"),
  step("set_duid_state", ["a", 1, "none"]),
  step("set_duid_state", ["q", 1, "one"]),
  step("set_duid_state", ["a", 1]),
  step("add", [5, "sip:127.0.0.1:9095"]),
  step("add", [5, "sip:127.0.0.1:9096", 8]),
  step("add", [5, "sip:127.0.0.1:9097", 0, 7]),
  step("add", [5, "sip:127.0.0.1:9098", 2, 7, "duid=x;weight=5"]),
  step("list"),
  step("add", [5]),
  step("add"),
  step("add", [5, "sip:127.0.0.1:9095", 999], "flags that there are not are no flags"),
  step("remove", [5, "sip:127.0.0.1:9095"]),
  step("remove", [5, "SIP:127.0.0.1:9096"]),
  step("remove", [5, "sip:127.0.0.1:9096"], NOTHING_DONE),
  step("list", ["full"]),
  step("remove", [99, "sip:127.0.0.1:9095"], NOTHING_DONE),
  step("remove", [5]),
  step("remove"),
  step("reload"),
  step("reload", ["x"]),
  step("list", [], "states stay over a reload"),
  step("nonsense"),
  { body: JSON.stringify({ jsonrpc: "2.0", method: "dispatcher.ping_active" }) },
  { body: JSON.stringify({ jsonrpc: "2.0", method: "dispatcher.nonsense" }) },
  { body: JSON.stringify({ jsonrpc: "2.0", method: "dispatcher.ping_active", id: "a text" }) },
  { body: JSON.stringify({ jsonrpc: "2.0", method: "dispatcher.hash", id: "a text" }) },
  { body: "{}", differs: "what is no request gets an error" },
  { body: "[]", differs: "what is no request gets an error" },
];
