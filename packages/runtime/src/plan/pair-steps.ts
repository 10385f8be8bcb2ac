/**
 * Pairs of steps that run some planes at a time: a product over planes, and what reads each of its planes alone, such as the depthwise convolution
 * behind a pointwise one. What is between them may be larger than the cache, and is needed nowhere else.
 */
import type { Builder, Step } from "./builder.ts";
import { kernels } from "./kernel-numbers.ts";
import { bytesOf, geometryOf, originOf, type PlaneShape, type Region } from "./region.ts";

/** What is between both steps at a time, at most: a part of the second cache, beside what they read and write. 2^16 to 2^18 differ by some percents. */
const nearBytes = 2 ** 16;
/** Units that threads share. */
const pieces = 8;

/** The same steps, some of them as pairs. Rows must have their distances; lifetimes of regions are to be reckoned anew. */
export function pairSteps(
  steps: readonly Step[],
  { threads, constant }: Pick<Builder, "threads" | "constant">,
): Step[] {
  // A step that reads a region twice, as what it adds as well, counts twice: only what a pair reads first is moved with it.
  const readings = new Map<Region, number>();
  for (const { reads } of steps) for (const region of reads) readings.set(region, (readings.get(region) ?? 0) + 1);
  const out: Step[] = [];
  for (const second of steps) {
    const first = out.at(-1);
    const between = first?.writes;
    const isPair =
      first &&
      between?.planes &&
      (first.kernel === kernels.sparse || first.kernel === kernels.block) &&
      second.readsPlanewise === between &&
      readings.get(between) === 1 &&
      !between.isPrivate;
    const perUnit = isPair ? planesAtOnce(between, threads) : 0;
    if (perUnit === 0 || perUnit >= between!.planes!.channels) out.push(second);
    else out[out.length - 1] = paired({ first: first!, second, perUnit, isHeld: threads > 1 }, constant);
  }
  return out;
}

/** A multiple of four; 0 where everything between fits. */
function planesAtOnce(between: Region, threads: number): number {
  const { images, channels } = between.planes!;
  if (bytesOf(between) / images <= 4 * nearBytes) return 0;
  const near = Math.floor(nearBytes / (4 * geometryOf(between.planes!).plane));
  const shared = threads === 1 ? channels : Math.ceil(channels / pieces);
  return 4 * Math.max(1, Math.floor(Math.min(near, shared) / 4));
}

/** @param spec.isHeld - whether all planes between both have memory, as threads need that are at different ones */
function paired(
  spec: { readonly first: Step; readonly second: Step; readonly perUnit: number; readonly isHeld: boolean },
  constant: Builder["constant"],
): Step {
  const { first, second, perUnit, isHeld } = spec;
  const between = first.writes as Region & { readonly planes: PlaneShape };
  const { images, channels } = between.planes;
  if (!isHeld) between.planes.held = perUnit;
  const [firstWords, secondWords] = [first, second].map(({ kernel, units, words }) =>
    constant(
      () => 4 * (2 + words().length),
      ({ u32 }, address) => u32.set([kernel, units(), ...words()], address / 4),
    ),
  );
  return {
    kernel: kernels.paired,
    units: () => images * Math.ceil(channels / perUnit),
    reads: [...new Set([...first.reads, ...second.reads])],
    writes: second.writes,
    work: first.work + second.work,
    operator: second.operator,
    joined: first.operator,
    words: () => [
      firstWords!.address,
      secondWords!.address,
      perUnit,
      channels,
      isHeld ? 0 : 4 * geometryOf(between.planes).plane,
      originOf(between),
      // Where a step reads stands first among its words.
      second.words()[0]!,
    ],
  };
}
