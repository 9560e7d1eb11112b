// To be loaded before a program that runs in the lab's virtual time: sampling the event loop's delay wakes it up 50 times a second,
// and each wake-up takes real time.
import perfHooks from 'node:perf_hooks';

Reflect.set(perfHooks, 'monitorEventLoopDelay', undefined);
