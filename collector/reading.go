package collector

// FailureKind is a value of the label kind of gpu_exporter_read_errors_total.
type FailureKind string

// The kinds of failure.
const (
	Permission FailureKind = "permission" // the rights are missing
	Missing    FailureKind = "missing"    // something that must be there is not
	Malformed  FailureKind = "malformed"  // an answer that cannot be parsed
	IO         FailureKind = "io"         // the driver or the host did not answer
	Timeout    FailureKind = "timeout"    // no answer in time
)

// FailureKinds lists every FailureKind.
var FailureKinds = [...]FailureKind{Permission, Missing, Malformed, IO, Timeout}

// Failure is a part of a reading that could not be had.
type Failure struct {
	Kind   FailureKind
	Source string // the file or the call, as a person would name it
	Err    error
}

// Origin is one source of a GPU and the series that it may tell.
type Origin struct {
	Source string // the file or the call, as a person would name it
	Tells  []*Series
}

// Reading is the scratch of one worker: what one Read of one Device gave. It never leaves the Poller, which copies its
// samples. Sources are asked in their order of trust: the first that adds or closes a series has had the last word on
// it in this reading, so that a source further down fills only what those above it do not tell.
type Reading struct {
	// Rescan is set on the first read after a rescan: files that were missing may be there now.
	Rescan bool
	// Reload is set on the first read after a reload was asked for: everything is to be opened anew.
	Reload bool
	// Origins says where samples come from, for people who look for a missing one. A device sets it, if it can tell, to a
	// list that it never changes; Reset forgets it.
	Origins []Origin

	seq      uint64 // counts the readings
	samples  []Sample
	failures []Failure
	rejected []QuantityID
	closed   []*Series // closed without a sample

	// What a slow Group replays from its last real read: shown, but neither counted again nor proof of life.
	kept         []Sample
	keptFailures []Failure
}

// Reset empties r for the next read.
func (r *Reading) Reset() {
	r.Rescan, r.Reload, r.Origins = false, false, nil
	r.seq++
	r.samples, r.failures, r.rejected = r.samples[:0], r.failures[:0], r.rejected[:0]
	r.closed, r.kept, r.keptFailures = r.closed[:0], r.kept[:0], r.keptFailures[:0]
}

// Add adds a sample, unless s has had one in this reading already. A value outside the bounds of s (NaN is) is not
// shown but counted as rejected.
func (r *Reading) Add(s *Series, v float64) {
	if r.Closed(s) {
		return
	}
	if !(v >= s.Min && v <= s.Max) {
		r.Reject(s)
		return
	}
	s.closedBy, s.closed = r, r.seq
	r.samples = append(r.samples, Sample{s, v})
}

// Reject counts a value outside what physics allows which is no number at all (too large, none of a list).
func (r *Reading) Reject(s *Series) {
	if r.Closed(s) {
		return
	}
	r.rejected = append(r.rejected, s.Q)
	r.Close(s)
}

// Close keeps every source further down from filling s: its best source is broken, which must not be hidden.
func (r *Reading) Close(s *Series) {
	if r.Closed(s) {
		return
	}
	s.closedBy, s.closed = r, r.seq
	r.closed = append(r.closed, s)
}

// Closed says whether s has had its say in this reading: a sample, a rejection or a failure.
func (r *Reading) Closed(s *Series) bool { return s.closedBy == r && s.closed == r.seq }

// Value is the value of s in this reading, and whether it has one.
func (r *Reading) Value(s *Series) (float64, bool) {
	if s == nil || !r.Closed(s) {
		return 0, false
	}
	for _, list := range [2][]Sample{r.samples, r.kept} {
		for i := range list {
			if list[i].S == s {
				return list[i].V, true
			}
		}
	}
	return 0, false
}

// Fail notes that a part of the reading failed. The rest of it stays.
func (r *Reading) Fail(f Failure) { r.failures = append(r.failures, f) }

// Failed says whether a part of this reading failed so far, those of a slow group that are only repeated left out.
func (r *Reading) Failed() bool { return len(r.failures) > 0 }

// Samples are what this reading brought so far, for who hands it on to another Reading. They are good until Reset.
func (r *Reading) Samples() []Sample { return r.samples }

// Failures are the parts that could not be had, likewise.
func (r *Reading) Failures() []Failure { return r.failures }

// Rejected are the quantities of values outside the bounds of physics, likewise.
func (r *Reading) Rejected() []QuantityID { return r.rejected }

// down says that the GPU is awake but cannot be read: something failed and nothing came of it. Samples kept from an
// earlier read prove no life, and are not shown then.
func (r *Reading) down() bool {
	if len(r.samples) > 0 {
		return false
	}
	return len(r.failures) > 0 || len(r.keptFailures) > 0 && len(r.kept) == 0
}
