// Who waits for an answer, and the one timer of a request (src/edge/deadline.js), by themselves.
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { collected, load } from './support/told.mjs';

const { Client, after, alive, begin, callOff, lookFor, workNow } = await load('deadline.js');

/** With time in the test's hand; `heard` is what the module does when it is told of a number. */
async function withTimers(work, heard) {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  mock.method(console, 'error', () => {});
  try {
    const client = new Client();
    globalThis.heard = heard?.bind(undefined, client);
    await work(mock.timers, client);
  } finally {
    mock.restoreAll();
    mock.timers.reset();
  }
}
const lifting = (client, number) => client.lift(number);
/** As the module has it: at the work of that client's request. */
const works = new WeakMap();
function atWork(client, call) {
  if (!works.has(client)) works.set(client, begin(workNow));
  alive(works.get(client), call);
}
const waiting = (client, ...waits) => atWork(client, () => waits.forEach(([span, number]) => client.wait(span, number)));
const lifted = (client, number) => atWork(client, () => client.lift(number));

async function outcome(promise) {
  const pending = Symbol('pending');
  // As many turns as the promises in between take.
  for (let turn = 0; turn < 10; turn++) await null;
  const came = await Promise.race([promise, Promise.resolve(pending)]);
  return came === pending ? 'pending' : came;
}

// Before time is mocked: what is put back afterwards keeps some timers.
test('nothing is kept of a request that is over', async () => {
  const request = (isAnswered) => {
    const context = { waitUntil() {} };
    const client = new Client(context);
    const answer = {};
    client.hold();
    waiting(client, [60_000, 1]);
    lifted(client, 1);
    client.answer(isAnswered ? answer : {});
    client.release();
    return [answer, client.answered, client, context].map((kept) => new WeakRef(kept));
  };
  const kept = Array.from({ length: 1000 }, (_, number) => request(number % 2)).flat();
  await collected();
  assert.deepEqual(kept.filter((of) => of.deref()), []);
});

test('a time comes, unless it is called off', async () => {
  begin(after, 5, 4);
  callOff(begin(after, 5, 5));
  await wait(30);
  assert.deepEqual(globalThis.told, [['settle', 4, undefined, true]]);
  // Of one that was called off nothing will come.
  await collected();
  assert.ok(globalThis.told.some(([name, number]) => name === 'forget' && number === 5));
});

test('the answer is the first', async () => {
  const client = new Client();
  client.answer('done');
  client.answer('too late');
  assert.equal(await client.answered, 'done');
});

test('an answer that tells nothing is the client\'s, and the work over; the module is told of any other', async () => {
  lookFor('^$', 'set-cookie\nx-telling');
  const quiet = new Response('page', { headers: { 'x-other': '1' } });
  const telling = new Response('page', { headers: { 'X-Telling': '1' } });
  for (const [coming, told, answer] of [
    [Promise.resolve(quiet), ['forget', 1], quiet],
    [Promise.resolve(telling), ['settle', 1, telling, true], 'pending'],
    [Promise.reject('unreachable'), ['settle', 1, 'unreachable', false], 'pending'],
  ]) {
    const client = new Client();
    atWork(client, () => client.handOver(coming, 1));
    assert.equal(await outcome(client.answered), answer);
    assert.deepEqual(globalThis.told.splice(0), [told]);
  }
  // If the instance has died, the client gets it all the same, or hears that nobody can look at it.
  mock.method(console, 'error', () => {});
  for (const [coming, status] of [[quiet, 200], [telling, 503]]) {
    const { client, held } = holding();
    atWork(client, () => client.handOver(Promise.resolve(coming), 1));
    globalThis.__worker_init_state.instanceId++;
    assert.equal((await outcome(client.answered)).status, status);
    assert.deepEqual(await Promise.all(held.map(outcome)), [undefined]);
    assert.deepEqual(globalThis.told, []);
  }
  mock.restoreAll();
  // One that never comes, of a request that is given up.
  begin(() => new Client().handOver(new Promise(() => {}), 1));
  await collected();
  assert.deepEqual(globalThis.told, [['forget', 1]]);
});

/** A client whose work is held, and what it is held by. */
function holding() {
  const held = [];
  const client = new Client({ waitUntil: (promise) => held.push(promise) });
  client.hold();
  return { client, held };
}

test('the runtime gives nothing up before it is let, and nothing is held after that', async () => {
  const { client, held } = holding();
  client.answer('done');
  assert.deepEqual(await Promise.all(held.map(outcome)), ['pending']);
  client.release();
  assert.deepEqual(await Promise.all(held.map(outcome)), [undefined]);
});

test('where the instance has died, nothing is held any more', () =>
  withTimers(async (timers) => {
    const [waiter, answered] = [holding(), holding()];
    for (const { client } of [waiter, answered]) waiting(client, [2000, 1]);
    answered.client.answer('done');
    globalThis.__worker_init_state.instanceId++;
    timers.tick(2000);
    const { status } = await outcome(waiter.client.answered);
    assert.equal(status, 503);
    assert.deepEqual(await Promise.all([...waiter.held, ...answered.held].map(outcome)), [undefined, undefined]);
  }));

test('a client that waits for nothing in particular is never told off', () =>
  withTimers(async (timers, { answered }) => {
    timers.tick(3_600_000);
    assert.equal(await outcome(answered), 'pending');
  }));

test('what was lifted cuts nothing, however long the work goes on', () =>
  withTimers(async (timers, client) => {
    waiting(client, [10_000, 1]);
    timers.tick(9_999);
    lifted(client, 1);
    timers.tick(3_600_000);
    assert.equal(await outcome(client.answered), 'pending');
    assert.deepEqual(globalThis.told, []);
  }));

test('the module is told of each in its time, and answers itself', () =>
  withTimers(async (timers, client) => {
    waiting(client, [10_000, 1], [2000, 2], [50, 3]);
    const toldBy = (milliseconds) => {
      timers.tick(milliseconds);
      return globalThis.told.splice(0).map(([name, number]) => `${name} ${number}`);
    };
    assert.deepEqual(toldBy(49), []);
    assert.deepEqual(toldBy(1), ['settle 3']);
    assert.deepEqual(toldBy(1949), []);
    assert.deepEqual(toldBy(1), ['settle 2']);
    assert.deepEqual(toldBy(7999), []);
    assert.deepEqual(toldBy(1), ['settle 1']);
    assert.deepEqual(toldBy(3_600_000), []);
    assert.equal(await outcome(client.answered), 'pending');
  }, lifting));

test('what comes one after the other in time takes one timer, and an answer ends it', () =>
  withTimers(async (timers, client) => {
    const [set, clear] = [mock.method(globalThis, 'setTimeout'), mock.method(globalThis, 'clearTimeout')];
    for (const [number, span] of [10_000, 2000, 1900].entries()) {
      waiting(client, [span, number]);
      timers.tick(100);
      lifted(client, number);
    }
    assert.equal(set.mock.callCount(), 1);
    const { result } = set.mock.calls[0];
    client.answer('done');
    assert.equal(clear.mock.calls.at(-1).arguments[0], Number(result));
    // After the answer nothing stays set either.
    waiting(client, [4000, 7]);
    lifted(client, 7);
    assert.equal(set.mock.callCount(), 2);
    assert.equal(clear.mock.calls.at(-1).arguments[0], Number(set.mock.calls[1].result));
  }));

test('where the instance has died, somebody answers: 503', () =>
  withTimers(async (timers, client) => {
    waiting(client, [2000, 1]);
    globalThis.__worker_init_state.instanceId++;
    timers.tick(1999);
    assert.equal(await outcome(client.answered), 'pending');
    timers.tick(1);
    const { status, headers } = await outcome(client.answered);
    assert.deepEqual([status, headers.get('retry-after'), headers.get('cache-control')], [503, '2', 'no-store']);
    assert.deepEqual(globalThis.told, [], 'the next instance hears nothing of it');
    assert.deepEqual(console.error.mock.calls.map((call) => call.arguments), [['{"code":"instance_lost"}']]);
  }));

test('where the instance dies of being told, somebody answers all the same: 503', () => {
  const panicking = () => {
    throw new Error('unreachable');
  };
  return withTimers(async (timers, client) => {
    waiting(client, [2000, 1], [2000, 2]);
    timers.tick(2000);
    const { status } = await outcome(client.answered);
    assert.equal(status, 503);
    assert.deepEqual(globalThis.told.map(([, number]) => number), [1], 'once it is dead it is told nothing more');
    const codes = console.error.mock.calls.map(({ arguments: [first] }) => first);
    assert.deepEqual(codes, ['Critical', '{"code":"instance_lost"}']);
  }, panicking);
});

test('after the answer nobody is told of a death', () =>
  withTimers(async (timers, client) => {
    waiting(client, [4000, 1]);
    client.answer('done');
    globalThis.__worker_init_state.instanceId++;
    timers.tick(3_600_000);
    assert.equal(await client.answered, 'done');
    assert.equal(console.error.mock.callCount(), 0);
  }));

test('where there are no timers, as outside of requests, nothing is thrown', () =>
  withTimers((timers, client) => {
    waiting(client, [1000, 1]);
    client.answer('done');
    mock.method(globalThis, 'clearTimeout', () => {
      throw new Error('not within a request');
    });
    lifted(client, 1);
    callOff(5);
    assert.equal(clearTimeout.mock.callCount(), 2);
  }));

test('what a request waits for is forgotten when the runtime has given it up, and not before', () =>
  withTimers(async (timers, client) => {
    // The first timer is cleared, for what is due before it.
    waiting(client, [1000, 1], [500, 2]);
    works.delete(client);
    await collected();
    assert.deepEqual(globalThis.told, []);
    // With the runtime's timers goes what they would have called.
    timers.reset();
    await collected();
    assert.deepEqual(globalThis.told, [['forget', 1], ['forget', 2]]);
    assert.equal(await outcome(client.answered), 'pending');
  }));
