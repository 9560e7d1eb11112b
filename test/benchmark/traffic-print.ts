// Reads the measurements of traffic.ts on standard input and prints what they mean. Arguments: `table` or `json`, and perhaps
// a file that gets the JSON too.
import { readFileSync, writeFileSync } from 'node:fs';
import {
  inClusterNodes,
  inClusterResultOf,
  inClusterResultText,
  trafficResultOf,
  trafficResultText,
  type InClusterNode,
  type TrafficMeasurements,
} from './traffic-report.js';

const [format = 'table', file = ''] = process.argv.slice(2);
const measurements = JSON.parse(readFileSync(0, 'utf8')) as
  | TrafficMeasurements
  | TrafficMeasurements<InClusterNode>;

const isInCluster = (all: typeof measurements): all is TrafficMeasurements<InClusterNode> =>
  all.runs.every(({ node }) => inClusterNodes.some((other) => other === node));

const { result, text } = isInCluster(measurements)
  ? { result: inClusterResultOf(measurements), text: inClusterResultText(inClusterResultOf(measurements)) }
  : { result: trafficResultOf(measurements), text: trafficResultText(trafficResultOf(measurements)) };
const json = `${JSON.stringify(result, undefined, 2)}\n`;
if (file !== '') writeFileSync(file, json);
process.stdout.write(format === 'json' ? json : text);
