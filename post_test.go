//go:build alertslive

package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"gpu_exporter/internal/await"
	"html"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

const account, password = "gpu-alerts@example.org", "correct horse"

// The ways that messages come.
const (
	secureMail = "mail with STARTTLS and AUTH"
	plainMail  = "plain mail"
	slack      = "Slack"
)

// message is one that has come.
type message struct {
	channel, title string
	text           string   // all that is to be read, title not included
	hrefs          []string // addresses that links lead to
}

// facts are what an entry of a message says, by the word in front of it.
type facts map[string]string

// says says whether the message has an entry that begins so and says this.
func (m message) says(begin string, f facts) bool {
	_, entry, found := strings.Cut(m.text, begin)
	for word, fact := range f {
		// The next alert's facts come after this one's: the first of each counts.
		said := regexp.MustCompile(`(?i)\b` + word + `:\s+(.*)`).FindStringSubmatch(entry)
		found = found && said != nil && strings.HasPrefix(said[1], fact)
	}
	return found
}

// links says whether each of these is in a link.
func (m message) links(parts ...string) bool {
	return !slices.ContainsFunc(parts, func(p string) bool {
		return !slices.ContainsFunc(m.hrefs, func(h string) bool { return strings.Contains(h, p) })
	})
}

// post is two mail servers and an imitation of Slack's webhook.
type post struct {
	secureMail, plainMail string // addresses
	slack                 string // URL
	authority             string // who signed the certificate of secureMail, PEM

	mu   sync.Mutex // guards all below
	come []message
	bad  []error // what cannot be read
}

func openPost(t *testing.T) *post {
	p := &post{}
	certificate, authority := newCertificate(t)
	p.authority = authority
	p.secureMail = p.serveMail(t, secureMail, &tls.Config{Certificates: []tls.Certificate{certificate}})
	p.plainMail = p.serveMail(t, plainMail, nil)
	webhook := httptest.NewServer(http.HandlerFunc(p.serveSlack))
	t.Cleanup(webhook.Close)
	p.slack = webhook.URL + "/services/T/B/secret"
	return p
}

// messages are those that have come so far.
func (p *post) messages() []message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.come)
}

func (p *post) add(m message, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.bad = append(p.bad, fmt.Errorf("%s: %w", m.channel, err))
		return
	}
	p.come = append(p.come, m)
}

// arrives waits until a message that meets the condition has come by each channel.
func (p *post) arrives(t *testing.T, what string, meets func(message) bool) {
	t.Helper()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if t.Failed() {
			for _, m := range p.come {
				t.Logf("%s: %s\n%s\n%s", m.channel, m.title, m.text, strings.Join(m.hrefs, "\n"))
			}
		}
		for _, err := range p.bad {
			t.Error(err)
		}
	}()
	for _, channel := range []string{secureMail, plainMail, slack} {
		await.Until(t, what+", by "+channel, func() bool {
			return slices.ContainsFunc(p.messages(), func(m message) bool { return m.channel == channel && meets(m) })
		})
	}
}

// serveMail serves SMTP until the test ends. With TLS it wants the password too.
func (p *post) serveMail(t *testing.T, channel string, secure *tls.Config) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		if secure == nil {
			return &session{post: p, channel: channel}, nil
		}
		return &guarded{session{post: p, channel: channel}, c, false}, nil
	}))
	server.Domain, server.TLSConfig = "localhost", secure
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// session takes mails from one connection.
type session struct {
	post    *post
	channel string
}

func (*session) Reset()                               {}
func (*session) Logout() error                        { return nil }
func (*session) Mail(string, *smtp.MailOptions) error { return nil }
func (*session) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (s *session) Data(r io.Reader) error {
	m, err := readMail(r)
	m.channel = s.channel
	s.post.add(m, err)
	return err
}

// guarded is a session that wants STARTTLS and the password first.
type guarded struct {
	session
	conn *smtp.Conn
	in   bool
}

func (*guarded) AuthMechanisms() []string { return []string{sasl.Plain} }

func (g *guarded) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, pass string) error {
		if user != account || pass != password {
			return smtp.ErrAuthFailed
		}
		g.in = true
		return nil
	}), nil
}

func (g *guarded) Mail(string, *smtp.MailOptions) error {
	if _, secure := g.conn.TLSConnectionState(); !secure || !g.in {
		return smtp.ErrAuthRequired
	}
	return nil
}

var href = regexp.MustCompile(`href="([^"]*)"`)

// readMail reads a mail that says the same as text and as HTML. Of what they say, both must have it: text is the one, hrefs
// those links of the other that stand in the first too.
func readMail(r io.Reader) (m message, err error) {
	letter, err := mail.ReadMessage(r)
	if err != nil {
		return m, err
	}
	if m.title, err = new(mime.WordDecoder).DecodeHeader(letter.Header.Get("Subject")); err != nil {
		return m, err
	}
	kind, params, err := mime.ParseMediaType(letter.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		return m, fmt.Errorf("content type %s, %v", kind, err)
	}
	parts := map[string]string{}
	for reader := multipart.NewReader(letter.Body, params["boundary"]); ; {
		part, err := reader.NextRawPart()
		if err == io.EOF {
			break
		} else if err != nil {
			return m, err
		}
		text, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			return m, err
		}
		kind, _, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if err != nil {
			return m, err
		}
		parts[kind] = strings.ReplaceAll(string(text), "\r\n", "\n")
	}
	m.text = parts["text/plain"]
	for _, h := range href.FindAllStringSubmatch(parts["text/html"], -1) {
		if h := html.UnescapeString(h[1]); strings.Contains(m.text, h) {
			m.hrefs = append(m.hrefs, h)
		}
	}
	return m, nil
}

var slackLink = regexp.MustCompile(`<([^|>]*)\|[^>]*>`)

// serveSlack takes what Slack's "incoming webhooks" take, as Slack does.
func (p *post) serveSlack(w http.ResponseWriter, r *http.Request) {
	m, err := readSlack(r)
	m.channel = slack
	p.add(m, err)
	if err != nil {
		http.Error(w, "invalid_payload", http.StatusBadRequest)
		return
	}
	fmt.Fprint(w, "ok")
}

func readSlack(r *http.Request) (m message, err error) {
	if kind := r.Header.Get("Content-Type"); r.Method != http.MethodPost || kind != "application/json" || r.URL.Path != "/services/T/B/secret" {
		return m, fmt.Errorf("%s %s of %s", r.Method, r.URL, kind)
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return m, err
	}
	var payload struct {
		Attachments []struct{ Title, Text, Fallback, Color string }
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&payload); err != nil || len(payload.Attachments) != 1 {
		return m, fmt.Errorf("%v in %s", err, text)
	}
	a := payload.Attachments[0]
	if a.Fallback != a.Title || !strings.HasPrefix(a.Color, "#") {
		return m, fmt.Errorf("fallback %q, colour %q", a.Fallback, a.Color)
	}
	m.title = html.UnescapeString(a.Title) // Slack's three signs are escaped as HTML's are
	m.text = strings.ReplaceAll(html.UnescapeString(a.Text), "*", "")
	for _, l := range slackLink.FindAllStringSubmatch(a.Text, -1) {
		m.hrefs = append(m.hrefs, html.UnescapeString(l[1]))
	}
	return m, nil
}

// newCertificate is one of loopback, signed by itself.
func newCertificate(t *testing.T) (certificate tls.Certificate, authority string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail of a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	authority = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, authority
}
