/** A value that the environment had a part in. `problem` says what could not be replaced. */
export interface Expanded {
  readonly text: string;
  readonly used: boolean;
  readonly problem: string | undefined;
}

/** `$${` stands for a plain `${`; then a name of the environment; then anything else that starts the same way, which is a slip. */
const REFERENCE = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{/g;

/**
 * Replaces each `${NAME}` of a text by that variable of the environment. `$${` gives a plain `${`.
 *
 * What is put in is not looked at again, so a value of the environment may hold anything.
 */
export function expandEnvironment(text: string, environment: Readonly<Record<string, string | undefined>>): Expanded {
  let used = false;
  let problem: string | undefined;
  const expanded = text.replace(REFERENCE, (reference: string, name: string | undefined) => {
    if (reference === "$${") return "${";
    if (name === undefined) {
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is what the operator should write
      problem ??= 'found "${" without a name, want "${NAME}", or "$${" for the two characters themselves';
      return reference;
    }
    used = true;
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    if (value === undefined) problem ??= `the environment has no variable ${name}, want it set`;
    return value ?? "";
  });
  return { text: expanded, used, problem };
}
