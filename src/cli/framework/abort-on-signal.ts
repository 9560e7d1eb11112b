/** For commands that run until a signal: aborts at the first one. */
export const abortOnSignal = (): AbortSignal => {
  const controller = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
    process.once(name, () => controller.abort(name));
  return controller.signal;
};
