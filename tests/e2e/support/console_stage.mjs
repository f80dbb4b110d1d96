// Where the console is tried: a browser, and for each test a server with the state of the scene.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe } from 'node:test';
import { openBrowser } from './browser.mjs';
import { openConsole, signIn } from './console_page.mjs';
import { startOperatorDouble } from './operator_double.mjs';
import { sceneState } from './operator_scene.mjs';

/**
 * What speaks the operator API. Each starts a server with the state of the scene, changed as a test asks
 * for, and returns its `url`, the `key` that it takes, `loggedIn`, which tells whose sessions live,
 * `advance`, which lets milliseconds pass, and `stop`.
 */
const BACK_ENDS = {
  'the double': (changes) => startOperatorDouble(sceneState(changes)),
};

/** Runs `tests` with each of them; `stage` has the `server` and the `page` of the test that runs. */
export function onEachBackEnd(title, tests) {
  for (const [name, start] of Object.entries(BACK_ENDS)) {
    describe(`${title}, with ${name}`, () => {
      let browser, complaints;
      const stage = {
        async start(changes) {
          stage.server = await start(changes);
        },
        /** Opens the console; what the server answered. */
        async show() {
          let answer;
          ({ page: stage.page, complaints, answer } = await openConsole(browser, stage.server));
          return answer;
        },
        /** Starts a server, opens the console and signs in, if that is needed. */
        async open(changes) {
          await stage.start(changes);
          await stage.show();
          if (!changes?.isByAccess) await signIn(stage.page, stage.server);
        },
        button: (name) => stage.page.getByRole('button', { name, exact: true }),
        dialog: () => stage.page.getByRole('dialog'),
        identifier: () => stage.page.getByLabel('Identifier'),
        rows: (section) => stage.page.getByRole('region', { name: section }).getByRole('row'),
        /** A live region says so. */
        told: (text) => stage.page.getByRole('status').filter({ hasText: text }).waitFor(),
        /** Every button takes a press again. */
        idle: () => stage.page.locator('[aria-disabled=true]').waitFor({ state: 'detached' }),
        /** The text of what has the focus. */
        focused: () => stage.page.evaluate(() => document.activeElement.textContent),
      };
      before(async () => {
        browser = await openBrowser();
        await browser.context.grantPermissions(['clipboard-read', 'clipboard-write']);
      });
      after(() => browser?.close());
      afterEach(async () => {
        await stage.page?.close();
        await stage.server?.stop();
        assert.deepEqual(complaints, [], 'no violation of the policy, no error of a script');
      });
      tests(stage);
    });
  }
}
