/** A rule, a pattern, a route module or a value given by a script that cannot be used. The message is written for the operator. */
export class RoutingError extends Error {
  override readonly name = "RoutingError";
}
