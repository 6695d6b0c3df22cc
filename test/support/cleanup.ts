/**
 * What a test process must undo however it ends, also when the test runner ends it: child processes to kill, folders to remove.
 * Synchronous, because a process that exits waits for nothing.
 */
const actions = new Set<() => void>();

function runAll(): void {
  for (const action of actions) action();
  actions.clear();
}

process.once("exit", runAll);
for (const [signal, exitCode] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.once(signal, () => process.exit(exitCode));
}

/** Registers `action` to run when this process exits. @returns removes it again, after an orderly end */
export function onProcessExit(action: () => void): () => void {
  actions.add(action);
  return () => actions.delete(action);
}
