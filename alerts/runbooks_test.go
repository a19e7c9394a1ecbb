package alerts

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	heading = regexp.MustCompile(`(?m)^## (\w+)$`)
	query   = regexp.MustCompile("(?s)```promql\n(.*?)\n```")
	parts   = []string{"**Meaning.**", "**Impact.**", "**Diagnosis.**", "**Mitigation.**"}
)

// queries are the expressions in a text.
func queries(text string) (list []string) {
	for _, m := range query.FindAllStringSubmatch(text, -1) {
		list = append(list, m[1])
	}
	return list
}

// runbooks are the texts below the headings, by the end of the URL that leads there: temperature.md#gputemperaturehigh.
func runbooks(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		at := heading.FindAllStringSubmatchIndex(text, -1)
		for i, m := range at {
			end := len(text)
			if i+1 < len(at) {
				end = at[i+1][0]
			}
			// This is how GitHub and its like make an anchor of a heading of one word.
			texts[filepath.Base(file)+"#"+strings.ToLower(text[m[2]:m[3]])] = text[m[1]:end]
		}
	}
	return texts
}

func TestEveryAlertHasARunbookAndEveryRunbookAnAlert(t *testing.T) {
	texts := runbooks(t)
	for _, r := range named() {
		page, found := strings.CutPrefix(r.Annotations["runbook_url"], Defaults.RunbookURL+"/")
		if _, written := texts[page]; !found || !written {
			t.Errorf("%s: nothing is at %s", r.Alert, r.Annotations["runbook_url"])
		}
		delete(texts, page)
	}
	for page := range texts {
		t.Errorf("runbooks/%s is of no alert", page)
	}
}

func TestEveryRunbookHasItsFourParts(t *testing.T) {
	for page, text := range runbooks(t) {
		var at []int
		for _, part := range parts {
			at = append(at, strings.Index(text, "\n"+part))
		}
		if slices.Contains(at, -1) || !slices.IsSorted(at) {
			t.Errorf("runbooks/%s does not have, in this order, %q", page, parts)
		}
	}
}

// link is a link of Markdown to a heading or file of ours.
var link = regexp.MustCompile(`\]\(([\w.]*)(#\w+)?\)`)

func TestLinksOfRunbooksLeadSomewhere(t *testing.T) {
	texts := runbooks(t)
	files, err := filepath.Glob("runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(raw), -1) {
			page := m[1]
			if page == "" {
				page = filepath.Base(file)
			}
			if _, ok := texts[page+m[2]]; m[2] != "" && !ok {
				t.Errorf("%s links to %s", file, page+m[2])
			}
			if _, err := os.Stat(filepath.Join("runbooks", page)); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}
