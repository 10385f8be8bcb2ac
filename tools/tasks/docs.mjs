export async function docs() {}
