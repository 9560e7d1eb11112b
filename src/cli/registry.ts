import type { Command } from './command.js';
import { cleanupCommand } from './commands/cleanup.js';
import { completionCommand } from './commands/completion.js';
import { configCommand } from './commands/config.js';
import { diffCommand } from './commands/diff.js';
import { doctorCommand } from './commands/doctor.js';
import { dumpCommand } from './commands/dump.js';
import { explainCommand } from './commands/explain.js';
import { manCommand } from './commands/man.js';
import { renderCommand } from './commands/render.js';
import { statusCommand } from './commands/status.js';
import { topCommand } from './commands/top.js';
import { versionCommand } from './commands/version.js';

/** Every command but the daemon, in the order of help and man page. */
export const commands: readonly Command[] = [
  dumpCommand,
  explainCommand,
  statusCommand,
  diffCommand,
  topCommand,
  doctorCommand,
  renderCommand,
  cleanupCommand,
  configCommand,
  completionCommand,
  manCommand,
  versionCommand,
];
