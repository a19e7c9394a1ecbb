package windows

import (
	"errors"
	"testing"
	"time"
)

// Memory in use takes ADL up to a second: it is asked for now and then, said again between, and given up where it takes
// too long.
func TestMemoryInUseIsAskedForAtASlowPace(t *testing.T) {
	const none = -1
	at := Place{3, 0, 0}
	for name, steps := range map[string][]struct {
		after  time.Duration
		answer ADLReading
		gone   bool // the GPU sleeps: nobody asks about it
		asked  bool
		said   int64 // MiB
	}{
		"it is quick": {
			{answer: ADLReading{Usage: ptr(int64(5))}, asked: true, said: 5},
			{after: time.Second, said: 5},
			{after: usagePause - time.Second, answer: ADLReading{Usage: ptr(int64(6))}, asked: true, said: 6},
			{after: time.Second, said: 6},
		},
		"it takes too long": {
			{answer: ADLReading{Heavy: true}, asked: true, said: none},
			{after: time.Second, said: none},
			{after: time.Hour, said: none},
		},
		"it is not told": {
			{answer: ADLReading{}, asked: true, said: none},
			{after: time.Second, said: none},
			{after: usagePause, answer: ADLReading{Usage: ptr(int64(6))}, asked: true, said: 6},
		},
		"the GPU does not answer": {
			{answer: ADLReading{Err: errors.New("broken")}, asked: true, said: none},
			{after: time.Second, answer: ADLReading{Usage: ptr(int64(6))}, asked: true, said: 6},
		},
		"the GPU sleeps": {
			{answer: ADLReading{Usage: ptr(int64(5))}, asked: true, said: 5},
			{after: time.Second, gone: true},
			{after: time.Second, answer: ADLReading{Usage: ptr(int64(6))}, asked: true, said: 6},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var u usage
			now := time.Now()
			for i, s := range steps {
				now = now.Add(s.after)
				targets := []ADLTarget{{Place: at, Usage: true}}
				if s.gone {
					targets = nil
				}
				u.plan(targets, now)
				if s.gone {
					continue
				}
				readings := []ADLReading{s.answer}
				u.take(targets, readings, now)
				said := int64(none)
				if mib := readings[0].Usage; mib != nil {
					said = *mib
				}
				if targets[0].Usage != s.asked || said != s.said {
					t.Errorf("step %d: asked %v, said %d, want %v and %d", i, targets[0].Usage, said, s.asked, s.said)
				}
			}
		})
	}
}
