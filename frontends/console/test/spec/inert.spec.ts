// Names and answers that try to be markup are words, wherever they stand.

import { Api } from '../rig/api.ts';
import { expect, settled, test } from '../rig/test.ts';
import { channel, MARKUP, recorded } from '../rig/world.ts';

test('names with markup in them are words on every page', async ({ as, world }) => {
  test.setTimeout(120_000);
  const { api } = world;
  const group = (await api.post('/api/v1/groups', { alias: `group ${MARKUP}` })).id;
  const user = (await api.post('/api/v1/users', { alias: `user ${MARKUP}`, email: 'markup@example.com' })).id;
  await api.post(`/api/v1/groups/${group}/members`, { user, role: 'user' });
  const fields = { alias: `key ${MARKUP}`, group, user, tags: [MARKUP.slice(0, 60)] };
  const issued = await api.post('/api/v1/keys', fields);
  const key = issued.key?.id ?? issued.id;
  const made = channel(`channel ${MARKUP}`, world.upstream.url);
  made.declared.models = [`<b>${'x'.repeat(9)}</b>`];
  const there = (await api.post('/api/v1/channels', made)).id;
  await new Api(api.url, issued.secret).chat(`<b>${'x'.repeat(9)}</b>`, MARKUP, { user: MARKUP });
  await new Api(api.url, issued.secret).chat('gpt-4o-mini', MARKUP, { user: MARKUP });
  const call = (await recorded(api, key, 2))[0]?.call;
  const page = await as('super_admin');
  for (const address of [
    '/overview',
    `/usage?by=group&and=customer`,
    '/requests',
    `/requests/${call}`,
    '/keys',
    `/keys/${key}`,
    '/groups',
    `/groups/${group}`,
    '/users',
    `/users/${user}`,
    '/channels',
    `/channels/${there}`,
    '/models',
    '/audit',
    `/keys?search=${encodeURIComponent(MARKUP)}`,
    `/${encodeURIComponent(MARKUP)}`,
  ]) {
    await page.goto(address);
    await settled(page);
    expect(await page.evaluate(() => 'harmed' in window), address).toBe(false);
    await expect(page.locator('img[src="x"]'), address).toHaveCount(0);
  }
  await page.goto('/groups');
  await expect(page.locator('main')).toContainText(`group ${MARKUP}`);
});
