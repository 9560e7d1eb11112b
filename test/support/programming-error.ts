// Loaded before the daemon (`--import`): after SIGUSR2 the next step of a sync throws a TypeError, as a programming error would.
import { mock } from 'node:test';

const isStepOfSync = (): boolean => new Error('where').stack?.includes('KernelSync') === true;

let isArmed = false;
process.on('SIGUSR2', () => (isArmed = true));

// Every step of a sync looks something up.
const get: (key: unknown) => unknown = Reflect.get(Map.prototype, 'get');
mock.method(Map.prototype, 'get', function (this: Map<unknown, unknown>, key: unknown): unknown {
  if (isArmed && isStepOfSync()) throw new TypeError('injected programming error');
  return get.call(this, key);
});
