import { test } from "node:test";
import { describePlugin } from "@secateur/conformance";
import plugin from "../src/plugin.js";

describePlugin({ test, plugin, claims: { "saliency stochastic-magnitude": { randomised: true } } });
