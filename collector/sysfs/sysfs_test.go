package sysfs

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"syscall"
	"testing"
)

func TestInt(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int64
		err  error
	}{
		{"0", 0, nil}, {"24000", 24000, nil}, {"-273150", -273150, nil}, {"+7", 7, nil}, {"007", 7, nil}, {"-0", 0, nil},
		{"9223372036854775807", math.MaxInt64, nil},
		{"-9223372036854775807", -math.MaxInt64, nil},

		{"9223372036854775808", 0, ErrRange},
		{"18446744073709551615", 0, ErrRange},
		{"-99999999999999999999999999999999", 0, ErrRange},

		{"", 0, ErrMalformed}, {"-", 0, ErrMalformed}, {"+", 0, ErrMalformed}, {"+-1", 0, ErrMalformed},
		{"N/A", 0, ErrMalformed}, {"12a", 0, ErrMalformed}, {"1 2", 0, ErrMalformed}, {" 1", 0, ErrMalformed},
		{"0x10", 0, ErrMalformed}, {"1.5", 0, ErrMalformed}, {"1e3", 0, ErrMalformed}, {"\xff", 0, ErrMalformed},
		{"99999999999999999999x", 0, ErrMalformed}, // no number, however long it is
	} {
		if got, err := Int([]byte(c.in)); got != c.want || err != c.err {
			t.Errorf("Int(%q) = %d, %v; want %d, %v", c.in, got, err, c.want, c.err)
		}
	}
}

func TestTrim(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		" \n\t\r\v\f":               "",
		"active\n":                  "active",
		"  two words\t\n":           "two words",
		"1000\x00":                  "1000",
		"\x00\x001\x0000\x00\n\x00": "100",
		"\x00\n\x00":                "",
		"a\n\x00\x00\nb\n":          "a\n\nb", // as pp_od_clk_voltage has between its blocks
		"\u00a0":                    "\u00a0", // no white space of a kernel
	} {
		if got := string(Trim([]byte(in))); got != want {
			t.Errorf("Trim(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		want Outcome
		errs []error
	}{
		{OK, []error{nil}},
		{Absent, []error{syscall.ENOENT, syscall.EINVAL, syscall.EOPNOTSUPP, syscall.ENODATA, syscall.ENOSYS}},
		{Refused, []error{syscall.EPERM, syscall.EBUSY}},
		{Forbidden, []error{syscall.EACCES}},
		{Gone, []error{syscall.ENODEV, syscall.ENXIO}},
		{Failed, []error{
			syscall.EIO, syscall.ETIME, syscall.ETIMEDOUT, syscall.EREMOTEIO, syscall.EAGAIN,
			syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOTDIR, syscall.EISDIR, syscall.ELOOP, syscall.ESTALE,
			errors.New("anything else"),
		}},
		{Broken, []error{ErrMalformed, errTooLong, fmt.Errorf("%w: what stood there", ErrMalformed)}},
	} {
		for _, err := range c.errs {
			if got := Classify(err); got != c.want {
				t.Errorf("Classify(%v) = %d, want %d", err, got, c.want)
			}
			if err == nil {
				continue
			}
			for _, wrapped := range []error{
				fmt.Errorf("read x: %w", err),
				&fs.PathError{Op: "open", Path: "x", Err: err},
				&os.SyscallError{Syscall: "readdir", Err: err},
			} {
				if got := Classify(wrapped); got != c.want {
					t.Errorf("Classify(%#v) = %d, want %d", wrapped, got, c.want)
				}
			}
		}
	}
}

func TestUevent(t *testing.T) {
	const text = "DRIVER=amdgpu\nPCI_ID=1002:747E\r\n  MODALIAS=pci:v00001002d0000747Esv=x\nno pair\nEMPTY=\nDRIVER=second"
	for key, want := range map[string]string{
		"DRIVER": "amdgpu", "PCI_ID": "1002:747E", "MODALIAS": "pci:v00001002d0000747Esv=x",
		"EMPTY": "", "MISSING": "", "driver": "", "PCI": "", "": "", "no pair": "",
	} {
		if got := Uevent(text, key); got != want {
			t.Errorf("Uevent(%q) = %q, want %q", key, got, want)
		}
	}
}
