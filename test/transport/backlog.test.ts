import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { describe, it } from "node:test";
import { chooseSockets } from "../../src/transport/datagram-sockets.ts";
import { LocalAddresses } from "../../src/transport/local-address.ts";
import { TransportCounters, UdpListener } from "../../src/transport/udp.ts";
import { waitFor } from "../support/net.ts";

const COUNT = 1_000;

describe("what waits in a UDP socket", { skip: process.platform === "linux" ? false : "only Linux says it" }, () => {
  it("is told while it is read, and that it is empty again", async () => {
    const { sockets } = await chooseSockets("auto");
    const shares: number[] = [];
    let received = 0;
    const listener = await UdpListener.open({
      ...{
        address: "127.0.0.1",
        port: 0,
        advertised: null,
        sockets,
        locals: new LocalAddresses(() => 0),
        counters: new TransportCounters(),
      },
      backlog: (share) => shares.push(share),
      receive: () => received++,
      fault: (error) => assert.fail(String(error)),
    });
    const sender = createSocket("udp4");
    sender.connect(listener.port, "127.0.0.1");
    try {
      await once(sender, "connect");
      // Sent at once, without a turn of the event loop in which some could be read.
      for (let i = 0; i < COUNT; i++) sender.send("OPTIONS sip:a SIP/2.0");
      await waitFor("all is read", 5_000, () => received === COUNT && shares.at(-1) === 0);
      const [first = 0] = shares;
      assert.ok(first > 0.01 && first < 1.2, `${first} of the queue was full`);
      assert.ok(shares.filter((share) => share === 0).length <= shares.length / 2, shares.join(", "));
    } finally {
      sender.close();
      await listener.close();
    }
  });
});
