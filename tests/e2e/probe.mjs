// The recipes: real frameworks as they come, the real OP, the Worker, a real browser.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { newSealKeys, startWorker } from '../../.make/workerd.mjs';
import { startOp } from '../../examples/playground/op.mjs';
import { openBrowser } from './support/browser.mjs';
import { kvContents } from './support/kv.mjs';
import { RECIPES, freePort, startRecipe } from './support/recipes.mjs';

const NAMES = Object.keys(RECIPES);
const FILE = { name: 'photo.jpg', mimeType: 'image/jpeg', buffer: randomBytes(1_000_000) };
const DIGEST = createHash('sha256').update(FILE.buffer).digest('hex');

const deliveries = [];
const log = [];
const stops = [];
const apps = {};
let issuer, publicUrl, kv;
before(async () => {
  const opPort = await freePort();
  const workerPort = await freePort();
  issuer = `http://127.0.0.1:${opPort}`;
  // Another host name than the OP's: cookies ignore ports.
  publicUrl = `http://localhost:${workerPort}`;
  const bindings = { ISSUER_OP: { issuer, allow_insecure_http: true }, SEAL_KEYS: newSealKeys() };
  const starts = [];
  for (const name of NAMES) {
    const port = await freePort();
    bindings[`APP_${name.toUpperCase().replace('-', '_')}`] = {
      issuer,
      client_id: name,
      routes: [`localhost:${workerPort}/${name}`],
      logout_path: `/${name}/bclogout`,
      origin: `http://127.0.0.1:${port}`,
      session_cookies: [RECIPES[name].cookie],
    };
    starts.push(
      startRecipe({ name, port, issuer, publicUrl }).then((app) => {
        apps[name] = app;
        stops.push(app.stop);
      }),
    );
  }
  const failed = (await Promise.allSettled(starts)).find(({ reason }) => reason);
  if (failed) throw failed.reason;
  stops.push(
    await startOp({
      port: opPort,
      workerUrl: publicUrl,
      apps: Object.fromEntries(NAMES.map((name) => [name, RECIPES[name].callback])),
      onEvent: (...event) => deliveries.push(event),
    }),
  );
  const worker = await startWorker({
    config: fileURLToPath(new URL('support/worker.toml', import.meta.url)),
    bindings,
    port: workerPort,
    onLog: (line) => log.push(JSON.parse(line)),
  });
  stops.push(worker.stop);
  kv = worker.kv;
});
after(async () => {
  for (const stop of stops.reverse()) await stop();
  assert.doesNotMatch(JSON.stringify(log), /eyJ|el1\.|admin/, 'the log names nobody');
});

const url = (name) => `${publicUrl}/${name}`;
const user = (page) => page.locator('.user').innerText();
const click = (page, text) => page.getByText(text, { exact: true }).click();

async function logIn(page, name) {
  await page.goto(url(name));
  assert.equal(await user(page), 'Logged in user: null');
  await click(page, 'Log in');
  // Another app's login has signed the user in at the OP perhaps.
  await page.getByRole('button', { name: 'Sign in' }).or(page.getByText('Logged in user:')).waitFor();
  if (page.url().startsWith(issuer)) await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('Logged in user: admin').waitFor();
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

/** What KV holds of sessions that live: everything but the marks of ended ones. */
const entries = async () =>
  Object.keys(await kvContents(kv)).filter((key) => !/^(mark|pending)\//.test(key));

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

for (const name of (process.env.ONLY ?? NAMES.join(' ')).split(' ')) test(`${name}: login while logged in, with a new session at the OP`, async () => {
  const browser = await openBrowser();
  try {
    const page = await browser.newPage();
    await logIn(page, name);
    log.length = 0;
    await browser.context.clearCookies({ domain: '127.0.0.1' });
    const link = { flask: 'login', django: 'oidc/authenticate/', express: 'login', tomcat: 'login' }[name];
    await page.goto(`${url(name)}/${link}`);
    const [answer] = await Promise.all([
      page.waitForEvent('response', (r) => r.url().includes(RECIPES[name].callback)),
      page.getByRole('button', { name: 'Sign in' }).click(),
    ]);
    console.log(name, answer.status(), (await page.content()).replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ').slice(0, 200), JSON.stringify(log));
    // stale unsafe form
    await page.goto(url(name));
    if ((await user(page)).endsWith('null')) await logIn(page, name);
    await logOutAtOp(browser);
    await page.locator('[name=note]').fill('x');
    await click(page, 'Save');
    await page.waitForLoadState('networkidle');
    console.log('stale post:', page.url(), (await page.content()).replace(/<style.*style>/g,'').replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ').slice(0, 200));
  } finally { await browser.close(); }
});
