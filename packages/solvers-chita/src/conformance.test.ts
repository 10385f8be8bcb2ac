import { describePlugin, type EntryClaims } from "@secateur/conformance";
import { selectorFrom, solverFrom } from "@secateur/core";
import { test } from "vitest";
import plugin from "./plugin.ts";

const magnitude = () => solverFrom(selectorFrom({ needs: {}, score: ({ w }) => w.data.map(Math.abs) }));

/** All of them start from the largest magnitudes. */
const common: EntryClaims = { baseline: magnitude };

describePlugin({
  test,
  plugin,
  claims: {
    // Near-optimal, with a certificate: within this of the optimum on every tiny problem.
    "solver chita": { ...common, claims: ["identity", "diagonal", "one", "mask", "any-k"], slack: 0.01 },
    "solver chita.iht": { ...common, claims: ["identity"] },
    // Stops when a sweep gains little: on equal columns that is before the minimum.
    "solver chita.cd": { ...common, claims: ["identity", "mask"], slack: 1e-4, refuses: ["products"] },
    "solver chita.bso": { ...common, claims: ["identity", "mask"] },
    "solver chita.block": { ...common, claims: ["identity", "mask"] },
    "selector chita": { claims: ["identity"] },
    "updater bso": { claims: ["mask"] },
  },
});
