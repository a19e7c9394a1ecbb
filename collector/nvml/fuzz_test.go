package nvml

import (
	"bytes"
	"math"
	"os"
	"strings"
	"testing"

	"gpu_exporter/collector"
)

// checked is a Reading's rule, held from outside: a board that is read once, whose samples are looked at.
func checked(t *testing.T, all boards) {
	t.Helper()
	s, _ := firstReading(t, all)
	for _, d := range s.Devices {
		seen := map[string]bool{}
		for _, sample := range d.Samples {
			name := sample.S.String()
			if seen[name] {
				t.Errorf("two samples of %s", name)
			}
			seen[name] = true
			if math.IsNaN(sample.V) || sample.V < sample.S.Min || sample.V > sample.S.Max {
				t.Errorf("%s %v is outside %v to %v", name, sample.V, sample.S.Min, sample.S.Max)
			}
		}
	}
}

func FuzzSMI(f *testing.F) {
	for path := range documents(f) {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, text := range []string{
		"", "<", "<nvidia_smi_log></nvidia_smi_log>", "NVIDIA-SMI has failed", "<a></nvidia_smi_log>",
		"<nvidia_smi_log><gpu id='0:1:2'><mig_devices><mig_device><index>0</index><gpu_instance_id>1</gpu_instance_id><compute_instance_id>2</compute_instance_id></mig_device></mig_devices></gpu></nvidia_smi_log>",
		"<nvidia_smi_log><gpu id='0:1:2'><fan_speed>9 %</fan_speed><fan_speed>8 %</fan_speed></gpu><gpu id='0:1:2'/></nvidia_smi_log>",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := ParseSMI(text)
		if err != nil {
			if d != nil {
				t.Error("a document and an error")
			}
			return
		}
		again, err := ParseSMI(bytes.ToValidUTF8(text, []byte("?")))
		if err != nil || len(again.Cards) != len(d.Cards) {
			t.Errorf("bytes that are no text cost a GPU: %v", err)
		}
		seen := map[string]bool{}
		for _, c := range d.Cards {
			if gpu, err := Address(c.Info.GPU); err != nil || seen[gpu] {
				t.Errorf("%q, again or no address: %v", c.Info.GPU, err)
			}
			seen[c.Info.GPU] = true
		}
		checked(t, boardsOf(d, nil))
	})
}

func FuzzList(f *testing.F) {
	for _, path := range matching(f, "*/list-gpus.txt") {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("GPU 0: x (UUID: GPU-1)\n  MIG 1g.5gb Device 0: (UUID: MIG-1)\nGPU 1: no uuid\n  MIG 2g.5gb Device 0: (UUID: MIG-2)"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for gpu, devices := range ParseList(text) {
			if !bytes.Contains(text, []byte(gpu)) {
				t.Errorf("GPU %q is not in the text", gpu)
			}
			for _, name := range devices {
				if !bytes.Contains(text, []byte(name.UUID)) || !bytes.Contains(text, []byte(name.Profile)) || strings.TrimSpace(name.Profile) != name.Profile {
					t.Errorf("%+v is not in the text", name)
				}
			}
		}
	})
}

func FuzzAnswers(f *testing.F) {
	var all []byte
	for n := range Table {
		all = AppendAnswer(all, Answer{Row: uint16(n), Code: Success, Type: Uint64, Raw: uint64(n)})
	}
	f.Add(all)
	f.Add(AppendAnswer(nil, Answer{Row: uint16(len(Table)), Code: Success}))
	f.Add(AppendAnswer(nil, Answer{Type: types}))
	f.Add(AppendAnswer(nil, Answer{Type: Double, Raw: math.Float64bits(math.NaN())}))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, content []byte) {
		answers, err := ParseAnswers(nil, content)
		if err != nil {
			return
		}
		var again []byte
		for i, a := range answers {
			again = AppendAnswer(again, a)
			copy(content[i*answerSize+5:], []byte{0, 0, 0}) // what a child of this program never sends there
		}
		if !bytes.Equal(again, content) {
			t.Error("what was read is not what stands there")
		}
		c := NewConverter(nil)
		info, err := Identity{BusID: "0:1:2"}.Info()
		if err != nil {
			t.Fatal(err)
		}
		checked(t, boards{{info, func(r *collector.Reading) error { return c.Add(r, answers, nil) }}})
	})
}
