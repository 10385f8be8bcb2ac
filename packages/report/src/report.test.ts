import { runInNewContext } from "node:vm";
import type { ReportRun } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { type Figure, svgFile } from "./figures/figure.ts";
import { figures } from "./figures/figures.ts";
import { escapeHtml, htmlTable, scriptJson } from "./html.ts";
import { plottingLibrary } from "./node/plotting-library.ts";
import { joinReasons, makeReport } from "./report.ts";
import { trainingReport } from "./training-report.ts";

const hostile = `</script><script>alert("x")</script><img src=//evil.example/x onerror='alert(1)'>`;

function runOf(change: Partial<ReportRun> = {}): ReportRun {
  const stage = {
    sparsity: 0.9,
    nonzeros: 10,
    objective: 0.25,
    status: "converged",
    loss: 0.3,
    ridge: 1e-4,
    examples: 1000,
    batch: 1,
    taken: "step",
    notes: [],
    gradientMs: 12,
    solveMs: 34,
    stats: { iterations: 3 },
    trace: [4, 1, 0.25],
  } as const;
  return {
    solver: "chita",
    sparsity: 0.9,
    dense: { accuracy: 97.5, loss: 0.08, examples: 100, task: "classification", measures: [accuracyOf(97.5)] },
    pruned: { accuracy: 96.25, loss: 0.12, examples: 100, task: "classification", measures: [accuracyOf(96.25)] },
    nonzeros: 10,
    prunable: 100,
    objective: 0.25,
    layers: [
      { name: "fc1.weight", shape: [10, 8], size: 80, kept: 4, nonzeros: 4 },
      { name: "fc2.weight", shape: [2, 10], size: 20, kept: 6, nonzeros: 6 },
    ],
    stages: [stage],
    plan: { stages: 1, targetStages: 0, schedule: "geometric", reason: "near target" },
    timing: { gradientMs: 12, solveMs: 34, totalMs: 50 },
    ...change,
  };
}

async function reportOf(runs: readonly ReportRun[], text = "plain"): Promise<string> {
  return makeReport({
    plottingLibrary: await plottingLibrary(),
    title: text,
    summary: text,
    runs,
    command: text,
    versions: { [text]: text },
    facts: [[text, text]],
    recipe: { [text]: text },
  });
}

/** The page without the text of its scripts: what the browser takes as elements. */
function elements(html: string): string {
  return html.replace(/<script[^>]*>[\s\S]*?<\/script>/g, "<script></script>");
}

function seriesOf(drawn: readonly Figure[], id: string): readonly { name: string; data: unknown }[] {
  return drawn.find((figure) => figure.id === id)!.option["series"] as { name: string; data: unknown }[];
}

/** Percent, as classification measures it. */
function accuracyOf(value: number) {
  return { name: "accuracy", unit: "%", better: "higher", value } as const;
}

describe("a report", () => {
  test("loads nothing: no element points anywhere, and the page forbids it", async () => {
    const html = elements(await reportOf([runOf()]));
    expect(html).not.toMatch(/\s(src|href|srcset|data|action|poster)\s*=/i);
    expect(html).not.toMatch(/@import|url\(\s*["']?(?!#)/i);
    expect(html).not.toMatch(/<(link|iframe|object|embed|base)\b/i);
    expect(html).toContain(
      `content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"`,
    );
  });

  test("shows text from outside as text, wherever it stands", async () => {
    const run = runOf({
      solver: hostile,
      plan: { reason: hostile },
      layers: [{ name: hostile, shape: [1], size: 1, kept: 1, nonzeros: 1 }],
    });
    const html = await reportOf([run], hostile);
    expect(html).not.toContain(hostile);
    expect(elements(html)).not.toMatch(/<img|alert\("x"\)/);
    // Data, library and start are all the scripts there are.
    expect(html.match(/<script/g)!.length).toBe(3 + countIn(await plottingLibrary(), /<script/g));
  });

  test("lists the stages as they were planned, with columns only for what they say", async () => {
    const common = { scope: { kind: "network" }, prunes: true, regrow: true, regrowFraction: 0 } as const;
    const accept = { lineSearch: true, tryMagnitude: false };
    const schedule = [
      { ...common, accept, sparsity: 0.5 },
      { ...common, accept, sparsity: 0.9, train: { epochs: 3, keepsMomentum: false } },
    ];
    const html = elements(await reportOf([runOf({ schedule })]));
    const list = html.slice(html.indexOf("The list of stages"));
    expect(list).toContain("training after it");
    expect(list).toContain("3 epochs");
    expect(list.slice(0, list.indexOf("</table>"))).not.toMatch(/>(curvature|limits|scope)</);
    expect(elements(await reportOf([runOf()]))).not.toContain("The list of stages");
  });

  test("says of layers that were pruned alone what their zeros cost, what the re-fit left of it, and how long it took", async () => {
    const own = { name: "fc1.weight", shape: [10, 8], size: 80, kept: 4, nonzeros: 4 };
    const layers = [{ ...own, maskedError: 0.375, relativeError: 0.0625, solveMs: 1500, status: "stalled" as const }];
    const html = elements(await reportOf([runOf({ layers })]));
    const table = html.slice(html.indexOf("error of the zeros"));
    for (const text of ["0.375", "0.0625", "1.50 s", "stalled"])
      expect(table.slice(0, table.indexOf("</table>"))).toContain(text);
    expect(elements(await reportOf([runOf()]))).not.toContain("error of the zeros");
  });

  test("has a drawing for every figure before any script runs", async () => {
    const html = await reportOf([runOf()]);
    const ids = figures([runOf()]).map(({ id }) => id);
    expect(ids).toEqual(["accuracy", "layers", "objective"]);
    for (const id of ids) expect(html).toMatch(new RegExp(`id="${id}"[^>]*><svg`));
  });

  test("takes its colours from the page, so that light and dark can both be read", async () => {
    const html = elements(await reportOf([runOf()]));
    expect(html).toContain("prefers-color-scheme: dark");
    const texts = [...html.matchAll(/<text[^>]*fill="([^"]*)"/g)].map(([, fill]) => fill);
    expect(texts.length).toBeGreaterThan(10);
    expect(new Set(texts)).toEqual(new Set(["currentColor"]));
  });

  test("carries the plotting library, which runs by itself and draws the figures' data", async () => {
    const html = await reportOf([runOf()]);
    const scripts = [...html.matchAll(/<script([^>]*)>([\s\S]*?)<\/script>/g)].map(([, , code]) => code!);
    const [data, library] = scripts;
    const options = JSON.parse(data!) as { id: string; option: object }[];
    const scope: Record<string, unknown> = { setTimeout, clearTimeout };
    const svg = runInNewContext(
      `${library}; const chart = echarts.init(null, null, { renderer: "svg", ssr: true, width: 400, height: 300 });
       chart.setOption(option); chart.renderToSVGString()`,
      { ...scope, option: options[0]!.option },
    ) as string;
    expect(svg).toContain("accuracy (%)");
  });

  test("says the numbers of one run in words, and tells of its plan", async () => {
    const html = await reportOf([runOf()]);
    for (const text of ["96.25 %", "-1.25 points; before: 97.50 %", "near target", "fc2.weight", "[10, 8]"]) {
      expect(html).toContain(escapeHtml(text));
    }
  });

  test("with several stages shows them", async () => {
    const [stage] = runOf().stages;
    const run = runOf({ stages: [{ ...stage!, sparsity: 0.5 }, stage!] });
    const ids = figures([run]).map(({ id }) => id);
    // No plot of the rounds: their objectives are of different models.
    expect(ids).toEqual(["accuracy", "layers", "stages", "stage-objectives", "times"]);
    expect(await reportOf([run])).toContain("training loss before");
  });

  test("of several runs in stages plots their losses by stage, and no objectives, which have no common axis", () => {
    const [stage] = runOf().stages;
    const stages = [{ ...stage!, loss: 0.4, objective: 2 }, stage!];
    const ids = (runs: readonly ReportRun[]) => figures(runs).map(({ id }) => id);
    const staged = figures([runOf({ stages }), runOf({ solver: "magnitude" })]);
    expect(staged.map(({ id }) => id)).toEqual(["accuracy", "layers", "objective", "loss", "run-times"]);
    expect(seriesOf(staged, "loss").map(({ data }) => data)).toEqual([
      [
        [1, 0.4],
        [2, 0.3],
      ],
    ]);
    const alone = figures([runOf({ stages })]);
    expect(seriesOf(alone, "stage-objectives").map(({ data }) => data)).toEqual([
      [
        [1, 2],
        [2, 0.25],
      ],
    ]);
    expect(alone.find(({ id }) => id === "stage-objectives")!.caption).toMatch(/do not compare/);
    expect(ids([runOf({ stages }), runOf({ stages, solver: "cbs" })])).not.toContain("stage-objectives");
  });

  test("draws objectives of one model on one axis, those of another in a figure of their own, in the unit of the loss", () => {
    const [stage] = runOf().stages;
    const other = [{ ...stage!, ridge: 1e-3 }];
    const drawn = figures([runOf(), runOf({ solver: "cbs" }), runOf({ solver: "woodfisher", stages: other })]);
    const found = drawn.filter(({ id }) => id.startsWith("objective"));
    expect(found.map(({ id }) => seriesOf(drawn, id).map(({ name }) => name))).toEqual([
      ["chita at 90 %", "cbs at 90 %"],
      ["woodfisher at 90 %"],
    ]);
    expect(found[1]!.title).toMatch(/1,000 examples, ridge 0.001/);
    for (const { option } of found) expect(option["yAxis"]).toMatchObject({ name: "objective (nats)" });
  });

  test("never gives two bars of a layer one colour", () => {
    for (const count of [7, 8, 20]) {
      const runs = Array.from({ length: count }, (_, i) => runOf({ sparsity: 0.5 + i / 100 }));
      for (const figure of figures(runs).filter(({ id }) => id.startsWith("layers"))) {
        const colours = figure.option["color"] as readonly string[];
        expect(seriesOf([figure], figure.id).length).toBeLessThanOrEqual(new Set(colours).size);
      }
    }
  });

  test("of many runs shows the layers sparsity by sparsity, and the time of every run", () => {
    const solvers = Array.from({ length: 7 }, (_, i) => `method ${i}`);
    const many = solvers.flatMap((solver) => [0.5, 0.9].map((sparsity) => runOf({ solver, sparsity })));
    const made = figures(many);
    expect(made.map(({ id }) => id)).toEqual(["accuracy", "layers-1", "layers-2", "run-times"]);
    const bars = (id: string) => made.find((figure) => figure.id === id)!.option["series"] as { data: number[] }[];
    expect(bars("layers-2")).toHaveLength(7);
    const [gradients, solving, rest] = bars("run-times").map(({ data }) => data[0]!);
    const { timing } = many[0]!;
    // Plots carry six significant digits.
    expect(Math.abs(gradients! + solving! + rest! - timing.totalMs / 1000)).toBeLessThan(1e-5 * timing.totalMs);
  });

  test("has no axis of accuracy beyond 100 percent", () => {
    const [accuracy] = figures([runOf(), runOf({ sparsity: 0.95 })]);
    expect(accuracy!.option["yAxis"]).toMatchObject({ max: 100 });
  });

  test("says a solver's reason once, with the words that differ side by side", async () => {
    expect(joinReasons(["in 7 stages", "in 9 stages", "in 7 stages"])).toEqual(["in 7/9 stages"]);
    expect(joinReasons(["near target", "far from it"])).toEqual(["near target", "far from it"]);
    const html = elements(await reportOf([runOf(), runOf({ sparsity: 0.95 })]));
    expect(html.match(/near target/g)).toHaveLength(1);
  });

  test("of runs without rounds has no plot of them", () => {
    const [stage] = runOf().stages;
    const { trace: _trace, ...silent } = stage!;
    expect(figures([runOf({ stages: [silent] })]).map(({ id }) => id)).toEqual(["accuracy", "layers"]);
    const single = runOf({ stages: [{ ...silent, trace: [4] }] });
    expect(figures([single]).map(({ id }) => id)).toEqual(["accuracy", "layers"]);
  });

  test("of several runs has one line a solver", async () => {
    const runs = [runOf(), runOf({ sparsity: 0.95 }), runOf({ solver: "magnitude" })];
    const [accuracy] = figures(runs);
    const series = accuracy!.option["series"] as { name: string; data: number[][] }[];
    expect(series.map(({ name }) => name)).toEqual(["chita", "magnitude", "before pruning"]);
    expect(series[0]!.data).toEqual([
      [90, 96.25],
      [95, 96.25],
    ]);
    expect(await reportOf(runs)).toContain("Accuracy against sparsity");
  });

  test("of a negative objective has no logarithmic axis", () => {
    const [stage] = runOf().stages;
    const type = (trace: readonly number[]) => {
      const figure = figures([runOf({ stages: [{ ...stage!, trace }] })]).find(({ id }) => id === "objective");
      return (figure!.option["yAxis"] as { type: string }).type;
    };
    expect(type([30, 1])).toBe("log");
    expect(type([30, -1])).toBe("value");
  });
});

test("says where what stands before was measured under statistics of its own", async () => {
  const words = "100 test examples, with statistics of batch normalisation measured anew.";
  expect(await reportOf([runOf({ remeasured: true })])).toContain(words);
  expect(await reportOf([runOf()])).not.toContain("measured anew");
});

describe("the report of a training", () => {
  const evaluated = { accuracy: 97, loss: 0.1, examples: 10, task: "classification", measures: [] };
  const epochs = [
    { loss: 2, accuracy: 50, nonzeros: 80, gradientNorm: 0.5 },
    { loss: 1, accuracy: 75, nonzeros: 20, gradientNorm: 0.25 },
  ];
  const document = {
    ...{
      arch: hostile,
      test: evaluated,
      measuredOn: "test" as const,
      epochs,
      steps: 4,
      trainMs: 1500,
      peakMemoryBytes: 1e6,
      seed: 3,
      versions: {},
      out: hostile,
    },
    ...{ prunable: 100, nonzeros: 20 },
  };

  test("has its curves, with density and gradient flow where rules pruned, and escapes what comes from files", () => {
    const html = trainingReport({ document, command: hostile });
    for (const title of ["Loss and accuracy", "Density", "Gradient flow"]) expect(html).toContain(title);
    expect(html).toContain("20 of 100 prunable weights not zero");
    expect(html).toContain(">80 %<");
    expect(html).not.toContain(hostile);
  });

  test("of a task without accuracy, and without rules, has the loss alone", () => {
    const plain = epochs.map(({ loss }) => ({ loss, accuracy: Number.NaN }));
    const { prunable: _p, nonzeros: _n, ...dense } = document;
    const html = trainingReport({ document: { ...dense, epochs: plain }, command: "secateur" });
    expect(html).not.toMatch(/Density|Gradient flow|training accuracy/);
    expect(countIn(html, /<svg/g)).toBe(1);
  });
});

describe("the pieces of a page", () => {
  test("escape what HTML would take for its own", () => {
    expect(escapeHtml(`<a b="c" d='e'>&`)).toBe("&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;");
    expect(htmlTable(["<b>"], [[{ text: "<i>", isNumber: true }]])).not.toMatch(/<[bi]>/);
  });

  test("keep script data inside its element, and readable as JSON", () => {
    const value = { text: `${hostile}\u2028<!--` };
    expect(scriptJson(value)).not.toMatch(/<|\u2028/);
    expect(JSON.parse(scriptJson(value))).toEqual(value);
  });

  test("give an SVG file of its own for other pages", () => {
    const svg = svgFile(figures([runOf()])[0]!);
    expect(svg).toMatch(/^<\?xml[^>]*>\n<svg [^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
    expect(svg).toContain("prefers-color-scheme:dark");
    expect(svg).toContain("<title>Accuracy against sparsity</title>");
    expect(svg).not.toMatch(/<script|\s(src|href)=/);
  });
});

function countIn(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}
