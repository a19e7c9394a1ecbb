// dist/GPUStats.js, the package's main: one module without JSX, font inlined, for bundlers that compile nothing below
// node_modules.
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: 'dist',
    target: 'es2020',
    minify: false, // the application's bundler does that
    lib: { entry: 'src/GPUStats.jsx', formats: ['es'], fileName: 'GPUStats' },
    rollupOptions: { external: [/^react/, /^@mui\//, /^@emotion\//] },
  },
})
