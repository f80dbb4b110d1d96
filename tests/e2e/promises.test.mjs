// What the module hears of promises and timers (src/edge/promises.js), by itself.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collected, load } from './support/told.mjs';

const { begin, hear } = await load('promises.js');

/** What is told when everything has been collected that nobody holds. */
async function toldAfterCollecting() {
  await collected();
  return globalThis.told;
}

test('a promise is kept or broken, by its number', async () => {
  begin(hear, Promise.resolve('value'), 1);
  begin(hear, Promise.reject('error'), 2);
  await null;
  assert.deepEqual(globalThis.told, [['settle', 1, 'value', true], ['settle', 2, 'error', false]]);
});

test('work that nobody can have go on any more is forgotten, work that somebody can is not', async () => {
  const { promise, resolve } = Promise.withResolvers();
  const never = () => new Promise(() => {});
  begin(() => {
    hear(promise, 3);
    hear(never(), 4);
  });
  for (let number = 100; number < 110; number++) begin(hear, never(), number);
  const forgotten = (await toldAfterCollecting()).map(([name, number]) => `${name} ${number}`).toSorted();
  assert.deepEqual(forgotten, Array.from({ length: 10 }, (_, index) => `forget ${100 + index}`));
  globalThis.told = [];
  resolve('at last');
  assert.deepEqual(await toldAfterCollecting(), [['settle', 3, 'at last', true], ['forget', 4]]);
});

test('work that goes on waits for more as the work that it is', async () => {
  const later = Promise.withResolvers();
  globalThis.heard = (number) => number === 11 && hear(later.promise, 13);
  begin(() => {
    hear(Promise.resolve(), 11);
    hear(new Promise(() => {}), 12);
  });
  assert.deepEqual(await toldAfterCollecting(), [['settle', 11, undefined, true]], 'of 12 may still be told, with 13');
  later.resolve();
  assert.deepEqual((await toldAfterCollecting()).slice(1), [['settle', 13, undefined, true], ['forget', 12]]);
});

test('an instance that has died is told nothing, nor is the next one', async () => {
  begin(hear, Promise.resolve(), 6);
  begin(hear, new Promise(() => {}), 7);
  globalThis.__worker_init_state.instanceId++;
  assert.deepEqual(await toldAfterCollecting(), []);
  begin(hear, Promise.resolve(), 8);
  assert.deepEqual(await toldAfterCollecting(), [['settle', 8, undefined, true]]);
});
