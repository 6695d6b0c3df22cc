import type { Balancer } from "../balancer/index.ts";
import { type Config, ConfigError, type DistributorSetup, readDistributorSetup } from "../config/index.ts";
import { Distributor, type ListSpec } from "../distributor/index.ts";
import type { Log } from "../proxy/index.ts";
import { type Distribution, findLostNodes, NodeTargets, tellLostNodes } from "../routing/index.ts";

/** The lists of the distributor as the configuration in force wants them, and what their nodes lead to. */
export class ConfiguredDistribution implements Distribution {
  readonly distributor: Distributor;
  readonly nodes: NodeTargets;
  readonly #log: Log;
  #config: Config | undefined;
  #lists: readonly ListSpec[] = [];
  /** Nodes of which the log has said that they lead nowhere. */
  #lost = new Set<string>();

  constructor(balancer: Balancer, log: Log) {
    const nodes = new NodeTargets(balancer, {});
    this.nodes = nodes;
    this.distributor = new Distributor({ isUsable: (node) => nodes.isUsable(node) });
    this.#log = log;
  }

  /** Values for the statistics. */
  get counters(): Record<string, number> {
    const { counters, lists } = this.distributor;
    return { ...counters, lists: lists.length };
  }

  /**
   * Puts into force what `readDistributorSetup` has read of a configuration. Lists that are as they were go on with their rotation, and with weights
   * of `distributor_ctl modify`.
   */
  use(config: Config, setup: DistributorSetup): void {
    this.#config = config;
    this.nodes.rename(setup.nodes);
    if (JSON.stringify(setup.lists) !== JSON.stringify(this.#lists)) this.#replace(setup);
    this.tableChanged();
  }

  /** `distributor_ctl reload`: reads the file of the configuration in force again, and begins every rotation anew. False: everything stays as it was. */
  reload(): boolean {
    if (this.#config === undefined) return false;
    try {
      const setup = readDistributorSetup(this.#config);
      if (setup.lists.length === 0) return this.distributor.reload([]); // refused there, and counted
      this.#replace(setup);
      this.tableChanged();
      return true;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.distributor.counters.reload_failures++;
      this.#log.error({}, `distributor lists stay as they were: ${error.message}`);
      return false;
    }
  }

  /** To be told of every new table: says on the log which nodes lead nowhere, each once. */
  tableChanged(): void {
    const lost = findLostNodes(this.distributor.lists, this.nodes);
    const news = lost.filter(({ node }) => !this.#lost.has(node));
    tellLostNodes(news, (text, about) => this.#log.warn({ ...about }, text));
    this.#lost = new Set(lost.map(({ node }) => node));
  }

  #replace({ lists, problems }: DistributorSetup): void {
    const { distributor } = this;
    this.#lists = lists;
    if (lists.length === 0) distributor.clear();
    else distributor.reload(lists);
    for (const problem of [...problems, ...distributor.problems]) this.#log.warn({}, problem);
    this.#log.info({ lists: distributor.lists.length }, "distributor lists loaded");
  }
}
