/** Longest configuration that is read, in characters: the largest known ones have a tenth of it. */
export const MAX_TEXT = 2_000_000;
/** Most tokens of a configuration. */
export const MAX_TOKENS = 400_000;
/** How deep blocks and brackets may stand within each other. */
export const MAX_DEPTH = 150;
/** Most conditions that `&&` or `||` may join. */
export const MAX_JOINED = 200;
/** Most conditions that are decided on all ways through a script together, and most statements that are looked at. */
export const MAX_PATHS = 1_000;
export const MAX_STEPS = 50_000;
/** The same for one failure route, where each statement is looked at for all failures. */
export const MAX_FAILURE_STEPS = 4_000;
/** Most blocks that a way through a script may enter by `route(NAME)`: a block may call itself. */
export const MAX_CALLS = 40;
/** Most findings that are told; a text made to produce more is of no use to anybody. */
export const MAX_FINDINGS = 2_000;
/** Longest excerpt of the script in a finding, in characters. */
export const MAX_EXCERPT = 120;

/** A configuration of another program that cannot be read at all. `message` says where and why. */
export class ImportSyntaxError extends Error {
  override readonly name = "ImportSyntaxError";
}
