import { describePlugin } from "@secateur/conformance";
import { test } from "vitest";
import plugin from "./plugin.ts";

describePlugin({
  test,
  plugin,
  claims: {
    "solver obd": { claims: ["identity", "diagonal"] },
    "solver obs": { claims: ["identity", "diagonal", "one", "mask"] },
    "solver woodfisher": { claims: ["identity", "diagonal", "one", "mask"] },
    // Steps are greedy: no baseline is beaten for certain. In one step it never loses to its start, which cbs.test.ts checks.
    "solver cbs": { claims: ["identity", "diagonal", "mask"], refuses: ["products"] },
    "selector obd": { claims: ["identity", "diagonal"] },
    "selector woodfisher": { claims: ["identity", "diagonal"] },
    "selector cbs": { claims: ["identity", "diagonal"], refuses: ["products"] },
    // The published sum counts interactions between pruned weights twice: it may end above where it started.
    "updater obs": { improves: false },
    "updater cbs": { claims: ["mask"] },
  },
});
