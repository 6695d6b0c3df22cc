import { Type } from "typebox";
import { checkServerName } from "./checks.ts";
import { flag, item, list, MAX_LIST_LENGTH, MAX_TEXT_LENGTH, optionalText } from "./schema-keys.ts";

const NamedCertificateSchema = Type.Object(
  {
    server_name: Type.Array(item({ check: checkServerName }), {
      description: 'Host name that clients ask for, or a list of them. "*.example.com" stands for every name with one label more.',
      minItems: 1,
      maxItems: MAX_LIST_LENGTH,
      single: true,
    }),
    certificate: Type.String({ description: "File with the certificate chain, PEM.", minLength: 1, maxLength: MAX_TEXT_LENGTH }),
    private_key: Type.String({ description: "File with the private key, PEM.", minLength: 1, maxLength: MAX_TEXT_LENGTH }),
  },
  { description: "A certificate and the names that it is for.", additionalProperties: false },
);

/** `sip.tls`: the certificates of tls and wss. */
export const TlsSchema = Type.Object(
  {
    certificate: optionalText("File with the certificate chain, PEM. Read again by a SIGHUP, as are the other files."),
    private_key: optionalText("File with the private key, PEM."),
    sni: list("Certificates for clients that ask for a name; all others get the one above.", NamedCertificateSchema, []),
    ca: optionalText(
      "File with the certificate authorities that peers are checked against, PEM. Without it: those that come with Node.js.",
    ),
    verify_client: flag("Ask clients for a certificate and refuse those without a good one.", false),
    verify_server: flag(
      "Refuse destinations without a good certificate: of an authority in ca, or where ca is not set of a public one, and for the host of the destination's URI. Where that is an address, one of an authority in ca need not name it.",
      true,
    ),
  },
  { description: "Certificates of tls and wss.", additionalProperties: false },
);
