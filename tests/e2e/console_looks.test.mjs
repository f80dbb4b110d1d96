// How the console looks, and what assistive technology is told: each of its pages in both colour
// schemes and several widths. The pictures are for people to look at.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openBrowser } from './support/browser.mjs';
import { flaws, nameless, openConsole, signIn, tabTo } from './support/console_page.mjs';
import { startOperatorDouble } from './support/operator_double.mjs';
import { sceneState } from './support/operator_scene.mjs';

/** 640 is 1280 magnified to 200 %. */
const WIDTHS = [1280, 1040, 640, 320];

let server, browser, page, complaints;
before(async () => {
  server = await startOperatorDouble(sceneState());
  browser = await openBrowser();
  ({ page, complaints } = await openConsole(browser, server));
});
after(async () => {
  await browser?.close();
  await server?.stop();
  assert.deepEqual(complaints, []);
});

const button = (name) => page.getByRole('button', { name, exact: true });

/** The pages, each reached from the one before. */
const PAGES = {
  'sign-in': () => page.getByRole('heading', { name: 'Sign in' }).waitFor(),
  app: async () => {
    await signIn(page, server);
    await page.getByLabel('Identifier').fill('alice');
    await button('Look up').click();
    await page.getByText('2 sessions.').waitFor();
    await button('Run the self-test').click();
    await page.getByText('8 checks:').waitFor();
  },
  error: async () => {
    await page.getByLabel('Find by').selectOption('Hash of a user');
    await button('Look up').click();
    await page.getByText('Not taken (400)').waitFor();
  },
  dialog: async () => {
    await page.getByLabel('Find by').selectOption('User (sub)');
    await button('End all that match…').click();
    await page.getByRole('dialog').waitFor();
  },
  issuer: async () => {
    await page.keyboard.press('Escape');
    await page.getByRole('link', { name: 'PARTNER' }).click();
    await page.getByRole('heading', { name: 'PARTNER', exact: true }).waitFor();
  },
};

for (const [name, reach] of Object.entries(PAGES)) {
  describe(`the page ${name}`, () => {
    before(reach);

    test('names all its controls, tables and regions', async () => {
      assert.deepEqual(await nameless(page), []);
    });

    for (const colorScheme of ['light', 'dark']) {
      test(`has headings that nest, contrast, and nothing beyond its edges: ${colorScheme}`, async () => {
        await page.emulateMedia({ colorScheme });
        for (const width of WIDTHS) {
          await page.setViewportSize({ width, height: 900 });
          assert.deepEqual(await flaws(page), [], `${width} px`);
          if (width === 1280 || width === 320)
            await browser.shoot(page, `console-${name}-${colorScheme}-${width}`, {
              fullPage: name !== 'dialog',
            });
        }
        await page.setViewportSize({ width: 1280, height: 900 });
      });
    }
  });
}

test('every control of an app can be reached by Tab, in the order in which they stand', async () => {
  await page.getByRole('link', { name: 'WIKI' }).click();
  await page.reload();
  await page.getByLabel('Operator secret').fill(server.key);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'WIKI', exact: true }).waitFor();
  // What stands before the title comes after everything else.
  for (const [role, name] of [
    ['link', 'MAIN'],
    ['combobox', 'Find by'],
    ['textbox', 'Identifier'],
    ['button', 'Look up'],
    ['button', 'End all that match…'],
    ['combobox', 'Show'],
    ['button', 'Refresh the journal'],
    ['button', 'Copy backchannel_logout_uri'],
    ['button', 'Copy metadata'],
    ['button', 'Run the self-test'],
    ['button', 'Take the time now'],
    ['button', 'End them…'],
    ['link', 'Skip to the content'],
    ['button', 'Refresh'],
    ['button', 'Sign out'],
    ['button', 'Discard the held logouts of MAIN…'],
  ]) {
    await tabTo(page, role, name);
  }
});
