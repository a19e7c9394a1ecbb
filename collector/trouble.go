package collector

import "time"

// trouble is what is wrong with a GPU, as the log tells it: one line when it begins, one when it ends.
type trouble string

const (
	calm      trouble = ""
	partial   trouble = "some readings fail"
	unread    trouble = "nothing can be read"
	silent    trouble = "a read missed its deadline"
	vanished  trouble = "the GPU is gone"
	recovered         = "the GPU is well again"
)

// calmFor is how long readings must not fail until the log says so: a sensor that fails now and then would fill it.
const calmFor = time.Minute

func (d *Status) trouble() trouble {
	switch {
	case d.State == StateHung:
		return silent
	case d.State == StateGone:
		return vanished
	case d.State == StatePartial && !d.Up:
		return unread
	case d.State == StatePartial:
		return partial
	}
	return calm
}

// tell logs what has become of g if that is news.
func (l *loop) tell(g *gpu, now time.Time) {
	is := g.status.trouble()
	if is == g.trouble {
		g.calm = time.Time{}
		return
	}
	if is == calm && (g.trouble == partial || g.trouble == unread) {
		if g.status.State == StateAsleep {
			return // nothing was tried that could fail
		}
		if g.calm.IsZero() {
			g.calm = now
		}
		if now.Sub(g.calm) < calmFor {
			return
		}
	}
	log := l.o.Log.With("gpu", g.id.gpu, "index", g.status.Index)
	if g.trouble != calm {
		log = log.With("was", string(g.trouble), "for", now.Sub(g.troubled))
	}
	switch failures := g.status.Failures; {
	case is == calm:
		log.Info(recovered)
	case len(failures) > 0:
		log.Warn(string(is), "failures", len(failures), "source", failures[0].Source, "err", failures[0].Err)
	default:
		log.Warn(string(is))
	}
	g.trouble, g.troubled, g.calm = is, now, time.Time{}
}
