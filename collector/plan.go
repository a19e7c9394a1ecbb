package collector

import "time"

// Row is one step of a plan: it reads one thing and adds what it says. An error ends the reading (ErrGone, ErrAsleep);
// everything else that goes wrong is a Failure of the Reading.
type Row func(r *Reading) error

// Group is the part of a plan that is read at one pace. The zero value is empty and due.
type Group struct {
	Rows []Row
	// Every is the shortest time between two real reads. Between them the samples and failures of the last one are
	// added again: limits and settings change by hand only, but cost as much to read as values. Zero: always read.
	Every time.Duration

	due      time.Time
	samples  []Sample
	failures []Failure
	closed   []*Series
}

// Read runs the rows, or replays what they gave last.
func (g *Group) Read(r *Reading, now time.Time) error {
	if now.Before(g.due) {
		g.replay(r)
		return nil
	}
	samples, failures, closed := len(r.samples), len(r.failures), len(r.closed)
	for _, row := range g.Rows {
		if err := row(r); err != nil {
			return err
		}
	}
	if g.Every > 0 {
		g.due = now.Add(g.Every)
		g.samples = append(g.samples[:0], r.samples[samples:]...)
		g.failures = append(g.failures[:0], r.failures[failures:]...)
		g.closed = append(g.closed[:0], r.closed[closed:]...)
	}
	return nil
}

func (g *Group) replay(r *Reading) {
	for _, s := range g.samples {
		// A source above may tell now what it did not tell then: it has the word, as at a real read.
		if !r.Closed(s.S) {
			s.S.closedBy, s.S.closed = r, r.seq
			r.kept = append(r.kept, s)
		}
	}
	for _, s := range g.closed {
		s.closedBy, s.closed = r, r.seq
	}
	r.keptFailures = append(r.keptFailures, g.failures...)
}
