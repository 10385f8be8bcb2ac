// A product over planes and what reads each of its planes alone, such as a depthwise convolution, some planes of both at a time: what is between
// them stays in the cache.
//
// Words: 2 words of the first step, 3 of the second; 4 planes at a time, a multiple of four; 5 planes of an image; 6 bytes from plane to plane of
// what is between, or 0 where all of it is held. Else only the planes of one unit are, over and over, by one thread: 7 where the first step writes and 8
// where the second reads them. A unit is so many planes of one image.
import { blockOutputs } from "./block-planes";
import { depthwiseUnits } from "./depthwise";
import { sparseOutputs } from "./sparse-planes";
import { word } from "./step";

export function pairedUnits(step: usize, begin: u32, end: u32): void {
  const first: usize = word(step, 2), second: usize = word(step, 3), planes = word(step, 5), plane = word(step, 6);
  const blocks = (planes + word(step, 4) - 1) / word(step, 4);
  for (let unit = begin; unit < end; unit++) {
    const image = unit / blocks, from = unit % blocks * word(step, 4), to = min(from + word(step, 4), planes);
    if (plane != 0) {
      // Both reckon from the first plane of the first image.
      const back = (image * planes + from) * plane;
      store<u32>(first, word(step, 7) - back, 16);
      store<u32>(second, word(step, 8) - back, 8);
    }
    outputsOf(first, image, planes, from, to);
    outputsOf(second, image, planes, from, to);
  }
}

function outputsOf(step: usize, image: u32, planes: u32, from: u32, to: u32): void {
  switch (word(step, 0)) {
    case 0: sparseOutputs(step, image, from, to); break;
    case 1: blockOutputs(step, image, from >> 2, (to + 3) >> 2); break;
    default: depthwiseUnits(step, image * planes + from, image * planes + to); break;
  }
}
