/** Identities of destinations begin with a digit, so a pool is nobody's namesake. */
const POOL_KEY_START = "pool ";

/** The key of a pool, among the identities of destinations. */
export function poolKey(poolName: string): string {
  return `${POOL_KEY_START}${poolName}`;
}

/** The pool that a key names, `undefined` for the identity of a destination. */
export function poolOfKey(ownerKey: string): string | undefined {
  return ownerKey.startsWith(POOL_KEY_START) ? ownerKey.slice(POOL_KEY_START.length) : undefined;
}
