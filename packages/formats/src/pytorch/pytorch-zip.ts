/**
 * The zip layout of torch.save (since 1.6): NAME/data.pkl, NAME/data/KEY with the bytes of each storage, and since 2.1
 * NAME/byteorder ("little" where there is none).
 */
import { badPytorch } from "../errors.ts";
import { decodeText } from "../pickle/pickle-machine.ts";
import { readPickle } from "../pickle/read-pickle.ts";
import { quote } from "../text/quote.ts";
import type { PytorchFile } from "./pytorch-file.ts";
import { type StorageReference, storagesByKey } from "./pytorch-storage.ts";
import { readZipDirectory, type ZipEntry, zipEntryBytes } from "./zip-archive.ts";

/** Opens a file of the zip layout. @throws ERR_PYTORCH */
export function openPytorchZip(bytes: Uint8Array, source: string): PytorchFile {
  const entries = readZipDirectory(bytes, source);
  const folder = folderOf(entries, source);
  const entryBytes = (name: string): Uint8Array | undefined => {
    const entry = entries.get(folder + name);
    return entry === undefined ? undefined : zipEntryBytes(bytes, entry, source);
  };
  const order = decodeText(entryBytes("byteorder") ?? new Uint8Array(0)).trim();
  if (order !== "" && order !== "little" && order !== "big") {
    throw badPytorch({ source, found: `the byte order ${quote(order)}`, expected: "little or big" });
  }
  const program = entryBytes("data.pkl") ?? new Uint8Array(0);
  const pickle = readPickle(program, 0, source);
  // References to one storage must agree on its size, which is checked against the file once.
  storagesByKey(pickle.references, source);
  return {
    pickle,
    littleEndian: order !== "big",
    storage: (reference) => storageBytes(entryBytes(`data/${reference.key}`), reference, source),
  };
}

/** The folder that holds data.pkl, with its slash. */
function folderOf(entries: ReadonlyMap<string, ZipEntry>, source: string): string {
  const suffix = "/data.pkl";
  const folders = [...entries.keys()]
    .filter((name) => name.endsWith(suffix))
    .map((name) => name.slice(0, 1 - suffix.length));
  const folder = folders.find((name) => name.indexOf("/") === name.length - 1);
  if (folder === undefined) {
    throw badPytorch({ source, found: "a zip file without NAME/data.pkl", expected: "one that torch.save wrote" });
  }
  if (entries.has(`${folder}constants.pkl`)) {
    throw badPytorch({
      source,
      found: "a TorchScript archive",
      expected: "a state dict",
      remedy: "load it with torch.jit.load and save it with torch.save(model.state_dict(), FILE)",
    });
  }
  return folder;
}

function storageBytes(bytes: Uint8Array | undefined, reference: StorageReference, source: string): Uint8Array {
  const { key, length, bytesPerElement, className } = reference;
  const expected = length * bytesPerElement;
  // A resized storage may end within an element.
  if (bytes !== undefined && bytes.length >= expected && bytes.length < expected + bytesPerElement) return bytes;
  throw badPytorch({
    source,
    found: `the storage ${quote(key)} ${bytes === undefined ? "missing" : `with ${bytes.length} bytes`}`,
    expected: `the ${expected} bytes of ${length} elements of ${className}`,
  });
}
