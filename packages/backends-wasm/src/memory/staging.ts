/**
 * Operands that live outside the WebAssembly memory are copied through slabs of working memory, a block at a time; those inside
 * are used in place. Either way a kernel sees an address and a leading dimension.
 */
import type { Mat, Vec } from "@secateur/core";
import type { Engine, Slab } from "../engine.ts";
import { memoryExhausted } from "../errors.ts";

/** Rows [rowFrom, rowTo) and columns [colFrom, colTo) of a matrix. */
export interface Block {
  readonly rowFrom: number;
  readonly rowTo: number;
  readonly colFrom: number;
  readonly colTo: number;
}

/** Where a kernel finds a block. */
export interface Placed {
  readonly address: number;
  /** Elements from one row to the next. */
  readonly stride: number;
}

/** Rows this narrow are copied entry by entry: making a view costs more. */
const NARROW = 32;

/** Whether an operand is used in place. */
export function isResident(engine: Engine, vector: ArrayBufferView): boolean {
  return engine.memory.addressOf(vector) !== undefined;
}

/**
 * Calls `use` with a slab of at least `bytes`: the given one, or memory of the heap for as long as the call lasts.
 * Throws ERR_WASM_MEMORY when neither has room.
 */
export function withRoom<T>(engine: Engine, slab: Slab, bytes: number, use: (slab: Slab) => T): T {
  if (bytes <= slab.bytes) return use(slab);
  const address = engine.memory.reserve(bytes);
  try {
    return use({ address, bytes });
  } finally {
    engine.memory.release(address);
  }
}

/** Makes a block readable to kernels: in place, or as a copy in `slab`. */
export function placeBlock(engine: Engine, slab: Slab, mat: Mat, block: Block): Placed {
  const placed = spaceFor(engine, slab, mat, block);
  if (!isResident(engine, mat.data)) copyBlock({ engine, mat, block, placed, direction: "in" });
  return placed;
}

/** Room for a block that kernels overwrite: in place, or in `slab`. `storeBlock` brings it home. */
export function spaceFor(engine: Engine, slab: Slab, mat: Mat, block: Block): Placed {
  const address = engine.memory.addressOf(mat.data);
  if (address === undefined) {
    const stride = block.colTo - block.colFrom;
    guard(engine, slab, (block.rowTo - block.rowFrom) * stride * mat.data.BYTES_PER_ELEMENT);
    return { address: slab.address, stride };
  }
  const offset = block.rowFrom * mat.cols + block.colFrom;
  return { address: address + offset * mat.data.BYTES_PER_ELEMENT, stride: mat.cols };
}

/** Copies a block back from where `spaceFor` or `placeBlock` put it; nothing to do in place. */
export function storeBlock(engine: Engine, mat: Mat, block: Block, placed: Placed): void {
  if (!isResident(engine, mat.data)) copyBlock({ engine, mat, block, placed, direction: "out" });
}

/** Makes entries [from, to) of a vector readable to kernels and returns their address. */
export function placeVector(engine: Engine, slab: Slab, vector: Vec, from = 0, to: number = vector.length): number {
  const size = vector.BYTES_PER_ELEMENT;
  const address = engine.memory.addressOf(vector);
  if (address !== undefined) return address + from * size;
  guard(engine, slab, (to - from) * size);
  const whole = from === 0 && to === vector.length;
  engine.memory.viewLike(vector).set(whole ? vector : vector.subarray(from, to), slab.address / size);
  return slab.address;
}

/** Room for entries [from, to) of a vector that kernels overwrite; returns their address. */
export function spaceForVector(engine: Engine, slab: Slab, vector: Vec, from = 0, to: number = vector.length): number {
  const address = engine.memory.addressOf(vector);
  if (address !== undefined) return address + from * vector.BYTES_PER_ELEMENT;
  guard(engine, slab, (to - from) * vector.BYTES_PER_ELEMENT);
  return slab.address;
}

/** Copies entries [from, to) of a vector back from `slab`; nothing to do in place. */
export function storeVector(engine: Engine, slab: Slab, vector: Vec, from = 0, to: number = vector.length): void {
  if (isResident(engine, vector)) return;
  const start = slab.address / vector.BYTES_PER_ELEMENT;
  vector.set(engine.memory.viewLike(vector).subarray(start, start + to - from), from);
}

/** Copies 32-bit indices into `slab`, or uses them in place; returns their address. */
export function placeIndices(
  engine: Engine,
  slab: Slab,
  indices: Uint32Array,
  from = 0,
  to: number = indices.length,
): number {
  const address = engine.memory.addressOf(indices);
  if (address !== undefined) return address + from * 4;
  guard(engine, slab, (to - from) * 4);
  engine.memory.u32.set(indices.subarray(from, to), slab.address / 4);
  return slab.address;
}

// Callers cut tiles to fit. A mistake there must not write over the neighbouring slab.
function guard(engine: Engine, slab: Slab, bytes: number): void {
  if (bytes > slab.bytes) throw memoryExhausted(bytes, engine.memory.maxBytes);
}

interface BlockCopy {
  readonly engine: Engine;
  readonly mat: Mat;
  readonly block: Block;
  readonly placed: Placed;
  readonly direction: "in" | "out";
}

function copyBlock({ engine, mat, block, placed, direction }: BlockCopy): void {
  const { data, cols } = mat;
  const view = engine.memory.viewLike(data);
  const width = block.colTo - block.colFrom;
  const home = block.rowFrom * cols + block.colFrom;
  const away = placed.address / data.BYTES_PER_ELEMENT;
  const rows = block.rowTo - block.rowFrom;
  const [from, fromAt, fromStride] = direction === "in" ? [data, home, cols] : [view, away, width];
  const [to, toAt, toStride] = direction === "in" ? [view, away, width] : [data, home, cols];
  if (width === cols) {
    to.set(from.subarray(fromAt, fromAt + rows * cols), toAt);
    return;
  }
  for (let i = 0; i < rows; i++) {
    const source = fromAt + i * fromStride;
    const target = toAt + i * toStride;
    if (width < NARROW) for (let j = 0; j < width; j++) to[target + j] = from[source + j] as number;
    else to.set(from.subarray(source, source + width), target);
  }
}
