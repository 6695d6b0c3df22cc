import { Type } from "typebox";
import { defineMethod } from "../define-method.ts";
import { openRpcDocument } from "../openrpc.ts";

/** `rpc.discover`: the methods that are offered, as OpenRPC wants it (service discovery). Not in OpenSIPS. */
export const rpcDiscover = defineMethod({
  name: "rpc.discover",
  aliases: [],
  help: "describes all methods, with parameters, answers and errors, as an OpenRPC document",
  recipes: [[]],
  parameters: {},
  result: Type.Unsafe<object>({ type: "object", description: "the document, see https://spec.open-rpc.org/" }),
  details: "GET `/mi/openrpc.json` answers the same, with the address of the balancer.",
  run: (_params, { methods, ports }) => openRpcDocument(methods.methods, ports.version),
});
