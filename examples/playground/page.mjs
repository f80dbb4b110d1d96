const STYLE = `
  :root { color-scheme: light dark; font: 1.1rem/1.6 system-ui, sans-serif; }
  body { max-width: 34rem; margin: 12vh auto; padding: 0 1.5rem; }
  label { display: block; margin: .8rem 0; }
  input { font: inherit; padding: .3rem .5rem; width: 100%; box-sizing: border-box; }
  button, .button { font: inherit; padding: .4rem 1.2rem; border: 0; border-radius: .4rem;
    background: #0b57d0; color: #fff; text-decoration: none; cursor: pointer; }
  .quiet { background: none; color: inherit; text-decoration: underline; }
  .user { font-size: 1.4rem; }`;

/** A whole HTML page around trusted pieces of HTML. */
export const page = (title, pieces) => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title>
<meta name="viewport" content="width=device-width"><style>${STYLE}</style></head>
<body><main>${pieces.join('\n')}</main></body></html>`;

/** Text as HTML. */
export const escape = (text) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

/** The one page of a sample app. */
export const appPage = (name, user) =>
  page(name, [
    `<h1>${name}</h1><p class="user">Logged in user: <b>${user ? escape(user) : 'null'}</b></p>`,
    user
      ? `<form method="post" action="/${name}/logout"><button>Log out</button></form>`
      : `<p><a class="button" href="/${name}/login">Log in</a></p>`,
  ]);
