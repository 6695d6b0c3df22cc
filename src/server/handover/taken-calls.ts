import type { Balancer } from "../../balancer/index.ts";
import { type DialogBody, type DialogRecord, recordOfBody } from "../../cluster/dialogs/dialog-record.ts";
import { type Dialog, type DialogTable, type EndReason, endpointsOf } from "../../dialog/index.ts";
import type { Log } from "../../proxy/index.ts";
import type { Endpoint } from "../../transaction/index.ts";
import type { SipNetwork } from "../../transport/network.ts";
import type { LentConnections } from "./lent-connections.ts";
import type { CallNote } from "./messages.ts";

export interface TakenCallsPorts {
  readonly dialogs: DialogTable;
  readonly balancer: Pick<Balancer, "adopt" | "release">;
  readonly network: Pick<SipNetwork, "listeners">;
  readonly log: Log;
}

type OngoingNote = Extract<CallNote, { isPending: boolean }>;
type OverNote = Exclude<CallNote, OngoingNote>;

/** Puts into force what the former process tells of calls. */
export class TakenCalls {
  readonly #ports: TakenCallsPorts;
  readonly #lent: LentConnections;
  readonly #isTheirs: (did: string) => boolean;
  readonly #recordOf: (body: DialogBody, did: string) => DialogRecord | undefined;

  /**
   * @param isTheirs whether the former process says what a call counts
   * @param recordOf reads what is told of a call
   */
  constructor(
    ports: TakenCallsPorts,
    lent: LentConnections,
    isTheirs: (did: string) => boolean,
    recordOf: (body: DialogBody, did: string) => DialogRecord | undefined = recordOfBody,
  ) {
    this.#ports = ports;
    this.#recordOf = recordOf;
    this.#lent = lent;
    this.#isTheirs = isTheirs;
  }

  apply(note: CallNote): void {
    const { dialogs, network, log } = this.#ports;
    const { did } = note;
    const known = dialogs.byDid(did);
    if ("endReason" in note) {
      this.#end(known, note);
      return;
    }
    if (known === undefined && (note.isGiven || dialogs.knows(did))) return; // it has ended here
    const record = this.#recordOf(note.body, did);
    const endpoints = record && endpointsOf(record.snapshot, network.listeners);
    if (record === undefined || endpoints === undefined) {
      log.warn(
        { did, callId: record?.snapshot.callId },
        `Call "${did}" is not taken over: ${record === undefined ? "what is told of it cannot be read" : "no listener reaches its parties any more"}`,
      );
      return;
    }
    this.#goOn(known, note, record, {
      caller: this.on(note.callerConnection, endpoints.caller),
      callee: endpoints.callee && this.on(note.calleeConnection, endpoints.callee),
    });
  }

  /** The former process sees to the answers of its BYEs, and says when there is none to wait for. */
  #end(known: Dialog | undefined, { did, endReason, body }: OverNote): void {
    const { dialogs, network } = this.#ports;
    if (known !== undefined) {
      if (body !== undefined) dialogs.byes.sent(known);
      dialogs.end(known, endReason as EndReason);
      return;
    }
    const lingering = dialogs.lingering(did);
    if (body === undefined && lingering !== undefined) dialogs.byeOver(lingering);
    const record = body && this.#recordOf(body, did);
    const endpoints = record && endpointsOf(record.snapshot, network.listeners);
    if (endpoints !== undefined) dialogs.restoreEnded(record!.snapshot, endpoints, false);
  }

  /** The place of a party, with the connection of the former process that leads there. */
  on(id: number | undefined, endpoint: Endpoint): Endpoint {
    return id === undefined ? endpoint : this.#lent.lend(id, endpoint);
  }

  #goOn(
    known: Dialog | undefined,
    note: OngoingNote,
    { snapshot, held }: NonNullable<ReturnType<typeof recordOfBody>>,
    places: { readonly caller: Endpoint; readonly callee: Endpoint | undefined },
  ): void {
    const { dialogs, balancer } = this.#ports;
    if (known === undefined) {
      const dialog = dialogs.restore(snapshot, places);
      if (dialog === undefined) return;
      balancer.adopt(dialog.load, held);
      keepSessions(dialog, note);
      return;
    }
    if (this.#isTheirs(note.did)) {
      balancer.release(known.load);
      known.load.endSession();
      balancer.adopt(known.load, held);
    }
    dialogs.follow(known, snapshot, places);
    keepSessions(known, note);
  }
}

function keepSessions(dialog: Dialog, note: OngoingNote): void {
  dialog.hasSessionTimer = note.hasSessionTimer;
  dialog.callerSession = note.callerSession;
  dialog.calleeSession = note.calleeSession;
}
