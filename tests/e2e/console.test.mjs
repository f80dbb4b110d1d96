// The operator's console in Chromium, against whatever speaks its API.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { after, afterEach, before, describe, test } from 'node:test';
import { CODES } from '../../www/operator/codes.js';
import { openBrowser } from './support/browser.mjs';
import { openConsole, signIn, tabTo } from './support/console_page.mjs';
import { POLICY, hashOf, startOperatorDouble } from './support/operator_double.mjs';
import { sceneState } from './support/operator_scene.mjs';

/** Each starts a server with the state of the scene, changed as a test asks for. */
const BACK_ENDS = {
  'the double': (changes) => startOperatorDouble(sceneState(changes)),
};

const FOLDER = new URL('../../www/operator/', import.meta.url);
const read = (name) => readFileSync(new URL(name, FOLDER), 'utf8');

let browser;
before(async () => {
  browser = await openBrowser();
  await browser.context.grantPermissions(['clipboard-read', 'clipboard-write']);
});
after(() => browser?.close());

describe('what the console is made of', () => {
  test('neither stores, nor evaluates, nor writes markup, nor calls elsewhere', () => {
    const scripts = readdirSync(FOLDER).filter((name) => name.endsWith('.js'));
    assert.ok(scripts.length > 5);
    for (const name of scripts) {
      const forbidden = /(inner|outer)HTML|insertAdjacentHTML|document\.write|\beval\b|new Function|(local|session)Storage|indexedDB|\bcaches\b|cookie\b.*=|https?:/;
      assert.doesNotMatch(read(name), forbidden, name);
    }
    assert.doesNotMatch(read('index.html'), /<style|\sstyle=|\son\w+=|https?:|<script(?![^>]*\ssrc=)/);
    assert.doesNotMatch(read('console.css'), /url\(|@import/);
  });

  test('explains every code of the log', () => {
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
    const log = readme.split('\n## ').find((section) => section.startsWith('The log'));
    const rows = log.split('\n').filter((row) => row.startsWith('| `') && !row.startsWith('| `code`'));
    const codes = rows.flatMap((row) => row.split('|')[1].match(/\w+/g));
    assert.ok(codes.length > 80);
    assert.deepEqual(codes.filter((code) => !Object.hasOwn(CODES, code)), []);
  });
});

for (const [name, start] of Object.entries(BACK_ENDS)) {
  describe(`the console, with ${name}`, () => {
    let server, page, complaints;
    /** Starts a server, opens the console and signs in. */
    const open = async (changes) => {
      server = await start(changes);
      ({ page, complaints } = await openConsole(browser, server));
      if (!changes?.isByAccess) await signIn(page, server);
    };
    afterEach(async () => {
      await page?.close();
      await server?.stop();
      assert.deepEqual(complaints, [], 'no violation of the policy, no error of a script');
      page = server = undefined;
    });

    const button = (name) => page.getByRole('button', { name, exact: true });
    const told = (text) => page.getByRole('status').filter({ hasText: text }).waitFor();
    /** Every button takes a press again. */
    const idle = () => page.locator('[aria-disabled=true]').waitFor({ state: 'detached' });
    const dialog = () => page.getByRole('dialog');
    const focused = () => page.evaluate(() => document.activeElement.textContent);
    const identifier = () => page.getByLabel('Identifier');
    const rows = (section) => page.getByRole('region', { name: section }).getByRole('row');

    test('is served under the strictest policy', async () => {
      server = await start();
      page = await browser.newPage();
      complaints = [];
      const answer = await page.goto(server.url);
      const headers = answer.headers();
      assert.equal(headers['content-security-policy'], POLICY);
      assert.equal(headers['cache-control'], 'no-store');
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.equal(headers['referrer-policy'], 'no-referrer');
      assert.equal(headers['cross-origin-opener-policy'], 'same-origin');
    });

    describe('signing in', () => {
      test('takes the secret alone, keeps what was typed otherwise, and stores nothing', async () => {
        server = await start();
        ({ page, complaints } = await openConsole(browser, server));
        const secret = page.getByLabel('Operator secret');
        await secret.fill('wrong');
        await button('Sign in').click();
        await page.getByText('the secret is not the right one').waitFor();
        assert.equal(await secret.inputValue(), 'wrong');
        await secret.fill('café 1');
        await button('Sign in').click();
        await page.getByText('characters that a request cannot carry').waitFor();
        await signIn(page, server);
        assert.equal(await focused(), 'SHOP');
        const kept = await page.evaluate(() => ({
          local: localStorage.length,
          session: sessionStorage.length,
          cookies: document.cookie,
          fields: [...document.querySelectorAll('input')].map(({ value }) => value).join(''),
          address: location.href,
        }));
        assert.deepEqual(kept, { local: 0, session: 0, cookies: '', fields: '', address: server.url });
        assert.ok(!(await page.content()).includes(server.key));
      });

      test('is not needed behind Access, which is where signing out leads', async () => {
        await open({ isByAccess: true });
        await page.getByRole('heading', { name: 'SHOP', exact: true }).waitFor();
        await button('Sign out').click();
        await page.waitForURL('**/cdn-cgi/access/logout');
      });

      test('out forgets everything, for the way back, too', async () => {
        await open();
        await page.getByRole('link', { name: 'WIKI' }).click();
        await identifier().fill('alice');
        await button('Look up').click();
        await told('1 session.');
        await button('Sign out').click();
        await page.getByLabel('Operator secret').waitFor();
        assert.equal(page.url(), server.url);
        assert.doesNotMatch(await page.content(), /WIKI|SHOP|op\.example/);
        await page.goBack();
        await page.getByLabel('Operator secret').waitFor();
        assert.doesNotMatch(await page.content(), /WIKI|SHOP|op\.example/);
        assert.equal(await identifier().inputValue(), '');
      });

      test('again, when the secret has changed meanwhile, loses no input', async () => {
        await open();
        await identifier().fill('alice');
        await page.route('**/api/sessions', (route) => route.fulfill({ status: 401, json: { error: 'unauthorized' } }), { times: 1 });
        await button('Look up').click();
        await page.getByText('no longer signed in').waitFor();
        assert.ok(await identifier().isHidden());
        await signIn(page, server);
        assert.equal(await identifier().inputValue(), 'alice');
        await button('Look up').click();
        await told('2 sessions.');
      });
    });

    describe('an app', () => {
      test('stays what is shown, by address and all the same', async () => {
        await open();
        await page.getByRole('link', { name: 'BÜRO' }).click();
        const title = page.getByRole('heading', { name: 'BÜRO', exact: true });
        await title.waitFor();
        await page.getByRole('link', { name: 'Skip to the content' }).press('Enter');
        await button('Refresh').click();
        await idle();
        await title.waitFor();
        await page.goBack();
        await page.reload();
        await page.getByLabel('Operator secret').fill(server.key);
        await button('Sign in').click();
        await title.waitFor();
      });

      test('has its values to paste, each with a button that copies it', async () => {
        await open();
        await page.getByRole('link', { name: 'WIKI' }).click();
        for (const [name, value] of [
          ['backchannel_logout_uri', 'https://app.example.com/wiki/bclogout'],
          ['backchannel_logout_session_required', 'true'],
          ['client_id', 'wiki'],
          ['issuer', 'https://op.example.com'],
          ['token_endpoint', 'https://app.example.com/.edge-logout/relay/WIKI/token'],
        ]) {
          await button(`Copy ${name}`).click();
          await told(`Copied: ${name}.`);
          assert.equal(await page.evaluate(() => navigator.clipboard.readText()), value);
        }
      });

      test('tests itself', async () => {
        await open();
        await button('Run the self-test').click();
        await told('8 checks: 1 fail, 1 warn, 1 unknown, 5 pass.');
        const texts = await rows('Self-test').allInnerTexts();
        assert.ok(texts.some((text) => /clock\s+✕ fail\s+The provider’s clock/.test(text)), texts.join('\n'));
      });

      test('has a journal that says what its codes mean, of one kind or of all', async () => {
        await open();
        const codes = async () => (await rows('Journal').locator('td:nth-child(2)').allInnerTexts()).map((code) => code.replaceAll('\n', ''));
        const all = await codes();
        assert.deepEqual([all.length, all[0], all.at(-1)], [10, 'logout_done', 'a_code_of_tomorrow']);
        await page.getByText('the signature is wrong').waitFor();
        for (const [kind, expected] of [
          ['refusals', ['signature_invalid']],
          ['operators’ actions', ['operator_ended']],
          ['ordered, not performed', ['logout_held', 'kv_failed', 'logout_given_up', 'ledger_failed']],
        ]) {
          await page.getByLabel('Show').selectOption(kind);
          assert.deepEqual(await codes(), expected);
        }
        await button('Refresh the journal').click();
        await told('SHOP: read at');
        assert.equal((await codes()).length, 4, 'the filter stays');
      });

      test('shows what it is told as text', async () => {
        const trap = '<img src=x onerror=alert(1)>"><script>alert(1)</script>';
        const state = sceneState();
        for (const app of state.apps) Object.assign(app, { client_id: trap, announce: trap, routes: [trap] });
        state.guarantee = trap;
        state.issuers[0].issuer = trap;
        state.checks.SHOP = [{ check: trap, outcome: trap, detail: trap }];
        state.journal.SHOP = [{ at: trap, code: trap, class: trap, of: trap, matched: trap, count: trap, by: trap }];
        await open(state);
        await button('Run the self-test').click();
        await told('1 check');
        assert.ok((await page.getByText(trap).count()) > 6);
        assert.equal(await page.locator('img, body script').count(), 0);
      });
    });

    describe('what comes first', () => {
      test('is what was ordered and not performed, and only that', async () => {
        await open();
        const alert = page.getByRole('alert').filter({ hasText: 'of SHOP' });
        const text = await alert.innerText();
        assert.match(text, /Ordered, but not performed: 1 logout of SHOP/);
        assert.match(text, /logout_given_up/);
        assert.doesNotMatch(text, /kv_failed|Zr8wPq1c/, 'what was finished late is done');
        await page.getByText('Dry run: logouts of PARTNER end nothing.').waitFor();
      });

      test('is calm if there is nothing', async () => {
        const state = sceneState();
        for (const app of state.apps) state.journal[app.name] = [];
        for (const issuer of state.issuers) Object.assign(issuer, { breaker: null, dry_run: false });
        await open(state);
        await page.getByText('No logout that was ordered is waiting').waitFor();
        assert.equal(await page.getByRole('alert').innerText(), '');
      });

      test('is that no journal is kept, where no desk is bound', async () => {
        const { issuers } = sceneState();
        await open({ desk: false, issuers: issuers.map((issuer) => ({ ...issuer, breaker: null })) });
        await page.getByText('No journal is kept, since DESK is not bound').waitFor();
        assert.equal(await page.getByRole('alert').innerText(), '');
        for (const name of ['Journal', 'End every session of SHOP up to a time']) {
          assert.equal(await page.getByRole('region', { name }).count(), 0);
        }
        await identifier().fill('alice');
        await button('End all that match…').click();
        await button('End 2 sessions').click();
        await told('SHOP: 2 sessions ended.');
      });

      test('says so if a journal cannot be read', async () => {
        server = await start();
        ({ page, complaints } = await openConsole(browser, server));
        await page.route('**/api/journal?app=WIKI', (route) => route.fulfill({ status: 503, json: { error: 'unavailable', code: 'desk_failed' } }));
        await signIn(page, server);
        await page.getByText('Unknown whether logouts of WIKI are waiting').waitFor();
        await page.getByText('503, desk_failed').first().waitFor();
        assert.equal(await page.getByText('No logout that was ordered is waiting').count(), 0);
      });

      for (const [label, number, perform, outcome] of [
        ['Release', '3 held logouts, 40 sessions', 'Perform 3 logouts', 'MAIN: 3 held logouts released, 40 sessions ended.'],
        ['Discard', '3 held logouts', 'Discard 3 logouts', 'MAIN: 3 held logouts discarded.'],
      ]) {
        test(`${label}s what a breaker holds`, async () => {
          await open();
          await button(`${label} the held logouts of MAIN…`).click();
          await dialog().getByText(number, { exact: true }).waitFor();
          await button(perform).click();
          await told(outcome);
          await page.getByRole('alert').filter({ hasText: 'the breaker of MAIN' }).waitFor({ state: 'detached' });
          assert.equal(await page.evaluate(() => document.activeElement.id), 'attention', 'the focus has not gone');
        });
      }
    });

    describe('ending', () => {
      test('a user, by the keyboard alone', async () => {
        server = await start();
        ({ page, complaints } = await openConsole(browser, server));
        const { keyboard } = page;
        await page.locator('#secret:focus').waitFor();
        await keyboard.type(server.key);
        await keyboard.press('Enter');
        await page.locator('#view-title:focus').waitFor();
        await tabTo(page, 'combobox', 'Find by');
        await keyboard.press('Tab');
        await keyboard.type('alice');
        await keyboard.press('Enter');
        await told('2 sessions.');
        await tabTo(page, 'button', 'End all that match…');

        await keyboard.press('Enter');
        await dialog().waitFor();
        await dialog().getByText('2 sessions', { exact: true }).waitFor();
        assert.equal(await focused(), 'Cancel', 'the button that ends is not the first');
        await keyboard.press('Escape');
        await idle();
        assert.equal(await focused(), 'End all that match…', 'the focus comes back');

        await keyboard.press('Enter');
        await dialog().waitFor();
        await keyboard.press('Enter');
        await idle();
        assert.equal(server.loggedIn().length, 4, 'Cancel ends nothing');

        await keyboard.press('Enter');
        await dialog().waitFor();
        await keyboard.press('Tab');
        assert.equal(await focused(), 'End 2 sessions');
        await keyboard.press('Enter');
        await told('SHOP: 2 sessions ended.');
        assert.equal(await focused(), 'End all that match…');
        assert.deepEqual(server.loggedIn(), ['SHOP bob s3', 'WIKI alice s1']);
        await rows('Journal').filter({ hasText: 'operator_ended' }).first().waitFor();
      });

      for (const [way, value, left] of [
        ['Session at the provider (sid)', 's1', ['SHOP alice s2', 'SHOP bob s3', 'WIKI alice s1']],
        ['Hash of a user', hashOf('sub', 'bob'), ['SHOP alice s1', 'SHOP alice s2', 'WIKI alice s1']],
        ['Hash of a sid', hashOf('sid', 's2'), ['SHOP alice s1', 'SHOP bob s3', 'WIKI alice s1']],
      ]) {
        test(`by: ${way}`, async () => {
          await open();
          await page.getByLabel('Find by').selectOption(way);
          await identifier().fill(value);
          await button('End all that match…').click();
          await button('End 1 session').click();
          await told('SHOP: 1 session ended.');
          assert.deepEqual(server.loggedIn(), left);
        });
      }

      test('one of several', async () => {
        await open();
        await identifier().fill('alice');
        await button('Look up').click();
        await page.getByRole('button', { name: /^End session/ }).last().click();
        await dialog().getByText('others of its user stay').waitFor();
        await button('End 1 session').click();
        await told('SHOP: 1 session ended.');
        assert.deepEqual(server.loggedIn(), ['SHOP alice s1', 'SHOP bob s3', 'WIKI alice s1']);
        assert.match((await rows('Sessions').allInnerTexts()).at(-1), /ended/);
        assert.equal(await page.evaluate(() => document.activeElement.id), 'found', 'the focus has not gone');
      });

      for (const [target, whose, left] of [
        ['SHOP', 'Every session of SHOP ends', ['WIKI alice s1']],
        ['MAIN', 'Every session of every app of MAIN on this host (SHOP, WIKI) ends', []],
      ]) {
        test(`all of ${target} up to a time`, async () => {
          await open();
          await page.getByRole('navigation').getByRole('link', { name: target }).click();
          await page.getByRole('heading', { name: target, exact: true }).waitFor();
          await button('Take the time now').click();
          await button('End them…').click();
          await dialog().getByText(whose).waitFor();
          await dialog().getByText('an unknown number of sessions').waitFor();
          await button('End the sessions').click();
          await told(`${target}: an unknown number of sessions up to`);
          assert.deepEqual(server.loggedIn(), left);
        });
      }

      test('too late after the question does nothing, and can be repeated', async () => {
        await open();
        await identifier().fill('alice');
        await button('End all that match…').click();
        await dialog().waitFor();
        server.advance(121_000);
        await button('End 2 sessions').click();
        await told('Nothing was done: the confirmation was older than two minutes');
        assert.equal(server.loggedIn().length, 4);
        assert.equal(await identifier().inputValue(), 'alice');
        await button('End all that match…').click();
        await button('End 2 sessions').click();
        await told('SHOP: 2 sessions ended.');
      });
    });

    describe('an error', () => {
      const json = (status, body) => (route) => route.fulfill({ status, json: body });
      for (const [what, fault, text] of [
        ['the network', (route) => route.abort(), 'No answer: the connection failed.'],
        ['a redirect', (route) => route.fulfill({ status: 302, headers: { location: '/cdn-cgi/access/login' } }), 'Reload this page to sign in there.'],
        ['a page of somebody else', (route) => route.fulfill({ status: 200, contentType: 'text/html', body: '<h1>Hello' }), 'The answer (200) is not one of the operator API'],
        ['an error page of somebody else', (route) => route.fulfill({ status: 502, contentType: 'text/html', body: '<h1>502' }), 'The answer (502) is not one of the operator API'],
        ['another shape', json(200, { sessions: {} }), 'is not one of the operator API'],
        ['no shape', json(200, { count: 1, sessions: [null] }), 'is not one of the operator API'],
        ['an unknown error', json(500, { error: 'constructor' }), 'The answer (500) is not one of the operator API'],
        ['a wrong field', json(400, { error: 'bad_request', field: 'sub' }), 'Not taken (400): “sub” is not as it should be.'],
        ['a forbidden request', json(403, { error: 'forbidden' }), 'Refused (403)'],
        ['an app that is gone', json(404, { error: 'not_found' }), 'Not found (404)'],
        ['the store', json(503, { error: 'unavailable', code: 'ledger_failed' }), 'Not available for the moment (503, ledger_failed).'],
      ]) {
        test(`of ${what} has a text and loses no input`, async () => {
          await open();
          await identifier().fill('alice');
          await page.route('**/api/sessions', fault, { times: 1 });
          await button('Look up').click();
          await told(text);
          assert.equal(await identifier().inputValue(), 'alice');
          assert.equal(await focused(), 'Look up');
          await button('Look up').click();
          await told('2 sessions.');
        });
      }

      test('of a confirmed action says whether it may have been done', async () => {
        await open();
        await identifier().fill('alice');
        for (const [fault, isOpen] of [
          [(route) => route.abort(), true],
          [json(503, { error: 'unavailable', code: 'ledger_failed' }), true],
          [json(400, { error: 'bad_request' }), false],
        ]) {
          await button('End all that match…').click();
          await dialog().waitFor();
          await page.route('**/api/end', fault, { times: 1 });
          await button('End 2 sessions').click();
          await told(/No answer|Not /);
          const open = page.getByText('Whether it was done is not known');
          assert.equal(await open.count(), isOpen ? 1 : 0);
        }
      });
    });
  });
}
