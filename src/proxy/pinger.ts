import {
  type Dialog,
  DialogFlag,
  DialogState,
  EVERYBODY,
  firstPingMs,
  OPTIONS_PINGS,
  type PingOutage,
  PingOutages,
  REINVITE_PINGS,
  resumedPingMs,
} from "../dialog/index.ts";
import type { PingSettings, ProxyCore } from "./core.ts";
import { PingRound } from "./ping-round.ts";

/** From the bit of an OPTIONS ping to that of the re-INVITE ping of the same side. */
const REINVITE_SHIFT = 2;

/** Whether the silence of a callee that is asked for a call ends it. */
export type VerdictThatEnds = "if it says no" | "if it says no or nothing";

/** Asks the parties of calls whether they still have them, where the route has asked for it (OpenSIPS dialog module, `create_dialog`). */
export class Pinger {
  readonly #core: ProxyCore;
  readonly #settings: PingSettings;
  readonly #outages: PingOutages;

  constructor(core: ProxyCore, settings: PingSettings) {
    this.#core = core;
    this.#settings = settings;
    const { counters } = core.layer;
    this.#outages = new PingOutages({
      holdMs: settings.outageMs ?? 0,
      nowMs: core.nowMs,
      answers: () => counters.received_replies - counters.stray_replies,
      changed: (outage) => this.#tell(outage),
    });
    // Those that were restored before there was anybody to ping them.
    for (const dialog of core.dialogs.list()) if (dialog.state >= DialogState.ConfirmedNoAck) this.began(dialog);
  }

  /** The call is up. */
  began(dialog: Dialog): void {
    if (dialog.pinged !== undefined) return;
    const { flags } = dialog;
    const { optionsMs, reinviteMs } = this.#settings;
    // A side that is asked by re-INVITE is not asked by OPTIONS, as in OpenSIPS: it may be one that answers none.
    const byOptions = flags & ~((flags & REINVITE_PINGS) >> REINVITE_SHIFT);
    if ((byOptions & OPTIONS_PINGS) !== 0) this.#ping(dialog, "OPTIONS", optionsMs, byOptions);
    if ((flags & REINVITE_PINGS) !== 0) this.#ping(dialog, "INVITE", reinviteMs, flags);
  }

  /** The call is over, or another node has it: what is still answered says nothing any more. */
  ended(dialog: Dialog): void {
    dialog.pinged?.stop();
    dialog.pinged = undefined;
  }

  /**
   * Asks the callee of a call, after some time, whether it still has the call, until it has answered once. False, and nothing is done, when the call is not
   * up, and when its callee is asked anyway.
   * @param ends what ends the call: that the callee has no such call, or its silence, too
   */
  verify(dialog: Dialog, afterMs: number, ends: VerdictThatEnds = "if it says no or nothing"): boolean {
    if (dialog.isGuest || dialog.state < DialogState.ConfirmedNoAck || dialog.state === DialogState.Deleted) return false;
    if (dialog.pinged?.asks("callee") === true) return false;
    const plan = {
      method: "OPTIONS",
      flags: DialogFlag.OptionsPingCallee,
      firstMs: afterMs,
      intervalMs: this.#settings.optionsMs,
      once: true,
      sparesSilent: ends === "if it says no",
    } as const;
    dialog.pinged = new PingRound(this.#core, dialog, this.#outages, plan);
    return true;
  }

  /** Asks the parties of a call at once, and its callee when nobody would be asked: another node says that they are silent, and may not end it. */
  askNow(dialog: Dialog): void {
    if (dialog.pinged === undefined) this.verify(dialog, 0);
    else dialog.pinged.askNow();
  }

  #ping(dialog: Dialog, method: "OPTIONS" | "INVITE", intervalMs: number, flags: number): void {
    const { did, isRestored } = dialog;
    const firstMs = isRestored ? resumedPingMs(did, intervalMs, this.#core.dialogs.size) : firstPingMs(did, intervalMs);
    dialog.pinged = new PingRound(this.#core, dialog, this.#outages, { method, flags, firstMs, intervalMs, once: false });
  }

  #tell(outage: PingOutage): void {
    const { log, dialogs } = this.#core;
    const { kind, address, held } = outage;
    const who = address === EVERYBODY ? "nobody" : `nobody at ${address}`;
    const fields = { ...(address !== EVERYBODY && { address }), held };
    if (kind === "began") {
      dialogs.counters.ping_outages++;
      log.warn(fields, `${who} answers pings or anything else: calls are kept for now, as it may be the network`);
    } else if (kind === "ended") log.info(fields, "pings are answered again: calls that are gone end now");
    else log.warn(fields, `${who} has answered for too long: calls end after all`);
    this.#settings.outageChanged?.(outage);
  }
}
