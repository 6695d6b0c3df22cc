import { constants } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer as createPlainServer, type Server as PlainServer } from "node:net";
import {
  connect,
  createSecureContext,
  createServer,
  type SecureContext,
  type SecureContextOptions,
  type Server,
  type TlsOptions,
} from "node:tls";
import { isNamedBy } from "./certificate-names.ts";
import type { ConnectTarget, ServeHandlers, StreamSockets } from "./stream-listener.ts";

/** A certificate chain and its private key, PEM files. */
export interface CertificateFiles {
  readonly certificate: string;
  readonly privateKey: string;
}

/** A certificate for clients that ask for one of these names (SNI, RFC 6066 §3). */
export interface NamedCertificate extends CertificateFiles {
  /** Host names in lower case; `*.example.com` stands for one label more. */
  readonly serverNames: readonly string[];
}

/** Where the certificates are, and who is asked for one. */
export interface TlsSettings extends CertificateFiles {
  /** For clients that ask for a name; those that ask for none, or another one, get the certificate above. */
  readonly named: readonly NamedCertificate[];
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
  /** Made once: reading certificates for each connection takes longer than connecting. */
  #context: SecureContext;
  #named: ReadonlyMap<string, SecureContext>;
  readonly #servers = new Set<Server>();

  /** @throws Error that names the file, when one cannot be read or used */
  constructor(settings: TlsSettings) {
    this.#settings = settings;
    this.#material = read(settings, "");
    this.#context = createSecureContext(this.#material);
    this.#named = readNamed(settings);
  }

  /**
   * Reads the files again. Connections that are open stay as they are; what cannot be read or used changes nothing.
   *
   * @throws Error that names the file
   */
  reload(): void {
    const material = read(this.#settings, "");
    const named = readNamed(this.#settings);
    for (const server of this.#servers) server.setSecureContext(material);
    this.#material = material;
    this.#context = createSecureContext(material);
    this.#named = named;
  }

  serve({ accepted, ready, failed }: ServeHandlers): PlainServer {
    const { verifyServer } = this.#settings;
    const handshakes = this.secured((options) => createServer(options));
    handshakes.on("secureConnection", (socket) => ready(socket, socket.authorized || !verifyServer));
    handshakes.on("tlsClientError", (_error, socket) => failed(socket));
    // In front of it, as whoever is turned away must cost no handshake.
    const server = createPlainServer((socket) => {
      if (accepted(socket)) handshakes.emit("connection", socket);
    });
    server.once("close", () => this.#servers.delete(handshakes));
    return server;
  }

  /** A server of any protocol over TLS, whose certificates are read again with the others. */
  secured<S extends Server>(create: (options: TlsOptions) => S): S {
    const { verifyClient } = this.#settings;
    const server = create({
      ...this.#material,
      requestCert: verifyClient,
      rejectUnauthorized: verifyClient,
      SNICallback: (name, use) => use(null, this.#contextOf(name.toLowerCase())),
    });
    server.once("close", () => this.#servers.delete(server));
    this.#servers.add(server);
    return server;
  }

  connect({ host, port, localAddress, name }: ConnectTarget, onReady: () => void): ReturnType<StreamSockets["connect"]> {
    const { ca, verifyServer } = this.#settings;
    return connect(
      {
        ...{ secureContext: this.#context, host, port, rejectUnauthorized: verifyServer },
        ...(localAddress !== undefined && { localAddress }),
        ...(name !== undefined && { servername: name }),
        // Where only an address is known: whoever has a certificate of an authority that the operator chose is trusted; of public authorities, which
        // give one to anybody, only a certificate for this very address is.
        checkServerIdentity: (_asked, certificate) =>
          name === undefined && ca !== null ? undefined : isNamedBy(certificate, name ?? host) ? undefined : new WrongName(name ?? host),
      },
      onReady,
    );
  }

  /** Undefined: the usual one. */
  #contextOf(name: string): SecureContext | undefined {
    return this.#named.get(name) ?? this.#named.get(`*${name.slice(Math.max(0, name.indexOf(".")))}`);
  }
}

/** The certificate of a peer is good, but not for the name that it was found by. */
class WrongName extends Error {
  constructor(name: string) {
    super(`its certificate does not name ${name}`);
  }
}

function readNamed({ named, ca }: TlsSettings): ReadonlyMap<string, SecureContext> {
  const contexts = new Map<string, SecureContext>();
  for (const [i, { serverNames, certificate, privateKey }] of named.entries()) {
    const context = createSecureContext(read({ certificate, privateKey, ca }, `sni[${i}].`));
    for (const name of serverNames) contexts.set(name, context);
  }
  return contexts;
}

/** @param place of the keys, in front of their names */
function read({ certificate, privateKey, ca }: CertificateFiles & Pick<TlsSettings, "ca">, place: string): SecureContextOptions {
  const material: SecureContextOptions = {
    cert: file(certificate, `${place}certificate`),
    key: file(privateKey, `${place}private_key`),
    minVersion: MIN_VERSION,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION, // nobody needs it, and it lets a client have handshakes without end for one connection
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
