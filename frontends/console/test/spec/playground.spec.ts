// Talking to models in the browser, by a key.

import { expect, test } from '../rig/test.ts';

test('an answer shows what it took, what it cost, and why it went where it went', async ({ as, world }) => {
  // The calls that the world was built with failed on purpose, and the channel may be resting from that.
  await world.api.post(`/api/v1/channels/${world.channel}/mend`, {});
  const page = await as('user');
  await page.goto('/playground?two=1&model=gpt-4o-mini&other=gpt-4o-mini');
  await page.getByLabel('Key', { exact: true }).fill(world.secret);
  await page.getByRole('button', { name: 'Start', exact: true }).click();
  await page.getByRole('button', { name: 'System prompt, parameters, tools' }).click();
  await page.getByLabel('Tools').fill('{"not": "a list"}');
  await page.getByLabel('Message', { exact: true }).fill('hello');
  await expect(page.getByRole('button', { name: 'Send' })).toBeDisabled();
  await page.getByLabel('Tools').fill('[{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]');
  const asked = page.waitForRequest(/\/v1\/chat\/completions$/);
  await page.getByRole('button', { name: 'Send' }).click();
  expect((await asked).postDataJSON().tools[0].function.name).toBe('look');
  const logs = page.getByRole('log');
  await expect(logs).toHaveCount(2);
  for (const log of await logs.all()) {
    await expect(log).toContainText('gpt-4o-mini');
    // Its record is there a moment after it ended.
    await expect(log).toContainText(/\$0\.0/);
    await log.getByText('Why it went there').click();
    await expect(log.getByRole('list', { name: 'Why it went there' })).toContainText(/priority \d/);
  }
  // The call is opened beside it: the conversation is in this page alone.
  const opened = page.waitForEvent('popup');
  await logs.first().getByRole('link', { name: 'Open the call' }).click();
  expect((await opened).url()).toMatch(/\/requests\/call-/);
  await expect(logs.first()).toContainText('hello');
});

test('a question waits for the answer before it, one that is refused comes back, and one key serves each start', async ({ as, world }) => {
  await world.api.post(`/api/v1/channels/${world.channel}/mend`, {});
  const page = await as('user');
  const input = page.getByLabel('Message', { exact: true });
  const begin = async (query: string) => {
    await page.goto(`/playground?${query}`);
    await page.getByRole('button', { name: 'Create and start' }).click();
    await expect(input).toBeVisible();
  };
  await begin('model=gpt-4o-mini--status-500');
  await input.fill('is anybody there?');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('alert')).toBeVisible();
  await expect(input).toHaveValue('is anybody there?');

  await begin('model=gpt-4o-mini');
  await page.getByRole('button', { name: 'System prompt, parameters, tools' }).click();
  await page.getByLabel('Top P').fill('0.5');
  await page.getByLabel('Seed').fill('7');
  await page.getByLabel('Stop at these texts').fill('END');
  await page.keyboard.press('Enter');
  await page.getByLabel('How much to think').click();
  await page.locator('.ant-select-item-option').filter({ hasText: 'Little' }).click();
  let release = () => {};
  const held = new Promise<void>((done) => {
    release = done;
  });
  const bodies: { top_p?: number; seed?: number; stop?: string[]; reasoning_effort?: string }[] = [];
  await page.route(/\/v1\/chat\/completions$/, async (route) => {
    bodies.push(route.request().postDataJSON());
    await held;
    await route.continue();
  });
  await input.fill('one');
  await page.keyboard.press('Enter');
  await input.fill('two');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('button', { name: 'Send' })).toBeDisabled();
  await expect(input).toHaveValue('two');
  release();
  await expect(page.getByRole('link', { name: 'Open the call' })).toHaveCount(1);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('link', { name: 'Open the call' })).toHaveCount(2);
  expect(bodies.length).toBe(2);
  expect(bodies[0]).toMatchObject({ top_p: 0.5, seed: 7, stop: ['END'], reasoning_effort: 'low' });
  const { items } = await world.api.get(`/api/v1/keys?user=${world.own.user}&search=playground`);
  expect(items.map((it: { alias: string }) => it.alias)).toEqual([`playground · ${world.own.user} · Research`]);
  await world.api.ask('DELETE', `/api/v1/keys/${items[0].id}`);
});

test("a key for somebody else's group is nobody's, and one of several groups is chosen first", async ({ as, world }) => {
  const twice = (await world.api.post('/api/v1/groups', { alias: 'Second home', organization: 'acme' })).id;
  try {
    const page = await as('super_admin');
    await page.goto('/playground?model=gpt-4o-mini');
    await page.getByRole('combobox', { name: 'Group' }).fill('Research');
    await page.locator('.ant-select-item-option', { hasText: 'Research' }).click();
    await page.getByRole('button', { name: 'Create and start' }).click();
    await expect(page.getByLabel('Message', { exact: true })).toBeVisible();
    const { items } = await world.api.get(`/api/v1/keys?group=${world.own.group}&search=playground`);
    expect(items.filter((it: { user: string | null }) => it.user === null).length).toBe(1);

    await world.api.post(`/api/v1/groups/${twice}/members`, { user: world.own.user, role: 'user' });
    const user = await as('user');
    await user.goto('/playground?model=gpt-4o-mini');
    const start = user.getByRole('button', { name: 'Create and start' });
    await expect(start).toBeDisabled();
    await user.getByRole('combobox', { name: 'Group' }).click();
    await user.locator('.ant-select-item-option', { hasText: 'Research' }).click();
    await expect(start).toBeEnabled();
  } finally {
    const { items } = await world.api.get(`/api/v1/keys?group=${world.own.group}&search=playground`);
    for (const it of items) await world.api.ask('DELETE', `/api/v1/keys/${it.id}`);
    await world.api.ask('DELETE', `/api/v1/groups/${twice}`);
  }
});
