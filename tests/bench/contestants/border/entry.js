// As that of edge-logout, less the objects.
import * as module from './module.js';
import { serve } from './serve.js';

module.prepare();

export default {
  fetch: (request, env, context) => serve(request, env, context, Date.now()),
};
