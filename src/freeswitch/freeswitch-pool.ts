import type { CapacityModel } from "./capacity-model.ts";
import { Freeswitch } from "./freeswitch.ts";
import type { FsUrl } from "./fs-url.ts";
import type { FreeswitchPorts, FreeswitchSettings } from "./ports.ts";

/** All FreeSWITCHes that rows name: one connection for each host, port and user. */
export class FreeswitchPool {
  readonly #settings: FreeswitchSettings;
  readonly #ports: FreeswitchPorts;
  readonly #byKey = new Map<string, Freeswitch>();
  /** Those that are being closed. */
  readonly #closing = new Set<Promise<void>>();
  /** Keys of those for which rows name different passwords: that is said once. */
  #disputed: ReadonlySet<string> = new Set();
  #stopTimer: (() => void) | undefined;

  constructor(settings: FreeswitchSettings, ports: FreeswitchPorts) {
    this.#settings = settings;
    this.#ports = ports;
  }

  /**
   * To be called with all URLs after each reload. Those that stay keep their connection and what is known of them; one whose password changed connects
   * anew, and what is known of it stays, too; those that are named no more are closed. Where two URLs of the same FreeSWITCH have different passwords the last one counts, as at OpenSIPS.
   */
  replace(urls: Iterable<FsUrl>): void {
    const wanted = new Map<string, FsUrl>();
    const disputed = new Set<string>();
    for (const url of urls) {
      const earlier = wanted.get(url.key);
      if (earlier !== undefined && !earlier.hasPasswordOf(url) && !disputed.has(url.key)) {
        disputed.add(url.key);
        if (!this.#disputed.has(url.key))
          this.#ports.log.warn({ freeswitch: url.label }, "rows name different passwords for the same FreeSWITCH, the last one is used");
      }
      wanted.set(url.key, url);
    }
    this.#disputed = disputed;
    const known = new Map<string, CapacityModel>();
    for (const [key, freeswitch] of this.#byKey) {
      const url = wanted.get(key);
      if (url?.hasPasswordOf(freeswitch.url)) continue;
      this.#byKey.delete(key);
      known.set(key, freeswitch.model);
      this.#close(freeswitch);
    }
    for (const [key, url] of wanted) {
      if (this.#byKey.has(key)) continue;
      const freeswitch = new Freeswitch(url, this.#settings, this.#ports, known.get(key));
      this.#byKey.set(key, freeswitch);
      freeswitch.start();
    }
    this.#schedule();
  }

  /** The FreeSWITCH that a URL names, if it was among the last ones. */
  get(url: FsUrl): Freeswitch | undefined {
    return this.#byKey.get(url.key);
  }

  [Symbol.iterator](): IterableIterator<Freeswitch> {
    return this.#byKey.values();
  }

  async stop(): Promise<void> {
    this.replace([]);
    await Promise.all(this.#closing);
  }

  #close(freeswitch: Freeswitch): void {
    const closing = freeswitch.stop().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  #schedule(): void {
    if (this.#byKey.size === 0) {
      this.#stopTimer?.();
      this.#stopTimer = undefined;
      return;
    }
    this.#stopTimer ??= this.#ports.clock.after(this.#settings.updateIntervalMs, () => {
      this.#stopTimer = undefined;
      for (const freeswitch of this.#byKey.values()) this.#ports.changed(freeswitch);
      this.#schedule();
    });
  }
}
