/** The plugin manifest of core: its tasks. */
import { defineEntry, definePlugin, type OptionsSchema, type Plugin } from "../plugin/plugin.ts";
import { firstPartyTasks, type TaskFactory } from "./first-party-tasks.ts";

type TaskOptions = Readonly<Record<string, number | string>>;

const plugin: Plugin = definePlugin({
  api: 2,
  name: "@secateur/core",
  entries: firstPartyTasks.map((factory) =>
    defineEntry({
      kind: "task",
      name: factory.name,
      summary: factory.summary,
      options: optionsOf(factory),
      create: (options: TaskOptions) => factory.create(options),
    }),
  ),
});
export default plugin;

/** The options of a task as a schema. */
function optionsOf({ options }: TaskFactory): OptionsSchema<TaskOptions> {
  const properties = Object.fromEntries(
    Object.entries(options).map(([key, { takes, summary: description }]) => {
      if (takes === "number") return [key, { type: "number", description }];
      return [key, takes === "text" ? { type: "string", description } : { type: "string", enum: takes, description }];
    }),
  );
  const json = (): Record<string, unknown> => ({ type: "object", properties, additionalProperties: false });
  return {
    "~standard": {
      version: 1,
      vendor: "secateur",
      validate(value) {
        const issues = Object.entries(value as object).flatMap(([key, given]) => {
          const spec = Object.hasOwn(options, key) ? options[key] : undefined;
          if (spec === undefined) return [{ message: `there is no option '${key}'`, path: [key] }];
          const isFine =
            spec.takes === "number"
              ? Number.isFinite(given)
              : spec.takes === "text" || spec.takes.includes(given as string);
          return isFine ? [] : [{ message: `found ${JSON.stringify(given)}`, path: [key] }];
        });
        return issues.length > 0 ? { issues } : { value: value as TaskOptions };
      },
      jsonSchema: { input: json, output: json },
    },
  };
}
