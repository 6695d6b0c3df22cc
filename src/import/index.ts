export { type Fate, type Finding, Findings, withoutSecrets } from "./findings.ts";
export { type Imported, type ImportOptions, importCfg } from "./import.ts";
export { ImportSyntaxError, MAX_TEXT } from "./limits.ts";
export type { NewLine } from "./new-config.ts";
export { parseCfg } from "./parse.ts";
export type { IncludedText, ReadInclude } from "./sources.ts";
export type { CfgFile, Flavor } from "./tree.ts";
