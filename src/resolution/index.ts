export { FAILED_MS, FailedAddresses } from "./failed-addresses.ts";
export { type Location, locate, locateAtOnce, MAX_ADDRESSES } from "./locate.ts";
export {
  type AddressChange,
  type Found,
  LocationCache,
  type LocationCachePorts,
  LocationCounters,
  MAX_NEGATIVE_TTL_MS,
  MAX_RETRY_MS,
  MAX_STALE_MS,
  MAX_TARGETS,
  MAX_TTL_MS,
  MAX_WAIT_MS,
  MIN_TTL_MS,
  RETRY_MS,
} from "./location-cache.ts";
export { type NameServer, parseNameServer } from "./name-server.ts";
export { type NaptrWay, naptrWays } from "./naptr-order.ts";
export type { Dns, DnsAnswer, NaptrRecord, SrvRecord } from "./ports.ts";
export { drawByWeight, orderAddresses, sortSrv } from "./srv-order.ts";
export {
  askedTransport,
  defaultPort,
  isNumeric,
  isPlainName,
  SERVED_TRANSPORTS,
  type SipTarget,
  type Transport,
  targetKey,
  targetOfUri,
} from "./target.ts";
