/**
 * create-secateur-plugin: what `npm create secateur-plugin` runs, as functions.
 * @packageDocumentation
 */
export { type PluginFiles, type PluginKind, pluginFiles, pluginKinds } from "./plugin-files.ts";
export { type PluginName, pluginName } from "./plugin-name.ts";
export { run } from "./run.ts";
