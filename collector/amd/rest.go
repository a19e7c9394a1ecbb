package amd

import "time"

const (
	// defaultAutosuspend is what most cards have (kernel: amdgpu_kms.c).
	defaultAutosuspend = 5 * time.Second
	// maxAutosuspend: who waits longer than that to suspend does not want to.
	maxAutosuspend = 10 * time.Minute
	// idleBefore is how long a card must have had no load before it is left alone.
	idleBefore = 30 * time.Second
	// pauseMargin is what a pause lasts beyond the delay of the driver.
	pauseMargin = 2 * time.Second
	firstRetry  = time.Minute
	lastRetry   = 8 * time.Minute
)

// rest decides when an idle card is left alone. Each successful read starts the autosuspend timer of the driver anew
// (kernel: amdgpu_pm.c, amdgpu_pm_put_access), so that polling alone would keep a laptop's GPU awake for ever. The zero
// value is a card that was just seen for the first time.
type rest struct {
	idleSince time.Time     // of no load in a row; zero: there was load
	until     time.Time     // end of the pause, zero: none
	retryAt   time.Time     // no pause before; zero: as soon as it is idle
	retry     time.Duration // after the next pause that does not help
}

// pauses says whether nothing may be read now. At the end of a pause the card, still awake, is read again for a time
// that doubles with each try that does not help.
func (p *rest) pauses(now time.Time) bool {
	if p.until.IsZero() {
		return false
	}
	if now.Before(p.until) {
		return true
	}
	p.until = time.Time{}
	if p.retry == 0 {
		p.retry = firstRetry
	}
	p.retryAt = now.Add(p.retry)
	p.retry = min(2*p.retry, lastRetry)
	return false
}

// observe takes note of what a read saw and begins a pause where one is due. maySleep says that the driver would
// suspend the card if nobody touched it; delay is asked only then.
func (p *rest) observe(now time.Time, maySleep, loaded bool, delay func() (time.Duration, bool)) {
	if !maySleep || loaded {
		*p = rest{}
		return
	}
	if p.idleSince.IsZero() {
		p.idleSince = now
	}
	if now.Sub(p.idleSince) < idleBefore || now.Before(p.retryAt) {
		return
	}
	if d, ok := delay(); ok {
		p.until = now.Add(d + pauseMargin)
	}
}
