// Reads the measurements of traffic.ts on standard input and prints what they mean. Arguments: `table` or `json`, and perhaps
// a file that gets the JSON too.
import { readFileSync, writeFileSync } from 'node:fs';
import { trafficResultOf, trafficResultText, type TrafficMeasurements } from './traffic-report.js';

const [format = 'table', file = ''] = process.argv.slice(2);
const result = trafficResultOf(JSON.parse(readFileSync(0, 'utf8')) as TrafficMeasurements);
const json = `${JSON.stringify(result, undefined, 2)}\n`;
if (file !== '') writeFileSync(file, json);
process.stdout.write(format === 'json' ? json : trafficResultText(result));
