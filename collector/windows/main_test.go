package windows

import (
	"context"
	"os"
	"testing"
	"time"

	"gpu_exporter/collector/worker"
)

// role names, in the environment, what this test binary is when it is started as a child.
const role = "WINDOWS_TEST_ROLE"

// roles are the lives of children.
var roles = map[string]func(){}

// child makes a role, and is its name.
func child(name string, life func()) string {
	roles[name] = life
	return name
}

func TestMain(m *testing.M) {
	if life := roles[os.Getenv(role)]; life != nil {
		life()
		os.Exit(9) // nobody started it
	}
	os.Exit(m.Run())
}

// childOptions has this test binary be the child. Times are short.
func childOptions(t testing.TB, as string, env ...string) worker.PoolOptions {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return worker.PoolOptions{
		Options: worker.Options{
			Name: "ADL", Ways: []worker.Way{{Name: "itself", Path: self}},
			Env:     append([]string{role + "=" + as, "SYSTEMROOT=" + os.Getenv("SYSTEMROOT")}, env...),
			Backoff: time.Millisecond, MaxBack: 4 * time.Millisecond,
		},
		Retries: []time.Duration{time.Hour},
	}
}

// within is a deadline that a call which hangs misses.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// The two cards of the tests of ADL, as a child is asked for them.
const firstID, secondID = "1 at 0000:03:00.0", "4 at 0000:04:00.0"

var firstPlace, secondPlace = Place{3, 0, 0}, Place{4, 0, 0}

func never(Place) bool { return false }
