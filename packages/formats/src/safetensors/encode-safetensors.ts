import { bytesPerElement, putElements, TENSOR_DTYPES } from "../dtype.ts";
import { badTensor } from "../errors.ts";
import { elementCount, type NamedTensor } from "../tensor.ts";
import { isWellFormed } from "../text/json.ts";
import { quote } from "../text/quote.ts";
import { CHECKSUM_KEY, checksumText } from "./checksum.ts";
import { DTYPE_OF_SAFETENSORS } from "./safetensors-dtype.ts";

const SAFETENSORS_OF_DTYPE = new Map([...DTYPE_OF_SAFETENSORS].map(([name, dtype]) => [dtype, name]));

/**
 * Writes a safetensors file into memory. Widest dtypes come first, then names in order, and the header is padded with
 * spaces to 8 bytes, as the reference implementation does, so that every tensor is aligned to its element size and the
 * same tensors give the same bytes in whatever order they come.
 *
 * @param checkpoint.tensors - any order, unique names
 * @param checkpoint.metadata - free text kept beside them, in the order given; default none
 * @param checkpoint.checksum - whether the metadata entry `secateur.crc32` says the CRC-32 of all tensor data, which
 * `decodeSafetensors` then checks: the format itself notices no damage there. Default: where the metadata have such an entry,
 * which is made anew
 * @returns the whole file. O(total bytes) time, one allocation of the file's size.
 * @throws ERR_TENSOR when a name occurs twice or is reserved, or a shape does not fit its data
 * @example
 * await writeFileAtomic("out.safetensors", encodeSafetensors({ tensors }), { overwrite: false });
 */
export function encodeSafetensors(checkpoint: {
  readonly tensors: readonly NamedTensor[];
  readonly metadata?: Readonly<Record<string, string>>;
  readonly checksum?: boolean;
}): Uint8Array {
  const tensors = [...checkpoint.tensors].sort(byLayout);
  checkNames(tensors);
  const { [CHECKSUM_KEY]: earlier, ...metadata } = checkpoint.metadata ?? {};
  const hasChecksum = checkpoint.checksum ?? earlier !== undefined;
  const unknown = "00000000";
  const entries = Object.entries(hasChecksum ? { ...metadata, [CHECKSUM_KEY]: unknown } : metadata);
  for (const [key, text] of entries) checkText(`__metadata__ ${key}`, key + text);

  const fields: string[] = [];
  if (entries.length > 0) {
    const pairs = entries.map(([key, text]) => `${JSON.stringify(key)}:${JSON.stringify(text)}`);
    fields.push(`"__metadata__":{${pairs.join(",")}}`);
  }
  let dataBytes = 0;
  for (const tensor of tensors) {
    const end = dataBytes + checkedBytes(tensor);
    const dtype = JSON.stringify(SAFETENSORS_OF_DTYPE.get(tensor.dtype));
    const place = `"dtype":${dtype},"shape":[${tensor.shape.join(",")}],"data_offsets":[${dataBytes},${end}]`;
    fields.push(`${JSON.stringify(tensor.name)}:{${place}}`);
    dataBytes = end;
  }
  const json = new TextEncoder().encode(`{${fields.join(",")}}`);
  const headerBytes = Math.ceil(json.length / 8) * 8;

  const file = new Uint8Array(8 + headerBytes + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.set(json, 8);
  file.fill(0x20, 8 + json.length, 8 + headerBytes);
  let offset = 8 + headerBytes;
  for (const { data } of tensors) {
    putElements(data, file, offset);
    offset += data.byteLength;
  }
  if (hasChecksum) {
    // Known only now; as many characters as were left for it, at the end of the metadata.
    const at = new TextEncoder().encode(fields[0]).length + 1 - `${unknown}"}`.length;
    file.set(new TextEncoder().encode(checksumText(file.subarray(8 + headerBytes))), 8 + at);
  }
  return file;
}

function byLayout(a: NamedTensor, b: NamedTensor): number {
  const wider = TENSOR_DTYPES.indexOf(b.dtype) - TENSOR_DTYPES.indexOf(a.dtype);
  return wider || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
}

function checkNames(tensors: readonly NamedTensor[]): void {
  const seen = new Set<string>();
  for (const { name, shape } of tensors) {
    // Whoever calls from JavaScript may leave anything out.
    if (typeof name !== "string" || !Array.isArray(shape)) {
      throw badTensor({ name: String(name), found: "no text as its name, or no list as its shape", expected: "both" });
    }
    checkText(name, name);
    if (name === "__metadata__") {
      throw badTensor({ name, found: "the name that safetensors reserves for metadata", expected: "another name" });
    }
    if (seen.has(name)) throw badTensor({ name, found: "two tensors of that name", expected: "unique names" });
    seen.add(name);
  }
}

function checkText(name: string, text: string): void {
  if (!isWellFormed(text)) {
    throw badTensor({ name, found: "half a surrogate pair in its text", expected: "well-formed text" });
  }
}

/** Bytes of the tensor's data, once its shape, dtype and data agree. */
function checkedBytes({ name, dtype, shape, data }: NamedTensor): number {
  const known = SAFETENSORS_OF_DTYPE.has(dtype);
  if (!known) {
    throw badTensor({ name, found: `the dtype ${quote(String(dtype))}`, expected: TENSOR_DTYPES.join(", ") });
  }
  const count = elementCount(shape);
  if (count !== data.length || data.BYTES_PER_ELEMENT !== bytesPerElement(dtype)) {
    throw badTensor({
      name,
      found: `shape [${shape.join(", ")}] of ${dtype} with ${data.length} elements of ${data.BYTES_PER_ELEMENT} bytes`,
      expected: `${count ?? "a countable number of"} elements of ${bytesPerElement(dtype)} bytes`,
    });
  }
  return data.byteLength;
}
