// What people do in the console, in Debian's Chromium against the real gateway. `cargo xtask test console` prepares both.

import { defineConfig } from '@playwright/test';

export default defineConfig({
  testDir: 'spec',
  outputDir: 'result',
  fullyParallel: true,
  workers: 2,
  // On a busy machine a story is told once more, on a new gateway; that it had to be is in the summary.
  retries: process.env.CI ? 1 : 0,
  timeout: 60_000,
  // The gateway is a debug build, and the machine may be busy.
  expect: { timeout: 15_000 },
  // Of a quiet machine it takes a quarter of this.
  globalTimeout: 40 * 60_000,
  reporter: [['list']],
  // What is measured runs after all else, and alone.
  projects: [
    { name: 'use', testIgnore: /speed/ },
    { name: 'speed', testMatch: /speed/, dependencies: ['use'], fullyParallel: false },
  ],
  use: {
    locale: 'en-US',
    timezoneId: 'Europe/Berlin',
    viewport: { width: 1280, height: 800 },
    reducedMotion: 'reduce',
    // A recording costs a quarter of a story's time: where a story is told once more, that one is recorded.
    trace: process.env.CI ? 'on-first-retry' : 'retain-on-failure',
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      // Containers have neither a sandbox for root nor much shared memory.
      args: ['--no-sandbox', '--disable-dev-shm-usage'],
    },
  },
});
