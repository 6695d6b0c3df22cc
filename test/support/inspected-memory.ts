import { once } from "node:events";
import { readFileSync } from "node:fs";

/** Memory of another Node.js process, bytes. */
export interface Memory {
  /** What is reachable in the heap. */
  readonly heapUsed: number;
  /** Memory outside the heap that objects in it hold, such as buffers. */
  readonly external: number;
  /** What the system has given the process, as of /proc. Linux only. */
  readonly resident: number;
}

interface Answer {
  readonly id?: number;
  readonly result?: { readonly result?: { readonly value?: string } };
}

/**
 * Collects the garbage of a process that was started with `--inspect`, and tells what is left. Nothing in the process takes part but Node.js itself.
 *
 * @param url as the process says it: `ws://127.0.0.1:…`
 */
export async function memoryAfterCollection(url: string, pid: number): Promise<Memory> {
  const socket = new WebSocket(url);
  await once(socket, "open");
  let lastId = 0;
  const ask = async (method: string, params = {}): Promise<Answer> => {
    const id = ++lastId;
    const answered = new Promise<Answer>((resolve) => {
      socket.addEventListener("message", function listen({ data }) {
        const answer = JSON.parse(String(data)) as Answer;
        if (answer.id !== id) return;
        socket.removeEventListener("message", listen);
        resolve(answer);
      });
    });
    socket.send(JSON.stringify({ id, method, params }));
    return answered;
  };
  try {
    // Finalizers run between collections and free more.
    for (let i = 0; i < 3; i++) await ask("HeapProfiler.collectGarbage");
    const { result } = await ask("Runtime.evaluate", { expression: "JSON.stringify(process.memoryUsage())" });
    const { heapUsed, external } = JSON.parse(result?.result?.value ?? "{}") as Record<string, number>;
    return { heapUsed: heapUsed ?? Number.NaN, external: external ?? Number.NaN, resident: residentBytes(pid) };
  } finally {
    socket.close();
  }
}

/** What the system has given a process. Linux only. */
export function residentBytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1")) ?? [];
  return Number(kilobytes) * 1024;
}
