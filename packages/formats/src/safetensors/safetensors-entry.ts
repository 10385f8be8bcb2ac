import { bytesPerElement, type TensorDtype } from "../dtype.ts";
import { badSafetensors, unknownDtype } from "../errors.ts";
import { MAX_RANK } from "../limits.ts";
import { elementCount } from "../tensor.ts";
import { isJsonObject, isWellFormed } from "../text/json.ts";
import { describeJson, quote } from "../text/quote.ts";
import { DTYPE_OF_SAFETENSORS } from "./safetensors-dtype.ts";

/** Where one tensor lies; offsets are counted from the start of the data. */
export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/**
 * Checks one entry of a header by itself: its dtype is known and its offsets are as far apart as its shape needs.
 *
 * @param spec.value - the entry as parsed from JSON
 * @throws ERR_SAFETENSORS, ERR_DTYPE
 */
export function parseSafetensorsEntry(spec: { name: string; value: unknown; source: string }): SafetensorsEntry {
  const { name, value, source } = spec;
  const refuse = (found: string, expected: string) =>
    badSafetensors({ source, found: `tensor ${quote(name)} with ${found}`, expected });
  if (!isWellFormed(name)) throw refuse("half a surrogate pair in its name", "well-formed text");
  if (!isJsonObject(value)) throw refuse(`${describeJson(value)} as its entry`, "{ dtype, shape, data_offsets }");

  const { dtype: dtypeName, shape, data_offsets: offsets } = value;
  if (typeof dtypeName !== "string") throw refuse(`${describeJson(dtypeName)} as its dtype`, "a name such as 'F32'");
  const dtype = DTYPE_OF_SAFETENSORS.get(dtypeName);
  if (dtype === undefined) {
    const where = `${source}: tensor ${quote(name)}`;
    throw unknownDtype({ where, found: dtypeName, known: [...DTYPE_OF_SAFETENSORS.keys()] });
  }
  if (!Array.isArray(shape) || !shape.every(isWhole)) {
    throw refuse(`the shape ${describeJson(shape)}`, "a list of whole numbers from 0 to 2^53 - 1");
  }
  if (shape.length > MAX_RANK) throw refuse(`${shape.length} dimensions`, `at most ${MAX_RANK}`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isWhole)) {
    throw refuse(`the data_offsets ${describeJson(offsets)}`, "two whole numbers [begin, end]");
  }
  const [begin, end] = offsets as [number, number];
  const bytes = (elementCount(shape) ?? Number.NaN) * bytesPerElement(dtype);
  if (!Number.isSafeInteger(bytes)) {
    throw refuse(`the shape ${describeJson(shape)}`, "a shape of less than 2^53 bytes");
  }
  if (end - begin !== bytes) {
    throw refuse(
      `data_offsets [${begin}, ${end}], ${end - begin} bytes`,
      `${bytes} bytes for ${dtypeName} and shape ${describeJson(shape)}`,
    );
  }
  return { name, dtype, shape, begin, end };
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
