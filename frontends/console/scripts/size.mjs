// How much a browser loads, brotli-compressed, before the pages that matter stand. Run after `npm run build`.

import { readdirSync, readFileSync } from 'node:fs';
import { brotliCompressSync } from 'node:zlib';

const LIMITS = [
  { page: 'login', entries: ['src/page/login.tsx'], limit: 200 },
  {
    page: 'overview',
    entries: ['src/app/frame.tsx', 'src/page/overview.tsx', 'src/part/chart.tsx'],
    worker: 'picture_worker',
    limit: 450,
  },
];
// One language at a time, English being the larger.
const ALWAYS = ['index.html', 'src/main.tsx', 'src/word/en.json'];

const manifest = JSON.parse(readFileSync('dist/.vite/manifest.json', 'utf8'));

function files(key, seen) {
  const entry = manifest[key];
  if (!entry) throw new Error(`the build has no \`${key}\`; build it first, or mend this list`);
  if (seen.has(entry.file)) return;
  seen.add(entry.file);
  for (const sheet of entry.css ?? []) seen.add(sheet);
  for (const next of entry.imports ?? []) files(next, seen);
}

/** What a worker runs, which the manifest doesn't know. */
function workerFile(name) {
  const file = readdirSync('dist/assets').find((it) => it.startsWith(`${name}-`));
  if (!file) throw new Error(`the build has no worker \`${name}\`; build it first, or mend this list`);
  return `assets/${file}`;
}

let failed = false;
for (const { page, entries, worker, limit } of LIMITS) {
  const seen = new Set();
  for (const key of [...ALWAYS, ...entries]) files(key, seen);
  if (worker) seen.add(workerFile(worker));
  const bytes = [...seen].reduce(
    (sum, file) => sum + brotliCompressSync(readFileSync(`dist/${file}`)).length,
    0,
  );
  const size = Math.ceil(bytes / 1024);
  console.log(`${page}: ${size} KB of ${limit} KB, ${seen.size} files`);
  if (size > limit) failed = true;
}
process.exit(failed ? 1 : 0);
