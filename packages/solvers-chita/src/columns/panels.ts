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

/** Cuts the panels of `size` columns into runs of nearly equal length; at most as many as there are panels. */
export function cutPanels(size: number, shards: number, panel: number = panelColumns): readonly PanelRange[] {
  const panels = Math.ceil(size / panel);
  const count = Math.min(shards, panels);
  const border = (index: number): number => Math.floor((index * panels) / count);
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
  readonly range: PanelRange;
  readonly panel: number;
  /** Bytes of panels that stay in memory. */
  readonly residentBytes: number;
  readonly kernels: Kernels;
}

/** Reads panels and keeps what it may. */
export class Panels {
  readonly #spec: PanelSpec;
  readonly #kept = new Map<number, Mat>();
  /** Of the panels that do not stay. */
  #passing: Vec | undefined;

  constructor(spec: PanelSpec) {
    this.#spec = spec;
  }

  /** The shard's first column among all. */
  get start(): number {
    return this.#spec.range.from * this.#spec.panel;
  }

  /** How many columns the shard has. */
  get size(): number {
    const { range, panel, source } = this.#spec;
    return Math.min(source.size, range.to * panel) - this.start;
  }

  /**
   * The panels of the shard, from the left to the right. One is good until the next is asked for.
   *
   * @param wants - whether a panel from column `at` of the shard is asked for; default: all are
   */
  async *all(wants: (at: number, cols: number) => boolean = () => true): AsyncGenerator<Panel> {
    const { range, panel, source, residentBytes, kernels } = this.#spec;
    for (let index = range.from; index < range.to; index++) {
      const [place, first] = [index - range.from, index * panel];
      const cols = Math.min(panel, source.size - first);
      if (!wants(first - this.start, cols)) continue;
      let rows = this.#kept.get(index);
      if (!rows) {
        const stays = 4 * (place + 1) * panel * source.rows <= residentBytes;
        if (!stays) this.#passing ??= kernels.alloc(source.rows * Math.min(panel, source.size), "f32");
        const length = source.rows * cols;
        const data = stays ? kernels.alloc(length, "f32") : this.#passing!.subarray(0, length);
        rows = matrix(source.rows, cols, data);
        await source.read(first, rows);
        if (stays) this.#kept.set(index, rows);
      }
      yield { index, at: first - this.start, rows };
    }
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
