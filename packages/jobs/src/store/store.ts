/**
 * Where jobs leave their bytes: blobs, which are named by their hash and never change, and small records by name (which result a job has, which
 * workers there are). A folder that all machines mount is one; an S3-compatible service takes an object with these ten methods.
 */
import type { Hash } from "../job/job.ts";

/** Bytes by hash, and records by name. All methods may be called from many machines at once. */
export interface Store {
  /** For messages and for threads that open the same store: a path or an address. */
  readonly place: string;
  /** The same on every machine that sees this store, and of no other store. */
  readonly id: string;
  /** Keeps bytes; does nothing where they are there. Appear whole or not at all. @returns their hash. @throws ERR_STORE_FULL, ERR_STORE */
  put(bytes: Uint8Array): Promise<Hash>;
  /** Keeps a file's bytes without holding them in memory. */
  putFile(path: string, how?: { readonly signal?: AbortSignal | undefined }): Promise<Hash>;
  /**
   * Keeps a file where it lies, without a second copy of its bytes: who changes it in place damages the blob, which `view` finds when it is next asked for it.
   *
   * @returns undefined where the store lies elsewhere, its disk has no links, or others may not read the file
   */
  linkFile(path: string, how?: { readonly signal?: AbortSignal | undefined }): Promise<Hash | undefined>;
  /** Keeps what comes piece by piece: in a folder more than memory holds, in a bucket as much as one object. What the pieces throw is thrown. */
  putPieces(pieces: AsyncIterable<Uint8Array>): Promise<Hash>;
  /** The bytes, checked against their hash. @throws ERR_BLOB_MISSING, ERR_BLOB_DAMAGED (such bytes are moved aside) */
  get(hash: Hash): Promise<Uint8Array>;
  /**
   * A local folder that holds the bytes as files, by relative name with "/", to be read and not written. Every file is checked against its hash
   * once a process, and again where the disk says that it was written to. @throws ERR_BLOB_MISSING, ERR_BLOB_DAMAGED
   */
  view(files: Readonly<Record<string, Hash>>): Promise<string>;
  /** Writes a record, whole or not at all; the last one written stands. @param name - letters, digits, "-" and one "/" */
  write(name: string, record: Uint8Array): Promise<void>;
  /** A record; undefined where there is none. */
  read(name: string): Promise<Uint8Array | undefined>;
  /** Names of the records below a folder, with how many milliseconds ago each was written by the store's own clock. */
  list(folder: string): Promise<readonly { readonly name: string; readonly ageMs: number }[]>;
  /** Removes a record; nothing where there is none. */
  remove(name: string): Promise<void>;
}
