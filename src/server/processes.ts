import type { Listener } from "../transaction/index.ts";

/** What OpenSIPS's `ps` would show: it has a process for each of these, here one does all of it. @param managementListen where management methods are taken */
export function processesOf(listeners: readonly Listener[], managementListen: string) {
  const { pid: PID } = process;
  return [
    { ID: 0, PID, Type: "attendant" },
    ...listeners.map(({ transport, address, port }, i) => ({ ID: i + 1, PID, Type: `SIP receiver ${transport}:${address}:${port}` })),
    { ID: listeners.length + 1, PID, Type: `HTTPD ${managementListen}` },
  ];
}
