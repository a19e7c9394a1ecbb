package windows

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gpu_exporter/collector"
	"gpu_exporter/collector/nvml"
	"gpu_exporter/collector/smi"
)

// smiReader reads NVIDIA's GPUs by nvidia-smi. It has no child that keeps a GPU awake: who is not among the targets is not
// asked about.
type smiReader struct {
	locate   func(seen bool) string // nvidia-smi, whether an NVIDIA GPU is seen or not; empty: there is none
	firmware bool
	log      *slog.Logger
	caller   *smi.Caller
	may      atomic.Pointer[map[string]bool] // the GPUs that may be asked about, all of them awake

	// Of whoever calls Devices or Read.
	path  string
	cards map[Address]*smiCard

	mu   sync.Mutex
	away map[Address]time.Time // when a GPU was left alone last
}

// smiCard is a GPU and what the last document said of it.
type smiCard struct {
	reader *nvml.CardReader
	seq    uint64
	r      collector.Reading
	said   NVMLReading
}

var _ NVML = (*smiReader)(nil)

// newSMIReader returns a smiReader; o says how nvidia-smi is called, but not about whom.
func newSMIReader(locate func(seen bool) string, firmware bool, o smi.Options, t smi.Times) *smiReader {
	s := &smiReader{locate: locate, firmware: firmware, log: o.Log, cards: map[Address]*smiCard{}, away: map[Address]time.Time{}}
	s.may.Store(&map[string]bool{})
	o.ByName = true
	o.Power = func(gpu string) smi.Power {
		if (*s.may.Load())[gpu] {
			return smi.Awake
		}
		return smi.Asleep
	}
	s.caller = smi.New(o, t)
	return s
}

// Devices implements NVML.
func (s *smiReader) Devices(ctx context.Context, targets []NVMLTarget) (list []NVMLDevice, err error) {
	if s.path = s.locate(len(targets) > 0); s.path == "" {
		return nil, fmt.Errorf("nvidia-smi: %w", ErrUnsupported)
	}
	s.caller.Serve(s.path, s.serve(targets))
	last, _ := s.caller.Latest(ctx)
	switch {
	case last.Silent:
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, last.Err)
	case last.Doc == nil && last.Err == nil:
		return nil, errLate // the first call takes long
	case last.Doc == nil:
		return nil, last.Err
	}
	for _, c := range last.Doc.Cards {
		at := Address(c.Info.GPU)
		if targets == nil || slices.ContainsFunc(targets, func(t NVMLTarget) bool { return t.Address == at }) {
			list = append(list, NVMLDevice{at, nvml.SourceSMI, c.Info.Type, c.Info.UUID, c.Info.Name, c.Info.PCIID, c.Info.DriverVersion, c.Info.VBIOS})
		}
	}
	return list, nil
}

// serve notes who may be asked about, and lists them.
func (s *smiReader) serve(targets []NVMLTarget) (gpus []string) {
	may := map[string]bool{}
	for _, t := range targets {
		may[string(t.Address)] = true
		gpus = append(gpus, string(t.Address))
	}
	for at := range s.cards {
		if !may[string(at)] {
			s.LetGo(at)
		}
	}
	s.may.Store(&may)
	return gpus
}

// Read implements NVML. It never waits for nvidia-smi but the first time. What was said of a GPU before it slept, or was
// left alone, is not said again.
func (s *smiReader) Read(ctx context.Context, targets []NVMLTarget) ([]NVMLReading, error) {
	s.caller.For(s.serve(targets))
	last, good := s.caller.Latest(ctx)
	list := make([]NVMLReading, len(targets))
	for i, t := range targets {
		switch {
		case last.Late:
			list[i].Err = errLate
		case last.Seq == 0, last.Err == nil && last.Old(good), !last.About(string(t.Address)), last.At.Before(s.leftAlone(t.Address)):
			list[i].Err = errUnasked // its turn comes with the next call
		case last.Err != nil:
			list[i].Err = last.Err
		default:
			list[i] = s.card(t.Address).read(last, t.Address)
		}
		list[i].Call = last.Seq
	}
	return list, nil
}

func (s *smiReader) card(at Address) *smiCard {
	c := s.cards[at]
	if c == nil {
		c = &smiCard{reader: nvml.NewCardReader(s.log.With("gpu", at), s.firmware)}
		s.cards[at] = c
	}
	return c
}

// read is what a document says of a GPU. Values out of bounds are counted once; what failed has the GPU be partial until
// the next document.
func (c *smiCard) read(last smi.Result, at Address) NVMLReading {
	if c.seq == last.Seq {
		c.said.Rejected = nil
		return c.said
	}
	c.seq = last.Seq
	card := last.Doc.Find(string(at))
	switch {
	case card == nil && last.Doc.Attached > len(last.Doc.Cards):
		c.said = NVMLReading{Err: collector.ErrGone} // the driver counts it and cannot tell of it
		return c.said
	case card == nil:
		c.said = NVMLReading{Err: fmt.Errorf("nvidia-smi does not list %s", at)}
		return c.said
	}
	c.r.Reset()
	if err := c.reader.Add(&c.r, card, last.Names); err != nil {
		c.said = NVMLReading{Err: err}
		return c.said
	}
	c.said = NVMLReading{Samples: slices.Clone(c.r.Samples()), Failures: slices.Clone(c.r.Failures()), Rejected: slices.Clone(c.r.Rejected())}
	return c.said
}

// LetGo implements NVML. Nothing keeps a GPU awake, but what was said of it is not said again.
func (s *smiReader) LetGo(at Address) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away[at] = time.Now()
}

func (s *smiReader) leftAlone(at Address) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.away[at]
}

// Close implements NVML.
func (s *smiReader) Close() { s.caller.End() }

// firstOfNVML reads by the first of several ways that is there, chosen at each discovery.
type firstOfNVML struct {
	ways []NVML
	used atomic.Int32
}

var _ NVML = (*firstOfNVML)(nil)

// Devices implements NVML.
func (f *firstOfNVML) Devices(ctx context.Context, targets []NVMLTarget) ([]NVMLDevice, error) {
	var missing []error
	for i, way := range f.ways {
		list, err := way.Devices(ctx, targets)
		if !errors.Is(err, ErrUnsupported) {
			f.used.Store(int32(i))
			return list, err
		}
		missing = append(missing, err)
	}
	return nil, errors.Join(missing...)
}

// Read implements NVML.
func (f *firstOfNVML) Read(ctx context.Context, targets []NVMLTarget) ([]NVMLReading, error) {
	return f.ways[f.used.Load()].Read(ctx, targets)
}

// LetGo implements NVML.
func (f *firstOfNVML) LetGo(a Address) {
	for _, way := range f.ways {
		way.LetGo(a)
	}
}

// Close implements NVML.
func (f *firstOfNVML) Close() {
	for _, way := range f.ways {
		way.Close()
	}
}
