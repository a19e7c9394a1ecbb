package compat

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// sample is a file with a tree of some depth, free pages, and pages that overflow.
func sample(t testing.TB) []byte {
	t.Helper()
	folder := t.TempDir()
	f := manualFile(t, folder)
	const n = 640
	random := rand.New(rand.NewPCG(1, 2))
	wild := secondsOf(0, n, "a", "b")
	for i := range wild {
		for j := range wild[i].Values {
			wild[i].Values[j] = float32(random.Uint32()>>8) / 10
		}
	}
	f.record(t, wild) // full chunks, larger than a page
	f.step()
	for s := n; s < 2*n; s += 20 {
		f.record(t, secondsOf(s, s+20, "a", "b"))
		f.step()
	}
	if err := f.end(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(f.path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// stands puts a file where a File looks for it.
func stands(t testing.TB, b []byte) (folder string) {
	t.Helper()
	folder = t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, fileName), b, 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// names are the files in a folder.
func names(t testing.TB, folder string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// goesOn demands that a File takes up whatever file there is, serves, writes, and can be read again. It returns whether it
// set the file aside: then as it was. A reader changes nothing.
func goesOn(t testing.TB, what string, b []byte) (aside bool) {
	t.Helper()
	folder := stands(t, b)
	if r, err := OpenReadOnly(folder); err == nil {
		for range r.Range("a", at.AddDate(-1, 0, 0), at.AddDate(1, 0, 0)) { // an error is an answer too
			continue
		}
		if err := r.Close(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	} else if !errors.Is(err, errDamaged) {
		t.Errorf("%s: read only: %v", what, err)
	}
	if got := names(t, folder); !slices.Equal(got, []string{fileName}) {
		t.Errorf("%s: a reader left %v", what, got)
	}

	f := manualFile(t, folder)
	const begin = 100_000 // beyond all that was there
	f.record(t, secondsOf(begin, begin+100, "a"))
	f.step()
	for _, err := range f.Range("b", at.AddDate(-1, 0, 0), at.AddDate(1, 0, 0)) {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for s := begin + 100; s < begin+300; s += 100 {
		f.record(t, secondsOf(s, s+100, "a"))
		f.step()
	}
	last := func(past Past) {
		got := 0
		for _, err := range past.Range("a", entryOf("a", begin).At, at.AddDate(1, 0, 0)) {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
			got++
		}
		if got < 299 || got > 300 { // the first begins within a microsecond
			t.Errorf("%s: %d entries, want 300", what, got)
		}
	}
	last(f)
	if err := f.end(); err != nil {
		t.Errorf("%s: %v, log:\n%s", what, err, f.log)
	}
	r, err := OpenReadOnly(folder)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return false
	}
	last(r)
	if err := r.Close(); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	for _, name := range names(t, folder) {
		if name == fileName {
			continue
		}
		aside = true
		kept, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil || !strings.HasPrefix(name, fileName+".damaged-2") || !bytes.Equal(kept, b) {
			t.Errorf("%s: %s, %d bytes, %v", what, name, len(kept), err)
		}
		if f.log.count(name) != 1 {
			t.Errorf("%s: log:\n%s", what, f.log)
		}
	}
	return aside
}

// A file that was cut anywhere, or that has noise in any of its pages, is opened or set aside: never an exit, never an
// error for those who record and ask.
func TestFileThatIsDamaged(t *testing.T) {
	b := sample(t)
	if goesOn(t, "sound", b) {
		t.Error("a sound file is set aside")
	}
	for size := pageSize; size < len(b); size += pageSize {
		if !goesOn(t, "cut", b[:size]) && size < int(pagesOf(t, b))*pageSize {
			t.Errorf("cut at %d, and not set aside", size)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	aside, pages := 0, len(b)/pageSize
	for page := range pages {
		noisy := slices.Clone(b)
		for i := range noisy[page*pageSize:][:pageSize] {
			noisy[page*pageSize+i] = byte(random.Uint32())
		}
		if goesOn(t, "noise", noisy) {
			aside++
		}
	}
	t.Logf("noise in each of %d pages: set aside %d times", pages, aside)
	for name, b := range map[string][]byte{
		"a byte":        {1},
		"text":          bytes.Repeat([]byte("not a database\n"), 10_000),
		"zeros":         make([]byte, len(b)),
		"no meta pages": slices.Concat(make([]byte, 2*pageSize), b[2*pageSize:]),
	} {
		if !goesOn(t, name, b) {
			t.Errorf("%s: not set aside", name)
		}
	}
}

// pagesOf is how many pages a file says that it has.
func pagesOf(t testing.TB, b []byte) uint64 {
	t.Helper()
	m, ok := parseMeta(b)
	if other, good := parseMeta(b[pageSize:]); good && (!ok || other.transaction > m.transaction) {
		m, ok = other, true
	}
	if !ok {
		t.Fatal("no meta page")
	}
	return m.pages
}

// word is a change of four bytes of a file.
func word(b []byte, offset int, v uint32) []byte {
	changed := slices.Clone(b)
	binary.NativeEndian.PutUint32(changed[offset:], v)
	return changed
}

// seal makes the sums of the meta pages right again.
func seal(b []byte) []byte {
	for page := range 2 {
		m := b[page*pageSize+pageHead:]
		sum := fnv.New64a()
		_, _ = sum.Write(m[:metaSize-8])
		binary.NativeEndian.PutUint64(m[metaSize-8:], sum.Sum64())
	}
	return b
}

// Each of these would have bbolt loop, fault, overwrite what is in use, or take all memory. They are found before it sees
// them.
func TestCheckFile(t *testing.T) {
	b := sample(t)
	last := 0 // where the later meta page begins
	if m, _ := parseMeta(b); true {
		if other, _ := parseMeta(b[pageSize:]); other.transaction > m.transaction {
			last = pageSize
		}
	}
	m, _ := parseMeta(b[last:])
	at := func(page uint64) int { return int(page) * pageSize }
	bucket := uint64(0) // root of the chunks
	for i := range int(binary.NativeEndian.Uint16(b[at(m.root)+10:])) {
		_, k, v, _ := leafElement(b[at(m.root):], int(binary.NativeEndian.Uint16(b[at(m.root)+10:])), i)
		if bytes.Equal(k, chunkBucket) {
			bucket = binary.NativeEndian.Uint64(v)
		}
	}
	count := int(binary.NativeEndian.Uint16(b[at(bucket)+10:]))
	if flags := binary.NativeEndian.Uint16(b[at(bucket)+8:]); flags != branchPage || count < 3 {
		t.Fatalf("the sample has no tree: flags %x, %d elements", flags, count)
	}
	_, leaf, _ := branchElement(b[at(bucket):], count, 1)
	if free := binary.NativeEndian.Uint16(b[at(m.freelist)+10:]); free < 3 {
		t.Fatalf("the sample has only %d free pages", free)
	}
	overflows := 0
	for page := uint64(2); page < m.pages; page++ {
		if binary.NativeEndian.Uint64(b[at(page):]) == page && binary.NativeEndian.Uint32(b[at(page)+12:]) > 0 {
			overflows++
		}
	}
	if overflows == 0 {
		t.Fatal("the sample has no page that overflows")
	}
	child := func(i int) int { return at(bucket) + pageHead + i*elementHead + 8 }
	element := at(leaf) + pageHead
	free := at(m.freelist) + pageHead
	changed := func(f func(b []byte)) []byte {
		b := slices.Clone(b)
		f(b)
		return b
	}
	for name, c := range map[string]struct {
		b    []byte
		want string // of the error; empty: sound
	}{
		"sound":                               {b, ""},
		"longer":                              {append(slices.Clone(b), make([]byte, 100_000)...), ""},
		"the later meta page is torn":         {word(b, last+pageHead+48, 9), ""},
		"both are":                            {word(word(b, pageHead+48, 9), pageSize+pageHead+48, 9), "no meta page"},
		"a page below itself":                 {word(b, child(1), uint32(bucket)), "used twice"},
		"two branches have one leaf":          {word(b, child(1), binary.NativeEndian.Uint32(b[child(2):])), "element 0"},
		"a leaf beyond the end":               {word(b, child(1), 1<<30), "page 1073741824 of"},
		"a meta page as a leaf":               {word(b, child(1), 1), "page 1 of"},
		"a page of another number":            {word(b, at(leaf), uint32(leaf)+1), "is none"},
		"a page of no sort":                   {word(b, at(leaf)+8, 1<<16|0x40), "is no tree"},
		"a branch without elements":           {word(b, at(bucket)+8, branchPage), "is no tree"},
		"a branch where a leaf was":           {word(b, at(leaf)+8, 2<<16|branchPage), "element"},
		"overflow beyond the end":             {word(b, at(leaf)+12, 1<<31), "is none"},
		"overflow into another page":          {word(b, at(leaf)+12, 12), "the file is damaged"},
		"more elements than fit":              {word(b, at(leaf)+8, 0xffff<<16|leafPage), "element 0"},
		"an element out of the page":          {word(b, element+4, 1<<20), "element 0"},
		"an element in the heads":             {word(b, element+4, 0), "element 0"},
		"a key of 2 GiB":                      {word(b, element+8, 1<<31), "element 0"},
		"a longer key":                        {word(b, element+8, uint32(len(place{}))+1), "element 0"},
		"a first key that the branch has not": {word(b, at(leaf)+pageHead+int(binary.NativeEndian.Uint32(b[element+4:])), 0), "element 0"},
		"a key of no bytes":                   {word(b, element+8, 0), "element 0"},
		"a value of 4 GiB":                    {word(b, element+12, 1<<32-1), "element 0"},
		"a bucket among the chunks":           {word(b, element, bucketElement), "element 0"},
		"keys in another order":               {word(b, element+4, binary.NativeEndian.Uint32(b[element+elementHead+4:])+elementHead), "element"},
		"a free page that is in use":          {word(b, free, uint32(leaf)), "used and free"},
		"a page that is free twice":           {word(b, free, binary.NativeEndian.Uint32(b[free+8:])), "used and free"},
		"a free page beyond the end":          {word(b, free, 1<<20), "used and free"},
		"more free pages than fit":            {word(b, at(m.freelist)+8, 0x7fff<<16|freelistPage), "no list of free pages"},
		"a count of free pages of 2^60":       {word(word(b, at(m.freelist)+8, 0xffff<<16|freelistPage), free+4, 1<<28), "no list of free pages"},
		"no list of free pages":               {word(b, at(m.freelist)+8, leafPage), "no list of free pages"},
		"meta: root beyond the end":           {seal(word(b, last+pageHead+16, 1<<20)), "page 1048576 of"},
		"meta: root is the list":              {seal(word(b, last+pageHead+16, uint32(m.freelist))), "is no tree"},
		"meta: list is the root":              {seal(word(b, last+pageHead+32, uint32(m.root))), "used twice"},
		"meta: no list":                       {seal(changed(func(b []byte) { copy(b[last+pageHead+32:], bytes.Repeat([]byte{255}, 8)) })), "page 18446744073709551615 of"},
		"meta: pages of another size":         {seal(word(word(b, pageHead+8, 8192), pageSize+pageHead+8, 8192)), "pages of 8192 bytes"},
		"meta: the first of another size":     {seal(word(b, pageHead+8, 8192)), "pages of"},
		"meta: more pages than there are":     {seal(word(b, last+pageHead+40, 1<<20)), "it should have 1048576 pages"},
	} {
		err := checkFile(bytes.NewReader(c.b), int64(len(c.b)))
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (!errors.Is(err, errDamaged) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// structure are the offsets in a file of all that bbolt goes by.
func structure(b []byte) (offsets []int) {
	add := func(from, n int) {
		for i := range n {
			offsets = append(offsets, from+i)
		}
	}
	add(pageHead, metaSize)
	add(pageSize+pageHead, metaSize)
	for page := 2 * pageSize; page < len(b); page += pageSize {
		if int(binary.NativeEndian.Uint64(b[page:])) != page/pageSize {
			continue // overflow, or never used
		}
		count := int(binary.NativeEndian.Uint16(b[page+10:]))
		add(page, pageHead+count*elementHead)
		if count < 3 {
			add(page+pageHead+count*elementHead, 200) // buckets
		}
	}
	return offsets
}

// What passes the check is no trouble for bbolt: no panic, no fault, no endless walk, also when it writes.
func FuzzCheckFile(f *testing.F) {
	good := sample(f)
	offsets := structure(good)
	f.Add([]byte{0, 0, 16}, false)
	f.Add([]byte{0, 8, 1, 1, 0, 7}, true)
	path := filepath.Join(f.TempDir(), fileName)
	f.Fuzz(func(t *testing.T, changes []byte, meta bool) {
		b := slices.Clone(good)
		for ; len(changes) >= 3; changes = changes[3:] { // where, and what is there then
			b[offsets[int(binary.BigEndian.Uint16(changes))%len(offsets)]] = changes[2]
		}
		if meta { // somebody means harm
			seal(b)
		}
		if checkFile(bytes.NewReader(b), int64(len(b))) != nil {
			return
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := openBolt(path, false)
		if err != nil {
			t.Fatal(err)
		}
		d.bolt.NoSync = true
		defer d.close()
		if err := d.transact(false, func(tx *bbolt.Tx) error {
			return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error { return b.ForEach(func(k, v []byte) error { return nil }) })
		}); err != nil {
			t.Fatal(err)
		}
		if d.prepare() != nil {
			return // what is known of a GPU is no JSON
		}
		for i := range 3 {
			m := NewMemory()
			_ = m.Append(secondsOf(i*300, i*300+300, "c"))
			if err := d.write(m.unstored(), entryOf("c", i*300).At.UnixMicro()); err != nil {
				t.Fatal(err)
			}
		}
		info, err := d.file.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if err := checkFile(d.file, info.Size()); err != nil {
			t.Fatal(err)
		}
	})
}
