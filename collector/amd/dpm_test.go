package amd

import (
	"strings"
	"testing"
)

func TestParseLevels(t *testing.T) {
	const none = -1
	for _, c := range []struct {
		name, text       string
		active, min, max int64
	}{
		{"usual", "0: 500Mhz\n1: 2254Mhz *\n", 2254, 500, 2254},
		// RDNA puts the present clock between the ends, even one below the minimum.
		{"present clock between the ends", "0: 500Mhz\n1: 77Mhz *\n2: 2254Mhz", 77, 500, 2254},
		{"one line", "0: 1200Mhz *", 1200, 1200, 1200},
		{"downwards, as Renoir lists mclk", "0: 1600Mhz\n1: 1333Mhz *\n2: 400Mhz", 1333, 400, 1600},
		{"lines in any order", "2: 900Mhz\n0: 300Mhz *\n1: 600Mhz", 300, 300, 900},
		{"deep sleep in place of line 0", "S: 500Mhz *\n1: 2254Mhz", 500, none, 2254},
		{"deep sleep beside line 0", "S: 19Mhz *\n0: 300Mhz\n1: 600Mhz", 19, 300, 600},
		{"deep sleep alone", "S: 19Mhz *", 19, none, none},
		{"no line 0", "1: 600Mhz\n2: 900Mhz *", 900, none, 900},
		{"no active line", "0: 300Mhz\n1: 600Mhz", none, 300, 600},
		{"several active lines: the last", "0: 300Mhz *\n1: 600Mhz *\n2: 900Mhz", 600, 300, 900},
		{"asterisk without a space", "0: 300Mhz*\n1: 600Mhz", 300, 300, 600},
		{"spaces", "  0 :   300Mhz   *  \n\t1:600Mhz\r\n", 300, 300, 600},
		{"letters of the unit in any case", "0: 300MHz\n1: 400mhz *\n2: 500MHZ", 400, 300, 500},
		{"0 is a number", "0: 0Mhz *\n1: 600Mhz", 0, 0, 600},
		{"highest index beyond a gap", "0: 300Mhz\n15: 1500Mhz\n7: 700Mhz *", 700, 300, 1500},
		{"blank lines", "\n\n0: 300Mhz *\n\n1: 600Mhz\n\n", 300, 300, 600},
		{"lines that do not fit", strings.Join([]string{
			"0: 300Mhz *", "OD_SCLK:", "1: 400", "2: Mhz", "3: 400.5Mhz", "4: 400 Mhz", "x: 400Mhz *", "-1: 400Mhz *",
			": 400Mhz *", "5 400Mhz *", "6: -400Mhz *", "7: 400Mhz * *", "8: 400Mhz x", "9: 99999999999999999999Mhz *", "s: 1Mhz *",
		}, "\n"), 300, 300, 300},
		{"nothing that fits", "no levels here", none, none, none},
		{"empty", "", none, none, none},
	} {
		l := parseLevels([]byte(c.text))
		got := [3]int64{none, none, none}
		for i, v := range [3]struct {
			mhz  int64
			told bool
		}{{l.active, l.hasActive}, {l.min, l.hasMin}, {l.max, l.hasMax}} {
			if v.told {
				got[i] = v.mhz
			}
		}
		if want := [3]int64{c.active, c.min, c.max}; got != want {
			t.Errorf("%s: parseLevels(%q) = active, min, max %d; want %d", c.name, c.text, got, want)
		}
	}
}

func TestParseActiveLink(t *testing.T) {
	for _, c := range []struct {
		name, text, speed, lanes string
		ok                       bool
	}{
		{"usual", "0: 2.5GT/s, x8 310Mhz\n1: 16.0GT/s, x16 619Mhz *\n", "16.0", "16", true},
		{"without a clock", "0: 2.5GT/s, x1 *\n1: 8.0GT/s, x16", "2.5", "1", true},
		{"asterisk without a space", "0: 8.0GT/s, x16*", "8.0", "16", true},
		{"several active: the last", "0: 2.5GT/s, x1 *\n1: 8.0GT/s, x8 *\n2: 16.0GT/s, x16", "8.0", "8", true},
		{"none active", "0: 2.5GT/s, x8\n1: 16.0GT/s, x16", "", "", false},
		{"active lines that do not fit", "0: 8.0GT/s, x8 *\n1: 16.0GT/s *\n2: x16 *\n3: 16.0GT/s, x *\n4 16.0GT/s x16 *\n*", "8.0", "8", true},
		{"taken as it stands", "0: 0.5GT/s, x255 *", "0.5", "255", true},
		{"empty", "", "", "", false},
	} {
		speed, lanes, ok := parseActiveLink([]byte(c.text))
		if string(speed) != c.speed || string(lanes) != c.lanes || ok != c.ok {
			t.Errorf("%s: parseActiveLink(%q) = %q, %q, %v; want %q, %q, %v", c.name, c.text, speed, lanes, ok, c.speed, c.lanes, c.ok)
		}
	}
}

func TestParseProfile(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"asterisk and colon", "PROFILE_INDEX(NAME) CLOCK_TYPE(NAME) FPS\n 0 BOOTUP_DEFAULT*:\n  0( GFXCLK) 0\n 1 3D_FULL_SCREEN :\n", "bootup_default"},
		{"space before the asterisk", " 0 BOOTUP_DEFAULT :\n 1 3D_FULL_SCREEN *:\n", "3d_full_screen"},
		{"Van Gogh, active", " 0 BOOTUP_DEFAULT\n 1 3D_FULL_SCREEN*\n 3 VIDEO \n", "3d_full_screen"},
		{"Van Gogh, none active", " 1 3D_FULL_SCREEN \n 3 VIDEO \n", ""},
		{"all names in the head line", "                              0 BOOTUP_DEFAULT  1 3D_FULL_SCREEN  4 VR            * 5 COMPUTE         \nFPS 0 0 0\n", "vr"},
		{"the first asterisk counts", "0 CUSTOM*:\n1 VIDEO*:\n", "custom"},
		{"in any letter case", "1 Power_Saving *", "power_saving"},
		{"window 3d", "7 WINDOW_3D*:", "window_3d"}, {"capped", "8 CAPPED*:", "capped"}, {"uncapped", "9 UNCAPPED *:", "uncapped"},
		{"compute", "5 COMPUTE*:", "compute"}, {"video", "3 VIDEO*:", "video"},
		{"another word", "1 GAMING *:", ""},
		{"part of a word", "1 XVIDEO *:", ""},
		{"asterisk at the begin of a line", "1 VIDEO\n* 2 VR", ""},
		{"asterisk first", "*", ""},
		{"empty", "", ""},
	} {
		if got := parseProfile([]byte(c.text)); got != c.want {
			t.Errorf("%s: parseProfile(%q) = %q, want %q", c.name, c.text, got, c.want)
		}
	}
}

func TestPerformanceLevels(t *testing.T) {
	for _, word := range []string{
		"auto", "low", "high", "manual", "profile_standard", "profile_min_sclk", "profile_min_mclk", "profile_peak",
		"profile_exit", "perf_determinism",
	} {
		if got := wordOf(performanceLevels, []byte(word)); got != word {
			t.Errorf("level %q is taken for %q", word, got)
		}
	}
	for _, word := range []string{"unknown", "", "auto low", "profile"} {
		if got := wordOf(performanceLevels, []byte(word)); got != "" {
			t.Errorf("level %q is taken for %q", word, got)
		}
	}
}
