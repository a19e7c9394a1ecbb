// An application around the component: the test says by window.show what it renders.
import React, { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import GPUStats from '../../src/GPUStats.jsx'

const root = createRoot(document.getElementById('root'))

/** Panels with these props, each in a box of that size as in a cell of the Situation Room; none: the empty page. */
window.show = (...panels) => {
  root.render(
    <StrictMode>
      {panels.map(({ width, height, ...props }, i) => (
        <div key={i} className="cell" style={{ width, height, overflow: 'hidden', padding: width && 15, boxSizing: 'border-box' }}>
          <GPUStats {...props} />
        </div>
      ))}
    </StrictMode>,
  )
}
