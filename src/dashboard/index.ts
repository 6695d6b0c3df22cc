export { type AssetAnswer, Assets, MAX_PAGE_BYTES } from "./assets.ts";
export { Feed, type FeedCounters, type FeedPorts, type FeedVisitor, type Identity, MAX_READERS } from "./feed.ts";
export type { EventSource, FeedClock, FeedEvent, RowSources, TotalSources } from "./ports.ts";
