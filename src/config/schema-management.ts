import { Type } from "typebox";
import { checkBearerToken, checkHttpListen, checkHttpRoot, checkTokenName } from "./checks.ts";
import { flag, list, MAX_TEXT_LENGTH, optionalText, text, whole } from "./schema-keys.ts";

/** Shortest token: it may be tried from far away. */
const MIN_TOKEN_LENGTH = 8;

const TokenSchema = Type.Object(
  {
    name: Type.String({
      description: "Stands in the log and in the audit list for who has changed something.",
      minLength: 1,
      maxLength: 64,
      check: checkTokenName,
    }),
    token: Type.String({
      description: "The token; a variable of the environment keeps it out of the file.",
      minLength: MIN_TOKEN_LENGTH,
      maxLength: MAX_TEXT_LENGTH,
      secret: true,
      check: checkBearerToken,
    }),
    role: Type.Enum(["viewer", "operator"], {
      description: "A viewer may read, an operator may change things too.",
      default: "viewer",
    }),
  },
  { description: "A token, and who has it.", additionalProperties: false },
);

const AuthSchema = Type.Object(
  {
    bearer_tokens: list(
      "Tokens of operators. One of these or of tokens is required as soon as the management interface does not listen on a loopback address.",
      Type.String({ minLength: MIN_TOKEN_LENGTH, maxLength: MAX_TEXT_LENGTH, secret: true, check: checkBearerToken }),
      [],
    ),
    tokens: list("Tokens with a name and a role.", TokenSchema, []),
  },
  { description: "Who may use the management interface.", additionalProperties: false },
);

const CertificateSchema = Type.Object(
  {
    certificate: optionalText("File with the certificate chain, PEM. Read again by a SIGHUP, as is the other one."),
    private_key: optionalText("File with the private key, PEM."),
  },
  { description: "With both files the management interface speaks HTTPS, and HTTPS only.", additionalProperties: false },
);

/** `mi_http`: the management interface. */
export const MiHttpSchema = Type.Object(
  {
    listen: text("Address and port of the management interface.", "127.0.0.1:8888", { check: checkHttpListen }),
    root: text("Path of the management interface: JSON-RPC 2.0 at POST /mi.", "mi", { check: checkHttpRoot }),
    auth: AuthSchema,
    tls: CertificateSchema,
    dashboard: flag(
      "Whether GET / answers with the dashboard, a page of figures and actions. Everybody who can connect gets the page; what it shows wants a token, as everything else does.",
      true,
    ),
    max_requests: whole(
      "Requests a second that one client, an IPv4 address or an IPv6 block of 64 bits, may send in the long run; twice as many at once. More are answered 429. 0: no limit.",
      500,
      0,
      1_000_000,
      { unit: "requests a second" },
    ),
  },
  { description: "Management over HTTP.", additionalProperties: false },
);
