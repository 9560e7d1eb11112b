// Loaded before the daemon (`--import`): after SIGUSR2 the next step of a sync throws a TypeError, as a programming error would.

/** A step of a sync takes the time before it renders. */
const isStepOfSync = (): boolean => new Error('where').stack?.includes('KernelSync') === true;

let isArmed = false;
const now = performance.now.bind(performance);
performance.now = (): number => {
  if (isArmed && isStepOfSync()) throw new TypeError('injected programming error');
  return now();
};
process.on('SIGUSR2', () => (isArmed = true));
