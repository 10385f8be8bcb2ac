// What the wasm module exports. Each kernel works on units [begin, end) of its output, so that threads can share it; `scratch`
// is memory of the calling thread's own. Pointers are byte addresses, leading dimensions count elements.
// The suffix is the width of the elements in bits: 32 for f32, 64 for f64.
import { chain as chainOf, chainSquares as chainSquaresOf } from "./chain";
import { clearUpper as clearUpperOf, factorBlock as factorBlockOf, solveRows as solveRowsOf } from "./cholesky";
import { addRow as addRowOf, affineColumns as affineColumnsOf, axpy as axpyOf, gatherColumns as gatherColumnsOf, momentumStep as momentumStepOf, multiply as multiplyOf, relu as reluOf, reluBackward as reluBackwardOf, scaleRows as scaleRowsOf } from "./elementwise";
import { gemmEach as gemmEachOf, gemmUnits as gemmUnitsOf, mirrorUnits as mirrorUnitsOf } from "./gemm";
import { addPartials as addPartialsOf, columnProducts as columnProductsOf, rowProducts as rowProductsOf, rowProductsMixed as rowProductsMixedOf, storeSums as storeSumsOf } from "./gemv";
import { groupedBack as groupedBackOf, groupedGradients as groupedGradientsOf, groupedOutputs as groupedOutputsOf } from "./grouped";
import { packPanels as packPanelsOf, unpackPanels as unpackPanelsOf } from "./pack";
import { maxWindows as maxWindowsOf } from "./pool";
import { columnDots as columnDotsOf, columnSums as columnSumsOf, dotUnits as dotUnitsOf, rowDots as rowDotsOf } from "./reduce";
import { collect as collectOf, histogram32 as histogramOf32, histogram64 as histogramOf64 } from "./select";
import { softmaxRows as softmaxRowsOf } from "./softmax";
import { panelProducts as panelProductsOf, sparseTimes as sparseTimesOf } from "./sparse";
import { eliminateBlock as eliminateBlockOf, eliminateRows as eliminateRowsOf, solveBlock as solveBlockOf } from "./triangular";
import { addSegments as addSegmentsOf, transformWeights as transformWeightsOf, winogradGradients as winogradGradientsOf, winogradTiles as winogradTilesOf } from "./winograd";
import { windowBlocks as windowBlocksOf, windowCorrelations as windowCorrelationsOf } from "./window-gram";
import { windowProducts as windowProductsOf } from "./window-products";
import { gatherWindows as gatherWindowsOf, scatterWindows as scatterWindowsOf, transposeBlocks as transposeBlocksOf } from "./windows";

export function packPanels32(begin: u32, end: u32, scratch: usize, b: usize, ldb: u32, isTransposed: bool, k: u32, n: u32, kc: u32, packed: usize): void {
  packPanelsOf<f32>(begin, end, b, ldb, isTransposed, k, n, kc, packed);
}
export function packPanels64(begin: u32, end: u32, scratch: usize, b: usize, ldb: u32, isTransposed: bool, k: u32, n: u32, kc: u32, packed: usize): void {
  packPanelsOf<f64>(begin, end, b, ldb, isTransposed, k, n, kc, packed);
}
export function unpackPanels32(begin: u32, end: u32, scratch: usize, b: usize, ldb: u32, k: u32, n: u32, packed: usize): void {
  unpackPanelsOf<f32>(begin, end, b, ldb, k, n, packed);
}
export function unpackPanels64(begin: u32, end: u32, scratch: usize, b: usize, ldb: u32, k: u32, n: u32, packed: usize): void {
  unpackPanelsOf<f64>(begin, end, b, ldb, k, n, packed);
}
export function gemmUnits32(begin: u32, end: u32, scratch: usize, a: usize, lda: u32, isTransposed: bool, packed: usize, out: usize, ldo: u32, m: u32, n: u32, k: u32, kc: u32, rowsPerUnit: u32, colsPerUnit: u32, diagonal: i32, alpha: f32, beta: f32): void {
  gemmUnitsOf<f32>(begin, end, scratch, a, lda, isTransposed, packed, out, ldo, m, n, k, kc, rowsPerUnit, colsPerUnit, diagonal, alpha, beta);
}
export function gemmUnits64(begin: u32, end: u32, scratch: usize, a: usize, lda: u32, isTransposed: bool, packed: usize, out: usize, ldo: u32, m: u32, n: u32, k: u32, kc: u32, rowsPerUnit: u32, colsPerUnit: u32, diagonal: i32, alpha: f64, beta: f64): void {
  gemmUnitsOf<f64>(begin, end, scratch, a, lda, isTransposed, packed, out, ldo, m, n, k, kc, rowsPerUnit, colsPerUnit, diagonal, alpha, beta);
}
export function mirrorUnits32(begin: u32, end: u32, scratch: usize, out: usize, n: u32): void {
  mirrorUnitsOf<f32>(begin, end, out, n);
}
export function mirrorUnits64(begin: u32, end: u32, scratch: usize, out: usize, n: u32): void {
  mirrorUnitsOf<f64>(begin, end, out, n);
}
export function rowProducts32(begin: u32, end: u32, scratch: usize, a: usize, lda: u32, rows: u32, cols: u32, x: usize, sums: usize, isFirst: bool): void {
  rowProductsOf<f32>(begin, end, a, lda, rows, cols, x, sums, isFirst);
}
export function rowProducts64(begin: u32, end: u32, scratch: usize, a: usize, lda: u32, rows: u32, cols: u32, x: usize, sums: usize, isFirst: bool): void {
  rowProductsOf<f64>(begin, end, a, lda, rows, cols, x, sums, isFirst);
}
export function rowProductsMixed(begin: u32, end: u32, scratch: usize, a: usize, lda: u32, rows: u32, cols: u32, x: usize, sums: usize, isFirst: bool): void {
  rowProductsMixedOf(begin, end, a, lda, rows, cols, x, sums, isFirst);
}
export function columnProducts32(begin: u32, end: u32, scratch: usize, a: usize, lda: u32, rows: u32, cols: u32, x: usize, partials: usize, partialStride: u32, isFirst: bool): void {
  columnProductsOf<f32>(begin, end, a, lda, rows, cols, x, partials, partialStride, isFirst);
}
export function columnProducts64(begin: u32, end: u32, scratch: usize, a: usize, lda: u32, rows: u32, cols: u32, x: usize, partials: usize, partialStride: u32, isFirst: bool): void {
  columnProductsOf<f64>(begin, end, a, lda, rows, cols, x, partials, partialStride, isFirst);
}
export function storeSums32(begin: u32, end: u32, scratch: usize, sums: usize, n: u32, out: usize, alpha: f64, beta: f64): void {
  storeSumsOf<f32>(begin, end, sums, n, out, alpha, beta);
}
export function storeSums64(begin: u32, end: u32, scratch: usize, sums: usize, n: u32, out: usize, alpha: f64, beta: f64): void {
  storeSumsOf<f64>(begin, end, sums, n, out, alpha, beta);
}
export function dotUnits32(begin: u32, end: u32, scratch: usize, a: usize, b: usize, n: u32, partials: usize): void {
  dotUnitsOf<f32>(begin, end, a, b, n, partials);
}
export function dotUnits64(begin: u32, end: u32, scratch: usize, a: usize, b: usize, n: u32, partials: usize): void {
  dotUnitsOf<f64>(begin, end, a, b, n, partials);
}
export function rowDots32(begin: u32, end: u32, scratch: usize, a: usize, lda: u32, b: usize, ldb: u32, cols: u32, sums: usize, isFirst: bool): void {
  rowDotsOf<f32>(begin, end, a, lda, b, ldb, cols, sums, isFirst);
}
export function rowDots64(begin: u32, end: u32, scratch: usize, a: usize, lda: u32, b: usize, ldb: u32, cols: u32, sums: usize, isFirst: bool): void {
  rowDotsOf<f64>(begin, end, a, lda, b, ldb, cols, sums, isFirst);
}
export function columnSums32(begin: u32, end: u32, scratch: usize, a: usize, lda: u32, rows: u32, cols: u32, partials: usize, partialStride: u32, isFirst: bool): void {
  columnSumsOf<f32>(begin, end, a, lda, rows, cols, partials, partialStride, isFirst);
}
export function columnSums64(begin: u32, end: u32, scratch: usize, a: usize, lda: u32, rows: u32, cols: u32, partials: usize, partialStride: u32, isFirst: bool): void {
  columnSumsOf<f64>(begin, end, a, lda, rows, cols, partials, partialStride, isFirst);
}
export function axpy32(begin: u32, end: u32, scratch: usize, alpha: f32, x: usize, y: usize, n: u32): void {
  axpyOf<f32>(begin, end, alpha, x, y, n);
}
export function axpy64(begin: u32, end: u32, scratch: usize, alpha: f64, x: usize, y: usize, n: u32): void {
  axpyOf<f64>(begin, end, alpha, x, y, n);
}
export function momentumStep32(begin: u32, end: u32, scratch: usize, w: usize, v: usize, g: usize, n: u32, momentum: f64, decay: f64, rate: f64): void {
  momentumStepOf<f32>(begin, end, w, v, g, n, momentum, decay, rate);
}
export function momentumStep64(begin: u32, end: u32, scratch: usize, w: usize, v: usize, g: usize, n: u32, momentum: f64, decay: f64, rate: f64): void {
  momentumStepOf<f64>(begin, end, w, v, g, n, momentum, decay, rate);
}
export function multiply32(begin: u32, end: u32, scratch: usize, a: usize, b: usize, out: usize, n: u32): void {
  multiplyOf<f32>(begin, end, a, b, out, n);
}
export function multiply64(begin: u32, end: u32, scratch: usize, a: usize, b: usize, out: usize, n: u32): void {
  multiplyOf<f64>(begin, end, a, b, out, n);
}
export function relu32(begin: u32, end: u32, scratch: usize, x: usize, out: usize, n: u32): void {
  reluOf<f32>(begin, end, x, out, n);
}
export function relu64(begin: u32, end: u32, scratch: usize, x: usize, out: usize, n: u32): void {
  reluOf<f64>(begin, end, x, out, n);
}
export function reluBackward32(begin: u32, end: u32, scratch: usize, activation: usize, gradient: usize, out: usize, n: u32): void {
  reluBackwardOf<f32>(begin, end, activation, gradient, out, n);
}
export function reluBackward64(begin: u32, end: u32, scratch: usize, activation: usize, gradient: usize, out: usize, n: u32): void {
  reluBackwardOf<f64>(begin, end, activation, gradient, out, n);
}
export function scaleRows32(begin: u32, end: u32, scratch: usize, a: usize, lda: u32, cols: u32, scales: usize, out: usize, ldo: u32): void {
  scaleRowsOf<f32>(begin, end, a, lda, cols, scales, out, ldo);
}
export function scaleRows64(begin: u32, end: u32, scratch: usize, a: usize, lda: u32, cols: u32, scales: usize, out: usize, ldo: u32): void {
  scaleRowsOf<f64>(begin, end, a, lda, cols, scales, out, ldo);
}
export function addRow32(begin: u32, end: u32, scratch: usize, a: usize, lda: u32, cols: u32, row: usize): void {
  addRowOf<f32>(begin, end, a, lda, cols, row);
}
export function addRow64(begin: u32, end: u32, scratch: usize, a: usize, lda: u32, cols: u32, row: usize): void {
  addRowOf<f64>(begin, end, a, lda, cols, row);
}
export function gatherColumns32(begin: u32, end: u32, scratch: usize, a: usize, lda: u32, columns: usize, count: u32, out: usize, ldo: u32): void {
  gatherColumnsOf<f32>(begin, end, a, lda, columns, count, out, ldo);
}
export function gatherColumns64(begin: u32, end: u32, scratch: usize, a: usize, lda: u32, columns: usize, count: u32, out: usize, ldo: u32): void {
  gatherColumnsOf<f64>(begin, end, a, lda, columns, count, out, ldo);
}
export function gatherWindows32(begin: u32, end: u32, scratch: usize, images: usize, windows: usize, height: i32, width: i32, channels: u32, first: u32, count: u32, kernelHeight: i32, kernelWidth: i32, stride: i32, padding: i32, dilation: i32, outHeight: i32, outWidth: i32): void {
  gatherWindowsOf<f32>(begin, end, images, windows, height, width, channels, first, count, kernelHeight, kernelWidth, stride, padding, dilation, outHeight, outWidth);
}
export function scatterWindows32(begin: u32, end: u32, scratch: usize, images: usize, windows: usize, height: i32, width: i32, channels: u32, first: u32, count: u32, kernelHeight: i32, kernelWidth: i32, stride: i32, padding: i32, dilation: i32, outHeight: i32, outWidth: i32): void {
  scatterWindowsOf<f32>(begin, end, images, windows, height, width, channels, first, count, kernelHeight, kernelWidth, stride, padding, dilation, outHeight, outWidth);
}
export function transposeBlocks32(begin: u32, end: u32, scratch: usize, a: usize, rows: u32, cols: u32, out: usize): void {
  transposeBlocksOf<f32>(begin, end, a, rows, cols, out);
}
export function affineColumns32(begin: u32, end: u32, scratch: usize, a: usize, alpha: usize, b: usize, beta: usize, gamma: usize, out: usize, cols: u32, hasB: bool): void {
  affineColumnsOf<f32>(begin, end, a, alpha, b, beta, gamma, out, cols, hasB);
}
export function columnDots32(begin: u32, end: u32, scratch: usize, a: usize, b: usize, rows: u32, cols: u32, partials: usize): void {
  columnDotsOf<f32>(begin, end, a, b, rows, cols, partials);
}
export function gatherWindows64(begin: u32, end: u32, scratch: usize, images: usize, windows: usize, height: i32, width: i32, channels: u32, first: u32, count: u32, kernelHeight: i32, kernelWidth: i32, stride: i32, padding: i32, dilation: i32, outHeight: i32, outWidth: i32): void {
  gatherWindowsOf<f64>(begin, end, images, windows, height, width, channels, first, count, kernelHeight, kernelWidth, stride, padding, dilation, outHeight, outWidth);
}
export function scatterWindows64(begin: u32, end: u32, scratch: usize, images: usize, windows: usize, height: i32, width: i32, channels: u32, first: u32, count: u32, kernelHeight: i32, kernelWidth: i32, stride: i32, padding: i32, dilation: i32, outHeight: i32, outWidth: i32): void {
  scatterWindowsOf<f64>(begin, end, images, windows, height, width, channels, first, count, kernelHeight, kernelWidth, stride, padding, dilation, outHeight, outWidth);
}
export function transposeBlocks64(begin: u32, end: u32, scratch: usize, a: usize, rows: u32, cols: u32, out: usize): void {
  transposeBlocksOf<f64>(begin, end, a, rows, cols, out);
}
export function affineColumns64(begin: u32, end: u32, scratch: usize, a: usize, alpha: usize, b: usize, beta: usize, gamma: usize, out: usize, cols: u32, hasB: bool): void {
  affineColumnsOf<f64>(begin, end, a, alpha, b, beta, gamma, out, cols, hasB);
}
export function columnDots64(begin: u32, end: u32, scratch: usize, a: usize, b: usize, rows: u32, cols: u32, partials: usize): void {
  columnDotsOf<f64>(begin, end, a, b, rows, cols, partials);
}
export function softmaxRows32(begin: u32, end: u32, scratch: usize, logits: usize, columns: u32, labels: usize, losses: usize, delta: usize): void {
  softmaxRowsOf<f32>(begin, end, scratch, logits, columns, labels, losses, delta);
}
export function softmaxRows64(begin: u32, end: u32, scratch: usize, logits: usize, columns: u32, labels: usize, losses: usize, delta: usize): void {
  softmaxRowsOf<f64>(begin, end, scratch, logits, columns, labels, losses, delta);
}
export function collect32(begin: u32, end: u32, scratch: usize, scores: usize, n: u32, bar: f32, ties: u32, offset: u32, out: usize, counts: usize): void {
  collectOf<f32>(begin, end, scores, n, bar, ties, offset, out, counts);
}
export function collect64(begin: u32, end: u32, scratch: usize, scores: usize, n: u32, bar: f64, ties: u32, offset: u32, out: usize, counts: usize): void {
  collectOf<f64>(begin, end, scores, n, bar, ties, offset, out, counts);
}
export function solveBlock32(begin: u32, end: u32, scratch: usize, l: usize, ldl: u32, nb: u32, isTransposed: bool, packed: usize, n: u32, m: u32, at: u32): void {
  solveBlockOf<f32>(begin, end, l, ldl, nb, isTransposed, packed, n, m, at);
}
export function solveBlock64(begin: u32, end: u32, scratch: usize, l: usize, ldl: u32, nb: u32, isTransposed: bool, packed: usize, n: u32, m: u32, at: u32): void {
  solveBlockOf<f64>(begin, end, l, ldl, nb, isTransposed, packed, n, m, at);
}
export function eliminateBlock32(begin: u32, end: u32, scratch: usize, l: usize, ldl: u32, nb: u32, isTransposed: bool, packed: usize, n: u32, m: u32, at: u32, to: u32, count: u32): void {
  eliminateBlockOf<f32>(begin, end, scratch, l, ldl, nb, isTransposed, packed, n, m, at, to, count);
}
export function eliminateBlock64(begin: u32, end: u32, scratch: usize, l: usize, ldl: u32, nb: u32, isTransposed: bool, packed: usize, n: u32, m: u32, at: u32, to: u32, count: u32): void {
  eliminateBlockOf<f64>(begin, end, scratch, l, ldl, nb, isTransposed, packed, n, m, at, to, count);
}
export function eliminateRows32(begin: u32, end: u32, scratch: usize, l: usize, ldl: u32, nb: u32, isTransposed: bool, packed: usize, n: u32, m: u32, at: u32, to: u32, count: u32): void {
  eliminateRowsOf<f32>(begin, end, scratch, l, ldl, nb, isTransposed, packed, n, m, at, to, count);
}
export function eliminateRows64(begin: u32, end: u32, scratch: usize, l: usize, ldl: u32, nb: u32, isTransposed: bool, packed: usize, n: u32, m: u32, at: u32, to: u32, count: u32): void {
  eliminateRowsOf<f64>(begin, end, scratch, l, ldl, nb, isTransposed, packed, n, m, at, to, count);
}
export function solveRows32(begin: u32, end: u32, scratch: usize, l: usize, ldl: u32, nb: u32, rows: usize, ldr: u32, count: u32, packed: usize): void {
  solveRowsOf<f32>(begin, end, l, ldl, nb, rows, ldr, count, packed);
}
export function solveRows64(begin: u32, end: u32, scratch: usize, l: usize, ldl: u32, nb: u32, rows: usize, ldr: u32, count: u32, packed: usize): void {
  solveRowsOf<f64>(begin, end, l, ldl, nb, rows, ldr, count, packed);
}
export function clearUpper32(begin: u32, end: u32, scratch: usize, a: usize, n: u32): void {
  clearUpperOf<f32>(begin, end, a, n);
}
export function clearUpper64(begin: u32, end: u32, scratch: usize, a: usize, n: u32): void {
  clearUpperOf<f64>(begin, end, a, n);
}
export function addPartials32(begin: u32, end: u32, scratch: usize, partials: usize, chunks: u32, cols: u32, sums: usize, isFirst: bool): void {
  addPartialsOf<f32>(begin, end, partials, chunks, cols, sums, isFirst);
}
export function addPartials64(begin: u32, end: u32, scratch: usize, partials: usize, chunks: u32, cols: u32, sums: usize, isFirst: bool): void {
  addPartialsOf<f64>(begin, end, partials, chunks, cols, sums, isFirst);
}
export function histogram32(begin: u32, end: u32, scratch: usize, scores: usize, n: u32, shift: u32, bits: u32, prefix: u32): void {
  histogramOf32(begin, end, scratch, scores, n, shift, bits, prefix);
}
export function histogram64(begin: u32, end: u32, scratch: usize, scores: usize, n: u32, shift: u32, bits: u32, prefixHigh: u32, prefixLow: u32): void {
  histogramOf64(begin, end, scratch, scores, n, shift, bits, prefixHigh, prefixLow);
}
export function factorBlock32(scratch: usize, a: usize, lda: u32, n: u32): i32 {
  return factorBlockOf<f32>(a, lda, n, scratch);
}
export function factorBlock64(scratch: usize, a: usize, lda: u32, n: u32): i32 {
  return factorBlockOf<f64>(a, lda, n, scratch);
}
/** A thread's own part of a workspace: threads are told apart by their scratch. */
// @ts-ignore: decorator
@inline
function ownPart(scratch: usize, firstScratch: usize, scratchBytes: usize, workspace: usize, bytes: usize): usize {
  return workspace + (scratch - firstScratch) / scratchBytes * bytes;
}
export function gemmEach32(begin: u32, end: u32, scratch: usize, firstScratch: usize, scratchBytes: usize, workspace: usize, bytes: usize, a: usize, b: usize, out: usize, m: u32, n: u32, k: u32, kc: u32): void {
  gemmEachOf<f32>(begin, end, scratch, ownPart(scratch, firstScratch, scratchBytes, workspace, bytes), a, b, out, m, n, k, kc);
}
export function gemmEach64(begin: u32, end: u32, scratch: usize, firstScratch: usize, scratchBytes: usize, workspace: usize, bytes: usize, a: usize, b: usize, out: usize, m: u32, n: u32, k: u32, kc: u32): void {
  gemmEachOf<f64>(begin, end, scratch, ownPart(scratch, firstScratch, scratchBytes, workspace, bytes), a, b, out, m, n, k, kc);
}
export function windowProducts32(begin: u32, end: u32, scratch: usize, firstScratch: usize, scratchBytes: usize, workspace: usize, bytes: usize, images: usize, packed: usize, scale: usize, bias: usize, out: usize, height: i32, width: i32, channels: u32, outputs: u32, kernelHeight: i32, kernelWidth: i32, stride: i32, padding: i32, dilation: i32, outHeight: i32, outWidth: i32, rows: u32, rowsPerUnit: u32, kc: u32, isImage: bool, mode: u32): void {
  windowProductsOf<f32>(begin, end, ownPart(scratch, firstScratch, scratchBytes, workspace, bytes), images, packed, scale, bias, out, height, width, channels, outputs, kernelHeight, kernelWidth, stride, padding, dilation, outHeight, outWidth, rows, rowsPerUnit, kc, isImage, mode);
}
export function windowProducts64(begin: u32, end: u32, scratch: usize, firstScratch: usize, scratchBytes: usize, workspace: usize, bytes: usize, images: usize, packed: usize, scale: usize, bias: usize, out: usize, height: i32, width: i32, channels: u32, outputs: u32, kernelHeight: i32, kernelWidth: i32, stride: i32, padding: i32, dilation: i32, outHeight: i32, outWidth: i32, rows: u32, rowsPerUnit: u32, kc: u32, isImage: bool, mode: u32): void {
  windowProductsOf<f64>(begin, end, ownPart(scratch, firstScratch, scratchBytes, workspace, bytes), images, packed, scale, bias, out, height, width, channels, outputs, kernelHeight, kernelWidth, stride, padding, dilation, outHeight, outWidth, rows, rowsPerUnit, kc, isImage, mode);
}
export function windowCorrelations32(begin: u32, end: u32, scratch: usize, images: usize, displacements: usize, displacementCount: u32, rectangles: usize, height: u32, width: u32, channels: u32, count: u32, batch: u32, chunkImages: u32, partials: usize, partialBytes: usize, sums: usize, sumsBytes: usize): void {
  windowCorrelationsOf<f32>(begin, end, images, displacements, displacementCount, rectangles, height, width, channels, count, batch, chunkImages, partials, partialBytes, sums, sumsBytes);
}
export function windowBlocks32(begin: u32, end: u32, scratch: usize, squares: usize, pairs: usize, parts: usize, count: u32, taps: u32, out: usize, isSum: bool): void {
  windowBlocksOf<f32>(begin, end, squares, pairs, parts, count, taps, out, isSum);
}
export function windowCorrelations64(begin: u32, end: u32, scratch: usize, images: usize, displacements: usize, displacementCount: u32, rectangles: usize, height: u32, width: u32, channels: u32, count: u32, batch: u32, chunkImages: u32, partials: usize, partialBytes: usize, sums: usize, sumsBytes: usize): void {
  windowCorrelationsOf<f64>(begin, end, images, displacements, displacementCount, rectangles, height, width, channels, count, batch, chunkImages, partials, partialBytes, sums, sumsBytes);
}
export function windowBlocks64(begin: u32, end: u32, scratch: usize, squares: usize, pairs: usize, parts: usize, count: u32, taps: u32, out: usize, isSum: bool): void {
  windowBlocksOf<f64>(begin, end, squares, pairs, parts, count, taps, out, isSum);
}
export function transformWeights32(begin: u32, end: u32, scratch: usize, w: usize, outputs: u32, channels: u32, isBack: bool, packed: usize): void {
  transformWeightsOf<f32>(begin, end, scratch, w, outputs, channels, isBack, packed);
}
export function winogradTiles32(begin: u32, end: u32, scratch: usize, firstScratch: usize, scratchBytes: usize, workspace: usize, bytes: usize, images: usize, packed: usize, scale: usize, bias: usize, out: usize, height: i32, width: i32, own: u32, channels: u32, outputs: u32, padding: i32, outHeight: i32, outWidth: i32, tiles: u32, blockTiles: u32, mode: u32): void {
  winogradTilesOf<f32>(begin, end, ownPart(scratch, firstScratch, scratchBytes, workspace, bytes), images, packed, scale, bias, out, height, width, own, channels, outputs, padding, outHeight, outWidth, tiles, blockTiles, mode);
}
export function winogradGradients32(begin: u32, end: u32, scratch: usize, firstScratch: usize, scratchBytes: usize, workspace: usize, bytes: usize, images: usize, deltas: usize, partials: usize, height: i32, width: i32, own: u32, channels: u32, outputs: u32, padding: i32, outHeight: i32, outWidth: i32, batch: u32, group: u32, chunks: u32, chunkImages: u32, blockTiles: u32): void {
  winogradGradientsOf<f32>(begin, end, ownPart(scratch, firstScratch, scratchBytes, workspace, bytes), images, deltas, partials, height, width, own, channels, outputs, padding, outHeight, outWidth, batch, group, chunks, chunkImages, blockTiles);
}
export function addSegments32(begin: u32, end: u32, scratch: usize, partials: usize, chunks: u32, size: u32, out: usize): void {
  addSegmentsOf<f32>(begin, end, partials, chunks, size, out);
}
export function transformWeights64(begin: u32, end: u32, scratch: usize, w: usize, outputs: u32, channels: u32, isBack: bool, packed: usize): void {
  transformWeightsOf<f64>(begin, end, scratch, w, outputs, channels, isBack, packed);
}
export function winogradTiles64(begin: u32, end: u32, scratch: usize, firstScratch: usize, scratchBytes: usize, workspace: usize, bytes: usize, images: usize, packed: usize, scale: usize, bias: usize, out: usize, height: i32, width: i32, own: u32, channels: u32, outputs: u32, padding: i32, outHeight: i32, outWidth: i32, tiles: u32, blockTiles: u32, mode: u32): void {
  winogradTilesOf<f64>(begin, end, ownPart(scratch, firstScratch, scratchBytes, workspace, bytes), images, packed, scale, bias, out, height, width, own, channels, outputs, padding, outHeight, outWidth, tiles, blockTiles, mode);
}
export function winogradGradients64(begin: u32, end: u32, scratch: usize, firstScratch: usize, scratchBytes: usize, workspace: usize, bytes: usize, images: usize, deltas: usize, partials: usize, height: i32, width: i32, own: u32, channels: u32, outputs: u32, padding: i32, outHeight: i32, outWidth: i32, batch: u32, group: u32, chunks: u32, chunkImages: u32, blockTiles: u32): void {
  winogradGradientsOf<f64>(begin, end, ownPart(scratch, firstScratch, scratchBytes, workspace, bytes), images, deltas, partials, height, width, own, channels, outputs, padding, outHeight, outWidth, batch, group, chunks, chunkImages, blockTiles);
}
export function addSegments64(begin: u32, end: u32, scratch: usize, partials: usize, chunks: u32, size: u32, out: usize): void {
  addSegmentsOf<f64>(begin, end, partials, chunks, size, out);
}
export function groupedOutputs32(begin: u32, end: u32, scratch: usize, images: usize, weights: usize, scale: usize, bias: usize, out: usize, height: i32, width: i32, channels: u32, outputs: u32, groups: u32, kernelHeight: i32, kernelWidth: i32, stride: i32, padding: i32, dilation: i32, outHeight: i32, outWidth: i32, isDepthwise: bool, mode: u32): void {
  groupedOutputsOf<f32>(begin, end, images, weights, scale, bias, out, height, width, channels, outputs, groups, kernelHeight, kernelWidth, stride, padding, dilation, outHeight, outWidth, isDepthwise, mode);
}
export function groupedBack32(begin: u32, end: u32, scratch: usize, deltas: usize, weights: usize, out: usize, height: i32, width: i32, channels: u32, outputs: u32, groups: u32, kernelHeight: i32, kernelWidth: i32, stride: i32, padding: i32, dilation: i32, outHeight: i32, outWidth: i32, isDepthwise: bool): void {
  groupedBackOf<f32>(begin, end, deltas, weights, out, height, width, channels, outputs, groups, kernelHeight, kernelWidth, stride, padding, dilation, outHeight, outWidth, isDepthwise);
}
export function groupedGradients32(begin: u32, end: u32, scratch: usize, images: usize, deltas: usize, partials: usize, height: i32, width: i32, channels: u32, outputs: u32, groups: u32, kernelHeight: i32, kernelWidth: i32, stride: i32, padding: i32, dilation: i32, outHeight: i32, outWidth: i32, isDepthwise: bool, batch: u32, group: u32, chunks: u32, chunkImages: u32): void {
  groupedGradientsOf<f32>(begin, end, images, deltas, partials, height, width, channels, outputs, groups, kernelHeight, kernelWidth, stride, padding, dilation, outHeight, outWidth, isDepthwise, batch, group, chunks, chunkImages);
}
export function groupedOutputs64(begin: u32, end: u32, scratch: usize, images: usize, weights: usize, scale: usize, bias: usize, out: usize, height: i32, width: i32, channels: u32, outputs: u32, groups: u32, kernelHeight: i32, kernelWidth: i32, stride: i32, padding: i32, dilation: i32, outHeight: i32, outWidth: i32, isDepthwise: bool, mode: u32): void {
  groupedOutputsOf<f64>(begin, end, images, weights, scale, bias, out, height, width, channels, outputs, groups, kernelHeight, kernelWidth, stride, padding, dilation, outHeight, outWidth, isDepthwise, mode);
}
export function groupedBack64(begin: u32, end: u32, scratch: usize, deltas: usize, weights: usize, out: usize, height: i32, width: i32, channels: u32, outputs: u32, groups: u32, kernelHeight: i32, kernelWidth: i32, stride: i32, padding: i32, dilation: i32, outHeight: i32, outWidth: i32, isDepthwise: bool): void {
  groupedBackOf<f64>(begin, end, deltas, weights, out, height, width, channels, outputs, groups, kernelHeight, kernelWidth, stride, padding, dilation, outHeight, outWidth, isDepthwise);
}
export function groupedGradients64(begin: u32, end: u32, scratch: usize, images: usize, deltas: usize, partials: usize, height: i32, width: i32, channels: u32, outputs: u32, groups: u32, kernelHeight: i32, kernelWidth: i32, stride: i32, padding: i32, dilation: i32, outHeight: i32, outWidth: i32, isDepthwise: bool, batch: u32, group: u32, chunks: u32, chunkImages: u32): void {
  groupedGradientsOf<f64>(begin, end, images, deltas, partials, height, width, channels, outputs, groups, kernelHeight, kernelWidth, stride, padding, dilation, outHeight, outWidth, isDepthwise, batch, group, chunks, chunkImages);
}
export function maxWindows32(begin: u32, end: u32, scratch: usize, images: usize, out: usize, taken: usize, height: i32, width: i32, channels: u32, kernelHeight: i32, kernelWidth: i32, stride: i32, padding: i32, dilation: i32, outHeight: i32, outWidth: i32): void {
  maxWindowsOf<f32>(begin, end, images, out, taken, height, width, channels, kernelHeight, kernelWidth, stride, padding, dilation, outHeight, outWidth);
}
export function maxWindows64(begin: u32, end: u32, scratch: usize, images: usize, out: usize, taken: usize, height: i32, width: i32, channels: u32, kernelHeight: i32, kernelWidth: i32, stride: i32, padding: i32, dilation: i32, outHeight: i32, outWidth: i32): void {
  maxWindowsOf<f64>(begin, end, images, out, taken, height, width, channels, kernelHeight, kernelWidth, stride, padding, dilation, outHeight, outWidth);
}
/** The first address after the module's own data. */
export function dataEnd(): usize {
  return __heap_base;
}
export function sparseTimes32(begin: u32, end: u32, scratch: usize, starts: usize, lines: usize, values: usize, groups: u32, rows: u32, cols: u32, panels: usize, out: usize): void {
  sparseTimesOf<f32>(begin, end, starts, lines, values, groups, rows, cols, panels, out);
}
export function sparseTimes64(begin: u32, end: u32, scratch: usize, starts: usize, lines: usize, values: usize, groups: u32, rows: u32, cols: u32, panels: usize, out: usize): void {
  sparseTimesOf<f64>(begin, end, starts, lines, values, groups, rows, cols, panels, out);
}
export function panelProducts32(begin: u32, end: u32, scratch: usize, starts: usize, lines: usize, places: usize, rows: u32, cols: u32, a: usize, b: usize, count: u32, sums: usize, out: usize): void {
  panelProductsOf<f32>(begin, end, starts, lines, places, rows, cols, a, b, count, sums, out);
}
export function panelProducts64(begin: u32, end: u32, scratch: usize, starts: usize, lines: usize, places: usize, rows: u32, cols: u32, a: usize, b: usize, count: u32, sums: usize, out: usize): void {
  panelProductsOf<f64>(begin, end, starts, lines, places, rows, cols, a, b, count, sums, out);
}
export { elementwise32, softmax32 } from "./program";
export { sparseConvolve32, sparseGradients32 } from "./sparse-convolution";
export function chain32(begin: u32, end: u32, scratch: usize, firstScratch: usize, scratchBytes: usize, workspace: usize, bytes: usize, layers: usize, layerCount: u32, count: u32, groups: u32, entries: u32, values: usize, outputs: usize, probabilities: usize, groupSums: usize): void {
  chainOf<f32>(begin, end, ownPart(scratch, firstScratch, scratchBytes, workspace, bytes), layers, layerCount, count, groups, entries, values, outputs, probabilities, groupSums);
}
export function chain64(begin: u32, end: u32, scratch: usize, firstScratch: usize, scratchBytes: usize, workspace: usize, bytes: usize, layers: usize, layerCount: u32, count: u32, groups: u32, entries: u32, values: usize, outputs: usize, probabilities: usize, groupSums: usize): void {
  chainOf<f64>(begin, end, ownPart(scratch, firstScratch, scratchBytes, workspace, bytes), layers, layerCount, count, groups, entries, values, outputs, probabilities, groupSums);
}
export { addGroups } from "./chain";
export function chainSquares32(begin: u32, end: u32, scratch: usize, firstScratch: usize, scratchBytes: usize, workspace: usize, bytes: usize, layers: usize, layerCount: u32, probabilities: usize, targets: usize): void {
  chainSquaresOf<f32>(begin, end, ownPart(scratch, firstScratch, scratchBytes, workspace, bytes), layers, layerCount, probabilities, targets);
}
export function chainSquares64(begin: u32, end: u32, scratch: usize, firstScratch: usize, scratchBytes: usize, workspace: usize, bytes: usize, layers: usize, layerCount: u32, probabilities: usize, targets: usize): void {
  chainSquaresOf<f64>(begin, end, ownPart(scratch, firstScratch, scratchBytes, workspace, bytes), layers, layerCount, probabilities, targets);
}
