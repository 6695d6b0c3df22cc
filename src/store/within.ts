/** Answers what a promise comes to, or undefined when it takes longer than this. What it rejects with later is dropped. */
export async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  const { promise: passed, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), ms);
  try {
    return await Promise.race([promise, passed]);
  } finally {
    clearTimeout(timer);
  }
}
