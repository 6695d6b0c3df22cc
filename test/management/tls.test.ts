import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request as httpsRequest } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect, type TLSSocket } from "node:tls";
import { createManagementServer, type ManagementServer } from "../../src/management/index.ts";
import { fakePorts } from "./fake-ports.ts";
import { sendRaw } from "./raw-http.ts";

const FILES = join(import.meta.dirname, "../fixtures/tls");
const CA = readFileSync(join(FILES, "ca.pem"));

describe("management with a certificate", () => {
  let folder: string;
  let server: ManagementServer;
  let port: number;
  let files: { certificate: string; privateKey: string };

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "headroom-management-tls-"));
    files = { certificate: join(folder, "certificate.pem"), privateKey: join(folder, "key.pem") };
    use("proxy");
    server = await createManagementServer(fakePorts(), {
      host: "127.0.0.1",
      port: 0,
      root: "mi",
      bearerTokens: ["token-of-anna"],
      tls: files,
    });
    ({ port } = server.server.address() as AddressInfo);
  });
  after(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });

  function use(name: string): void {
    copyFileSync(join(FILES, `${name}.pem`), files.certificate);
    copyFileSync(join(FILES, `${name}.key`), files.privateKey);
  }

  function shown(): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket: TLSSocket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
        const { fingerprint256 } = socket.getPeerCertificate();
        socket.destroy();
        resolve(fingerprint256);
      });
      socket.on("error", reject);
    });
  }

  it("answers over HTTPS, to who checks it", async () => {
    assert.equal(server.url, `https://127.0.0.1:${port}/mi`);
    const body = '{"jsonrpc":"2.0","id":1,"method":"lb_status","params":[3]}';
    const headers = { "content-type": "application/json", authorization: "Bearer token-of-anna" };
    const text = await new Promise<string>((resolve, reject) => {
      const asked = httpsRequest(
        server.url,
        { method: "POST", headers, ca: CA, checkServerIdentity: () => undefined, agent: false },
        (response) => {
          let got = "";
          response.setEncoding("utf8").on("data", (part) => (got += part));
          response.on("end", () => resolve(got));
        },
      );
      asked.on("error", reject);
      asked.end(body);
    });
    assert.equal(text, '{"jsonrpc":"2.0","result":{"enable":"yes"},"id":1}');
  });

  it("tells nothing to who speaks HTTP", async () => {
    const answer = await sendRaw(`http://127.0.0.1:${port}/mi`, "GET /mi HTTP/1.1\r\nHost: x\r\n\r\n").catch(() => "");
    assert.doesNotMatch(answer, /HTTP\/1\.1 [2345]/);
  });

  it("offers no protocol that is broken", async () => {
    await assert.rejects(
      new Promise((resolve, reject) => {
        const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, minVersion: "TLSv1", maxVersion: "TLSv1.1" }, () => {
          socket.destroy();
          resolve(undefined);
        });
        socket.on("error", reject);
      }),
    );
  });

  it("takes another certificate while it runs, and keeps the one before when it is of no use", async () => {
    const first = await shown();
    use("stranger");
    assert.equal(await shown(), first);
    server.reloadCertificate();
    const second = await shown();
    assert.notEqual(second, first);
    writeFileSync(files.certificate, "nonsense");
    assert.throws(() => server.reloadCertificate(), /^Error: Cannot use the certificate ".*certificate\.pem" with the private key/);
    rmSync(files.privateKey);
    assert.throws(() => server.reloadCertificate(), /^Error: Cannot read ".*key\.pem" of mi_http\.tls\.private_key: ENOENT/);
    assert.equal(await shown(), second);
  });
});
