// The page that the exporter serves at /: the panel over the page's own folder, wherever a proxy puts that, and links.
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import CssBaseline from '@mui/material/CssBaseline'
import GlobalStyles from '@mui/material/GlobalStyles'
import { createTheme, ThemeProvider } from '@mui/material/styles'
import GPUStats from './GPUStats.jsx'
import { language, texts } from './texts.js'

const theme = createTheme({
  palette: {
    mode: 'dark',
    primary: { main: '#00d4ff', light: '#33dcff', dark: '#0099cc' },
    secondary: { main: '#ff6b6b' },
    background: { default: '#00060d', paper: '#001220' },
    text: { primary: '#ffffff', secondary: '#cccccc' },
    divider: 'rgba(255, 255, 255, 0.12)',
  },
  shape: { borderRadius: 8 },
  typography: { fontFamily: 'Inter, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif' },
})

const look = `
body {
  min-height: 100vh;
  background:
    radial-gradient(60vw 50vh at 15% 0, rgba(0, 212, 255, 0.14), transparent),
    radial-gradient(60vw 60vh at 90% 100%, rgba(0, 255, 136, 0.08), transparent),
    linear-gradient(rgba(0, 212, 255, 0.03) 1px, transparent 1px) 0 0 / 50px 50px,
    linear-gradient(90deg, rgba(0, 212, 255, 0.03) 1px, transparent 1px) 0 0 / 50px 50px,
    #00060d;
}
#root { max-width: 1760px; margin: 0 auto; padding: clamp(10px, 2vw, 32px); }
.page-name { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; margin: 0; overflow: hidden; }
.page-foot {
  display: flex; flex-wrap: wrap; justify-content: center; gap: 8px 24px; padding: 14px 0 4px;
  font-size: 13px; color: rgba(255, 255, 255, 0.65);
}
.page-foot a { color: #7fe3ff; text-decoration: none; text-underline-offset: 3px; }
.page-foot a:hover { text-decoration: underline; }
.page-foot a:focus-visible { outline: 2px solid #fff; outline-offset: 3px; border-radius: 2px; }
`

const root = document.getElementById('root')
const query = new URLSearchParams(location.search)
// Without a wish in the address or a French browser the page is English; the panel itself is French by default.
const wish = query.get('locale') ?? navigator.language ?? ''
const locale = /^fr/i.test(wish) ? 'fr' : 'en'
const table = texts(locale)

/** What the exporter tells the page; undefined where it is empty or, under vite dev, its template was not filled in. */
function told(name) {
  const value = root.dataset[name]
  return value && !value.startsWith('{{') ? value : undefined
}

const links = [
  [told('metrics') ?? './metrics', table.metrics],
  ['./docs', table.documentation],
  [told('grafana'), table.grafana],
]

// In a frame nothing but the page itself may be shown: /docs forbids it.
const aside = window.parent === window ? {} : { target: '_blank', rel: 'noopener' }

document.documentElement.lang = language(locale)
createRoot(root).render(
  <StrictMode>
    <ThemeProvider theme={theme}>
      <CssBaseline />
      <GlobalStyles styles={look} />
      <main>
        <h1 className="page-name">gpu_exporter</h1>
        <GPUStats baseUrl={new URL('.', location.href).href} gpu={query.get('gpu') ?? undefined} locale={locale} />
      </main>
      <footer className="page-foot">
        {links.map(([href, text]) => href && <a key={text} href={href} {...aside}>{text}</a>)}
        <span>gpu_exporter {told('version')}</span>
      </footer>
    </ThemeProvider>
  </StrictMode>,
)
