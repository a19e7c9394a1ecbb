// The newest React and Material UI, a light theme as Material UI has it by default, and the package.
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import CssBaseline from '@mui/material/CssBaseline'
import { ThemeProvider, createTheme } from '@mui/material/styles'
import GPUStats from 'gpustats'

const query = new URLSearchParams(location.search)

createRoot(document.getElementById('root')).render(
  <StrictMode>
    <ThemeProvider theme={createTheme()}>
      <CssBaseline />
      <GPUStats baseUrl={query.get('baseUrl')} locale="en" />
    </ThemeProvider>
  </StrictMode>,
)
