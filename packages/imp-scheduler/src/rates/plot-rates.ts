/** A schedule of rates as text: to look at before a long run. */

const levels = " ▁▂▃▄▅▆▇█";

/**
 * Draws rates as one line of bars.
 *
 * @param rates - [steps]
 * @param width - characters, default 60; every one stands for the mean of its share of the steps
 * @returns the bars; the highest is the largest rate
 */
export function plotRates(rates: ArrayLike<number>, width = 60): string {
  const columns = Math.min(width, rates.length);
  let peak = 0;
  for (let step = 0; step < rates.length; step++) peak = Math.max(peak, rates[step]!);
  return Array.from({ length: columns }, (_, column) => {
    const start = Math.floor((column * rates.length) / columns);
    const end = Math.max(start + 1, Math.floor(((column + 1) * rates.length) / columns));
    let sum = 0;
    for (let step = start; step < end; step++) sum += rates[step]!;
    const height = peak === 0 ? 0 : sum / (end - start) / peak;
    return levels[Math.round(height * (levels.length - 1))]!;
  }).join("");
}
