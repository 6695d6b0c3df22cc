type Hint = readonly [pattern: RegExp, hint: string | ((match: RegExpExecArray) => string)];

const update = (option: string) => (match: RegExpExecArray) =>
  `headroom destinations update ${match[1]} ${option} mends it, headroom destinations remove ${match[1]} takes it out`;

/** What to do about findings, by what they say. The first that fits holds. */
const HINTS: readonly Hint[] = [
  // Rows of the table
  [
    /^Row (\d+) is skipped: .*host ".*" cannot be resolved/,
    "look the name up from this machine (getent ahosts NAME); the row takes calls as soon as it has an address",
  ],
  [/^Row (\d+) is skipped: dst_uri/, update("--uri sip:HOST:PORT")],
  [/^Row (\d+) is skipped: resources/, update('--resources "NAME=NUMBER"')],
  [/^Row (\d+) is skipped: probe_mode/, update("--probe-mode 0")],
  [/^Row (\d+) is skipped: group_id/, update("--group NUMBER")],
  [/^Row (\S+) is skipped: /, "mend the row in the database, or remove it"],
  [/attributes of destination (\d+)/, update('--attrs "TEXT"')],
  [
    /has ".*" more than once/,
    "calls are counted apart for each row: keep one of them (headroom destinations remove ID), or give both shared=NAME in attrs",
  ],
  [/nothing in sip\.listen/, "add a socket of that kind to sip.listen, or change the URI"],
  [/^Resource ".*" is asked for by no rule/, "name it in resources of a rule of routing.rules, or take it out of the rows"],
  [/^probe_mode of/, "set load_balancer.probing_interval to seconds, such as 30"],
  [/refuse their calls: the group has no/, "headroom destinations add --group NUMBER … fills the group, or change the rule"],
  [/refuse their calls: the dispatcher has no set/, "add the set to the list or table of the dispatcher, or change the rule"],
  [
    /no destination(?: of the group)? has|do not count all of them|are not counted|has no destination/,
    "headroom destinations list shows what there is: add the resource to a destination, or change the configuration",
  ],
  // The database
  [/headroom start makes it/, "nothing to do: headroom start makes it, headroom destinations add fills it"],
  [
    /names (?:no version|version \d+) of it/,
    "let the scripts of OpenSIPS or Kamailio bring the tables up to date; docs/databases.md says which version is wanted",
  ],
  [/a newer Headroom has changed/, "start the newer version, or give this one a database of its own"],
  [
    /a (?:table|column) is missing|has no column|has no table/,
    "make the tables with examples/databases, or with the scripts of OpenSIPS or Kamailio",
  ],
  [
    /refuses this user or the password|may not do that|may not use the database/,
    "look at the user, the password and the GRANTs; docs/databases.md has those that are wanted",
  ],
  [
    /only be read/,
    "let the user that headroom runs as write the file and its folder: what operators decide is lost at a restart otherwise",
  ],
  [
    /its certificate is refused/,
    "name the file of its authority with sslrootcert in db_url, and the host that the certificate is for; or renew it",
  ],
  [
    /nobody listens there|does not answer|is not known|cannot be reached|no answer within|cut the connection|shutting down|starting up/,
    "look whether the database server runs and can be reached from here; a start goes on with the destinations of the latest load, when this node has had one",
  ],
  [/database/i, "look at load_balancer.db_url and at the file or server that it names; docs/databases.md has the forms"],
  // This machine
  [/certificate (?:ends|has ended|holds from)/, "renew it, and have it read with SIGHUP: no call is lost"],
  [/certificate|private key/i, "look at the files that the key names: both are PEM, and belong together"],
  [/files at a time/, "raise it: LimitNOFILE= of the systemd unit, or ulimit -n; or lower sip.connections.max"],
  [/MB free/, "make room: calls that cannot be written down do not survive a crash"],
  [
    /calls in ".*" cannot|calls are written to/,
    "let the user that headroom runs as write the file and its folder, or set dialog.persistence to off",
  ],
  [
    /were written at a time that is still to come/,
    "look at the clock of this machine, and whether the file is that of another one: calls of another machine are none of this one, remove it with its -log- files then",
  ],
  // The configuration
  [/^mi_http\.listen .*without encryption/, "set mi_http.tls, or listen on 127.0.0.1 and come through a tunnel"],
  [/^mi_http\.auth\..*(?:characters|others know)/, "make a long one, such as of: openssl rand -hex 24"],
  [/has no effect: this version/, "leave it out"],
  [/has no effect/, "leave it out, or set the key that it depends on"],
  [/is never reached/, "put it before the rule that takes every call, or leave it out"],
  [/no rule and there is no routing\.script/, "write a rule in routing.rules, or name a module in routing.script"],
  [/lets no call fail over/, "make it longer than tm.fr_timeout and a second more, or 0 for no limit"],
  [/route module/, "docs/scripting.md has the form of a module; node --check FILE looks at its syntax"],
  [/node "|nodes? of|lists?\b.*distributor|Cannot use weight/, "docs/distributor.md says what a node may be called and where it leads"],
  [/^dispatcher: |Kamailio's list/, "docs/dispatcher.md has the form of a destination"],
  [/^registrar: |registrar\.accounts/, "docs/registrar.md has the form of an account; {host}, {port} and {user} stand for what registers"],
  [/^not YAML: |a second (?:time|document)|alias/, "look at the indentation and the quotes around it"],
  [/there is no such file|this is a directory|may not be read/, "look at the name of the file, and at who may read it"],
];

/** What can be done about a finding. */
export function hintFor(text: string): string {
  for (const [pattern, hint] of HINTS) {
    const match = pattern.exec(text);
    if (match !== null) return typeof hint === "string" ? hint : hint(match);
  }
  const [key] = /^[a-z_]+(?:\.[a-z_]+|\[\d+\])+/.exec(text) ?? [];
  return key === undefined
    ? "docs/configuration.md has every key with its values"
    : `docs/configuration.md has the values of ${key.replaceAll(/\[\d+\]/g, "[]")}`;
}
