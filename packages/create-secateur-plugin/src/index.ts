/**
 * create-secateur-plugin: what `npm create secateur-plugin` runs, as functions.
 * @packageDocumentation
 */
export { type PluginFiles, pluginFiles } from "./plugin-files.ts";
export { type PluginKind, pluginKinds } from "./plugin-kinds.ts";
export { type PluginName, pluginName } from "./plugin-name.ts";
export { run } from "./run.ts";
