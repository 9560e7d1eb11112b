/** From now on daemons that this process starts write every netlink message to their log. */
export const traceDaemons = (): void => {
  process.env['KUBE_IPVS_TRACE'] = 'netlink';
};

const sent = /^netlink \S+ > seq \d+ \S+ (.*)$/gm;
const reading = /^(\S+ )?(get[-A-Z]\S*|batch-\S+) /;
/** What a start tries and the kernel refuses, to learn whether it could: a transaction without its end, a virtual server without a netmask. */
const probing =
  /table="probe-of-kube-ipvs"|name="probe-of-kube-ipvs"|newService .* port=1 .*netmask=00 00 00 00/;

/** What a daemon with that log sent to change the kernel, message by message as the trace describes them. */
export const mutationsIn = (log: string): readonly string[] =>
  [...log.matchAll(sent)]
    .map(([, body = '']) => body)
    .filter((body) => !reading.test(body) && !probing.test(body));

/** Its log without the trace. */
export const logWithoutTrace = (log: string): string =>
  log
    .split('\n')
    .filter((line) => !line.startsWith('netlink '))
    .join('\n');
