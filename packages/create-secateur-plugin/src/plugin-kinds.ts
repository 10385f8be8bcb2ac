/** What plugins can be made. */

/** All kinds: the rungs of the ladder of methods, smallest first, and what else a plugin is often written for. */
export const pluginKinds = ["saliency", "selector", "updater", "solver", "task", "training-rule", "format"] as const;

/** What the plugin offers. */
export type PluginKind = (typeof pluginKinds)[number];
