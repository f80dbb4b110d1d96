// An operator who knows the key, and how to ask.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { seal, session } from './format.mjs';
import { startWorld } from './world.mjs';

export const KEY = randomBytes(32).toString('hex');
/** The audience tag of the Access application. */
export const TAG = randomBytes(32).toString('hex');
export const HEADERS = { 'edge-logout-operator': '1', authorization: `Bearer ${KEY}` };
const API = '/.edge-logout/api';

/** A world with an operator; `more` are further bindings, a function as of `startWorld`. */
export async function startOffice({ more = () => ({}), ...setup } = {}) {
  const world = await startWorld({
    ...setup,
    bindings: (app, op) => ({
      OPERATOR_KEY: KEY,
      OPERATOR: { access_team: op.origin, access_audience: TAG, allow_insecure_http: true },
      ...more(app, op),
    }),
  });
  const { op } = world;
  // It publishes its keys as a team of Access, too.
  const { document } = op;
  op.document = (path) => document(path === '/cdn-cgi/access/certs' ? '/jwks' : path);
  /** A request to the API: status, headers, and the body parsed. */
  world.api = async (path, body, { headers = HEADERS, method, raw } = {}) => {
    const sent = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const answer = await world.request(`${API}${path}`, {
      method: method ?? (sent === undefined ? 'GET' : 'POST'),
      headers: { ...(sent === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      body: sent,
    });
    return { ...answer, json: answer.body.length > 0 ? JSON.parse(answer.body) : undefined };
  };
  /** The body of an answer that must be 200. */
  world.told = async (path, body) => {
    const { status, json } = await world.api(path, body);
    assert.equal(status, 200, JSON.stringify(json));
    return json;
  };
  /** Gives an order, and confirms it. */
  world.order = async (path, body) => {
    const asked = await world.told(path, body);
    return { asked, done: await world.told(path, { ...body, confirm: asked.confirm }) };
  };
  return withGate(world);
}

/** A world with sessions of its own to look at. */
export function withGate(world) {
  const { op } = world;
  /** A session of somebody at an app of this world, `ago` seconds old. */
  world.sessionOf = (sub, { client = 'shop', issuer = op.issuer, sid = `sid of ${sub}`, ago = 60 } = {}) =>
    session({ issuer, client, sub, sid, login: op.now() - ago });
  /** What the app is sent of a session's cookie: nothing, if it does not live; or the answer's status. */
  world.gate = async (bound, { client = 'shop', issuer = op.issuer } = {}) => {
    let cookie;
    world.app = (req, res) => {
      ({ cookie } = req.headers);
      res.end();
    };
    const app = { name: client.toUpperCase(), issuer, client, mode: world.mode };
    const sealed = seal(world.sealKeys, app, `${client}.sid`, 'secret', bound);
    const { status } = await world.request(`/${client}/`, { headers: { cookie: `${client}.sid=${sealed}` } });
    return status === 200 ? cookie !== undefined : status;
  };
  return world;
}
