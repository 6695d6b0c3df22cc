import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseRedisUrl } from "../../src/cluster/redis/redis-url.ts";
import { checkRedisUrl } from "../../src/config/checks.ts";
import { type Config, ConfigError, clusterIdOf, sharingTagsOf } from "../../src/config/index.ts";
import { parseConfig } from "../../src/config/load.ts";

const WITH_REDIS = "redis_url: redis://localhost";

function parse(text: string, environment: Record<string, string> = {}): Config {
  return parseConfig(text, "h.yaml", environment);
}

function refusal(text: string, environment: Record<string, string> = {}): string {
  try {
    parse(text, environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
  }
  return assert.fail(`${text} was taken`);
}

describe("the section cluster", () => {
  it("means a node alone without any key", () => {
    const { cluster, load_balancer } = parse("");
    assert.deepEqual(cluster, {
      node_id: 1,
      redis_url: null,
      sharing_tags: [],
      sharing_tag_failover: "auto",
      on_tag_active: null,
      on_tag_backup: null,
      load_sharing: "off",
      redis_lost: "fail_open",
      lease_time: 120,
      probe_without_redis: false,
      replicate_dialogs: true,
      start_wait: 3,
    });
    assert.deepEqual([load_balancer.cluster_id, load_balancer.cluster_sharing_tag], [0, null]);
  });

  const refused: [name: string, text: string, want: RegExp][] = [
    ["a node without a number", "cluster: { node_id: 0 }", /cluster\.node_id: found 0, want a whole number from 1 to 2147483647/],
    ["a tag without a state", "cluster: { sharing_tags: [vip/1] }", /want NAME\/CLUSTER=active/],
    ["a tag of no cluster", "cluster: { sharing_tags: [vip/0=active] }", /want NAME\/CLUSTER=active/],
    [
      "tags of two clusters",
      "cluster: { sharing_tags: [a/1=active, b/2=backup] }",
      /sharing_tags\[1\].*cluster 2, want cluster 1, as the first tag says/,
    ],
    [
      "a tag of another cluster than cluster_id",
      "{ load_balancer: { cluster_id: 3 }, cluster: { sharing_tags: [vip/1=active] } }",
      /found "vip\/1=active", which is of cluster 1, want cluster 3, as load_balancer\.cluster_id says/,
    ],
    ["a tag twice", "cluster: { sharing_tags: [vip/1=active, vip/1=backup] }", /whose tag "vip" stands there already, want each tag once/],
    [
      "a tag with its cluster as cluster_sharing_tag",
      "load_balancer: { cluster_sharing_tag: vip/1 }",
      /want the name of a sharing tag alone/,
    ],
    ["another way of sharing", "cluster: { load_sharing: Exact }", /want one of "off", "shared", "exact"/],
    ["a lease that ends between two renewals", "cluster: { lease_time: 5 }", /want a whole number of seconds from 10 to 3600/],
    ["a start that waits for ever", "cluster: { start_wait: 61 }", /want a whole number of seconds from 0 to 60/],
    ["a command that is no text", "cluster: { on_tag_active: [ip, addr] }", /on_tag_active: found a list of 2, want a text/],
  ];
  for (const [name, text, want] of refused) it(`refuses ${name}`, () => assert.match(refusal(text), want));

  it("belongs to the cluster of cluster_id, else of the first tag, else to cluster 1", () => {
    assert.equal(clusterIdOf(parse("load_balancer: { cluster_id: 7 }")), 7);
    assert.equal(clusterIdOf(parse("cluster: { sharing_tags: [vip/5=backup] }")), 5);
    assert.equal(clusterIdOf(parse("")), 1);
  });

  it("has cluster_sharing_tag as backup where sharing_tags does not name it", () => {
    const text = "{ load_balancer: { cluster_sharing_tag: probe }, cluster: { sharing_tags: [vip/5=active] } }";
    assert.deepEqual(sharingTagsOf(parse(text)), [
      { name: "vip", clusterId: 5, active: true },
      { name: "probe", clusterId: 5, active: false },
    ]);
    const named = "{ load_balancer: { cluster_sharing_tag: vip }, cluster: { sharing_tags: [vip/5=active] } }";
    assert.deepEqual(sharingTagsOf(parse(named)), [{ name: "vip", clusterId: 5, active: true }]);
  });
});

describe("a notice about the cluster", () => {
  const cases: [text: string, want: RegExp | undefined][] = [
    [`cluster: { ${WITH_REDIS}, node_id: 2, sharing_tags: [vip/1=active] }`, undefined],
    ["load_balancer: { cluster_id: 0 }", undefined],
    ["cluster: { node_id: 1, load_sharing: off }", undefined],
    ["load_balancer: { cluster_id: 1 }", /load_balancer\.cluster_id has no effect: cluster\.redis_url is not set, this node runs alone/],
    ["load_balancer: { cluster_sharing_tag: vip }", /load_balancer\.cluster_sharing_tag has no effect/],
    ["cluster: { sharing_tags: [vip/1=active] }", /cluster\.sharing_tags has no effect/],
    ["cluster: { load_sharing: exact }", /cluster\.load_sharing has no effect/],
    [
      `cluster: { ${WITH_REDIS}, probe_without_redis: true }`,
      /probe_without_redis has no effect: without load_balancer\.cluster_sharing_tag/,
    ],
  ];
  for (const [text, want] of cases) {
    it(want ? `is given for ${text}` : `is not given for ${text}`, () => {
      const { notices } = parse(text);
      assert.equal(notices.length, want ? 1 : 0, notices.join("\n"));
      if (want) assert.match(notices[0] ?? "", want);
    });
  }
});

describe("the address of Redis", () => {
  const good = [
    "redis://localhost",
    "redis://127.0.0.1:6379/3",
    "rediss://default:s3cret@redis.example.net:6380/",
    "redis://:s3cret@[::1]:6379",
    "redis://user:p@ss:w,rd@h",
    "redis+sentinel://a:26379,b,c:26379/mymaster",
    "rediss+sentinel://u:s3cret@[2001:db8::1]:26379/mymaster/2?sentinel_password=s3cret",
    "redis+cluster://a:7000,b:7001",
    "rediss+cluster://:s3cret@a/",
  ];
  const bad = [
    "redis:localhost",
    "redis://",
    "redis://s3cret@h",
    "redis://:@h",
    "redis://h:0",
    "redis://h:65536",
    "redis://h/x",
    "redis://a,b",
    "redis://h?password=s3cret",
    "redis://u:%s3cret@h",
    "redis+sentinel://a",
    "redis+sentinel://a/",
    "redis+sentinel://a/m?password=s3cret",
    "redis+cluster://a/1",
    "redis+cluster://a,,b",
    "redis+unix:///s3cret",
    "http://u:s3cret@h",
  ];
  for (const text of good) {
    it(`may be ${text}`, () => {
      assert.equal(checkRedisUrl(text), undefined);
      parseRedisUrl(text); // the one that connects takes it as well
      assert.equal(parse(`cluster: { redis_url: '${text}' }`).cluster.redis_url, text);
    });
  }
  for (const text of bad) {
    it(`is not ${text}, and is not quoted`, () => {
      assert.throws(() => parseRedisUrl(text));
      const said = refusal(`cluster: { redis_url: '${text}' }`);
      assert.match(said, /cluster\.redis_url: found a value that is not shown here, want redis:\/\/\[USER/);
      assert.doesNotMatch(said, /s3cret/);
      // biome-ignore lint/suspicious/noTemplateCurlyInString: that is how a file asks for a variable
      assert.doesNotMatch(refusal("cluster: { redis_url: '${URL}' }", { URL: text }), /s3cret/);
    });
  }

  it("is not quoted either when it is too long or no text, nor in a notice", () => {
    const long = `redis://u:s3cret${"x".repeat(2_000)}@h`;
    assert.doesNotMatch(refusal(`cluster: { redis_url: '${long}' }`), /s3cret/);
    assert.doesNotMatch(refusal("cluster: { redis_url: ['redis://u:s3cret@h'] }"), /s3cret/);
    const { notices } = parse("cluster: { redis_url: 'redis://u:s3cret@h', probe_without_redis: true }");
    assert.equal(notices.length, 1);
    assert.doesNotMatch(notices.join(), /s3cret/);
  });
});
