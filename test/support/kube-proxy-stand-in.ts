// A process in the place of kube-proxy: makes its rules and answers on its ports until it is stopped, and leaves its rules then, as
// kube-proxy does. Its mode and the variant of iptables are in the environment; the flags are those of kube-proxy, and ignored:
// `MODE=ipvs VARIANT=nft exec -a kube-proxy node kube-proxy-stand-in.js --config=FILE`.
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import { makeKubeProxyRules, type Mode, type Variant } from './kube-proxy-rules.js';

const { MODE: mode = 'ipvs', VARIANT: variant = 'nft' } = process.env as { MODE?: Mode; VARIANT?: Variant };
makeKubeProxyRules(mode, variant, (line, input = '') =>
  execFileSync('sh', ['-c', line], { encoding: 'utf8', input }),
);
createServer((_, response) => response.end('{}')).listen(10256, '0.0.0.0');
createServer(({ url }, response) => {
  response.statusCode = url === '/proxyMode' ? 200 : 404;
  response.end(url === '/proxyMode' ? mode : '');
}).listen(10249, '127.0.0.1');
process.on('SIGTERM', () => process.exit());
