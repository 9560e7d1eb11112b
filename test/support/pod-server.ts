// A pod: answers HTTP and UDP on its port with its name, over IPv4 and IPv6. Arguments: NAME PORT.
import { createSocket } from 'node:dgram';
import { createServer } from 'node:http';

const [name = '', port = '8080'] = process.argv.slice(2);
const http = createServer((_, response) => response.end(name));
// Connections that a test holds open stay open.
http.keepAliveTimeout = 600_000;
http.listen(Number(port), '::', () => process.stdout.write('ready\n'));
const udp = createSocket('udp6');
udp.on('message', (_, sender) => udp.send(name, sender.port, sender.address));
udp.bind(Number(port), '::');
