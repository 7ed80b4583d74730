import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// `npm run dev` asks a gateway that runs elsewhere; the built console is served by the gateway itself.
const gateway = process.env.SLUICEGATE_URL ?? 'http://127.0.0.1:4000';

export default defineConfig({
  plugins: [react()],
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
