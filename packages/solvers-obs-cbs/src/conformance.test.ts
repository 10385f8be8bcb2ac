import { describePlugin, type EntryClaims } from "@secateur/conformance";
import { selectorFrom, solverFrom } from "@secateur/core";
import { test } from "vitest";
import plugin from "./plugin.ts";

const magnitude = () => solverFrom(selectorFrom({ needs: {}, score: ({ w }) => w.data.map(Math.abs) }));

/** Methods for one flattened row. */
const oneRow: EntryClaims = { refuses: ["rows"] };

describePlugin({
  test,
  plugin,
  claims: {
    "solver obd": { claims: ["identity", "diagonal"] },
    "solver obs": { ...oneRow, claims: ["identity", "diagonal", "one", "mask"] },
    "solver woodfisher": { ...oneRow, claims: ["identity", "diagonal", "one", "mask"] },
    "solver cbs": {
      claims: ["identity", "diagonal", "mask"],
      refuses: ["rows", "groups", "products"],
      // It starts from the largest magnitudes, and swaps only make w_P'Hw_P smaller.
      baseline: magnitude,
    },
    "selector obd": { claims: ["identity", "diagonal"] },
    "selector woodfisher": { ...oneRow, claims: ["identity", "diagonal"] },
    "selector cbs": { claims: ["identity", "diagonal"], refuses: ["rows", "groups", "products"] },
    // The published sum counts interactions between pruned weights twice: it may end above where it started.
    "updater obs": { ...oneRow, improves: false },
    "updater cbs": { ...oneRow, claims: ["mask"] },
  },
});
