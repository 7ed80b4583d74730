// What every spec begins with: a world for each worker, and pages that are watched.

import AxeBuilder from '@axe-core/playwright';
import { type BrowserContext, test as base, expect, type Page, type TestInfo } from '@playwright/test';
import { Api } from './api.ts';
import { type Running, startGateway } from './process.ts';
import { build, PASSWORD, type Role, signIn, type World } from './world.ts';

type Look = { language?: 'en' | 'zh'; colours?: 'light' | 'dark' };

type Fixtures = {
  /** A page of somebody who is signed in. */
  as: (role: Role, look?: Look) => Promise<Page>;
  /** A page of somebody who isn't, of any gateway; it may lead to others, too. */
  visitor: (url: string, ...others: string[]) => Promise<Page>;
  /** A gateway of the story's own, which ends with it. */
  alone: (...how: Parameters<typeof startGateway>) => Promise<Running>;
  /** The first administrator of a gateway of one's own, made and signed in. */
  begun: (gateway: Running) => Promise<{ api: Api; page: Page }>;
};

export const test = base.extend<Fixtures, { world: World }>({
  world: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the fixtures' names from the pattern
    async ({}, use) => {
      const world = await build();
      await use(world);
      await world.gateway.stop();
      await world.upstream.stop();
    },
    { scope: 'worker', timeout: 90_000 },
  ],
  visitor: async ({ browser }, use) => {
    const opened: { context: BrowserContext; faults: string[] }[] = [];
    await use(async (url, ...others) => {
      const context = await browser.newContext({ baseURL: url, locale: 'en-US', reducedMotion: 'reduce' });
      const faults: string[] = [];
      opened.push({ context, faults });
      const page = await context.newPage();
      watch(page, [url, ...others], faults);
      return page;
    });
    for (const { context, faults } of opened) {
      await context.close();
      expect(faults).toEqual([]);
    }
  },
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the fixtures' names from the pattern
  alone: async ({}, use) => {
    const started: Running[] = [];
    await use(async (...how) => {
      const gateway = await startGateway(...how);
      started.push(gateway);
      return gateway;
    });
    for (const gateway of started) await gateway.stop();
  },
  begun: async ({ visitor }, use) => {
    await use(async ({ url }) => {
      const api = new Api(url);
      await api.post('/api/v1/setup', { email: 'super_admin@example.com', password: PASSWORD });
      const page = await visitor(url);
      const [name = '', value = ''] = (await signIn(url, 'super_admin')).split('=');
      await page.context().addCookies([{ name, value, url }]);
      return { api, page };
    });
  },
  as: async ({ world, visitor }, use) => {
    await use(async (role, look = {}) => {
      const page = await visitor(world.gateway.url);
      const [name = '', value = ''] = world.session[role].split('=');
      await page.context().addCookies([{ name, value, url: world.gateway.url }]);
      const preference = { language: look.language ?? 'en', colours: look.colours ?? 'light' };
      await page.addInitScript((it) => localStorage.setItem('sluicegate.preference', JSON.stringify(it)), preference);
      return page;
    });
  },
});

/** Whatever a page must not do, anywhere: break, ask other hosts, or be stopped by its own policy. */
function watch(page: Page, urls: string[], faults: string[]) {
  page.on('pageerror', (error) => faults.push(`the page threw: ${error.message}`));
  page.on('console', (message) => {
    if (/Content Security Policy/i.test(message.text())) faults.push(message.text());
  });
  page.on('request', (request) => {
    const to = request.url();
    if (!urls.some((url) => to.startsWith(url)) && !to.startsWith('data:') && !to.startsWith('blob:'))
      faults.push(`asked elsewhere: ${to}`);
  });
}

/** Waits until a page is there, and nothing is being read any more. */
export async function settled(page: Page) {
  await expect(page.locator('main h1').first()).toBeVisible();
  await expect(page.locator('.ant-skeleton, .ant-spin-spinning, .spinner')).toHaveCount(0);
}

/** No fault that axe knows; how it looks is kept with the story. */
export async function faultless(page: Page, info: TestInfo, name: string) {
  // Colours change by and by, and are looked at once they have.
  await page.evaluate(async () => {
    const ends = document.getAnimations().filter((it) => it.effect?.getComputedTiming().endTime !== Number.POSITIVE_INFINITY);
    await Promise.allSettled(ends.map((it) => it.finished));
  });
  const found = await new AxeBuilder({ page }).analyze();
  await info.attach(name, { body: await page.screenshot({ fullPage: true }), contentType: 'image/png' });
  const faults = found.violations.map((it) => `${it.id}: ${it.nodes.map((node) => node.html).join(' ')}`);
  expect(faults, name).toEqual([]);
}

export { expect };
