// What the API lets somebody set is in the console's forms, and what is found by calling is gone on with.

import { UPSTREAM_KEY } from '../rig/process.ts';
import { expect, settled, test } from '../rig/test.ts';

test('a group has other names for models, data of its own, and a ratio that only a super administrator sets', async ({ as, world }) => {
  const { id } = await world.api.post('/api/v1/groups', { alias: 'Settled', organization: 'acme', metadata: { floor: 3 } });
  const page = await as('super_admin');
  await page.goto(`/groups/${id}`);
  await page.locator('.head').getByRole('button', { name: 'Change', exact: true }).click();
  const form = page.getByRole('dialog').first();
  await form.getByRole('button', { name: 'Add a name' }).click();
  await form.getByRole('textbox', { name: 'Name', exact: true }).last().fill('fast');
  await form.getByRole('textbox', { name: 'Model', exact: true }).fill('gpt-4o-mini');
  await form.getByLabel('Price ratio').fill('0.9');
  await form.getByLabel('Metadata').fill('[1]');
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(form.getByText("This isn't a JSON object.")).toBeVisible();
  await form.getByLabel('Metadata').fill('{"cost_centre": "R-7"}');
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(form).toHaveCount(0);
  await expect(page.getByText('fast → gpt-4o-mini')).toBeVisible();
  const after = await world.api.get(`/api/v1/groups/${id}`);
  expect([after.aliases, after.metadata, after.price_ratio_ppm]).toEqual([{ fast: 'gpt-4o-mini' }, { cost_centre: 'R-7' }, 900_000]);
  const other = await as('organization_admin');
  await other.goto(`/groups/${id}`);
  await other.locator('.head').getByRole('button', { name: 'Change', exact: true }).click();
  const theirs = other.getByRole('dialog').first();
  await expect(theirs.getByLabel('Price ratio')).toHaveCount(0);
  await theirs.getByRole('textbox', { name: 'Name' }).first().fill('Settled down');
  await theirs.getByRole('button', { name: 'Save' }).click();
  await expect(theirs).toHaveCount(0);
  await expect(other.getByRole('heading', { level: 1 })).toHaveText('Settled down');
  await world.api.ask('DELETE', `/api/v1/groups/${id}`);
});

test('what a tool says is given back, and the model goes on', async ({ as }) => {
  const page = await as('super_admin');
  const sent: { messages: { role: string; tool_call_id?: string }[] }[] = [];
  await page.route(/\/v1\/chat\/completions$/, async (route) => {
    sent.push(route.request().postDataJSON());
    const call = { index: 0, id: 'call_7', function: { name: 'look_up', arguments: '{"q":"x"}' } };
    const delta = sent.length === 1 ? { tool_calls: [call] } : { content: 'It is forty-two.' };
    const event = JSON.stringify({ choices: [{ delta }] });
    await route.fulfill({ contentType: 'text/event-stream', body: `data: ${event}\n\ndata: [DONE]\n\n` });
  });
  await page.goto('/playground');
  await page.getByRole('button', { name: 'Create and start' }).click();
  await page.getByRole('textbox', { name: 'Message' }).fill('What is it?');
  // Enter sends nothing before the key is there.
  await expect(page.getByRole('button', { name: 'Send', exact: true })).toBeEnabled();
  await page.keyboard.press('Enter');
  const result = page.getByRole('textbox', { name: 'Result of look_up' });
  await expect(page.getByRole('button', { name: 'Give back and go on' })).toBeDisabled();
  await result.fill('42');
  await page.getByRole('button', { name: 'Give back and go on' }).click();
  await expect(page.getByText('It is forty-two.')).toBeVisible();
  expect(sent[1]?.messages.map((it) => it.role)).toEqual(['user', 'assistant', 'tool']);
  expect(sent[1]?.messages[2]?.tool_call_id).toBe('call_7');
});

test('a channel that is cooling down says why and since when', async ({ as, world }) => {
  const page = await as('super_admin');
  const one = await world.api.get(`/api/v1/channels/${world.channel}`);
  const now = Date.now();
  const health = { failures: 3, benched_until: now + 60_000, broken: false, in_flight: 0, latency_us: 0 };
  const recent = { calls: 3, failures: 3, last_failure: 'rate_limited', last_failure_at: now - 120_000 };
  const items = [{ ...one, health, recent, enabled: true }];
  await page.route(/\/api\/v1\/channels\?/, (route) => route.fulfill({ json: { items, total: 1, next: null } }));
  await page.goto('/channels');
  await settled(page);
  await expect(page.getByRole('row', { name: /First channel/ })).toContainText('Rate limited, 2 minutes ago');
});

test('who is searched for by name is chosen, and what an upstream offers fits its form', async ({ as, world }) => {
  const page = await as('super_admin');
  await page.goto('/channels?create=1');
  const form = page.getByRole('dialog').first();
  await form.getByLabel('Provider').fill('OpenAI');
  await expect(page.locator('.ant-select-item-option').first()).toHaveText('OpenAI');
  await page.keyboard.press('Enter');
  await expect(form.getByText('Worldwide')).toBeVisible();
  await form.getByLabel('Address', { exact: true }).first().fill(`${world.upstream.url}/v1`);
  await form.getByRole('textbox', { name: 'Credential', exact: true }).fill(UPSTREAM_KEY);
  await form.getByRole('button', { name: "Fetch the upstream's models" }).click();
  await expect(form.getByRole('checkbox', { name: 'gpt-4o-mini' })).toBeVisible();
  const wide = await page.locator('.ant-drawer-body').evaluate((it) => it.scrollWidth - it.clientWidth);
  expect(wide).toBe(0);
});

test("a key of a group of another organization is nobody's, until somebody is named", async ({ as, world }) => {
  const page = await as('super_admin');
  await page.goto('/keys?create=1');
  const form = page.getByRole('dialog').first();
  const user = form.locator('.ant-form-item', { hasText: 'User' }).last();
  await expect(user).toContainText('super_admin@example.com');
  await form.getByLabel('Alias').fill('For a service');
  await form.getByLabel('Group', { exact: true }).click();
  await page.locator('.ant-select-item-option', { hasText: 'Research' }).click();
  await expect(user).not.toContainText('super_admin@example.com');
  await form.getByRole('button', { name: 'Create', exact: true }).click();
  await expect(page.getByTestId('secret')).toBeVisible();
  const { items } = await world.api.get('/api/v1/keys?search=For%20a%20service');
  expect([items.length, items[0].group, items[0].user]).toEqual([1, world.own.group, null]);
  await world.api.ask('DELETE', `/api/v1/keys/${items[0].id}`);
});

test('a price is changed from where it is listed, and a first policy is put into use where it was saved', async ({ as, world }) => {
  const page = await as('super_admin');
  await page.goto('/models?search=gpt-4o-mini');
  await page.getByRole('button', { name: 'Expand row' }).first().click();
  await page.getByRole('table', { name: 'Prices' }).getByRole('link', { name: 'First channel' }).first().click();
  await page.getByRole('link', { name: 'Price and bounds of gpt-4o-mini', exact: true }).click();
  const form = page.getByRole('dialog').first();
  await expect(form.getByRole('spinbutton', { name: /^Input/ })).toHaveValue(/^0\.15/);
  await form.getByRole('button', { name: 'Close' }).click();
  await page.goto('/policies/just-begun?new=1');
  await page.getByRole('button', { name: 'Save as a version' }).click();
  await expect(page.getByRole('tab', { name: 'Versions' })).toHaveAttribute('aria-selected', 'true');
  await page.getByRole('button', { name: 'Activate' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Activate' }).click();
  await expect(page.getByText('Version 1 is active')).toBeVisible();
  await world.api.ask('DELETE', '/api/v1/policies/just-begun');
});
