/** The columns of one shard, a panel at a time: as many panels as may stay in memory are read once, the others again at every pass. */
import { type Kernels, type Mat, matrix, type Vec } from "@secateur/core";

/** Gradient rows G [rows, p] that are read by columns. */
export interface ColumnRows {
  /** n */
  readonly rows: number;
  /** p */
  readonly size: number;
  /** Writes columns [from, from + out.cols) of G into out [rows, cols], f32. */
  read(from: number, out: Mat): void | Promise<void>;
}

/** Which panels a shard holds: [from, to) of those that all columns make. */
export interface PanelRange {
  readonly from: number;
  readonly to: number;
}

/**
 * Columns a panel by default. Sums over the columns are sums over panels (tree-sum.ts), so that results depend on this number and on no other way
 * of cutting the columns; a panel of 256 rows is 16 MiB.
 */
export const panelColumns = 16_384;

/**
 * Cuts the panels of `size` columns into runs of nearly equal length; at most as many as there are panels. Runs begin at multiples of a power of two, so that
 * each is a few nodes of the tree of sums; they differ by an eighth at most.
 */
export function cutPanels(size: number, shards: number, panel: number = panelColumns): readonly PanelRange[] {
  const panels = Math.ceil(size / panel);
  const count = Math.min(shards, panels);
  const unit = 2 ** Math.max(0, Math.floor(Math.log2(panels / count)) - 3);
  const border = (index: number): number =>
    index === count ? panels : Math.floor((index * panels) / count / unit) * unit;
  return Array.from({ length: count }, (_, index) => ({ from: border(index), to: border(index + 1) }));
}

/** A panel at hand. */
export interface Panel {
  /** Its place among the panels of all columns. */
  readonly index: number;
  /** Its first column among those of the shard. */
  readonly at: number;
  /** [rows, columns of this panel] */
  readonly rows: Mat;
}

/** Where panels come from. */
export interface PanelSpec {
  readonly source: ColumnRows;
  /** The column of all that the source begins with; default 0. */
  readonly first?: number | undefined;
  readonly range: PanelRange;
  readonly panel: number;
  /** Bytes of panels that are in memory. */
  readonly residentBytes: number;
  readonly kernels: Kernels;
  /** Called before each panel, where others may have their turn; what it throws ends the pass. */
  readonly pause?: (() => Promise<void>) | undefined;
}

/** Reads panels and keeps what it may. */
export class Panels {
  readonly #spec: PanelSpec;
  readonly #kept = new Map<number, Mat>();
  /** How many stay, of which the first ones do. */
  readonly #stay: number;
  /** Of the panels that do not stay. */
  #passing: Vec | undefined;

  constructor(spec: PanelSpec) {
    this.#spec = spec;
    const { range, panel, source, residentBytes } = spec;
    const bytes = 4 * panel * source.rows;
    const fits = Math.floor(residentBytes / bytes);
    // One is kept free for those that pass.
    this.#stay = fits >= range.to - range.from ? fits : Math.max(0, fits - 1);
  }

  /** The shard's first column among all. */
  get start(): number {
    return this.#spec.range.from * this.#spec.panel;
  }

  /** How many columns the shard has. */
  get size(): number {
    const { range, panel, source, first = 0 } = this.#spec;
    return Math.min(first + source.size, range.to * panel) - this.start;
  }

  /** The panels of the shard, from the left to the right. One is good until the next is asked for. */
  async *all(): AsyncGenerator<Panel> {
    const { range, panel, source, first = 0, kernels, pause } = this.#spec;
    for (let index = range.from; index < range.to; index++) {
      await pause?.();
      const at = index * panel - this.start;
      const cols = Math.min(panel, this.size - at);
      let rows = this.#kept.get(index);
      if (!rows) {
        const stays = index - range.from < this.#stay;
        if (!stays) this.#passing ??= kernels.alloc(source.rows * Math.min(panel, this.size), "f32");
        const length = source.rows * cols;
        const data = stays ? kernels.alloc(length, "f32") : this.#passing!.subarray(0, length);
        rows = matrix(source.rows, cols, data);
        await source.read(index * panel - first, rows);
        if (stays) this.#kept.set(index, rows);
      }
      yield { index, at, rows };
    }
  }

  /** Single columns of the shard, ascending, row by row; read alone where their panels do not stay. */
  async columns(places: readonly number[]): Promise<Float64Array> {
    const { panel, range, source, first = 0 } = this.#spec;
    const found = new Float64Array(source.rows * places.length);
    const alone = matrix(source.rows, 1, new Float32Array(source.rows));
    for (const [s, place] of places.entries()) {
      const kept = this.#kept.get(range.from + Math.floor(place / panel));
      if (!kept) await source.read(this.start + place - first, alone);
      const { data, cols } = kept ?? alone;
      const column = kept ? place % panel : 0;
      for (let i = 0; i < source.rows; i++) found[i * places.length + s] = data[i * cols + column]!;
    }
    return found;
  }

  /** Gives the memory back. */
  release(): void {
    const { kernels } = this.#spec;
    for (const { data } of this.#kept.values()) kernels.free(data);
    this.#kept.clear();
    if (this.#passing) kernels.free(this.#passing);
    this.#passing = undefined;
  }
}
