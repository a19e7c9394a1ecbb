import { describe, expect, test } from 'vitest'
import * as format from './format.js'

describe('numbers', () => {
  test.each([
    ['percent', 41.2, '41.2%'],
    ['percent', 100, '100.0%'],
    ['percent', 33.25, '33.3%'],
    ['percent', -0.04, '0.0%'],
    ['celsius', 60.7, '60.7°C'],
    ['celsius', -3, '-3.0°C'],
    ['megahertz', 2011, '2011 MHz'],
    ['megahertz', 0, '0 MHz'],
    ['megahertz', 456.5, '456.5 MHz'],
    ['hertz', 2011000000, '2011 MHz'],
    ['hertz', 25e6, '25 MHz'],
    ['watts', 31.6, '32W'],
    ['watts', 0.2, '0W'],
    ['fanSpeed', 35, '35%'],
    ['ratio', 0.34901960784313724, '35%'],
    ['rpm', 868.4, '868 RPM'],
    ['gigabytes', 16384, '16.0 GB'],
    ['gigabytes', 1536, '1.5 GB'],
    ['gigabytes', 0, '0.0 GB'],
    ['bytes', 1610612736, '1.5 GB'],
    ['bytes', 104857600, '100 MB'],
    ['bytes', 0, '0 MB'],
    ['energy', 9000, '2.5 Wh'],
    ['energy', 3.6e6, '1.00 kWh'],
    ['energy', 7.25e9, '2013.89 kWh'],
    ['transfers', 16e9, '16 GT/s'],
    ['transfers', 2.5e9, '2.5 GT/s'],
  ])('%s(%d) is %s', (name, value, want) => {
    expect(format[name](value)).toBe(want)
  })

  const all = Object.keys(format).filter((name) => typeof format[name] === 'function')
  test.each(all)('%s of what is not known is a dash', (name) => {
    for (const value of [null, undefined, NaN, Infinity, '5', {}]) expect(format[name](value)).toBe('—')
  })
})

describe('age', () => {
  test.each([
    [-3, 'à l\'instant', 'just now'],
    [0.9, 'à l\'instant', 'just now'],
    [1, 'il y a 1 s', '1 s ago'],
    [59.9, 'il y a 59 s', '59 s ago'],
    [60, 'il y a 1 min', '1 min ago'],
    [3599, 'il y a 59 min', '59 min ago'],
    [7200, 'il y a 2 h', '2 h ago'],
    [86400 * 3, 'il y a 3 j', '3 d ago'],
  ])('%d s', (seconds, french, english) => {
    expect(format.age(seconds, 'fr')).toBe(french)
    expect(format.age(seconds, 'en')).toBe(english)
  })
})

describe('clockTime', () => {
  const now = new Date(2026, 10, 26, 12).getTime()
  const time = new Date(2026, 10, 26, 8, 5, 9)

  test('of today is the time by the browser', () => {
    expect(format.clockTime(time.getTime() / 1000, now)).toBe(time.toLocaleTimeString())
  })
  test('of another day has the date', () => {
    expect(format.clockTime(time.getTime() / 1000 - 86400, now)).toBe(new Date(time - 86400e3).toLocaleString())
  })
  test('beyond what a date can hold is a dash', () => {
    expect(format.clockTime(1e30, now)).toBe('—')
  })
})
