import { ApiServer } from '../support/api-server.js';
import { nodeObject, serviceObject, sliceObject } from './cluster-objects.js';

/** Serves many Services and EndpointSlices with metadata as controllers leave it, prints its URL and stays. Arguments: Services, endpoints a slice. */
const [count = 10_000, endpoints = 10] = process.argv.slice(2).map(Number);

const server = await ApiServer.start({ watchList: process.argv[4] === 'pages' ? 'refused' : 'served' });
for (let index = 0; index < count; index += 1)
  server.put(serviceObject(index), sliceObject(index, endpoints));
server.put(nodeObject);
console.log(server.url);
