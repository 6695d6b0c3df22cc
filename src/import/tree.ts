import type { Token } from "./tokens.ts";

/** A script as statements. Each has the line that it begins at. */
export type Statement =
  | {
      readonly kind: "if";
      readonly line: number;
      readonly test: Test;
      readonly body: readonly Statement[];
      readonly otherwise: readonly Statement[];
    }
  | Call
  | Assignment
  | {
      readonly kind: "loop";
      readonly line: number;
      readonly text: string;
      /** Of `while` alone. */
      readonly test?: Test;
      readonly body: readonly Statement[];
    };

/** `target operator value`. `parts` are the tokens of the value, which `value` has with blanks between. */
export interface Assignment {
  readonly kind: "assign";
  readonly line: number;
  readonly target: string;
  readonly operator: string;
  readonly value: string;
  readonly parts: readonly Token[];
}

/** A function and its arguments, texts without quotes. `exit`, `drop`, `return` and `break` are calls too. */
export interface Call {
  readonly kind: "call";
  readonly line: number;
  readonly name: string;
  readonly args: readonly string[];
}

/** A condition. `text` of a plain one is as in the script. */
export type Test =
  | { readonly kind: "and" | "or"; readonly left: Test; readonly right: Test }
  | { readonly kind: "not"; readonly of: Test }
  | Call
  | { readonly kind: "compare"; readonly line: number; readonly left: string; readonly operator: string; readonly right: string }
  | { readonly kind: "plain"; readonly line: number; readonly text: string };

/** A block such as `route[NAME] { … }`. `type` is `route`, `failure_route` and so on; the main one has no name. */
export interface Block {
  readonly type: string;
  readonly name: string;
  readonly line: number;
  readonly body: readonly Statement[];
}

/** `modparam("module", "name", value)`; of a number, `value` is its digits. */
export interface ModParam {
  readonly module: string;
  readonly name: string;
  readonly value: string;
  readonly line: number;
}

/** `name = value` outside of blocks. `words` are all that stands on the right, `text` all of it with blanks between. */
export interface Setting {
  readonly name: string;
  readonly words: readonly string[];
  readonly text: string;
  readonly line: number;
}

/** All that an `opensips.cfg` or `kamailio.cfg` says. */
export interface CfgFile {
  readonly flavor: Flavor;
  readonly settings: readonly Setting[];
  readonly modules: readonly { readonly name: string; readonly line: number }[];
  readonly params: readonly ModParam[];
  readonly blocks: readonly Block[];
  /** What could not be read or was left out, in words. */
  readonly problems: readonly { readonly line: number; readonly text: string }[];
}

/** Whose configuration it is. */
export type Flavor = "opensips" | "kamailio";
