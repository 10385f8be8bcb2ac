export async function pack() {}
