import { defineConfig } from '@playwright/test';
import base from '../playwright.config.ts';

export default defineConfig({
  ...base,
  projects: undefined,
  testDir: '.',
  testMatch: 'shot.ts',
  outputDir: '../result/shot-run',
  workers: 1,
  fullyParallel: false,
  globalTimeout: 0,
  use: { ...base.use, trace: 'off' },
});
