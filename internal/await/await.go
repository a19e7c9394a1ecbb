// Package await has tests wait for what goroutines, children and servers bring about. Nothing but tests imports it.
package await

import (
	"context"
	"testing"
	"time"
)

// Patience is how long a test waits before it says that something will not come. It is much longer than anything takes: a
// test that fails may take its time, one on a busy machine must not fail.
const Patience = 2 * time.Minute

// Until waits until a condition holds, which is asked for again and again, or fails the test. `seen` say then what there
// was instead.
func Until(t testing.TB, what string, holds func() bool, seen ...func() string) {
	t.Helper()
	pause := time.NewTicker(10 * time.Millisecond)
	defer pause.Stop()
	for end := time.After(Patience); !holds(); {
		select {
		case <-pause.C:
		case <-end:
			for _, s := range seen {
				t.Log(s())
			}
			t.Fatalf("not seen: %s", what)
		}
	}
}

// Context ends with the test, or when Patience has passed.
func Context(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	t.Cleanup(cancel)
	return ctx
}
