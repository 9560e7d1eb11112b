// Reads three lines of JSON on standard input (those of scale.ts, watch-memory.mjs and draining.ts) and prints the goals.
// Arguments: `table` or `json`, and perhaps a file that gets the JSON too.
import { readFileSync, writeFileSync } from 'node:fs';
import {
  scaleGoals,
  scaleText,
  type DrainingChange,
  type LabScale,
  type ListedObjects,
} from './scale-report.js';

const [format = 'table', file = ''] = process.argv.slice(2);
const [lab, list, draining] = readFileSync(0, 'utf8')
  .trim()
  .split('\n')
  .map((line): unknown => JSON.parse(line));
const scale = { lab: lab as LabScale, list: list as ListedObjects, draining: draining as DrainingChange };
const json = `${JSON.stringify({ goals: scaleGoals(scale), ...scale }, undefined, 2)}\n`;
if (file !== '') writeFileSync(file, json);
process.stdout.write(format === 'json' ? json : scaleText(scale));
