// Deletions in KV, in pairs, are made by JavaScript beside the module: what is promised of them is held here.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { deletePairs } from '../../src/edge/kv.js';

/** A KV whose deletions come to an end when they are told to. */
function kv() {
  const under = new Map();
  const begun = [];
  return {
    begun,
    delete: (key) => new Promise((resolve, reject) => {
      begun.push(key);
      under.set(key, { resolve, reject });
    }),
    async end(key, fails) {
      const { resolve, reject } = under.get(key);
      under.delete(key);
      if (fails) reject(new Error('KV is down'));
      else resolve();
      await setImmediate();
    },
  };
}

const pairs = (count) => Array.from({ length: count }, (_, number) => `first${number}\nlast${number}`).join('\n');

test('the second of a pair goes when the first is gone, and the next pair when a place is free', async () => {
  const store = kv();
  const done = deletePairs(store, pairs(3), 2);
  assert.deepEqual(store.begun, ['first0', 'first1']);
  await store.end('first1');
  assert.deepEqual(store.begun, ['first0', 'first1', 'last1']);
  await store.end('last1');
  assert.deepEqual(store.begun, ['first0', 'first1', 'last1', 'first2']);
  for (const key of ['first0', 'first2', 'last0', 'last2']) await store.end(key);
  assert.equal(store.begun.length, 6);
  await done;
});

for (const failing of ['first0', 'last0']) {
  test(`if ${failing} fails the others are deleted all the same, and it is told`, async () => {
    const store = kv();
    const told = assert.rejects(deletePairs(store, pairs(3), 1));
    if (failing === 'last0') await store.end('first0');
    await store.end(failing, true);
    for (const key of ['first1', 'last1', 'first2', 'last2']) await store.end(key);
    assert.equal(store.begun.includes('last0'), failing === 'last0');
    await told;
  });
}

test('a KV that throws at once has failed, too', async () => {
  const store = kv();
  const { delete: begin } = store;
  store.delete = (key) => {
    if (key === 'first0') throw new Error('KV is down');
    return begin(key);
  };
  const told = assert.rejects(deletePairs(store, pairs(2), 1));
  await setImmediate();
  for (const key of ['first1', 'last1']) await store.end(key);
  await told;
});
