// Loaded before the daemon (`--import`): after SIGUSR2 the next step of a sync throws a TypeError, as a programming error would.

let isArmed = false;
process.on('SIGUSR2', () => (isArmed = true));

const { clear } = Set.prototype;
Set.prototype.clear = function clearOrThrow(this: Set<unknown>): void {
  if (isArmed && new Error('where').stack?.includes('KernelSync') === true)
    throw new TypeError('injected programming error');
  clear.call(this);
};

export {};
