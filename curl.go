package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/exporter-toolkit/web"
)

// The image has a link of this name to the program: compose files made for the service that it replaces ask for its health
// by `curl -f http://localhost:5009/health` inside the container, and there is neither a shell nor a real curl in it.
const curlName = "curl"

// What the real curl exits with (man curl, EXIT CODES).
const (
	curlUsage       = 2
	curlURL         = 3
	curlConnect     = 7
	curlPartial     = 18
	curlStatus      = 22
	curlWrite       = 23
	curlTimeout     = 28
	curlRedirects   = 47
	curlCertificate = 60
)

// maxRedirects is how many redirections -L follows.
const maxRedirects = 10

// curlError is an end with a status that no other error tells.
type curlError struct {
	status int
	reason any
}

func (e curlError) Error() string { return fmt.Sprint(e.reason) }

// curlExit is the status to exit with.
func curlExit(err error) int {
	ended, ok := errors.AsType[curlError](err)
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case ok:
		return ended.status
	case untrusted:
		return curlCertificate
	case errors.Is(err, errURL):
		return curlURL
	case errors.Is(err, context.DeadlineExceeded):
		return curlTimeout
	}
	return curlConnect
}

// curlOptions are those of the real curl that the stand-in understands.
type curlOptions struct {
	fail, silent, showError, insecure, location bool

	maxTime time.Duration
	output  string
	url     string

	secured web.Config // of the exporter in this container; empty where everybody may read
}

// curl does what health checks and people at a console use curl for. It is the exporter itself under that name.
func curl(ctx context.Context, args []string, p program) int {
	o, err := parseCurl(args, p)
	if err == nil && o != nil {
		ctx, cancel := context.WithTimeout(ctx, o.maxTime)
		defer cancel()
		err = o.transfer(ctx, p.out)
	}
	if err == nil {
		return 0
	}
	if o == nil || !o.silent || o.showError {
		fmt.Fprintf(p.err, "curl: (%d) %v\n", curlExit(err), err)
	}
	return curlExit(err)
}

// parseCurl is without options and without error where help was asked for and given.
func parseCurl(args []string, p program) (*curlOptions, error) {
	o := &curlOptions{}
	app := kingpin.New(curlName, "gpu_exporter's stand-in for curl: just enough for health checks.")
	ended := false
	app.Terminate(func(int) { ended = true }).UsageWriter(p.out).ErrorWriter(p.err)
	app.Flag("fail", "Exit with 22 and print no body where the status is 400 or more.").Short('f').BoolVar(&o.fail)
	app.Flag("silent", "Say nothing of errors.").Short('s').BoolVar(&o.silent)
	app.Flag("show-error", "Say them all the same.").Short('S').BoolVar(&o.showError)
	app.Flag("insecure", "Do not verify certificates; on this machine they never are.").Short('k').BoolVar(&o.insecure)
	app.Flag("location", "Follow redirections.").Short('L').BoolVar(&o.location)
	app.Flag("output", "File for the body, instead of standard output.").Short('o').PlaceHolder("FILE").StringVar(&o.output)
	app.Flag("max-time", "Seconds after which to give up.").Short('m').Default(healthTimeout.String()).
		SetValue(newValue("max-time", &o.maxTime, within(time.Millisecond, time.Hour, "a number of seconds")))
	app.Arg("url", "What to get.").Required().StringVar(&o.url)
	_, err := app.Parse(args)
	switch {
	case ended:
		return nil, nil
	case err != nil:
		const about = "this is gpu_exporter's stand-in for curl, which understands -f -s -S -k -L -o FILE -m SECONDS and one URL"
		return nil, curlError{curlUsage, fmt.Sprintf("%v: %s", err, about)}
	}
	if !strings.Contains(o.url, "://") {
		o.url = "http://" + o.url // as the real one guesses
	}
	file := os.Getenv("GPU_EXPORTER_WEB_CONFIG_FILE")
	o.secured, _ = webConfig(&web.FlagConfig{WebConfigFile: &file}) // if it cannot be read, the exporter has not started either
	return o, nil
}

// transfer gets the URL and writes its body.
func (o *curlOptions) transfer(ctx context.Context, stdout io.Writer) error {
	answer, err := o.follow(ctx)
	switch {
	case turnedAway(err) && o.wantsCertificate():
		return nil
	case err != nil:
		return err
	}
	defer answer.Body.Close()
	if o.fail && answer.StatusCode >= http.StatusBadRequest && !o.wantsPassword(answer) {
		return curlError{curlStatus, fmt.Sprintf("The requested URL returned error: %d", answer.StatusCode)}
	}
	to := stdout
	if o.output != "" {
		f, err := os.Create(o.output)
		if err != nil {
			return curlError{curlWrite, err}
		}
		defer f.Close()
		to = f
	}
	_, err = io.Copy(to, answer.Body)
	switch _, notWritten := errors.AsType[*fs.PathError](err); {
	case notWritten:
		return curlError{curlWrite, err}
	case err != nil && !errors.Is(err, context.DeadlineExceeded):
		return curlError{curlPartial, err}
	}
	return err
}

// follow asks, and with -L asks again where it is sent to.
func (o *curlOptions) follow(ctx context.Context) (*http.Response, error) {
	target := o.url
	for range maxRedirects + 1 {
		answer, err := ask(ctx, o.own(target), o.insecure)
		if err != nil {
			return nil, err
		}
		next, err := answer.Location()
		if !o.location || err != nil || answer.StatusCode/100 != 3 {
			return answer, nil
		}
		answer.Body.Close()
		target = next.String()
	}
	return nil, curlError{curlRedirects, fmt.Sprintf("more than %d redirections", maxRedirects)}
}

// own is the target, by https where the exporter on this machine has TLS: the compose files know nothing of that.
func (o *curlOptions) own(target string) string {
	if o.secured.TLSConfig.IsEnabled() && isLoopback(hostOf(target)) && strings.HasPrefix(target, "http://") {
		return "https" + strings.TrimPrefix(target, "http")
	}
	return target
}

// wantsPassword says whether this is the answer of an exporter that is alive and only lets in who has a password.
func (o *curlOptions) wantsPassword(answer *http.Response) bool {
	return answer.StatusCode == http.StatusUnauthorized && len(o.secured.Users) > 0 && isLoopback(answer.Request.URL.Hostname())
}

// wantsCertificate says whether the exporter is known to let in only who has a certificate.
func (o *curlOptions) wantsCertificate() bool {
	return o.secured.TLSConfig.ClientAuth != "" && isLoopback(hostOf(o.url))
}

func hostOf(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
