package sysfs

import (
	"bytes"
	"math/big"
	"strings"
	"testing"
)

// A number is what package big takes for one, and fits into 64 bits; all else is malformed.
func FuzzInt(f *testing.F) {
	for _, s := range []string{"0", "-1", "+24000", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "N/A", "", "1 2", "0x1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := Int(text)
		want, ok := new(big.Int).SetString(string(text), 10)
		switch {
		case !ok && err != ErrMalformed:
			t.Errorf("Int(%q) = %d, %v; want malformed", text, got, err)
		case ok && err == nil && (!want.IsInt64() || want.Int64() != got):
			t.Errorf("Int(%q) = %d, want %v", text, got, want)
		case ok && err != nil && (err != ErrRange || want.IsInt64() && want.Cmp(big.NewInt(-1<<63)) != 0):
			t.Errorf("Int(%q): %v", text, err)
		}
	})
}

// What is left is the text without NUL bytes and without white space around it, and trimming it again changes nothing.
func FuzzTrim(f *testing.F) {
	for _, s := range []string{"24000\n", "\x00 a \x00 b \x00\n", "", "\x00", "OD_SCLK:\n\x00\x00\x00OD_MCLK:\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		want := strings.Trim(strings.ReplaceAll(string(text), "\x00", ""), " \t\n\v\f\r")
		got := Trim(bytes.Clone(text))
		if string(got) != want {
			t.Errorf("Trim(%q) = %q, want %q", text, got, want)
		}
		if again := string(Trim(bytes.Clone(got))); again != want {
			t.Errorf("Trim(%q) = %q, want it unchanged", got, again)
		}
	})
}

// A value is one that a line gives to the key, and none spans lines.
func FuzzUevent(f *testing.F) {
	for _, s := range []string{
		"DRIVER=amdgpu\nPCI_CLASS=30000\nPCI_ID=1002:747E\nPCI_SLOT_NAME=0000:03:00.0\n",
		"DRIVER=\n", "=", "DRIVER", " DRIVER=x=y \r\n", "",
	} {
		f.Add(s, "DRIVER")
	}
	f.Fuzz(func(t *testing.T, text, key string) {
		got := Uevent(text, key)
		if strings.Contains(got, "\n") {
			t.Errorf("Uevent(%q, %q) = %q", text, key, got)
		}
		if got != "" && !strings.Contains(text, key+"="+got) {
			t.Errorf("Uevent(%q, %q) = %q, which it does not say", text, key, got)
		}
	})
}
