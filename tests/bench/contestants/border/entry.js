// As that of edge-logout, less the objects.
import { Client } from './deadline.js';
import * as module from './module.js';
import { begin } from './promises.js';

module.prepare();

export default {
  fetch(request, env, context) {
    const client = new Client(context);
    begin(module.fetch, request, request.method, request.url, env, client);
    return client.answered;
  },
};
