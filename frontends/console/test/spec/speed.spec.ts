// How soon pages are there and answer, on a machine a quarter as fast; and a log of many calls that scrolls evenly.
// Whatever else a machine does only adds to a time by the clock: of three runs the middle one has to be there in time, and one to answer
// in time. What the processor did for the page is the page's own: by that the worst answer of all runs counts.

import { rmSync } from 'node:fs';
import type { Page } from '@playwright/test';
import { madeHistory, startGateway } from '../rig/process.ts';
import { expect, settled, test } from '../rig/test.ts';
import type { World } from '../rig/world.ts';

// A recording would be measured along with what it records.
test.use({ trace: 'off' });

/** A press or a key, when it came and how long it took until what it led to was painted. */
type Press = { name: string; from: number; length: number };
type Vitals = { lcp: number; cls: number; presses: Press[] };

const LCP_MS = 1_500;
const INP_MS = 200;
const CLS = 0.1;
const FRAME_MS = 50;
const RUNS = 3;
const LOADS = 3;
/** The machine that is meant is so many times slower. */
const SLOWER = 4;
const FRAMES = 200;
/** From the last work until it is seen, at most, in milliseconds. */
const FRAME = 16;
/** What {@link piece} takes on the machine that is meant, in milliseconds, before that one is slowed down: 1.3 times the least of 36 on a busy one. */
const PIECE_MS = 28;
const SLOWEST = 3;

const ms = (n: number) => `${Math.round(n)} ms`;

/** Numbers of web vitals, as the browser itself measures them. */
async function measured(page: Page) {
  await page.addInitScript(() => {
    const seen: { lcp: number; cls: number; presses: { name: string; from: number; length: number }[] } = { lcp: 0, cls: 0, presses: [] };
    Object.assign(window, { seen });
    const observe = (type: string, take: (entry: PerformanceEntry) => void, more = {}) =>
      new PerformanceObserver((list) => list.getEntries().forEach(take)).observe({ type, buffered: true, ...more });
    observe('largest-contentful-paint', (it) => {
      seen.lcp = it.startTime;
    });
    observe('layout-shift', (it) => {
      const shift = it as PerformanceEntry & { value: number; hadRecentInput: boolean };
      if (!shift.hadRecentInput) seen.cls += shift.value;
    });
    const hear = (it: PerformanceEntry) => {
      if ((it as PerformanceEventTiming & { interactionId?: number }).interactionId)
        seen.presses.push({ name: it.name, from: it.startTime, length: it.duration });
    };
    observe('event', hear, { durationThreshold: 16 });
  });
  const session = await page.context().newCDPSession(page);
  return {
    read: () => page.evaluate(() => (window as unknown as { seen: Vitals }).seen),
    slow: (rate: number) => session.send('Emulation.setCPUThrottlingRate', { rate }),
  };
}

/** So large a part of them is no larger than this. */
function percentile(all: number[], part: number): number {
  return all.toSorted((a, b) => a - b)[Math.ceil(all.length * part) - 1] ?? Number.NaN;
}

function middle(all: number[]): number {
  return all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)] ?? Number.NaN;
}

/** What somebody does first: looks, searches, changes the period and the colours, goes on. */
async function visit(page: Page): Promise<void> {
  await page.goto('/overview');
  await settled(page);
  // Whatever is painted after the first key was pressed doesn't count as the page's paint any more.
  await page.waitForFunction(() => (window as unknown as { seen: Vitals }).seen.lcp > 0);
  await page.keyboard.press('Control+k');
  const search = page.getByRole('dialog');
  await expect(search.locator('input')).toBeFocused();
  await page.keyboard.type('res');
  await page.keyboard.press('Escape');
  await expect(search).toBeHidden();
  await page.getByRole('button', { name: '30 days' }).click();
  await settled(page);
  await page.getByRole('button', { name: 'Light colours' }).click();
  await page.getByRole('link', { name: 'Keys', exact: true }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Keys' })).toBeVisible();
  await settled(page);
}

test('the overview is there soon, answers, and stays where it is', async ({ as }) => {
  test.setTimeout(150_000);
  const page = await as('super_admin');
  await page.goto('/overview');
  await settled(page);
  const { read, slow } = await measured(page);
  await slow(SLOWER);
  const runs: { lcp: number; cls: number; inp: number }[] = [];
  for (let run = 0; run < RUNS; run++) {
    await visit(page);
    const { lcp, cls, presses } = await read();
    runs.push({ lcp, cls, inp: Math.max(...presses.map((it) => it.length)) });
  }
  // A processor that is slowed down counts the time that it is held up as work: it is slowed down by reckoning instead.
  await slow(1);
  const work: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const { traced, result: presses, slower } = await reckoned(page, async () => {
      await visit(page);
      return (await read()).presses;
    });
    work.push(Math.max(...presses.map((it) => FRAME + (SLOWER / slower) * workIn(traced, it))));
  }
  for (const it of runs) console.log(`LCP ${ms(it.lcp)}, CLS ${it.cls.toFixed(3)}, INP ${ms(it.inp)} at a quarter of the speed`);
  console.log(`INP by the processor's time ${work.map(ms).join(', ')}`);
  const of = (name: 'lcp' | 'cls') => middle(runs.map((it) => it[name]));
  const inp = Math.min(...runs.map((it) => it.inp));
  expect(of('lcp')).toBeGreaterThan(0);
  expect(of('lcp')).toBeLessThanOrEqual(LCP_MS);
  expect(inp).toBeGreaterThan(0);
  expect(inp).toBeLessThanOrEqual(INP_MS);
  expect(Math.max(...work)).toBeLessThanOrEqual(INP_MS);
  expect(of('cls')).toBeLessThanOrEqual(CLS);
});

/** Every page, by its address. */
function pagesOf({ own, ...world }: World): string[] {
  return ['/overview', '/usage', '/requests', `/requests/${own.call}`, '/playground', '/keys', `/keys/${own.key}`, '/groups', `/groups/${own.group}`, '/users', `/users/${own.user}`, '/organizations', '/organizations/acme', '/channels', `/channels/${world.channel}`, '/models', '/policies', `/policies/${world.policy}`, '/audit', '/system', '/account'];
}

test('every page is there soon', async ({ as, world }) => {
  test.setTimeout(600_000);
  const page = await as('super_admin');
  const { read } = await measured(page);
  const late: string[] = [];
  for (const path of pagesOf(world)) {
    const seen: { lcp: number; clock: number; work: number }[] = [];
    const before = await apart(page);
    for (let load = 0; load < LOADS; load++) {
      let lcp = Number.NaN;
      const traced = await tracing(page, async () => {
        await page.goto(path);
        await settled(page);
        await page.waitForFunction(() => (window as unknown as { seen: Vitals }).seen.lcp > 0);
        // What is painted in the place of what was there a moment before is larger, perhaps.
        await page.waitForTimeout(200);
        lcp = (await read()).lcp;
      });
      seen.push({ lcp, ...spent(traced, { from: 0, length: lcp }) });
    }
    const slower = slowerBy(before, await apart(page));
    // What was waited for takes as long on a slower machine; what was worked, so many times longer.
    const loads = seen.map(({ lcp, clock, work }) => lcp - clock + (SLOWER / slower) * work);
    console.log(`LCP ${loads.map(ms).join(', ')} of ${path}, by the processor's time`);
    const p95 = percentile(loads, 0.95);
    if (!(p95 <= LCP_MS)) late.push(`${path}: ${ms(p95)}`);
  }
  expect(late).toEqual([]);
});

test('no page moves under whoever reads it, in a window or on a phone', async ({ as, world }) => {
  test.setTimeout(300_000);
  const moved: string[] = [];
  for (const [width, height] of [
    [1280, 800],
    [390, 844],
  ] as const) {
    const page = await as('super_admin');
    await page.setViewportSize({ width, height });
    const { read, slow } = await measured(page);
    await slow(SLOWER);
    for (const path of pagesOf(world)) {
      await page.goto(path);
      await settled(page);
      // What comes later than all that is waited for moves the page as well.
      await page.waitForTimeout(500);
      const { cls } = await read();
      console.log(`CLS ${cls.toFixed(3)} of ${path}, ${width} wide`);
      if (cls > CLS) moved.push(`${path}, ${width} wide: ${cls.toFixed(3)}`);
    }
    await page.close();
  }
  expect(moved).toEqual([]);
});

const CALLS = 100_000;

test('a log of a hundred thousand calls scrolls evenly with few rows in the page', async ({ begun }) => {
  test.setTimeout(240_000);
  const folder = madeHistory(CALLS);
  const gateway = await startGateway(undefined, { folder });
  try {
    const { api, page } = await begun(gateway);
    // All of them are there.
    let [count, cursor] = [0, ''];
    do {
      const { items, next } = await api.get(`/api/v1/records?limit=1000${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
      count += items.length;
      cursor = next ?? '';
    } while (cursor);
    expect(count).toBe(CALLS);
    await page.goto('/requests');
    const table = page.getByRole('table', { name: 'Requests' });
    await expect(table.getByRole('row').nth(5)).toBeVisible();
    await settled(page);
    const wall: Awaited<ReturnType<typeof scrolled>>[] = [];
    const { traced, slower } = await reckoned(page, async () => {
      for (let pass = 0; pass < RUNS; pass++) wall.push(await table.evaluate(scrolled, FRAMES));
    });
    const frames = worked(traced.events).map((it) => it / slower);
    // What the page does too slowly, it does in each pass; that the engine had to tidy up by itself while the machine was busy, in one.
    const passes = wall.map((_, pass) => Math.max(...frames.slice(pass * FRAMES, (pass + 1) * FRAMES)));
    const slowest = middle(passes);
    const most = Math.max(...wall.map((it) => it.most));
    console.log(
      `${frames.length} frames, ${ms(middle(frames))} of work, at most ${passes.map(ms).join(', ')} (by the clock ${wall.map((it) => ms(it.slowest)).join(', ')}); ${most} rows`,
    );
    expect(frames.length).toBeGreaterThan(RUNS * FRAMES * 0.9);
    expect(slowest).toBeLessThanOrEqual(FRAME_MS);
    expect(most).toBeLessThanOrEqual(200);
    expect(wall.at(-1)?.at).toBeGreaterThan(60_000);
  } finally {
    await gateway.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

type Traced = { name: string; pid: number; tid: number; ts: number; dur?: number; tdur?: number };
type Trace = { events: Traced[]; /** The page's time 0, in milliseconds of the trace. */ zero: number };

/** What the browser did while something went on. */
async function tracing(page: Page, run: () => Promise<void>): Promise<Trace> {
  const browser = page.context().browser();
  if (!browser) throw new Error('the page has no browser');
  const categories = ['disabled-by-default-devtools.timeline', 'devtools.timeline', 'blink.user_timing'];
  await browser.startTracing(page, { categories });
  await run();
  const at = await page.evaluate(() => performance.mark('measured').startTime);
  const events: Traced[] = JSON.parse((await browser.stopTracing()).toString()).traceEvents;
  const mark = events.find((it) => it.name === 'measured');
  return { events, zero: (mark?.ts ?? Number.NaN) / 1_000 - at };
}

/**
 * What the browser did while something went on, and how many times slower than the machine that is meant this one was just then: one
 * that many share is at times half as fast by its processor's own time, too. One that is faster counts as the one that is meant; one
 * that is slower than {@link SLOWEST} times says nothing of the page, and what is late there is late. It is measured in a window of its own, so
 * that no page makes its own limit wider.
 */
async function reckoned<T>(page: Page, run: () => Promise<T>): Promise<{ traced: Trace; result: T; slower: number }> {
  const before = await apart(page);
  let done: { result: T } | undefined;
  const traced = await tracing(page, async () => {
    done = { result: await run() };
  });
  if (!done) throw new Error('nothing was run');
  const slower = slowerBy(before, await apart(page));
  return { traced, result: done.result, slower };
}

/** How many times slower this machine was between two pieces of work. */
function slowerBy(before: number, after: number): number {
  const took = (before + after) / 2;
  const slower = Math.min(SLOWEST, Math.max(1, took / PIECE_MS));
  if (slower > 1) console.log(`a piece of work in ${ms(took)}: a machine ${slower.toFixed(2)} times slower`);
  return slower;
}

/** How long a piece of work takes in a window of its own, which goes with it: a page draws no frames while another one of its window is before it. */
async function apart(page: Page): Promise<number> {
  const context = await page.context().browser()?.newContext();
  if (!context) throw new Error('the page has no browser');
  try {
    return await (await context.newPage()).evaluate(piece);
  } finally {
    await context.close();
    await page.bringToFront();
  }
}

/**
 * How long a piece of work takes, the quickest of nine, that is such as pages are made of: texts are made and read, and rows are
 * laid out out of sight.
 */
async function piece(): Promise<number> {
  const all: number[] = [];
  for (let time = 0; time < 9; time++) {
    const from = performance.now();
    const calls = Array.from({ length: 4_000 }, (_, n) => ({ call: `call-${n}`, spent: (n * 7_919) % 1_000, at: { day: n % 31 } }));
    const read: typeof calls = JSON.parse(JSON.stringify(calls));
    const sum = read.reduce((all, it) => all.set(it.at.day, (all.get(it.at.day) ?? 0) + it.spent), new Map<number, number>());
    const table = document.createElement('table');
    table.style.cssText = 'position: fixed; left: -9999px; visibility: hidden';
    for (const it of read.slice(0, 600)) {
      const row = table.insertRow();
      for (const text of [it.call, `${it.spent}`, `${sum.get(it.at.day)}`]) row.insertCell().append(text);
    }
    document.body.append(table);
    if (table.getBoundingClientRect().height > 0) all.push(performance.now() - from);
    table.remove();
    await new Promise((next) => setTimeout(next));
  }
  // What else the machine does only adds to it.
  return Math.min(...all);
}

/** The tasks of the page's own thread. */
function tasksOf(events: Traced[], thread: Traced | undefined): Traced[] {
  return events.filter(
    (it) => it.name === 'RunTask' && it.pid === thread?.pid && it.tid === thread.tid && it.tdur !== undefined,
  );
}

/** The processor's time for the page while a press waited to be answered, with its part of what was under way when it came. */
function workIn(traced: Trace, press: Press): number {
  return spent(traced, press).work;
}

/** How long the page's thread was at work in a time, by the clock and by the processor's. */
function spent({ events, zero }: Trace, time: { from: number; length: number }): { clock: number; work: number } {
  const thread = events.find((it) => it.name === 'measured');
  const [from, to] = [zero + time.from, zero + time.from + time.length];
  const sum = { clock: 0, work: 0 };
  for (const it of tasksOf(events, thread)) {
    const [begin, length] = [it.ts / 1_000, (it.dur ?? 0) / 1_000];
    const within = Math.min(to, begin + length) - Math.max(from, begin);
    if (within <= 0 || length <= 0) continue;
    sum.clock += within;
    sum.work += ((it.tdur ?? 0) / 1_000) * (within / length);
  }
  return sum;
}

/**
 * What the page's thread did for each frame: the processor's time of all its tasks between one frame's start and the next. What
 * the machine does besides makes a frame late by the clock, and doesn't count here.
 */
function worked(events: Traced[]): number[] {
  const fired = events.filter((it) => it.name === 'FireAnimationFrame').sort((a, b) => a.ts - b.ts);
  const tasks = tasksOf(events, fired[0]);
  const frames = fired.slice(1).map((it, index) => ({ from: fired[index]?.ts ?? 0, to: it.ts, work: 0 }));
  for (const task of tasks) {
    const frame = frames.find((it) => it.from <= task.ts && task.ts < it.to);
    if (frame) frame.work += (task.tdur ?? 0) / 1_000;
  }
  return frames.map((it) => it.work);
}

/** Moves the log by nine rows a frame, and says how long the slowest frame took. */
async function scrolled(scroller: Element, frames: number) {
  let [before, most, slowest, count] = [performance.now(), 0, 0, 0];
  for (; count < frames; count++) {
    scroller.scrollTop += 400;
    const now = await new Promise<number>((done) => requestAnimationFrame(done));
    slowest = Math.max(slowest, now - before);
    before = now;
    most = Math.max(most, scroller.querySelectorAll('[role=row]').length);
  }
  return { count, most, slowest, at: scroller.scrollTop };
}
