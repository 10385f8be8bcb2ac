/** The steps of a network while it is planned: what runs, on which memory, with which constants. Places are known only at the end. */
import { kernels } from "./kernel-numbers.ts";
import { pairSteps } from "./pair-steps.ts";
import { flatRegion, geometryOf, originOf, type PlaneShape, planeRegion, type Region } from "./region.ts";
import { matrixOf, productOf, type Value } from "./value.ts";

/** One call of a kernel. */
export interface Step {
  readonly kernel: number;
  /** Pieces of its work, once every distance is known. */
  readonly units: () => number;
  readonly reads: readonly Region[];
  readonly writes: Region;
  /** The words behind kernel and units, once every address is known. */
  readonly words: () => readonly number[];
  /** Multiply-adds, roughly: steps of few are not shared between threads. */
  readonly work: number;
  /** Place of its operator; -1 for what belongs to none. */
  readonly operator: number;
  /** Place of the operator before it that it runs, too. */
  readonly joined?: number;
  /** What it reads plane by plane: each plane of `writes` from the same plane of this alone. */
  readonly readsPlanewise?: Region;
}

/** Numbers that are written when the network is loaded and only read from then on. */
export interface Constant {
  /** Known once rows have their distances. */
  readonly bytes: () => number;
  /** Writes them at `address`. Views of the whole memory. */
  readonly write: (views: { u32: Uint32Array; f32: Float32Array }, address: number) => void;
  address: number;
}

/** What lowering an operator does to the plan. */
export interface Builder {
  readonly threads: number;
  step(step: Omit<Step, "operator">): void;
  constant(bytes: () => number, write: Constant["write"]): Constant;
  /** A constant of f32, with zeros behind it up to a whole number of 16. */
  numbers(values: ArrayLike<number>): Constant;
  /** What was made of the same weights before, such as in a step of time before this one, or else now. `use` says what it is made for. */
  once<T>(weights: Float32Array, use: string, make: () => T): T;
  /** Numbers of a private region that no step writes. */
  fill(region: Region, values: Float32Array): void;
  /** Address of the mask of a region's positions, 0 where it has no gaps. */
  maskOf(region: Region): number;
  /** The value row-major. */
  flat(value: Value): Region;
  /** The value as planes: [n, c, h, w] as images, anything else as a matrix [positions, features]. */
  planes(value: Value): Region & { readonly planes: PlaneShape };
  /** Planes for a value to come. */
  newPlanes(dims: readonly number[], isPrivate?: boolean): Region & { readonly planes: PlaneShape };
  /** Copies numbers: extents, the last innermost; addresses and distances in numbers, once known. */
  copy(spec: CopySpec): void;
}

/** A copy with four indices. */
export interface CopySpec {
  readonly from: Region;
  readonly to: Region;
  readonly extents: () => readonly [number, number, number, number];
  readonly places: () => {
    readonly from: number;
    readonly to: number;
    readonly fromSteps: readonly [number, number, number, number];
    readonly toSteps: readonly [number, number, number, number];
  };
}

/** A builder and what it collected. */
export interface Draft extends Builder {
  readonly steps: readonly Step[];
  readonly constants: readonly Constant[];
  readonly regions: ReadonlySet<Region>;
  readonly fills: ReadonlyMap<Region, Float32Array>;
  /** Which operator the next steps belong to. */
  begin(operator: number): void;
  /** Makes one mask for all regions of one geometry; to be called once everything is planned. */
  prepareMasks(): void;
  /** Lets steps run in pairs where that keeps what is between them in the cache; to be called before masks are made. */
  pair(): void;
}

export function createDraft(threads: number): Draft {
  const steps: Step[] = [];
  const constants: Constant[] = [];
  const regions = new Set<Region>();
  const fills = new Map<Region, Float32Array>();
  const masks = new Map<string, Constant>();
  const shared = new Map<Float32Array, Map<string, unknown>>();
  let current = -1;
  const useRegions = (s: number): void => {
    const { reads, writes } = steps[s]!;
    for (const region of [...reads, writes]) {
      regions.add(region);
      region.first = Math.min(region.first, s);
      region.last = Math.max(region.last, s);
    }
  };

  const builder: Draft = {
    threads,
    steps,
    constants,
    regions,
    fills,
    once<T>(weights: Float32Array, use: string, make: () => T): T {
      const uses = shared.get(weights) ?? new Map<string, unknown>();
      shared.set(weights, uses);
      if (!uses.has(use)) uses.set(use, make());
      return uses.get(use) as T;
    },
    fill: (region, values) => void fills.set(region, values),
    begin(operator) {
      current = operator;
    },
    step(step) {
      steps.push({ ...step, operator: current });
      useRegions(steps.length - 1);
    },
    pair() {
      const pairs = pairSteps(steps, builder);
      if (pairs.length === steps.length) return;
      steps.splice(0, steps.length, ...pairs);
      for (const region of regions) {
        region.first = Number.POSITIVE_INFINITY;
        region.last = -1;
      }
      for (let s = 0; s < steps.length; s++) useRegions(s);
    },
    constant(bytes, write) {
      const made: Constant = { bytes, write, address: 0 };
      constants.push(made);
      return made;
    },
    numbers(values) {
      const room = Math.ceil(Math.max(1, values.length) / 16) * 64;
      return builder.constant(
        () => room,
        ({ f32 }, address) => f32.set(values, address / 4),
      );
    },
    maskOf(region) {
      const { height, width } = region.planes!;
      const { stride, vectors } = geometryOf(region.planes!);
      if (stride * height === 4 * vectors && stride === width) return 0;
      return masks.get(maskKey(region))!.address;
    },
    flat(value) {
      if (value.flat) return value.flat;
      const region = flatRegion(productOf(value.dims));
      value.flat = region;
      if (value.given) {
        const { given } = value;
        builder.copy({
          from: given,
          to: region,
          extents: () => [1, 1, 1, region.count],
          places: () => ({ from: given.address, to: region.address, fromSteps: [0, 0, 0, 1], toSteps: [0, 0, 0, 1] }),
        });
        return region;
      }
      spread(builder, { value, flat: region, planes: value.planes!, isIntoPlanes: false });
      return region;
    },
    planes(value) {
      if (value.planes) return value.planes as Region & { planes: PlaneShape };
      const region = builder.newPlanes(value.dims);
      value.planes = region;
      spread(builder, { value, flat: value.given ?? value.flat!, planes: region, isIntoPlanes: true });
      return region;
    },
    newPlanes(dims, isPrivate = false) {
      return planeRegion(planesFor(dims), isPrivate);
    },
    copy({ from, to, extents, places }) {
      const [a, b] = extents();
      builder.step({
        kernel: kernels.copy,
        units: () => a * b,
        reads: [from],
        writes: to,
        work: extents().reduce((product, extent) => product * extent, 1),
        words: () => {
          const place = places();
          const steps = [...place.fromSteps, ...place.toSteps].map((distance) => 4 * distance);
          return [place.from, place.to, ...extents(), ...steps];
        },
      });
    },
    prepareMasks() {
      for (const region of regions) {
        if (!region.planes || masks.has(maskKey(region))) continue;
        const { height, width } = region.planes;
        const { stride, vectors } = geometryOf(region.planes);
        masks.set(
          maskKey(region),
          builder.constant(
            () => 16 * vectors,
            ({ u32 }, address) => {
              for (let y = 0; y < height; y++)
                u32.fill(0xffffffff, address / 4 + y * stride, address / 4 + y * stride + width);
            },
          ),
        );
      }
    },
  };
  return builder;
}

function maskKey({ planes }: Region): string {
  return `${planes!.height} ${planes!.width} ${geometryOf(planes!).stride}`;
}

function planesFor(dims: readonly number[]): Omit<PlaneShape, "rows" | "marginX" | "marginY"> {
  if (dims.length === 4) {
    const [images, channels, height, width] = dims as readonly [number, number, number, number];
    return { images, channels, height, width };
  }
  const { positions, features } = matrixOf(dims);
  return { images: 1, channels: features, height: 1, width: positions };
}

/** Copies between both ways to hold a value. */
function spread(
  builder: Builder,
  { value, flat, planes, isIntoPlanes }: { value: Value; flat: Region; planes: Region; isIntoPlanes: boolean },
): void {
  const { images, channels, height, width } = planes.planes!;
  const isImage = value.dims.length === 4;
  builder.copy({
    from: isIntoPlanes ? flat : planes,
    to: isIntoPlanes ? planes : flat,
    extents: () => [images, channels, height, width],
    places: () => {
      const { stride, plane } = geometryOf(planes.planes!);
      const inPlanes = [channels * plane, plane, stride, 1] as const;
      const inFlat = isImage
        ? ([channels * height * width, height * width, width, 1] as const)
        : ([0, 1, 0, channels] as const);
      return isIntoPlanes
        ? { from: flat.address, to: originOf(planes), fromSteps: inFlat, toSteps: inPlanes }
        : { from: originOf(planes), to: flat.address, fromSteps: inPlanes, toSteps: inFlat };
    },
  });
}
