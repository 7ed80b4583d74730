// Whom a channel is kept to, and what a question says of what breaks.

import { expect, settled, test } from '../rig/test.ts';
import { Api } from '../rig/api.ts';
import { channel } from '../rig/world.ts';

test('a channel is kept to a group that is chosen by name, and a name of nobody is told of', async ({ as, world }) => {
  const declared = channel('Kept', world.upstream.url);
  declared.declared.models = ['kept-model'];
  const id = (await world.api.post('/api/v1/channels', declared)).id;
  const page = await as('super_admin');
  await page.goto(`/channels/${id}`);
  await page.getByRole('button', { name: 'Change', exact: true }).click();
  const form = page.getByRole('dialog');
  await form.getByLabel('For groups').fill('Resear');
  await page.locator('.ant-select-item-option').filter({ hasText: 'Research' }).click();
  await form.getByRole('button', { name: 'Save' }).click();
  // Everybody could call it until then.
  const asked = form.filter({ hasText: 'Keep Kept to fewer groups?' });
  await asked.last().getByRole('button', { name: 'Save' }).click();
  await expect(form).toHaveCount(0);
  expect((await world.api.get(`/api/v1/channels/${id}`)).groups).toEqual([world.own.group]);
  await expect(page.locator('main').getByRole('link', { name: 'Research' })).toBeVisible();
  expect((await new Api(world.gateway.url, world.secret).chat('kept-model', 'hello')).status).toBe(200);
  await page.goto('/models?search=kept-model');
  await expect(page.getByRole('table').getByRole('link', { name: 'Research' })).toBeVisible();

  await world.api.ask('PATCH', `/api/v1/channels/${id}`, { groups: ['Research'] });
  await page.goto(`/channels/${id}`);
  await expect(page.getByText('it lets nobody in: Research')).toBeVisible();
  await page.getByRole('button', { name: 'Change', exact: true }).click();
  await expect(form.getByRole('alert')).toContainText('it lets nobody in: Research');
  await world.api.ask('DELETE', `/api/v1/channels/${id}`);
});

test('what is taken away says what stops: for some groups, without another key, without another version', async ({
  as,
  world,
}) => {
  const made = async (name: string, groups: string[]) => {
    const { declared, secret } = channel(name, world.upstream.url);
    return (await world.api.post('/api/v1/channels', { declared: { ...declared, models: ['two'], groups }, secret })).id;
  };
  const [all, some] = [await made('For all', []), await made('For some', [world.foreign.group])];
  const page = await as('super_admin');
  await page.goto(`/channels/${all}`);
  await page.getByRole('button', { name: 'Switch off' }).click();
  const asked = page.getByRole('dialog');
  await expect(asked).toContainText('for everybody else their calls are refused: two.');
  await asked.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('table', { name: 'Keys' }).getByRole('button', { name: 'Remove' }).click();
  await expect(asked).toContainText('no other key of this channel works');
  await asked.getByRole('button', { name: 'Cancel' }).click();
  for (const id of [all, some]) await world.api.ask('DELETE', `/api/v1/channels/${id}`);

  await world.api.put('/api/v1/policies/turned', { text: 'fn route(call, candidates) {}\n', group: world.foreign.group });
  for (const [version, words] of [
    [1, 'No version ran before it'],
    [2, 'Version 1 decides calls again'],
  ] as const) {
    if (version === 2) {
      const text = 'fn route(call, candidates) { }\n';
      await world.api.put('/api/v1/policies/turned', { text, group: world.foreign.group });
    }
    await world.api.post('/api/v1/policies/turned/activate', { version });
    await page.goto('/policies/turned?tab=versions');
    await settled(page);
    await page.getByRole('button', { name: 'Roll back' }).click();
    await expect(asked).toContainText(words);
    await asked.getByRole('button', { name: 'Cancel' }).click();
  }
  await world.api.ask('DELETE', '/api/v1/policies/turned');
});
