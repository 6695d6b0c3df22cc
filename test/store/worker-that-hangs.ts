import { parentPort } from "node:worker_threads";
import Database from "better-sqlite3";

/* A database thread that never comes back from its first job, as with a disk that is stuck: nothing interrupts what runs in SQLite. */
parentPort?.once("message", () => {
  new Database(":memory:").prepare("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c").get();
});
parentPort?.postMessage({ loaded: true });
parentPort?.postMessage({ ready: true });
