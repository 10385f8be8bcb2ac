/** The library of reports. It is large, so it is loaded only when a report was asked for. */
export async function loadReport(): Promise<typeof import("@secateur/report") & { plottingLibrary: string }> {
  const [report, { plottingLibrary }] = await Promise.all([
    import("@secateur/report"),
    import("@secateur/report/node"),
  ]);
  return { ...report, plottingLibrary: await plottingLibrary() };
}
