import { describePlugin } from "@secateur/conformance";
import { test } from "vitest";
import plugin from "./plugin.ts";

describePlugin({
  test,
  plugin,
  claims: {
    "solver osscar": { claims: ["identity", "diagonal", "one", "mask"], refuses: ["rows"] },
    "solver structured-obs": { claims: ["one", "mask"], refuses: ["products"] },
    "solver taylor": { refuses: ["products"] },
    "selector taylor": { refuses: ["products"] },
  },
});
