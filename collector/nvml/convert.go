package nvml

import (
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"strconv"

	"gpu_exporter/collector"
)

// lostAfter is how many cycles in a row may fail altogether before the GPU counts as gone.
const lostAfter = 3

// Converter makes samples of the answers for one GPU. It keeps what must outlive a child: sums of counters that wrap
// around, and the series. One goroutine owns it.
type Converter struct {
	log    *slog.Logger
	set    seriesSet
	series [][]*collector.Series // by row, as its targets
	has    []bool                // by row: it has an answer in this cycle
	answer []Answer              // by row

	// Of this cycle.
	supported uint64 // throttle reasons that can be told; 0: not said
	blocks    [2][2]bool
	modes     [modeLabels]string
	parts     [fabricParts]uint64
	fabric    string // the call that told of it; empty: none

	modeInfo, fabricInfo info
	partitions           partitions
	pcie                 [2]counter
	action               float64 // the last recovery action that is none of ours
	lost                 Return  // why the GPU is lost, which was logged
	dead                 int     // cycles that failed altogether
}

// NewConverter returns a Converter for one GPU; log may be nil.
func NewConverter(log *slog.Logger) *Converter {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Converter{
		log: log, set: seriesSet{}, series: make([][]*collector.Series, len(Table)),
		has: make([]bool, len(Table)), answer: make([]Answer, len(Table)), action: -1,
	}
	for n := range Table {
		switch Table[n].Field {
		case fieldSent:
			c.pcie[0].row = n
		case fieldReceived:
			c.pcie[1].row = n
		}
	}
	return c
}

// Add adds to r what the answers of one cycle say. collector.ErrGone says that the GPU is lost; ErrChild and ErrDriver
// are about the child, and then nothing was added that counts.
func (c *Converter) Add(r *collector.Reading, answers []Answer, mig []Partition) error {
	clear(c.has)
	c.supported, c.blocks, c.modes, c.fabric = 0, [2][2]bool{}, [modeLabels]string{}, ""
	for _, a := range answers {
		c.has[a.Row], c.answer[a.Row] = true, a
	}
	tells, fails := false, false
	for n := range Table {
		if !c.has[n] {
			continue
		}
		a := c.answer[n]
		switch a.Code.outcome() {
		case told:
			tells = true
			c.convert(r, n, a)
		case failed:
			fails = true
			r.Fail(collector.Failure{Kind: collector.IO, Source: Table[n].String(), Err: a.Code})
			for _, s := range c.targets(n) {
				r.Close(s)
			}
		case gone:
			if c.lost != a.Code {
				c.lost = a.Code
				c.log.Warn("NVML says what is wrong with the GPU", "reading", Table[n].String(), "err", a.Code)
			}
			return collector.ErrGone
		case child:
			return ErrChild
		case driver:
			return ErrDriver
		}
	}
	if c.dead++; tells || !fails {
		c.dead = 0
	}
	if c.dead >= lostAfter {
		return collector.ErrGone
	}
	c.lost = Success
	c.finish(r)
	c.partitions.add(r, c.set, mig)
	return nil
}

// finish adds what takes more than one row.
func (c *Converter) finish(r *collector.Reading) {
	if c.modes != [modeLabels]string{} {
		c.modeInfo.add(r, collector.ModeInfo, c.modes[:]...)
	}
	if state := at(fabricStates, float64(c.parts[fabricState])); c.fabric != "" && state != "" {
		code := Return(c.parts[fabricStatus])
		status, known := codeWords[code]
		if !known {
			status = strconv.Itoa(int(code))
		}
		c.fabricInfo.add(r, collector.FabricInfo, state, status,
			uuidText(c.parts[fabricUUID], c.parts[fabricUUID+1]), strconv.FormatUint(c.parts[fabricClique], 10))
	}
}

// targets are the series of row n, made when it first answers.
func (c *Converter) targets(n int) []*collector.Series {
	if c.series[n] == nil {
		for _, t := range Table[n].to {
			c.series[n] = append(c.series[n], c.set.of(t.q, t.labels...))
		}
	}
	return c.series[n]
}

func (c *Converter) convert(r *collector.Reading, n int, a Answer) {
	v, ok := a.value()
	if !ok {
		return
	}
	Table[n].take(c, r, c.targets(n), v, a)
}

// conversion adds what a value means to the series of its row. v is the number of a, which is no sentinel.
type conversion func(c *Converter, r *collector.Reading, to []*collector.Series, v float64, a Answer)

func addAll(r *collector.Reading, to []*collector.Series, v float64) {
	for _, s := range to {
		r.Add(s, v)
	}
}

func plain(_ *Converter, r *collector.Reading, to []*collector.Series, v float64, _ Answer) {
	addAll(r, to, v)
}

// over divides: the quotient is exact where a product with a fraction would not be.
func over(by float64) conversion {
	return func(_ *Converter, r *collector.Reading, to []*collector.Series, v float64, _ Answer) {
		addAll(r, to, v/by)
	}
}

func times(by float64) conversion {
	return func(_ *Converter, r *collector.Reading, to []*collector.Series, v float64, _ Answer) {
		addAll(r, to, v*by)
	}
}

// unless takes one number for absence.
func unless(sentinel float64, then conversion) conversion {
	return func(c *Converter, r *collector.Reading, to []*collector.Series, v float64, a Answer) {
		if v != sentinel {
			then(c, r, to, v, a)
		}
	}
}

func nonZero(then conversion) conversion { return unless(0, then) }

// flag is a number of which only matters whether it is 0.
func flag(_ *Converter, r *collector.Reading, to []*collector.Series, v float64, _ Answer) {
	if v != 0 {
		v = 1
	}
	addAll(r, to, v)
}

// threshold: from Ada on a limit may be a negative number that is read as unsigned.
func threshold(_ *Converter, r *collector.Reading, to []*collector.Series, v float64, _ Answer) {
	if v <= bounds[collector.TemperatureLimit][1] {
		addAll(r, to, v)
	}
}

func used(c *Converter, r *collector.Reading, to []*collector.Series, v float64, _ Answer) {
	addUsed(r, c.set.of(collector.MemoryTotal, to[0].Values[0]), to[0], v)
}

func lanes(_ *Converter, r *collector.Reading, to []*collector.Series, v float64, _ Answer) {
	addWidth(r, to[0], v)
}

func generation(_ *Converter, r *collector.Reading, to []*collector.Series, v float64, _ Answer) {
	if rate, ok := generations[v]; ok {
		r.Add(to[0], rate)
	}
}

// AnotherChild says that another child answers from now on. Meanwhile the GPU may have slept, or its driver may have been
// loaded anew, and then its counters began anew.
func (c *Converter) AnotherChild() {
	for i := range c.pcie {
		c.pcie[i].another = true
	}
}

// counter is a sum that grows on where a counter of 32 bits wraps around.
type counter struct {
	row       int // of the Table
	began     bool
	another   bool // child answers than the last time
	last, sum uint64
}

func (k *counter) next(a Answer) float64 {
	now := a.bits()
	switch {
	case !k.began:
		k.began, k.sum = true, now
	case now >= k.last:
		k.sum += now - k.last
	case a.Type != Uint32: // the driver was loaded anew or the GPU was reset: rate() knows what that is
		k.sum = now
	case !k.another: // it wrapped around
		k.sum += uint64(uint32(now - k.last))
	}
	k.another, k.last = false, now
	return float64(k.sum)
}

// pcieBytes is told where both directions are.
func pcieBytes(c *Converter, r *collector.Reading, to []*collector.Series, _ float64, a Answer) {
	for i := range c.pcie {
		if n := c.pcie[i].row; !c.has[n] || c.answer[n].Code != Success {
			return
		}
	}
	for i := range c.pcie {
		if c.pcie[i].row == int(a.Row) {
			r.Add(to[0], c.pcie[i].next(a))
		}
	}
}

// throughput is told only where the counters are not.
func throughput(c *Converter, r *collector.Reading, to []*collector.Series, v float64, _ Answer) {
	if _, counted := r.Value(c.set.of(collector.PCIeBytes, to[0].Values[0])); !counted {
		r.Add(to[0], v*1000)
	}
}

func supportedReasons(c *Converter, _ *collector.Reading, _ []*collector.Series, _ float64, a Answer) {
	if c.supported == 0 {
		c.supported = a.bits()
	}
}

func reasons(c *Converter, r *collector.Reading, _ []*collector.Series, _ float64, a Answer) {
	supported, mask := c.supported, a.bits()
	if supported == 0 {
		supported = eightReasons
	}
	known := uint64(idleBit)
	for _, t := range throttleReasons {
		known |= t.bit
		if supported&t.bit == 0 {
			continue
		}
		v := 0.0
		if mask&t.bit != 0 {
			v = 1
		}
		r.Add(c.set.of(collector.ThrottleActive, t.reason), v)
	}
	if mask&^known != 0 {
		r.Add(c.set.of(collector.ThrottleActive, "other"), 1)
	}
}

// mode keeps a label of gpu_mode_info.
func mode(label int, words []string) conversion {
	return func(c *Converter, _ *collector.Reading, _ []*collector.Series, v float64, _ Answer) {
		c.modes[label] = at(words, v)
	}
}

func eccScope(to []*collector.Series) (kind, counter int) {
	if to[0].Values[1] == "uncorrected" {
		kind = 1
	}
	if to[0].Values[2] == "lifetime" {
		counter = 1
	}
	return kind, counter
}

func eccBlock(c *Converter, r *collector.Reading, to []*collector.Series, v float64, _ Answer) {
	kind, counter := eccScope(to)
	c.blocks[kind][counter] = true
	r.Add(to[0], v)
}

// eccTotal is told only where no block is.
func eccTotal(c *Converter, r *collector.Reading, to []*collector.Series, v float64, _ Answer) {
	if kind, counter := eccScope(to); !c.blocks[kind][counter] {
		r.Add(to[0], v)
	}
}

func recovery(c *Converter, r *collector.Reading, _ []*collector.Series, v float64, _ Answer) {
	action := at(recoveryActions, v)
	if action == "" && v != c.action {
		c.log.Warn("the driver asks for a recovery that this program does not know", "number", v)
	}
	c.action = v
	addOneOf(r, c.set, collector.RecoveryAction, recoveryActions, action)
}

// ifUp adds only for a link that is up.
func ifUp(link uint32, then conversion) conversion {
	n := strconv.Itoa(int(link))
	return func(c *Converter, r *collector.Reading, to []*collector.Series, v float64, a Answer) {
		if up, told := r.Value(c.set.of(collector.LinkUp, n, "nvlink")); told && up == 1 {
			then(c, r, to, v, a)
		}
	}
}

// The numbers of a fabric that a call answers.
const (
	fabricState = iota
	fabricStatus
	fabricClique
	fabricUUID
	fabricParts = fabricUUID + 2
)

// fabric keeps one number of the first call that answers.
func fabric(name string, out uint8) conversion {
	return func(c *Converter, _ *collector.Reading, _ []*collector.Series, _ float64, a Answer) {
		if c.fabric == "" {
			c.fabric, c.parts = name, [fabricParts]uint64{}
		}
		if c.fabric == name {
			c.parts[out] = a.bits()
		}
	}
}

// uuidText is a uuid in its usual form.
func uuidText(hi, lo uint64) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], hi)
	binary.BigEndian.PutUint64(b[8:], lo)
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
