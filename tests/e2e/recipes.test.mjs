// The recipes: real frameworks as they come, the real OP, the Worker, a real browser.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { newSealKeys, startWorker } from '../../.make/workerd.mjs';
import { startOp } from '../../examples/playground/op.mjs';
import { openBrowser } from './support/browser.mjs';
import { kvContents } from './support/kv.mjs';
import { RECIPES, freePorts, startRecipe } from './support/recipes.mjs';

const NAMES = Object.keys(RECIPES);
const FILE = { name: 'photo.jpg', mimeType: 'image/jpeg', buffer: randomBytes(1_000_000) };
const DIGEST = createHash('sha256').update(FILE.buffer).digest('hex');

const deliveries = [];
const log = [];
const stops = [];
let issuer, publicUrl, kv;
before(async () => {
  const [opPort, workerPort, ...ports] = await freePorts(2 + NAMES.length);
  issuer = `http://127.0.0.1:${opPort}`;
  // Another host name than the OP's: cookies ignore ports.
  publicUrl = `http://localhost:${workerPort}`;
  stops.push(
    await startOp({
      port: opPort,
      workerUrl: publicUrl,
      apps: Object.fromEntries(NAMES.map((name) => [name, RECIPES[name].callback])),
      onEvent: (...event) => deliveries.push(event),
    }),
  );
  const bindings = { ISSUER_OP: { issuer, allow_insecure_http: true }, SEAL_KEYS: newSealKeys() };
  const starts = [];
  for (const [at, name] of NAMES.entries()) {
    const port = ports[at];
    const { relayed, callback, cookie } = RECIPES[name];
    bindings[`APP_${name.toUpperCase().replace('-', '_')}`] = {
      issuer,
      client_id: name,
      routes: [`localhost:${workerPort}/${name}`],
      logout_path: `/${name}/bclogout`,
      origin: `http://127.0.0.1:${port}`,
      session_cookies: [cookie],
      ...(relayed && { announce: { from: 'relay' }, login_paths: [`/${name}/${callback}`] }),
    };
    const start = startRecipe({ name, port, issuer, publicUrl });
    starts.push(start.then((stop) => stops.push(stop)));
  }
  const failed = (await Promise.allSettled(starts)).find(({ reason }) => reason);
  if (failed) throw failed.reason;
  const worker = await startWorker({
    config: fileURLToPath(new URL('support/ledger.toml', import.meta.url)),
    bindings,
    port: workerPort,
    onLog: (line) => log.push(JSON.parse(line)),
  });
  stops.push(worker.stop);
  kv = worker.kv;
});
after(async () => {
  for (const stop of stops.reverse()) await stop();
  assert.ok(log.length > 0);
  assert.doesNotMatch(JSON.stringify(log), /eyJ|el1\.|admin/, 'the log names nobody');
});

const url = (name) => `${publicUrl}/${name}`;
const user = (page) => page.locator('.user').innerText();
async function click(page, text) {
  // Pages behind others draw seldom, and a click waits for that.
  await page.bringToFront();
  await page.getByText(text, { exact: true }).click();
}

async function logIn(page, name) {
  await page.goto(url(name));
  await logInHere(page);
}

async function logInHere(page) {
  assert.equal(await user(page), 'Logged in user: null');
  await click(page, 'Log in');
  // Another app's login has signed the user in at the OP perhaps.
  const signIn = page.getByRole('button', { name: 'Sign in' });
  const signedIn = page.getByText('Logged in user: admin');
  await signIn.or(signedIn).waitFor();
  if (await signIn.isVisible()) await signIn.click();
  await signedIn.waitFor();
}

/** Posts the form as another site would: with the user's cookies, and what one cannot know left out. */
async function forge({ request }, name) {
  const { action } = RECIPES[name];
  if (!action) return request.post(`${url(name)}/note`, { form: { note: 'forged' } });
  // Next.js has no token: it compares the origins.
  const html = await (await request.get(url(name))).text();
  const multipart = { [html.match(action)[0]]: '', note: 'forged' };
  return request.post(url(name), { multipart, headers: { origin: 'http://evil.test' } });
}

/** The user leaves the OP itself, in another tab; no app hears of it but through the Worker. */
async function logOutAtOp(browser) {
  deliveries.length = 0;
  const elsewhere = await browser.newPage();
  await elsewhere.goto(`${issuer}/session/end`);
  await click(elsewhere, 'Yes, log me out');
  await elsewhere.getByText('logged out successfully').waitFor();
  await elsewhere.close();
}

/** What KV holds: an entry per session that lives. */
const entries = async () => Object.keys(await kvContents(kv));

/** Every answer of the Worker that the browser has seen: its URL, and its headers as pairs. */
function watch({ context }) {
  const answers = [];
  context.on('response', (response) => {
    if (response.url().startsWith(publicUrl)) {
      answers.push(response.headersArray().then((headers) => ({ url: response.url(), headers })));
    }
  });
  return async () => Promise.all(answers);
}

for (const name of NAMES) {
  const { callback, cookie: sessionCookie } = RECIPES[name];
  describe(name, () => {
    let browser, page, stale, answers;
    before(async () => {
      browser = await openBrowser();
      answers = watch(browser);
      page = await browser.newPage();
      // A tab that goes on showing the link to log in.
      stale = await browser.newPage();
      await stale.goto(url(name));
    });
    after(() => browser?.close());

    test('logs in, and the Worker keeps its cookies to itself', async () => {
      await logIn(page, name);
      await browser.shoot(page, `recipes-${name}-1-signed-in`);
      assert.equal((await entries()).length, 1);
      const cookies = (await browser.context.cookies(url(name))).filter(({ httpOnly }) => httpOnly);
      const bearer = sessionCookie.replace('*', '');
      assert.ok(cookies.some((cookie) => cookie.name === bearer), 'no script sees it');
      for (const cookie of cookies) assert.match(cookie.value, /^el1\./, cookie.name);
    });

    test('takes a form with its CSRF token, and none without', async () => {
      await page.locator('[name=note]').fill('Grüße & <b>1</b>');
      await click(page, 'Save');
      await page.getByText('Grüße & <b>1</b>', { exact: true }).waitFor();
      const forged = await forge(page, name);
      assert.equal(forged.status(), RECIPES[name].refused, await forged.text());
      await page.reload();
      assert.equal(await page.locator('.note').innerText(), 'Grüße & <b>1</b>');
    });

    test('takes a file as it is', async () => {
      await page.locator('[name=file]').setInputFiles(FILE);
      await click(page, 'Upload');
      await page.getByText(`${FILE.buffer.length} bytes, sha256 ${DIGEST}`).waitFor();
      assert.equal(await user(page), 'Logged in user: admin');
    });

    test('takes a new login on top of the old one', async () => {
      const [before] = await entries();
      await browser.context.clearCookies({ domain: '127.0.0.1' });
      await logInHere(stale);
      await page.reload();
      assert.equal(await user(page), 'Logged in user: admin');
      const keys = await entries();
      assert.equal(keys.length, 1, 'it has replaced the old one');
      assert.ok(!keys.includes(before));
    });

    test('forgets a user who logs out elsewhere', async () => {
      await logOutAtOp(browser);
      assert.deepEqual(deliveries, [['backchannel.success', name]]);
      assert.deepEqual(await entries(), []);
      // The form is still there. What it sends never reaches the app, and the user is not lost; a
      // Server Action is a fetch, which gets 401.
      await page.locator('[name=note]').fill('too late');
      const answered = page.waitForResponse((response) => response.request().method() === 'POST');
      await click(page, 'Save');
      assert.equal((await answered).status(), RECIPES[name].action ? 401 : 303);
      if (RECIPES[name].action) await page.reload();
      await page.getByText('Logged in user: null').waitFor();
      assert.equal(page.url().replace(/\/$/, ''), url(name));
      await browser.shoot(page, `recipes-${name}-2-forgotten`);
    });

    test('logs in again, and out by itself', async () => {
      await logIn(page, name);
      await click(page, 'Log out');
      await page.getByText('Logged in user: null').waitFor();
      // The Worker sees it by the removal of the cookie, which not every framework does.
      assert.equal((await entries()).length, RECIPES[name].leavesCookie ? 1 : 0);
      await logOutAtOp(browser);
      assert.deepEqual(await entries(), []);
    });

    test('has shown the browser neither a value of its cookies nor an announcement', async () => {
      const seen = await answers();
      assert.equal(seen.filter((answer) => answer.url.startsWith(`${url(name)}/${callback}?`)).length, 3);
      let sealed = 0;
      for (const { headers } of seen) {
        for (const header of headers) {
          assert.notEqual(header.name.toLowerCase(), 'edge-logout-id-token');
          if (header.name.toLowerCase() !== 'set-cookie' || !/; *httponly/i.test(header.value)) continue;
          assert.match(header.value, /^[^=]+=(el1\.|;)/);
          sealed += 1;
        }
      }
      assert.ok(sealed >= 3, 'one per login at least');
    });
  });
}

test('one logout ends them all in one browser', async () => {
  const browser = await openBrowser();
  try {
    const pages = [];
    for (const name of NAMES) {
      const page = await browser.newPage();
      await logIn(page, name);
      pages.push(page);
    }
    assert.equal((await entries()).length, NAMES.length);
    await logOutAtOp(browser);
    assert.deepEqual(
      deliveries.toSorted(),
      NAMES.toSorted().map((name) => ['backchannel.success', name]),
    );
    assert.deepEqual(await entries(), []);
    for (const page of pages) {
      await page.reload();
      assert.equal(await user(page), 'Logged in user: null');
    }
  } finally {
    await browser.close();
  }
});
