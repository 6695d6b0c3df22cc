import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import Database from "better-sqlite3";
import { openStore } from "../../src/store/index.ts";

it("a database whose tables a newer program has changed is refused, with a sentence", async () => {
  const folder = mkdtempSync(join(tmpdir(), "headroom-newer-"));
  try {
    const file = join(folder, "headroom.db");
    const open = () => openStore(`sqlite:${file}`, { table: "load_balancer" });
    await (await open()).close();
    await (await open()).close();
    const database = new Database(file);
    database.exec("INSERT INTO headroom_migration (name, timestamp) VALUES ('099-better', '2030-01-01')");
    database.close();
    await assert.rejects(open(), {
      code: "WRONG_VERSION",
      message: /a newer Headroom has changed its tables \("099-better"\), want that version/,
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
