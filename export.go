package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gpu_exporter/collector"
	"gpu_exporter/compat"
)

// exportOptions are the flags of export.
type exportOptions struct {
	format, gpu, out string
	from, to         time.Time // zero: all
	step             time.Duration
	url              string
}

// pastFile is what export needs of a compat.FileReader.
type pastFile interface {
	compat.Past
	GPUs() []collector.Info
	Skipped() int
	Close() error
}

// openPast opens the store in a folder.
type openPast func(folder string) (pastFile, error)

// openPastFile opens the one that serve writes.
func openPastFile(folder string) (pastFile, error) {
	r, err := compat.OpenReadOnly(folder)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// export writes what was recorded and exits.
func export(ctx context.Context, o *options, e *exportOptions, open openPast, p program) int {
	write := func(w io.Writer) error { return p.export(ctx, interruptible{ctx, w}, o, e, open) }
	var err error
	if e.out == "" {
		err = write(p.out)
	} else {
		err = replaceFile(e.out, write)
	}
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		return p.fail(1, "interrupted")
	}
	return p.fail(1, "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
}

// interruptible is a writer that ends with ctx.
type interruptible struct {
	ctx context.Context
	w   io.Writer
}

func (i interruptible) Write(b []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.w.Write(b)
}

// export writes what the store has. Where that cannot be opened, a running exporter may be asked.
func (p program) export(ctx context.Context, w io.Writer, o *options, e *exportOptions, open openPast) error {
	past, err := openHistory(o, open)
	if err == nil {
		err = compat.Export(w, past, past.GPUs(), compat.ExportOptions{
			Format: e.format, GPU: e.gpu, From: e.from, To: e.to, Step: e.step, Interval: o.interval,
		})
		if n := past.Skipped(); n > 0 {
			fmt.Fprintf(p.err, "gpu_exporter: %d parts of the history cannot be read and are left out\n", n)
		}
		return errors.Join(err, past.Close())
	}
	if !mayAsk(o, err) {
		return err
	}
	r, failed := newRunning(e.url)
	if failed == nil {
		fmt.Fprintf(p.err, "gpu_exporter: %v: asking %s\n", err, r.base.Redacted())
		failed = r.export(ctx, w, e)
	}
	if failed != nil {
		return fmt.Errorf("%w; %w", err, failed)
	}
	return nil
}

var errNoFile = errors.New("no history in a file (--history.store, --history.path)")

func openHistory(o *options, open openPast) (pastFile, error) {
	folder := o.historyFolder()
	if o.history.store != storeFile || folder == "" {
		return nil, errNoFile
	}
	return open(folder)
}

// mayAsk says whether a running exporter can have what could not be opened: it has the lock, it keeps all in memory, or it
// runs as another user, whose folder is not the one that was looked in by default. In a folder that was named lies either
// what is wanted or a mistake.
func mayAsk(o *options, err error) bool {
	elsewhere := o.history.path == "" && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission))
	return elsewhere || errors.Is(err, compat.ErrLocked) || errors.Is(err, errNoFile)
}

// silence is for how long nothing may come of an answer: an exporter that goes through a month for one line takes seconds.
const silence = time.Minute

// running is an exporter that serves.
type running struct {
	base    *url.URL
	silence time.Duration
}

func newRunning(base string) (running, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return running{}, fmt.Errorf("--url=%s: write a URL such as http://localhost:5009", base)
	}
	return running{u, silence}, nil
}

// export writes what it has of each GPU, one after another.
func (r running) export(ctx context.Context, w io.Writer, e *exportOptions) error {
	gpus, err := r.gpus(ctx, e.gpu)
	if err != nil {
		return err
	}
	query := url.Values{"format": {e.format}, "from": {"0"}} // a time, so that JSON has all columns
	if !e.from.IsZero() {
		query.Set("from", e.from.UTC().Format(time.RFC3339Nano))
	}
	if !e.to.IsZero() {
		query.Set("to", e.to.UTC().Format(time.RFC3339Nano))
	}
	if e.step > 0 {
		query.Set("step", e.step.String())
	}
	join := joinCSV()
	if e.format == compat.FormatJSON {
		join = joinJSON
	}
	for _, gpu := range gpus {
		query.Set("gpu", gpu)
		if err := r.get(ctx, "gpu/history", query, func(body io.Reader) error { return join(w, body) }); err != nil {
			return err
		}
	}
	return nil
}

// gpus are the names of those to ask for. Of no GPU at all a history can be had too: the empty one.
func (r running) gpus(ctx context.Context, only string) ([]string, error) {
	if only != "" {
		return []string{only}, nil
	}
	var known struct{ GPUs []struct{ GPU string } }
	err := r.get(ctx, "gpus", nil, func(body io.Reader) error { return json.NewDecoder(body).Decode(&known) })
	if err != nil {
		return nil, err
	}
	var names []string
	for _, g := range known.GPUs {
		names = append(names, g.GPU)
	}
	if names == nil {
		names = []string{""}
	}
	return names, nil
}

// get hands the body of an answer to read.
func (r running) get(ctx context.Context, path string, query url.Values, read func(io.Reader) error) error {
	u := r.base.JoinPath(path)
	u.RawQuery = query.Encode()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(r.silence, func() { cancel(fmt.Errorf("nothing came for %v", r.silence)) })
	defer silent.Stop()
	answer, err := ask(ctx, u.String(), false)
	if err == nil {
		defer answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			err = read(readerFunc(func(b []byte) (int, error) {
				silent.Reset(r.silence)
				defer silent.Stop() // who takes what is read may be slow
				return answer.Body.Read(b)
			}))
		} else {
			err = refusal(answer)
		}
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", u.Redacted(), err)
	}
	return nil
}

type readerFunc func([]byte) (int, error)

func (r readerFunc) Read(b []byte) (int, error) { return r(b) }

// refusal is what an answer says that has no history.
func refusal(answer *http.Response) error {
	hint := ""
	if answer.StatusCode == http.StatusUnauthorized {
		hint = ", write the name and the password into --url, as http://NAME:PASSWORD@localhost:5009"
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1000))
	if err == nil && json.Valid(text) {
		hint += ": " + string(text)
	}
	return fmt.Errorf("answers %s%s", answer.Status, hint)
}

// joinCSV makes one CSV of several: all but the first lose the header.
func joinCSV() func(w io.Writer, body io.Reader) error {
	var header []byte
	return func(w io.Writer, body io.Reader) error {
		lines := bufio.NewReader(body)
		line, err := lines.ReadSlice('\n')
		switch {
		case err != nil && err != io.EOF && err != bufio.ErrBufferFull:
			return err
		case !bytes.HasPrefix(line, []byte("timestamp,gpu,")) || err != nil:
			return errors.New("answers no CSV of a gpu_exporter")
		case header == nil:
			header = bytes.Clone(line)
			if _, err := w.Write(header); err != nil {
				return err
			}
		case !bytes.Equal(line, header):
			return errors.New("changed its columns meanwhile")
		}
		_, err = io.Copy(w, lines)
		return err
	}
}

// joinJSON makes lines of the objects of a history.
func joinJSON(w io.Writer, body io.Reader) error {
	d := json.NewDecoder(body)
	expect := func(tokens ...json.Token) error {
		for _, want := range tokens {
			switch got, err := d.Token(); {
			case err != nil:
				return err
			case got != want:
				return errors.New("answers no history of a gpu_exporter")
			}
		}
		return nil
	}
	if err := expect(json.Delim('{'), "history", json.Delim('[')); err != nil {
		return err
	}
	lines := bufio.NewWriter(w)
	for d.More() {
		var object json.RawMessage
		if err := d.Decode(&object); err != nil {
			return err
		}
		if _, err := lines.Write(append(object, '\n')); err != nil {
			return err
		}
	}
	if err := expect(json.Delim(']'), json.Delim('}')); err != nil {
		return err
	}
	return lines.Flush()
}
