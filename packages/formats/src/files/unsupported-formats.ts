import type { FileFormat } from "./detect-format.ts";

const FROM_PYTORCH = `python -c "import sys, torch; from safetensors.torch import save_file; d = torch.load(sys.argv[1], map_location='cpu', weights_only=True); d = d.get('state_dict', d); save_file({k: v.contiguous() for k, v in d.items()}, sys.argv[2])" IN OUT.safetensors`;
const FROM_KERAS =
  "with TF_USE_LEGACY_KERAS=1, tensorflowjs.converters.save_keras_model(tf_keras.models.load_model(IN), OUT_FOLDER)";
const FROM_NUMPY = `python -c "import sys, numpy; from safetensors.numpy import save_file; save_file(dict(numpy.load(sys.argv[1])), sys.argv[2])" IN OUT.safetensors`;

/** A format that is recognised and not read. */
export type UnsupportedFormat = Exclude<FileFormat, "safetensors" | "pytorch-zip" | "pytorch-pickle" | "onnx">;

/** Formats that are recognised and not read: what each is called and how to get safetensors from it. */
export const UNSUPPORTED_FORMATS: Readonly<Record<UnsupportedFormat, { found: string; remedy: string }>> = {
  pickle: { found: "a Python pickle", remedy: `if PyTorch wrote it, convert it: ${FROM_PYTORCH}` },
  tfjs: {
    found: "a TensorFlow.js model.json",
    remedy:
      "give it to secateur prune, eval, compare or inspect as it is; to pack it, make it ONNX first (secateur convert MODEL.json --out net.onnx); train it in TensorFlow.js itself",
  },
  hdf5: {
    found: "an HDF5 file (Keras)",
    remedy: `convert it to TensorFlow.js and give the model.json: ${FROM_KERAS}`,
  },
  npy: {
    found: "an .npy file (one array, not a network)",
    remedy: "give it to 'solve' (--gradients, --weights), or save named arrays with safetensors.numpy.save_file",
  },
  keras: {
    found: "a Keras 3 archive (.keras)",
    remedy: `convert it to TensorFlow.js and give the model.json: ${FROM_KERAS}`,
  },
  "shard-index": {
    found: "the index of a checkpoint in several files",
    remedy: "give its path to a command, or to readCheckpoint, which read the files beside it",
  },
  npz: { found: "an .npz archive", remedy: `convert it: ${FROM_NUMPY}` },
  gguf: { found: "a GGUF file", remedy: "use the safetensors files it was made from" },
  zip: { found: "a zip archive", remedy: "unpack it and give the safetensors file inside" },
  tar: {
    found: "a tar archive",
    remedy: `unpack it and give the checkpoint inside; if PyTorch before 0.1.12 wrote it, convert it: ${FROM_PYTORCH}`,
  },
  gzip: { found: "a gzip file", remedy: "unpack it with gunzip first" },
  "git-lfs-pointer": {
    found: "a Git LFS pointer instead of the file",
    remedy: "run 'git lfs pull' to fetch the file itself",
  },
  html: { found: "a web page", remedy: "download the file itself rather than the page about it" },
  unknown: { found: "an unknown format or a damaged file", remedy: "export the network as safetensors" },
};
