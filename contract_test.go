//go:build linux

package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unicode"
)

// What old clients rely on stands in legacy-api.md. Here each row of it is a test of the real binary, listed in the table
// `contract`; nothing here knows how the answers are made. On Linux only, since that is where cards are read, and one hangs by a
// pipe in the place of a file.

// A clause is a row of legacy-api.md, or a sentence of one, and what proves it.
type clause struct {
	section string
	words   string // of the row, as they stand there but for ` and **
	in      world  // where it must hold
	check   func(*testing.T, *subject)
}

const (
	clauses       = 184  // in the table
	leastVerified = 1000 // answers that must have been held against the server's own /openapi.json
)

func TestContract(t *testing.T) {
	if len(contract) != clauses {
		t.Errorf("%d clauses, want %d: whoever adds one or takes one away says so here", len(contract), clauses)
	}
	settings := settings(t)
	var running sync.WaitGroup
	for i := range settings {
		running.Go(func() {
			t.Run(settings[i].name, func(t *testing.T) { holds(t, &settings[i]) })
		})
	}
	running.Wait()
	all := 0
	for _, w := range settings {
		for _, c := range contract {
			if c.within(w.in) {
				all++
			}
		}
	}
	t.Logf("%d clauses in %d settings: %d of %d checks were made, %d answers held against /openapi.json",
		len(contract), len(settings), ran.Load(), all, verified.Load())
	if ran.Load() == int64(all) && verified.Load() < leastVerified { // with -run only some are made
		t.Errorf("%d answers were held against /openapi.json, want %d", verified.Load(), leastVerified)
	}
}

// ran counts the checks that were made.
var ran atomic.Int64

// within says whether the clause must hold in a world.
func (c clause) within(w world) bool { return c.in == w || c.in&w != 0 }

// places are for clauses that run at once. t.Parallel has as many as there are processors, and is for work: nearly all here
// waits for a server.
var places = make(chan struct{}, 16)

// holds checks all clauses of one setting, on one server.
func holds(t *testing.T, w *setting) {
	var s *subject
	if w.in != apart {
		s = w.start(t)
	}
	var running sync.WaitGroup
	for _, c := range contract {
		if !c.within(w.in) {
			continue
		}
		running.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			t.Run(c.section+"/"+c.words, func(t *testing.T) {
				ran.Add(1)
				c.check(t, s)
			})
		})
	}
	running.Wait()
}

// The sections whose every row is a clause, or has a reason why not.
var sections = []string{"2", "3", "4", "5", "6", "7", "8", "9", "10", "12", "15", "15.1", "15.2", "15.3", "15.4"}

// A passage is a row of a table, an item of a list, or a paragraph.
type passage struct{ section, text string }

const contractText = "../shared/reference/legacy-api.md"

var (
	headingForm = regexp.MustCompile(`^##+ (\d+(?:\.\d+)?) `)
	itemForm    = regexp.MustCompile(`^(?:-|\d+\.) `)
)

// passages reads the contract; what is fenced is left out.
func passages(text string) (list []passage) {
	var section string
	open, fenced := false, false // open: a line that begins nothing goes on with the last passage
	for line := range strings.Lines(strings.NewReplacer("`", "", "**", "").Replace(strings.ReplaceAll(text, "```", "~~~"))) {
		trimmed := strings.TrimSpace(line)
		if m := headingForm.FindStringSubmatch(line); m != nil {
			section = m[1]
		}
		switch {
		case strings.HasPrefix(trimmed, "~~~"):
			open, fenced = false, !fenced
		case fenced:
		case trimmed == "" || strings.HasPrefix(line, "#"):
			open = false
		case strings.HasPrefix(line, "| ---"):
			list = list[:len(list)-1] // what came before is the head of the table
		case strings.HasPrefix(line, "|"):
			list, open = append(list, passage{section, strings.Trim(trimmed, "| ")}), false
		case open && !itemForm.MatchString(line):
			list[len(list)-1].text += " " + trimmed
		default:
			list, open = append(list, passage{section, trimmed}), true
		}
	}
	return list
}

// quotes says whether the words stand in the passage, and not as a part of longer ones.
func (p passage) quotes(section, words string) bool {
	if p.section != section {
		return false
	}
	for from := 0; ; {
		i := strings.Index(p.text[from:], words)
		if i < 0 {
			return false
		}
		before, after := []rune(p.text[:from+i]), []rune(p.text[from+i+len(words):])
		if (len(before) == 0 || !isLetter(before[len(before)-1])) && (len(after) == 0 || !isLetter(after[0])) {
			return true
		}
		from += i + 1
	}
}

func isLetter(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// Each row of the contract is proved or exempted, and all that is said here to be a row stands there, once.
func TestContractHasEveryRow(t *testing.T) {
	text, err := os.ReadFile(contractText)
	if os.IsNotExist(err) {
		t.Skipf("%s is not there: nobody holds the table against it", contractText)
	}
	if err != nil {
		t.Fatal(err)
	}
	list := passages(string(text))
	list = slices.DeleteFunc(list, func(p passage) bool { return !slices.Contains(sections, p.section) })
	proved, exempted := make([]int, len(list)), make([]int, len(list))
	mark := func(section, words string, marks []int) {
		found := 0
		for i, p := range list {
			if p.quotes(section, words) {
				found++
				marks[i]++
			}
		}
		if found != 1 {
			t.Errorf("section %s: %q stands in %d rows, want 1", section, words, found)
		}
	}
	for _, c := range contract {
		mark(c.section, c.words, proved)
	}
	for _, e := range exempt {
		mark(e.section, e.words, exempted)
	}
	rows := 0
	for i, p := range list {
		switch {
		case proved[i] == 0 && exempted[i] == 0:
			t.Errorf("section %s: no clause for %q", p.section, p.text)
		case proved[i] > 0:
			rows++
		}
	}
	t.Logf("%d rows of legacy-api.md: %d proved by %d clauses, the others exempt for a reason", len(list), rows, len(contract))
	if len(list) < 150 {
		t.Errorf("%d rows: the contract is not read as it is written", len(list))
	}
}
