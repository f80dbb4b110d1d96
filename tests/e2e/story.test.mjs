// The story of the README, with the real OP and a real browser, in both directions.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { WORKER, startPlayground } from '../../examples/playground/playground.mjs';
import { openBrowser } from './support/browser.mjs';
import { kvContents } from './support/kv.mjs';

const deliveries = [];
const log = [];
let playground;
before(async () => {
  playground = await startPlayground({
    onEvent: (...event) => deliveries.push(event),
    onLog: (line) => log.push(line),
  });
});
after(async () => {
  await playground?.stop();
  assert.ok(log.length > 0);
  for (const line of log) assert.doesNotMatch(line, /eyJ|el1\.|admin/, 'the log names nobody');
});

const url = (app) => `${WORKER}/${app}`;
const user = (page) => page.locator('.user').innerText();

async function logIn(page, app) {
  await page.goto(url(app));
  assert.equal(await user(page), 'Logged in user: null');
  await page.getByRole('link', { name: 'Log in' }).click();
  // The second app finds the user signed in at the OP already.
  if (page.url().startsWith('http://127.0.0.1:4000')) {
    await page.getByRole('button', { name: 'Sign in' }).click();
  }
  await page.waitForURL(url(app));
  assert.equal(await user(page), 'Logged in user: admin');
}

const sessionsIn = async () =>
  Object.keys(await kvContents(playground.kv)).filter((key) => key.startsWith('session/'));

for (const [here, there] of [
  ['playground2', 'playground3'],
  ['playground3', 'playground2'],
]) {
  describe(`logged out in ${here}`, () => {
    let browser;
    before(async () => {
      browser = await openBrowser();
    });
    after(() => browser?.close());

    test(`${there} forgets the user`, async () => {
      const first = await browser.newPage();
      const second = await browser.newPage();
      await logIn(first, here);
      await logIn(second, there);
      assert.equal((await sessionsIn()).length, 2, 'one entry per login');
      await second.reload();
      assert.equal(await user(second), 'Logged in user: admin', 'a refresh keeps the session');
      await browser.shoot(second, `${here}-1-signed-in`);

      for (const app of [here, there]) {
        const cookies = await browser.context.cookies(`${WORKER}/${app}`);
        assert.ok(cookies.length > 0);
        for (const { value } of cookies) {
          assert.match(value, /^el1\.local\.[\w-]+$/, 'the app’s own value never gets out');
        }
      }

      deliveries.length = 0;
      await first.bringToFront();
      await first.getByRole('button', { name: 'Log out' }).click();
      await browser.shoot(first, `${here}-2-confirm`);
      await first.getByRole('button', { name: 'Yes, log me out' }).click();
      await first.getByText('logged out successfully').waitFor();
      await browser.shoot(first, `${here}-3-logged-out`);

      assert.deepEqual(
        deliveries.toSorted(),
        [
          ['backchannel.success', 'playground2'],
          ['backchannel.success', 'playground3'],
        ],
        'the OP delivered both tokens and took our answers as success',
      );
      assert.deepEqual(await sessionsIn(), [], 'the entries are gone');

      await second.bringToFront();
      await second.reload();
      assert.equal(await user(second), 'Logged in user: null');
      await browser.shoot(second, `${there}-4-forgotten`);
    });
  });
}
