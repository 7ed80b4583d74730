// Settings that are changed while the gateway runs: what is asked first, what holds, and what stands again where the server refuses.

import { expect, settled, test } from '../rig/test.ts';

test('a setting is changed, goes back to its default after a question, and stands again where that is refused', async ({ begun, alone }) => {
  const { api, page } = await begun(await alone());
  const retries = async () => {
    const { changeable } = await api.get('/api/v1/settings');
    return changeable.find((it: { name: string }) => it.name === 'routing.retries');
  };
  const before = await retries();
  await page.goto('/system');
  await settled(page);
  const card = page.locator('.ant-card').filter({ hasText: 'Settings that may be changed' });
  const row = card.getByRole('row', { name: /^Retries/ });
  await card.getByRole('button', { name: 'Change', exact: true }).click();
  const form = page.getByRole('dialog');
  await form.getByLabel('Retries', { exact: true }).fill('7');
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(form).toHaveCount(0);
  await expect(row).toContainText('changed here');
  expect(await retries()).toMatchObject({ value: 7, source: 'database' });

  const back = page.getByRole('dialog', { name: 'Back to the default: Retries?' });
  // Somebody else changes another one meanwhile.
  const other = await api.ask('PATCH', '/api/v1/settings', { 'routing.max_attempts': 9 });
  expect(other.status, JSON.stringify(other.json)).toBe(200);
  await row.getByRole('button', { name: 'Back to its default: Retries' }).click();
  await expect(back).toContainText(`In force is 7; the default is ${before.default}`);
  await back.getByRole('button', { name: 'Default', exact: true }).click();
  await expect(page.getByText('it was changed meanwhile; read it again, and decide anew what to change')).toBeVisible();
  await expect(row).toContainText('changed here');
  expect((await retries()).value).toBe(7);

  await row.getByRole('button', { name: 'Back to its default: Retries' }).click();
  await back.getByRole('button', { name: 'Default', exact: true }).click();
  await expect(row.getByRole('button')).toHaveCount(0);
  expect(await retries()).toMatchObject({ value: before.default, source: 'default' });
});

test('records are kept for less only after the time was said, and 0 is no time', async ({ begun, alone, visitor }) => {
  const gateway = await alone();
  const { api, page } = await begun(gateway);
  await page.goto('/system');
  await settled(page);
  const card = page.locator('.ant-card').filter({ hasText: 'Settings that may be changed' });
  await card.getByRole('button', { name: 'Change', exact: true }).click();
  const form = page.getByRole('dialog').first();
  const kept = form.getByLabel('Records are kept for', { exact: true });
  await kept.fill('0');
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(form.locator('.ant-form-item-explain-error').filter({ hasText: 'From 1 d to' })).toBeVisible();
  await expect(kept).toHaveValue('0');
  await kept.fill('30');
  await form.getByRole('button', { name: 'Save' }).click();
  const asked = page.getByRole('dialog').filter({ hasText: 'What is older than that is deleted' });
  await expect(asked).toContainText('Records are kept for: 30 d');
  await asked.getByRole('button', { name: 'Cancel' }).click();
  const { changeable } = await api.get('/api/v1/settings');
  const records = changeable.find((it: { name: string }) => it.name === 'retention.records_ms');
  expect(records).toMatchObject({ value: null, source: 'default' });

  const reader = await visitor(gateway.url);
  await reader.addInitScript(() => localStorage.setItem('sluicegate.preference', JSON.stringify({ language: 'zh' })));
  await reader.context().addCookies(await page.context().cookies());
  await reader.goto('/system');
  await settled(reader);
  const table = reader.getByRole('table', { name: '可在运行中更改的设置' });
  await expect(table.getByRole('row', { name: /^用量记录保留/ })).toBeVisible();
});
