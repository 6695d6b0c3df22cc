/** The part of the npm package `modesl` (1.2.1) that is used: its parser, without its connection. The package has no types of its own. */
declare module "modesl/lib/esl/Parser.js" {
  /** An event, or a reply dressed as one. Values are strings, but for what a JSON body makes of them. */
  export interface ModeslEvent {
    readonly headers: readonly { readonly name: string; readonly value: unknown }[];
    readonly body: unknown;
  }

  export default class Parser {
    /** Listens for `data` and `end`; it never writes. */
    constructor(socket: { on(event: string, listener: (data: Buffer) => void): unknown });
    /** What it has not read yet. */
    readonly buffer: Buffer;
    /** Bytes of the body that it waits for. */
    readonly bodyLen: unknown;
    on(event: "esl::event", listener: (event: ModeslEvent, headers: Record<string, unknown>, body?: string) => void): this;
    on(event: "error", listener: (error: unknown) => void): this;
  }
}
