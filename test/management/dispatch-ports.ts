import type { DispatchPort } from "../../src/management/dispatch-port.ts";
import { Bench } from "../dispatch/support.ts";

/** A dispatcher over a list as management has it, with a clock that the test moves. */
export function dispatchPorts(list: string, { isMeasured = true, reload }: { isMeasured?: boolean; reload?: () => Promise<void> } = {}) {
  const bench = new Bench(list);
  const { dispatcher } = bench;
  let pingState = 1;
  const dispatch: DispatchPort = {
    dispatcher,
    add(written) {
      const { isApplied, problems } = dispatcher.add(written);
      return isApplied ? [] : problems;
    },
    remove: (setId, uri) => dispatcher.remove(setId, uri),
    reload: reload ?? (async () => bench.load(list)),
    get pingState() {
      return pingState;
    },
    setPingState(state) {
      pingState = state;
    },
    isMeasured,
    nowMs: () => bench.nowMs,
  };
  return { bench, dispatch };
}
