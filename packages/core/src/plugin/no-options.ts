import type { OptionsSchema } from "./plugin.ts";

/** The schema of an entry that has no options: nothing but {} is accepted. */
export const noOptions: OptionsSchema<Readonly<Record<string, never>>> = {
  "~standard": {
    version: 1,
    vendor: "secateur",
    validate(value) {
      const keys = typeof value === "object" && value !== null ? Object.keys(value) : ["(not an object)"];
      if (keys.length === 0) return { value: {} };
      return { issues: keys.map((key) => ({ message: `there is no option '${key}'`, path: [key] })) };
    },
    jsonSchema: { input: emptyObject, output: emptyObject },
  },
};

function emptyObject(): Record<string, unknown> {
  return { type: "object", properties: {}, additionalProperties: false };
}
