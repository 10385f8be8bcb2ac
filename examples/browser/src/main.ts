/** The page: sends requests to the worker and shows what it answers. */
import { drawCurve, type Point } from "./draw-curve.ts";
import { drawWeights } from "./draw-weights.ts";
import type { Answer, Request } from "./messages.ts";

const form = element("form", HTMLFormElement);
const slider = element("sparsity", HTMLInputElement);
const sparsityText = element("sparsity-text", HTMLOutputElement);
const button = element("prune", HTMLButtonElement);
const stopButton = element("stop", HTMLButtonElement);
const progress = element("progress", HTMLProgressElement);
const status = element("status", HTMLElement);
const curve = document.querySelector<SVGSVGElement>("#curve")!;
const weights = element("weights", HTMLCanvasElement);

const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
const send = (request: Request) => worker.postMessage(request);
send({ type: "open", data: new URL("data/", document.baseURI).href });
const runs: Point[] = [];
let stages: Point[] = [];
let dense: Point | undefined;

slider.addEventListener("input", () => {
  sparsityText.textContent = `${slider.value} %`;
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  setRunning(true);
  stages = dense ? [dense] : [];
  send({ type: "prune", sparsity: Number(slider.value) / 100 });
});
stopButton.addEventListener("click", () => send({ type: "stop" }));
worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => show(data));
worker.addEventListener("error", (event) =>
  show({ type: "failed", message: event.message || "the worker did not start" }),
);

function show(answer: Answer): void {
  switch (answer.type) {
    case "ready": {
      dense = answer.dense;
      runs.push(dense);
      drawWeights(weights, answer.dense.firstLayer);
      const threads = `${answer.threads} ${answer.threads === 1 ? "thread" : "threads"}`;
      status.textContent = `Ready: ${dense.accuracy.toFixed(2)} % of the test images; ${answer.backend}, ${threads}.`;
      setRunning(false);
      break;
    }
    case "progress":
      progress.value = answer.fraction;
      status.textContent = answer.text;
      break;
    case "stage":
      stages.push(answer.snapshot);
      drawWeights(weights, answer.snapshot.firstLayer);
      break;
    case "done": {
      const { snapshot, kept, prunable, seconds, sha256 } = answer;
      runs.push(snapshot);
      drawWeights(weights, snapshot.firstLayer);
      status.textContent = `${snapshot.accuracy.toFixed(2)} % of the test images with ${kept.toLocaleString("en")} of ${prunable.toLocaleString("en")} weights, in ${seconds.toFixed(1)} s.`;
      Object.assign(status.dataset, { accuracy: snapshot.accuracy, kept, seconds, sha256 });
      setRunning(false);
      break;
    }
    case "stopped":
      status.textContent = "Stopped.";
      setRunning(false);
      break;
    case "failed":
      status.textContent = `That failed: ${answer.message}`;
      setRunning(false);
      break;
    default:
      answer satisfies never;
  }
  drawCurve(curve, { stages, runs });
}

function setRunning(isRunning: boolean): void {
  button.disabled = isRunning || dense === undefined;
  slider.disabled = isRunning;
  stopButton.hidden = !isRunning;
  progress.value = isRunning ? 0 : stages.length > 1 ? 1 : 0;
}

function element<E extends HTMLElement>(id: string, type: new () => E): E {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no ${type.name} called ${id}`);
  return found;
}
