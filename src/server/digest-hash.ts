import { createHash, createHmac } from "node:crypto";
import type { DigestAlgorithm, DigestHash } from "../registrar/index.ts";

const NODE_NAMES: Readonly<Record<DigestAlgorithm, string>> = { MD5: "md5", "SHA-256": "sha256" };

/** The hash functions of Node.js for the registrar. */
export const digestHash: DigestHash = {
  digest(algorithm, text) {
    return createHash(NODE_NAMES[algorithm]).update(text, "latin1").digest("hex");
  },
  mac(key, text) {
    return createHmac("sha256", key).update(text, "latin1").digest("hex");
  },
};
