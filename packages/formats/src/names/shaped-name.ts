/** A tensor without its elements. */
export interface ShapedName {
  readonly name: string;
  /** extents, outermost first */
  readonly shape: readonly number[];
}
