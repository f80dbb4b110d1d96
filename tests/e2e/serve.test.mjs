// Requests that go on without the module (src/edge/serve.js), by themselves.
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { load } from './support/told.mjs';

const { enter, lookFor, unlessTelling } = await load('serve.js');
lookFor('^$', 'set-cookie');

const request = { method: 'GET', url: 'https://app.example/shop/page' };
const [env, context, arrived] = [{}, {}, 1_764_000_000_000];
const quiet = new Response('page', { headers: { 'x-other': '1' } });
const telling = new Response('page', { headers: { 'Set-Cookie': 'a=b' } });

test('an answer that tells nothing is the client\'s as it comes', async () => {
  assert.equal(await unlessTelling(Promise.resolve(quiet), request, env, context, arrived), quiet);
  assert.deepEqual(globalThis.told, []);
});

test('one that tells something is the module\'s, and so is none', async () => {
  globalThis.heard = () => 'what the module says';
  for (const answer of [Promise.resolve(telling), Promise.reject(new Error('unreachable'))]) {
    assert.equal(await unlessTelling(answer, request, env, context, arrived), 'what the module says');
    const expected = ['fetch', request, request.method, request.url, arrived, env, context, answer];
    assert.deepEqual(globalThis.told.splice(0), [expected]);
  }
});

test('where the instance has died, the next one begins', () => {
  mock.method(console, 'log', () => {});
  globalThis.__worker_init_state.criticalError = true;
  enter(() => globalThis.told.push('begun'));
  assert.deepEqual(globalThis.told, [['__wbg_reset_state'], 'begun']);
  assert.equal(globalThis.__worker_init_state.criticalError, false);
});
