// Debian's Chromium, or another that is installed, driven by playwright-core.
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const CANDIDATES = [
  process.env.CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
];

const screenshots = fileURLToPath(new URL('../../.output/screenshots', import.meta.url));

/**
 * Opens a browser with a fresh profile; `close` ends it, `shoot` keeps a picture of a page. `host` is
 * one that is found at the loopback `port`, and trusted as if it had TLS.
 */
export async function openBrowser({ host, port } = {}) {
  const executablePath = CANDIDATES.find((path) => path && existsSync(path));
  if (!executablePath) throw new Error('no Chromium found: set CHROMIUM to its path');
  const profile = mkdtempSync(join(tmpdir(), 'edge-logout-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    viewport: { width: 900, height: 600 },
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      ...(host
        ? [`--host-resolver-rules=MAP ${host} 127.0.0.1:${port}`, `--unsafely-treat-insecure-origin-as-secure=http://${host}`]
        : []),
    ],
  });
  mkdirSync(screenshots, { recursive: true });
  return {
    context,
    newPage: () => context.newPage(),
    shoot: (page, name, how) => shoot(page, { path: join(screenshots, `${name}.png`), ...how }),
    async close() {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

/**
 * Pictures are for people to look at; no test depends on one. A Chromium that has just navigated on
 * a busy machine may have no frame to copy yet ("Unable to capture screenshot"): it is asked again.
 */
async function shoot(page, options) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await page.bringToFront();
      return await page.screenshot(options);
    } catch (error) {
      if (attempt === 5) return console.warn(`no picture ${options.path}: ${error.message}`);
      await page.waitForTimeout(200 * attempt);
    }
  }
}
