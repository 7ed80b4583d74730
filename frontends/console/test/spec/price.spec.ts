// Prices as they are written: in their own currency, by tokens and by what isn't tokens, and whatever else they say.

import { expect, test } from '../rig/test.ts';
import { channel } from '../rig/world.ts';

const DAY = 86_400_000;

test('a price is shown in its own currency with its steps and dates, and one by units is a price', async ({ as, world }) => {
  const made = channel('Dear', world.upstream.url);
  const names = ['price-yuan', 'price-picture', 'price-none'];
  const id = (await world.api.post('/api/v1/channels', { ...made, declared: { ...made.declared, models: names } })).id;
  try {
    const dearer = { input: 10_000_000, output: 20_000_000, cache_read: 1_000_000 };
    const bySize = { more: { units: [{ size: '1024x1024', per_unit: 80_000_000_000 }] } };
    const yuan = {
      input: 7_200_000,
      output: 14_400_000,
      audio_in: 3_000_000,
      tiers: [{ above_input_tokens: 200_000, ...dearer }],
      more: {
        exchange: { currency: 'CNY', per_usd_ppm: 7_200_000 },
        changes: [{ from: Date.now() + 30 * DAY, price: dearer }],
      },
    };
    const models = [
      { group: 'price-yuan', upstream: 'a', price: yuan },
      { group: 'price-picture', upstream: 'b', price: { per_unit: 40_000_000_000, more: { changes: [{ from: Date.now() + 30 * DAY, price: bySize }] } } },
      { group: 'price-none', upstream: 'c' },
    ];
    const patched = await world.api.ask('PATCH', `/api/v1/channels/${id}`, { models });
    expect(patched.status, JSON.stringify(patched.json)).toBe(200);

    const page = await as('super_admin');
    await page.goto(`/channels/${id}`);
    const table = page.getByRole('table', { name: 'Models', exact: true });
    const row = (name: string) => table.getByRole('row', { name: new RegExp(name) });
    await expect(row('price-yuan')).toContainText('¥7.20');
    await expect(row('price-yuan')).toContainText('Audio in: ¥3.00 / 1M');
    await expect(row('price-picture')).toContainText('Units: $0.04 each');
    await expect(row('price-picture')).toContainText(/from .+: Units \(1024x1024\): \$0\.08 each/);
    await expect(row('price-picture')).not.toContainText('unpriced');
    await expect(row('price-none')).toContainText('unpriced');

    await page.goto('/models?search=price-&open=price-yuan');
    const list = page.getByRole('table', { name: 'Models and prices' });
    const line = list.getByRole('row', { name: /price-yuan/ }).first();
    await expect(line).toContainText('¥7.20');
    await expect(line).toContainText('CNY');
    const prices = page.getByRole('table', { name: 'Prices', exact: true });
    await expect(prices).toContainText('¥14.40');
    await expect(prices).toContainText('above 200K tokens: ¥10.00 / ¥20.00; Input from cache: ¥1.00 / 1M');
    await expect(prices).toContainText(/from .+: ¥10\.00 \/ ¥20\.00/);
    await expect(prices).not.toContainText('$');

    await page.goto('/models?search=price-&priced=false');
    await expect(list).toContainText('price-none');
    await expect(list).not.toContainText('price-picture');
  } finally {
    await world.api.ask('DELETE', `/api/v1/channels/${id}`);
  }
});
