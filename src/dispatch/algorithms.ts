/** Numbers of Kamailio's algorithms, and from 100 our own. */
export const HASH_CALL_ID = 0;
export const HASH_FROM_URI = 1;
export const HASH_TO_URI = 2;
export const HASH_REQUEST_URI = 3;
export const ROUND_ROBIN = 4;
export const HASH_AUTH_USER = 5;
export const RANDOM = 6;
export const HASH_EXPRESSION = 7;
export const SERIAL = 8;
export const WEIGHT = 9;
export const CALL_LOAD = 10;
export const RELATIVE_WEIGHT = 11;
export const PARALLEL = 12;
export const LATENCY = 13;
export const ROUND_ROBIN_OR_SERIAL = 14;
export const SRV = 15;
export const OVERLOAD = 64;
export const RENDEZVOUS = 100;
export const LEAST_OUTSTANDING = 101;

/** Largest number of an algorithm, known or not. */
const MAX_NUMBER = 2 ** 31 - 1;

const NAMES: ReadonlyMap<string, number> = new Map([
  ["call-id", HASH_CALL_ID],
  ["from-uri", HASH_FROM_URI],
  ["to-uri", HASH_TO_URI],
  ["request-uri", HASH_REQUEST_URI],
  ["round-robin", ROUND_ROBIN],
  ["auth-user", HASH_AUTH_USER],
  ["random", RANDOM],
  ["expression", HASH_EXPRESSION],
  ["priority", SERIAL],
  ["weight", WEIGHT],
  ["call-load", CALL_LOAD],
  ["relative-weight", RELATIVE_WEIGHT],
  ["parallel", PARALLEL],
  ["latency", LATENCY],
  ["round-robin-or-priority", ROUND_ROBIN_OR_SERIAL],
  ["srv", SRV],
  ["overload", OVERLOAD],
  ["rendezvous", RENDEZVOUS],
  ["least-outstanding", LEAST_OUTSTANDING],
]);

/** Names of all algorithms, in the order of their numbers. */
export const ALGORITHM_NAMES: readonly string[] = [...NAMES.keys()];

const NAME_BY_NUMBER: ReadonlyMap<number, string> = new Map([...NAMES].map(([name, number]) => [number, name]));

/** The number of an algorithm by its name or number, as text or not; `undefined` for anything else. A number that nobody knows is one: {@link isKnown}. */
export function algorithmOf(algorithm: string | number): number | undefined {
  const number =
    typeof algorithm === "number" ? algorithm : /^\d{1,10}$/.test(algorithm) ? Number(algorithm) : NAMES.get(algorithm.toLowerCase());
  return number !== undefined && Number.isInteger(number) && number >= 0 && number <= MAX_NUMBER ? number : undefined;
}

/** Whether there is such an algorithm. With a number that is none the first destination is selected, as in Kamailio. */
export function isKnown(algorithm: number): boolean {
  return NAME_BY_NUMBER.has(algorithm);
}

/** The name of an algorithm; `undefined` when there is none of that number. */
export function algorithmName(algorithm: number): string | undefined {
  return NAME_BY_NUMBER.get(algorithm);
}

/** Whether an algorithm counts the calls that it sends to a destination, and looks at `maxload`. */
export function countsCalls(algorithm: number): boolean {
  return algorithm === CALL_LOAD || algorithm === RENDEZVOUS || algorithm === LEAST_OUTSTANDING;
}
