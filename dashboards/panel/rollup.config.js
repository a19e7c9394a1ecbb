// GPUStats.jsx: the modules as one file with its JSX kept and the font in it, to copy into the src of an application.
import resolve from '@rollup/plugin-node-resolve'
import url from '@rollup/plugin-url'

export default {
  input: 'src/GPUStats.jsx',
  external: [/^react/, /^@mui\//, /^@emotion\/react/],
  jsx: { mode: 'preserve', importSource: 'react', factory: 'React.createElement', fragment: 'React.Fragment' },
  plugins: [url({ include: '**/*.woff2', limit: Infinity }), resolve()],
  output: { file: 'GPUStats.jsx', format: 'es' },
}
