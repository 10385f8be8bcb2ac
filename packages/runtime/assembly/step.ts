// The words of a step of the program, as the planner (src/plan) writes them: what every kernel here reads its arguments from. Addresses
// are byte addresses, distances are bytes. Words 0 and 1 are the kernel's number and how many units its work has.

// @ts-ignore: decorator
@inline
export function word(step: usize, index: u32): u32 {
  return load<u32>(step + (index << 2));
}

// @ts-ignore: decorator
@inline
export function real(step: usize, index: u32): f32 {
  return load<f32>(step + (index << 2));
}
