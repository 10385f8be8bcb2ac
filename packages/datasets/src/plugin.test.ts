import { describePlugin } from "@secateur/conformance";
import { test } from "vitest";
import plugin from "./plugin.ts";

describePlugin({ test, plugin });
