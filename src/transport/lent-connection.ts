import type { Connection, ConnectionWatcher, SendOwner } from "../transaction/index.ts";

/** Requests that are told when the connection ends: the last so many, at most. The others find out by their timers. */
const MAX_OWNERS = 1_024;

/** A connection that another process of this program has accepted or opened, and keeps: what is sent on it is handed to that process. */
export class LentConnection implements Connection {
  isOpen = true;
  readonly #write: (text: string) => void;
  readonly #watchers = new Set<ConnectionWatcher>();
  #owners: SendOwner[] = [];

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  watch(watcher: ConnectionWatcher): void {
    this.#watchers.add(watcher);
  }

  unwatch(watcher: ConnectionWatcher): void {
    this.#watchers.delete(watcher);
  }

  send(text: string, owner: SendOwner | undefined): void {
    if (owner !== undefined) {
      if (this.#owners.length >= MAX_OWNERS) this.#owners = this.#owners.slice(MAX_OWNERS / 2);
      this.#owners.push(owner);
    }
    this.#write(text);
  }

  /** It has ended in the other process, or that process has. */
  end(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    const [watchers, owners] = [[...this.#watchers], this.#owners];
    this.#watchers.clear();
    this.#owners = [];
    setImmediate(() => {
      for (const watcher of watchers) watcher.connectionEnded();
      for (const owner of owners) owner.transportError("the connection ended with the process that had it");
    });
  }
}
