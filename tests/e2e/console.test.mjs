// The operator's console in Chromium, against whatever speaks its API.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { CODES } from '../../www/operator/codes.js';
import { signIn, tabTo } from './support/console_page.mjs';
import { onEachBackEnd } from './support/console_stage.mjs';
import { POLICY, hashOf } from './support/operator_double.mjs';
import { sceneState } from './support/operator_scene.mjs';

const FOLDER = new URL('../../www/operator/', import.meta.url);
const read = (name) => readFileSync(new URL(name, FOLDER), 'utf8');

describe('what the console is made of', () => {
  test('neither stores, nor evaluates, nor writes markup, nor calls elsewhere', () => {
    const scripts = readdirSync(FOLDER).filter((name) => name.endsWith('.js'));
    assert.ok(scripts.length > 5);
    for (const name of scripts) {
      const forbidden =
        /(inner|outer)HTML|insertAdjacentHTML|document\.write|\beval\b|new Function|(local|session)Storage|indexedDB|\bcaches\b|cookie\b.*=|https?:/;
      assert.doesNotMatch(read(name), forbidden, name);
    }
    assert.doesNotMatch(read('index.html'), /<style|\sstyle=|\son\w+=|https?:|<script(?![^>]*\ssrc=)/);
    for (const name of ['console.css', 'parts.css']) assert.doesNotMatch(read(name), /url\(|@import/, name);
  });

  test('explains every code of the log', () => {
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
    const log = readme.split('\n## ').find((section) => section.startsWith('The log'));
    const rows = log.split('\n').filter((row) => row.startsWith('| `') && !row.startsWith('| `code`'));
    const codes = rows.flatMap((row) => row.split('|')[1].match(/\w+/g));
    assert.ok(codes.length > 80);
    assert.deepEqual(
      codes.filter((code) => !Object.hasOwn(CODES, code)),
      [],
    );
  });
});

onEachBackEnd('the console', (stage) => {
  const { open, button, dialog, identifier, rows, told, idle, focused } = stage;

  test('is served under the strictest policy', async () => {
    await stage.start();
    const answer = await stage.show();
    const headers = answer.headers();
    const directives = (policy) => policy.split(/; */).toSorted();
    assert.deepEqual(directives(headers['content-security-policy']), directives(POLICY));
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.equal(headers['cross-origin-opener-policy'], 'same-origin');
  });

  describe('signing in', () => {
    test('takes the secret alone, keeps what was typed otherwise, and stores nothing', async () => {
      await stage.start();
      await stage.show();
      const secret = stage.page.getByLabel('Operator secret');
      await secret.fill('wrong');
      await button('Sign in').click();
      await stage.page.getByText('the secret is not the right one').waitFor();
      assert.equal(await secret.inputValue(), 'wrong');
      await secret.fill('café 1');
      await button('Sign in').click();
      await stage.page.getByText('characters that a request cannot carry').waitFor();
      await signIn(stage.page, stage.server);
      assert.equal(await focused(), 'SHOP');
      const kept = await stage.page.evaluate(() => ({
        local: localStorage.length,
        session: sessionStorage.length,
        cookies: document.cookie,
        fields: [...document.querySelectorAll('input')].map(({ value }) => value).join(''),
        address: location.href,
      }));
      assert.deepEqual(kept, { local: 0, session: 0, cookies: '', fields: '', address: stage.server.url });
      assert.ok(!(await stage.page.content()).includes(stage.server.key));
    });

    test('is not needed behind Access, which is where signing out leads', async () => {
      await open({ isByAccess: true });
      await stage.page.getByRole('heading', { name: 'SHOP', exact: true }).waitFor();
      await button('Sign out').click();
      await stage.page.waitForURL('**/cdn-cgi/access/logout');
    });

    test('out forgets everything, for the way back, too', async () => {
      await open();
      await stage.page.getByRole('link', { name: 'WIKI' }).click();
      await identifier().fill('alice');
      await button('Look up').click();
      await told('1 session.');
      await button('Sign out').click();
      await stage.page.getByLabel('Operator secret').waitFor();
      assert.equal(stage.page.url(), stage.server.url);
      assert.doesNotMatch(await stage.page.content(), /WIKI|SHOP|op\.example/);
      await stage.page.goBack();
      await stage.page.getByLabel('Operator secret').waitFor();
      assert.doesNotMatch(await stage.page.content(), /WIKI|SHOP|op\.example/);
      assert.equal(await identifier().inputValue(), '');
    });

    test('again, when the secret has changed meanwhile, loses no input', async () => {
      await open();
      await identifier().fill('alice');
      await stage.page.route(
        '**/api/sessions',
        (route) => route.fulfill({ status: 401, json: { error: 'unauthorized' } }),
        { times: 1 },
      );
      await button('Look up').click();
      await stage.page.getByText('no longer signed in').waitFor();
      assert.ok(await identifier().isHidden());
      await signIn(stage.page, stage.server);
      assert.equal(await identifier().inputValue(), 'alice');
      await button('Look up').click();
      await told('2 sessions.');
    });
  });

  describe('an app', () => {
    test('stays what is shown, by address and all the same', async () => {
      await open();
      await stage.page.getByRole('link', { name: 'BÜRO' }).click();
      const title = stage.page.getByRole('heading', { name: 'BÜRO', exact: true });
      await title.waitFor();
      await stage.page.getByRole('link', { name: 'Skip to the content' }).press('Enter');
      await button('Refresh').click();
      await idle();
      await title.waitFor();
      await stage.page.goBack();
      await stage.page.reload();
      await stage.page.getByLabel('Operator secret').fill(stage.server.key);
      await button('Sign in').click();
      await title.waitFor();
    });

    test('has its values to paste, each with a button that copies it', async () => {
      await open();
      await stage.page.getByRole('link', { name: 'WIKI' }).click();
      for (const [name, value] of [
        ['backchannel_logout_uri', 'https://app.example.com/wiki/bclogout'],
        ['backchannel_logout_session_required', 'true'],
        ['client_id', 'wiki'],
        ['issuer', 'https://op.example.com'],
        ['token_endpoint', 'https://app.example.com/.edge-logout/relay/WIKI/token'],
      ]) {
        await button(`Copy ${name}`).click();
        await told(`Copied: ${name}.`);
        assert.equal(await stage.page.evaluate(() => navigator.clipboard.readText()), value);
      }
    });

    test('tests itself', async () => {
      await open();
      await button('Run the self-test').click();
      await told('8 checks: 1 fail, 1 warn, 1 unknown, 5 pass.');
      const texts = await rows('Self-test').allInnerTexts();
      assert.ok(
        texts.some((text) => /clock\s+✕ fail\s+The provider’s clock/.test(text)),
        texts.join('\n'),
      );
    });

    test('has a journal that says what its codes mean, of one kind or of all', async () => {
      await open();
      const codes = async () =>
        (await rows('Journal').locator('td:nth-child(2)').allInnerTexts()).map((code) =>
          code.replaceAll('\n', ''),
        );
      const all = await codes();
      assert.deepEqual([all.length, all[0], all.at(-1)], [10, 'logout_done', 'a_code_of_tomorrow']);
      await stage.page.getByText('the signature is wrong').waitFor();
      for (const [kind, expected] of [
        ['refusals', ['signature_invalid']],
        ['operators’ actions', ['operator_ended']],
        ['ordered, not performed', ['logout_held', 'kv_failed', 'logout_given_up', 'ledger_failed']],
      ]) {
        await stage.page.getByLabel('Show').selectOption(kind);
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
      state.journal.SHOP = [
        { at: trap, code: trap, class: trap, of: trap, matched: trap, count: trap, by: trap },
      ];
      await open(state);
      await button('Run the self-test').click();
      await told('1 check');
      assert.ok((await stage.page.getByText(trap).count()) > 6);
      assert.equal(await stage.page.locator('img, body script').count(), 0);
    });
  });

  describe('what comes first', () => {
    test('is what was ordered and not performed, and only that', async () => {
      await open();
      const alert = stage.page.getByRole('alert').filter({ hasText: 'of SHOP' });
      const text = await alert.innerText();
      assert.match(text, /Ordered, but not performed: 1 logout of SHOP/);
      assert.match(text, /logout_given_up/);
      assert.doesNotMatch(text, /kv_failed|Zr8wPq1c/, 'what was finished late is done');
      await stage.page.getByText('Dry run: logouts of PARTNER end nothing.').waitFor();
    });

    test('is calm if there is nothing', async () => {
      const state = sceneState();
      for (const app of state.apps) state.journal[app.name] = [];
      for (const issuer of state.issuers) Object.assign(issuer, { breaker: null, dry_run: false });
      await open(state);
      await stage.page.getByText('No logout that was ordered is waiting').waitFor();
      assert.equal(await stage.page.getByRole('alert').innerText(), '');
    });

    test('is that no journal is kept, where no desk is bound', async () => {
      const { issuers } = sceneState();
      await open({ desk: false, issuers: issuers.map((issuer) => ({ ...issuer, breaker: null })) });
      await stage.page.getByText('No journal is kept, since DESK is not bound').waitFor();
      assert.equal(await stage.page.getByRole('alert').innerText(), '');
      for (const name of ['Journal', 'End every session of SHOP up to a time']) {
        assert.equal(await stage.page.getByRole('region', { name }).count(), 0);
      }
      await identifier().fill('alice');
      await button('End all that match…').click();
      await button('End 2 sessions').click();
      await told('SHOP: 2 sessions ended.');
    });

    test('says so if a breaker cannot be asked', async () => {
      const { issuers } = sceneState();
      Object.assign(issuers[0].breaker, { tripped_at: null, held: null, code: 'desk_failed' });
      await open({ issuers });
      const alert = stage.page.getByRole('alert');
      await alert.getByText('Unknown whether the breaker of MAIN holds logouts').waitFor();
      assert.match(await alert.innerText(), /desk_failed/);
      assert.equal(await stage.page.getByText('No logout that was ordered is waiting').count(), 0);
    });

    test('says so if it is unknown up to when an operator has ended all', async () => {
      const { apps } = sceneState();
      Object.assign(apps[0], { ended_before: null, code: 'desk_failed' });
      await open({ apps });
      await stage.page.getByText('unknown: desk_failed').waitFor();
    });

    test('says so if a journal cannot be read', async () => {
      await stage.start();
      await stage.show();
      await stage.page.route('**/api/journal?app=WIKI', (route) =>
        route.fulfill({ status: 503, json: { error: 'unavailable', code: 'desk_failed' } }),
      );
      await signIn(stage.page, stage.server);
      await stage.page.getByText('Unknown whether logouts of WIKI are waiting').waitFor();
      await stage.page.getByText('503, desk_failed').first().waitFor();
      assert.equal(await stage.page.getByText('No logout that was ordered is waiting').count(), 0);
    });

    for (const [label, number, perform, outcome] of [
      [
        'Release',
        '3 held logouts, 40 sessions',
        'Perform 3 logouts',
        'MAIN: 3 held logouts released, 40 sessions ended.',
      ],
      ['Discard', '3 held logouts', 'Discard 3 logouts', 'MAIN: 3 held logouts discarded.'],
    ]) {
      test(`${label}s what a breaker holds`, async () => {
        await open();
        await button(`${label} the held logouts of MAIN…`).click();
        await dialog().getByText(number, { exact: true }).waitFor();
        await button(perform).click();
        await told(outcome);
        await stage.page
          .getByRole('alert')
          .filter({ hasText: 'the breaker of MAIN' })
          .waitFor({ state: 'detached' });
        assert.equal(
          await stage.page.evaluate(() => document.activeElement.id),
          'attention',
          'the focus has not gone',
        );
      });
    }
  });

  describe('ending', () => {
    test('a user, by the keyboard alone', async () => {
      await stage.start();
      await stage.show();
      const { keyboard } = stage.page;
      await stage.page.locator('#secret:focus').waitFor();
      await keyboard.type(stage.server.key);
      await keyboard.press('Enter');
      await stage.page.locator('#view-title:focus').waitFor();
      await tabTo(stage.page, 'combobox', 'Find by');
      await keyboard.press('Tab');
      await keyboard.type('alice');
      await keyboard.press('Enter');
      await told('2 sessions.');
      await tabTo(stage.page, 'button', 'End all that match…');

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
      assert.equal(stage.server.loggedIn().length, 4, 'Cancel ends nothing');

      await keyboard.press('Enter');
      await dialog().waitFor();
      await keyboard.press('Tab');
      assert.equal(await focused(), 'End 2 sessions');
      await keyboard.press('Enter');
      await told('SHOP: 2 sessions ended.');
      assert.equal(await focused(), 'End all that match…');
      assert.deepEqual(stage.server.loggedIn(), ['SHOP bob s3', 'WIKI alice s1']);
      await rows('Journal').filter({ hasText: 'operator_ended' }).first().waitFor();
    });

    for (const [way, value, left] of [
      ['Session at the provider (sid)', 's1', ['SHOP alice s2', 'SHOP bob s3', 'WIKI alice s1']],
      ['Hash of a user', hashOf('sub', 'bob'), ['SHOP alice s1', 'SHOP alice s2', 'WIKI alice s1']],
      ['Hash of a sid', hashOf('sid', 's2'), ['SHOP alice s1', 'SHOP bob s3', 'WIKI alice s1']],
    ]) {
      test(`by: ${way}`, async () => {
        await open();
        await stage.page.getByLabel('Find by').selectOption(way);
        await identifier().fill(value);
        await button('End all that match…').click();
        await button('End 1 session').click();
        await told('SHOP: 1 session ended.');
        assert.deepEqual(stage.server.loggedIn(), left);
      });
    }

    test('one of several', async () => {
      await open();
      await identifier().fill('alice');
      await button('Look up').click();
      await stage.page
        .getByRole('button', { name: /^End session/ })
        .last()
        .click();
      await dialog().getByText('others of its user stay').waitFor();
      await button('End 1 session').click();
      await told('SHOP: 1 session ended.');
      assert.deepEqual(stage.server.loggedIn(), ['SHOP alice s1', 'SHOP bob s3', 'WIKI alice s1']);
      assert.match((await rows('Sessions').allInnerTexts()).at(-1), /ended/);
      assert.equal(
        await stage.page.evaluate(() => document.activeElement.id),
        'found',
        'the focus has not gone',
      );
    });

    for (const [target, whose, left] of [
      ['SHOP', 'Every session of SHOP ends', ['WIKI alice s1']],
      ['MAIN', 'Every session of every app of MAIN on this host (SHOP, WIKI) ends', []],
    ]) {
      test(`all of ${target} up to a time`, async () => {
        await open();
        await stage.page.getByRole('navigation').getByRole('link', { name: target }).click();
        await stage.page.getByRole('heading', { name: target, exact: true }).waitFor();
        await button('Take the time now').click();
        await button('End them…').click();
        await dialog().getByText(whose).waitFor();
        await dialog().getByText('an unknown number of sessions').waitFor();
        await button('End the sessions').click();
        await told(`${target}: an unknown number of sessions up to`);
        assert.deepEqual(stage.server.loggedIn(), left);
      });
    }

    test('asked for twice at once is one question, of the last', async () => {
      await open();
      await identifier().fill('alice');
      let letGo;
      const held = new Promise((resolve) => (letGo = resolve));
      await stage.page.route('**/api/end', (route) => held.then(() => route.continue()), { times: 1 });
      await button('End all that match…').click();
      await button('Take the time now').click();
      await button('End them…').click();
      await dialog().waitFor();
      const late = stage.page.waitForResponse('**/api/end');
      letGo();
      await late;
      assert.match(await dialog().innerText(), /End every session of SHOP up to a time/);
      await stage.page.keyboard.press('Escape');
      await idle();
      assert.equal(stage.server.loggedIn().length, 4);
      assert.ok(await dialog().isHidden());
    });

    test('is not asked about an app that is not shown any more', async () => {
      await open();
      await identifier().fill('alice');
      let letGo;
      const held = new Promise((resolve) => (letGo = resolve));
      await stage.page.route('**/api/end', (route) => held.then(() => route.continue()), { times: 1 });
      await button('End all that match…').click();
      await stage.page.getByRole('link', { name: 'WIKI' }).click();
      await stage.page.getByRole('heading', { name: 'WIKI', exact: true }).waitFor();
      letGo();
      await idle();
      assert.ok(await dialog().isHidden());
    });

    test('too late after the question does nothing, and can be repeated', async () => {
      await open();
      await identifier().fill('alice');
      await button('End all that match…').click();
      await dialog().waitFor();
      stage.server.advance(121_000);
      await button('End 2 sessions').click();
      await told('Nothing was done: the confirmation was older than two minutes');
      assert.equal(stage.server.loggedIn().length, 4);
      assert.equal(await identifier().inputValue(), 'alice');
      await button('End all that match…').click();
      await button('End 2 sessions').click();
      await told('SHOP: 2 sessions ended.');
    });
  });
});
