import type { Mat } from "@secateur/core";
import type { Network } from "../network.ts";
import type { Pool } from "../pool.ts";

/** What training reads and writes of a network: none of its methods, which know the weights at home alone. */
export type Trained = Pick<Network, "name" | "spec" | "weights" | "params">;

/** A network while it trains. */
export interface ResidentNetwork {
  /** The same layers with weights in kernel memory, where products read them and steps write them without copies. */
  readonly resident: Trained;
  /** Brings the weights home to the network that they were taken from. */
  bringHome(): void;
}

/** Takes a network's weights, running statistics included, to vectors of the pool, where they stay until it closes. */
export function residentNetwork(network: Network, pool: Pool): ResidentNetwork {
  const weights = new Map(
    [...network.weights].map(([name, w]): [string, Mat] => {
      const data = pool.take(w.data.length);
      data.set(w.data);
      return [name, { ...w, data }];
    }),
  );
  return {
    resident: { name: network.name, spec: network.spec, params: () => network.params(), weights },
    bringHome() {
      for (const [name, { data }] of weights) network.weights.get(name)!.data.set(data);
    },
  };
}
