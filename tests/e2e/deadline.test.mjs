// The net under a request (src/edge/deadline.js), by itself.
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Client } from '../../src/edge/deadline.js';

/** A client, and what it gets. */
function waiting() {
  const client = new Client();
  return { client, answer: client.answered };
}

/** With timers in the test's hand; `outcome` tells what a promise has come to, if anything. */
async function withTimers(work) {
  mock.timers.enable({ apis: ['setTimeout'] });
  mock.method(console, 'error', () => {});
  try {
    await work(mock.timers);
  } finally {
    mock.timers.reset();
    mock.restoreAll();
  }
}
async function outcome(promise) {
  const pending = Symbol('pending');
  // As many turns as the promises in between take.
  for (let turn = 0; turn < 10; turn++) await null;
  const came = await Promise.race([promise, Promise.resolve(pending)]);
  return came === pending ? 'pending' : came;
}

test('the answer is the first', async () => {
  const { client, answer } = waiting();
  client.answer('done');
  client.answer('too late');
  assert.equal(await answer, 'done');
});

test('a client without a deadline is never told off', () =>
  withTimers(async (timers) => {
    const { answer } = waiting();
    timers.tick(3_600_000);
    assert.equal(await outcome(answer), 'pending');
  }));

test('a deadline that was lifted cuts nothing, however long the work goes on', () =>
  withTimers(async (timers) => {
    const { client, answer } = waiting();
    client.wait(10_000, () => {});
    timers.tick(9_999);
    client.lift();
    timers.tick(3_600_000);
    assert.equal(await outcome(answer), 'pending');
  }));

test('one that passes says so, and an instance that lives has time to answer', () =>
  withTimers(async (timers) => {
    const { client, answer } = waiting();
    const passed = new Promise((resolve) => client.wait(2000, resolve));
    timers.tick(1999);
    assert.equal(await outcome(passed), 'pending');
    timers.tick(1);
    assert.equal(await outcome(passed), undefined);
    timers.tick(249);
    assert.equal(await outcome(answer), 'pending');
    client.lift();
    timers.tick(3_600_000);
    assert.equal(await outcome(answer), 'pending');
  }));

test('where nobody answers, it does: 503', () =>
  withTimers(async (timers) => {
    const { client, answer } = waiting();
    client.wait(2000, () => {});
    timers.tick(2000);
    timers.tick(250);
    const { status, headers } = await outcome(answer);
    assert.deepEqual(
      [status, headers.get('retry-after'), headers.get('cache-control')],
      [503, '2', 'no-store'],
    );
    assert.deepEqual(console.error.mock.calls[0].arguments, ['{"code":"instance_lost"}']);
  }));

test('nothing is kept of a request that is over', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  const request = (isAnswered) => {
    const { client, answer: over } = waiting();
    const answer = {};
    client.wait(60_000, () => {});
    client.lift();
    if (isAnswered) client.answer(answer);
    return [answer, over, client].map((kept) => new WeakRef(kept));
  };
  const kept = Array.from({ length: 1000 }, (_, number) => request(number % 2)).flat();
  await new Promise((resolve) => setTimeout(resolve));
  collect();
  assert.deepEqual(kept.filter((of) => of.deref()), []);
});
