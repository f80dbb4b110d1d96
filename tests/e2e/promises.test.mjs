// What the module hears of promises and timers (src/edge/promises.js), by itself.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { collected, load } from './support/told.mjs';

const { begin, hear, soon } = await load('promises.js');

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

test('work goes on as the work that it is', async () => {
  const { promise, resolve } = Promise.withResolvers();
  globalThis.heard = (number) => {
    if (number === 11) hear(promise, 12);
    if (number === 12) soon();
  };
  begin(hear, Promise.resolve(), 11);
  assert.deepEqual(await toldAfterCollecting(), [['settle', 11, undefined, true]]);
  resolve();
  assert.deepEqual((await toldAfterCollecting()).slice(1), [['settle', 12, undefined, true], ['goOn']]);
});

test('an instance that has died is told nothing, nor is the next one', async () => {
  begin(hear, Promise.resolve(), 6);
  begin(hear, new Promise(() => {}), 7);
  begin(soon);
  globalThis.__worker_init_state.instanceId++;
  assert.deepEqual(await toldAfterCollecting(), []);
  begin(soon);
  await wait();
  assert.deepEqual(globalThis.told, [['goOn']]);
});
