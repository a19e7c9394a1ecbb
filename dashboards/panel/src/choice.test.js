import { describe, expect, test } from 'vitest'
import { choose, find } from './choice.js'
import { readGpus } from './frames.js'

const bodyOf = (gpus) => readGpus({ schema: 1, timestamp: 1, gpus }).gpus
const awake = { state: 'ok', up: true, primary: { temperature: 40 } }
const asleep = { state: 'asleep', up: true, primary: {} }

describe('find: a name means', () => {
  const gpus = bodyOf([
    { ...awake, gpu: '0000:03:00.0', uuid: 'GPU-Ab', index: 0 },
    { ...awake, gpu: '0000:0A:00.0', uuid: '2', index: 1 },
    { ...awake, gpu: 'sim:0', index: 2 },
  ])
  test.each([
    ['a label', 'sim:0', 'sim:0'],
    ['a label in other letters', '0000:0a:00.0', '0000:0A:00.0'],
    ['a uuid in other letters', 'gpu-aB', '0000:03:00.0'],
    ['an index', '0', '0000:03:00.0'],
    ['an index as a number', 1, '0000:0A:00.0'],
    ['a uuid before an index', '2', '0000:0A:00.0'],
    ['none that is there', '7', undefined],
    ['nothing when empty', '', undefined],
    ['nothing when absent', undefined, undefined],
  ])('%s', (_, name, label) => expect(find(gpus, name)?.gpu).toBe(label))
})

describe('choose: the panel shows', () => {
  const gpus = bodyOf([
    { ...asleep, gpu: 'a', index: 0 },
    { ...awake, gpu: 'b', index: 1 },
    { ...awake, gpu: 'c', index: 2 },
  ])
  const sleeping = gpus.slice(0, 1)
  test.each([
    ['the first that can be read', gpus, {}, 'b'],
    ['the one that the application wants', gpus, { wanted: 2 }, 'c'],
    ["the user's choice before all", gpus, { chosen: 'a', wanted: 2, before: 'b' }, 'a'],
    ['another where the choice is no longer there', gpus, { chosen: 'z', wanted: 'c' }, 'c'],
    ['the one shown before', gpus, { before: 'c' }, 'c'],
    ['another than before where that one never had a reading', gpus, { before: 'a' }, 'b'],
    ['one that sleeps where there is no other', sleeping, {}, 'a'],
    ['none where there is none', [], { chosen: 'a', wanted: 0, before: 'a' }, undefined],
  ])('%s', (_, list, names, label) => expect(choose(list, names)?.gpu).toBe(label))

  test('the one shown before, fallen asleep, with its last readings kept', () => {
    const [first, ...others] = gpus
    expect(choose([{ ...first, kept: others[0] }, ...others], { before: 'a' }).gpu).toBe('a')
  })
})
