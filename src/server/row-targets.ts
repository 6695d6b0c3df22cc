import type { Address } from "../balancer/index.ts";
import { isNumeric, type SipTarget, targetKey, targetOfUri } from "../resolution/index.ts";
import { tryParseSipUri } from "../sip/index.ts";

/** What rows say of where they are; only names, as an address needs nobody to find it. */
export function targetsOf(rows: Iterable<{ readonly uri: string }>): SipTarget[] {
  const targets: SipTarget[] = [];
  for (const { uri } of rows) {
    const target = targetOf(uri);
    if (target !== undefined) targets.push(target);
  }
  return targets;
}

/** The key of a row's target; undefined when it is an address. */
export function targetKeyOf({ uri }: { readonly uri: string }): string | undefined {
  const target = targetOf(uri);
  return target && targetKey(target);
}

/** Addresses as a log line shows them. */
export function addressesText(addresses: readonly Address[]): string {
  return addresses.map(({ ip, port }) => `${ip.includes(":") ? `[${ip}]` : ip}:${port}`).join(", ") || "none";
}

function targetOf(text: string): SipTarget | undefined {
  const uri = tryParseSipUri(text);
  return uri === undefined || isNumeric(uri.host) ? undefined : targetOfUri(uri);
}
