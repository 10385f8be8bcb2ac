import { test } from "node:test";
import { describePlugin } from "@secateur/conformance";
import plugin from "../src/index.js";

describePlugin({ test, plugin, claims: { "saliency stochastic-magnitude": { randomised: true } } });
