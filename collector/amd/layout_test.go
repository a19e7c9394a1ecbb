package amd

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gpu_exporter/collector/sysfs"
)

// shared is the folder of what several projects share; a checkout may lack it.
const shared = "../../../shared"

func sharedFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(shared, path))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("no ../shared here")
	}
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestSharedListsAreOurs(t *testing.T) {
	for path, own := range map[string]string{
		"reference/gpu_metrics_layout.csv":   layoutCSV,
		"fixtures/amd/amdgpu-ids/amdgpu.ids": embeddedIDs,
	} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			if string(sharedFile(t, path)) != own {
				t.Errorf("the project's copy differs from %s", filepath.Join(shared, path))
			}
		})
	}
}

func TestLayouts(t *testing.T) {
	tables, err := parseLayouts(layoutCSV)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"v1_0", "v1_1", "v1_2", "v1_3", "v1_4", "v1_5", "v1_6", "v1_7", "v1_8", "v2_0", "v2_1", "v2_2", "v2_3", "v2_4", "v3_0",
	} {
		layout, ok := tables[name]
		if !ok || len(layout.fields) == 0 {
			t.Errorf("table %s is missing", name)
		}
		at := headerSize
		for _, f := range layout.fields {
			if f.offset < at || f.need > layout.size && f.name != "num_partition" {
				t.Errorf("%s.%s lies at %d to %d: the one before ends at %d, the table at %d", name, f.name, f.offset, f.need, at, layout.size)
			}
			width := f.typ.width()
			if f.sub != "" {
				width = tables[f.sub].size
				if width == 0 {
					t.Errorf("%s.%s: there is no table %s", name, f.name, f.sub)
				}
			}
			at = f.offset + f.count*width
		}
	}
	// Every field that has a meaning is one of a table that the meaning holds for, in some version.
	for _, row := range meanings {
		found := slices.Contains(attributeNames[:], row.field) && row.in.hold(attributeVersion)
		for _, name := range []string{"v1_0", "v1_1", "v1_2", "v1_3", "v1_4", "v1_5", "v1_6", "v1_7", "v1_8", "v2_0", "v2_1", "v2_2", "v2_3", "v2_4", "v3_0"} {
			found = found || row.in.hold(version{name[1] - '0', name[3] - '0'}) &&
				slices.ContainsFunc(tables[name].fields, func(f tableField) bool { return f.name == row.field })
		}
		if !found {
			t.Errorf("no table has the field %s of %v", row.field, row.in)
		}
	}
}

func TestLayoutThatIsBroken(t *testing.T) {
	for _, line := range []string{"v1_3,a,u8,1", "v1_3,a,u8,one,0", "v1_3,a,u8,1,-4", "v1_3,a,u8,1,0,0"} {
		if _, err := parseLayouts("table,field,type,count,offset\n" + line); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: %v, want an error that names line 2", line, err)
		}
	}
}

func TestFieldTypes(t *testing.T) {
	for i, c := range []struct {
		width  int
		signed bool
	}{{1, false}, {1, true}, {2, false}, {2, true}, {4, false}, {4, true}, {8, false}, {8, true}} {
		if typ := fieldType(i); typ.width() != c.width || typ.signed() != c.signed {
			t.Errorf("type %d (%s) has %d bytes, signed %v; want %d, %v", i, typeNames[i], typ.width(), typ.signed(), c.width, c.signed)
		}
	}
}

// A number that has all bits set is not told, by its width; signed ones (v1_9) know no such thing.
func TestLoad(t *testing.T) {
	for _, c := range []struct {
		typ   fieldType
		raw   uint64
		want  float64
		state fieldState
	}{
		{u8, 0xfe, 254, fieldTold}, {u8, 0xff, 0, fieldAbsent},
		{u16, 0xff, 255, fieldTold}, {u16, 0xfffe, 65534, fieldTold}, {u16, 0xffff, 0, fieldAbsent},
		{u32, 0xffff, 65535, fieldTold}, {u32, 0xfffffffe, 4294967294, fieldTold}, {u32, 0xffffffff, 0, fieldAbsent},
		{u64, 0xffffffff, 4294967295, fieldTold}, {u64, 1<<63 - 1, 1 << 63, fieldTold},
		{u64, 1 << 63, 0, fieldImpossible}, {u64, 1<<64 - 2, 0, fieldImpossible}, {u64, 1<<64 - 1, 0, fieldAbsent},
		{s8, 0xff, -1, fieldTold}, {s8, 0x7f, 127, fieldTold}, {s8, 0x80, -128, fieldTold},
		{s16, 0xffff, -1, fieldTold}, {s32, 0xffffffff, -1, fieldTold}, {s64, 1<<64 - 1, -1, fieldTold},
		{s64, 1 << 63, -1 << 63, fieldTold}, {u16, 0, 0, fieldTold},
	} {
		b := binary.LittleEndian.AppendUint64([]byte{0xaa, 0xaa}, c.raw)
		f := field{typ: c.typ, offset: 2, end: 2 + c.typ.width()}
		if got, state := f.load(b[:f.end]); got != c.want || state != c.state {
			t.Errorf("%s %#x is %v, %d; want %v, %d", typeNames[c.typ], c.raw, got, state, c.want, c.state)
		}
		if _, state := f.load(b[:f.end-1]); state != fieldAbsent {
			t.Errorf("%s cut by a byte is %d, want absent", typeNames[c.typ], state)
		}
		if _, told := f.bits(b[:f.end-1]); told {
			t.Errorf("bits of a %s cut by a byte are told", typeNames[c.typ])
		}
		want := c.raw & (1<<(8*c.typ.width()-1)<<1 - 1)
		if got, told := f.bits(b[:f.end]); told != (c.state != fieldAbsent) || told && got != want {
			t.Errorf("bits of %s %#x are %#x, %v", typeNames[c.typ], c.raw, got, told)
		}
	}
}

func TestCut(t *testing.T) {
	v1_3 := table("v1_3", nil)
	for _, c := range []struct {
		name, raw string
		want      int
		malformed bool
	}{
		{"whole", v1_3, 120, false},
		{"longer than its header says", v1_3 + "\x00\x00\x00", 120, false},
		{"an older table", sized(v1_3, 104), 104, false},
		{"header alone", "\x04\x00\x01\x03", 4, false},
		{"three bytes", v1_3[:3], 0, true}, {"one byte", "\x04", 0, true},
		{"size 0", sized(v1_3, 0), 0, true}, {"size below the header", sized(v1_3, 3), 0, true},
		{"shorter than its header says", v1_3[:119], 0, true},
	} {
		got, err := cut([]byte(c.raw))
		if errors.Is(err, sysfs.ErrMalformed) != c.malformed || len(got) != c.want {
			t.Errorf("%s: %d bytes, %v; want %d, malformed %v", c.name, len(got), err, c.want, c.malformed)
		}
	}
}

func TestAttributes(t *testing.T) {
	const unknownID = 300
	whole := attributeTable(attr("temperature_hotspot", s16, 45), attribute{unknownID, u64, []int64{1, 2, 3}}, attr("current_gfxclk", u16, 100, 200))
	endless := []byte(whole)
	binary.LittleEndian.PutUint32(endless[headerSize:], 1<<31) // negative, as int32
	for _, c := range []struct {
		name, table string
		want        string
		malformed   bool
	}{
		{"an unknown id is skipped", whole, "temperature_hotspot current_gfxclk", false},
		{"no entries", attributeTable(), "", false},
		{"an entry without values", attributeTable(attr("current_uclk", u16), attr("temperature_mem", u8, 1)), "temperature_mem", false},
		{"a type above 7 ends it", attributeTable(attr("temperature_mem", u8, 1), attribute{1, 8, nil}, attr("current_uclk", u16, 1)), "temperature_mem", false},
		{"cut within a value", whole[:len(whole)-1], "", true},
		{"cut within an encoding", whole[:headerSize+4+3], "", true},
		{"cut between entries", whole[:headerSize+4+8+2], "", true},
		{"no number of entries", whole[:headerSize+3], "", true},
		{"more entries than there are", string(endless), "", true},
	} {
		fields, err := attributeLayout([]byte(c.table))
		if errors.Is(err, sysfs.ErrMalformed) != c.malformed {
			t.Errorf("%s: %v, want malformed %v", c.name, err, c.malformed)
		}
		var names []string
		for _, f := range fields {
			names = append(names, f.name)
		}
		if got := strings.Join(names, " "); !c.malformed && got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if got, want := len(attributeNames), 49; got != want {
		t.Errorf("%d attributes have a name, want %d", got, want)
	}
	for id, want := range map[int]string{
		0: "temperature_hotspot", 5: "average_umc_activity", 9: "accumulation_counter", 16: "pcie_link_width", 22: "pcie_bandwidth_acc",
		24: "pcie_l0_to_recov_count_acc", 27: "pcie_nak_sent_count_acc", 29: "xgmi_read_data_acc", 33: "current_gfxclk", 38: "num_partition",
		40: "gfx_busy_inst", 44: "gfx_below_host_limit_ppt_acc", 48: "temperature_hbm",
	} {
		if attributeNames[id] != want {
			t.Errorf("attribute %d is %s, want %s", id, attributeNames[id], want)
		}
	}
}

func TestThrottleBits(t *testing.T) {
	for _, c := range []struct {
		reasons []reasonBits
		want    map[string][]int
	}{
		{independentBits[:], map[string][]int{
			"power": {0, 1, 2, 3, 4, 5, 6, 7}, "current": {16, 17, 18, 19, 20, 21, 22, 23}, "thermal": {32, 33, 34, 35, 36, 37, 42, 43},
			"voltage_regulator": {38, 39, 40, 41, 44, 45}, "prochot": {46, 47}, "reliability": {57}, "other": nil,
		}},
		{mi300Bits[:], map[string][]int{
			"prochot": {0}, "power": {1}, "thermal": {2, 4}, "voltage_regulator": {3}, "other": nil,
		}},
	} {
		if len(c.reasons) != len(c.want) {
			t.Errorf("%d reasons, want %d", len(c.reasons), len(c.want))
		}
		for _, b := range c.reasons {
			var mask uint64
			for _, bit := range c.want[b.reason] {
				mask |= 1 << bit
			}
			if _, ok := c.want[b.reason]; !ok || mask != b.mask {
				t.Errorf("%s has the mask %#x, want %#x", b.reason, b.mask, mask)
			}
		}
	}
}
