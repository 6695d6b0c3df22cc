/** What takes the place of a secret. */
const MASK = "***";
/** The proof of a password in credentials (RFC 8760, RFC 7616 §3.4), whose password can be guessed at leisure by who has seen it; tokens (RFC 8898). */
const CREDENTIALS = /^((?:proxy-)?authorization[ \t]*:)(.*(?:\r?\n[ \t].*)*)/gim;
const RESPONSE = /(\bresponse[ \t]*=[ \t]*)("[^"]*"|[^\s,]+)/gi;
const BEARER = /^([ \t]*(?:bearer|basic)[ \t]+)\S+/i;
/** Keys of SRTP in the body (RFC 4568 §9.1). */
const SRTP_KEY = /^(a=crypto:.*?inline:)[^\s|]+/gim;

/** A message whose credentials and media keys are masked. All else stands as it was. */
export function withoutSecrets(text: string): string {
  return text
    .replace(CREDENTIALS, (_, name: string, value: string) => name + value.replace(RESPONSE, `$1"${MASK}"`).replace(BEARER, `$1${MASK}`))
    .replace(SRTP_KEY, `$1${MASK}`);
}
