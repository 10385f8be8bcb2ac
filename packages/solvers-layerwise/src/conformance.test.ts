import { describePlugin } from "@secateur/conformance";
import { test } from "vitest";
import plugin from "./plugin.ts";

describePlugin({
  test,
  plugin,
  claims: {
    "solver layerwise": { claims: ["identity", "diagonal", "one", "mask"] },
    "solver alps": { claims: ["mask"] },
    "solver obc": { claims: ["identity", "diagonal", "one", "mask"], refuses: ["groups"] },
    "solver sparsegpt": { refuses: ["groups"], ordered: true },
    "solver sparseswaps": { refuses: ["groups"] },
    "selector sparseswaps": { refuses: ["groups"] },
    "solver dsnot": { refuses: ["groups"] },
    "selector dsnot": { refuses: ["groups"] },
    "updater layerwise": { claims: ["mask"] },
  },
});
