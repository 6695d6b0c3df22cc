/** To be imported before the program: what the first call counts is never given back. Audits have to find that. */
import { Balancer } from "../../src/balancer/index.ts";

const { release } = Balancer.prototype;
let isForgotten = false;

Balancer.prototype.release = function forgetful(this: Balancer, load) {
  if (isForgotten || load.leases.length === 0) return release.call(this, load);
  isForgotten = true;
};
