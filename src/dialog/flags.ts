/** What a route asks for a call, as bits (OpenSIPS `create_dialog`). A snapshot carries them, so they keep their values. */
export const DialogFlag = {
  OptionsPingCaller: 1,
  OptionsPingCallee: 2,
  ReinvitePingCaller: 4,
  ReinvitePingCallee: 8,
  /** Asks for nothing here: BYE always goes to both sides when a lifetime ends. */
  ByeOnTimeout: 16,
  /** Ends a call whose caller has cancelled it, and that was answered all the same (RFC 5407). */
  EndOnRaceCondition: 32,
} as const;

export const OPTIONS_PINGS = DialogFlag.OptionsPingCaller | DialogFlag.OptionsPingCallee;
export const REINVITE_PINGS = DialogFlag.ReinvitePingCaller | DialogFlag.ReinvitePingCallee;

/** The words of OpenSIPS since 3.2. */
export const DIALOG_FLAG_WORDS: ReadonlyMap<string, number> = new Map([
  ["options-ping-caller", DialogFlag.OptionsPingCaller],
  ["options-ping-callee", DialogFlag.OptionsPingCallee],
  ["reinvite-ping-caller", DialogFlag.ReinvitePingCaller],
  ["reinvite-ping-callee", DialogFlag.ReinvitePingCallee],
  ["bye-on-timeout", DialogFlag.ByeOnTimeout],
  ["end-on-race-condition", DialogFlag.EndOnRaceCondition],
]);
/** The letters before that: capitals for the caller. */
const LETTERS: ReadonlyMap<string, number> = new Map([
  ["P", DialogFlag.OptionsPingCaller],
  ["p", DialogFlag.OptionsPingCallee],
  ["R", DialogFlag.ReinvitePingCaller],
  ["r", DialogFlag.ReinvitePingCallee],
  ["B", DialogFlag.ByeOnTimeout],
  ["E", DialogFlag.EndOnRaceCondition],
]);

/** Bits of words with commas between them, or of letters without; undefined when one of them is not known. "" is none. */
export function parseDialogFlags(text: string): number | undefined {
  if (/^[A-Za-z]*$/.test(text)) return together([...text], LETTERS);
  return together(
    text.split(",").map((word) => word.trim()),
    DIALOG_FLAG_WORDS,
  );
}

function together(names: readonly string[], known: ReadonlyMap<string, number>): number | undefined {
  let flags = 0;
  for (const name of names) {
    const flag = known.get(name);
    if (flag === undefined) return undefined;
    flags |= flag;
  }
  return flags;
}
