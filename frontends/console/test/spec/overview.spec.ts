// What the overview leads to: the first steps where there is nothing, and limits before they are hit.

import { Api } from '../rig/api.ts';
import { createHash } from 'node:crypto';
import { expect, settled, test } from '../rig/test.ts';
import { channel, PASSWORD } from '../rig/world.ts';


test('an empty installation says what to do first, and marks what is done', async ({ visitor, world, alone }) => {
  // With the channel for a first try, which is nobody's doing.
  const gateway = await alone('version: 1\n');
  const api = new Api(gateway.url);
  await api.post('/api/v1/setup', { email: 'first@example.com', password: PASSWORD });
  const page = await visitor(gateway.url);
  await page.goto('/overview');
  await page.getByLabel('E-mail address or user id').fill('first@example.com');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  const steps = page.locator('.first > li');
  await expect(steps).toHaveCount(5);
  await expect(page.locator('[aria-current=step]')).toContainText('Create a channel');
  await api.post('/api/v1/channels', channel('One', world.upstream.url));
  await api.post('/api/v1/groups', { alias: 'Team', limits: { total_tokens: { day: '1M' } } });
  await page.reload();
  await expect(steps.nth(0)).toContainText('done');
  await expect(steps.nth(1)).toContainText('done');
  await expect(page.locator('[aria-current=step]')).toContainText('Invite somebody');
  await page.getByRole('link', { name: 'Create a key' }).click();
  await expect(page.getByRole('dialog', { name: 'New key' })).toBeVisible();
});

test('figures, budgets and channels are those of the server', async ({ as, world }) => {
  const page = await as('super_admin');
  await page.goto('/overview');
  await settled(page);
  const main = page.getByRole('main');
  const limit = main.getByRole('meter', { name: 'Tokens' }).first();
  await expect(limit).toHaveAttribute('aria-valuemax', '2000000');
  await expect(main.getByText(/a day/).first()).toBeVisible();
  const { total } = await world.api.get('/api/v1/reports/overview?time_zone=Europe/Berlin');
  await expect(main.locator('.panel', { hasText: 'Requests' }).locator('.figure').first()).toBeVisible();
  expect(total.requests).toBeGreaterThan(0);
  await page.getByRole('button', { name: 'Latency' }).click();
  await page.getByRole('button', { name: 'As a table' }).click();
  await expect(main.getByRole('columnheader', { name: 'Latency (p50)' })).toBeVisible();
});

test('a limit that runs out before it begins anew says when', async ({ as }) => {
  const page = await as('super_admin');
  const [hour, now] = [3_600_000, Date.now()];
  const budget = {
    ...{ id: 'g', name: 'Explorers', organization: 'acme', group: 'g', user: null, scope: 'group', metric: 'spend' },
    ...{ window: 'day', model: null, mode: 'strict', max: 200e9, settled: 150e9, reserved: 0, held: 0 },
    ...{ remaining: 50e9, resets_at: now + 12 * hour, starts_at: now - 12 * hour, used_ppm: 750_000 },
    burned: [{ from: now - 12 * hour, to: now, used: 150e9, total: 150e9 }],
    forecast: {
      ...{ since: now - 6 * hour, per_day: 300e9, used_at_end: 300e9, used_at_end_ppm: 1_500_000 },
      runs_out_at: now + 4 * hour + 60_000,
    },
  };
  await page.route(/\/api\/v1\/reports\/budgets/, (route) =>
    route.fulfill({ json: { items: [budget], total: 1 } }),
  );
  await page.goto('/overview');
  const panel = page.locator('.panel', { hasText: 'Limits closest to used up' });
  await expect(panel).toContainText('$300.00 a day · 150% by the reset at this pace · runs out in 4 hours');
  await expect(panel.getByRole('img', { name: '$150.00 of $200.00 used, over time' })).toBeVisible();
});

test('a chart answers to the pointer, though it is drawn beside the page', async ({ as }) => {
  const page = await as('super_admin');
  await page.goto('/overview');
  await settled(page);
  const chart = page.getByRole('img', { name: /^Chart: Spend/ });
  const place = await chart.boundingBox();
  if (!place) throw new Error('there is no chart');
  const look = async () => createHash('sha256').update(await chart.screenshot()).digest('hex');
  await expect(chart.locator('canvas')).toBeVisible();
  let before = '';
  // It has come to rest.
  await expect.poll(async () => before === (before = await look())).toBe(true);
  await page.mouse.move(place.x + place.width - 120, place.y + 150);
  await expect.poll(look, 'what is under the pointer').not.toBe(before);
  await page.mouse.move(5, 5);
  await expect.poll(look, 'nothing is any more').toBe(before);
  await page.mouse.click(place.x + place.width / 2, place.y + 11);
  await page.mouse.move(5, 5);
  await expect.poll(look, 'a line is switched off').not.toBe(before);
});

test('a key shows the limits of what it belongs to', async ({ as, world }) => {
  const page = await as('user');
  await page.goto(`/keys/${world.own.key}`);
  const limits = page.getByRole('main').getByRole('meter', { name: 'Tokens' });
  await expect(limits).toHaveAttribute('aria-valuemax', '2000000');
  await expect(page.getByRole('main').getByText('Group Research')).toBeVisible();
});

test('work that takes long says so, and is stopped', async ({ as, world }) => {
  const page = await as('super_admin');
  const told: string[] = [];
  await page.route(/\/api\/v1\/replay$/, (route) => {
    const method = route.request().method();
    told.push(method);
    const at = Date.UTC(2026, 10, 29, 12);
    const running = { began_at: at, by: 'root', phase: 'replaying', done: 4_000, of: 10_000, at, share_ppm: 425_000 };
    // What is asked for is never answered; how far it is, at once.
    if (method === 'GET') return route.fulfill({ json: { running } });
    if (method === 'DELETE') return route.fulfill({ status: 204 });
    return undefined;
  });
  await page.goto(`/policies/${world.policy}`);
  await page.getByRole('button', { name: 'Replay', exact: true }).click();
  const bar = page.getByRole('progressbar', { name: /recorded calls/ });
  await expect(bar).toHaveAttribute('value', '0.425');
  await expect(page.locator('main')).toContainText('42.5%');
  await expect(page.locator('main')).toContainText('4,000 of 10,000 calls');
  await page.getByRole('button', { name: 'Stop' }).click();
  await expect(bar).toHaveCount(0);
  await expect.poll(() => told).toContain('DELETE');
  await expect(page.getByRole('alert')).toHaveCount(0);
});
