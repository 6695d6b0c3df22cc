import { type DialogStore, openDialogStore } from "../../src/store/index.ts";

/*
 * What a user without rights gets of a file of calls: a program of its own, as only a process has a user. Says what it was told, what it found, and what
 * came of a write.
 */
const [dbUrl = ""] = process.argv.slice(2);
const told: string[] = [];
const log = { info: () => undefined, error: (_: object, text: string) => void told.push(text) };
let store: DialogStore | undefined;
let fault = "";
try {
  store = await openDialogStore(dbUrl, { forceEmpty: false, wallMs: () => 0, log });
  await store?.write({ saved: [["new", "one"]], removed: [] });
} catch (error) {
  fault = (error as Error).message;
}
process.stdout.write(JSON.stringify({ told, found: store?.found, fault }));
await store?.close();
