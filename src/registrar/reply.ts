/** What a REGISTER is answered, for `ServerTransaction.reply()`. */
export interface RegistrarReply {
  readonly status: number;
  readonly reason: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export function reply(status: number, reason: string, ...headers: (readonly [string, string])[]): RegistrarReply {
  return { status, reason, headers };
}
