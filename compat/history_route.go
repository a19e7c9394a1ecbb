package compat

import (
	"errors"
	"net/http"
	"time"
)

// pieceTime is how long a client may take to read a piece of a history. The limit of the server is one for whole answers:
// a big history over a slow line takes longer and must not be cut off, but one who reads no more must.
const pieceTime = time.Minute

func (a *API) serveHistory(w http.ResponseWriter, r *http.Request) {
	q, faults := parseHistory(r.URL.RawQuery, time.Now())
	if len(faults) > 0 {
		writeJSON(w, http.StatusUnprocessableEntity, appendFaults(nil, faults))
		return
	}
	d, ok := find(a.o.Source.Latest(), named(r))
	if !ok {
		detail(w, http.StatusNotFound, gpuNotFound)
		return
	}
	w.Header().Set("Content-Type", q.layout.contentType)
	w.Header().Set("Cache-Control", "no-store")
	pieces := &pieceWriter{w: w, control: http.NewResponseController(w)}
	s := newSheet(pieces, q.layout, spreads(q.step, a.o.Interval))
	if d != nil && q.from.Before(q.to) {
		err := s.add(&d.Info, rows(a.o.Store.Range(d.GPU, q.from, q.to), q.step))
		switch {
		case pieces.err != nil:
			return // the client is gone, or reads no more
		case err != nil:
			a.o.Log.Warn("cannot read the history", "gpu", d.GPU, "err", err)
			panic(http.ErrAbortHandler) // the client must not take it for the whole
		}
	}
	_ = s.end() // likewise
}

// pieceWriter gives the client its time anew with each piece.
type pieceWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	err     error // of the last piece
}

func (p *pieceWriter) Write(piece []byte) (n int, err error) {
	if err = p.control.SetWriteDeadline(time.Now().Add(pieceTime)); err == nil || errors.Is(err, http.ErrNotSupported) {
		n, err = p.w.Write(piece)
	}
	p.err = err
	return n, err
}
