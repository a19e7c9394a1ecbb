// The page that the exporter serves at /: page/ is committed and embedded, so that building the exporter needs no Node.
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

export default defineConfig({
  base: './', // it works below whatever path a proxy puts it
  plugins: [react()],
  build: {
    outDir: 'page',
    assetsDir: 'panel',
    assetsInlineLimit: 0, // font-src 'self'
    modulePreload: { polyfill: false },
    target: 'es2022',
    license: false,
  },
})
