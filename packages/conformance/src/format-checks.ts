/** File formats of named tensors: what comes back, and what damaged files end with. */
import { contentFault, isPruneError, type StoredContent, type StoredElements, type StoredTensor } from "@secateur/core";
import { describe, ensure } from "./assertions.ts";
import { type Check, type RegisterTest, registerChecks } from "./check.ts";
import { dtypesOf, type FormatDtype, formatContents, makers } from "./format-contents.ts";

/** A file made elsewhere, and what is in it. */
export interface FormatSample extends StoredContent {
  /** For messages. */
  readonly name: string;
  /** The bytes of the whole file. */
  readonly bytes: Uint8Array;
}

type Decode = (bytes: Uint8Array, source: string) => StoredContent | Promise<StoredContent>;

/** A format. One that reads is given with `encode`, `samples` or both; one that only writes with `encode` alone. */
export interface FormatSpec {
  /** For the names of the tests; default "the format". */
  readonly name?: string;
  /** @throws PruneError for bytes that are not a whole file of this format */
  readonly decode?: Decode;
  readonly encode?: (content: StoredContent) => Uint8Array | Promise<Uint8Array>;
  /** The element types `encode` takes, of those known here; default "f32" and "f64". */
  readonly dtypes?: readonly FormatDtype[];
  /** Whether a file holds free text beside tensors; default false. */
  readonly hasMetadata?: boolean;
  /** Whether a file holds one tensor without a name; default false. */
  readonly isSingle?: boolean;
  /** Whether bytes may be appended to a file unnoticed, as where readers look from the end; default false. */
  readonly allowsTrailingBytes?: boolean;
  readonly samples?: readonly FormatSample[];
}

/** Registers a format's suite. */
export function describeFormat(suite: FormatSpec & { readonly test: RegisterTest }): void {
  registerChecks(suite.test, suite.name ?? "the format", formatChecks(suite));
}

/** The checks of {@link describeFormat}. @throws RangeError for a format without `encode` and `samples`: nothing could fail */
export function formatChecks(spec: FormatSpec): readonly Check[] {
  const { encode, samples = [], decode } = spec;
  if (!encode && samples.length === 0)
    throw new RangeError("no file to try the format on; give encode, samples or both");
  return [
    ...(encode ? encodingChecks(spec, encode) : []),
    ...(encode && decode ? [roundTrip(spec, encode, decode), largeTrip(spec, encode, decode)] : []),
    ...(decode ? decodingChecks(spec, decode) : []),
  ];
}

function decodingChecks(spec: FormatSpec, decode: Decode): readonly Check[] {
  const { samples = [] } = spec;
  const check = (name: string, run: () => Promise<void>): Check => ({ name, run });
  return [
    ...samples.map((sample) =>
      check(`reads ${sample.name}`, async () => {
        const copy = sample.bytes.slice();
        ensureContent(await decode(sample.bytes, sample.name), sample, sample.name);
        ensure(
          sample.bytes.every((byte, i) => byte === copy[i]),
          () => `${sample.name}: decoding changed the file's bytes`,
        );
        ensureContent(await decode(shifted(sample.bytes), sample.name), sample, `${sample.name} at an odd address`);
      }),
    ),
    check("ends with a PruneError that names the file, wherever it is cut off", async () => {
      for (const { bytes, name } of await wholeFiles(spec)) {
        for (const length of cuts(bytes.length))
          await ensureRefused(decode, bytes.slice(0, length), `${name} cut to ${length} bytes`);
      }
    }),
    ...(spec.allowsTrailingBytes
      ? []
      : [
          check("refuses bytes after the end", async () => {
            for (const { bytes, name } of await wholeFiles(spec)) {
              const longer = new Uint8Array(bytes.length + 3);
              longer.set(bytes);
              longer.set([1, 2, 3], bytes.length);
              await ensureRefused(decode, longer, `${name} and three bytes`);
            }
          }),
        ]),
    check("reads a file with one byte changed, or refuses it with a PruneError", async () => {
      for (const { bytes, name } of await wholeFiles(spec)) {
        for (const place of cuts(bytes.length)) {
          for (const bits of [0x01, 0x80, 0xff]) {
            const damaged = bytes.slice();
            damaged[place]! ^= bits;
            await ensureReadOrRefused(decode, damaged, `${name} with byte ${place} changed`);
          }
        }
      }
    }),
    check("refuses what is no such file at all", async () => {
      const text = new TextEncoder().encode("<!doctype html><title>404</title>");
      for (const [what, bytes] of Object.entries({
        nothing: new Uint8Array(0),
        zeros: new Uint8Array(500),
        "a web page": text,
      })) {
        await ensureRefused(decode, bytes, what);
      }
    }),
  ];
}

function roundTrip(spec: FormatSpec, encode: NonNullable<FormatSpec["encode"]>, decode: Decode): Check {
  return {
    name: "gives back names, shapes, element types and every bit",
    async run() {
      for (const content of formatContents(spec)) {
        const copies = content.tensors.map(({ data }) => data.slice());
        const bytes = await encode(content);
        const label = content.tensors
          .map(({ name, dtype, shape }) => `${name} ${dtype} [${shape.join(", ")}]`)
          .join("; ")
          .replace(/^(.{80}).+$/su, "$1 ...");
        ensureContent(await decode(bytes, "test file"), content, label);
        ensureContent(await decode(shifted(bytes), "test file"), content, `${label}, at an odd address`);
        for (const [i, { data, name }] of content.tensors.entries()) {
          ensure(
            bitsOf(data).every((byte, at) => byte === bitsOf(copies[i]!)[at]),
            () => `encoding changed the tensor '${name}'`,
          );
        }
      }
    },
  };
}

/** Beyond what may be spread as arguments of a call: some 120,000 of them overflow the stack. */
const largeSize = 150_000;

/** Files of networks have millions of weights: what works on a few may not on many. */
function largeTrip(spec: FormatSpec, encode: NonNullable<FormatSpec["encode"]>, decode: Decode): Check {
  return {
    name: `holds a tensor of ${largeSize} numbers`,
    async run() {
      const dtype = dtypesOf(spec)[0]!;
      const content = { tensors: [{ name: "w", dtype, shape: [largeSize], data: makers[dtype](largeSize) }] };
      ensureContent(await decode(await encode(content), "test file"), content, `${largeSize} numbers of ${dtype}`);
    },
  };
}

function encodingChecks(spec: FormatSpec, encode: NonNullable<FormatSpec["encode"]>): readonly Check[] {
  return [
    {
      name: "writes the same bytes for the same content",
      async run() {
        for (const content of formatContents(spec)) {
          const [first, second] = [await encode(content), await encode(content)];
          ensure(first instanceof Uint8Array, () => `encode returned ${typeof first}, expected a Uint8Array`);
          const isSame = first.length === second.length && first.every((byte, i) => byte === second[i]);
          ensure(isSame, () => "two files of the same content differ");
        }
      },
    },
    {
      name: "refuses to write a shape that does not fit the numbers",
      async run() {
        const tensor: StoredTensor = {
          name: "w",
          dtype: dtypesOf(spec)[0]!,
          shape: [2, 3],
          data: makers[dtypesOf(spec)[0]!](5),
        };
        try {
          await encode({ tensors: [tensor] });
        } catch (error) {
          ensure(
            isPruneError(error),
            () => `[2, 3] with 5 numbers: ended with ${describe(error)}, expected a PruneError`,
          );
          return;
        }
        throw new Error("[2, 3] with 5 numbers was written, expected a PruneError");
      },
    },
  ];
}

async function wholeFiles(spec: FormatSpec): Promise<readonly { name: string; bytes: Uint8Array }[]> {
  const files = (spec.samples ?? []).map(({ name, bytes }) => ({ name, bytes }));
  if (!spec.encode) return files;
  const dtype = dtypesOf(spec)[0]!;
  const tensor: StoredTensor = { name: "w", dtype, shape: [2, 3], data: makers[dtype](6) };
  return [...files, { name: "test file", bytes: await spec.encode({ tensors: [tensor] }) }];
}

/** Every place of the first 300 and the last 100 bytes, some between. */
function cuts(length: number): readonly number[] {
  const places: number[] = [];
  const step = Math.max(1, Math.ceil(length / 97));
  for (let i = 0; i < length; i++) if (i < 300 || i >= length - 100 || i % step === 0) places.push(i);
  return places;
}

/** The same bytes at an address that is a multiple of nothing. */
function shifted(bytes: Uint8Array): Uint8Array {
  const larger = new Uint8Array(bytes.length + 1);
  larger.set(bytes, 1);
  return larger.subarray(1);
}

function bitsOf(data: StoredElements): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function ensureContent(found: StoredContent, expected: StoredContent, label: string): void {
  const fault = contentFault(found);
  ensure(fault === undefined, () => `${label}: decode returned ${fault}`);
  const sorted = ({ tensors }: StoredContent) => [...tensors].sort((a, b) => (a.name < b.name ? -1 : 1));
  const [left, right] = [sorted(found), sorted(expected)];
  ensure(left.length === right.length, () => `${label}: ${left.length} tensors come back, expected ${right.length}`);
  for (const [i, tensor] of right.entries()) {
    const { name, dtype, shape, data } = left[i]!;
    const isNamed = name === tensor.name || right.length === 1;
    ensure(isNamed, () => `${label}: a tensor is named '${name}', expected '${tensor.name}'`);
    ensure(dtype === tensor.dtype, () => `${label}: '${tensor.name}' is ${dtype}, expected ${tensor.dtype}`);
    ensure(
      shape.join() === tensor.shape.join(),
      () => `${label}: '${tensor.name}' is [${shape.join()}], expected [${tensor.shape.join()}]`,
    );
    const [bits, wanted] = [bitsOf(data), bitsOf(tensor.data)];
    const isSame = bits.length === wanted.length && bits.every((byte, at) => byte === wanted[at]);
    ensure(isSame, () => `${label}: the numbers of '${tensor.name}' come back changed`);
  }
  for (const [key, value] of Object.entries(expected.metadata ?? {})) {
    ensure(
      found.metadata?.[key] === value,
      () => `${label}: metadata '${key}' is ${JSON.stringify(found.metadata?.[key])}`,
    );
  }
}

async function ensureRefused(decode: Decode, bytes: Uint8Array, label: string): Promise<void> {
  const source = "a/file.name";
  try {
    await decode(bytes, source);
  } catch (error) {
    ensure(isPruneError(error), () => `${label}: ended with ${describe(error)}, expected a PruneError`);
    ensure(error.message.includes(source), () => `${label}: the message does not name the file: ${error.message}`);
    return;
  }
  throw new Error(`${label}: was read, expected a PruneError`);
}

async function ensureReadOrRefused(decode: Decode, bytes: Uint8Array, label: string): Promise<void> {
  let content: StoredContent;
  try {
    content = await decode(bytes, "a/file.name");
  } catch (error) {
    ensure(isPruneError(error), () => `${label}: ended with ${describe(error)}, expected tensors or a PruneError`);
    return;
  }
  const fault = contentFault(content);
  ensure(fault === undefined, () => `${label}: decode returned ${fault}`);
}
