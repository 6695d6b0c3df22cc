import type { Command } from "commander";
import { type LadderMessage, ladder } from "./ladder.ts";
import { DEFAULT_URL, type MiOptions, type MiOutput, runMethod, standardOutput, TOKEN_HELP, withToken } from "./mi.ts";
import { isObject } from "./mi-format.ts";
import { visible } from "./terminal.ts";

interface CaptureOptions extends MiOptions {
  readonly messages: boolean;
}

/** `headroom capture`: the latest messages of a call, as a ladder. */
export function register(program: Command, output: () => MiOutput = standardOutput): void {
  program
    .command("capture")
    .description("print the messages of a recent call as a ladder, from the memory of a running balancer")
    .argument("<callid>", "Call-ID of the call")
    .option("--messages", "print each message in full below the ladder", false)
    .option("--url <url>", "address of the management interface", DEFAULT_URL)
    .option("--json", "print the messages as JSON", false)
    .option("--token <token>", TOKEN_HELP)
    .action(async (callId: string, options: CaptureOptions) => {
      const format = (result: unknown): string => formatCapture(result, options.messages);
      process.exitCode = await runMethod("capture", [callId], withToken(options), output(), format);
    });
}

/** The answer of the method `capture` as text for a terminal. @param isWhole each message in full, too */
export function formatCapture(result: unknown, isWhole: boolean): string {
  const { Messages: found, messages_omitted: omitted } = isObject(result) ? result : {};
  const messages = Array.isArray(found) ? found.filter(isMessage) : [];
  const lines = ladder(messages);
  if (Number(omitted) > 0) lines.push(`${Number(omitted)} further messages of the call are not shown`);
  if (isWhole) for (const message of messages) lines.push("", ...inFull(message));
  return lines.join("\n");
}

/** Whoever answers may be another program, or of another version. */
function isMessage(value: unknown): value is LadderMessage {
  return isObject(value) && ["time", "direction", "remote", "transport", "message"].every((name) => typeof value[name] === "string");
}

function inFull({ time, direction, transport, remote, message }: LadderMessage): string[] {
  const way = direction === "in" ? "from" : "to";
  return [`${visible(time)} ${way} ${visible(transport)}:${visible(remote)}`, ...message.trimEnd().split(/\r?\n/).map(visible)];
}
