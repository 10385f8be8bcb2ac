import { describePlugin, tinyData } from "@secateur/conformance";
import { createNetwork, mlp } from "@secateur/nn";
import { test } from "vitest";
import plugin from "./plugin.ts";

describePlugin({
  test,
  plugin,
  claims: {
    // It needs the layers' second moments, which the suite's own tiny model does not offer.
    "curvature kronecker-gauss-newton": {
      model: () => createNetwork(mlp({ sizes: [4, 3, 3] }), { seed: 1, dtype: "f64" }),
      data: tinyData(),
      // Its moments are kept in f32.
      tolerance: 1e-5,
    },
  },
});
