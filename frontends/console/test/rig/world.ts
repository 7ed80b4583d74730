// A company on a gateway: somebody of each role, two groups, keys, calls; and one whose names try to be markup.

import { Api } from './api.ts';
import { type Running, startGateway, startUpstream, UPSTREAM_KEY } from './process.ts';

export const ROLES = ['super_admin', 'organization_admin', 'group_admin', 'user', 'auditor'] as const;
export type Role = (typeof ROLES)[number];

const GIVEN = 'given-by-somebody-else-42';
export const PASSWORD = 'walrus teapot octave 93';
/** What would run if it were taken for markup. */
export const MARKUP = '"><img src=x onerror="window.harmed=1"><script>window.harmed=1</script>';

/** A script that changes nothing. */
const POLICY = 'fn route(call, candidates) {\n    if call.input_tokens > 90_000 {\n        prefer("tag:large");\n    }\n}\n';

export type World = {
  gateway: Running;
  upstream: Running;
  api: Api;
  /** Cookies of a session of each role. */
  session: Record<Role, string>;
  /** Ids of what is there. */
  own: { group: string; key: string; user: string; call: string };
  foreign: { group: string; key: string; user: string; call: string };
  secret: string;
  channel: string;
  policy: string;
};

export async function build(): Promise<World> {
  const upstream = await startUpstream();
  const gateway = await startGateway();
  const api = new Api(gateway.url);
  await api.post('/api/v1/setup', { email: 'super_admin@example.com', password: PASSWORD });
  const first = (await api.post('/api/v1/channels', channel('First channel', upstream.url))).id;

  await api.post('/api/v1/organizations', { id: 'acme', alias: 'Acme' });
  const foreign = await department(api, 'Elsewhere', 'default', 'stranger');
  const own = await department(api, 'Research', 'acme', 'user');
  await api.put('/api/v1/policies/quiet', { text: POLICY, group: own.group });
  await api.put('/api/v1/policies/elsewhere', { text: POLICY, group: foreign.group });
  await member(api, own.group, 'group_admin', 'acme', 'group_admin');
  await person(api, 'organization_admin', 'organization_admin', 'acme');
  await person(api, 'auditor', 'auditor', 'acme');
  const session = {} as World['session'];
  for (const role of ROLES) session[role] = await signIn(gateway.url, role);
  return { gateway, upstream, api, session, own, foreign, secret: own.secret, channel: first, policy: 'quiet' };
}

/** A channel as files declare one, with its prices from the built-in list. */
export function channel(name: string, upstream: string) {
  const models = ['gpt-4o-mini', 'gpt-4o-mini--status-500'];
  return { declared: { name, provider: 'openai', url: `${upstream}/v1`, models }, secret: UPSTREAM_KEY };
}

/** A group with one member, their key, and two calls of it: one that went well, one that didn't. */
async function department(api: Api, alias: string, organization: string, user: string) {
  const limits = { total_tokens: { day: '2M' }, spend: { month: '100 USD' } };
  const group = (await api.post('/api/v1/groups', { alias, organization, limits })).id;
  await member(api, group, user, organization, 'user');
  const issued = await api.post('/api/v1/keys', { alias: `${alias} key`, group, user });
  const secret = issued.secret;
  const caller = new Api(api.url, secret);
  await caller.chat('gpt-4o-mini', 'hello');
  await caller.chat('gpt-4o-mini--status-500', 'hello');
  const key = issued.key?.id ?? issued.id;
  const call = (await recorded(api, key, 2))[0].call;
  return { group, key, user, call, secret };
}

/** Records are written behind the calls. */
export async function recorded(api: Api, key: string, least: number): Promise<{ call: string }[]> {
  for (let turn = 0; turn < 100; turn++) {
    const { items } = await api.get(`/api/v1/records?key=${encodeURIComponent(key)}`);
    if (items.length >= least) return items;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`the key ${key} never had ${least} records`);
}

export async function member(api: Api, group: string, id: string, organization: string, role: 'group_admin' | 'user') {
  await person(api, id, 'user', organization);
  await api.post(`/api/v1/groups/${encodeURIComponent(group)}/members`, { user: id, role });
}

export async function person(api: Api, id: string, role: string, organization: string) {
  await api.post('/api/v1/users', { id, email: `${id}@example.com`, role, organization });
  await api.post(`/api/v1/users/${id}/password`, { password: GIVEN });
}

/** Signs somebody in as the console does, past the change of the password that they were given. */
export async function signIn(url: string, role: string): Promise<string> {
  const login = `${role}@example.com`;
  const send = async (method: string, path: string, body: object, cookie = '') => {
    const headers = { 'content-type': 'application/json', 'x-sluicegate-csrf': '1', cookie };
    const answer = await fetch(url + path, { method, headers, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path} for ${login}: ${answer.status} ${await answer.text()}`);
    return answer.headers.getSetCookie()[0]?.split(';')[0] ?? cookie;
  };
  if (role === 'super_admin') return send('POST', '/api/v1/session', { login, password: PASSWORD });
  const cookie = await send('POST', '/api/v1/session', { login, password: GIVEN });
  return send('PUT', '/api/v1/session/password', { current: GIVEN, new: PASSWORD }, cookie);
}
