/**
 * `npm run bench:sparse-training [-- DATA]`: sparse networks from one budget of epochs, each method at each sparsity. What is measured is added to a file
 * of lines of JSON, and not measured again, so that the command may be stopped and called once more. Test accuracies choose nothing.
 */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { createWasmKernels } from "@secateur/backends-wasm";
import { countZeros, isPruneError } from "@secateur/core";
import { architecture, createNetwork, type Network } from "@secateur/nn";
import { figureAxis, figureOption, svgFile } from "@secateur/report";
import { badUsage } from "@secateur/run";
import { openData } from "@secateur/run/node";
import { numberParser, wholeParser } from "../src/flags/number.ts";
import { quietSession } from "./bench-network.ts";
import { meanAndDeviation } from "./imp-run.ts";
import { printLine, printTable, showProgress } from "./print.ts";
import { type SparseMethod, sparseMethods } from "./sparse-methods.ts";
import { printPeakMemory, printStepTimes } from "./sparse-step-times.ts";

const usage = `npm run bench:sparse-training [-- DATA] [--arch NAME] [--method NAME]... [--sparsity S]... [--epochs N] [--seeds N] [--out FILE.jsonl] [--plot FILE.svg] [--step-times] [--memory]
  DATA is mnist (the default), mnist:DIR, cifar10:DIR; --arch is mlpnet (the default), lenet5, resnet20
  --method is one of ${sparseMethods.map(({ name }) => name).join("; ")}; default: all
  --step-times measures what a step costs under each rule instead, --memory the peak memory of a process that trains with it`;

/** What one training gave. */
interface Line {
  readonly data: string;
  readonly arch: string;
  readonly method: string;
  readonly sparsity: number;
  readonly epochs: number;
  readonly seed: number;
  readonly accuracy: number;
  readonly nonzeros: number;
  readonly seconds: number;
}

try {
  await run(process.argv.slice(2));
} catch (error) {
  if (!isPruneError(error)) throw error;
  process.stderr.write(`bench:sparse-training: ${error.message}\n`);
  process.exitCode = error.fault === "input" ? 2 : 1;
}

async function run(args: readonly string[]): Promise<void> {
  const { values, positionals } = parsed(args);
  const [data = "mnist"] = positionals;
  const { arch = "mlpnet" } = values;
  const spec = architecture(arch);
  const fraction = numberParser({
    flag: "--sparsity",
    allowed: "a number from 0 to below 1",
    accepts: (value) => value >= 0 && value < 1,
  });
  const sparsities = values.sparsity?.map(fraction) ?? [0.8, 0.9, 0.95, 0.98];
  const epochs = wholeParser("--epochs", 2)(values.epochs ?? "10");
  const seeds = wholeParser("--seeds", 1)(values.seeds ?? "3");
  const methods = values.method?.map(methodOf) ?? sparseMethods;
  if (values.memory) return await printPeakMemory({ data, arch });
  const kernels = await createWasmKernels({ threads: 1 });
  printLine(`Node ${process.versions.node}, ${kernels.name}, one thread, ${cpus()[0]?.model}`);
  try {
    const splits = await openData({ data, normalize: undefined, classes: spec.classes, onEvent: () => {} });
    if (values["step-times"]) return await printStepTimes({ spec, data: splits, kernels });
    const file = resolve(process.env["INIT_CWD"] ?? "", values.out ?? "sparse-training.jsonl");
    const known = existsSync(file) ? readLines(file) : [];
    const lines: Line[] = known.filter((line) => line.data === data && line.arch === arch && line.epochs === epochs);
    // Seeds outside: where time is short, all methods have one before any has two.
    for (let seed = 0; seed < seeds; seed++) {
      for (const sparsity of sparsities) {
        for (const { name, run: method } of methods) {
          if (lines.some((line) => line.method === name && line.sparsity === sparsity && line.seed === seed)) continue;
          showProgress(`${name} at ${sparsity}, seed ${seed}`);
          const started = process.cpuUsage();
          const measured = await method({ kernels, data: splits, spec, sparsity, epochs, seed })
            .then(async (network) => {
              const { user } = process.cpuUsage(started);
              const { accuracy } = await network.evaluate(splits.test, quietSession(kernels, seed).context());
              return { accuracy, nonzeros: keptOf(network), user };
            })
            .catch(unlessLeftOut(name));
          if (!measured) continue;
          const { accuracy, nonzeros, user } = measured;
          const line = { data, arch, method: name, sparsity, epochs, seed, accuracy, nonzeros, seconds: user / 1e6 };
          lines.push(line);
          appendFileSync(file, `${JSON.stringify(line)}\n`);
        }
      }
    }
    printTable(
      ["test accuracy (%)", ...sparsities.map(String), "seeds", "processor s"],
      table({ methods, sparsities, lines, weights: prunableOf(createNetwork(spec, { seed: 0 })) }),
    );
    if (values.plot !== undefined)
      writeFileSync(resolve(process.env["INIT_CWD"] ?? "", values.plot), plot(methods, sparsities, lines));
  } finally {
    await kernels.close();
  }
}

/** A rule that needs what the network has not, such as normalisation layers, and a training that diverges are left out and say so. */
function unlessLeftOut(name: string): (error: unknown) => undefined {
  return (error) => {
    const isLeftOut = isPruneError(error) && ["ERR_IMPOSSIBLE", "ERR_NOT_FINITE", "ERR_DIVERGED"].includes(error.code);
    if (!isLeftOut) throw error;
    showProgress(`${name}: ${error.message}`);
    return undefined;
  };
}

function prunableOf(network: Network): number {
  return network.params().reduce((sum, { prunable, rows, cols }) => sum + (prunable ? rows * cols : 0), 0);
}

function keptOf(network: Network): number {
  return network.params().reduce((sum, { name, prunable }) => {
    const { data } = network.weights.get(name)!;
    return sum + (prunable ? data.length - countZeros(data) : 0);
  }, 0);
}

function parsed(args: readonly string[]) {
  const text = { type: "string" } as const;
  const several = { type: "string", multiple: true } as const;
  const options = {
    ...{ arch: text, method: several, sparsity: several, epochs: text, seeds: text, out: text, plot: text },
    "step-times": { type: "boolean" },
    memory: { type: "boolean" },
  } as const;
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw badUsage(`${error instanceof Error ? error.message : error}\n${usage}`);
  }
}

function methodOf(text: string): SparseMethod {
  const method = sparseMethods.find(({ name }) => name === text);
  if (!method) throw badUsage(`--method: found '${text}'\n${usage}`);
  return method;
}

/** The lines of a file, without one that an interruption cut short. */
function readLines(file: string): readonly Line[] {
  const text = readFileSync(file, "utf8");
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  if (whole !== text) writeFileSync(file, whole);
  return whole
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
}

/** The accuracies over the seeds, and the sparsity that came out where it is not the one asked for. */
function cell(lines: readonly Line[], sparsity: number, weights: number): string {
  const own = lines.filter((line) => line.sparsity === sparsity);
  if (own.length === 0) return "-";
  const reached = 1 - own.reduce((sum, { nonzeros }) => sum + nonzeros, 0) / own.length / weights;
  const text = meanAndDeviation(own.map(({ accuracy }) => accuracy));
  return Math.abs(reached - sparsity) < 0.05 * (1 - sparsity) ? text : `${text} (${reached.toFixed(3)})`;
}

function accuracies(lines: readonly Line[], method: string, sparsity: number): readonly number[] {
  return lines.filter((line) => line.method === method && line.sparsity === sparsity).map(({ accuracy }) => accuracy);
}

function table(spec: {
  methods: readonly SparseMethod[];
  sparsities: readonly number[];
  lines: readonly Line[];
  weights: number;
}): readonly (readonly string[])[] {
  const { methods, sparsities, lines, weights } = spec;
  return methods.map(({ name }) => {
    const own = lines.filter((line) => line.method === name && sparsities.includes(line.sparsity));
    const seconds = own.reduce((sum, line) => sum + line.seconds, 0) / own.length;
    return [
      name,
      ...sparsities.map((sparsity) => cell(own, sparsity, weights)),
      String(new Set(own.map(({ seed }) => seed)).size),
      own.length === 0 ? "-" : seconds.toFixed(1),
    ];
  });
}

/** Errors on a logarithmic axis, methods in the order of their error at the highest sparsity: lines of so many methods could not be told apart. */
function plot(methods: readonly SparseMethod[], sparsities: readonly number[], lines: readonly Line[]): string {
  const errorOf = (name: string, sparsity: number): number | undefined => {
    const values = accuracies(lines, name, sparsity);
    return values.length === 0 ? undefined : 100 - values.reduce((sum, value) => sum + value, 0) / values.length;
  };
  const highest = Math.max(...sparsities);
  const names = methods.map(({ name }) => name);
  names.sort((a, b) => (errorOf(a, highest) ?? 100) - (errorOf(b, highest) ?? 100));
  return svgFile({
    id: "sparse-training",
    title: "Error of sparse networks from one budget of epochs",
    caption: "",
    option: figureOption({
      grid: { left: 70, right: 30, top: 40, bottom: 120 },
      xAxis: figureAxis({
        type: "category",
        data: names,
        axisLabel: { color: "currentColor", rotate: 45, interval: 0 },
      }),
      yAxis: figureAxis({ type: "log", name: "test error (%)", nameGap: 44 }),
      series: sparsities.map((sparsity) => ({
        ...{ name: `${100 * sparsity} %`, type: "line", symbolSize: 9, lineStyle: { width: 0 } },
        data: names.map((name) => errorOf(name, sparsity) ?? null),
      })),
    }),
  });
}
