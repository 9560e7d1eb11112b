// Serves the page of a simulated daemon, for work on src/web: node build/test/support/page-server.js [SERVICES] [PORT]
import { pageObjects, startPageNode } from './page-node.js';

const [services = '200', port = '10249'] = process.argv.slice(2);
const node = await startPageNode(pageObjects(Number(services)), Number(port));
console.log(`${node.url}/`);
