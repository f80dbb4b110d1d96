// Requests for `make doctor`: sent as they stand, on a connection of their own, and never thrown at.
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';

/** More of an answer says nothing new. */
const BODY_BYTES = 64 << 10;

/** `192.0.2.1:8443` or `[2001:db8::1]:8443`, taken apart; without port as well. */
export function readAddress(text) {
  const [, bracketed, plain, port] = text.match(/^(?:\[(.*)\]|([^:]*))(?::(\d+))?$/) ?? [];
  return { host: bracketed ?? plain ?? text, port: port && Number(port) };
}

/**
 * Asks `path` of the host of `url`, and follows nothing. `to` is where to connect, `{ host, port }`, in
 * place of what the URL says; `patience` is in milliseconds; `tls` are options of node:tls.
 *
 * Gives `{ status, headers, body, millis, tls }`, where `tls` is of https and holds `protocol`,
 * `certificate` and what is `wrong` with it; or `{ error, millis }` with a code of Node's, or
 * `TIMEOUT`.
 */
export function ask({ url, path = url.pathname, to = {}, patience, ca, tls, method, headers, body }) {
  const isTls = url.protocol === 'https:';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const begun = performance.now();
  return new Promise((resolve) => {
    const done = (outcome) => {
      clearTimeout(timer);
      resolve({ ...outcome, millis: Math.round(performance.now() - begun) });
      request.destroy();
    };
    const timer = setTimeout(() => done({ error: 'TIMEOUT' }), patience);
    const request = (isTls ? httpsRequest : httpRequest)({
      agent: false,
      host: to.host ?? host,
      port: to.port ?? (url.port || undefined),
      path,
      method,
      headers: { host: url.host, ...headers },
      // What is wrong with a certificate is one finding; the others are wanted all the same.
      ...(isTls && { rejectUnauthorized: false, ca, ...tls }),
    });
    request.on('error', ({ code }) => done({ error: code ?? 'BROKEN' }));
    request.on('response', (response) => {
      const { statusCode: status, headers, socket } = response;
      const connection = isTls && {
        protocol: socket.getProtocol(),
        certificate: socket.getPeerCertificate(),
        wrong: socket.authorizationError,
      };
      let text = '';
      const answered = () => done({ status, headers, body: text, tls: connection });
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        text += chunk;
        if (text.length > BODY_BYTES) answered();
      });
      response.on('end', answered);
      response.on('error', answered);
    });
    request.end(body);
  });
}
