// Serves the page of a simulated daemon, for work on src/web: node build/test/support/page-server.js [SERVICES] [PORT]
import { loseEndpoint, pageObjects, startPageNode } from './page-node.js';

const [services = '200', port = '10249'] = process.argv.slice(2);
const objects = pageObjects(Number(services));
const node = await startPageNode(objects, Number(port));
const [web] = objects.slices;
if (web !== undefined) loseEndpoint(node, web);
console.log(`${node.url}/`);
