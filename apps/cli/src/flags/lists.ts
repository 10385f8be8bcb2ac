/** Lists in flags. */
import { keptCount } from "@secateur/core";
import { badFlagValue } from "../errors.ts";
import { numberParser } from "./number.ts";

/** Different names joined by commas. @throws ERR_USAGE */
export function listOfNames(text: string): readonly string[] {
  const names = text.split(",").map((name) => name.trim());
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (names.includes("") || twice !== undefined) {
    throw badFlagValue({
      flag: "--solvers",
      found: text,
      allowed: "different names joined by commas, such as magnitude,cbs",
    });
  }
  return names;
}

/** Different sparsities joined by commas. @throws ERR_USAGE */
export function listOfSparsities(text: string): readonly number[] {
  const sparsities = listOf("--sparsities", "different numbers joined by commas, such as 0.5,0.9", text, numberParser);
  for (const sparsity of sparsities) keptCount(1, sparsity); // refuses a sparsity outside [0, 1)
  return sparsities;
}

/** Different whole numbers joined by commas. @throws ERR_USAGE */
export function listOfSeeds(text: string): readonly number[] {
  return listOf("--seeds", "different whole numbers joined by commas, such as 0,1,2", text, (spec) =>
    numberParser({ ...spec, accepts: (value) => Number.isSafeInteger(value) && value >= 0 }),
  );
}

/** Different ridges joined by commas, "auto" among them. @throws ERR_USAGE */
export function listOfRidges(text: string): readonly (number | "auto")[] {
  return listOf(
    "--ridges",
    "different numbers of at least 0 joined by commas, or auto among them, such as auto,1e-4",
    text,
    (spec) => {
      const parse = numberParser({ ...spec, accepts: (value) => value >= 0 && Number.isFinite(value) });
      return (part) => (part === "auto" ? part : parse(part));
    },
  );
}

function listOf<T>(
  flag: string,
  allowed: string,
  text: string,
  parserOf: (spec: { flag: string; allowed: string }) => (part: string) => T,
): readonly T[] {
  const values = text.split(",").map((part) => parserOf({ flag, allowed })(part.trim()));
  if (new Set(values).size < values.length) throw badFlagValue({ flag, found: text, allowed });
  return values;
}
