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

/** Loads settings from flags, the files of --config, and the host name. Throws an InputError if they are invalid. */
export const loadSettings = (flags: FlagValues): Settings =>
  resolveSettings({
    flags,
    files: (flags.get('config') ?? []).map(readConfigFile),
    hostname: hostname(),
    environment: process.env,
  });
