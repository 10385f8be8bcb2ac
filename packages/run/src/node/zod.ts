/** zod where little is read that it has to check: loading its hundred files takes a tenth of a second and 13 MB. */
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/** Loads it when it is first called, and at once: what reads metadata is no promise. */
export function zod(): typeof import("zod") {
  return require("zod");
}
