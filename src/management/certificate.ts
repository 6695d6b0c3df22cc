import { constants } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext, type SecureContextOptions } from "node:tls";

/** Files of the certificate that management is offered with, PEM. */
export interface ManagementCertificate {
  readonly certificate: string;
  readonly privateKey: string;
}

/** RFC 8996: what is older is broken. */
const MIN_VERSION = "TLSv1.2";

/** Reads the files. @throws Error that names the file or the pair that cannot be used */
export function readCertificate({ certificate, privateKey }: ManagementCertificate): SecureContextOptions {
  const material: SecureContextOptions = {
    cert: file(certificate, "certificate"),
    key: file(privateKey, "private_key"),
    minVersion: MIN_VERSION,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION, // nobody needs it, and it lets a client have handshakes without end for one connection
  };
  try {
    createSecureContext(material);
  } catch (error) {
    const detail = (error as Error).message;
    throw new Error(`Cannot use the certificate "${certificate}" with the private key "${privateKey}": ${detail}`, { cause: error });
  }
  return material;
}

function file(path: string, key: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Error(`Cannot read "${path}" of mi_http.tls.${key}: ${(error as Error).message}`, { cause: error });
  }
}
