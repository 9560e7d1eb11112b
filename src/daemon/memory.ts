import { nativeShims } from '../../native-shims/index.js';
import { preferMemory } from '../base/v8-memory.js';

/** Milliseconds after the first full sync in which V8's threads end the work that it began. */
const settle = 20_000;

/**
 * Gives back the memory that the start needed, and lets the kernel evict the parts of Node.js that only the start used. Call it after
 * the first full sync.
 */
export const releaseStartMemory = (): void => {
  preferMemory();
  setTimeout(() => {
    nativeShims().trimHeap();
    nativeShims().releaseProgramPages();
  }, settle).unref();
};
