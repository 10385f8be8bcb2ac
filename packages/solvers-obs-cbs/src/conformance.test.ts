import { describePlugin, type EntryClaims } from "@secateur/conformance";
import { test } from "vitest";
import plugin from "./plugin.ts";

/** Methods for one flattened row. */
const oneRow: EntryClaims = { refuses: ["rows"] };

describePlugin({
  test,
  plugin,
  claims: {
    "solver obd": { claims: ["identity", "diagonal"] },
    "solver obs": { ...oneRow, claims: ["identity", "diagonal", "one", "mask"] },
    "solver woodfisher": { ...oneRow, claims: ["identity", "diagonal", "one", "mask"] },
    // Steps are greedy: no baseline is beaten for certain. In one step it never loses to its start, which cbs.test.ts checks.
    "solver cbs": { claims: ["identity", "diagonal", "mask"], refuses: ["rows", "groups", "products"] },
    "selector obd": { claims: ["identity", "diagonal"] },
    "selector woodfisher": { ...oneRow, claims: ["identity", "diagonal"] },
    "selector cbs": { claims: ["identity", "diagonal"], refuses: ["rows", "groups", "products"] },
    // The published sum counts interactions between pruned weights twice: it may end above where it started.
    "updater obs": { ...oneRow, improves: false },
    "updater cbs": { ...oneRow, claims: ["mask"] },
  },
});
