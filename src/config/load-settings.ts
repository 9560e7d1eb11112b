import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { InputError, messageOf } from '../base/errors.js';
import type { ConfigFile } from './configuration-file.js';
import type { FlagValues } from './parse-flags.js';
import { resolveSettings, type Settings } from './settings.js';

const readConfigFile = (name: string): ConfigFile => {
  try {
    return { name, text: readFileSync(name, 'utf8') };
  } catch (error) {
    throw new InputError(`--config=${name}: ${messageOf(error)}`);
  }
};

/** Settings from flags, the files that --config names, and the name of this machine. InputError where something is wrong. */
export const loadSettings = (flags: FlagValues): Settings =>
  resolveSettings({
    flags,
    files: (flags.get('config') ?? []).map(readConfigFile),
    hostname: hostname(),
    environment: process.env,
  });
