// What the console makes of errors of the operator API, and of what is not it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onEachBackEnd } from './support/console_stage.mjs';

const json = (status, body) => (route) => route.fulfill({ status, json: body });

onEachBackEnd('the console, where something fails', (stage) => {
  const { open, button, dialog, identifier, told, focused } = stage;
  for (const [what, fault, text] of [
    ['the network', (route) => route.abort(), 'No answer: the connection failed.'],
    [
      'a redirect',
      (route) => route.fulfill({ status: 302, headers: { location: '/cdn-cgi/access/login' } }),
      'Reload this page to sign in there.',
    ],
    [
      'a page of somebody else',
      (route) => route.fulfill({ status: 200, contentType: 'text/html', body: '<h1>Hello' }),
      'The answer (200) is not one of the operator API',
    ],
    [
      'an error page of somebody else',
      (route) => route.fulfill({ status: 502, contentType: 'text/html', body: '<h1>502' }),
      'The answer (502) is not one of the operator API',
    ],
    ['another shape', json(200, { sessions: {} }), 'is not one of the operator API'],
    ['no shape', json(200, { count: 1, sessions: [null] }), 'is not one of the operator API'],
    [
      'an unknown error',
      json(500, { error: 'constructor' }),
      'The answer (500) is not one of the operator API',
    ],
    [
      'a wrong field',
      json(400, { error: 'bad_request', field: 'sub' }),
      'Not taken (400): “sub” is not as it should be.',
    ],
    ['a forbidden request', json(403, { error: 'forbidden' }), 'Refused (403)'],
    ['an app that is gone', json(404, { error: 'not_found' }), 'Not found (404)'],
    [
      'the store',
      json(503, { error: 'unavailable', code: 'ledger_failed' }),
      'Not available for the moment (503, ledger_failed).',
    ],
  ]) {
    test(`tells of ${what} and loses no input`, async () => {
      await open();
      await identifier().fill('alice');
      await stage.page.route('**/api/sessions', fault, { times: 1 });
      await button('Look up').click();
      await told(text);
      assert.equal(await identifier().inputValue(), 'alice');
      assert.equal(await focused(), 'Look up');
      await button('Look up').click();
      await told('2 sessions.');
    });
  }

  test('says of a confirmed action whether it may have been done', async () => {
    await open();
    await identifier().fill('alice');
    for (const [fault, isOpen] of [
      [(route) => route.abort(), true],
      [json(503, { error: 'unavailable', code: 'ledger_failed' }), true],
      [json(400, { error: 'bad_request' }), false],
    ]) {
      await button('End all that match…').click();
      await dialog().waitFor();
      await stage.page.route('**/api/end', fault, { times: 1 });
      await button('End 2 sessions').click();
      await told(/No answer|Not /);
      const open = stage.page.getByText('Whether it was done is not known');
      assert.equal(await open.count(), isOpen ? 1 : 0);
    }
  });
});
