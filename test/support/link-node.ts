import { runLine } from './lab-guest.js';

/** Links this namespace to `node` by the device link0 on both sides, with an address and prefix length each. */
export const linkNode = (ours: string, nodes: string): void => {
  const flags = ours.includes(':') ? ' nodad' : '';
  for (const command of [
    'ip link add link0 type veth peer name link0 netns node',
    `ip address add ${ours} dev link0${flags}`,
    'ip link set link0 up',
    `ip -n node address add ${nodes} dev link0${flags}`,
    'ip -n node link set link0 up',
  ])
    runLine(command);
};
