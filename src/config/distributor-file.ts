import { type DistributorFile, MAX_DISTRIBUTOR_LENGTH, parseDistributorXml } from "./distributor-xml.ts";
import { readTextFile } from "./text-file.ts";

/** UTF-8 takes up to 3 bytes for what JavaScript counts as one character. */
const MAX_BYTES = 3 * MAX_DISTRIBUTOR_LENGTH;

/**
 * Reads a `distributor.conf.xml`.
 *
 * @throws {ConfigError} when the file cannot be read, is too large, or is not what {@link parseDistributorXml} takes
 */
export function readDistributorFile(file: string): DistributorFile {
  return parseDistributorXml(readTextFile(file, "FreeSWITCH's distributor.conf.xml", MAX_BYTES), file);
}
