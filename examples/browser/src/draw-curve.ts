/** Draws accuracy against sparsity as SVG. */

/** A point: fractions removed, percent right. */
export interface Point {
  readonly sparsity: number;
  readonly accuracy: number;
}

const box = { left: 52, right: 620, top: 16, bottom: 258 };

/** Redraws everything: a line through the stages of the present run, a dot for the end of every run. */
export function drawCurve(svg: SVGSVGElement, spec: { stages: readonly Point[]; runs: readonly Point[] }): void {
  const { stages, runs } = spec;
  const lowest = Math.min(95, ...[...stages, ...runs].map(({ accuracy }) => accuracy));
  const floor = Math.max(0, 5 * Math.floor((lowest - 0.01) / 5));
  const x = (sparsity: number) => box.left + (box.right - box.left) * sparsity;
  const y = (accuracy: number) => box.bottom - ((box.bottom - box.top) * (accuracy - floor)) / (100 - floor);
  const step = 100 - floor > 40 ? 20 : 100 - floor > 15 ? 10 : 5;
  const parts: string[] = [];
  for (let percent = 100; percent >= floor; percent -= step) {
    parts.push(`<path d="M${box.left} ${y(percent)} H${box.right}" stroke="var(--grid)"/>`);
    parts.push(`<text x="${box.left - 8}" y="${y(percent) + 4}" text-anchor="end">${percent}</text>`);
  }
  for (const percent of [0, 20, 40, 60, 80, 100]) {
    parts.push(`<text x="${x(percent / 100)}" y="${box.bottom + 20}" text-anchor="middle">${percent}</text>`);
  }
  parts.push(`<text x="${(box.left + box.right) / 2}" y="${box.bottom + 38}" text-anchor="middle">sparsity (%)</text>`);
  const line = stages.map(({ sparsity, accuracy }) => `${x(sparsity)},${y(accuracy)}`).join(" ");
  if (stages.length > 1) parts.push(`<polyline points="${line}" fill="none" stroke="var(--accent)" stroke-width="2"/>`);
  for (const { sparsity, accuracy } of runs) {
    const label = `${accuracy.toFixed(2)} % right with ${(100 * sparsity).toFixed(1)} % removed`;
    parts.push(
      `<circle cx="${x(sparsity)}" cy="${y(accuracy)}" r="5" fill="var(--accent)"><title>${label}</title></circle>`,
    );
  }
  svg.innerHTML = parts.join("");
}
