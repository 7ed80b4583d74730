import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

// `npm run dev` asks a gateway that runs elsewhere; the built console is served by the gateway itself.
const gateway = process.env.SLUICEGATE_URL ?? 'http://127.0.0.1:4000';

/** The page names what its first script asks for, so that the browser reads all of it at once. */
function preloaded(...modules: string[]): Plugin {
  return {
    name: 'preloaded',
    transformIndexHtml: {
      order: 'post',
      handler(html, { bundle }) {
        const chunks = Object.values(bundle ?? {}).filter((it) => it.type === 'chunk');
        const files = new Set<string>();
        const add = (name: string) => {
          if (files.has(name)) return;
          files.add(name);
          for (const next of chunks.find((it) => it.fileName === name)?.imports ?? []) add(next);
        };
        for (const it of chunks) {
          if (modules.some((end) => it.facadeModuleId?.endsWith(end))) add(it.fileName);
        }
        return [...files]
          .filter((name) => !html.includes(`/${name}"`))
          .map((name) => ({
            tag: 'link',
            attrs: { rel: 'modulepreload', crossorigin: true, href: `/${name}` },
            injectTo: 'head' as const,
          }));
      },
    },
  };
}

export default defineConfig({
  plugins: [react(), preloaded('src/main.tsx')],
  worker: { format: 'es' },
  build: {
    target: 'es2022',
    // Small files would otherwise become data: addresses, which the content security policy keeps to pictures.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    manifest: true,
    chunkSizeWarningLimit: 1500,
  },
  server: {
    proxy: Object.fromEntries(
      ['/api', '/v1', '/health'].map((path) => [path, { target: gateway, changeOrigin: false }]),
    ),
  },
});
