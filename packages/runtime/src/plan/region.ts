/**
 * Memory of values. A flat region holds numbers row-major. A region of planes holds, for every image and channel, the image row by row,
 *
 *   lead | row 0, gap | row 1, gap | ... | (lead of the next plane)
 *
 * where lead and gaps are zeros that serve as the padding of convolutions: with a common distance from row to row, a tap of a window
 * is the same distance for every position. A matrix of positions and features is planes of one row: a feature's numbers of all positions.
 */

/** Rows that keep one distance in several regions, because a kernel runs over both at once: a union-find forest. */
export interface RowClass {
  parent: RowClass | undefined;
  /** Of the root: numbers from row to row, at least. */
  stride: number;
}

/** What a region of planes holds. */
export interface PlaneShape {
  readonly images: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly rows: RowClass;
  /** Zeros that some reader needs around the image, in rows and columns. Grows while the network is planned. */
  marginY: number;
  marginX: number;
  /** Planes that have memory, where steps use some at a time; else all. */
  held?: number;
}

/** A piece of memory and when it is in use, in numbers of steps. */
export interface Region {
  /** Numbers of a flat region. */
  readonly count: number;
  readonly planes: PlaneShape | undefined;
  /** Whether nothing else may ever use this memory: zeros in it stay zeros, or the caller writes to it. */
  readonly isPrivate: boolean;
  /** Of an input whose numbers choose rows of a table: how many the smallest has. */
  rows?: number;
  first: number;
  last: number;
  /** In bytes; known once the plan is laid out. */
  address: number;
}

/** Places inside a region of planes, in numbers. */
export interface Geometry {
  /** From row to row. */
  readonly stride: number;
  /** Zeros before position (0, 0) of a plane; a multiple of 4. */
  readonly lead: number;
  /** Vectors of four positions from there that cover the image, gaps included. */
  readonly vectors: number;
  /** From plane to plane. */
  readonly plane: number;
}

export function flatRegion(count: number, isPrivate = false): Region {
  return { count, planes: undefined, isPrivate, first: Number.POSITIVE_INFINITY, last: -1, address: 0 };
}

export function planeRegion(
  shape: Omit<PlaneShape, "rows" | "marginX" | "marginY">,
  isPrivate = false,
): Region & { readonly planes: PlaneShape } {
  const rows: RowClass = { parent: undefined, stride: shape.width };
  return { ...flatRegion(0, isPrivate), planes: { ...shape, rows, marginX: 0, marginY: 0 } };
}

/** Makes both regions keep one distance from row to row. */
export function uniteRows(a: PlaneShape, b: PlaneShape): void {
  const [first, second] = [rootOf(a.rows), rootOf(b.rows)];
  if (first === second) return;
  second.parent = first;
  first.stride = Math.max(first.stride, second.stride);
}

/** Asks for zeros around a region's images. */
export function needMargin(shape: PlaneShape, y: number, x: number): void {
  shape.marginY = Math.max(shape.marginY, y);
  shape.marginX = Math.max(shape.marginX, x);
  const root = rootOf(shape.rows);
  root.stride = Math.max(root.stride, shape.width + shape.marginX);
}

function rootOf(rows: RowClass): RowClass {
  let root = rows;
  while (root.parent) root = root.parent;
  return root;
}

/** Final once everything is planned. */
export function geometryOf(shape: PlaneShape): Geometry {
  const { stride } = rootOf(shape.rows);
  const lead = Math.ceil((shape.marginY * stride + shape.marginX) / 4) * 4;
  const vectors = Math.ceil((shape.height * stride) / 4);
  return { stride, lead, vectors, plane: spreadOut(lead + 4 * vectors) };
}

/**
 * Where planes are an even number of cache lines apart, the same position of all of them falls on half of the cache's sets or fewer, and they
 * drive each other out: one line more makes it all sets. Small planes follow each other closely in any case.
 */
function spreadOut(plane: number): number {
  const lines = plane / lineNumbers;
  return lines < 8 || lines % 2 !== 0 ? plane : plane + lineNumbers;
}

/** Numbers of a line of the cache. */
const lineNumbers = 16;

/** Numbers that kernels may read or write behind what a region holds. */
const slack = 64;

export function bytesOf({ count, planes }: Region): number {
  if (!planes) return 4 * (Math.ceil(count / 16) * 16 + slack);
  const { stride, lead, plane } = geometryOf(planes);
  const held = planes.held ?? planes.images * planes.channels;
  return 4 * (held * plane + lead + stride + slack);
}

/** Regions of one key keep their zeros in the same places, so that one may follow another in the same memory. */
export function poolKey({ planes }: Region): string {
  if (!planes) return "flat";
  const { stride, lead } = geometryOf(planes);
  return `${planes.height} ${planes.width} ${stride} ${lead}`;
}

/** Address of position (0, 0) of the first plane, or of the first number. */
export function originOf(region: Region): number {
  return region.address + (region.planes ? 4 * geometryOf(region.planes).lead : 0);
}
