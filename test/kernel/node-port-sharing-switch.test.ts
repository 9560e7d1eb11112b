// real time: as many requests as a client sends in real time are to meet every change.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodePortMark } from '../../src/model/firewall-mark.js';
import { savedTable } from '../support/lab-guest.js';
import { changeUnderRequests } from '../support/setting-under-requests.js';

const nodePort = 30_080;
const otherPorts = Array.from({ length: 30 }, (_, index) => 31_000 + index);
const lastPort = otherPorts.at(-1) ?? nodePort;
const lastMark = nodePortMark({ protocol: 'TCP', port: lastPort });

test('nodePorts.sharing changes in place and by restarts: no request fails, and open connections stay', () =>
  changeUnderRequests<boolean>({
    urls: [`http://192.0.2.1:${nodePort}/`, `http://[2001:db8:1::1]:${nodePort}/`],
    web: { type: 'NodePort', ports: [`http:80/TCP@${nodePort}`] },
    others: Object.fromEntries(
      otherPorts.map((port, index) => [
        `other-${index}`,
        { type: 'NodePort', clusterIPs: [`10.97.0.${index + 1}`], ports: [`http:80/TCP@${port}`] },
      ]),
    ),
    line: (sharing) => `nodePorts: {sharing: ${sharing}}`,
    check: (sharing) => {
      const open = savedTable('node').filter((line) => line.startsWith('-a ') && line.endsWith('-w 1'));
      const isOpen = { byMark: `-a -f ${lastMark} `, byAddress: `:${lastPort} ` };
      assert.equal(
        open.some((line) => line.startsWith(isOpen.byMark)),
        sharing,
      );
      assert.equal(
        open.some((line) => line.includes(isOpen.byAddress)),
        !sharing,
      );
    },
    first: false,
    inPlace: [true, false, true, false, true],
    byRestarts: [false, true],
  }));
