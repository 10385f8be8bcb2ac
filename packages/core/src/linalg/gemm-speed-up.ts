/**
 * How many times faster a multiply-add is inside a matrix product than on numbers streamed from memory: on one core some 40
 * GFLOPS against 12 GB/s of f32. Every choice between a factorisation and products weighs the two by it; `productCost` of a
 * view counts streamed multiply-adds.
 */
export const gemmSpeedUp = 6;
