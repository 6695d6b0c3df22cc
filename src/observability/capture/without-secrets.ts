/** What takes the place of a secret. */
const MASK = "***";
/** Credentials, and what proves that a server knows them: a line, and those that go on with it. */
const CREDENTIALS = /^((?:(?:proxy-)?authorization|(?:proxy-)?authentication-info)[ \t]*:)(.*(?:\r?\n[ \t].*)*)/gim;
/** The proof of a password (RFC 8760, RFC 7616 §3.4), whose password can be guessed at leisure by who has seen it. */
const PROOF = /(\b(?:response|rspauth)[ \t]*=[ \t]*)("(?:[^"\\]|\\.)*"|[^\s,]+)/gi;
const DIGEST = /^\s*digest\s/i;
const SCHEME = /^(\s*[\w-]+\s+).*/s;
/** Passwords in URIs (RFC 3261 §19.1.1). The bounds keep a text that was made to be looked at for long from being so. */
const URI_PASSWORD = /(\bsips?:[^\s:@<>"]{1,200}:)[^\s@<>"]{1,200}(?=@)/gi;
/** Keys of SRTP in the body, several in a line (RFC 4568 §9.1). */
const SRTP_LINE = /^a=crypto:.*/gim;
const SRTP_KEY = /(inline:)[^\s|;]+/gi;
/** Other keys in the body (RFC 4567, RFC 8866 §5.12), and the password of ICE, by which others could take part (RFC 8839 §5.4). */
const OTHER_KEYS = /^(a=key-mgmt:\S+[ \t]+|k=[a-z0-9]+:|a=ice-pwd:)\S+/gim;

/** A message whose credentials and media keys are masked. All else stands as it was. */
export function withoutSecrets(text: string): string {
  return text
    .replace(CREDENTIALS, (_, name: string, value: string) => name + withoutProof(name, value))
    .replace(URI_PASSWORD, `$1${MASK}`)
    .replace(SRTP_LINE, (line) => line.replace(SRTP_KEY, `$1${MASK}`))
    .replace(OTHER_KEYS, `$1${MASK}`);
}

/** Of schemes that nobody knows here, nothing but the name is told. */
function withoutProof(name: string, value: string): string {
  const isInfo = /info[ \t]*:$/i.test(name);
  return isInfo || DIGEST.test(value) ? value.replace(PROOF, `$1"${MASK}"`) : value.replace(SCHEME, `$1${MASK}`);
}
