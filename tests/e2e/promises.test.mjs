// What the module hears of promises and timers (src/edge/promises.js), by itself.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { collected, load } from './support/told.mjs';

const { hear, soon } = await load('promises.js');

/** What is told when everything has been collected that nobody holds. */
async function toldAfterCollecting() {
  await collected();
  return globalThis.told;
}

test('a promise is kept or broken, by its number', async () => {
  hear(Promise.resolve('value'), 1);
  hear(Promise.reject('error'), 2);
  await null;
  assert.deepEqual(globalThis.told, [['settle', 1, 'value', true], ['settle', 2, 'error', false]]);
});

test('one that nobody can keep any more is forgotten, one that somebody can is not', async () => {
  const { promise, resolve } = Promise.withResolvers();
  hear(promise, 3);
  for (let number = 100; number < 110; number++) hear(new Promise(() => {}), number);
  // Those of the test before are over, and may be told of once more.
  const ours = (await toldAfterCollecting()).filter(([, number]) => number > 2);
  const forgotten = ours.map(([name, number]) => `${name} ${number}`).toSorted();
  assert.deepEqual(forgotten, Array.from({ length: 10 }, (_, index) => `forget ${100 + index}`));
  globalThis.told = [];
  resolve('at last');
  await null;
  assert.deepEqual(globalThis.told, [['settle', 3, 'at last', true]]);
});

test('an instance that has died is told nothing, nor is the next one', async () => {
  hear(Promise.resolve(), 6);
  soon();
  globalThis.__worker_init_state.instanceId++;
  await wait();
  assert.deepEqual(globalThis.told, []);
  soon();
  await wait();
  assert.deepEqual(globalThis.told, [['goOn']]);
});
