/** A graph whose tensors in other files are read when somebody asks for their numbers, and written where they are changed. */
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  asTensorLike,
  elementsFrom,
  type OnnxGraph,
  type OnnxTensor,
  putElements,
  type Tensor,
  type TensorDtype,
} from "@secateur/formats";
import type { GraphSpec, GraphTensor } from "@secateur/graph";
import { fileShrank } from "../../errors.ts";

/** The graph of a model at `path`. @param copyOf - asked whenever numbers move: the file that is read and written in place of one beside the model */
export function streamedGraph(graph: OnnxGraph, path: string, copyOf: (file: string) => string): GraphSpec {
  const streamed = (tensor: OnnxTensor): GraphTensor => {
    if (!("opaque" in tensor) || !tensor.distant) return tensor as GraphTensor;
    const { name, shape, distant } = tensor;
    const { location, offset, length } = distant;
    const dtype = tensor.dtype as TensorDtype;
    const place = join(dirname(path), location);
    const read = (): Tensor["data"] => {
      const bytes = new Uint8Array(length);
      transfer(
        copyOf(place),
        "r",
        (handle, at) => readSync(handle, bytes, at, piece(length - at), offset + at),
        length,
      );
      return elementsFrom(dtype, bytes, true);
    };
    return {
      ...{ name, dtype, shape, distant },
      get data() {
        return read();
      },
      store(numbers) {
        const changed = asTensorLike({ dtype, shape, data: read() } as Tensor, numbers);
        const bytes = new Uint8Array(length);
        putElements(changed.data, bytes, 0);
        transfer(
          copyOf(place),
          "r+",
          (handle, at) => writeSync(handle, bytes, at, piece(length - at), offset + at),
          length,
        );
      },
    };
  };
  return { ...(graph as GraphSpec), initializers: graph.initializers.map(streamed) };
}

/** Node moves less than 2 GiB at a time. */
function piece(bytes: number): number {
  return Math.min(bytes, 2 ** 30);
}

/** Moves bytes until all have been. @throws ERR_USAGE where the file has fewer than before */
function transfer(file: string, mode: "r" | "r+", move: (handle: number, at: number) => number, length: number): void {
  const handle = openSync(file, mode);
  try {
    for (let at = 0; at < length; ) {
      const moved = move(handle, at);
      if (moved === 0) throw fileShrank(file);
      at += moved;
    }
  } finally {
    closeSync(handle);
  }
}
