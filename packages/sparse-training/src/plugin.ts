/** The plugin manifest of this package: rules that act while a network trains, and methods for pruning it before and after. */
import { definePlugin, type Plugin } from "@secateur/core";
import { maskRules } from "./entries/mask-rules.ts";
import { pruningEntries } from "./entries/pruning-entries.ts";
import { weightRules } from "./entries/weight-rules.ts";

const plugin: Plugin = definePlugin({
  api: 2,
  name: "@secateur/sparse-training",
  entries: [...maskRules, ...weightRules, ...pruningEntries],
});
export default plugin;
