// Packs `dist` into the folder that the gateway takes its console from: whatever compresses is there as NAME.br and NAME.gz alone.
// `index.html` stays as it is, since the gateway fills it in. Run after `npm run build`: node scripts/pack.mjs FOLDER

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const to = process.argv[2] ?? '../server/console';
// What compresses so little that it isn't worth unpacking stays as it is, too.
const WORTH = 0.9;

if (!existsSync('dist/index.html')) throw new Error('there is no `dist`: run `npm run build` first');

function files(folder, below = '') {
  return readdirSync(join(folder, below), { withFileTypes: true }).flatMap((it) => {
    const path = join(below, it.name);
    if (it.name.startsWith('.')) return [];
    return it.isDirectory() ? files(folder, path) : [path];
  });
}

mkdirSync(to, { recursive: true });
for (const name of readdirSync(to)) if (name !== '.gitignore') rmSync(join(to, name), { recursive: true });

let [sum, smallest] = [0, 0];
function put(path, bytes) {
  mkdirSync(dirname(join(to, path)), { recursive: true });
  writeFileSync(join(to, path), bytes);
}
for (const path of files('dist')) {
  const bytes = readFileSync(join('dist', path));
  const brotli = brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  });
  sum += bytes.length;
  if (path === 'index.html' || brotli.length > bytes.length * WORTH) {
    put(path, bytes);
    smallest += bytes.length;
  } else {
    put(`${path}.br`, brotli);
    put(`${path}.gz`, gzipSync(bytes, { level: 9 }));
    smallest += brotli.length;
  }
}
console.log(`packed ${Math.ceil(sum / 1024)} KB as ${Math.ceil(smallest / 1024)} KB into ${to}`);
