/**
 * What a file may ask for, beyond what its own size explains. Every limit is far above honest files and is checked before
 * the work; docs/limits.md lists them for users.
 */

/** Values that one pickle may push, and memo entries it may have. A checkpoint of 100,000 tensors needs about 2.5 million. */
export const MAX_PICKLE_VALUES: number = 2 ** 22;

/**
 * Lists, dictionaries, entries, byte strings and calls that a pickle of so many bytes may make, each of about 80 bytes of
 * memory: what fits in 21 MB, and one more for every 8 bytes. A tensor takes some ten of them in 150 bytes.
 */
export function maxPickleNodes(bytes: number): number {
  return 2 ** 18 + Math.floor(bytes / 8);
}

/** Characters of one tensor's name in a pickle, where names are joined from the keys of nested dictionaries. */
export const MAX_NAME_LENGTH = 4096;

/**
 * Entries of dictionaries that may be visited in a pickle of so many bytes, the same dictionary counted again wherever it
 * stands. An entry takes more than one byte, so only dictionaries that stand in very many places get there.
 */
export function maxPickleVisits(bytes: number): number {
  return 2 ** 12 + bytes;
}

/** Characters of all names together. */
export function maxNameCharacters(bytes: number): number {
  return 2 ** 16 + 16 * bytes;
}

/** Bytes that the compressed entries of an archive of so many bytes may unpack to together. */
export function maxInflatedBytes(packed: number): number {
  return Math.min(2 ** 31 - 1, Math.max(2 ** 26, 32 * packed));
}

/** Tensors of one checkpoint. */
export const MAX_TENSORS = 250_000;

/** Entries of free text beside the tensors of one file. */
export const MAX_METADATA = 65_536;

/** How many times its own size the tensors of a file may have, where several share their elements. */
export const MAX_SHARING = 16;

/** Dimensions of an array; NumPy and PyTorch have no more. */
export const MAX_RANK = 64;

/** Files that one checkpoint may be split into. */
export const MAX_SHARDS = 1000;

/** Bytes of the JSON that names the files of a split checkpoint. */
export const MAX_INDEX_BYTES: number = 2 ** 26;
