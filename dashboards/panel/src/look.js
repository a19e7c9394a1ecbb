/*! Orbitron: Copyright 2018 The Orbitron Project Authors (https://github.com/theleagueof/orbitron), SIL Open Font License 1.1 */
import orbitron from '@fontsource-variable/orbitron/files/orbitron-latin-wght-normal.woff2'

/** Colours of the holographic design. */
export const colors = { cyan: '#00d4ff', green: '#00ff88', orange: '#ff9500', red: '#ff3b30', grey: '#93a7b3' }

/**
 * The look of the panel: one string, put into the page once. Parts that change each second get no style object of their
 * own but a custom property (--gpu-stats-color) or a transform as inline style, which costs next to nothing.
 *
 * Every class and keyframe has a prefix of its own, for the application around has keyframes named pulse and scan. Every
 * selector has two classes, so that it wins over those of MUI and of the theme.
 *
 * Only transform and opacity are animated, on small layers: anything else is drawn anew in every frame, by the very GPU
 * that the panel watches. The steps make 30 or 12 pictures a second of what moves, 60 would show nothing more. Nothing
 * moves while the page is hidden, while the values are old, or for those who want less motion.
 */
export const look = `
@font-face {
  font-family: 'gpu-stats-orbitron';
  font-style: normal;
  font-weight: 400 900;
  font-display: swap;
  src: url(${orbitron}) format('woff2');
}

/* The card */
.gpu-stats-root.gpu-stats-root {
  --gpu-stats-color: #00d4ff;
  --gpu-stats-font: 'gpu-stats-orbitron', Orbitron, ui-monospace, monospace;
  container: gpu-stats / inline-size;
  position: relative;
  isolation: isolate;
  overflow: visible;
  margin: 0 0 16px;
  color: #fff;
  color-scheme: dark;
  text-align: left;
  font: 400 14px/1.45 Inter, system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif;
  letter-spacing: normal;
  background: linear-gradient(135deg, rgba(0, 212, 255, 0.1), rgba(0, 212, 255, 0.05) 50%, rgba(0, 255, 136, 0.05)), #010c16;
  border: 1px solid rgba(0, 212, 255, 0.3);
  border-radius: 10px;
  box-shadow: 0 0 30px rgba(0, 212, 255, 0.16);
  backdrop-filter: none;
}
.gpu-stats-root, .gpu-stats-root *, .gpu-stats-root *::before, .gpu-stats-root *::after { box-sizing: border-box; }
/* MUI's own, of box-shadow, margin and height */
.gpu-stats-root.gpu-stats-root, .gpu-stats-root .MuiPaper-root, .gpu-stats-root .MuiAccordionSummary-root, .gpu-stats-root .MuiChip-root { transition: none; }
.gpu-stats-root .gpu-stats-content.gpu-stats-content { position: relative; padding: 0; }
.gpu-stats-root .gpu-stats-body { display: flex; flex-direction: column; gap: 20px; padding: 24px; }
.gpu-stats-root .gpu-stats-hidden-text {
  position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap;
}
.gpu-stats-root :focus-visible { outline: 2px solid #fff; outline-offset: 2px; }
.gpu-stats-root .gpu-stats-emoji { margin-right: 0.5em; font-family: 'Noto Color Emoji', 'Apple Color Emoji', 'Segoe UI Emoji', sans-serif; }

/* What changes each second has small layers of its own: the large ones around are not drawn anew with it. */
.gpu-stats-root :is(.gpu-stats-fill, .gpu-stats-tip, .gpu-stats-label b, .gpu-stats-tile dd, .gpu-stats-legend li, .gpu-stats-chart canvas, .gpu-stats-used, .gpu-stats-minis) { will-change: transform; }

/* The corners: below the content, so that no layer of the whole panel's size has to be drawn over it each time. */
.gpu-stats-root.gpu-stats-root::before {
  content: ''; position: absolute; inset: -1px; z-index: -1; pointer-events: none;
  --corner: rgba(0, 212, 255, 0.8);
  background:
    linear-gradient(var(--corner) 0 0) 9px 8px / 18px 1px, linear-gradient(var(--corner) 0 0) 8px 9px / 1px 18px,
    linear-gradient(var(--corner) 0 0) right 9px top 8px / 18px 1px, linear-gradient(var(--corner) 0 0) right 8px top 9px / 1px 18px,
    linear-gradient(var(--corner) 0 0) left 9px bottom 8px / 18px 1px, linear-gradient(var(--corner) 0 0) left 8px bottom 9px / 1px 18px,
    linear-gradient(var(--corner) 0 0) right 9px bottom 8px / 18px 1px, linear-gradient(var(--corner) 0 0) right 8px bottom 9px / 1px 18px;
  background-repeat: no-repeat;
}

/* What moves around and above it: glow, scan band, particles */
.gpu-stats-root .gpu-stats-glow, .gpu-stats-root .gpu-stats-field {
  position: absolute; inset: -1px; border-radius: 10px; pointer-events: none;
}
.gpu-stats-root .gpu-stats-glow {
  z-index: -1; opacity: 0.15;
  box-shadow: 0 0 42px rgba(0, 212, 255, 0.5), 0 0 80px rgba(0, 212, 255, 0.2);
  animation: gpu-stats-pulse 4s steps(24) infinite alternate;
}
.gpu-stats-root .gpu-stats-field { container-type: size; overflow: hidden; }
.gpu-stats-root .gpu-stats-scan {
  position: absolute; top: 0; left: 0; right: 0; height: 110px; transform: translateY(-110px);
  background: linear-gradient(transparent, rgba(0, 212, 255, 0.06) 85%, rgba(0, 212, 255, 0.22) 99%, transparent);
  animation: gpu-stats-scan 6s steps(180) infinite;
}
.gpu-stats-root .gpu-stats-particle {
  position: absolute; top: 0; width: 2px; height: 2px; border-radius: 50%; opacity: 0; background: #7fe9ff;
  box-shadow: 0 0 6px 1px rgba(0, 212, 255, 0.8);
  animation: gpu-stats-rise 12s steps(360) infinite;
}

/* Head: title, connection */
.gpu-stats-root .gpu-stats-head { display: flex; align-items: center; justify-content: space-between; gap: 12px; flex-wrap: wrap; }
.gpu-stats-root .gpu-stats-title.gpu-stats-title {
  position: relative; display: flex; align-items: center; gap: 8px; margin: 0; color: #00d4ff;
  font: 700 18px/1.3 var(--gpu-stats-font); letter-spacing: 0.06em;
}
.gpu-stats-root .gpu-stats-title .MuiSvgIcon-root { font-size: 28px; color: #00d4ff; }
.gpu-stats-root .gpu-stats-word { position: relative; text-shadow: 0 0 10px rgba(0, 212, 255, 0.55); }
.gpu-stats-root .gpu-stats-word .gpu-stats-emoji { text-shadow: none; }
.gpu-stats-root .gpu-stats-halo {
  position: absolute; inset: 0; color: transparent; text-shadow: 0 0 10px #00d4ff, 0 0 20px #00d4ff, 0 0 40px rgba(0, 212, 255, 0.7);
  opacity: 0.2; animation: gpu-stats-pulse 2s steps(24) infinite alternate;
}
.gpu-stats-root .gpu-stats-chip.gpu-stats-chip {
  height: auto; min-height: 26px; max-width: 100%; border: 1px solid var(--gpu-stats-color); border-radius: 13px; color: var(--gpu-stats-color);
  background: color-mix(in srgb, var(--gpu-stats-color) 20%, transparent);
}
.gpu-stats-root .gpu-stats-chip .MuiChip-icon { color: inherit; margin-left: 8px; font-size: 16px; }
/* The text's own span: an old rule of the Situation Room makes the chip's text 10 pixels. */
.gpu-stats-root .gpu-stats-chip-text { font: 600 12px/1.4 var(--gpu-stats-font); letter-spacing: 0.04em; }
.gpu-stats-root .gpu-stats-chip .MuiChip-label { white-space: normal; }
.gpu-stats-root .gpu-stats-chips { display: flex; flex-wrap: wrap; gap: 8px; }
.gpu-stats-root .gpu-stats-spinner { color: inherit; animation-timing-function: steps(30); }

/* Messages */
.gpu-stats-root .gpu-stats-simulated {
  display: flex; align-items: center; gap: 14px; padding: 9px 16px; border: 1px dashed #ff9500; border-radius: 8px; color: #ffc56b;
  background: repeating-linear-gradient(135deg, rgba(255, 149, 0, 0.16) 0 10px, rgba(255, 149, 0, 0.06) 10px 20px);
}
.gpu-stats-root .gpu-stats-simulated strong { font: 800 14px/1.3 var(--gpu-stats-font); letter-spacing: 0.18em; color: #ff9500; }
.gpu-stats-root .gpu-stats-alert.gpu-stats-alert {
  align-items: center; padding: 4px 14px; border: 1px solid color-mix(in srgb, var(--gpu-stats-color) 35%, transparent); border-radius: 8px;
  color: #fff; font: inherit; box-shadow: none;
  background: linear-gradient(color-mix(in srgb, var(--gpu-stats-color) 10%, transparent) 0 0), #030f19;
}
.gpu-stats-root .gpu-stats-alert .MuiAlert-icon { color: var(--gpu-stats-color); opacity: 1; }
.gpu-stats-root .gpu-stats-alert .MuiAlert-icon.MuiAlert-icon { margin-right: 10px; padding: 0; font-size: 17px; }
.gpu-stats-root .gpu-stats-alert .gpu-stats-emoji { margin: 0; }
.gpu-stats-root .gpu-stats-alert .MuiAlert-message { min-width: 0; overflow-wrap: anywhere; }
.gpu-stats-root .gpu-stats-alert small { display: block; font-size: 12px; color: rgba(255, 255, 255, 0.78); }
.gpu-stats-root .gpu-stats-alerts { display: flex; flex-direction: column; gap: 8px; margin: 0; padding: 0; list-style: none; }
.gpu-stats-root .gpu-stats-waiting { display: flex; flex-direction: column; align-items: center; gap: 18px; padding: 32px 0; color: #00d4ff; text-align: center; }
.gpu-stats-root .gpu-stats-empty { max-width: 60ch; margin: 0 auto; padding: 24px 0; text-align: center; }
.gpu-stats-root .gpu-stats-empty p { margin: 8px 0; color: rgba(255, 255, 255, 0.8); }
.gpu-stats-root .gpu-stats-empty strong { font: 600 16px/1.4 var(--gpu-stats-font); color: #00d4ff; }
.gpu-stats-root code { padding: 2px 7px; border-radius: 4px; background: rgba(0, 212, 255, 0.14); color: #8cecff; font-family: ui-monospace, monospace; font-size: 13px; }

/* All GPUs: the switch */
.gpu-stats-root .gpu-stats-overview {
  display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(min(232px, 100%), 1fr));
  max-height: 330px; margin: 0; padding: 2px; overflow-y: auto; list-style: none; scrollbar-width: thin; scrollbar-color: rgba(0, 212, 255, 0.4) transparent;
}
.gpu-stats-root .gpu-stats-overview li { display: flex; min-width: 0; }
.gpu-stats-root .gpu-stats-card {
  flex: 1; min-width: 0; display: flex; flex-direction: column; gap: 10px; padding: 12px 14px; color: inherit; font: inherit; text-align: left; cursor: pointer;
  background: rgba(0, 212, 255, 0.04); border: 1px solid rgba(0, 212, 255, 0.18); border-radius: 8px;
}
.gpu-stats-root .gpu-stats-card:hover { background: rgba(0, 212, 255, 0.1); border-color: rgba(0, 212, 255, 0.5); }
.gpu-stats-root .gpu-stats-card[aria-pressed='true'] {
  background: linear-gradient(135deg, rgba(0, 212, 255, 0.2), rgba(0, 212, 255, 0.07)); border-color: #00d4ff; box-shadow: 0 0 14px rgba(0, 212, 255, 0.28);
}
.gpu-stats-root .gpu-stats-card-name { display: flex; align-items: baseline; gap: 8px; }
.gpu-stats-root .gpu-stats-card-name b { flex: 1; overflow: hidden; white-space: nowrap; text-overflow: ellipsis; font-weight: 500; }
.gpu-stats-root .gpu-stats-card-state { display: flex; justify-content: space-between; align-items: center; gap: 8px; font-size: 12px; color: rgba(255, 255, 255, 0.65); }
.gpu-stats-root .gpu-stats-card-label { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.gpu-stats-root .gpu-stats-index { font: 700 13px/1 var(--gpu-stats-font); color: #00d4ff; }
.gpu-stats-root .gpu-stats-sim { padding: 1px 5px; border: 1px dashed #ff9500; border-radius: 4px; font: 600 11px/1.2 var(--gpu-stats-font); color: #ff9500; }
.gpu-stats-root .gpu-stats-state { display: inline-flex; align-items: center; gap: 6px; font-size: 12px; white-space: nowrap; color: var(--gpu-stats-color); }
.gpu-stats-root .gpu-stats-state::before { content: ''; width: 7px; height: 7px; border-radius: 50%; background: currentColor; box-shadow: 0 0 6px currentColor; }
/* Not by colour alone: the compact form has no room for the word. */
.gpu-stats-root .gpu-stats-state-partial::before { background: linear-gradient(90deg, currentColor 50%, transparent 0); border: 1px solid; }
.gpu-stats-root .gpu-stats-state-asleep::before { background: none; border: 2px solid; }
.gpu-stats-root :is(.gpu-stats-state-hung, .gpu-stats-state-gone)::before { border-radius: 0; }
.gpu-stats-root .gpu-stats-minis { display: grid; grid-template-columns: repeat(3, 1fr); gap: 12px; }
.gpu-stats-root .gpu-stats-mini { display: flex; flex-direction: column; gap: 1px; font: 600 14px/1.3 var(--gpu-stats-font); color: var(--gpu-stats-color); }
.gpu-stats-root .gpu-stats-mini small { font: 400 11px/1.3 Inter, system-ui, sans-serif; color: rgba(255, 255, 255, 0.7); }
.gpu-stats-root .gpu-stats-mini i { display: block; height: 3px; margin-top: 4px; border-radius: 2px; overflow: hidden; background: rgba(0, 212, 255, 0.14); }
.gpu-stats-root .gpu-stats-mini i::before { content: ''; display: block; height: 100%; background: var(--gpu-stats-color); transform: scaleX(var(--gpu-stats-share)); transform-origin: left; }

/* The two papers */
.gpu-stats-root .gpu-stats-grid { display: grid; grid-template-columns: minmax(0, 1fr); gap: 24px; }
.gpu-stats-root .gpu-stats-paper.gpu-stats-paper {
  position: relative; display: flex; flex-direction: column; gap: 16px; min-width: 0; padding: 20px; color: inherit; box-shadow: none;
  background: linear-gradient(135deg, rgba(0, 212, 255, 0.07), rgba(0, 212, 255, 0.03) 50%, rgba(0, 255, 136, 0.03));
  border: 1px solid rgba(0, 212, 255, 0.22); border-radius: 10px;
}
.gpu-stats-root .gpu-stats-heading.gpu-stats-heading { margin: 0; font: 600 15px/1.35 var(--gpu-stats-font); letter-spacing: 0.05em; color: #00d4ff; }
.gpu-stats-root .gpu-stats-subheading.gpu-stats-subheading { margin: 0; font: 600 13px/1.35 Inter, system-ui, sans-serif; letter-spacing: 0.02em; color: #00ff88; }
.gpu-stats-root .gpu-stats-subheading.gpu-stats-orbitron { font-family: var(--gpu-stats-font); letter-spacing: 0.05em; }
.gpu-stats-root .gpu-stats-name { display: flex; flex-direction: column; gap: 2px; overflow-wrap: anywhere; font-size: 15px; color: rgba(255, 255, 255, 0.88); }
.gpu-stats-root .gpu-stats-name small { font-size: 12px; color: #00d4ff; }

.gpu-stats-root .gpu-stats-bars { display: flex; flex-direction: column; gap: 18px; margin-bottom: 6px; }
.gpu-stats-root .gpu-stats-label { display: flex; justify-content: space-between; align-items: baseline; gap: 12px; margin-bottom: 6px; font: 500 14px/1.3 var(--gpu-stats-font); color: var(--gpu-stats-color); }
/* As wide as 100.0%: else a label breaks, and all below jumps, when its value gets wider. */
.gpu-stats-root .gpu-stats-label b { min-width: 4.1em; text-align: right; font-weight: 600; font-size: 16px; white-space: nowrap; }
.gpu-stats-root .gpu-stats-track {
  position: relative; height: 12px; border-radius: 6px; overflow: hidden; border: 1px solid rgba(0, 212, 255, 0.3);
  background: linear-gradient(90deg, rgba(0, 212, 255, 0.1), rgba(0, 212, 255, 0.05));
}
.gpu-stats-root .gpu-stats-fill, .gpu-stats-root .gpu-stats-tip, .gpu-stats-root .gpu-stats-light { position: absolute; inset: 0; }
.gpu-stats-root .gpu-stats-fill { transform-origin: left; transition: transform 0.5s ease-in-out; }
.gpu-stats-root .gpu-stats-fill::before {
  content: ''; position: absolute; inset: 0; opacity: 1;
  background: linear-gradient(90deg, color-mix(in srgb, var(--gpu-stats-color) 45%, transparent), var(--gpu-stats-color));
  animation: gpu-stats-fill 2s steps(12) infinite alternate;
}
.gpu-stats-root .gpu-stats-tip { transition: transform 0.5s ease-in-out; }
.gpu-stats-root .gpu-stats-tip::before {
  content: ''; position: absolute; left: -3px; top: 0; bottom: 0; width: 3px; background: #fff;
  box-shadow: 0 0 10px 2px var(--gpu-stats-color); opacity: 0.9;
}
.gpu-stats-root .gpu-stats-light { animation: gpu-stats-light 3s steps(90) infinite; }
.gpu-stats-root .gpu-stats-light::before {
  content: ''; position: absolute; left: -20px; top: 0; bottom: 0; width: 20px; opacity: 0.8;
  background: linear-gradient(90deg, transparent, var(--gpu-stats-color), transparent);
}

/* Two in a row, or one where two clocks of five digits have no room. */
.gpu-stats-root .gpu-stats-tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, max(7.9em, 50% - 12px)), 1fr)); gap: 12px; margin: auto 0 0; font-size: 17px; }
.gpu-stats-root .gpu-stats-tile { display: flex; flex-direction: column-reverse; padding: 8px; border-radius: 8px; text-align: center; background: rgba(0, 212, 255, 0.045); border: 1px solid rgba(0, 212, 255, 0.12); }
.gpu-stats-root .gpu-stats-tile dd { margin: 0; font: 600 1em/1.35 var(--gpu-stats-font); color: var(--gpu-stats-color); white-space: nowrap; }
.gpu-stats-root .gpu-stats-tile dt { font-size: 12px; color: rgba(255, 255, 255, 0.72); }

.gpu-stats-root .gpu-stats-legend { display: flex; flex-wrap: wrap; gap: 4px 22px; margin: 0; padding: 0; list-style: none; }
.gpu-stats-root .gpu-stats-legend li { display: flex; align-items: center; gap: 8px; font: 500 13px/1.4 var(--gpu-stats-font); color: var(--gpu-stats-color); white-space: nowrap; }
/* Each as wide as with 100.0: else they break anew, and all below jumps, when a value gets wider. */
.gpu-stats-root .gpu-stats-legend li { min-width: 10.1em; }
.gpu-stats-root .gpu-stats-legend li:first-child { min-width: 9em; }
.gpu-stats-root .gpu-stats-legend li::before { content: ''; width: 16px; height: 2px; border-radius: 1px; background: var(--gpu-stats-curve); box-shadow: 0 0 6px var(--gpu-stats-curve); }
.gpu-stats-root .gpu-stats-chart { position: relative; flex: 1 1 200px; min-height: 200px; overflow: hidden; border: 1px solid rgba(0, 212, 255, 0.3); border-radius: 8px; background: rgba(0, 18, 32, 0.5); }
.gpu-stats-root .gpu-stats-chart canvas { position: absolute; inset: 0; display: block; width: 100%; height: 100%; }
.gpu-stats-root .gpu-stats-memory { display: flex; flex-direction: column; gap: 8px; }
.gpu-stats-root .gpu-stats-pair { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 2px 16px; font-size: 13px; color: rgba(255, 255, 255, 0.85); }
.gpu-stats-root .gpu-stats-linear { height: 8px; overflow: hidden; border-radius: 4px; background: rgba(0, 255, 136, 0.1); box-shadow: 0 0 10px rgba(0, 255, 136, 0.22); }
.gpu-stats-root .gpu-stats-linear::before { content: ''; display: block; height: 100%; border-radius: 4px; background: var(--gpu-stats-color); transform: translateX(calc(100% * var(--gpu-stats-share) - 100%)); transition: transform 0.5s ease-in-out; }

/* The fold-out */
.gpu-stats-root .gpu-stats-fold.gpu-stats-fold { margin: 0; overflow: hidden; color: inherit; box-shadow: none; background: rgba(0, 212, 255, 0.04); border: 1px solid rgba(0, 212, 255, 0.22); border-radius: 10px; }
.gpu-stats-root .gpu-stats-fold.gpu-stats-fold::before { display: none; }
.gpu-stats-root .gpu-stats-fold .MuiAccordionSummary-root.MuiAccordionSummary-root { min-height: 52px; padding: 0 20px; color: inherit; background: none; }
.gpu-stats-root .gpu-stats-fold .MuiAccordionSummary-root:focus-visible { outline-offset: -3px; border-radius: 10px; }
.gpu-stats-root .gpu-stats-fold .MuiAccordionSummary-content.MuiAccordionSummary-content { margin: 12px 0; }
.gpu-stats-root .gpu-stats-fold .MuiAccordionSummary-expandIconWrapper { color: #00d4ff; }
.gpu-stats-root .gpu-stats-fold .MuiCollapse-root { transition: none; }
.gpu-stats-root .gpu-stats-details.gpu-stats-details { padding: 8px 20px 20px; }
.gpu-stats-root .gpu-stats-columns, .gpu-stats-root .gpu-stats-first { animation: gpu-stats-appear 0.25s; }
.gpu-stats-root .gpu-stats-first { display: grid; gap: 24px 28px; grid-template-columns: repeat(auto-fit, minmax(min(280px, 100%), 1fr)); }
.gpu-stats-root .gpu-stats-columns { columns: 3 280px; column-gap: 28px; margin-top: 24px; }
.gpu-stats-root .gpu-stats-columns > section { break-inside: avoid; padding-bottom: 24px; }
.gpu-stats-root .gpu-stats-columns > :last-child { padding-bottom: 0; }
.gpu-stats-root .gpu-stats-section { display: flex; flex-direction: column; gap: 10px; min-width: 0; }
.gpu-stats-root .gpu-stats-section p { margin: 0; font-size: 13px; color: rgba(255, 255, 255, 0.85); }
.gpu-stats-root .gpu-stats-rows { display: grid; gap: 8px; margin: 0; padding: 0; list-style: none; font-size: 13px; }
.gpu-stats-root .gpu-stats-row { display: grid; grid-template-columns: 1fr auto; gap: 3px 12px; align-items: baseline; }
.gpu-stats-root .gpu-stats-row > span { color: rgba(255, 255, 255, 0.85); overflow-wrap: anywhere; }
.gpu-stats-root .gpu-stats-row > b { font: 600 13px/1.4 var(--gpu-stats-font); color: var(--gpu-stats-color); text-align: right; }
.gpu-stats-root .gpu-stats-row > small { grid-column: 1 / -1; font-size: 12px; color: rgba(255, 255, 255, 0.7); }
.gpu-stats-root .gpu-stats-thin { grid-column: 1 / -1; height: 4px; border-radius: 2px; overflow: hidden; background: rgba(0, 212, 255, 0.14); }
.gpu-stats-root .gpu-stats-thin::before { content: ''; display: block; height: 100%; border-radius: 2px; background: var(--gpu-stats-color); transform: scaleX(var(--gpu-stats-share)); transform-origin: left; transition: transform 0.5s ease-in-out; }
.gpu-stats-root .gpu-stats-facts { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 4px 14px; margin: 0; font-size: 13px; }
.gpu-stats-root .gpu-stats-facts dt { color: rgba(255, 255, 255, 0.7); }
.gpu-stats-root .gpu-stats-facts dd { margin: 0; overflow-wrap: anywhere; color: rgba(255, 255, 255, 0.92); }

/* Old values are grey, and nothing about them moves. */
.gpu-stats-root .gpu-stats-stale, .gpu-stats-root .gpu-stats-stale * { --gpu-stats-color: #93a7b3 !important; }
.gpu-stats-root .gpu-stats-stale .gpu-stats-light, .gpu-stats-root .gpu-stats-stale .gpu-stats-tip { display: none; }
.gpu-stats-root .gpu-stats-stale .gpu-stats-fill::before { animation: none; }
.gpu-stats-root .gpu-stats-stale .gpu-stats-linear { box-shadow: none; }
.gpu-stats-root .gpu-stats-stale .gpu-stats-legend li::before { opacity: 0.6; box-shadow: none; }

@container gpu-stats (min-width: 720px) {
  .gpu-stats-root .gpu-stats-grid { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); }
}
@container gpu-stats (min-width: 1500px) {
  .gpu-stats-root .gpu-stats-body { padding: 32px; gap: 26px; }
  .gpu-stats-root .gpu-stats-paper.gpu-stats-paper { padding: 26px; }
  .gpu-stats-root .gpu-stats-chart { min-height: 260px; }
  .gpu-stats-root .gpu-stats-title.gpu-stats-title { font-size: 22px; }
  .gpu-stats-root .gpu-stats-tiles { font-size: 20px; }
}
@container gpu-stats (max-width: 480px) {
  .gpu-stats-root .gpu-stats-body { padding: 18px 14px; gap: 16px; }
  .gpu-stats-root .gpu-stats-grid { gap: 16px; }
  .gpu-stats-root .gpu-stats-paper.gpu-stats-paper { padding: 16px 14px; }
  .gpu-stats-root .gpu-stats-title.gpu-stats-title { font-size: 15px; letter-spacing: 0.02em; }
  .gpu-stats-root .gpu-stats-title .gpu-stats-emoji { display: none; }
  .gpu-stats-root .gpu-stats-label { font-size: 13px; }
  .gpu-stats-root .gpu-stats-tiles { font-size: 16px; }
  .gpu-stats-root .gpu-stats-legend { gap: 2px 14px; }
  .gpu-stats-root .gpu-stats-overview { gap: 8px; max-height: 334px; }
  .gpu-stats-root .gpu-stats-card { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 8px; padding: 10px 12px; }
  .gpu-stats-root .gpu-stats-card-label { display: none; }
  .gpu-stats-root .gpu-stats-minis { grid-column: 1 / -1; }
  .gpu-stats-root .gpu-stats-mini { display: grid; grid-template-columns: 1fr auto; align-items: baseline; font-size: 12px; }
  .gpu-stats-root .gpu-stats-mini i { grid-column: 1 / -1; }
  .gpu-stats-root .gpu-stats-title .MuiSvgIcon-root { font-size: 24px; }
}

/* The compact form, for a cell of JARVIS's Situation Room: a quarter of the screen wide and about 300 pixels high */
.gpu-stats-root.compact-gpu-stats { margin: 0; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-content.gpu-stats-content { overflow-y: auto; scrollbar-width: thin; scrollbar-color: rgba(0, 212, 255, 0.4) transparent; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-body { padding: 10px; gap: 8px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-title.gpu-stats-title { margin: 0 !important; font-size: 12px !important; gap: 6px; letter-spacing: 0; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-title .gpu-stats-emoji { display: none; }
.compact-gpu-stats.gpu-stats-root::before { display: none; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-glow { box-shadow: 0 0 16px rgba(0, 212, 255, 0.4); }
.compact-gpu-stats.gpu-stats-root .gpu-stats-title .MuiSvgIcon-root { font-size: 18px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-chip.gpu-stats-chip { height: auto !important; min-height: 20px; border-radius: 10px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-chip .MuiChip-icon { display: none; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-chips { gap: 4px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-subheading.gpu-stats-subheading { font-size: 11px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-chip .MuiChip-label { padding: 0 7px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-chip-text { font-size: 11px; letter-spacing: 0; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-head { gap: 6px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-grid { gap: 8px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-paper.gpu-stats-paper { padding: 8px 10px; gap: 8px; border-radius: 8px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-heading.gpu-stats-heading { margin: 0 !important; font-size: 11px !important; letter-spacing: 0; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-name { flex-flow: row wrap; justify-content: space-between; align-items: baseline; gap: 0 8px; font-size: 12px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-name small { font-size: 11px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-bars { gap: 5px; margin: 0; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-label { margin-bottom: 3px; font-size: 11px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-label b { font-size: 12px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-track { height: 8px; border-radius: 4px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-tiles { gap: 4px; font-size: 12px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-tile { padding: 3px; border-radius: 6px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-tile dt { font-size: 11px; line-height: 1.2; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-legend { gap: 0 10px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-legend li { min-width: 9.3em; gap: 4px; font-size: 11px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-legend li:first-child { min-width: 8.2em; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-legend li::before { width: 8px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-chart { flex: none; min-height: 0; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-chart canvas { position: static; height: 80px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-memory { gap: 4px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-pair { font-size: 11px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-linear { height: 6px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-fold.gpu-stats-fold { flex: none; border-radius: 8px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-fold .MuiAccordionSummary-root.MuiAccordionSummary-root { min-height: 32px; padding: 0 10px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-fold .MuiAccordionSummary-content.MuiAccordionSummary-content { margin: 6px 0; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-details.gpu-stats-details { padding: 4px 10px 10px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-alert.gpu-stats-alert { padding: 0 8px; font-size: 12px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-simulated { gap: 8px; padding: 4px 8px; font-size: 11px; line-height: 1.3; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-simulated strong { font-size: 11px; letter-spacing: 0.08em; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-waiting { padding: 16px 0; }
/* Its overview is one row to choose from: number, state as a dot, utilization. */
.compact-gpu-stats.gpu-stats-root .gpu-stats-overview { display: flex; flex: none; gap: 6px; overflow: auto hidden; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-overview li { flex: none; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-card { display: flex; flex-direction: row; align-items: center; gap: 6px; padding: 4px 8px; border-radius: 6px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-index { font-size: 11px; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-state { gap: 0; font-size: 0; }
.compact-gpu-stats.gpu-stats-root :is(.gpu-stats-card-name b, .gpu-stats-card-label, .gpu-stats-mini small, .gpu-stats-mini i),
.compact-gpu-stats.gpu-stats-root .gpu-stats-mini + .gpu-stats-mini { display: none; }
.compact-gpu-stats.gpu-stats-root .gpu-stats-minis { display: flex; gap: 6px; }
/* As wide as 100.0%: else the row moves with each reading, and in time the chosen card out of view. */
.compact-gpu-stats.gpu-stats-root .gpu-stats-mini { display: block; min-width: 48px; font-size: 11px; text-align: right; }

@container gpu-stats (max-width: 270px) {
  .compact-gpu-stats.gpu-stats-root .gpu-stats-title .MuiSvgIcon-root { display: none; }
}

@keyframes gpu-stats-pulse { from { opacity: 0.15; } to { opacity: 0.65; } }
@keyframes gpu-stats-fill { from { opacity: 1; } to { opacity: 0.8; } }
@keyframes gpu-stats-scan { from { transform: translateY(-110px); } to { transform: translateY(100cqh); } }
@keyframes gpu-stats-light { from { transform: translateX(0); } to { transform: translateX(calc(100% + 20px)); } }
@keyframes gpu-stats-rise { from { transform: translateY(100cqh); opacity: 0.8; } to { transform: translateY(-4px); opacity: 0; } }
@keyframes gpu-stats-appear { from { opacity: 0; } }

.gpu-stats-root.gpu-stats-hidden *, .gpu-stats-root.gpu-stats-hidden *::before { animation: none !important; transition: none !important; }
@media (prefers-reduced-motion: reduce) {
  .gpu-stats-root.gpu-stats-root *, .gpu-stats-root.gpu-stats-root *::before { animation: none !important; transition: none !important; }
  .gpu-stats-root :is(.gpu-stats-glow, .gpu-stats-field, .gpu-stats-light) { display: none; }
}
@media print {
  .gpu-stats-root .gpu-stats-field, .gpu-stats-root .gpu-stats-glow, .gpu-stats-root.gpu-stats-root::before { display: none; }
}
`
