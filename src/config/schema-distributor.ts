import { type Static, Type } from "typebox";
import { type ListSpec, MAX_NAME_LENGTH, MAX_NODES, MAX_WEIGHT } from "../distributor/index.ts";
import { checkUdpUri } from "./checks.ts";
import { item, optionalText, whole } from "./schema-keys.ts";

const NodeSchema = Type.Object(
  {
    name: Type.String({
      description: "Name of the node: a key of distributor.nodes, the id of a destination, or a SIP URI.",
      minLength: 1,
      maxLength: MAX_NAME_LENGTH,
      check: checkName,
      numberIsText: true,
    }),
    weight: whole("How many calls of each round it gets. 0: none.", 1, 0, MAX_WEIGHT),
  },
  { description: "One node.", additionalProperties: false },
);

/** The section `distributor` of the configuration. */
export const DistributorSchema = Type.Object(
  {
    list_file: optionalText("FreeSWITCH's distributor.conf.xml. Its lists come after those of distributor.lists."),
    lists: Type.Record(
      Type.String(),
      Type.Array(NodeSchema, { description: "The nodes, in the order in which they get calls.", maxItems: MAX_NODES }),
      {
        description: "Lists by name, each of nodes with weights.",
        default: {},
        nameCheck: checkName,
      },
    ),
    nodes: Type.Record(Type.String(), item({ check: checkTarget, numberIsText: true }), {
      description:
        "What the names of nodes stand for: the id of a destination, or a SIP URI. A URI that is a destination's means the destination.",
      default: {},
      nameCheck: checkName,
    }),
  },
  { description: "FreeSWITCH's mod_distributor: lists whose nodes get calls in turn, by weight.", additionalProperties: false },
);

/** The lists of the section as the distributor takes them. */
export function configuredLists({ lists }: Static<typeof DistributorSchema>): ListSpec[] {
  return Object.entries(lists).map(([name, nodes]) => ({ name, nodes }));
}

function checkName(text: string): string | undefined {
  const fits = text.length <= MAX_NAME_LENGTH && /^[^\x00-\x20\x7f]+$/.test(text);
  return fits ? undefined : `a name of at most ${MAX_NAME_LENGTH} characters without blanks`;
}

function checkTarget(text: string): string | undefined {
  const fits = /^\d{1,10}$/.test(text) || checkUdpUri(text) === undefined;
  return fits ? undefined : 'the id of a destination, or a SIP URI that is reached over UDP, such as "sip:192.0.2.10:5060"';
}
