/** Half a cosine from `peak` at step 0 to `least` at step `steps`; restarted at every pruning of CHITA's gradual schedule. */
export function cosineRate(spec: { steps: number; peak: number; least: number }, step: number): number {
  const { steps, peak, least } = spec;
  return least + ((peak - least) * (1 + Math.cos((Math.PI * step) / steps))) / 2;
}
