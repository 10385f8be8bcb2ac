import { describeTrainingRule } from "@secateur/conformance";
import { test } from "vitest";
import { gmp } from "./rules/gmp.ts";

describeTrainingRule({ test, name: "gmp", create: () => gmp({ sparsity: 0.75, from: 0.2, interval: 2 }) });
