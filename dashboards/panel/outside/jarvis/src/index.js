// As ui/src/index.js and SituationRoom.jsx of JARVIS have it (panel.md 1 and 2): StrictMode, injectFirst, theme, the compact
// class in a panel of the Situation Room. GPUStats.jsx is copied here before the build.
import React from 'react';
import ReactDOM from 'react-dom/client';
import CssBaseline from '@mui/material/CssBaseline';
import { StyledEngineProvider, ThemeProvider, createTheme } from '@mui/material/styles';
import GPUStats from './GPUStats';
import './situation-room.css';

const theme = createTheme({
  palette: {
    mode: 'dark',
    primary: { main: '#00d4ff', light: '#33dcff', dark: '#0099cc' },
    secondary: { main: '#ff6b6b' },
    background: { default: '#0f0f0f', paper: '#1a1a1a' },
    text: { primary: '#ffffff', secondary: '#cccccc' },
    divider: 'rgba(255, 255, 255, 0.12)',
    success: { main: '#4caf50' },
    warning: { main: '#ff9800' },
    error: { main: '#f44336' },
    info: { main: '#2196f3' },
  },
  shape: { borderRadius: 8 },
  typography: {
    fontFamily: 'Inter, sans-serif',
    h5: { fontSize: '1.125rem', fontWeight: 500 },
    h6: { fontSize: '1rem', fontWeight: 500 },
    body1: { fontSize: '0.875rem' },
    body2: { fontSize: '0.75rem' },
    caption: { fontSize: '0.75rem' },
    button: { textTransform: 'none' },
  },
  components: {
    MuiCard: {
      styleOverrides: { root: { backgroundImage: 'none', border: '1px solid rgba(255, 255, 255, 0.08)', backdropFilter: 'blur(10px)' } },
    },
  },
});

ReactDOM.createRoot(document.getElementById('root')).render(
  <React.StrictMode>
    <StyledEngineProvider injectFirst>
      <ThemeProvider theme={theme}>
        <CssBaseline />
        <GPUStats />
        <div className="situation-grid">
          <div className="situation-panel">
            <GPUStats className="compact-gpu-stats" />
          </div>
        </div>
      </ThemeProvider>
    </StyledEngineProvider>
  </React.StrictMode>,
);
