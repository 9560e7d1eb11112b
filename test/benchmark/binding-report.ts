import type { VipBinding } from '../../src/model/settings/vip-binding.js';
import { median, type FloorRun } from './report.js';

/** What one run of binding.ts prints. */
export interface BindingRun {
  readonly fullSyncSeconds: number;
  readonly residentMegabytes: number;
}

/** All runs of one binding at one size, with those of the floor. */
export interface BindingRuns {
  readonly services: number;
  readonly endpoints: number;
  readonly binding: VipBinding;
  readonly floor: readonly FloorRun[];
  readonly sync: readonly BindingRun[];
}

/** Medians. */
export interface BindingResult {
  readonly services: number;
  readonly endpoints: number;
  readonly binding: VipBinding;
  readonly runs: number;
  readonly fullSyncSeconds: number;
  /** All messages of a full sync but packet rules, and of these the bindings of VIPs alone. */
  readonly floorSeconds: number;
  readonly floorOfBindingsSeconds: number;
  readonly residentMegabytes: number;
}

const rounded = (value: number): number => Math.round(value * 1e3) / 1e3;

export const bindingResult = ({ floor, sync, ...what }: BindingRuns): BindingResult => ({
  ...what,
  runs: sync.length,
  fullSyncSeconds: rounded(median(sync.map((run) => run.fullSyncSeconds))),
  floorSeconds: rounded(median(floor.map((run) => run.virtualServers + run.addresses))),
  floorOfBindingsSeconds: rounded(median(floor.map((run) => run.addresses))),
  residentMegabytes: Math.round(median(sync.map((run) => run.residentMegabytes))),
});

/** A table that lines up, with a newline at the end. */
export const bindingText = (results: readonly BindingResult[]): string => {
  const rows = [
    ['Services', 'endpoints', 'binding', 'full sync', 'floor', 'of it VIPs', 'RSS'],
    ...results.map((result) => [
      result.services.toLocaleString('en'),
      String(result.endpoints),
      result.binding,
      `${result.fullSyncSeconds.toFixed(2)} s`,
      `${result.floorSeconds.toFixed(2)} s`,
      `${result.floorOfBindingsSeconds.toFixed(2)} s`,
      `${result.residentMegabytes} MB`,
    ]),
  ];
  const widthOf = (column: number): number => Math.max(...rows.map((row) => row[column]?.length ?? 0));
  return rows
    .map((row) => `${row.map((cell, column) => cell.padStart(widthOf(column))).join('  ')}\n`)
    .join('');
};
