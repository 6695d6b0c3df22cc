import { createPrivateKey, X509Certificate } from "node:crypto";
import { accessSync, constants, existsSync, readFileSync, statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Config } from "../config/index.ts";
import { databaseServer, MEMORY, StoreError, sqliteFile } from "../store/index.ts";
import type { Findings } from "./check-findings.ts";

/** A certificate that ends sooner is due. */
const DUE_DAYS = 30;
const DAY_MS = 86_400_000;
/** What calls may grow to before somebody looks again, bytes. */
const LEAST_FREE_BYTES = 268_435_456;
/** Files besides connections: sockets, databases, logs, event sockets, pages. */
const OTHER_FILES = 200;
/** A clock may be wrong by so much, ms. */
const CLOCK_SLACK_MS = 60_000;

/** Looks at what the configuration wants of this machine: certificates, files that may be written, and as many of them as there may be connections. */
export function checkMachine(config: Config, findings: Findings, nowMs: number): void {
  checkCertificates(config, findings, nowMs);
  checkOpenFiles(config, findings);
  checkFiles(config, findings, nowMs);
}

function checkCertificates({ sip: { tls, listen }, mi_http }: Config, findings: Findings, nowMs: number): void {
  const isServed = listen.some((text) => /^(?:tls|wss):/i.test(text));
  const pairs = [
    ...(isServed ? [{ path: "sip.tls", ...tls }, ...tls.sni.map((pair, i) => ({ path: `sip.tls.sni[${i}]`, ...pair }))] : []),
    { path: "mi_http.tls", ...mi_http.tls },
  ];
  for (const { path, certificate, private_key: key } of pairs) {
    if (certificate === null || key === null) continue;
    const texts = [readPem(`${path}.certificate`, certificate, findings), readPem(`${path}.private_key`, key, findings)] as const;
    if (texts[0] === undefined || texts[1] === undefined) continue;
    try {
      checkPair({ path, file: certificate, key }, new X509Certificate(texts[0]), texts[1], findings, nowMs);
    } catch {
      findings.error(`${path}.certificate: "${certificate}" is no certificate in PEM`, { file: certificate });
    }
  }
}

function checkPair(
  { path, file, key }: { readonly path: string; readonly file: string; readonly key: string },
  certificate: X509Certificate,
  keyText: string,
  findings: Findings,
  nowMs: number,
): void {
  const place = { file };
  const fits = () => {
    try {
      return certificate.checkPrivateKey(createPrivateKey(keyText));
    } catch {
      return undefined;
    }
  };
  const isPair = fits();
  if (isPair === undefined)
    findings.error(`${path}.private_key: "${key}" is no private key in PEM that can be read without a password`, { file: key });
  else if (!isPair) findings.error(`${path}.private_key: "${key}" is not the private key of the certificate "${file}"`, { file: key });
  const { validFromDate: from, validToDate: to } = certificate;
  if (to.getTime() < nowMs) findings.error(`${path}.certificate: the certificate has ended on ${dayOf(to)}`, place);
  else if (from.getTime() > nowMs) findings.error(`${path}.certificate: the certificate holds from ${dayOf(from)} on`, place);
  else if (to.getTime() - nowMs < DUE_DAYS * DAY_MS) {
    const days = Math.floor((to.getTime() - nowMs) / DAY_MS);
    findings.notice(`${path}.certificate: the certificate ends on ${dayOf(to)}, in ${days} ${days === 1 ? "day" : "days"}`, place);
  }
}

function readPem(path: string, file: string, findings: Findings): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const reason = code === "ENOENT" ? "there is no such file" : code === "EACCES" ? "this user may not read it" : code;
    findings.error(`${path}: "${file}" cannot be read: ${reason}`, { file });
    return undefined;
  }
}

/** Of Linux. Each connection is a file, and Node.js raises its own limit to the hard one. */
function checkOpenFiles({ sip: { connections, listen } }: Config, findings: Findings): void {
  if (!listen.some((text) => !/^udp:/i.test(text))) return;
  const limit = openFiles();
  const wanted = connections.max + OTHER_FILES;
  if (limit === undefined || limit >= wanted) return;
  findings.notice(`A process may have ${limit} files at a time here, sip.connections.max is ${connections.max}: want at least ${wanted}`);
}

function openFiles(): number | undefined {
  try {
    const [, hard] = /^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
    return hard === undefined ? undefined : Number(hard);
  } catch {
    return undefined;
  }
}

/** The file that is written while calls go on, and the one of the calls beside it. */
function checkFiles({ load_balancer, dialog }: Config, findings: Findings, nowMs: number): void {
  let file: string;
  try {
    file = sqliteFile(databaseServer(load_balancer.db_url) === undefined ? load_balancer.db_url : load_balancer.local_db_url);
  } catch (cause) {
    if (!(cause instanceof StoreError)) throw cause;
    return; // who opens it says why not
  }
  if (file === MEMORY) return;
  const folder = dirname(file);
  const isFolder = existsSync(folder);
  const mayBeWritten = isFolder && mayWrite(folder) && (!existsSync(file) || mayWrite(file));
  if (existsSync(file) && !mayBeWritten) findings.notice(`Database "${file}" can only be read by this user`, { file });
  if (dialog.persistence === "off") return;
  const calls = `${file}.calls`;
  if (!isFolder) findings.error(`The calls in "${calls}" cannot be kept: there is no folder "${folder}"`, { file: calls });
  else if (!mayWrite(folder) || (existsSync(calls) && !mayWrite(calls)))
    findings.error(`The calls in "${calls}" cannot be kept: this user may not write it`, { file: calls });
  else checkCalls(calls, findings, nowMs);
}

function checkCalls(calls: string, findings: Findings, nowMs: number): void {
  const { bavail, bsize } = statfsSync(dirname(calls));
  const free = bavail * bsize;
  if (free < LEAST_FREE_BYTES)
    findings.notice(
      `The disk that calls are written to has ${Math.floor(free / 1_048_576)} MB free: want at least ${LEAST_FREE_BYTES / 1_048_576}`,
      {
        file: calls,
      },
    );
  const written = statSync(calls, { throwIfNoEntry: false })?.mtime;
  if (written !== undefined && written.getTime() > nowMs + CLOCK_SLACK_MS)
    findings.notice(`The calls in "${calls}" were written at a time that is still to come: ${written.toISOString()}`, { file: calls });
}

function mayWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}
