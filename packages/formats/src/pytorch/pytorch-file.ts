import type { Pickle } from "../pickle/read-pickle.ts";
import type { StorageReference } from "./pytorch-storage.ts";

/** A PyTorch file of either layout, opened: its pickle, and where the bytes of its storages are. */
export interface PytorchFile {
  readonly pickle: Pickle;
  /** the byte order of the storages */
  readonly littleEndian: boolean;
  /**
   * The bytes of a whole storage, a view of the file.
   *
   * @throws ERR_PYTORCH when the file does not have them, or not as many as the reference says
   */
  storage(reference: StorageReference): Uint8Array;
}
