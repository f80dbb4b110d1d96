// The story of the README with software that is not ours: it announces nothing, has no line of code
// for us, and is known by the tokens that it redeems through the Worker.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { WORKER, startPlayground } from '../../examples/playground/playground.mjs';
import { PRODUCTS } from '../../examples/recipes/products.mjs';
import { openBrowser } from './support/browser.mjs';
import { kvKeys } from './support/kv.mjs';

const deliveries = [];
const log = [];
let playground;
before(async () => {
  playground = await startPlayground({
    products: Object.keys(PRODUCTS),
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
const sessions = () => kvKeys(playground.kv, 'session/');

/** Of each app: its session cookie, what it shows, and where to click to log in and out. */
const PAGES = {
  playground2: {
    cookie: 'playground2.sid',
    user: (page) => page.getByText('Logged in user: admin'),
    nobody: (page) => page.getByText('Logged in user: null'),
    logIn: (page) => page.getByRole('link', { name: 'Log in' }),
    logOut: (page) => page.getByRole('button', { name: 'Log out' }),
  },
  jupyterhub: {
    cookie: 'jupyterhub-hub-login',
    user: (page) => page.locator('.navbar').getByText('admin'),
    nobody: (page) => page.getByText('Sign in with the OP'),
    logIn: (page) => page.getByText('Sign in with the OP'),
    logOut: (page) => page.getByText('Logout'),
  },
  apache: {
    cookie: 'mod_auth_openidc_session',
    user: (page) => page.getByText('Logged in user: admin'),
    // It sends everybody to the OP itself.
    nobody: (page) => page.getByText('to continue to apache'),
    logOut: (page) => page.getByRole('link', { name: 'Log out' }),
  },
};

async function logIn(page, app) {
  const { user, nobody, logIn: link } = PAGES[app];
  await page.goto(url(app));
  if (link) {
    await nobody(page).waitFor();
    await link(page).click();
  }
  // The second app finds the user signed in at the OP already.
  const signIn = page.getByRole('button', { name: 'Sign in' });
  await signIn.or(user(page)).waitFor();
  if (await signIn.isVisible()) await signIn.click();
  await user(page).waitFor();
}

const APPS = Object.keys(PAGES);
const PAIRS = APPS.flatMap((here) => APPS.filter((app) => app !== here).map((there) => [here, there]));

for (const [here, there] of PAIRS) {
  describe(`logged out in ${here}`, () => {
    let browser;
    before(async () => {
      browser = await openBrowser();
    });
    after(() => browser?.close());

    test(`${there} forgets the user`, async () => {
      const first = await browser.newPage();
      const second = await browser.newPage();
      const picture = `relay-${here}-${there}`;
      await logIn(first, here);
      assert.equal((await sessions()).length, 1, 'an entry for the login');
      await logIn(second, there);
      assert.equal((await sessions()).length, 2, 'and one for the other');
      await second.reload();
      await PAGES[there].user(second).waitFor();
      await browser.shoot(second, `${picture}-1-signed-in`);

      const cookies = (await browser.context.cookies()).filter(({ domain }) => domain === 'localhost');
      for (const app of [here, there]) {
        const bearer = cookies.find(({ name }) => name === PAGES[app].cookie);
        assert.ok(bearer?.httpOnly, `${PAGES[app].cookie} is there, and no script sees it`);
      }
      for (const cookie of cookies.filter(({ httpOnly }) => httpOnly)) {
        assert.match(cookie.value, /^el1\.local\.[\w-]+$/, cookie.name);
      }

      deliveries.length = 0;
      await first.bringToFront();
      await PAGES[here].logOut(first).click();
      await first.getByRole('button', { name: 'Yes, log me out' }).click();
      await first.getByText('logged out successfully').waitFor();
      await browser.shoot(first, `${picture}-2-logged-out`);
      assert.deepEqual(
        deliveries.toSorted(),
        [here, there].toSorted().map((app) => ['backchannel.success', app]),
        'the OP delivered both tokens and took our answers as success',
      );
      assert.deepEqual(await sessions(), [], 'the entries are gone');

      await second.bringToFront();
      await second.reload();
      await PAGES[there].nobody(second).waitFor();
      await browser.shoot(second, `${picture}-3-forgotten`);

      // Whoever has kept a copy has nothing, though the app itself has no list of what has ended.
      await browser.context.addCookies(cookies);
      for (const app of [here, there]) {
        await second.goto(url(app));
        await PAGES[app].nobody(second).waitFor();
      }
    });
  });
}
