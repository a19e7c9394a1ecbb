package amd

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gpu_exporter/collector/sysfs"
)

// gpu_metrics_layout.csv says which fields the tables have, by version (kernel: kgd_pp_interface.h): columns table,
// field, type, count, offset in bytes. The line `(size)` of a table holds its structure size as count.
//
//go:embed gpu_metrics_layout.csv
var layoutCSV string

// tableField is one line of the layout, or one entry of an attribute list.
type tableField struct {
	name   string
	typ    fieldType
	sub    string // name of a sub-table, whose fields lie count times one after the other
	count  int
	offset int
	need   int // bytes that the table must have for this field to be there
}

// tableLayout is all fields of one table.
type tableLayout struct {
	fields []tableField
	size   int
}

// layouts are the tables by name: v1_3, xcp_metrics.
var layouts = sync.OnceValue(func() map[string]tableLayout {
	tables, err := parseLayouts(layoutCSV)
	if err != nil {
		panic(err) // the file is embedded and tested: only a broken build gets here
	}
	return tables
})

var typeNames = []string{"u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64"}

// parseLayouts parses the layout file.
func parseLayouts(csv string) (map[string]tableLayout, error) {
	tables := map[string]tableLayout{}
	lines := strings.Split(strings.TrimSpace(csv), "\n")
	for i, line := range lines[1:] {
		c := strings.Split(strings.TrimSpace(line), ",")
		if len(c) != 5 {
			return nil, fmt.Errorf("gpu_metrics layout, line %d: %d columns, want 5", i+2, len(c))
		}
		count, err1 := strconv.Atoi(c[3])
		offset, err2 := strconv.Atoi(c[4])
		if err1 != nil || err2 != nil || count < 0 || offset < 0 {
			return nil, fmt.Errorf("gpu_metrics layout, line %d: %q is no count and offset", i+2, c[3:])
		}
		t := tables[c[0]]
		f := tableField{name: c[1], count: count, offset: offset}
		switch typ := slices.Index(typeNames, c[2]); {
		case f.name == "(size)":
			t.size = count
			tables[c[0]] = t
			continue
		case typ >= 0:
			f.typ = fieldType(typ)
		default:
			f.sub = strings.TrimPrefix(c[2], "amdgpu_")
		}
		t.fields = append(t.fields, f)
		tables[c[0]] = t
	}
	for name, t := range tables {
		xcpEnd := 0
		for i := range t.fields {
			f := &t.fields[i]
			width := f.typ.width()
			if f.sub != "" {
				width = tables[f.sub].size
			}
			f.need = f.offset + f.count*width
			if f.name == "xcp_stats" {
				xcpEnd = f.need
			}
		}
		// v1_6 exists without partitions too (312 bytes): what would be num_partition is padding then.
		for i := range t.fields {
			if f := &t.fields[i]; xcpEnd > 0 && (f.name == "num_partition" || f.name == "pcie_lc_perf_other_end_recovery") {
				f.need = max(f.need, xcpEnd)
			}
		}
		tables[name] = t
	}
	return tables, nil
}

// attributeVersion is the table that lists its attributes itself.
var attributeVersion = version{1, 9}

// attributeNames are the ids of v1_9 in their order (kernel: kgd_pp_interface.h). Ids above differ between driver lines.
var attributeNames = [...]string{
	"temperature_hotspot", "temperature_mem", "temperature_vrsoc", "curr_socket_power", "average_gfx_activity",
	"average_umc_activity", "mem_max_bandwidth", "energy_accumulator", "system_clock_counter",
	"accumulation_counter", "prochot_residency_acc", "ppt_residency_acc", "socket_thm_residency_acc",
	"vr_thm_residency_acc", "hbm_thm_residency_acc", "gfxclk_lock_status",
	"pcie_link_width", "pcie_link_speed", "xgmi_link_width", "xgmi_link_speed", "gfx_activity_acc", "mem_activity_acc",
	"pcie_bandwidth_acc", "pcie_bandwidth_inst",
	"pcie_l0_to_recov_count_acc", "pcie_replay_count_acc", "pcie_replay_rover_count_acc",
	"pcie_nak_sent_count_acc", "pcie_nak_rcvd_count_acc",
	"xgmi_read_data_acc", "xgmi_write_data_acc", "xgmi_link_status", "firmware_timestamp",
	"current_gfxclk", "current_socclk", "current_vclk0", "current_dclk0", "current_uclk",
	"num_partition", "pcie_lc_perf_other_end_recovery",
	"gfx_busy_inst", "jpeg_busy", "vcn_busy", "gfx_busy_acc",
	"gfx_below_host_limit_ppt_acc", "gfx_below_host_limit_thm_acc", "gfx_low_utilization_acc", "gfx_below_host_limit_total_acc",
	"temperature_hbm",
}

// attributes walks the list of a v1_9 table: the number of entries, then packed entries of u64 encoding (bits 0-9
// instances, 10-19 id, 20-23 type, 24-31 unit) and that many values.
func attributes(table []byte, visit func(encoding uint64, offset int)) error {
	const listAt = headerSize + 4
	if len(table) < listAt {
		return fmt.Errorf("%w: an attribute list of %d bytes", sysfs.ErrMalformed, len(table))
	}
	at := listAt
	for range binary.LittleEndian.Uint32(table[headerSize:]) {
		if at+8 > len(table) {
			return fmt.Errorf("%w: an attribute list that ends within an entry", sysfs.ErrMalformed)
		}
		encoding := binary.LittleEndian.Uint64(table[at:])
		typ := fieldType(encoding >> 20 & 0xf)
		if int(typ) >= len(typeNames) {
			return nil // its width is not known: the reading ends here
		}
		at += 8
		end := at + int(encoding&0x3ff)*typ.width()
		if end > len(table) {
			return fmt.Errorf("%w: an attribute list that ends within an entry", sysfs.ErrMalformed)
		}
		visit(encoding, at)
		at = end
	}
	return nil
}

var shapeSeed = maphash.MakeSeed()

// attributeShape tells lists apart by their encodings: equal ones have equal offsets.
func attributeShape(table []byte) (uint64, error) {
	var h maphash.Hash
	h.SetSeed(shapeSeed)
	var b [8]byte
	err := attributes(table, func(encoding uint64, _ int) {
		binary.LittleEndian.PutUint64(b[:], encoding)
		_, _ = h.Write(b[:]) // never fails
	})
	return h.Sum64(), err
}

// attributeLayout is the layout that a v1_9 table tells of itself.
func attributeLayout(table []byte) ([]tableField, error) {
	var fields []tableField
	err := attributes(table, func(encoding uint64, offset int) {
		id := int(encoding >> 10 & 0x3ff)
		f := tableField{typ: fieldType(encoding >> 20 & 0xf), count: int(encoding & 0x3ff), offset: offset}
		if id < len(attributeNames) && f.count > 0 {
			f.name = attributeNames[id]
			f.need = offset + f.count*f.typ.width()
			fields = append(fields, f)
		}
	})
	return fields, err
}

// known says whether the version is one that can be read.
func (v version) known() bool {
	_, ok := layouts()[v.String()]
	return ok || v == attributeVersion
}
