// Software that is not ours, with nothing but configuration: it announces no login, and the Worker's
// relay says who logged in.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * Of each: the path of its OIDC callback, its port in the playground, the file that is there when it
 * is installed, and how it is started.
 */
export const PRODUCTS = {
  jupyterhub: {
    callback: 'hub/oauth_callback',
    port: 4004,
    needs: fileURLToPath(new URL('jupyterhub/.built/.complete', import.meta.url)),
    commands: ({ built }) => [[`${built}/bin/jupyterhub`, '--config', 'jupyterhub_config.py']],
  },
  // Debian's.
  apache: {
    callback: 'callback',
    port: 4005,
    needs: '/usr/lib/apache2/modules/mod_auth_openidc.so',
    commands: () => [['sh', 'start.sh']],
  },
};

/** The names of those that are installed. */
export const installed = () => Object.keys(PRODUCTS).filter((name) => existsSync(PRODUCTS[name].needs));
