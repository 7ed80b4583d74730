// Names and answers that try to be markup are words, wherever they stand.

import { Api } from '../rig/api.ts';
import { startHostile, WORDS } from '../rig/hostile.ts';
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

test('answers of models are words, whatever they say', async ({ as, world }) => {
  test.setTimeout(120_000);
  const hostile = await startHostile();
  const page = await as('super_admin');
  try {
    const made = channel('Hostile', hostile.url);
    made.declared.models = ['gpt-4o', 'gpt-4.1'];
    await world.api.post('/api/v1/channels', made);
    const issued = await world.api.post('/api/v1/keys', { alias: 'Talks to anybody' });
    await page.goto('/playground?two=1&model=gpt-4o&other=gpt-4.1');
    await page.getByLabel('Key', { exact: true }).fill(issued.secret);
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    const logs = page.getByRole('log');
    await expect(logs).toHaveCount(2);
    await page.getByLabel('Message', { exact: true }).fill(WORDS.join(' '));
    await page.getByRole('button', { name: 'Send' }).click();
    for (const log of await logs.all()) {
      await expect(log.locator('pre')).toContainText('look(');
      await log.locator('details').first().evaluate((it) => it.setAttribute('open', ''));
      // Said, thought, and called with: each of them to be read as it came.
      for (const words of WORDS) await expect(log.getByText(words).first(), words).toBeVisible();
      await expect(log.locator('img, svg, iframe, script, style, form:not(.results), [onload], [onerror], [onfocus]')).toHaveCount(0);
      await expect(log.locator('a[href^="javascript"], a[target]:not([href^="/requests/"])')).toHaveCount(0);
    }
    await page.getByLabel('Message', { exact: true }).fill('complain');
    await page.getByRole('button', { name: 'Send' }).click();
    await expect(page.getByRole('alert').first()).toContainText('<script>');
    expect(await page.evaluate(() => 'harmed' in window)).toBe(false);
    const calls = await recorded(world.api, issued.key.id, 4);
    for (const { call } of calls) {
      await page.goto(`/requests/${call}`);
      await settled(page);
      expect(await page.evaluate(() => 'harmed' in window), call).toBe(false);
      await expect(page.locator('main img, main iframe, main a[href^="javascript"]')).toHaveCount(0);
    }
  } finally {
    await hostile.stop();
  }
});
