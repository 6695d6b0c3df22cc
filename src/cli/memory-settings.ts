/** Half of the memory for what is new, MB: without it V8 lets that grow to three times as much under traffic, and is not quicker. */
const SEMI_SPACE = "--max-semi-space-size";
const SEMI_SPACE_MB = 8;
/**
 * What glibc is told: threads share one pool of memory, and blocks above 128 KB go back to the system when they are freed, however many there were before.
 * musl, macOS and Windows do not know them.
 */
const ALLOCATOR: Readonly<Record<string, string>> = {
  MALLOC_ARENA_MAX: "1",
  MALLOC_MMAP_THRESHOLD_: "131072",
  MALLOC_TRIM_THRESHOLD_: "131072",
};

/** What of Node.js this works with. */
export interface Program {
  readonly execPath: string;
  readonly execArgv: readonly string[];
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Another process has a channel to this one. */
  readonly connected: boolean;
  /** Absent on Windows, and before Node.js 22.15. */
  readonly execve?: ((file: string, args: readonly string[], env: NodeJS.ProcessEnv) => void) | undefined;
}

/**
 * Has the program begin anew, as the same process, with settings that hold from the first moment only: without them a hundred thousand calls take twice the
 * memory, and nobody should have to know. What somebody has set stands. Returns when nothing is missing, or when this system cannot do it.
 */
export function ensureMemorySettings({ execPath, execArgv, argv, env, connected, execve }: Program): void {
  if (execve === undefined || connected) return; // the channel would be cut
  const missing = Object.entries(ALLOCATOR).filter(([name]) => env[name] === undefined);
  const hasSemiSpace = [...execArgv, env["NODE_OPTIONS"] ?? ""].some((option) => option.includes(SEMI_SPACE));
  if (missing.length === 0 && hasSemiSpace) return;
  const options = hasSemiSpace ? [] : [`${SEMI_SPACE}=${SEMI_SPACE_MB}`];
  execve(execPath, [execPath, ...execArgv, ...options, ...argv.slice(1)], { ...env, ...Object.fromEntries(missing) });
}
