import { readFileSync } from "node:fs";
import { connect, createSecureContext, createServer, type SecureContextOptions, type Server, type TlsOptions } from "node:tls";
import type { ServeHandlers, StreamSockets } from "./stream-listener.ts";

/** Where the certificates are, and who is asked for one. */
export interface TlsSettings {
  /** Certificate chain and private key, PEM files. */
  readonly certificate: string;
  readonly privateKey: string;
  /** Authorities that peers are checked against, a PEM file; null: those that come with Node.js. */
  readonly ca: string | null;
  /** Ask who connects to us for a certificate, and refuse those without a good one. */
  readonly verifyClient: boolean;
  /** Refuse peers that we connect to without a good certificate. */
  readonly verifyServer: boolean;
}

/** RFC 7525 and RFC 8996: what is older is broken. */
const MIN_VERSION = "TLSv1.2";

/** SIP over TLS (RFC 3261 §26.3.1). The certificates can be read again while it serves. */
export class TlsSockets implements StreamSockets {
  readonly transport = "tls";
  #settings: TlsSettings;
  #material: SecureContextOptions;
  readonly #servers = new Set<Server>();

  /** @throws Error that names the file, when one cannot be read or used */
  constructor(settings: TlsSettings) {
    this.#settings = settings;
    this.#material = read(settings);
  }

  /**
   * Reads the files again. Connections that are open stay as they are; what cannot be read or used changes nothing.
   *
   * @throws Error that names the file
   */
  reload(): void {
    const material = read(this.#settings);
    for (const server of this.#servers) server.setSecureContext(material);
    this.#material = material;
  }

  serve({ accepted, ready, failed }: ServeHandlers): Server {
    const { verifyServer } = this.#settings;
    const server = this.secured((options) => createServer(options));
    server.prependListener("connection", accepted);
    server.on("secureConnection", (socket) => ready(socket, socket.authorized || !verifyServer));
    server.on("tlsClientError", (_error, socket) => failed(socket));
    return server;
  }

  /** A server of any protocol over TLS, whose certificates are read again with the others. */
  secured<S extends Server>(create: (options: TlsOptions) => S): S {
    const { verifyClient } = this.#settings;
    const server = create({ ...this.#material, requestCert: verifyClient, rejectUnauthorized: verifyClient });
    server.once("close", () => this.#servers.delete(server));
    this.#servers.add(server);
    return server;
  }

  connect(
    { host, port, localAddress }: Parameters<StreamSockets["connect"]>[0],
    onReady: () => void,
  ): ReturnType<StreamSockets["connect"]> {
    const { ca, verifyServer } = this.#settings;
    return connect(
      {
        ...{ ...this.#material, host, port, rejectUnauthorized: verifyServer },
        ...(localAddress !== undefined && { localAddress }),
        // A request is sent to an address; which name it was found by is not known here. Whoever has a certificate of an authority that the operator
        // chose is trusted; of public authorities, which give one to anybody, only a certificate for this very address is.
        ...(ca !== null && { checkServerIdentity: () => undefined }),
      },
      onReady,
    );
  }
}

function read({ certificate, privateKey, ca }: TlsSettings): SecureContextOptions {
  const material: SecureContextOptions = {
    cert: file(certificate, "certificate"),
    key: file(privateKey, "private_key"),
    minVersion: MIN_VERSION,
    ...(ca !== null && { ca: file(ca, "ca") }),
  };
  try {
    createSecureContext(material);
  } catch (error) {
    throw new Error(`Cannot use the certificate "${certificate}" with the private key "${privateKey}": ${(error as Error).message}`, {
      cause: error,
    });
  }
  return material;
}

function file(path: string, key: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Error(`Cannot read "${path}" of sip.tls.${key}: ${(error as Error).message}`, { cause: error });
  }
}
