import React, { memo, useRef, useEffect, useId, useMemo, useCallback, useSyncExternalStore, useState } from 'react';
import Accordion from '@mui/material/Accordion';
import AccordionDetails from '@mui/material/AccordionDetails';
import AccordionSummary from '@mui/material/AccordionSummary';
import Card from '@mui/material/Card';
import CardContent from '@mui/material/CardContent';
import CircularProgress from '@mui/material/CircularProgress';
import GlobalStyles from '@mui/material/GlobalStyles';
import Typography from '@mui/material/Typography';
import ExpandMoreIcon from '@mui/icons-material/ExpandMore';
import MemoryIcon from '@mui/icons-material/Memory';
import VisibilityIcon from '@mui/icons-material/Visibility';
import Alert from '@mui/material/Alert';
import Chip from '@mui/material/Chip';

// Bands and alerts: which colour a reading has, and what is said about it. The limits are those of the recording rules
// (gpu:temperature:band, gpu:utilization:band, gpu:memory:band), so that panel, dashboards and alerts agree.

/** Colours of the four levels, the best first. */
const COLOURS = { optimal: '#00ff88', normal: '#00d4ff', attention: '#ff9500', critical: '#ff3b30' };

// A band begins at `from` or, the last one of each, just above `above`: 80.0 °C is still attention. Names are keys of
// texts.js with 'band_' before them.
const BANDS = {
  temperature: [
    { name: 'optimal', level: 'optimal' },
    { name: 'normal', level: 'normal', from: 50 },
    { name: 'attention', level: 'attention', from: 70 },
    { name: 'critical', level: 'critical', above: 80 },
  ],
  utilization: [
    { name: 'low', level: 'optimal' },
    { name: 'normal', level: 'normal', from: 30 },
    { name: 'high', level: 'attention', from: 70 },
    { name: 'full', level: 'critical', above: 95 },
  ],
  memory_utilization: [
    { name: 'normal', level: 'optimal' },
    { name: 'high', level: 'attention', from: 70 },
    { name: 'nearly_full', level: 'critical', above: 90 },
  ],
};

// Limits at which a card slows down or stops. `target` is not one: a card works at its target for hours.
const HARD_LIMITS = ['max', 'critical', 'emergency', 'slowdown', 'shutdown'];

// So near to its limit a sensor is in the band attention, as in the dashboards.
const MARGIN_CELSIUS = 10;

// Throttle reasons that are heat: those of the alert GpuThermalThrottling.
const HEAT = ['thermal', 'hardware_thermal', 'prochot'];

/**
 * The band of a reading.
 * @param {'temperature'|'utilization'|'memory_utilization'} quantity key of a GPU's `primary`
 * @param {?number} value
 * @returns {?{name: string, level: 'optimal'|'normal'|'attention'|'critical', colour: string}} null without a reading
 */
function band(quantity, value) {
  if (!Number.isFinite(value)) return null
  const found = BANDS[quantity].findLast(({ from, above }) => !(value < from) && !(value <= above));
  return { name: found.name, level: found.level, colour: COLOURS[found.level] }
}

/**
 * The band of a sensor by the limits that the card tells for it, else by the bands of the temperature.
 * @param {?number} celsius
 * @param {Object<string, number>} [limits] `limits_celsius` of the sensor
 * @returns {?{name: string, level: string, colour: string}} null without a reading
 */
function sensorBand(celsius, limits) {
  if (!Number.isFinite(celsius)) return null
  const limit = lowestLimit(limits);
  if (limit === null) return band('temperature', celsius)
  if (celsius > limit) return level('critical')
  if (celsius > limit - MARGIN_CELSIUS) return level('attention')
  return level(celsius < 50 ? 'optimal' : 'normal')
}

/**
 * The first limit that a sensor would meet.
 * @param {Object<string, number>} [limits] `limits_celsius` of the sensor
 * @returns {?number} null where the card tells none
 */
function lowestLimit(limits) {
  const hard = HARD_LIMITS.map((name) => limits?.[name]).filter((limit) => Number.isFinite(limit) && limit > 0);
  return hard.length > 0 ? Math.min(...hard) : null
}

/**
 * The status as the old service told it.
 * @param {?number} temperature
 * @returns {?('healthy'|'warning')} null where the temperature is not known
 */
function status(temperature) {
  if (!Number.isFinite(temperature)) return null
  return temperature < 85 ? 'healthy' : 'warning'
}

/**
 * What is to be said about the readings of a GPU: of the temperatures only the highest; the success where nothing else is
 * said, but never about a card whose temperature is not known. A sensor of no known limit may be made for its heat: that is
 * told, but is no warning.
 * @param {{primary: Object, sensors: Object, throttle: ?Array<string>}} gpu
 * @returns {Array<{severity: 'error'|'warning'|'info'|'success', text: string, value: string}>} `text` is a key of
 *   texts.js, `value` the reading for its {value}
 */
function alerts({ primary: { temperature, utilization, memory_utilization }, sensors, throttle }) {
  const found = [];
  const red = Object.values(sensors).filter((one) => sensorBand(one.celsius, one.limits_celsius)?.name === 'critical');
  const isLimited = (one) => lowestLimit(one.limits_celsius) !== null;
  if (temperature > 90) found.push({ severity: 'error', text: 'alert_critical', value: temperature.toFixed(1) });
  else if (temperature > 80) found.push({ severity: 'warning', text: 'alert_hot', value: temperature.toFixed(1) });
  else if (red.some(isLimited)) found.push({ severity: 'warning', text: 'alert_sensor_limit', value: '' });
  else if (red.length > 0) found.push({ severity: 'info', text: 'alert_sensor_hot', value: '' });
  if (throttle?.some((reason) => HEAT.includes(reason))) found.push({ severity: 'info', text: 'alert_throttle', value: '' });
  if (memory_utilization > 90) found.push({ severity: 'warning', text: 'alert_memory', value: memory_utilization.toFixed(1) });
  if (utilization > 95) found.push({ severity: 'info', text: 'alert_load', value: utilization.toFixed(1) });
  if (found.length === 0 && Number.isFinite(temperature)) {
    found.push({ severity: 'success', text: 'alert_none', value: '' });
  }
  return found
}

/** Whether an alert is more than a remark. */
function isUrgent({ severity }) {
  return severity === 'error' || severity === 'warning'
}

function level(name) {
  return { name, level: name, colour: COLOURS[name] }
}

/** The curves in the order in which they are drawn: the key of their readings and their colour. */
const curves = [
  { key: 'utilization', color: '#00d4ff' },
  { key: 'temperature', color: '#ff9500' },
  { key: 'memory_utilization', color: '#00ff88' },
];

const label = 'rgba(170, 220, 235, 0.85)';
const line = 'rgba(0, 212, 255, 0.13)';
const levels = [0, 25, 50, 75, 100]; // the odd ones are lines without a label
const seconds = [60, 45, 30, 15, 0];

// Strokes of a curve, width and opacity. Wide pale ones below the thin one are the glow: a shadow blur looks much the
// same and costs ten times as much without a GPU.
const glowing = [[12, 0.05], [8, 0.09], [5, 0.16], [2, 1]];
const old = [[2, 0.45]];

/** Where the curves lie within a canvas: what is left of it beside the labels. */
function plot(width, height) {
  const low = height < 120; // the compact form: less air
  return { left: 32, right: width - 10, top: low ? 8 : 12, bottom: height - (low ? 17 : 22), low }
}

/**
 * Draws what lies behind the curves and changes with the size alone. Not to be done each second: text on a canvas makes the
 * browser work out the styles of the page at once.
 *
 * @param {CanvasRenderingContext2D} context with lengths in CSS pixels
 * @param {number} width of the canvas in CSS pixels
 * @param {number} height of the canvas in CSS pixels
 */
function drawGrid(context, width, height) {
  const area = plot(width, height);
  const background = context.createLinearGradient(0, 0, 0, height);
  background.addColorStop(0, 'rgba(0, 212, 255, 0.1)');
  background.addColorStop(0.5, 'rgba(0, 212, 255, 0.05)');
  background.addColorStop(1, 'rgba(0, 18, 32, 0.8)');
  context.fillStyle = background;
  context.fillRect(0, 0, width, height);

  context.lineWidth = 1;
  context.strokeStyle = line;
  context.fillStyle = label;
  context.font = '11px Inter, system-ui, sans-serif';
  context.beginPath();
  context.textAlign = 'right';
  context.textBaseline = 'middle';
  for (const level of levels) {
    // Half a pixel: a line of one pixel lies on one row of them and not across two.
    const y = Math.round(area.bottom - (level / 100) * (area.bottom - area.top)) + 0.5;
    if (area.low && level % 50) continue
    context.moveTo(area.left, y);
    context.lineTo(area.right, y);
    if (level % 50 === 0) context.fillText(String(level), area.left - 6, y);
  }
  context.textBaseline = 'alphabetic';
  for (const second of seconds) {
    const x = Math.round(area.right - (second / 60) * (area.right - area.left)) + 0.5;
    context.moveTo(x, area.top);
    context.lineTo(x, area.bottom);
    if (second % 30 && width < 300) continue // no room for its label
    context.textAlign = second === 0 ? 'right' : second === 60 ? 'left' : 'center';
    context.fillText(second === 0 ? '0 s' : `−${second} s`, second === 0 ? area.right + 4 : x, height - 5);
  }
  context.stroke();
}

function drawCurve(context, area, segments, color, stale) {
  const at = ({ x, value }) => [
    area.left + x * (area.right - area.left),
    area.bottom - (Math.min(100, Math.max(0, value)) / 100) * (area.bottom - area.top),
  ];
  context.strokeStyle = color;
  context.fillStyle = color;
  context.lineJoin = 'round';
  context.lineCap = 'round';
  context.beginPath();
  for (const segment of segments) {
    segment.forEach((point, i) => context[i ? 'lineTo' : 'moveTo'](...at(point)));
    // A reading between two gaps is a dot: a line to where it begins, with round ends.
    if (segment.length === 1) context.lineTo(...at(segment[0]));
  }
  for (const [width, alpha] of stale ? old : glowing) {
    context.lineWidth = area.low ? Math.max(2, width / 2) : width;
    context.globalAlpha = alpha;
    context.stroke();
  }
  context.globalAlpha = 1;
  if (stale) return
  const last = segments.at(-1)?.at(-1);
  if (last) {
    context.beginPath();
    context.arc(...at(last), area.low ? 2 : 3, 0, 2 * Math.PI);
    context.fill();
  }
}

/**
 * Draws the curves of the last minute: right is now, the scale is 0 to 100 for all of them (percent and degrees Celsius).
 *
 * @param {CanvasRenderingContext2D} context with lengths in CSS pixels
 * @param {number} width of the canvas in CSS pixels
 * @param {number} height of the canvas in CSS pixels
 * @param {{segments: Object<string, {x: number, value: number}[][]>, stale: boolean}} data segments by the key of the
 *   curve, as history.js gives them; stale: they are old, and drawn pale and without a glow
 */
function drawCurves(context, width, height, { segments, stale }) {
  const area = plot(width, height);
  for (const { key, color } of curves) drawCurve(context, area, segments[key] ?? [], color, stale);
}

// Everything that the panel says, in both languages. The French texts are those of the old panel where it had them:
// users and screenshots know them.

const TEXTS = {
  fr: {
    // The old panel's.
    title: 'GPU MONITORING',
    connected: 'CONNECTÉ',
    connecting: 'CONNEXION...',
    statistics: 'STATISTIQUES TEMPS RÉEL',
    driver: 'Driver: {value}',
    utilization: 'UTILISATION GPU',
    temperature: 'TEMPÉRATURE',
    memory_utilization: 'UTILISATION VRAM',
    core_clock: 'GPU Clock',
    memory_clock: 'Memory Clock',
    power_usage: 'Power Usage',
    fan_speed: 'Fan Speed',
    chart: 'GRAPHIQUE TEMPS RÉEL',
    legend_utilization: 'GPU: {value}',
    legend_temperature: 'Temp: {value}',
    legend_memory_utilization: 'VRAM: {value}',
    video_memory: 'MÉMOIRE VIDÉO',
    used: 'Utilisée: {value}',
    total: 'Total: {value}',
    details: 'DÉTAILS & HISTORIQUE',
    system_status: 'État du Système',
    status: 'STATUT: {value}',
    last_update: 'Dernière mise à jour: {value}',
    thermal_alerts: 'Alertes Thermiques',
    alert_hot: 'Température élevée: {value}°C',
    alert_critical: 'ALERTE: Température critique!',
    alert_memory: 'Mémoire vidéo presque pleine: {value}%',
    alert_load: 'GPU à pleine charge',
    alert_none: 'Fonctionnement optimal',
    waiting: 'Connexion au GPU en cours...',
    error_service: 'Erreur de connexion au service GPU',
    error_unreachable: 'Impossible de se connecter au service GPU',

    // Names for screen readers that JARVIS's own test looks for; they stay English there.
    region: 'GPU statistics',
    region_description: 'GPU performance metrics',

    alert_sensor_limit: 'Un capteur dépasse sa limite',
    alert_sensor_hot: 'Un capteur est très chaud',
    alert_throttle: 'GPU bridé par la chaleur',
    error_silent: 'Le service GPU ne répond plus',
    error_address: 'Adresse du service GPU invalide: {value}',
    old_values: 'Dernières valeurs connues, {value}',
    no_gpu: 'Aucun GPU détecté',
    no_gpu_hint: 'Pour savoir pourquoi, lancez sur cette machine:',
    gpu_not_found: 'GPU introuvable: {value}',
    absent: 'Non fourni par le matériel',
    zero_may_be_absent: 'Ancien service: 0 peut signifier une valeur absente',
    simulated: 'SIMULATION',
    simulated_explained: 'Valeurs simulées: aucun GPU réel n\'est mesuré',

    choose_gpu: 'Choisir un GPU',

    state: 'État',
    state_ok: 'Actif',
    state_partial: 'Lectures partielles',
    state_asleep: 'En veille',
    state_hung: 'Bloqué',
    state_gone: 'Perdu',
    state_asleep_explained: 'Le GPU est en veille; il n\'est pas réveillé pour être mesuré.',
    state_hung_explained: 'Le GPU ne répond plus.',
    state_gone_explained: 'Le GPU n\'est plus là.',
    state_partial_explained: 'Certaines lectures ont échoué.',
    state_failed: 'Aucune lecture n\'a réussi.',
    state_unread: 'Pas de lecture récente.',
    last_reading: 'Dernière lecture: {value}',
    never_read: 'Jamais lu',

    sensors: 'Capteurs',
    sensor_edge: 'Bord de puce',
    sensor_gpu: 'GPU',
    sensor_package: 'Boîtier',
    sensor_soc: 'SoC',
    sensor_hotspot: 'Point chaud',
    sensor_memory: 'Mémoire',
    sensor_hbm: 'HBM',
    sensor_vr_graphics: 'Régulateur GPU',
    sensor_vr_soc: 'Régulateur SoC',
    sensor_vr_memory: 'Régulateur mémoire',
    sensor_pcie: 'PCIe',
    sensor_memory_controller: 'Contrôleur mémoire',
    sensor_memory_channel: 'Canal mémoire',
    sensor_liquid: 'Liquide',
    sensor_plx: 'Pont PLX',
    sensor_skin: 'Surface',
    sensor_cpu: 'CPU',
    margin: 'Marge avant ralentissement: {value}',

    limit: 'Limite',
    limit_max: 'max.',
    limit_min: 'min.',
    limit_critical: 'critique',
    limit_emergency: 'urgence',
    limit_slowdown: 'ralentissement',
    limit_shutdown: 'arrêt',
    limit_target: 'cible',
    limit_current: 'actuelle',
    limit_default: 'par défaut',
    limit_burst: 'pointe',
    limit_soft_min: 'min. réglée',
    limit_soft_max: 'max. réglée',
    limit_efficient: 'efficace',
    limit_boost: 'boost',

    power: 'Puissance',
    average: 'moyenne {value}',
    energy: 'Énergie',
    domain_board: 'Carte',
    domain_package: 'Boîtier',
    domain_graphics: 'Graphique',
    domain_soc: 'SoC',
    domain_cpu: 'CPU',
    domain_memory: 'Mémoire',
    domain_module: 'Module',
    domain_system: 'Système',
    domain_npu: 'NPU',

    memories: 'Mémoires',
    memory_vram: 'VRAM',
    memory_visible_vram: 'VRAM visible',
    memory_gtt: 'GTT',
    memory_bar1: 'BAR1',
    memory_shared: 'Partagée',
    memory_unified: 'Unifiée',
    reserved: 'réservée {value}',

    clocks: 'Fréquences',
    clock_graphics: 'Graphique',
    clock_sm: 'SM',
    clock_memory: 'Mémoire',
    clock_soc: 'SoC',
    clock_fabric: 'Fabric',
    clock_video: 'Vidéo',
    clock_decoder: 'Décodeur',
    clock_display: 'Affichage',
    clock_vpe: 'VPE',
    clock_npu: 'NPU',
    clock_graphics_requested: 'Graphique demandée',
    clock_video_requested: 'Vidéo demandée',

    fans: 'Ventilateurs',
    fan_number: 'Ventilateur {value}',
    fan_target: 'cible {value}',

    pcie: 'PCIe',
    pcie_lanes: '{value} voies',
    pcie_of: 'sur {value}',

    throttle: 'Bridage',
    throttle_none: 'Aucun bridage',
    throttle_unknown: 'Bridage non indiqué par ce GPU',
    throttle_power: 'Limite de puissance',
    throttle_thermal: 'Température',
    throttle_current: 'Limite de courant',
    throttle_voltage_regulator: 'Régulateur de tension',
    throttle_prochot: 'Signal de surchauffe du processeur',
    throttle_hardware_slowdown: 'Ralentissement matériel',
    throttle_hardware_thermal: 'Protection thermique matérielle',
    throttle_power_brake: 'Frein de puissance externe',
    throttle_sync_boost: 'Synchronisation avec d\'autres GPU',
    throttle_clocks_setting: 'Fréquences fixées par réglage',
    throttle_display: 'Horloge de l\'affichage',
    throttle_reliability: 'Limite de fiabilité de la tension',
    throttle_board_limit: 'Limite de la carte',
    throttle_other: 'Autre raison',

    band_optimal: 'optimale',
    band_normal: 'normale',
    band_attention: 'attention',
    band_critical: 'critique',
    band_low: 'faible',
    band_high: 'élevée',
    band_full: 'pleine charge',
    band_nearly_full: 'presque pleine',

    chart_summary: 'Dernières 60 secondes. GPU: {utilization}, température: {temperature}, VRAM: {memory_utilization}',
    chart_empty: 'Aucune donnée des dernières 60 secondes',

    age_now: 'à l\'instant',
    age_seconds: 'il y a {value} s',
    age_minutes: 'il y a {value} min',
    age_hours: 'il y a {value} h',
    age_days: 'il y a {value} j',

    metrics: 'Métriques',
    documentation: 'Documentation',
    grafana: 'Grafana',
    version: 'Version {value}',
  },
  en: {
    title: 'GPU MONITORING',
    connected: 'CONNECTED',
    connecting: 'CONNECTING...',
    statistics: 'LIVE STATISTICS',
    driver: 'Driver: {value}',
    utilization: 'GPU UTILIZATION',
    temperature: 'TEMPERATURE',
    memory_utilization: 'VRAM UTILIZATION',
    core_clock: 'GPU Clock',
    memory_clock: 'Memory Clock',
    power_usage: 'Power Usage',
    fan_speed: 'Fan Speed',
    chart: 'LIVE CHART',
    legend_utilization: 'GPU: {value}',
    legend_temperature: 'Temp: {value}',
    legend_memory_utilization: 'VRAM: {value}',
    video_memory: 'VIDEO MEMORY',
    used: 'Used: {value}',
    total: 'Total: {value}',
    details: 'DETAILS & HISTORY',
    system_status: 'System status',
    status: 'STATUS: {value}',
    last_update: 'Last update: {value}',
    thermal_alerts: 'Thermal alerts',
    alert_hot: 'High temperature: {value}°C',
    alert_critical: 'ALERT: critical temperature!',
    alert_memory: 'Video memory nearly full: {value}%',
    alert_load: 'GPU at full load',
    alert_none: 'Running optimally',
    waiting: 'Connecting to the GPU...',
    error_service: 'Connection to the GPU service failed',
    error_unreachable: 'Cannot connect to the GPU service',

    region: 'GPU statistics',
    region_description: 'GPU performance metrics',

    alert_sensor_limit: 'A sensor is above its limit',
    alert_sensor_hot: 'A sensor is very hot',
    alert_throttle: 'GPU throttled by heat',
    error_silent: 'The GPU service has stopped answering',
    error_address: 'Invalid address of the GPU service: {value}',
    old_values: 'Last known values, {value}',
    no_gpu: 'No GPU detected',
    no_gpu_hint: 'To learn why, run on that machine:',
    gpu_not_found: 'GPU not found: {value}',
    absent: 'Not told by the hardware',
    zero_may_be_absent: 'Old service: 0 may stand for an absent value',
    simulated: 'SIMULATED',
    simulated_explained: 'Simulated values: no real GPU is measured',

    choose_gpu: 'Choose a GPU',

    state: 'State',
    state_ok: 'Active',
    state_partial: 'Some readings failed',
    state_asleep: 'Asleep',
    state_hung: 'Hung',
    state_gone: 'Lost',
    state_asleep_explained: 'The GPU is asleep; it is not woken to be measured.',
    state_hung_explained: 'The GPU does not answer any more.',
    state_gone_explained: 'The GPU is not there any more.',
    state_partial_explained: 'Some readings have failed.',
    state_failed: 'All readings have failed.',
    state_unread: 'No recent reading.',
    last_reading: 'Last reading: {value}',
    never_read: 'Never read',

    sensors: 'Sensors',
    sensor_edge: 'Edge',
    sensor_gpu: 'GPU',
    sensor_package: 'Package',
    sensor_soc: 'SoC',
    sensor_hotspot: 'Hotspot',
    sensor_memory: 'Memory',
    sensor_hbm: 'HBM',
    sensor_vr_graphics: 'GPU regulator',
    sensor_vr_soc: 'SoC regulator',
    sensor_vr_memory: 'Memory regulator',
    sensor_pcie: 'PCIe',
    sensor_memory_controller: 'Memory controller',
    sensor_memory_channel: 'Memory channel',
    sensor_liquid: 'Liquid',
    sensor_plx: 'PLX bridge',
    sensor_skin: 'Skin',
    sensor_cpu: 'CPU',
    margin: 'Margin before slowdown: {value}',

    limit: 'Limit',
    limit_max: 'max.',
    limit_min: 'min.',
    limit_critical: 'critical',
    limit_emergency: 'emergency',
    limit_slowdown: 'slowdown',
    limit_shutdown: 'shutdown',
    limit_target: 'target',
    limit_current: 'current',
    limit_default: 'default',
    limit_burst: 'burst',
    limit_soft_min: 'set min.',
    limit_soft_max: 'set max.',
    limit_efficient: 'efficient',
    limit_boost: 'boost',

    power: 'Power',
    average: 'average {value}',
    energy: 'Energy',
    domain_board: 'Board',
    domain_package: 'Package',
    domain_graphics: 'Graphics',
    domain_soc: 'SoC',
    domain_cpu: 'CPU',
    domain_memory: 'Memory',
    domain_module: 'Module',
    domain_system: 'System',
    domain_npu: 'NPU',

    memories: 'Memories',
    memory_vram: 'VRAM',
    memory_visible_vram: 'Visible VRAM',
    memory_gtt: 'GTT',
    memory_bar1: 'BAR1',
    memory_shared: 'Shared',
    memory_unified: 'Unified',
    reserved: 'reserved {value}',

    clocks: 'Clocks',
    clock_graphics: 'Graphics',
    clock_sm: 'SM',
    clock_memory: 'Memory',
    clock_soc: 'SoC',
    clock_fabric: 'Fabric',
    clock_video: 'Video',
    clock_decoder: 'Decoder',
    clock_display: 'Display',
    clock_vpe: 'VPE',
    clock_npu: 'NPU',
    clock_graphics_requested: 'Graphics requested',
    clock_video_requested: 'Video requested',

    fans: 'Fans',
    fan_number: 'Fan {value}',
    fan_target: 'target {value}',

    pcie: 'PCIe',
    pcie_lanes: '{value} lanes',
    pcie_of: 'of {value}',

    throttle: 'Throttling',
    throttle_none: 'Not throttled',
    throttle_unknown: 'This GPU does not tell whether it is throttled',
    throttle_power: 'Power limit',
    throttle_thermal: 'Temperature',
    throttle_current: 'Current limit',
    throttle_voltage_regulator: 'Voltage regulator',
    throttle_prochot: 'Processor hot signal',
    throttle_hardware_slowdown: 'Hardware slowdown',
    throttle_hardware_thermal: 'Hardware thermal protection',
    throttle_power_brake: 'External power brake',
    throttle_sync_boost: 'Kept in step with other GPUs',
    throttle_clocks_setting: 'Clocks fixed by a setting',
    throttle_display: 'Display clock',
    throttle_reliability: 'Voltage reliability limit',
    throttle_board_limit: 'Board limit',
    throttle_other: 'Another reason',

    band_optimal: 'optimal',
    band_normal: 'normal',
    band_attention: 'attention',
    band_critical: 'critical',
    band_low: 'low',
    band_high: 'high',
    band_full: 'full load',
    band_nearly_full: 'nearly full',

    chart_summary: 'Last 60 seconds. GPU: {utilization}, temperature: {temperature}, VRAM: {memory_utilization}',
    chart_empty: 'No data of the last 60 seconds',

    age_now: 'just now',
    age_seconds: '{value} s ago',
    age_minutes: '{value} min ago',
    age_hours: '{value} h ago',
    age_days: '{value} d ago',

    metrics: 'Metrics',
    documentation: 'Documentation',
    grafana: 'Grafana',
    version: 'Version {value}',
  },
};

/** The language of a locale: English where it begins with 'en', else French, as the old panel was. */
function language(locale) {
  return typeof locale === 'string' && /^en/i.test(locale) ? 'en' : 'fr'
}

/**
 * The table of texts of a language.
 * @param {string} [locale] 'fr', 'en-GB', ...
 * @returns {Object<string, string>}
 */
function texts(locale) {
  return TEXTS[language(locale)]
}

/** A text with its places filled: fill('Driver: {value}', {value: '6.8'}) -> 'Driver: 6.8' */
function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (place, key) => values[key] ?? place)
}

/**
 * The words for a name of the service: named(texts('en'), 'sensor', 'vr_soc') -> 'SoC regulator', with the number that a
 * name has where there are several ('hbm3' -> 'HBM 3'). A name that is not in the table stays as it is.
 * @param {Object<string, string>} table of `texts`
 * @param {'state'|'sensor'|'limit'|'domain'|'memory'|'clock'|'throttle'|'band'} kind
 * @param {string} name
 */
function named(table, kind, name) {
  const whole = `${kind}_${name}`;
  if (Object.hasOwn(table, whole)) return table[whole]
  const [, stem, number] = /^(.*?)(\d+)$/.exec(whole) ?? [];
  return Object.hasOwn(table, stem ?? '') ? `${table[stem]} ${number}` : name
}

// Numbers and times as text. Decimal points throughout, no comma, whatever the language; what is not known is a dash.

/** Stands for what is not known. */
const DASH = '—';

/** 41.2 -> '41.2%' */
const percent = (value) => fixed(value, 1, '%');

/** 60.7 -> '60.7°C' */
const celsius = (value) => fixed(value, 1, '°C');

/** 2011 -> '2011 MHz', as it comes */
const megahertz = (value) => asItComes(value, ' MHz');

/** 2011000000 -> '2011 MHz' */
const hertz = (value) => fixed(scaled(value, 1e6), 0, ' MHz');

/** 31.6 -> '32W' */
const watts = (value) => fixed(value, 0, 'W');

/** 35 -> '35%', as it comes: the speed of a fan */
const fanSpeed = (value) => asItComes(value, '%');

/** 0.349 -> '35%': a share of the whole */
const ratio = (value) => fixed(scaled(value, 0.01), 0, '%');

/** 868.2 -> '868 RPM' */
const rpm = (value) => fixed(value, 0, ' RPM');

/** MiB to text: 16384 -> '16.0 GB'. The old panel said GB and meant GiB; number and label stay. */
const gigabytes = (mebibytes) => fixed(scaled(mebibytes, 1024), 1, ' GB');

/** Bytes to text: 1610612736 -> '1.5 GB', 104857600 -> '100 MB' (units of 1024, as in `gigabytes`) */
function bytes(value) {
  return Math.abs(value) < 2 ** 30 ? fixed(scaled(value, 2 ** 20), 0, ' MB') : gigabytes(scaled(value, 2 ** 20))
}

/** Joules to text: 9000 -> '2.5 Wh', 7200000 -> '2.00 kWh' */
function energy(joules) {
  return Math.abs(joules) < 3.6e6 ? fixed(scaled(joules, 3600), 1, ' Wh') : fixed(scaled(joules, 3.6e6), 2, ' kWh')
}

/** Transfers per second to text: 16e9 -> '16 GT/s', 2.5e9 -> '2.5 GT/s' */
const transfers = (value) => asItComes(scaled(value, 1e9), ' GT/s');

/**
 * An age in words: 'il y a 3 s', '2 min ago'.
 * @param {?number} seconds
 * @param {string} locale of the panel
 */
function age(seconds, locale) {
  if (!Number.isFinite(seconds)) return DASH
  const whole = Math.max(0, Math.floor(seconds));
  const [key, unit] = AGES.find(([, , below]) => whole < below);
  return fill(texts(locale)[key], { value: Math.floor(whole / unit) })
}

// Text, seconds of its unit, and the age from which the next one is used.
const AGES = [
  ['age_now', 1, 1],
  ['age_seconds', 1, 60],
  ['age_minutes', 60, 3600],
  ['age_hours', 3600, 86400],
  ['age_days', 86400, Infinity],
];

/**
 * A time of day in the browser's own form, with the date where it is not today's.
 * @param {?number} seconds Unix time
 * @param {number} [now] in milliseconds
 */
function clockTime(seconds, now = Date.now()) {
  const date = new Date(Number.isFinite(seconds) ? seconds * 1000 : NaN);
  if (Number.isNaN(date.getTime())) return DASH
  const today = date.toDateString() === new Date(now).toDateString();
  return today ? date.toLocaleTimeString() : date.toLocaleString()
}

function scaled(value, unit) {
  return Number.isFinite(value) ? value / unit : null
}

function fixed(value, decimals, unit) {
  if (!Number.isFinite(value)) return DASH
  const rounded = Number(value.toFixed(decimals)) + 0; // + 0: no '-0.0'
  return rounded.toFixed(decimals) + unit
}

function asItComes(value, unit) {
  return Number.isFinite(value) ? `${value + 0}${unit}` : DASH
}

// The last 60 readings of a GPU for the chart. Histories are never changed, only replaced, as React likes it.

/** @typedef {{time: number, utilization: ?number, temperature: ?number, memory_utilization: ?number}} Entry */

/** So many entries a history has at most. */
const LENGTH = 60;

// Entries lie at least so far apart, so that 60 of a service that reads five times a second still are 60 seconds. A bit
// less than a second: readings made each second come a few milliseconds early or late.
const APART = 0.95;

// Where the last entry is more than so many seconds ahead of a new one, the service's clock was set back, and what came
// before is of no use: it would be drawn as newer. The feed leaves older bodies of a connection out, so that the new one
// is the first after a reconnect.
const SET_BACK = 2;

const KEYS = ['utilization', 'temperature', 'memory_utilization'];

/** A history without entries: an array of Entry, oldest first. */
function newHistory() {
  return []
}

/** The entry for a GPU's present reading, or null where it was never read. */
function entryOf(gpu) {
  return gpu.timestamp === null ? null : entry(gpu.timestamp, gpu.primary)
}

/**
 * The history with an entry more.
 * @param {Array<Entry>} history
 * @param {Entry} added
 * @returns {Array<Entry>} the same one where the entry is not newer
 */
function push(history, added) {
  const last = history.at(-1);
  if (last && last.time - added.time > SET_BACK) return [added]
  if (last && added.time - last.time < APART) return history
  return [...history, added].slice(-LENGTH)
}

/**
 * The history with what /gpu/history tells put where there is nothing: before its first entry, and into the gap that a lost
 * connection left. What is newer than its last entry is left to the frames.
 * @param {Array<Entry>} history
 * @param {*} recorded [{timestamp, utilization, temperature, memory_utilization}, ...] as it came
 * @returns {Array<Entry>}
 */
function preload(history, recorded) {
  if (!Array.isArray(recorded)) return history
  const end = history.at(-1)?.time ?? Infinity;
  const candidates = recorded
    .filter((one) => Number.isFinite(one?.timestamp) && one.timestamp < end)
    .map((one) => entry(one.timestamp, one))
    .sort(byTime)
    .slice(-2 * LENGTH);
  const isFree = (time) => history.every((other) => Math.abs(other.time - time) >= APART);
  const added = [];
  for (const one of candidates) {
    if (isFree(one.time) && !(one.time - added.at(-1)?.time < APART)) added.push(one);
  }
  return added.length === 0 ? history : [...added, ...history].sort(byTime).slice(-LENGTH)
}

/**
 * The pieces of a curve. It breaks where a reading is absent, and where two lie so far apart that some are missing: five
 * seconds, or more where the service reads seldom.
 * @param {Array<Entry>} history
 * @param {'utilization'|'temperature'|'memory_utilization'} key
 * @param {number} now Unix seconds by the service's clock (`serviceNow` of frames.js)
 * @param {number} [span] seconds
 * @returns {Array<Array<{x: number, value: number}>>} x from 0 (`span` seconds ago) to 1 (now)
 */
function segments(history, key, now, span = 60) {
  const longest = Math.max(5, 2.5 * medianSpacing(history));
  const pieces = [];
  let before = null; // the entry before, where the curve can go on from it
  for (const one of history) {
    const x = 1 - (now - one.time) / span;
    // A little after now: between two bodies the service's clock is only guessed.
    const isShown = one[key] !== null && x >= 0 && x <= 1 + 2 / span;
    if (isShown) {
      if (before === null || one.time - before.time > longest) pieces.push([]);
      pieces.at(-1).push({ x: Math.min(x, 1), value: one[key] });
    }
    before = isShown ? one : null;
  }
  return pieces
}

function medianSpacing(history) {
  const spacings = history.slice(1).map((one, i) => one.time - history[i].time).sort((a, b) => a - b);
  return spacings.length === 0 ? 0 : spacings[Math.floor(spacings.length / 2)]
}

function entry(time, values) {
  return { time, ...Object.fromEntries(KEYS.map((key) => [key, Number.isFinite(values[key]) ? values[key] : null])) }
}

function byTime(a, b) {
  return a.time - b.time
}

const forms = { utilization: percent, temperature: celsius, memory_utilization: percent };

/**
 * The curves of the last minute. They are drawn when there are new data or the size changes, and at no other time.
 * `now` is the service's clock; `last` holds the values of the legend.
 */
const Chart = memo(function Chart({ history, now, last, stale, table }) {
  const canvas = useRef(null);
  const size = useRef(null); // as the observer tells it: to ask the canvas would make the browser lay all out at once
  const grid = useRef(null); // the picture of it; null: to be drawn
  const redraw = useRef(null);

  useEffect(() => {
    const pieces = Object.fromEntries(curves.map(({ key }) => [key, segments(history, key, now)]));
    redraw.current = () => paint(canvas.current, size.current, grid, { segments: pieces, stale });
    redraw.current();
  }, [history, now, stale]);

  useEffect(() => {
    const afresh = () => {
      grid.current = null;
      redraw.current();
    };
    const observer = new ResizeObserver(([{ contentRect }]) => {
      size.current = { width: Math.round(contentRect.width), height: Math.round(contentRect.height) };
      afresh();
    });
    observer.observe(canvas.current);
    document.fonts?.addEventListener('loadingdone', afresh); // that of the labels may come late
    return () => {
      observer.disconnect();
      document.fonts?.removeEventListener('loadingdone', afresh);
    }
  }, []);

  const values = Object.fromEntries(curves.map(({ key }) => [key, forms[key](last[key])]));
  const summary = history.length > 0 ? fill(table.chart_summary, values) : table.chart_empty;
  return (
    <>
      <ul className="gpu-stats-legend">
        {curves.map(({ key, color }) => (
          <li key={key} style={{ '--gpu-stats-color': color, '--gpu-stats-curve': color }}>
            {fill(table[`legend_${key}`], { value: values[key] })}
          </li>
        ))}
      </ul>
      <div className="gpu-stats-chart">
        <canvas ref={canvas} role="img" aria-label={summary} />
      </div>
    </>
  )
});

/** Draws at the screen's own resolution, which may have changed with the zoom or the screen. */
function paint(canvas, size, grid, data) {
  // Before the observer's first call, or at a last one, while the panel is taken away.
  if (canvas === null || size === null) return
  const { width, height } = size;
  const context = width > 0 && height > 0 ? canvas.getContext('2d') : null;
  if (!context) return
  const scale = window.devicePixelRatio || 1;
  if (fit(canvas, size, scale)) grid.current = null;
  if (grid.current === null) {
    grid.current = document.createElement('canvas');
    fit(grid.current, size, scale);
    const below = grid.current.getContext('2d');
    below.setTransform(scale, 0, 0, scale, 0, 0);
    drawGrid(below, width, height);
  }
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(grid.current, 0, 0);
  context.setTransform(scale, 0, 0, scale, 0, 0);
  drawCurves(context, width, height, data);
}

/** Gives a canvas the screen's resolution. Whether it had another one, and so is empty now. */
function fit(canvas, { width, height }, scale) {
  const pixels = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width === pixels[0] && canvas.height === pixels[1]) return false
  ;[canvas.width, canvas.height] = pixels;
  return true
}

// What the service sends, brought into one shape and checked, so that nothing behind it can throw on bad input.
//
// A GPU is the object of GET /gpus. A reading of the old service (/gpu/stats, /ws/gpu-stats) is brought into the same
// shape, with `legacy: true`: there 0 may stand for what the hardware does not tell.

/**
 * @typedef {Object} Reading what one body says
 * @property {?string} version of the exporter; null of the old service
 * @property {number} timestamp Unix seconds by the service's clock
 * @property {Array<Object>} gpus objects of GET /gpus, each with `legacy`, after `merge` also `kept`: the last object of
 *   this GPU that had readings, where this one has none, or null
 */

/** A longer answer or frame is none of the service: 1024 GPUs are less than half of it. */
const MAX_TEXT = 4 * 1024 * 1024;

const MAX_GPUS = 1024;
const MAX_ENTRIES = 256; // of a section; the longest real one has some 40
const MAX_STRING = 256;

const NUMBERS = [
  'temperature', 'utilization', 'memory_used', 'memory_total', 'memory_utilization',
  'core_clock', 'memory_clock', 'power_usage', 'fan_speed',
];
const NAMES = [
  'name', 'vendor', 'type', 'uuid', 'pci_id', 'driver', 'driver_version', 'vbios', 'source',
];

const STATES = ['ok', 'partial', 'asleep', 'hung', 'gone'];

// The entries of a section: keys that are numbers, and the one, if any, that holds limits by name.
const SECTIONS = {
  sensors: { numbers: ['celsius'], limits: 'limits_celsius' },
  memory: { numbers: ['used_bytes', 'total_bytes', 'reserved_bytes'] },
  power: { numbers: ['watts', 'average_watts', 'energy_joules'], limits: 'limits_watts' },
  clocks: { numbers: ['hertz'], limits: 'limits_hertz' },
};
const FAN = ['fan', 'rpm', 'duty_ratio', 'min_rpm', 'max_rpm', 'target_rpm'];
const PCIE = ['width', 'max_width', 'transfers_per_second', 'max_transfers_per_second'];

/**
 * Reads a body of GET /gpus, parsed. A GPU without identity, or with one that was there before, is left out.
 * @returns {?Reading} null where it is none
 */
function readGpus(body) {
  if (!isObject(body) || body.schema !== 1 || !Array.isArray(body.gpus) || number(body.timestamp) === null) return null
  const gpus = new Map();
  for (const gpu of body.gpus.slice(0, MAX_GPUS)) {
    if (isObject(gpu) && isIdentity(gpu.gpu) && !gpus.has(gpu.gpu)) gpus.set(gpu.gpu, readGpu(gpu, gpus.size));
  }
  return { version: string(body.version), timestamp: body.timestamp, gpus: [...gpus.values()] }
}

/**
 * Reads a body of GET /gpu/stats, parsed.
 * @returns {?Reading} null where it is none; else one GPU whose `gpu` is ''
 */
function readStats(data) {
  if (!isObject(data) || number(data.timestamp) === null) return null
  const { timestamp } = data;
  const known = (key) => (/^unknown$/i.test(string(data[key]) ?? '') ? null : data[key]); // the old word for absence
  const gpu = {
    name: data.name,
    vendor: known('gpu_type'),
    driver_version: known('driver_version'),
    source: data.monitoring_method,
    // The old service made values up where it could read none, and said so here.
    simulated: data.monitoring_method === 'simulation',
    state: 'ok',
    up: true,
    timestamp,
    primary: { ...data, driver_version: known('driver_version') },
  };
  return { version: null, timestamp, gpus: [{ ...readGpu(gpu, 0), gpu: '', legacy: true }] }
}

/**
 * Reads a frame of a socket.
 * @returns {?{kind: 'gpus'|'stats', body: Reading}} null for every other frame
 */
function readFrame(text) {
  const frame = parse(text);
  const form = isObject(frame) && FRAMES.find(({ type }) => type === frame.type);
  const body = form ? form.read(frame.data) : null;
  return body && { kind: form.kind, body }
}

const FRAMES = [
  { type: 'gpus', kind: 'gpus', read: readGpus },
  { type: 'gpu_stats', kind: 'stats', read: readStats },
];

/** JSON of the service, or undefined where it is none or too long. */
function parse(text) {
  if (typeof text !== 'string' || text.length > MAX_TEXT) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined // what cannot be read counts as not sent: who sends nothing else is silent
  }
}

/** Whether a GPU has any reading now. Asleep, hung and lost ones have none. */
function hasReadings(gpu) {
  return NUMBERS.some((key) => gpu.primary[key] !== null) || gpu.fans.length > 0 ||
    Object.keys(SECTIONS).some((key) => Object.keys(gpu[key]).length > 0)
}

/**
 * What is shown after a body: `previous` itself where the body is older. A GPU without readings keeps its last ones in
 * `kept`; a GPU that is no longer told of is forgotten.
 * @param {{timestamp: ?number, gpus: Array<Object>}} previous with the timestamp null whatever comes is newer
 * @param {Reading} read
 * @returns {Reading}
 */
function merge(previous, read) {
  if (previous.timestamp !== null && read.timestamp < previous.timestamp) return previous
  const before = new Map(previous.gpus.map((gpu) => [gpu.gpu, gpu]));
  const gpus = read.gpus.map((gpu) => ({ ...gpu, kept: hasReadings(gpu) ? null : lastReadings(before.get(gpu.gpu)) }));
  return { version: read.version, timestamp: read.timestamp, gpus }
}

function lastReadings(gpu) {
  if (!gpu) return null
  return hasReadings(gpu) ? gpu : gpu.kept
}

/**
 * The service's clock now, by the last body and the time since: the browser's own may be wrong by hours.
 * @param {{timestamp: ?number, received: ?number}} snapshot of the feed
 * @param {number} [now] in milliseconds
 * @returns {?number} Unix seconds; null before the first body
 */
function serviceNow({ timestamp, received }, now = Date.now()) {
  return received === null ? null : timestamp + sinceReceived(received, now)
}

/**
 * Seconds since the reading of a GPU was made.
 * @param {Object} gpu of `snapshot.gpus`, or the `kept` of one
 * @param {{timestamp: ?number, received: ?number}} snapshot of the feed
 * @param {number} [now] in milliseconds
 * @returns {?number} null where it was never read
 */
function readingAge(gpu, snapshot, now = Date.now()) {
  if (gpu.timestamp === null || snapshot.received === null) return null
  // The old service tells no age, and its body has the time of the reading: there only the two clocks can say.
  if (gpu.legacy) return Math.max(0, now / 1000 - gpu.timestamp)
  return Math.max(0, snapshot.timestamp - gpu.timestamp) + sinceReceived(snapshot.received, now)
}

function sinceReceived(received, now) {
  return Math.max(0, now - received) / 1000
}

function readGpu(gpu, position) {
  const primary = isObject(gpu.primary) ? gpu.primary : {};
  return {
    gpu: gpu.gpu,
    index: Number.isInteger(gpu.index) && gpu.index >= 0 ? gpu.index : position,
    ...pick(gpu, NAMES, string),
    simulated: gpu.simulated === true,
    state: STATES.includes(gpu.state) ? gpu.state : gpu.up === true ? 'ok' : 'gone',
    up: gpu.up === true,
    timestamp: number(gpu.timestamp),
    age_seconds: number(gpu.age_seconds),
    primary: { ...pick(primary, NUMBERS, number), driver_version: string(primary.driver_version) },
    ...Object.fromEntries(Object.entries(SECTIONS).map(([key, form]) => [key, readSection(gpu[key], form)])),
    margin_celsius: number(gpu.margin_celsius),
    fans: list(gpu.fans).filter(isObject).map((fan) => present(fan, FAN)).filter((fan) => 'fan' in fan),
    throttle: Array.isArray(gpu.throttle) ? list(gpu.throttle).map(string).filter((reason) => reason !== null) : null,
    pcie: isObject(gpu.pcie) ? present(gpu.pcie, PCIE) : {},
    legacy: false,
  }
}

/** A section: only entries that have something, in them only what was read. */
function readSection(section, { numbers, limits }) {
  return byName(section, (entry) => {
    if (!isObject(entry)) return null
    const read = present(entry, numbers);
    const allowed = limits ? byName(entry[limits], number) : {};
    if (Object.keys(allowed).length > 0) read[limits] = allowed;
    return Object.keys(read).length > 0 ? read : null
  })
}

/**
 * An object whose values went through `read`, without those that became null. fromEntries: also a key such as __proto__
 * is only a key.
 */
function byName(object, read) {
  if (!isObject(object)) return {}
  const entries = Object.entries(object).slice(0, MAX_ENTRIES).filter(([name]) => name.length <= MAX_STRING);
  return Object.fromEntries(entries.map(([name, value]) => [name, read(value)]).filter(([, value]) => value !== null))
}

/** These keys of an object, each of them. */
function pick(object, keys, read) {
  return Object.fromEntries(keys.map((key) => [key, read(object[key])]))
}

/** These keys of an object that are numbers. */
function present(object, keys) {
  return Object.fromEntries(keys.map((key) => [key, number(object[key])]).filter(([, value]) => value !== null))
}

function list(value) {
  return Array.isArray(value) ? value.slice(0, MAX_ENTRIES) : []
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isIdentity(value) {
  return typeof value === 'string' && value !== '' && value.length <= MAX_STRING
}

function number(value) {
  return Number.isFinite(value) ? value : null // of another type: never finite
}

function string(value) {
  return typeof value === 'string' && value !== '' ? value.slice(0, MAX_STRING) : null
}

/**
 * The GPU that a name means, as the service understands ?gpu=: its label or uuid without regard to letter case, or its
 * index, tried in this order.
 * @param {Array<Object>} gpus
 * @param {?(string|number)} name
 * @returns {?Object} null where there is none
 */
function find(gpus, name) {
  const wanted = String(name ?? '').toLowerCase();
  if (wanted === '') return null
  const by = (key) => gpus.find((gpu) => String(gpu[key] ?? '').toLowerCase() === wanted);
  return by('gpu') ?? by('uuid') ?? by('index') ?? null
}

/**
 * The GPU to show: the user's choice, else the one that the application wants, else the one shown before as long as
 * there is something to show of it (a card that falls asleep does not make the panel jump to another), else the first
 * that can be read, else the first.
 * @param {Array<Object>} gpus
 * @param {{chosen: ?string, wanted: ?(string|number), before: ?string}} names
 * @returns {?Object} null without any GPU
 */
function choose(gpus, { chosen, wanted, before }) {
  const same = (label) => gpus.find((gpu) => gpu.gpu === label);
  const previous = same(before);
  return (
    same(chosen) ??
    find(gpus, wanted) ??
    (previous && (hasReadings(previous) || previous.kept) ? previous : null) ??
    gpus.find((gpu) => gpu.state === 'ok' || gpu.state === 'partial') ??
    gpus.find((gpu) => gpu.index === 0) ??
    gpus[0] ??
    null
  )
}

var orbitron = "data:font/woff2;base64,d09GMgABAAAAAC4YABQAAAAAZxAAAC2oAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAGoF/G5sKHCg/SFZBUoRnBmA/U1RBVHQnJgCEWC9gEQgK0jy+JguCeAAwuiIBNgIkA4VsBCAFh0AHg2MMBxspWhNuDDdsHMAGuPNAoqhXg1Nq8l8nb4V0G9TP0uik5WxD3d21rSq5wyIVzIqHd0LQ4BUSba/YM938WMuCEfa80/V+8qDvzpMNs/SFxNI3Fh+hsU9yDSI3mz3gRFRAgyYqGsBYgyUKWJJXBNI0Fg4VkxgExQKi+EpMaaaUpqZ03wRTPr2bN6aWrzX/fkvh4dd6fuf+Zmd2X3uCsVm6iIjFZsjdIOyPc70Pkoaa0vEHhk0BOtJT7mBTGsiNhSYGnr4/+J299zVB+Clq+tB4APQIQ4o4oPbnaVv/ZxiYGSpURlQGQTcSc7dxa3z4q4Pr7P6odN/7vqhv4Waru2wAJhZDS6QOw/8jN/68wKStNIa2iL/pv378zeN3CYZxERVGHvik0v8b08amsfynNfO9mczl+v/MTq6AqFph6ji7c8keFRBlUgZhWg/kAB0IR8LV9f9MTds/mFtpeZRt4pJC5JPgkOnQi+eYispPrV+/OzOLxcxgAXDJM4FdgvH0BBz4dMDi+O4InmwsqADA8SgHhRDolBFoPfKiQkqdU5Vjl0LtouncuXPf2cYqdcBrc2pdgkaJzbf13f77fCdhcJY701VSCWKDTUVuxW7y5q92P8bUijPZXb5xImGecgKhvu18IGDBz8v/ameh4IfAAwQ8eIHAB74I/AUiCBWOIEoUghgxCOQSECh8hEAtE4HWcASj5CMoVILAwoLAqhqBgxPBPp1YOOggFgiARhQAMUCIAgEB0GyzPAABrv1O+h4+8gemZxZCiyvhSDQWT6TW0plsLl8olsqV9Q2hKpLZHNqDy/PiC/w+TTV0fZPVZnds3r6jrXv/wR6tblg+YygyjrVWVIGAAGpqIAB4iKBG6b6NKgDf8d1VBz7YAPDhgwRAQNX8bKiDqLv6PAoLysUUOYoGO/Hzc0FIW0gQMoc3ssY/EHcv6ml4i3pfvt/QD2/9Ky/3vr93N7p85LP7HtaBtzZbh0WKUneCQIG+874P4/bf5vtm88LU3uejFyGjUzNqNCZ1HwyAoAY6YOzyrVKJUxfB1uzBq/DmwOrlqO0ky/AJtN2lIPz0wsAe2BPzcR8cjMU4BMuwHMfhJJyC1ThTDjuPWr83DgH87hBs7OPW6SAKXBBcWxcdQPk28TE9RU/MI7wf32fvEt11J9wRSv5HPs/P0bP9LDi6E7O/2ev2rJ24B1ybL8cVsH5bLSt/gfPNaCZqRL2m05tmHa11tayC8mHOy37xU8yJpkgMb7zX6wsESgSe4MEbPvDTh78gwcRChJKIFC3GQHKDJEqioJIsg5qG1ggjZcmmxzAoUMjIpJSZRTkrG7uabuxopgXWYsEAPLHyA2xPCPs1goHAi0NgS7QBhF+gkdzwGkNbGJAFvEqG4qtA+QWcYxcNL2O7yFJQFz93adGTAV4oA15xYenIZTy4adatZgZpkdLOnNptPnl1soLnU3wkS+cqNenTHS8ARgLKZIHnLdlAhsV+UQgoYSx+5TO7AkUspXVxOdD1rNngaEuvAXg0A+BDUarF/QERsEiNd5TC2NKazlK429mSrQFeM/jKaFp1o979Ew2eZ294WkwfUSE2GAksGUQKuGBGKMQxSyMLUzlxp546WijtGtRMLBrODGttRRS4tA+SgZsoA4dqoyHSkNWGpZKNw52ugLhZrNzMgsvBpu9IB0sn5GR4vaAu0Stc2xPqV2Vf1KhgtyksMmtsBO5k1uIzgE3YfdpjB9cVnN4jSJ7w9dXh8VUQXF4OqKOVcoSGR8qsSGYnsUEWctDYOrZIK4I2kE5OTS6OmVNSQzVg5Cmh5CeewFp4XcSGRuCZJZsAQfTgsYwFz+M5IOCCN5JbuMQywOM0Q/HqUFh6/hsOyCUZOjrivV+RLtJFtpqtrC3f3qwsNehbLYw8U1xk2IX3idvrfaP7e+iMzDoYS4ucqUL91xApDYYlokjJGyqZ70X/wv7AXqcLgjbIwpSlUwDSGzoVBUhnLzwEFDUDwGbMQV5C2OByk0vgosGhcJo6PesIoFfIdgcwyFRBBchCIKOwd1xFXZuuqWbvwhQz4do587JrG1QGlOUC6gjH4ghIohPqruPX4kJGUV42koHzdubbzEN6QAtr8g72kdxZm6lLB0MDnNO0wPnCiO6blgkAWRpmuEGIpjPrs4oPC1uidMI8ZvZaAM3KS3TuWjeZSB25J1ycJi6Q6VjGR3gw1uCPcAbWWmkNOBxOqDeV9UMRHmeJ7CT3oWB6GjSxch5tagQQHwknX4Ekg6UmTbJ1ODEY1TGAfeZ2czB20qGYYN+niXAW0q/sZMCF0sg3rBwHOlY8AFPqkw4YTkghfAbSbrsvux9DFzgL6cWiwe+PMWalR5lbd4slg8y0Kn//Fr3PpWIOh+YC3C+DXLsLAfsVzdfjwJ41H+Oa2CXNn2nmDX9gp7XjlsiIsNr49vBMpbMF0+8tuSXMxMsNIv9Ly4QsTrhAaFMoTNKWM2lohO5LVnnDbAA5OyDCWmAdBwiKUNBMPjIa1kw9EzBSsvoKLMlwxDCzS/EluJ9rpERdN9TQ6ENZDVyGSnJpRZyGKaA/XKBfhPtgGY7GYsxH0mIKihYKA5SLwEXMl5Abktx/0tH2Y+myS0hhlO1N/Z2OpZ9KZM1zgaF2clCEdXgYSt0RC54fZnO7ZKC6aS/tPEE+rMgiaaQaTvNZ9MwC6rDsCjljYekdf9Z0DkAK9pU0MAsJsx4gH6aNQUnnH6iYxrMfLSBRNlDpjC2mnSU/OcD/AkCAU5BSsEdMpUbsB1QElbKG2tEwdko6Sz/0dMP/KoW9FyRydJqcsz+LAOReZDbwCJyDRrVmI7SJ+EFiw/G+53a01ckjF1EYNFXxKbtA34L2BDxyWlCPk9DI9jYEQYABF0gDnN4OrkQHiRokNcBFDcShke46TvZSSAZSP2Y6cfZekNb+QHxfEEVfGz4MQESAhAsckA+LIoi6RFI8U8MIJIhDusDAtlCM5HtqWiIYcN1AwD9NI5mRxIXSKLFJlgKbpYWRzS1ih6zJcIEhVZBKsNrTp0hhizgQlYJ6LQyqTqJo3FC5gXgAHMVFmJyHBAEgEyMsQek7phDSJSKShvABxKlIDhw6qXyQ5WujRCJAQtUVQDZgBMC7GQC/CwRagBgLgzpJRNEQkSyACBB8gUJiFY1lthaEmFdjSoTiBzCvyDDylrXMkB1uX6fUYQqsZ7X6wV2zpVco5kMAId+Fm4vS/AH66idw9b4l/UlIyYQZIFyESFGr+Oax4sRLWMmlMrRPkSrNYEN8JH1Fl5lhc52hhhm+rH/2UXLkypO/tu+piFGx0cYYq8S4JV6Whc0rVKpSvc5/e9eq41TvYw0auYzXZIKJJplsiqmmmW6GZjPNMtscc80z3wILLbLYEksts9wKK62y2hprrbPeBhu1aNVmk8222Gqb7XbYaZfd9mj3iQ57r5seiv0OOOiQTx12xFHHHHfCSQTAbQSA9zmcWC9fbxpHSMHfq4c5nA9Eey2/OLzPt+0pPG8gwPcBPavOESP6Bbe1QXcAeOHN8Kvuih/ylD87sHM2tTVW4ADUoiwGZMfzE5PElKCXboYqgAb57xQa4jzJ04C/eQPg9i3qDYAAAKXLHoAEBQICLggAERqAGDXhV7WLAIA3xKIoqI3CAkARQlYAdRpAAIBQ5E+5L4sqrmbn7cthSdbQrDl5IPA4ryLs0Puzr2MCWz5PfVXKxe3tXd9t/qsDFAAWABGWy695NqUDaKhxQCFeqnGm26HdAYcdddxtj7zwq7+984FMhiGv5tN8XoTFYnElXxiaaWSamVbm+aefKAKJBGlKbdVuP5u2zrnjiVd+9+9FYTDe/pMxMw30kQIDvkcvAORDFoX36/TBWQu8+xNmhRnhBeFFYWBhavg3uGnBslA8/8vczxFoACY7fQH4BgAAX4QifBIQqtAAQIYhO9pghnXmarNbu/UrLzvHZlOiO9m8FSp3ri0N9fb8719fVL6nqPLLf4n5llrp8C8BD9Uiey22y0bNWm1yQodZOKDAggfYoMGFF3y9pBXoHd3+BnhEHp7SWyV4wZxSmcG+L/iRNC2mMw33eVa+p3OLjPVuvCSlt6n2Z6laAiiCY+QPPop6KYiHK+SLInQSBNnkYZUGwLmHnbRA4eEgVoDCQ6EDivVUdjCw6fN/7P+JAQAvCcDDAF4RXQLwt4nNAP4DAAbm/zuFRLIaZ7PED1+TWfoYdKKjtCA4F+S3mmGObMD4Jailqz81u2fnSUvLppQxbVKMNHX6YQ6anfhJEMC+BjZuqeOOMeKR6NOcNFzLmS5XcPkkKYZJaGeHYngceElaSkZJcIrIcD8vmZKOuqwbopqUjbVSnJRt1pIUpHSZq0WtuUJSTl1ci5NoeTwbfi3aXEGpzvlLoZjd7qNJadqV7U73iR2f6Fv6WqtU1RGltjZjmmXnO7iFZlTsvHVTvOySXaNDVCHlrSf8kM9ZOSy5PLC1JBYucL0LPXS+ou5c+5lD+6i12MxIGe25RHxLIJU9mg0BPgI8IrKlp1k6j4u0N8XZcKg7h7PVB2QptFOSnJezsmzyaOtsYqeGqPdRxiIzkdOI9ZliIfW5KYRZtwyrsPynJKSifF1hYFmsTk20qqGuZYU6TcVQfRi+tNEtio2bwNssR/LMlG7asj3mNm6u6I5Dbq7DlefPLrgxzA9gveOEnO2nhg6+1DXG+tRGJngh4/dJj01tgD+hT2+zk7/92YyIEXbktlWg84zwmuvXCqYr9YHbddsO3Vq1e/s/F94qfT1KbtlMbZRG9TS7A+1mOBtvNEoeyRhxMCLn3g0Znh4hqc86sT7QywxvuFN2CaQ94OZQwPFeckM3tcT1rComOL2zyz0bHe/Wt38X4zGplbddMWqHJyVlPsTjXN18NnWPlEI63Nk1ORltQ0/v1HpR6m3mUS54jaw5Ryt9c0VrqM6MTXSLnuiarKrRZNiBQozIlmVSIUocsGlBfDUdlXn6FWUmnBUMaoUa6FyEyZy19B7cQHg0qq4ynQtlXrsLpvod8PjmjApaEb30sSm7PzES+nQ6T6TnZzvGdzRrbqJlgDV0FNna9jtdTsOo9GJpUCE1Mgm1++Wbtog+lOsH74HOatlU86R2N7Yp6pjwM6JX4iRkdY1sDDCzbymcgjFfv5cHMsQl65K2LQ0HPgcfFI5HTDBONgK+uqTHOwvk4pPvTM0uepYahWAzgxWzErOBzHpx1hw7BChX6GTg+8Q5BfVzcbf+jSX4gnkuHtMSkbNXl/GlPvPz6t6MFtiK37RgfTREL5kr52SvympNd6Phjv5vsbQ+q7BmRXpW2cKcRsZdM0LHMBWZbjJ9SnW1XE6e7Sj6ytZaQ9Y2OQspWaT6zDkVKa8XF8ok1DKo9bBSIfmSfD0xJI+SO0YIx8dQt+UubgSqMLJZaKHBYZBqHmYx51iGy0h1bvUcx3MwFTzmLJWCnrjOgFTMlHRCD6kv4LQsBnIop5wr386A19Eaa+ryWfB3BfqFXGhNBiEjAvpV5ie4J02Yn+brbCYOB5QureejUagFgvYzX4pRpQEu+6zdutaWMtEVg74MHcH2wXTJ0puYlpsaxxTKH5JM6WSSnEljwTjjI3YVw8PF/kO358NohxgQSjS/QbkiYicsz9+wnutQznA9N8C8bkPL+oGWSvZx2/zObQOHpdh4ZARXafMBDZgma6jnHLIhAVj71D0BAysGpXqeskZ9di4iSwqHYdFMGM3LbyKxtVxuGLHPySZQ9OCP1+tGVI49RaB91rRYEStmc+gbPU5frWgpF9tmmQS5nFXtwIzw3w7rY6H5iqT1ZC7F0ddKdrpT1bZMCllx5UG32xdpubbXD3K/sBhTyLrPhaeldIHuo9fowu1bfU6hfecepBVLe53S11Jnr7RY7xHnoc83xkFYKXzdJgAdfZpt0Kt/uc3c/kWtX7n2QcXInME9qeNLNvLtY/NLA9tHOMUT8q+yvR+tFgqGXRAWCTc2DajSqcSBkeI1RbpIX9RbU8cgrae4Vb5iVP6lG+IrZSl7YGVMaKpyGiH6kNEe4aFDDIt9ziC1R59RUkwPI5LQ9Bw2po5bnapPTRfri3tra42+80qvJvLK2EpiU4t9l4HUO/rmGXqk9DhjyuszOXv0rhHzhOvhhKDRpa9sg06Bjp86lrvbZ97THNms77toyu1iqfkv6T3pX2aph3fEOFpVIbynyx/zCswbMKMoxqQ/yvdLsuGHvvYfA0gXW7F3mrRYL34M2zRJRsltPI53jwVRgBlqfY8+YwY6MVWnGNhr/xqXsfV2aX2zs7l0y21Eg3O76G7mncyyU7Ins7iTHP6qsm5AHEis4Quq/4v6N6paQ1zEFrV7Q9RAkHV+XEBpn9LSm1eAJDgbBdCTy5JwS8209O7bZl2l8AHzQNYp6Hqgn72no5tAZ4z3dkfvpPvN0ZQLhj4SMsPsr/6p9AlLohcqUMzZOSy9jJQ2S8fqOyQzgDfJkSbsu6y+z9yf8pB5iJWyrs1ls88y1AOGlqXlxC6RSQzv6HkwIkuAraDEQlmvUzZ5s6H/M///gdVfwWC/b1Mzm0WyV6paPi+zbKyKU7kK6S6mS/JGXVBAx+j0+8EUG5p6AU7+AcNflgZnDGdktFlGNe7IYCBTNDy29ct/HISWcCSkRg1sLQMcXMgsLCljyqCC7r0UhV36LmGT8HdvdxmeJ/6okQH1HorgU980VP0SI0Xcc+hVpb21xfO2LYPBZM6qkG9Ufo2Yh+Q853wTmVxuFH6Nb2bzPs8HMfeTS0eBrgncYcwwNcQnhzSX4Q4So6vksTVaC32htwHLiGJZpKJIRq2+FovTbTuiHj+Mdo9MTWGmXJHbnjK8hlr41xwtRGjhQubs/8z/k7rJ+8z9VMGEumLT5xciQ2sWvKlPllmthQe+1Bbv339yv+Nq547O0U+1wx+9vPUScSC/h/8eTBynnp1+VkN+D/4jnDhOf3vqW6z5GkvYkb7B3FBCU6JT6JlQof7PmXkmr2LjkGjyhTb6J7bshSLZr8V6UPFZtyVaEXmNLIZncNXNqTn9ur4HqeATOHWyPtFwRMyImeBP9Dd8LcZNDPbDlhYahP3lnvnmRwRfH9EVJ8gQZJ3tr8jMvbL1fHvW/OigPWxuDN7iZG/JjydLrtQz9SdfemFpkcjpECaEIerImuY/MphicrWwapyTOmlZBwPWX7yUzX5t8FGxFUOwWzAskHua931hJXgwHvoyUSNqpN+qQ/TP3bv/ilbP9QHeubY90Y5rDCIYVUeQjhI2W0LigTvoK9EED4lWiq9NkXbLaKDwS3s2BLCE0vRDtXZbKmfhAVMWnJMJ5b8Ppb7yTiS22X1dGRnhGJiaf6W9aavUm+AwHP1NNrSenAODbQlsuI4YGe2U+gkrhRfbOKeADTHQRdrixuivjxRLFBcXNea+k3QCk/AvpZxkQc9OnvQJ3qsTi/1DxIEhIf7ikECsSoMmbvS0FXF9c1cltDAbV8QH5a6MGz01M37MZORB2VHBzBj2bDdzPnmHPmUHp5I0M5P6eVuYE4oOxhJh02jeW7C6DdmgYf9jXFX17+PgnqnXUU6/sbLA5H0ho83SEMPsoxfHCWFCkAJG/CgnNoil9Qger5fiXHqJHT+Zv9tJN2WvQWPQdYyGJBGSakPbkIkCfY0YZcPOp6XPtxsmAxXurFtw5Dqm/43RyrWGdXeQ9h7MPAbKd2BGf0d3QA+PW8T9hbLgXH3Tg7IcMj1Q/o8HhuYNbTQeMLkDSW8PrA8n3gdaLGGW/PytH2l1G7S1lNbaGFuVzWCrsJql3hjeCCuFFe2G9qp2pr3Wlb5h3iC0AY1zFy1QsvO585n5bw1vOzaYt40PL8/tmLvy54H1YzR0vdJHun7pepkv3tXINN6QzqDhpQ8WVglv/NxZV0+3pxrE1DqL/9dXnoEbEFQKtwqbBDcQCcb2u42xXZBuWrzUHCATGARXHt9u4QUzY/69h0F7OVo3MBs2MhvbmLZW8K6dCcb1V1qvhzmql9uW2xUbr62/WmRX2qAPvqaJp4zonc3jX0vSTGA4DPtaJQ9ulGYcr41KV35jwToBVn5rUbQxg6g/wzR0O2UxkVXh7WFRw2XDw4Ik8dHy/lgIR9eYEzVXiwSTjCoKROYmtUJWIM27hccAiRhK274KZ0ehVJRiiBeudktLT+MRPGZapwyZ9rpW3xUvGJte8XHxqpYvfGDW5H534LTiCwHTmd/3PgoYE7tIaUXotFaxONeWbJCt8FZcz8VcejGze27uiAWj/nkT8ZX+a1658x0ghkcb8DkECSJ0dUv/bmbqYQSLBDPNCeIEhu4vcBUWiRdh9wqVB0oWyWAJqy2gbMAZ5gwGzQgkgvctAYn2yhbppYsQd0B5eU2bkL8gD/zTND21enA1gtcEvA9QBSslLrimYQ9lD4GBxqjdrdTJNXJlRGZaTNDSIzBImTkEdYsiWvLCW1A0DYyOaQ6gIhAAHujcdkvu3nz/ttXu02vd6H1AOYh4WRqHIFo+NfAyxQcvVXx8bLkZ+795p9o3389Ruw+WG1aoG7zakjjAmxUJ3qRIfFzrZuVgrdyot7y3vLfcUjBeZSUj6AQl2apjCr9e66beB5SDUXW3A5+iHRgLDNYYUPh1y01ylM1g5328GfZf1fs06YZV6AKPsYyVg6PfqmK0ihMUfr3WTcpBy2rkjgMwWCWg8OuWmyxHabUesI/Fnb5Pu3U0ycZIPuPggccRPOjmQ+WBQ/+LgIzHlfU75Jz/r1ez/pHzAACA/j/SgMVjrWfl03omTbnQs1tKv7o01eOA6sqhpHwaNxGkJ3AAeW8e8A2rL9+BPyC6A22QUsDisrqpsJpmrVc+rWPiE5qLJNyDQHEwNbu8lkXOlXfJUuKFNZL61ZmVOhWeUl7LIvXdMMGQBDqp40O2+6uNfFen/zZ3RQJaCKlWzS3NU8rTCreq18NBNSWfQyxeFjmYd+nYmNbPROjIWo/mqANU2p54Wj7NOiU3RyH+50W2BFd3G8nsCVdpxPerdhEiAAgIQJY4BQBZBvBCBLkkqTIMla1ai0+d8MBXfvC7v72LF1GENrJDH8VhCmtMieWxMTriRJyLL+P7+C16421SVHgOTWeuzVv5OH/ON/lfgUWzfCusUmtk5ZWpmmpqza6FtbzWVmtdrS/r/ybs0M7oYZ3TBT22P+6Nva9P9IW+1t19v5/2j/1Blk7MDBntVE3tuGbyNM+8OTYP5rUMwcEi8Sni+8Tvgr8FA8HzwVBwkfAREVKqnMpIB/k68j0kp86q+2SJ6qR2UV+k/qkH9Zi+Rj2hVqkM9U/eJj8if4v8M/LfmX+ZF8x1+YxcWFgstt9O2xW7TlZIkt1yHlfxGE/xDG/xTv6qaEOPa5tv8BN+zR/1p/7y8A1/W/nusTx5dUXdrN6p3qs+pn6z+uvqn/k/+n/6Z/yLfsSf81fqs952gQcDaifAFBDSG5NJYoobFWjMRh4wYr08CAIZueaolqUiDLmHhqbtbg+2XEK6tAyh7TPDwzOFIBmCvackkl2qClhjr3riAJiROKKXgj+Ixate3nIObsO5kdeMjMy2vEYTPisMt0z3QQgCHHDaGjH3xkugbZFvMlUVruCYqQzV0+KSffqjKnDb58bG5uS1RJbScqG4LiiNaaGgr88BgQA4SAh1sABblgJqMVEcUfkGRB475oYmUqeQbJS3HC/1m2E67OyZ48f76p88gH4BaxThjaFYEbxsQKa41CxQpvmpp5AKTAJyxw7QuIFESEqrgtpa+xrKIyA4SeAHlSsFThngPg/ulwHsdku1IKbPiOzhRAuFIjww4+nc+DbCiksenGpZLqE4ynOCfyF9fY65zQ0UgAYLuYeEoc0eaEHY9BsiPzP47qzDwf1QIzCnnQV59RyxWYJ8GSgue+RRuGQyC2hKQk1luROpSbl8lqLOp9xurh9raUGSO9CJsOnpk0MDCsCSp/qx3zCaA3Sp3Fm5nMsNHqiMXgB6uCOiU+wWP7fgyFRSkziHhpBkckjWBb/jXHkWyWHrurwRar9VkBuBlCAjtmynDORK+DipnQ82D+QMkgBVyCCiK6+zZdZ5jUd/oqvPPElIwJ7O9JCckpDsW+VszK1Ja6Qtx5aFAh9a2LZNxjgqYwFtbrkOVu0skFy+fLYKOViuEPkZWx9AA9udYg3IVFm2jys4H3FLQb7L8UhCoQ4haQZHT9HJgEMwUqmpKXVYlfi217bOjY7OqQJ27eEKnnjrWKdS/hUmPJ5qOYrI42LT04vF5RLyTpMRW1qa5D6G0GcLvrSBIIIWfBiGoQtqu6yBKNs6MuEMKJadVEFhYahL32qYctg5Dr72g46ApaHi9fSyfuZ/udzVinM+5oLfo6bJAbEa9aJ52D0HH1LsJR4olfMKxSXpXg5JOuAuggNIchc6EVw5qUUSzM3S6El79c4mh4NDUE1w7D0JLgKmWwB1l1jHueA3p5Bk9/Awkkw5I9QPhG5RgHX5fyRXJmB0dG5VEJhR1qMgy44FLyR5do2JUVZHiNQC4gHElL0sG6R1hDgyMiv+46VbA1H0j1hHTvSIzlok+cMN0SOVqzHSlFP8jIMFdo3R9Qa9C5FvzkSL/hbViF0pCkJxxWqPra0s268q82YSWJahrmHAMG0yQWgqQIosV5lVIaQOXwaKuVkglPMQ4BgADFIKdf1KojRaZaz5+2VY1oMbzHy5X5FYq9OTE4WBTkD4g3dWBSEnLHSPyAyySX6mI0Ht8oXA1XBDb/FlV6E25SwWnYFvMNcVVbEzrJ21eeR8ogRjY/PgBRgudi0XEzCG8gJiXPLj/BjdryUr4ZIoJsLM/MfaXbCqClD640BU5uuQ5mCwjT5RNyyoKnalIPw5mgdZ2XKCQpVCcISdygJb04+NFSClkpwddx0ImaAbVwGzCPlUlQGrmmyfhfjU0X12O4zFuMZ1FcvmH0ul0zLZtfxrhuMwhwNd96D9KTMzoF+nFZZbsCqT0Ntr67Aj9RiMYVEIWO9DJJUpRnZZdWfPPvz58Kr6+vWE9QRS6E6+lTEGZEZyg5VipiCftkrBFwtreNtG8ITjtFBctcjwFUKfK5zETg77h1os4NKGIEDsQ8rKzIqxX08a6X++5NxhmzHXeBQ5ip2VbT0snc/JsY1mPsJIjCXLEV5me+WuaprIIAk8EUBhEox6I4YZtsIjjE3JipFhNYRXiAKBIx9WhzW+SQc45aapTVFKmleLVc6cQaZaXPWox2LHo5b4zMxSji+jqMz7RMkKDkej6guUH+wbbG3YpPuPUSJb1poo2jcdTsQLLx/FK7783dOn7+Y7ZVgPFqn0F6vFFB/LbYBYWxenaDoTGh8PcbFq4qSxiAWmQgFrXy21b/EQZDkJXnzPHlGTZQIoMzciFFehPYk6YclB+rERMKiC2LQ28eWqgqYU1H8R8vUPmiOs8uVAw1Iqd908efdvK6ve3DZIojTGIfieP+WUk0DgcTMn7iOICZnsCu50XU6YhI6uSXAq16FpXeTtl8HKfN0oIlnmTEiR+r3v7QKDihcMdtTWhl9FjNZH4mnVCBMEF/xe5HE1yQ6v16d9LMsZ+rYDVDFSnKdytC+4Ep+9hkEf3QO/hF8Sd8+eLpr9NrlEE87sZlkOyVQtzSuxEidLsZXmBlW/fyOead/W33/pSyPpe7NcsB0FUBkyH4At73jH3hSX2IhNTkIndm7uTCsVlLsCRX19VVEVvCSQ4jbui8d92nrjNfJ6m61ik9dwmS+LIp8JBCAmwolTdtlgSvO7fzd57RMzCSdOWO8MDNyJTw0OTllPII3B7I+slf1yhXjMu+LzMKTZxXOy+qSpqViA+K5lPpXJ5deJAFPH1gFo9bP7dy1PgQ/WoAd+JXqJcqvYU4YelzhD2zjkrMqkEwV0a5EobEP8ydK3ZnIeE2luj/6lj0Wvd6HQ1KTi7dvd+Q5lDhipUCR7VAnM6PQO66kJuWS6yazFIsfdLlJZKN9LdhHzguL43ZWiIH04DpXIG7yxc2CTAWIVAmr6V0tUiQjfA1Wylf5WivbxASDAWIyu5BUArR5CqBTXkks5KhSSyT2BK0m19jwWGKu1ZPxoiUC321wPfEkRjjJECFpe2yaLXlIqTzzzzIRFgXPB8phPJvnH9h7Zr7QzmzpYltHyfAqbSxJ1xO4Cy4GkP9TnqyJrBBZtWxMEW3bWYYQ2RFarBw4wdaTAkTrKrcHRNknpZVphQAVCFbmRwo29nSbofYqsfkHz2mL5TpoKr6OElbiJ18pY+PDtG/Q5p/HpeyTVrsNxOUQHwDGU6jBQLHYhr6AkHE6ICP9zgCdra0+oXeFdunLjzs5OzeIZwF4RiYSJhR0sZnqQwpog9kSvKBT0cfES2cxrwpM9mgmavClBrTy8dy/3jsoS1j4AKuHu6c6MpOpwVMlLxRxN54oPtpsPEaTbt2dmoS6d3ru3duvr9oIJaKS9fTv/8KaazmbN6psPc7efh/pJYQGA3iZWUUPl0cZGfNnZfXYIiJeRlCmZ3JCeObaj69ixWwMMh2qy2X37bt7UahG/NK2NtHECKbZhXycLR0ibV8eDCsV43kTqpGCi0IV0W+C1x0jiVMh5XriFYNfJrVMMfh7T0lsmkNabD4IyelDvkcSpESQdPx1iUAB1A86+jqiLNrZtxWLTpu5Dh7o3GSlQ1zqlmUTb734cCQjEhE8iK5cEckeeoYt2uT7ubxHd5dEZzBsFujYC4+OhGLWZYePKUKLFadexcMtM3FooTHJeo+Pgwe7u8HvscmhZZrM8ERqHSF19WTCTqEL08R9kD+Kil+1SC7CK9YpAqIQfRxUsmH2mce3C2hPniGHV0T96iB/pJL6p9l9V7zzGMB1v+fjHFTOrherF6ZW8cIGAyTWaLFQP26sqtt3Y/Mm3dX6cSj8+P/RVA45FJ/3+JGK+g+2VBZezG+dDHGWSx2yHsVe6Def83ST8bcGbIrvM0sxwNZIqKjy4FkmGyoyup9eGuAb2V4zEM7qsxiYmm1HpNNRnSVOvdN2Vlt26qEdvMD9q8DfxvvnYJn/DI8YxRQs66MWi90IkZCRxhTAlfQ3UPkZ6J5vrFuGSGBNHWdCxJWMCH1SnnMYOy7dRM6oxzslnjPz4BnepwUDsIm7I/QYjyXUShoYH9FRwJRqLD9xJtTK69GSCXonYbEn69sCbTL+aajnciQTKlvOJ4nKijCDVzy8nli8ujFlhmzW/iHzPVseMjc1XellG9Ouoe99ugZhaJCD9wXF9by3/4tFHum5Zd97D7AM60i+vRC7Grl6N0Q9Y2BKz91+p4BVEnRZnLTFjV9tnMoBZaP1nhUQUy4sCtKn5RtteeyOvdnK6bLZRnFEoVhSKu2JTNnsxy/EJMvHoV9mDTfXzVxIL6RNi+CwE5heTg5yn484oGG4J1GEQYfX1HDk/3wb3rNoUh+o8wAqN8GZ/nh7wPCmNdQKcaOutkEwuZ2lAinqb1azXanscSryRzc76faVryGhTW7YmDkW6Bh0aTJi/tOQlnrdqKGqslVARKh+7nl5htPuDL5yZ6D7zwgff7Op+M780G3zW2SU+GApHeoZDQX7//h/9YfBZ/vCj/Tuk9ddhB4cOO6nqvTTPR9eKsXSx5J65mI4V16I82tJ9wP2np72tn/6T+8AWhSLMaJWRHp9PG1W0QaVAR+Lufu+nvTeCkze8n36v21HgNZv0tYCEMPMn5jYpQELEIugs8MVJDCR0HMDUs0QyGt1SlMSpc0+oXbtSe8obFKkgHTGbTTWWDVw0Uin+57Uh/7wpvLbi81VaAUNfnk5lA8l1L9yslAZYmPnnY2up1KA77OJU/daeazEwEIv5/Y+mpnzMUXGsWCIWiyzZ3LybRf5uDimJxLy7tKjOLkbW1rlCtZiamAjdH0fz+yF4g8OxpWMulESqD7Zot1+4cWPiArNdxUVs5trmYUwSnUrgsuDFGG/WzovqAoGFdDCWgQDYnnvuQSX6Inb5byD+ffZ1NJiVuuZmndIu+v2i3e02Xr8374uWH4hv/vp1vT5689//vhl1j/NgsaAOze/Ob9onTHgv9AbI7x/E7ek7dZs5hLlcJxmV14ztRabF1A1/XtE/LzAcubio17dTn17k/NNTZpFBqRweL0G8avoDV6kfqVSJSvXGWFnyl8ibCEHyM0ZR/0rJZKl6zUffE3lrcfNiWVKTVNcnowZ5KDQ9reGRzBByeg18Y6W9hcNTojiDiJiXpuCj6GRqzTd4hKSnAtnIeMsBeP1eiCQ1e1T0FwDBk3HkLe9L6N6vPZCnmF+ENQBurs8gAF58GFZ3vIQcVt0AGhQAgAA/+p/glJL6b6GPvpdfrFP7k2h10u607TZUqzZ4VVJwVBpp8x7u9W26pdAg1UMaQHpH88A3Fb3eYLNCpK6XC22Vsuq3OYSq4MVEuX2BXDK1/uUnzd9EJZkfhZ1WfrGVi9sIkneUUtIcpcg7LZTTSuNzTBJ0Hew7hythl1lPOXtFTxuVHor20BCURav5kX7t8ZlnURO3yd6lmuPks/Khx9lIMRuoUqKBLumUsJlS4+s9HKNpG8D/xAvDxrhxi0H2JNVqdnvOR1jpUjfNfYqWPRVSZw0WS5MZIslDVl1gsQ6ejuxzae7uPbm79Z8d+qTRiv0ocENIxhM0xQWH+FMkQEqk+kYqKX2oIpI0HAyey1SrOoex1IhvhSrtpHaPMi6DvcYBEcINYvUXNlNJV0Q2L0XmIF+b6TLKvOU30+38Gd2RJzhkjX57VcKqqbaDcjOl5JhY/yl8mAJ0Gt1BC1EnFP3LI864y7rBKj0wJCdYfU+W1ST5k9ED8QiAUww40GLPg6RSu/IPBRYI2xNAb67LEIEwx0MU+KRDslplCLEhSUGIg6CkcXqmBB3Bh8I3UwjgjaeoIrZ9hCKlO8SC0NkQG1wcDXHgZ2eIBg8t0qMeQ4iLUFNDnpAZE+IhiDrkhQHEf37eEAPyNChj49LAqU4sDQeLcjW6O9TEBLcYuTO9B+txfNVPrkGFWrYD5SArH8+ml1kqm3ElU78FN2pp22cjXW+02F0vTXxho3INbCPu0sE4jdwhuXPyhVWJl2eYUQ4Rw6si8ZZqUDSQDeUko1AiUZyEWn9Q8Vok5dk/boPlypNrqME1/YnKBVK7qQcmhdsmrmidbAqJgiFUzOZO5gtuN8jyslSm8YBq2t6IRFT/rMbgVrFlpcYro+JyTrXik6kKjiYtTnnFDFXWcz5OjSYnMcGGdUc2dlM2nZ8jMSyX+snmsqidoLT6Mv9FMnEovDzKD20SPTKnAAPccE0Zt3KdVggXwSpSlArX3dT1s0/mv+Uz3W7vXeKV6fvtcUeVe/Y7sIVp8/seqPZwGxP/Me1Ix6aGg12dWluDdAZZ39P4x7uZ3Edc25Sqx29p4hOTnLRZiU9O8YM7m+TCsPl0zWaasb3p8n9y0ri9Ug+cLwFChNqLjR1ktpvPBzT8ZPCCN0zM0qkJ9yrFNWGCAx6+J/zawhwemIuPX/3mOAmp/iy4COOJBWYrHZtwCE08CJd4Eh6W0VrqsReeeOrl6/g/toSEngT20L8NznecO2n3Hvm/5lZb8X+i5TwtP8a7hKFbbce8PZ6u3w7rUdrWPZYPp95eCgAAAA==";

/*! Orbitron: Copyright 2018 The Orbitron Project Authors (https://github.com/theleagueof/orbitron), SIL Open Font License 1.1 */

/** Colours of the holographic design. */
const colors = { cyan: '#00d4ff', green: '#00ff88', orange: '#ff9500', red: '#ff3b30', grey: '#93a7b3' };

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
const look = `
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
`;

// What is told of a GPU that is not simply well.

const NOTES = {
  partial: { severity: 'warning', emoji: '⚠️', text: 'state_partial_explained' },
  asleep: { severity: 'info', emoji: '💤', text: 'state_asleep_explained' },
  hung: { severity: 'error', emoji: '🚨', text: 'state_hung_explained' },
  gone: { severity: 'error', emoji: '🚨', text: 'state_gone_explained' },
};
const FAILED = { severity: 'error', emoji: '🚨', text: 'state_failed' }; // metrics.md 2a: awake, and all readings failed
const UNREAD = { severity: 'info', emoji: '⏳', text: 'state_unread' }; // the last reading is too old to be served

/**
 * What the state of a GPU calls for.
 * @param {Object} gpu
 * @returns {?{severity: 'error'|'warning'|'info', emoji: string, text: string}} `text` is a key of texts.js
 */
function noteOf(gpu) {
  if (gpu.state === 'partial' && !gpu.up) return FAILED
  const isUnread = gpu.timestamp !== null && !hasReadings(gpu);
  return NOTES[gpu.state] ?? (isUnread ? UNREAD : null)
}

/** The warnings that a reader is to hear of when they are new: alerts, and that a GPU is lost to us. */
function warnings(gpu) {
  const note = noteOf(gpu);
  return [...(note?.severity === 'error' ? [note] : []), ...alerts(gpu).filter(isUrgent)]
}

/**
 * Why a value is a dash, as a key of texts.js.
 * @param {Object} shown the object with readings, which may be the last ones of a GPU that has none now
 */
function absence(shown) {
  return noteOf(shown)?.text ?? 'absent'
}

/** Colour of each state of a GPU. */
const stateColors = {
  ok: colors.green,
  partial: colors.orange,
  asleep: colors.cyan,
  hung: colors.red,
  gone: colors.red,
};

const minis = [
  { key: 'utilization', name: 'GPU', form: percent },
  { key: 'temperature', name: 'TEMP', form: celsius },
  { key: 'memory_utilization', name: 'VRAM', form: percent },
];

/** All GPUs of the host at a glance, to choose one from. `choose` gets the label of a GPU. */
function Overview({ gpus, shown, choose, table }) {
  const list = useRef(null);
  useEffect(() => {
    const box = list.current;
    // The chosen card into the middle, where it is out of view. Not by scrollIntoView, which would scroll the page as well.
    const centre = () => {
      const card = box.querySelector('[aria-pressed=true]')?.getBoundingClientRect();
      const view = box.getBoundingClientRect();
      const isSeen = !card || (card.left >= view.left && card.right <= view.right && card.top >= view.top && card.bottom <= view.bottom);
      if (isSeen) return
      box.scrollLeft += (card.left + card.right - view.left - view.right) / 2;
      box.scrollTop += (card.top + card.bottom - view.top - view.bottom) / 2;
    };
    centre();
    // The font may come late, and all cards before this one grow by it. From the user's first move the list is theirs.
    const leave = () => document.fonts?.removeEventListener('loadingdone', centre);
    const moves = ['wheel', 'pointerdown', 'focusin'];
    document.fonts?.addEventListener('loadingdone', centre);
    for (const move of moves) box.addEventListener(move, leave, { passive: true });
    return () => {
      leave();
      for (const move of moves) box.removeEventListener(move, leave);
    }
  }, [shown]);
  return (
    <div role="group" aria-label={table.choose_gpu}>
      <ul ref={list} className="gpu-stats-overview">
        {gpus.map((gpu) => (
          <li key={gpu.gpu}>
            <OverviewCard gpu={gpu} pressed={gpu.gpu === shown} choose={choose} table={table} />
          </li>
        ))}
      </ul>
    </div>
  )
}

const OverviewCard = memo(function OverviewCard({ gpu, pressed, choose, table }) {
  return (
    <button type="button" className="gpu-stats-card" aria-pressed={pressed} onClick={() => choose(gpu.gpu)} title={gpu.gpu}>
      <span className="gpu-stats-card-name">
        <span className="gpu-stats-index">#{gpu.index}</span>
        <b>{gpu.name ?? gpu.gpu}</b>
      </span>
      <span className="gpu-stats-card-state">
        <span
          className={`gpu-stats-state gpu-stats-state-${gpu.state}`}
          style={{ '--gpu-stats-color': stateColors[gpu.state] ?? colors.grey }}
        >
          {named(table, 'state', gpu.state)}
        </span>
        {gpu.simulated ? (
          <span className="gpu-stats-sim" title={table.simulated_explained}>
            SIM
          </span>
        ) : (
          <span className="gpu-stats-card-label">{gpu.gpu}</span>
        )}
      </span>
      <span className="gpu-stats-minis">
        {minis.map(({ key, name, form }) => {
          const value = gpu.primary[key];
          const style = {
            '--gpu-stats-color': band(key, value)?.colour ?? colors.grey,
            '--gpu-stats-share': Math.min(1, Math.max(0, (value ?? 0) / 100)),
          };
          return (
            <span key={key} className="gpu-stats-mini" style={style}>
              <small>{name}</small>
              {form(value)}
              <i />
            </span>
          )
        })}
      </span>
    </button>
  )
});

// Small parts that the others are made of.

/** An emoji in front of a text, which readers leave out. */
function Emoji({ children }) {
  return (
    <span className="gpu-stats-emoji" aria-hidden="true">
      {children}
    </span>
  )
}

/** The heading of a paper or, as h4, of a part of it. */
const Heading = memo(function Heading({ emoji, children, level: Level = 'h3', orbitron = false }) {
  const subheading = `gpu-stats-subheading ${orbitron ? 'gpu-stats-orbitron' : ''}`;
  return (
    <Level className={Level === 'h4' ? subheading : 'gpu-stats-heading'}>
      <Emoji>{emoji}</Emoji>
      {children}
    </Level>
  )
});

/** A chip in one of the panel's colours. */
const Badge = memo(function Badge({ color, children, ...props }) {
  return (
    <Chip
      className="gpu-stats-chip"
      size="small"
      style={{ '--gpu-stats-color': color }}
      label={<span className="gpu-stats-chip-text">{children}</span>}
      {...props}
    />
  )
});

/** A dash that says why there is no value. */
function Absent({ reason }) {
  return (
    <span title={reason}>
      <span aria-hidden="true">{DASH}</span>
      <span className="gpu-stats-hidden-text">{reason}</span>
    </span>
  )
}

/** A share, held within 0 and 1. */
const within = (share) => Math.min(1, Math.max(0, share));

/** A glowing bar from 0 to 100 with its name and value above it. `word` says in words what the colour says. */
const Bar = memo(function Bar({ emoji, label, value, text, color, word, absent }) {
  const known = value !== null;
  const share = within((value ?? 0) / 100);
  const meter = known && {
    role: 'meter',
    'aria-label': label,
    'aria-valuemin': 0,
    'aria-valuemax': 100,
    'aria-valuenow': share * 100,
    'aria-valuetext': word ? `${text}, ${word}` : text,
  };
  return (
    <div style={{ '--gpu-stats-color': known ? color : colors.grey }}>
      <div className="gpu-stats-label">
        <span>
          <Emoji>{emoji}</Emoji>
          {label}
        </span>
        <b title={word}>{known ? text : <Absent reason={absent} />}</b>
      </div>
      <div className="gpu-stats-track" {...meter}>
        {known && (
          <>
            <div className="gpu-stats-fill" style={{ transform: `scaleX(${share})` }} />
            <div className="gpu-stats-light" />
            <div className="gpu-stats-tip" style={{ transform: `translateX(${share * 100}%)` }} />
          </>
        )}
      </div>
    </div>
  )
});

/** A number with its name below it. `remark` is told by its title. */
const Tile = memo(function Tile({ label, value, text, color, absent, remark }) {
  const known = value !== null;
  return (
    <div className="gpu-stats-tile" style={{ '--gpu-stats-color': known ? color : colors.grey }} title={remark}>
      <dt>{label}</dt>
      <dd>{known ? text : <Absent reason={absent} />}</dd>
    </div>
  )
});

/** A row of the details: name, value, a thin bar where there is a share of something, and more in small letters. */
const Row = memo(function Row({ name, text, color = colors.cyan, share = null, note }) {
  return (
    <li className="gpu-stats-row" style={{ '--gpu-stats-color': color }}>
      <span>{name}</span>
      <b>{text}</b>
      {share !== null && (
        <div
          className="gpu-stats-thin"
          style={{ '--gpu-stats-share': within(share) }}
          role="meter"
          aria-label={name}
          aria-valuemin={0}
          aria-valuemax={100}
          aria-valuenow={Math.round(within(share) * 100)}
          aria-valuetext={note ? `${text}, ${note}` : text}
        />
      )}
      {note && <small>{note}</small>}
    </li>
  )
});

const alertLooks = {
  error: { color: COLOURS.critical, emoji: '🚨' },
  warning: { color: COLOURS.attention, emoji: '🔥' },
  info: { color: COLOURS.normal, emoji: '⚡' },
  success: { color: COLOURS.optimal, emoji: '✅' },
};

/** A message in a tinted box. It is no ARIA alert: that one is told once, when it is new. */
function Message({ severity, emoji = alertLooks[severity].emoji, children }) {
  return (
    <Alert
      severity={severity}
      role="note"
      icon={<Emoji>{emoji}</Emoji>}
      className="gpu-stats-alert"
      style={{ '--gpu-stats-color': alertLooks[severity].color }}
    >
      {children}
    </Alert>
  )
}

/** The status as the old panel told it, and in its place the state of a GPU that gives no readings. */
function Status({ gpu, table }) {
  const word = gpu.state === 'ok' || gpu.state === 'partial' ? status(gpu.primary.temperature) : null;
  const color = word === 'healthy' ? COLOURS.optimal : word === 'warning' ? COLOURS.attention : stateColors[gpu.state];
  const value = word ?? named(table, 'state', gpu.state);
  return <Badge color={color}>{fill(table.status, { value: value.toUpperCase() })}</Badge>
}

function Section({ emoji, title, children }) {
  return (
    <section className="gpu-stats-section">
      <Heading level="h4" emoji={emoji}>
        {title}
      </Heading>
      {children}
    </section>
  )
}

const limitsText = (limits = {}, form, table) =>
  Object.entries(limits)
    .map(([limit, value]) => `${named(table, 'limit', limit)} ${form(value)}`)
    .join(' · ');

/** What a GPU tells beyond its primary values, one section per kind; a kind without a reading has none. */
const kinds = [
  {
    key: 'sensors',
    emoji: '🌡️',
    entries: (gpu, table) =>
      Object.entries(gpu.sensors).map(([sensor, { celsius: value, limits_celsius: limits }]) => {
        const limit = lowestLimit(limits);
        return {
          name: named(table, 'sensor', sensor),
          text: celsius(value),
          color: sensorBand(value, limits)?.colour ?? colors.grey,
          share: limit !== null && value != null ? value / limit : null,
          note: limitsText(limits, celsius, table),
        }
      }),
    after: (gpu, table) =>
      gpu.margin_celsius !== null && <p>{fill(table.margin, { value: celsius(gpu.margin_celsius) })}</p>,
  },
  {
    key: 'power',
    emoji: '⚡',
    entries: (gpu, table) =>
      Object.entries(gpu.power).map(([domain, power]) => {
        const limit = power.limits_watts?.current ?? power.limits_watts?.max;
        const more = [
          power.average_watts != null && fill(table.average, { value: watts(power.average_watts) }),
          power.limits_watts && `${table.limit}: ${limitsText(power.limits_watts, watts, table)}`,
          power.energy_joules != null && `${table.energy} ${energy(power.energy_joules)}`,
        ];
        return {
          name: named(table, 'domain', domain),
          text: watts(power.watts),
          color: colors.orange,
          share: limit > 0 && power.watts != null ? power.watts / limit : null,
          note: more.filter(Boolean).join(' · '),
        }
      }),
  },
  {
    key: 'fans',
    emoji: '🌀',
    entries: (gpu, table) =>
      gpu.fans.map((fan) => ({
        name: fill(table.fan_number, { value: fan.fan }),
        text: [fan.rpm != null && rpm(fan.rpm), fan.duty_ratio != null && ratio(fan.duty_ratio)].filter(Boolean).join(' · ') || DASH,
        share: fan.duty_ratio ?? (fan.max_rpm > 0 && fan.rpm != null ? fan.rpm / fan.max_rpm : null),
        note: [
          fan.target_rpm != null && fill(table.fan_target, { value: rpm(fan.target_rpm) }),
          limitsText(fan.max_rpm != null ? { max: fan.max_rpm } : {}, rpm, table),
        ]
          .filter(Boolean)
          .join(' · '),
      })),
  },
  {
    key: 'clocks',
    emoji: '⏱️',
    entries: (gpu, table) =>
      Object.entries(gpu.clocks).map(([clock, { hertz: value, limits_hertz: limits }]) => ({
        name: named(table, 'clock', clock),
        text: hertz(value),
        share: limits?.max > 0 && value != null ? value / limits.max : null,
        note: limitsText(limits, hertz, table),
      })),
  },
  {
    key: 'memories',
    emoji: '💾',
    entries: (gpu, table) =>
      Object.entries(gpu.memory).map(([memory, sizes]) => {
        const { used_bytes: used, total_bytes: total, reserved_bytes: reserved } = sizes;
        const share = total > 0 && used != null ? used / total : null;
        return {
          name: named(table, 'memory', memory),
          text: total == null ? bytes(used) : `${bytes(used)} / ${bytes(total)}`,
          color: (share !== null && band('memory_utilization', share * 100)?.colour) || colors.cyan,
          share,
          note: reserved != null ? fill(table.reserved, { value: bytes(reserved) }) : '',
        }
      }),
  },
  {
    key: 'pcie',
    emoji: '🔌',
    entries: ({ pcie }, table) =>
      pcie.width == null && pcie.transfers_per_second == null
        ? []
        : [
            {
              name: pcie.width == null ? '' : fill(table.pcie_lanes, { value: `×${pcie.width}` }),
              text: transfers(pcie.transfers_per_second),
              note:
                pcie.max_width == null && pcie.max_transfers_per_second == null
                  ? ''
                  : fill(table.pcie_of, {
                      value: [
                        pcie.max_width != null && `×${pcie.max_width}`,
                        pcie.max_transfers_per_second != null && transfers(pcie.max_transfers_per_second),
                      ]
                        .filter(Boolean)
                        .join(' · '),
                    }),
            },
          ],
  },
];

function Throttle({ reasons, table }) {
  if (reasons === null) return <p>{table.throttle_unknown}</p>
  if (reasons.length === 0) return <p>{table.throttle_none}</p>
  return (
    <div className="gpu-stats-chips">
      {reasons.map((reason) => (
        <Badge key={reason} color={COLOURS.attention}>
          {named(table, 'throttle', reason)}
        </Badge>
      ))}
    </div>
  )
}

/** Who the GPU is, in the words of the service: names that no language changes. */
const facts = [
  ['gpu', 'GPU'],
  ['uuid', 'UUID'],
  ['pci_id', 'PCI ID'],
  ['driver', 'Driver'],
  ['vbios', 'VBIOS'],
  ['source', 'Source'],
];

/**
 * The inside of the fold-out. `gpu` is the GPU as it is, `shown` the object with readings (the last ones, where it has
 * none now), `age` the age of these.
 */
function Details({ gpu, shown, age, table }) {
  const known = facts.filter(([key]) => gpu[key]);
  const said = alerts(gpu);
  return (
    <>
      <div className="gpu-stats-first">
        <Section emoji="🔧" title={table.system_status}>
          <div className="gpu-stats-chips">
            <Status gpu={gpu} table={table} />
          </div>
          <p>
            {fill(table.last_update, { value: clockTime(shown.timestamp) })} ({age})
          </p>
          <dl className="gpu-stats-facts">
            {known.map(([key, name]) => [<dt key={key}>{name}</dt>, <dd key={`${key} value`}>{gpu[key]}</dd>])}
          </dl>
        </Section>
        <Section emoji="⚠️" title={table.thermal_alerts}>
          {said.length === 0 && <p>{table[absence(gpu)]}</p>}
          <ul className="gpu-stats-alerts">
            {said.map(({ severity, text, value }) => (
              <li key={text}>
                <Message severity={severity}>{fill(table[text], { value })}</Message>
              </li>
            ))}
          </ul>
        </Section>
        {!gpu.legacy && (
          <Section emoji="🐢" title={table.throttle}>
            <Throttle reasons={shown.throttle} table={table} />
          </Section>
        )}
      </div>
      <div className="gpu-stats-columns">
        {kinds.map(({ key, emoji, entries, after }) => {
          const rows = entries(shown, table);
          const more = after?.(shown, table);
          if (rows.length === 0 && !more) return null
          return (
            <Section key={key} emoji={emoji} title={table[key]}>
              <ul className="gpu-stats-rows">
                {rows.map((row, i) => (
                  <Row key={`${i} ${row.name}`} {...row} />
                ))}
              </ul>
              {more}
            </Section>
          )
        })}
      </div>
    </>
  )
}

// The one connection of the page to a service: a socket, and fetches beside it where the socket gives nothing.
//
// It begins with /ws/gpus and GET /gpus. An old service has neither: its 404 leads to /ws/gpu-stats and GET /gpu/stats, and
// where a Content-Security-Policy forbids the fetch, two sockets that were closed without a frame do. Every reconnect
// begins with /ws/gpus again. Where sockets are forbidden, or silent as those of the old service, it lives on fetches.

// Milliseconds.
const SILENCE = 5000; // the service sends a frame at least every 3 s
const EMPTY = 5000; // so long a service that has just begun may know no GPU yet
const OPENING = 10000; // a handshake that takes longer leads nowhere
const REQUEST = 10000; // and so does a request
const POLL = 3000; // between fetches where no frames come
const FIRST_RETRY = 3000;
const LAST_RETRY = 30000;

const MAX_PRELOADS = 64; // GPUs whose recorded history is asked for
const MAX_IDLE = 8; // feeds without a subscriber whose last values are kept

const ROUTES = {
  gpus: { socket: '/ws/gpus', fetch: '/gpus', read: readGpus },
  stats: { socket: '/ws/gpu-stats', fetch: '/gpu/stats', read: readStats },
};

/**
 * @typedef {Object} Snapshot never changed, only replaced
 * @property {'connecting'|'open'|'waiting'} connection waiting: for the next try. Open is also a service whose readings
 *   come by fetches alone
 * @property {null|'unreachable'|'service'|'silent'|'address'} error service: its socket opens, and closes without a frame;
 *   address: the base URL is none, nothing is tried
 * @property {boolean} legacy an old service: one GPU whose `gpu` is ''
 * @property {?string} version of the exporter
 * @property {?number} timestamp of the last body, by the service's clock
 * @property {Array<Object>} gpus see frames.js
 * @property {Map<string, Array>} histories by `gpu`, see history.js
 * @property {?number} received Date.now() when the last body came that counted
 * @property {number} frames of sockets that counted
 */

/**
 * The base URL of the service: what is given, else what was set when the application was built, else the host of the page
 * with the service's port. A path below which a proxy serves it is kept.
 * @param {string} [baseUrl] absolute, or relative to the page
 * @param {{href: string, protocol: string, hostname: string}} [location] of the page
 * @returns {?string} without a slash at its end; null where `baseUrl` is no address of a service
 */
function resolveBase(baseUrl, location) {
  const isWeb = /^https?:$/.test(location?.protocol ?? '');
  const given = baseUrl || buildTimeUrl();
  if (!given) return isWeb ? `${location.protocol}//${location.hostname}:5009` : 'http://localhost:5009'
  let url;
  try {
    url = new URL(given, isWeb ? location.href : undefined);
  } catch {
    return null
  }
  const protocol = url.protocol.replace(/^ws/, 'http');
  // fetch refuses an address with a name or password in it.
  if (!/^https?:$/.test(protocol) || url.username || url.password) return null
  return `${protocol}//${url.host}${url.pathname}`.replace(/\/+$/, '')
}

function buildTimeUrl() {
  try {
    return process.env.REACT_APP_GPU_STATS_URL // Create React App replaces this by the value
  } catch {
    return undefined // no `process` in a browser: nothing was replaced
  }
}

/* global globalThis */
// Of the page, not of this module: two copies of the panel in one bundle share their feeds all the same.
const FEEDS = Symbol.for('gpu_exporter.panel.feeds.1');

/**
 * The feed of a base URL (as given to the panel; undefined: the default): the same object for the same service, for all
 * panels of the page.
 * @param {string} [baseUrl]
 * @param {Object} [outside] everything outside of the module that a feed uses
 */
function feedOf(baseUrl, outside = browser()) {
  const feeds = (globalThis[FEEDS] ??= new Map());
  const base = resolveBase(baseUrl, outside.location);
  if (!feeds.has(base)) {
    const idle = [...feeds].filter(([, feed]) => feed.isIdle());
    for (const [key] of idle.slice(0, Math.max(0, idle.length - MAX_IDLE + 1))) feeds.delete(key);
    feeds.set(base, newFeed(base, outside));
  }
  return feeds.get(base)
}

function browser() {
  const page = globalThis;
  return {
    WebSocket: page.WebSocket,
    fetch: (...args) => page.fetch(...args),
    setTimeout: (...args) => page.setTimeout(...args),
    clearTimeout: (id) => page.clearTimeout(id),
    now: () => Date.now(),
    random: () => Math.random(),
    document: page.document,
    window: page.window,
    location: page.location,
  }
}

/**
 * A feed. The first subscriber connects it; after the last one nothing of it is left but its last values.
 *
 * `base` is the URL or null. `subscribe(listener)` -> unsubscribe and `getSnapshot()` are for useSyncExternalStore.
 * `preload(gpu)` asks for the recorded history of a GPU, now and after each reconnect; again and again does no harm.
 * @param {?string} base as `resolveBase` gives it
 * @param {Object} outside
 */
function newFeed(base, outside) {
  const { document, window } = outside;
  const subscribers = new Set();
  const timers = new Map(); // by what they are for
  const preloads = new Set(); // GPUs that a panel shows

  let snapshot = Object.freeze({
    connection: base === null ? 'waiting' : 'connecting',
    error: base === null ? 'address' : null,
    legacy: false, version: null, timestamp: null, gpus: [], histories: new Map(), received: null, frames: 0,
  });
  let attempt = null; // the present one; null: closed
  let retries = 0; // since the last frame
  let refusals = 0; // of /ws/gpus, one after another, while no fetch was answered
  let isBehind = false; // the listeners do not know the snapshot yet

  // ---- Listeners ----

  function subscribe(listener) {
    const subscriber = { listener }; // the same function may come twice
    subscribers.add(subscriber);
    cancel('close');
    if (base !== null && attempt === null) open();
    return () => {
      if (!subscribers.delete(subscriber) || subscribers.size > 0) return
      // Not at once: StrictMode, or a page that replaces another, subscribes again in the same moment.
      if (base !== null) after('close', 0, close);
    }
  }

  function update(changes) {
    if (Object.keys(changes).every((key) => Object.is(changes[key], snapshot[key]))) return
    snapshot = Object.freeze({ ...snapshot, ...changes });
    isBehind = true;
    tell();
  }

  /** Nobody looks at a hidden page: its panels are told when it is visible again, once. */
  function tell() {
    if (!isBehind || isHidden()) return
    isBehind = false;
    for (const { listener } of [...subscribers]) listener();
  }

  // ---- Opening and closing ----

  function open() {
    document?.addEventListener('visibilitychange', onVisibility);
    window?.addEventListener('online', retryNow);
    retries = 0;
    refusals = 0;
    begin('gpus');
  }

  function close() {
    document?.removeEventListener('visibilitychange', onVisibility);
    window?.removeEventListener('online', retryNow);
    end();
    preloads.clear();
    update({ connection: 'connecting', error: null });
  }

  function onVisibility() {
    if (isHidden()) return
    tell();
    // Timers of a hidden page are late, and its frames may come in now: the silence is counted from here.
    if (attempt.socket) watch(attempt, attempt.isOpen ? SILENCE : OPENING);
    retryNow();
  }

  function retryNow() {
    if (timers.has('retry')) retry();
  }

  function retry() {
    conclude(attempt);
    begin('gpus');
  }

  // ---- One attempt: a socket and what is fetched beside it ----

  /** @param {boolean} [isOld] the service has answered that it knows no /gpus */
  function begin(path, isOld = false) {
    const isAnswered = attempt !== null && attempt.isAnswered; // until a fetch says otherwise
    const emptySince = isAnswered ? attempt.emptySince : null; // the same service goes on
    end();
    const mine = {
      path, isOld,
      socket: null, isOpen: false, wasOpen: false, isSilent: false,
      frames: 0,
      isFetching: false, isAnswered, // by the last fetch, and no frames came since
      isFirst: true, // no body yet
      emptySince, // when the first of the bodies without a GPU came that come now
      requests: new Map(), // AbortController -> its timer
      preloaded: new Set(),
    };
    attempt = mine;
    ask(mine);
    dial(mine);
    show();
  }

  function end() {
    if (attempt === null) return
    hangUp(attempt);
    for (const [controller, timer] of attempt.requests) {
      outside.clearTimeout(timer);
      controller.abort();
    }
    attempt = null;
    cancel('retry');
    cancel('poll');
  }

  /** The connection as it is now. */
  function show(changes = {}) {
    const { isOpen, isAnswered } = attempt;
    const connection = isOpen || isAnswered ? 'open' : timers.has('retry') ? 'waiting' : 'connecting';
    update({ connection, ...changes });
  }

  /** What is wrong where the socket of an attempt is gone. One that was closed after its frames is no error yet. */
  function conclude(mine) {
    if (mine.isAnswered) return
    if (mine.isSilent) show({ error: 'silent' });
    else if (mine.frames === 0) show({ error: mine.wasOpen ? 'service' : 'unreachable' });
  }

  // ---- The socket ----

  function dial(mine) {
    try {
      mine.socket = new outside.WebSocket(base.replace(/^http/, 'ws') + ROUTES[mine.path].socket);
    } catch {
      lost(mine); // forbidden by the page, or no sockets here: as if it had been closed
      return
    }
    watch(mine, OPENING);
    mine.socket.onopen = () => {
      mine.isOpen = mine.wasOpen = true;
      watch(mine, SILENCE);
      show({ error: snapshot.error === 'unreachable' ? null : snapshot.error });
    };
    mine.socket.onmessage = ({ data }) => {
      const frame = readFrame(data);
      if (frame === null || frame.kind !== mine.path || !isNewer(mine, frame.body)) return
      mine.frames++;
      retries = 0;
      mine.isAnswered = false; // the frames are enough
      cancel('poll');
      watch(mine, SILENCE);
      take(mine, frame.body, { frames: snapshot.frames + 1 });
    };
    mine.socket.onclose = () => lost(mine);
  }

  function watch(mine, time) {
    after('watch', time, () => {
      if (isHidden()) return // judged when it is visible
      mine.isSilent = mine.isOpen;
      lost(mine);
    });
  }

  function hangUp(mine) {
    cancel('watch');
    mine.isOpen = false;
    const { socket } = mine;
    mine.socket = null;
    if (socket === null) return
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  /** The socket of an attempt is closed, could not be made, or has not said anything for too long. */
  function lost(mine) {
    hangUp(mine);
    // A service that is away refuses as an old one does: where frames of /ws/gpus came before, only a socket that opened
    // counts. The price: where the fetch is forbidden, one that was replaced by an old service is known as such only after
    // a reload.
    const mayBeOld = mine.wasOpen || snapshot.frames === 0 || snapshot.legacy;
    if (mine.path === 'gpus' && mine.frames === 0 && !mine.isAnswered && mayBeOld) refusals++;
    else refusals = 0;
    // One that was an old service before is so again, most likely.
    if (refusals >= (snapshot.legacy ? 1 : 2)) {
      refusals = 0;
      begin('stats');
      return
    }
    after('retry', delay(), retry);
    if (mine.isSilent || !mine.isFetching) conclude(mine);
    show();
  }

  /** 3 s, as ever; then growing to 30 s, each client at a time of its own. */
  function delay() {
    const longest = Math.min(LAST_RETRY, FIRST_RETRY * 2 ** retries);
    return retries++ === 0 ? longest : longest * (0.5 + 0.5 * outside.random())
  }

  // ---- Fetches ----

  /** Asks for the readings, and again every 3 s as long as answers come and frames do not. */
  async function ask(mine) {
    mine.isFetching = true;
    // Also beside the old socket: one that came to it by refusals may have a new service before it after all.
    let path = mine.isOld ? 'stats' : 'gpus';
    let answer = await get(mine, ROUTES[path].fetch);
    if (mine === attempt && path === 'gpus' && answer.status === 404 && mine.frames === 0) {
      if (mine.path === 'gpus') {
        begin('stats', true);
        return
      }
      path = 'stats';
      answer = await get(mine, ROUTES[path].fetch);
    }
    if (mine !== attempt) return
    mine.isFetching = false;
    const body = ROUTES[path].read(answer.body);
    mine.isAnswered = body !== null && mine.frames === 0;
    if (body === null) {
      if (mine.socket === null) conclude(mine);
      show();
      return
    }
    if (path !== mine.path) {
      begin('gpus');
      return
    }
    if (mine.isAnswered) after('poll', POLL, () => ask(mine));
    if (isNewer(mine, body)) take(mine, body);
  }

  /** A request of an attempt. Whatever goes wrong, and whatever is no JSON, is an answer without a body. */
  async function get(mine, path) {
    const controller = new AbortController();
    mine.requests.set(controller, outside.setTimeout(() => controller.abort(), REQUEST));
    try {
      const response = await outside.fetch(base + path, { signal: controller.signal, cache: 'no-store' });
      return { status: response.status, body: response.ok ? parse(await textOf(response)) : undefined }
    } catch {
      return { status: 0 } // forbidden, unreachable or too slow: a browser does not say which
    } finally {
      outside.clearTimeout(mine.requests.get(controller));
      mine.requests.delete(controller);
    }
  }

  async function fetchHistory(mine, gpu) {
    mine.preloaded.add(gpu);
    // With `to` what was not known is null; without, it is 0 as in the old service.
    const query = new URLSearchParams({ minutes: 1, to: snapshot.timestamp, gpu });
    const { body } = await get(mine, `/gpu/history?${query}`);
    const history = snapshot.histories.get(gpu);
    if (mine !== attempt || history === undefined) return
    const filled = preload(history, body?.history);
    if (filled !== history) update({ histories: new Map(snapshot.histories).set(gpu, filled) });
  }

  function askHistories(mine) {
    // What the old service told was made up.
    if (mine.isFirst || snapshot.legacy) return
    for (const gpu of preloads) {
      if (snapshot.histories.has(gpu) && !mine.preloaded.has(gpu)) fetchHistory(mine, gpu);
    }
  }

  // ---- Bodies ----

  /** The first body of an attempt counts whatever its time: the service's clock may have been set back. */
  function isNewer(mine, body) {
    return mine.isFirst || body.timestamp >= snapshot.timestamp
  }

  /** A service that has just begun knows no GPU until its first cycle has ended: that there is none is believed later. */
  function isBelieved(mine, body) {
    mine.emptySince = body.gpus.length > 0 ? null : (mine.emptySince ?? outside.now());
    return mine.emptySince === null || outside.now() - mine.emptySince >= EMPTY
  }

  function take(mine, body, changes = {}) {
    if (!isBelieved(mine, body)) {
      show({ error: null, ...changes });
      return
    }
    const merged = merge(mine.isFirst ? { ...snapshot, timestamp: null } : snapshot, body);
    mine.isFirst = false;
    const histories = new Map(merged.gpus.map((gpu) => {
      const history = snapshot.histories.get(gpu.gpu) ?? newHistory();
      const entry = entryOf(gpu);
      return [gpu.gpu, entry === null ? history : push(history, entry)]
    }));
    show({ ...merged, histories, legacy: mine.path === 'stats', received: outside.now(), error: null, ...changes });
    askHistories(mine);
  }

  // ---- Timers and the page ----

  function after(name, time, call) {
    cancel(name);
    timers.set(name, outside.setTimeout(() => {
      timers.delete(name);
      call();
    }, time));
  }

  function cancel(name) {
    if (timers.has(name)) outside.clearTimeout(timers.get(name));
    timers.delete(name);
  }

  function isHidden() {
    return document?.visibilityState === 'hidden'
  }

  return {
    base,
    subscribe,
    getSnapshot: () => snapshot,
    preload(gpu) {
      if (attempt === null) return
      preloads.delete(gpu);
      preloads.add(gpu); // the newest is the last
      if (preloads.size > MAX_PRELOADS) preloads.delete(preloads.values().next().value);
      askHistories(attempt);
    },
    isIdle: () => subscribers.size === 0,
  }
}

/** The text of an answer; of one that is too long its beginning, which `parse` refuses. */
async function textOf(response) {
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  let text = '';
  while (text.length <= MAX_TEXT) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode()
    text += decoder.decode(value, { stream: true });
  }
  await reader.cancel();
  return text
}

const styles = <GlobalStyles styles={look} />;
const nothingYet = newHistory();

const bars = [
  { key: 'utilization', emoji: '🔥', form: percent },
  { key: 'temperature', emoji: '🌡️', form: celsius },
  { key: 'memory_utilization', emoji: '🧠', form: percent },
];

const tiles = [
  { key: 'core_clock', form: megahertz, color: colors.cyan },
  { key: 'memory_clock', form: megahertz, color: colors.green },
  { key: 'power_usage', form: watts, color: colors.orange },
  { key: 'fan_speed', form: fanSpeed, color: colors.cyan },
];

/**
 * The holographic GPU panel.
 *
 * @param {Object} props all optional
 * @param {string} props.className added to the card; `compact-gpu-stats` makes the compact form
 * @param {string} props.baseUrl of the exporter; without it port 5009 of the page's host
 * @param {string|number} props.gpu label, uuid or index of the GPU to show
 * @param {string} props.locale French unless it begins with `en`
 */
function GPUStats({ baseUrl, ...props }) {
  const feed = useMemo(() => feedOf(baseUrl), [baseUrl]);
  // Of another service nothing is kept: no choice, no error.
  return <Panel key={feed.base} feed={feed} baseUrl={baseUrl} {...props} />
}

/**
 * The frame around the content. It is not rendered with each frame of the feed, nor are Material UI's components anywhere:
 * Emotion works out their styles anew at each rendering, which costs more than all else together.
 */
function Panel({ feed, className = '', baseUrl, gpu, locale = 'fr' }) {
  const table = texts(locale);
  const connected = useFeed(feed, isConnected);
  const error = errorText(useLastingError(useFeed(feed, errorOf), connected), baseUrl, table);
  const hidden = useHidden();
  const description = useId();
  return (
    <Card
      component="section"
      lang={language(locale)}
      className={`gpu-stats-root ${hidden ? 'gpu-stats-hidden' : ''} ${className}`}
      aria-label={table.region}
      aria-describedby={description}
    >
      {styles}
      <div className="gpu-stats-glow" />
      <CardContent className="gpu-stats-content">
        <div className="gpu-stats-body">
          <Head connected={connected} error={error} table={table} />
          <span id={description} hidden>
            {table.region_description}
          </span>
          <Content {...{ feed, connected, error, wanted: gpu, hidden, table, locale }} />
        </div>
      </CardContent>
      <Field />
    </Card>
  )
}

/** What moves over the panel: the scan band and particles. */
const Field = memo(function Field() {
  const particles = [7, 23, 41, 58, 76, 92];
  return (
    <div className="gpu-stats-field" aria-hidden="true">
      <div className="gpu-stats-scan" />
      {particles.map((left, i) => (
        // A delay before the beginning: all are under way at once, and no two alike.
        <div key={left} className="gpu-stats-particle" style={{ left: `${left}%`, animationDelay: `${ -5 * i}s` }} />
      ))}
    </div>
  )
});

/** Title and connection. `error` is told here to readers, once, and shown below. */
const Head = memo(function Head({ connected, error, table }) {
  return (
    <div className="gpu-stats-head">
      <Typography variant="h5" component="h2" className="gpu-stats-title">
        <MemoryIcon />
        <span className="gpu-stats-word">
          <Emoji>🎮</Emoji>
          {table.title}
          <span className="gpu-stats-halo" aria-hidden="true">
            <span className="gpu-stats-emoji">🎮</span>
            {table.title}
          </span>
        </span>
      </Typography>
      <div role="status">
        <Badge
          color={connected ? colors.green : colors.orange}
          icon={
            connected ? (
              <VisibilityIcon />
            ) : (
              <CircularProgress size={14} disableShrink aria-hidden="true" className="gpu-stats-spinner" />
            )
          }
        >
          {connected ? table.connected : table.connecting}
        </Badge>
        {error && <span className="gpu-stats-hidden-text">{error}</span>}
      </div>
    </div>
  )
});

/** All that changes with the readings: rendered with each frame of the feed. */
function Content({ feed, connected, error, wanted, hidden, table, locale }) {
  const snapshot = useFeed(feed, whole);
  const [chosen, setChosen] = useState(null);
  const [unfolded, unfold] = useState(false);
  const before = useRef(null);

  const gpu = choose(snapshot.gpus, { chosen, wanted, before: before.current });
  const label = gpu?.gpu;
  useEffect(() => {
    if (label === undefined) return
    before.current = label;
    feed.preload(label);
  }, [feed, label]);

  const newAlert = useNewAlert(gpu, table);
  if (gpu === null) return <Nothing received={snapshot.received} error={error} table={table} />

  const lost = !connected || error !== null;
  const shown = hasReadings(gpu) ? gpu : (gpu.kept ?? gpu);
  const stale = lost || shown !== gpu;
  const ageNow = <Age gpu={shown} snapshot={snapshot} hidden={hidden} locale={locale} />;
  const note = noteOf(gpu);
  const absent = table[absence(shown)];
  return (
    <>
      <div role="alert" className="gpu-stats-hidden-text">
        {newAlert}
      </div>
      {lost && (
        <Message severity={error ? 'error' : 'warning'} emoji={error ? '🚨' : '📡'}>
          {error ?? table.waiting}
          <small>{fillNode(table.old_values, ageNow)}</small>
        </Message>
      )}
      {wanted != null && wanted !== '' && find(snapshot.gpus, wanted) === null && (
        <Message severity="warning" emoji="⚠️">
          {fill(table.gpu_not_found, { value: wanted })}
        </Message>
      )}
      {gpu.simulated && (
        <div className="gpu-stats-simulated">
          <strong>{table.simulated}</strong>
          <span>{table.simulated_explained}</span>
        </div>
      )}
      {snapshot.gpus.length > 1 && (
        <div className={lost ? 'gpu-stats-stale' : undefined}>
          <Overview gpus={snapshot.gpus} shown={gpu.gpu} choose={setChosen} table={table} />
        </div>
      )}
      {note && (
        <Message severity={note.severity} emoji={note.emoji}>
          {table[note.text]}
          <small>{lastReading(gpu, shown, ageNow, table)}</small>
        </Message>
      )}
      <div className={`gpu-stats-grid ${stale ? 'gpu-stats-stale' : ''}`}>
        <Statistics gpu={gpu} shown={shown} absent={absent} table={table} />
        <div className="gpu-stats-paper">
          <Heading emoji="📈">{table.chart}</Heading>
          <Chart
            history={snapshot.histories.get(gpu.gpu) ?? nothingYet}
            now={serviceNow(snapshot, snapshot.received)}
            last={shown.primary}
            stale={stale}
            table={table}
          />
          <VideoMemory used={shown.primary.memory_used} total={shown.primary.memory_total} absent={absent} table={table} />
        </div>
      </div>
      <FoldOut open={unfolded} setOpen={unfold} stale={stale} table={table}>
        {unfolded && <Details gpu={gpu} shown={shown} age={ageNow} table={table} />}
      </FoldOut>
    </>
  )
}

/** When a GPU was read last, where it is not read now. The time of a sleeping one is that of the last look at it. */
function lastReading(gpu, shown, ageNow, table) {
  if (shown !== gpu) return fillNode(table.old_values, ageNow)
  if (gpu.timestamp === null) return table.never_read
  return gpu.state === 'asleep' || (gpu.up && hasReadings(gpu)) ? null : fillNode(table.last_reading, ageNow)
}

/** Shown while there is no GPU to tell of: the error card, that there is none, or that the first word is awaited. */
function Nothing({ received, error, table }) {
  if (error) {
    return (
      <Message severity="error" emoji="🚨">
        {error}
      </Message>
    )
  }
  if (received !== null) {
    return (
      <div className="gpu-stats-empty">
        <strong>
          <Emoji>🔍</Emoji>
          {table.no_gpu}
        </strong>
        <p>
          {table.no_gpu_hint} <code>gpu_exporter doctor</code>
        </p>
      </div>
    )
  }
  return (
    <div className="gpu-stats-waiting">
      <CircularProgress color="inherit" disableShrink aria-hidden="true" className="gpu-stats-spinner" />
      <span>
        <Emoji>📡</Emoji>
        {table.waiting}
      </span>
    </div>
  )
}

/** Name, chips for what needs a look, the three bars and the four tiles. */
function Statistics({ gpu, shown, absent, table }) {
  const { primary } = shown;
  const urgent = alerts(gpu).filter(isUrgent);
  const throttle = gpu.throttle ?? [];
  const driver = gpu.driver_version ?? gpu.driver;
  return (
    <div className="gpu-stats-paper">
      <Heading emoji="📊">{table.statistics}</Heading>
      <div className="gpu-stats-name">
        {gpu.name ?? gpu.gpu}
        {driver && <small>{fill(table.driver, { value: driver })}</small>}
      </div>
      {urgent.length + throttle.length > 0 && (
        <div className="gpu-stats-chips">
          {urgent.map((alert) => (
            <Badge key={alert.text} color={alert.severity === 'error' ? COLOURS.critical : COLOURS.attention}>
              {fill(table[alert.text], alert)}
            </Badge>
          ))}
          {throttle.map((reason) => (
            <Badge key={reason} color={COLOURS.attention}>
              {`${table.throttle}: ${named(table, 'throttle', reason)}`}
            </Badge>
          ))}
        </div>
      )}
      <div className="gpu-stats-bars">
        {bars.map(({ key, emoji, form }) => {
          const found = band(key, primary[key]);
          return (
            <Bar
              key={key}
              emoji={emoji}
              label={table[key]}
              value={primary[key]}
              text={form(primary[key])}
              color={found?.colour}
              word={found ? named(table, 'band', found.name) : undefined}
              absent={absent}
            />
          )
        })}
      </div>
      <dl className="gpu-stats-tiles">
        {tiles.map(({ key, form, color }) => (
          <Tile
            key={key}
            label={table[key]}
            value={primary[key]}
            text={form(primary[key])}
            color={color}
            absent={absent}
            remark={gpu.legacy && primary[key] === 0 ? table.zero_may_be_absent : undefined}
          />
        ))}
      </dl>
    </div>
  )
}

/** The memory in use, in GB, with a thin bar. */
const VideoMemory = memo(function VideoMemory({ used, total, absent, table }) {
  const told = (value) => (value === null ? <Absent reason={absent} /> : gigabytes(value));
  return (
    <div className="gpu-stats-memory" style={{ '--gpu-stats-color': colors.green }}>
      <Heading level="h4" emoji="💾" orbitron>
        {table.video_memory}
      </Heading>
      <div className="gpu-stats-pair">
        <span className="gpu-stats-used">{fillNode(table.used, told(used))}</span>
        <span>{fillNode(table.total, told(total))}</span>
      </div>
      {used !== null && total > 0 && (
        <div
          className="gpu-stats-linear"
          style={{ '--gpu-stats-share': within(used / total) }}
          role="progressbar"
          aria-label={table.video_memory}
          aria-valuemin={0}
          aria-valuemax={100}
          aria-valuenow={Math.round(within(used / total) * 100)}
          aria-valuetext={`${gigabytes(used)} / ${gigabytes(total)}`}
        />
      )}
    </div>
  )
});

/** The fold-out. While it is closed it has no children, and costs nothing. */
const FoldOut = memo(function FoldOut({ open, setOpen, stale, table, children }) {
  const id = useId();
  return (
    <Accordion
      className={`gpu-stats-fold ${stale ? 'gpu-stats-stale' : ''}`}
      disableGutters
      expanded={open}
      onChange={(event, expanded) => setOpen(expanded)}
    >
      <AccordionSummary expandIcon={<ExpandMoreIcon />} id={`${id}head`} aria-controls={`${id}content`}>
        <Typography variant="h6" component="span" className="gpu-stats-heading">
          <Emoji>📋</Emoji>
          {table.details}
        </Typography>
      </AccordionSummary>
      <AccordionDetails className="gpu-stats-details">{children}</AccordionDetails>
    </Accordion>
  )
});

/** The age of a GPU's reading in words, which goes on when nothing comes any more. */
function Age({ gpu, snapshot, hidden, locale }) {
  const [, tick] = useState(0);
  useEffect(() => {
    if (hidden) return undefined
    const timer = setInterval(() => tick((count) => count + 1), 1000);
    return () => clearInterval(timer)
  }, [hidden]);
  return age(readingAge(gpu, snapshot), locale)
}

const nothingTold = { label: null, message: '' };

/**
 * The text for the one element whose role is alert: a warning is told when it comes and not each second, nor when it
 * comes back within a minute because the value swings about its limit.
 */
function useNewAlert(gpu, table) {
  const [told, setTold] = useState(nothingTold);
  const seen = useRef(new Map()); // when each warning of each GPU was there last
  useEffect(() => {
    const now = Date.now();
    const urgent = gpu ? warnings(gpu) : [];
    const keyOf = ({ text }) => `${gpu.gpu} ${text}`;
    const fresh = urgent.filter((alert) => !(now - seen.current.get(keyOf(alert)) < 60_000));
    for (const alert of urgent) seen.current.set(keyOf(alert), now);
    const message = fresh.map((alert) => fill(table[alert.text], alert)).join(' ');
    if (fresh.length > 0) setTold({ label: gpu.gpu, message });
    else if (urgent.length === 0) setTold(nothingTold);
  }, [gpu, table]);
  return told.label === gpu?.gpu ? told.message : '' // of the GPU shown before nothing is said any more
}

const whole = (snapshot) => snapshot;
const isConnected = ({ connection }) => connection === 'open';
const errorOf = ({ error }) => error;

/** A part of the feed's snapshot. Who asks for one is rendered only when this part changes. */
function useFeed(feed, part) {
  const get = useCallback(() => part(feed.getSnapshot()), [feed, part]);
  return useSyncExternalStore(feed.subscribe, get, get)
}

/** The error until the service is there again: each new try begins without one, and the panel would flicker. */
function useLastingError(error, connected) {
  const [kept, keep] = useState(null);
  const lasting = connected ? error : (error ?? kept);
  if (lasting !== kept) keep(lasting);
  return lasting
}

/** Whether the page is hidden: then nothing moves. */
function useHidden() {
  const subscribe = useCallback((listener) => {
    document.addEventListener('visibilitychange', listener);
    return () => document.removeEventListener('visibilitychange', listener)
  }, []);
  return useSyncExternalStore(subscribe, () => document.hidden, () => false)
}

function errorText(error, baseUrl, table) {
  return error === null ? null : fill(table[`error_${error}`], { value: baseUrl ?? '' })
}

/** As `fill`, with an element in the place. */
function fillNode(text, node) {
  const [head, tail] = text.split('{value}');
  return (
    <>
      {head}
      {node}
      {tail}
    </>
  )
}

export { GPUStats as default };
