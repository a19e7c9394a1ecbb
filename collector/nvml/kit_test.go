package nvml

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gpu_exporter/collector"
	"gpu_exporter/internal/hwcase"
)

// shared are the hardware cases that several projects have, which a checkout may lack.
const shared = "../../../shared/fixtures/nvidia"

// board is a GPU that is read by a function.
type board struct {
	info collector.Info
	read func(*collector.Reading) error
}

func (b board) Info() collector.Info                               { return b.info }
func (b board) Key() string                                        { return "one" }
func (b board) Read(_ context.Context, r *collector.Reading) error { return b.read(r) }
func (b board) Close() error                                       { return nil }

// boards are a probe of GPUs that are always there.
type boards []board

func (b boards) Name() string { return "nvidia" }
func (b boards) Discover(context.Context) (list []collector.Device, _ error) {
	for _, one := range b {
		list = append(list, one)
	}
	return list, nil
}

// rejections counts what is outside the bounds.
type rejections struct {
	rejected map[collector.QuantityID]int
	failed   int
}

func (*rejections) Read(string, collector.Result, time.Duration) {}
func (o *rejections) Failed(string, collector.FailureKind)       { o.failed++ }
func (o *rejections) Rejected(_ string, q collector.QuantityID)  { o.rejected[q]++ }
func (*rejections) Restarted(string, collector.RestartReason)    {}
func (*rejections) Rescanned(bool)                               {}

// firstReading is the first snapshot of boards.
func firstReading(t *testing.T, all boards) (*collector.Snapshot, *rejections) {
	t.Helper()
	o := &rejections{rejected: map[collector.QuantityID]int{}}
	p := collector.NewPoller(collector.Options{Interval: time.Hour, Observer: o}, all)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	ended := make(chan struct{})
	go func() { defer close(ended); p.Run(ctx) }()
	s := p.Fresh(ctx)
	cancel()
	<-ended
	if s == nil {
		t.Fatal("no reading")
	}
	return s, o
}

// meets compares a snapshot with a file of expected samples.
func meets(t *testing.T, expected string, s *collector.Snapshot) {
	t.Helper()
	text, err := os.ReadFile(expected)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := hwcase.Compare(text, s)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		t.Error(line)
	}
}

// roots are the folders of hardware cases: the project's own and the shared ones.
func roots(t testing.TB) (list []string) {
	t.Helper()
	for _, root := range []string{"../../testdata/cases/nvidia", shared} {
		if _, err := os.Stat(root); err != nil {
			t.Logf("%s is not here", root)
			continue
		}
		list = append(list, root)
	}
	return list
}

func matching(t testing.TB, pattern string) (paths []string) {
	t.Helper()
	for _, root := range roots(t) {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	return paths
}
