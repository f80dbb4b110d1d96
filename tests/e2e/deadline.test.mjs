// The net under a request (src/edge/deadline.js), by itself.
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Deadline } from '../../src/edge/deadline.js';

const never = new Promise(() => {});

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

test('the answer is that of the work', async () => {
  assert.equal(await new Deadline().over(Promise.resolve('done')), 'done');
  await assert.rejects(new Deadline().over(Promise.reject(new Error('wrong'))), /wrong/);
});

test('work without a deadline is never cut', () =>
  withTimers(async (timers) => {
    const answer = new Deadline().over(never);
    timers.tick(3_600_000);
    assert.equal(await outcome(answer), 'pending');
  }));

test('a deadline that was lifted cuts nothing, however long the work goes on', () =>
  withTimers(async (timers) => {
    const deadline = new Deadline();
    const answer = deadline.over(never);
    deadline.set(10_000);
    timers.tick(9_999);
    deadline.lift();
    timers.tick(3_600_000);
    assert.equal(await outcome(answer), 'pending');
  }));

test('one that passes says so, and an instance that lives has time to answer', () =>
  withTimers(async (timers) => {
    const deadline = new Deadline();
    const answer = deadline.over(never);
    const passed = deadline.set(2000);
    timers.tick(1999);
    assert.equal(await outcome(passed), 'pending');
    timers.tick(1);
    assert.equal(await outcome(passed), undefined);
    timers.tick(249);
    assert.equal(await outcome(answer), 'pending');
    deadline.lift();
    timers.tick(3_600_000);
    assert.equal(await outcome(answer), 'pending');
  }));

test('where nobody answers, it does: 503', () =>
  withTimers(async (timers) => {
    const deadline = new Deadline();
    const answer = deadline.over(never);
    deadline.set(2000);
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
    const deadline = new Deadline();
    const answer = {};
    const over = deadline.over(isAnswered ? Promise.resolve(answer) : new Promise(() => {}));
    deadline.set(60_000);
    deadline.lift();
    return [answer, over, deadline].map((kept) => new WeakRef(kept));
  };
  const kept = Array.from({ length: 1000 }, (_, number) => request(number % 2)).flat();
  await new Promise((resolve) => setTimeout(resolve));
  collect();
  assert.deepEqual(kept.filter((of) => of.deref()), []);
});
