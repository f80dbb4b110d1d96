// As that of edge-logout, less the objects.
import { Client } from './deadline.js';
import { alive } from './life.js';
import * as module from './module.js';

module.prepare();

export default {
  fetch(request, env, context) {
    const client = new Client(context);
    alive(module.fetch, request, env, client);
    return client.answered;
  },
};
