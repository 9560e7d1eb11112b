import type { Command } from '../framework/command.js';
import { cleanupCommand } from './cleanup.js';
import { completionCommand } from './completion.js';
import { configCommand } from './config.js';
import { diffCommand } from './diff.js';
import { doctorCommand } from './doctor.js';
import { dumpCommand } from './dump.js';
import { explainCommand } from './explain.js';
import { fleetCommand } from './fleet.js';
import { logCommand } from './log.js';
import { manCommand } from './man.js';
import { migrateCommand } from './migrate.js';
import { renderCommand } from './render.js';
import { statusCommand } from './status.js';
import { topCommand } from './top.js';
import { versionCommand } from './version.js';

/** All commands except the daemon, in the order of help and man page. */
export const commands: readonly Command[] = [
  dumpCommand,
  explainCommand,
  statusCommand,
  logCommand,
  diffCommand,
  topCommand,
  doctorCommand,
  fleetCommand,
  migrateCommand,
  renderCommand,
  cleanupCommand,
  configCommand,
  completionCommand,
  manCommand,
  versionCommand,
];
