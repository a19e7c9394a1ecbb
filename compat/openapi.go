package compat

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"sync"
)

// The description of the routes for generators of clients, in the words of FastAPI where the old service had them
// (legacy-api.md 9). It is written by hand; a test holds it against what the routes answer.
//
//go:embed openapi/openapi.json
var openAPI []byte

// The page that shows it to people. The old ones were Swagger UI and ReDoc, with scripts from public hosts.
//
//go:embed openapi/docs.html
var docsHTML string

// documentation are the routes that describe the others; as with FastAPI they do not describe themselves. They are the
// same for every API, and take a while to make.
var documentation = sync.OnceValue(func() []Route {
	d, err := parseDocument(openAPI)
	if err != nil {
		panic(err) // the document is fixed above
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, openAPI); err != nil {
		panic(err) // likewise
	}
	routes := []Route{{Pattern: "/openapi.json", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, compact.Bytes())
	})}}
	t := template.Must(template.New("docs").Funcs(template.FuncMap{
		"parameter": d.parameter, "response": d.response, "curls": d.curls, "paragraphs": paragraphs,
		"heading": heading, "marked": marked, "indent": indent, "last": last, "lower": strings.ToLower,
	}).Parse(docsHTML))
	// The titles still name the tools of the old pages, by which scripts know them.
	for _, page := range [...]struct{ pattern, tool string }{{"/docs", "Swagger UI"}, {"/redoc", "ReDoc"}} {
		var html bytes.Buffer
		if err := t.Execute(&html, struct {
			*document
			Tool string
		}{d, page.tool}); err != nil {
			panic(err) // template and data are both fixed above
		}
		routes = append(routes, Route{Pattern: page.pattern, Handler: servePage(html.Bytes())})
	}
	return routes
})

// servePage serves a page that needs nothing but itself, and lets nothing else in.
func servePage(html []byte) http.Handler {
	_, style, _ := bytes.Cut(html, []byte("<style>"))
	style, _, _ = bytes.Cut(style, []byte("</style>")) // as it is sent: html/template takes comments out
	sum := sha256.Sum256(style)
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		_, _ = w.Write(html) // a client that is gone is told nothing
	})
}

// document is what the pages show of an OpenAPI document.
type document struct {
	Info struct {
		Title       string
		Description string
	}
	Paths      ordered[struct{ Get operation }]
	Components struct {
		Parameters map[string]queryParameter
		Responses  map[string]response
		Schemas    ordered[schema]
	}
}

type operation struct {
	Summary     string
	Description string
	OperationID string
	Parameters  []queryParameter
	Responses   map[string]response
}

type queryParameter struct {
	Ref         string `json:"$ref"`
	Name        string
	Description string
	Schema      schema
	Example     string
}

type response struct {
	Ref         string `json:"$ref"`
	Description string
	Content     map[string]struct {
		Schema  schema
		Example json.RawMessage
	}
}

type schema struct {
	Ref                  string `json:"$ref"`
	Type                 types
	Description          string
	Format               string
	Enum                 []any
	Default              any
	Minimum              *float64
	Maximum              *float64
	AnyOf                []schema
	Items                *schema
	Properties           ordered[schema]
	AdditionalProperties additional
}

func parseDocument(text []byte) (*document, error) {
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	return &d, nil
}

// ordered is a JSON object whose keys stay in the order in which they are written.
type ordered[T any] []member[T]

type member[T any] struct {
	Key   string
	Value T
}

// UnmarshalJSON implements json.Unmarshaler.
func (o *ordered[T]) UnmarshalJSON(text []byte) error {
	tokens := json.NewDecoder(bytes.NewReader(text))
	switch brace, err := tokens.Token(); {
	case err != nil:
		return err
	case brace != json.Delim('{'):
		return fmt.Errorf("%v where an object should be", brace)
	}
	for tokens.More() {
		key, err := tokens.Token()
		if err != nil {
			return err
		}
		m := member[T]{Key: key.(string)} // what else the grammar allows here is a syntax error
		if err := tokens.Decode(&m.Value); err != nil {
			return fmt.Errorf("%s: %w", m.Key, err)
		}
		*o = append(*o, m)
	}
	return nil
}

// types are those that a value may have: JSON has a string where there is one only.
type types []string

// UnmarshalJSON implements json.Unmarshaler.
func (t *types) UnmarshalJSON(text []byte) error {
	if text[0] == '[' {
		return json.Unmarshal(text, (*[]string)(t))
	}
	*t = make(types, 1)
	return json.Unmarshal(text, &(*t)[0])
}

// additional is the schema of the values by other keys than those that are named; nil where true or false stands.
type additional struct{ Schema *schema }

// UnmarshalJSON implements json.Unmarshaler.
func (a *additional) UnmarshalJSON(text []byte) error {
	if text[0] != '{' {
		return nil
	}
	return json.Unmarshal(text, &a.Schema)
}

// parameter follows the reference, where p is one.
func (d *document) parameter(p queryParameter) queryParameter {
	if p.Ref != "" {
		return d.Components.Parameters[last(p.Ref)]
	}
	return p
}

// response follows the reference, where r is one.
func (d *document) response(r response) response {
	if r.Ref != "" {
		return d.Components.Responses[last(r.Ref)]
	}
	return r
}

// curls are commands that try an operation, as it is and with the parameters that have an example. curl takes a host
// without a scheme for http.
func (d *document) curls(path string, o operation) []string {
	const server = "localhost:5009"
	commands := []string{"curl " + server + path}
	var query []string
	for _, p := range o.Parameters {
		if p = d.parameter(p); p.Example != "" {
			query = append(query, p.Name+"="+p.Example)
		}
	}
	if len(query) > 0 {
		commands = append(commands, "curl '"+server+path+"?"+strings.Join(query, "&")+"'")
	}
	return commands
}

// paragraphs are the blocks of a text in Markdown, of which the document uses no more than headings and code.
func paragraphs(text string) []string { return strings.Split(text, "\n\n") }

// heading is the text of a heading, and empty for another paragraph.
func heading(paragraph string) string {
	text, _ := strings.CutPrefix(paragraph, "## ")
	if text == paragraph {
		return ""
	}
	return text
}

// marked is a paragraph of Markdown as HTML.
func marked(text string) template.HTML {
	parts := strings.Split(template.HTMLEscapeString(text), "`")
	for i := 1; i < len(parts); i += 2 {
		parts[i] = "<code>" + parts[i] + "</code>"
	}
	return template.HTML(strings.Join(parts, ""))
}

// indent makes an example readable, without touching its numbers.
func indent(example json.RawMessage) (string, error) {
	var text string
	if json.Unmarshal(example, &text) == nil { // what is no JSON stands in a string
		return text, nil
	}
	var lines bytes.Buffer
	err := json.Indent(&lines, example, "", "  ")
	return lines.String(), err
}

// last is what a reference points to.
func last(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }
