// A provider of OpenID Connect, as a company runs one: whoever comes says who they are, and it says so to the gateway.

import { createServer } from 'node:http';
import Provider from 'oidc-provider';
import { listening, type Running } from './process.ts';

export const CLIENT = { id: 'sluicegate', secret: 'known-to-the-two-of-them-alone-7151' };

/** What its people are in, by the name that they sign in with. */
export type People = Record<string, string[]>;

/** Its sign-in takes any password, and asks whether the gateway may know: both pages are the library's own. */
export async function startProvider(gateway: string, id: string, people: People): Promise<Running> {
  const server = createServer();
  const running = await listening(server);
  const provider = new Provider(running.url, {
    clients: [
      {
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        redirect_uris: [`${gateway}/api/v1/session/oidc/${id}/callback`],
        post_logout_redirect_uris: [`${gateway}/`],
      },
    ],
    claims: { openid: ['sub', 'groups'], email: ['email', 'email_verified'], profile: ['name'] },
    // What is asked for by a scope is in the ID token, not behind another call.
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    cookies: { keys: ['of-this-run-alone'] },
    findAccount: (_context, name) => ({
      accountId: name,
      claims: () => ({ sub: name, name, email: `${name}@corp.example`, email_verified: true, groups: people[name] ?? [] }),
    }),
  });
  server.on('request', provider.callback());
  return running;
}
