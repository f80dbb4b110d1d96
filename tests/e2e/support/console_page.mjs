// The console in Chromium: opening it, and what must hold for whatever it shows.
import assert from 'node:assert/strict';

/**
 * Opens the console of a server in a new page. `complaints` collects violations of its policy, errors
 * and warnings of its scripts; answers that are errors are the business of the page. `answer` is what the
 * server answered.
 */
export async function openConsole(browser, server) {
  const page = await browser.newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    const isOfTheNetwork = message.text().startsWith('Failed to load resource');
    if (['error', 'warning'].includes(message.type()) && !isOfTheNetwork) complaints.push(message.text());
  });
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
      console.error(`violates ${violatedDirective}: ${blockedURI}`),
    );
  });
  const answer = await page.goto(server.url);
  return { page, complaints, answer };
}

export async function signIn(page, server) {
  await page.getByLabel('Operator secret').fill(server.key);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'SHOP', exact: true }).waitFor();
}

/** Presses Tab until a control has the focus; every stop on the way must show that it has it. */
export async function tabTo(page, role, name) {
  const target = page.getByRole(role, { name, exact: true });
  for (let stops = 0; stops < 60; stops += 1) {
    await page.keyboard.press('Tab');
    const outline = await page.evaluate(() => {
      const at = document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(at);
      return at === document.body ? 'page' : `${outlineStyle} ${outlineWidth} ${at.tagName} ${at.id}`;
    });
    assert.match(outline, /^page$|^(solid|auto) [2-9]/, 'the focus can be seen');
    if (await target.evaluate((element) => element === document.activeElement)) return;
  }
  assert.fail(`no way to ${role} ${name} by Tab`);
}

/** Controls and landmarks without a name, as assistive technology is told of them. */
export async function nameless(page) {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  await session.detach();
  const roles = [
    'button',
    'link',
    'textbox',
    'combobox',
    'Date',
    'DateTime',
    'InputTime',
    'dialog',
    'table',
    'heading',
    'region',
    'navigation',
  ];
  const told = nodes.filter(({ ignored, role }) => !ignored && roles.includes(role?.value));
  assert.ok(told.length > 3, 'the tree was read');
  return told.filter(({ name }) => !name?.value?.trim()).map(({ role }) => role.value);
}

/** What can be wrong with the page as it stands, each as a line; nothing is right. */
export function flaws(page) {
  return page.evaluate(() => {
    const found = [];
    const top = document.querySelector('dialog[open]') ?? document.body;
    const isVisible = (element) =>
      element.checkVisibility({ visibilityProperty: true }) && element.getBoundingClientRect().width > 0;
    const shown = [...top.querySelectorAll('*')].filter(isVisible);

    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth > clientWidth) found.push(`${scrollWidth - clientWidth} px beyond the edge`);

    let level = 0;
    for (const heading of shown.filter(({ tagName }) => /^H[1-6]$/.test(tagName))) {
      const next = Number(heading.tagName[1]);
      if (level > 0 && next > level + 1) found.push(`h${next} after h${level}: ${heading.textContent}`);
      level = next;
    }

    for (const table of shown.filter(({ tagName }) => tagName === 'TABLE')) {
      if (!table.caption?.textContent) found.push('a table without a caption');
      if ([...table.querySelectorAll('th')].some(({ scope }) => !scope))
        found.push('a header without a scope');
    }

    const ids = shown.map(({ id }) => id).filter(Boolean);
    if (new Set(ids).size < ids.length) found.push('an id twice');

    const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
    const luminance = (colour) => {
      const [r, g, b] = channels(colour).map((value) => {
        const part = value / 255;
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (one, other) => {
      const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
      return (high + 0.05) / (low + 0.05);
    };
    const ground = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const colour = getComputedStyle(at).backgroundColor;
        const alpha = channels(colour)[3] ?? 1;
        if (alpha === 1) return colour;
        if (alpha > 0) found.push(`a translucent ground: ${at.tagName}`);
      }
      return 'rgb(255, 255, 255)';
    };
    const line = (element) => `${element.tagName.toLowerCase()} “${element.textContent.trim().slice(0, 30)}”`;
    for (const element of shown) {
      const style = getComputedStyle(element);
      const hasText = [...element.childNodes].some(
        ({ nodeType, data }) => nodeType === Node.TEXT_NODE && data.trim(),
      );
      const isField = ['INPUT', 'SELECT'].includes(element.tagName);
      if (hasText || isField) {
        const ratio = contrast(style.color, ground(element));
        if (ratio < 4.5) found.push(`contrast ${ratio.toFixed(2)}: ${line(element)}`);
      }
      if (isField || element.tagName === 'BUTTON') {
        const ratio = contrast(style.borderTopColor, ground(element.parentElement));
        if (ratio < 3) found.push(`contrast of the border ${ratio.toFixed(2)}: ${line(element)}`);
        const { width, height } = element.getBoundingClientRect();
        if (Math.min(width, height) < 24) found.push(`a small target: ${line(element)}`);
      }
      if (style.animationName !== 'none' || style.transitionDuration !== '0s')
        found.push(`it moves: ${line(element)}`);
    }
    return found;
  });
}
