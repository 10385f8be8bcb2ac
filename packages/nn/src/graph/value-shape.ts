/** The shape of what flows between layers, for one example. A row of features is an image of one position. */
export interface ValueShape {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** Numbers of one example. */
export function sizeOf({ channels, height, width }: ValueShape): number {
  return channels * height * width;
}

/** Positions of one example. */
export function positionsOf({ height, width }: ValueShape): number {
  return height * width;
}
