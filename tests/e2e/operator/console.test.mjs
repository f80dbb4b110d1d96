// The console of the shipped Worker in Chromium: what an operator does with it, and what becomes of the
// sessions. Everything else about the console is in ../console*.test.mjs.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { openBrowser } from '../support/browser.mjs';
import { openConsole, signIn } from '../support/console_page.mjs';
import { KEY, startOffice } from '../support/operator.mjs';

const ADDRESS = 'http://app.test/.edge-logout/operator';

let world, op, browser, page, complaints;
before(async () => {
  world = await startOffice({
    more: (app, op) => ({
      APP_WIKI: { ...app('wiki'), announce: { from: 'relay' }, login_paths: ['/wiki/callback'] },
      ISSUER_STAFF: {
        issuer: `${op.origin}/staff/`,
        allow_insecure_http: true,
        breaker: { sessions: 1, seconds: 3600 },
      },
      APP_STAFF: { ...app('staff'), issuer: `${op.origin}/staff/` },
    }),
  });
  op = world.op;
  browser = await openBrowser({ host: 'app.test', port: world.port });
  await browser.context.grantPermissions(['clipboard-read', 'clipboard-write']);
});
after(async () => {
  await browser?.close();
  await world?.stop();
});
afterEach(async () => {
  await page?.close();
  assert.deepEqual(complaints, [], 'no violation of the policy, no error of a script');
});

const button = (name) => page.getByRole('button', { name, exact: true });
const told = (text) => page.getByRole('status').filter({ hasText: text }).waitFor();

async function open() {
  ({ page, complaints } = await openConsole(browser, { url: ADDRESS }));
  await signIn(page, { key: KEY });
}

/** Asks for the journal again until it shows this code: the desk is told after the answer. */
async function journalShows(code) {
  const row = page.getByRole('region', { name: 'Journal' }).getByRole('row').filter({ hasText: code });
  for (const end = Date.now() + 15_000; (await row.count()) === 0; ) {
    assert.ok(Date.now() < end, `${code} is not in the journal`);
    await button('Refresh the journal').click();
    await told('SHOP: read at');
  }
  return row.first().innerText();
}

test('shows the values to enter at the provider, and finds the provider well', async () => {
  await open();
  for (const [name, value] of [
    ['backchannel_logout_uri', 'http://app.test/shop/bclogout'],
    ['backchannel_logout_session_required', 'true'],
    ['client_id', 'shop'],
    ['issuer', op.issuer],
  ]) {
    await button(`Copy ${name}`).click();
    await told(`Copied: ${name}.`);
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), value);
  }
  await button('Run the self-test').click();
  await told('12 checks: 2 warn, 1 unknown, 9 pass.');
  await browser.shoot(page, 'console-worker-self-test', { fullPage: true });

  await page.getByRole('link', { name: 'WIKI' }).click();
  await button('Copy token_endpoint').click();
  await told('Copied: token_endpoint.');
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(copied, 'http://app.test/.edge-logout/relay/WIKI/token');
});

test('ends the sessions of a user, and nobody else’s', async () => {
  const [first, second] = ['a1', 'a2'].map((sid) => world.sessionOf('alice', { sid }));
  const other = world.sessionOf('bob');
  await world.store(first, second, other);
  await open();
  await page.getByLabel('Identifier').fill('alice');
  await button('Look up').click();
  await told('2 sessions.');
  await button('End all that match…').click();
  await page.getByRole('dialog').getByText('2 sessions', { exact: true }).waitFor();
  assert.deepEqual(await world.contents(), world.stored(first, second, other), 'nothing is done yet');
  await button('Cancel').click();
  assert.equal(await world.gate(first), true);

  await button('End all that match…').click();
  await button('End 2 sessions').click();
  await told('SHOP: 2 sessions ended.');
  assert.deepEqual([await world.gate(first), await world.gate(second), await world.gate(other)], [false, false, true]);
  const entries = async () => Object.keys(await world.contents()).filter((key) => key.startsWith('session/'));
  for (const end = Date.now() + 10_000; (await entries()).length > 1; ) assert.ok(Date.now() < end);
  assert.match(await journalShows('operator_ended'), /operator/);
  await browser.shoot(page, 'console-worker-ended', { fullPage: true });
});

test('shows deliveries and refusals with their reasons', async () => {
  await world.store(world.sessionOf('carol', { sid: 'c1' }));
  assert.equal((await world.logout(await op.logoutToken({ sid: 'c1' }))).status, 200);
  assert.equal((await world.logout(await op.logoutToken({ sid: 'c1', aud: 'wiki' }))).status, 400);
  await open();
  assert.match(await journalShows('logout_done'), /performed/);
  assert.match(await journalShows('aud_mismatch'), /for another client[^]*refused/);
});

test('is where held logouts are released', async () => {
  const issuer = `${op.origin}/staff/`;
  const sessions = ['dan', 'eve', 'fay'].map((sub) => world.sessionOf(sub, { client: 'staff', issuer }));
  await world.store(...sessions);
  const logout = async (sub) => {
    const token = await op.logoutToken({ iss: issuer, aud: 'staff', sub });
    return (await world.logout(token, { client: 'staff' })).status;
  };
  assert.deepEqual([await logout('dan'), await logout('eve'), await logout('fay')], [200, 503, 503]);
  const alive = async () => {
    const all = [];
    for (const bound of sessions) all.push(await world.gate(bound, { client: 'staff', issuer }));
    return all;
  };
  assert.deepEqual(await alive(), [false, true, true], 'those held are still logged in');

  await open();
  await page.getByRole('alert').filter({ hasText: 'the breaker of STAFF holds 2 logouts' }).waitFor();
  await browser.shoot(page, 'console-worker-held');
  await button('Release the held logouts of STAFF…').click();
  await button('Perform 2 logouts').click();
  await told('STAFF: 2 held logouts released, 2 sessions ended.');
  assert.deepEqual(await alive(), [false, false, false]);
});

test('is not there for whoever has no key', async () => {
  ({ page, complaints } = await openConsole(browser, { url: ADDRESS }));
  await page.getByLabel('Operator secret').fill(`${KEY.slice(0, -1)}x`);
  await button('Sign in').click();
  await page.getByText('the secret is not the right one').waitFor();
  assert.doesNotMatch(await page.content(), /SHOP|app\.test\/shop/);
  assert.ok((await world.takeLogs()).some(({ code }) => code === 'operator_unauthorized'));
});
