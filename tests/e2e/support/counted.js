// The built Worker with a dataset that remembers its data points: an entry module for tests.
// A GET of /points tells those since the last one; a POST to /points has the dataset fail from then on.
import Worker, { Ledger as BuiltLedger } from './index.js';

export * from './index.js';

let points = [];
let isFailing = false;

const ANALYTICS = {
  writeDataPoint(point) {
    points.push(point);
    if (isFailing) throw new Error('the dataset fails');
  },
};

export class Ledger {
  constructor(state, env) {
    this.list = new BuiltLedger(state, { ...env, ANALYTICS });
  }

  fetch(request) {
    return this.list.fetch(request);
  }

  alarm() {
    return this.list.alarm();
  }
}

export default {
  ...Worker,

  async fetch(request, env, context) {
    if (new URL(request.url).pathname !== '/points') return Worker.fetch(request, { ...env, ANALYTICS }, context);
    isFailing ||= request.method === 'POST';
    const told = points;
    points = [];
    return Response.json(told);
  },
};
