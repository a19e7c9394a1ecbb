import { defineConfig } from 'vite';

// One script that a page takes without a server.
export default defineConfig({
  define: { 'process.env.NODE_ENV': '"production"' },
  build: { lib: { entry: 'src/board.jsx', formats: ['iife'], name: 'board', fileName: () => 'board.js' } },
});
