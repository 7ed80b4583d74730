// Pictures of every page for people to look at: `npm run shots`, or with words that pick some, `npm run shots -- -g "keys en"`. They are in
// `result/shot`. No test: nothing is compared.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from '@playwright/test';
import { expect, test as base } from '@playwright/test';
import { settled } from '../rig/test.ts';
import { type Company, found } from './company.ts';

const test = base.extend<object, { company: Company }>({
  company: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the fixtures' names from the pattern
    async ({}, use) => {
      const company = await found();
      await use(company);
      await company.end();
    },
    { scope: 'worker', timeout: 180_000 },
  ],
});

const at = (prefix: string, name: string) => (it: Company) => `/${prefix}/${encodeURIComponent(it.id[name] ?? name)}`;
const still = (path: string) => () => path;

type Act = (page: Page) => Promise<unknown>;

/** Each view: its address, and what is done there before it is looked at. */
const VIEWS: [string, (it: Company) => string, Act?][] = [
  ['overview', still('/overview')],
  ['overview-speed', still('/overview?days=1'), (page) => page.locator('.choice').last().locator('button').last().click()],
  ['usage', still('/usage?by=model&and=group')],
  ['requests', still('/requests')],
  ['request-well', at('requests', 'call well')],
  ['request-stream', at('requests', 'call stream')],
  ['request-fallback', at('requests', 'call fallback')],
  ['request-refused', at('requests', 'call refused')],
  ['playground-first', still('/playground')],
  ['playground', still('/playground?two=1&model=gpt-4o&other=gpt-4o-mini'), talk],
  ['keys', still('/keys')],
  ['key', at('keys', 'key ada')],
  ['key-form', still('/keys?create=1')],
  ['key-made', still('/keys?create=1'), makeKey],
  ['groups', still('/groups')],
  ['group', at('groups', 'Research')],
  ['group-form', still('/groups?create=1')],
  ['users', still('/users')],
  ['user', at('users', 'ada')],
  ['organizations', still('/organizations')],
  ['organization', at('organizations', 'acme')],
  ['channels', still('/channels')],
  ['channel', at('channels', 'Anthropic')],
  ['channel-ill', at('channels', 'Old proxy')],
  ['channel-form', still('/channels?create=1')],
  ['models', still('/models')],
  ['model-paths', still('/models?search=gpt-4o'), (page) => page.getByRole('button', { name: /Expand|展开/ }).first().click()],
  ['policy-replay', at('policies', 'long-prompts'), replay],
  ['policies', still('/policies')],
  ['policy', at('policies', 'long-prompts')],
  ['audit', still('/audit')],
  ['system', still('/system')],
  ['account', still('/account')],
  ['nowhere', still('/nowhere')],
  ['search', still('/overview'), search],
  ['not-there', still('/keys/no-such-key')],
];

const LOOKS = [
  { name: 'en light', language: 'en', colours: 'light', width: 1280 },
  { name: 'en dark', language: 'en', colours: 'dark', width: 1280 },
  { name: 'zh light', language: 'zh', colours: 'light', width: 1280 },
  { name: 'zh dark', language: 'zh', colours: 'dark', width: 1280 },
  { name: 'en phone', language: 'en', colours: 'light', width: 390 },
  { name: 'zh phone', language: 'zh', colours: 'dark', width: 390 },
];

const FOLDER = join(import.meta.dirname, '../result/shot');
mkdirSync(FOLDER, { recursive: true });

for (const look of LOOKS) {
  for (const [name, path, act] of VIEWS) {
    test(`${name} ${look.name}`, async ({ browser, company }) => {
      const page = await opened(browser, company, company.session, look);
      await page.goto(path(company));
      await ready(page);
      await act?.(page);
      await ready(page);
      const file = `${name} ${look.name}`.replaceAll(' ', '-');
      await page.screenshot({ path: join(FOLDER, `${file}.png`), fullPage: true });
      await page.context().close();
    });
  }
  for (const [name, path] of [
    ['login', '/login'],
    ['login-wrong', '/login'],
  ] as const) {
    test(`${name} ${look.name}`, async ({ browser, company }) => {
      const page = await opened(browser, company, '', look);
      await page.goto(path);
      await expect(page.locator('input[type=password]')).toBeVisible();
      if (name === 'login-wrong') {
        await page.locator('input').first().fill('ada@example.com');
        await page.locator('input[type=password]').fill('not the one');
        await page.keyboard.press('Enter');
        await expect(page.getByRole('alert')).toBeVisible();
      }
      await page.screenshot({ path: join(FOLDER, `${name}-${look.name.replaceAll(' ', '-')}.png`) });
      await page.context().close();
    });
  }
  for (const path of ['overview', 'keys', 'models', 'requests']) {
    test(`user-${path} ${look.name}`, async ({ browser, company }) => {
      const page = await opened(browser, company, company.user, look);
      await page.goto(`/${path}`);
      await ready(page);
      await page.screenshot({ path: join(FOLDER, `user-${path}-${look.name.replaceAll(' ', '-')}.png`), fullPage: true });
      await page.context().close();
    });
  }
}

async function opened(browser: Browser, company: Company, session: string, look: (typeof LOOKS)[number]): Promise<Page> {
  const context = await browser.newContext({
    baseURL: company.gateway.url,
    viewport: { width: look.width, height: look.width < 500 ? 844 : 800 },
    reducedMotion: 'reduce',
    timezoneId: 'Europe/Berlin',
  });
  const [name = '', value = ''] = session.split('=');
  if (session) await context.addCookies([{ name, value, url: company.gateway.url }]);
  const { language, colours } = look;
  await context.addInitScript((it) => localStorage.setItem('sluicegate.preference', JSON.stringify(it)), { language, colours });
  return context.newPage();
}

async function ready(page: Page) {
  await settled(page);
  await page.waitForLoadState('networkidle');
  await page.waitForTimeout(400);
}

async function makeKey(page: Page) {
  const sheet = page.getByRole('dialog');
  await sheet.locator('input').first().fill('A new one');
  await sheet.locator('.ant-drawer-footer button.ant-btn-primary, .ant-drawer-extra button.ant-btn-primary').first().click();
  await expect(page.getByTestId('secret')).toBeVisible();
}

async function talk(page: Page) {
  await page.locator('main button.ant-btn-primary').first().click();
  const box = page.locator('main textarea').last();
  await box.fill('Which of our departments spends the most, and why?');
  await box.press('Enter');
  await page.waitForTimeout(2_500);
  await page.locator('details, .ant-collapse-header').last().click();
}

async function replay(page: Page) {
  await page.getByRole('button', { name: /^(Replay|重放|重 放)$/ }).click();
  await expect(page.locator('progress')).toHaveCount(0);
}

async function search(page: Page) {
  await page.keyboard.press('Control+k');
  await page.keyboard.type('re');
  await page.waitForTimeout(600);
}
