// Package simulation makes up GPUs where there are none, for demonstrations and for tests of whatever shows GPUs. Each is
// an AMD Radeon RX 7800 XT, and nothing of it passes for a reading: its source is `simulation`.
//
// Every value is a pure function of the seed, the number of the GPU (from 0), the profile and the time, so that anybody can
// compute what a simulated GPU must have said at any time: Curve.At does, and here is how. t is Unix time in seconds.
//
// # Load
//
// The load is a mean and four waves. Their amplitudes add up to less than the mean and less than 1 - mean, so that
// nothing is ever cut off:
//
//	u(t) = m + sum of a[k] sin(2π t / T[k] + φ[k]), k = 0 to 3
//	T      =           47     131    601    3607   seconds
//	normal : m = 0.50  a = 0.05   0.10   0.18   0.12
//	hot    : m = 0.81  a = 0.02   0.02   0.13   0.01
//
// φ[k] is 2π / 2^53 times the upper 53 bits of output number 4·gpu + k (from 0) of SplitMix64 that begins with the seed.
//
// # What follows it
//
// Whatever follows something else late follows it through a first-order lag of τ seconds, dy/dt = (x - y) / τ, long after
// it began. That leaves the mean as it is, and each wave a sin(2π t / T + φ) becomes
//
//	a g sin(2π t / T + φ - ψ), g = 1 / sqrt(1 + (2π τ / T)²), ψ = atan(2π τ / T)
//
// The load and what follows it:
//
//	u           the load itself
//	c = lag 3 u  clocks
//	d = lag 8 u  the die, which is hotter than what is around it
//	w = lag 20 u what is at work in memory
//	h = lag 45 u heat of the card
//	q = lag 75 u heat of the memory
//	f = lag 6 h  the fan
//
// # Values
//
// The profile says how well the card is cooled: R is 60 normal and 77.5 hot, M is 42 and 56. The profile hot is a card under
// steady load behind a clogged cooler: in every 601 s its edge passes 97 °C and its hotspot 110 °C, and both come below
// again; normal keeps its edge below 78 °C.
//
//	utilization                u                                   whole percent
//	engine memory              0.02 + 0.60 c                       whole percent
//	engine media               0.05 + 0.30 w                       whole percent
//	temperature edge           27 + R h                            whole °C
//	temperature hotspot        27 + R h + 3 + 11 d                 whole °C
//	temperature memory         42 + M q                            whole °C
//	temperature vr_graphics    32 + 46 w                           whole °C
//	temperature vr_memory      34 + 40 w                           whole °C
//	temperature vr_soc         31 + 30 w                           whole °C
//	memory used vram           (1 + 13 w) GiB                      down to 4096 bytes
//	memory used visible_vram   as vram: all of it is visible
//	memory used gtt            (96 + 400 w) MiB                    down to 4096 bytes
//	clock graphics             600 + 1600 c - 50 max(0, x) MHz     whole MHz; x: hotspot above 110, not rounded
//	clock memory               96 MHz, from c = 0.1 on 456, from 0.3 on 772, from 0.6 on 1218
//	clock soc                  450 + 1000 c MHz                    whole MHz
//	clock video0, decoder0     100 + 1500 w, 90 + 1350 w MHz       whole MHz
//	clock video1, decoder1     25 MHz
//	power package              20 + 216 u                          whole W
//	power average package      20 + 216 c                          whole W
//	energy package             integral of 20 + 216 u since t = 0  down to 1/100 J
//	voltage graphics           0.700 + 0.380 c                     whole mV
//	voltage soc                0.720 + 0.100 c                     whole mV
//	voltage memory             0.700 + 0.080 c                     whole mV
//	fan duty                   v = 0.15 + 0.01 R h                 whole 1/255
//	fan target                 3300 v                              whole rpm
//	fan speed                  3300 (0.15 + 0.01 R f)              whole rpm
//	throttle thermal           1 while hotspot, as shown, is 110 or more; all other reasons 0
//
// What is whole is the nearest, half away from zero. Throttling takes clock, but neither power nor heat, whose integral
// and lag would have no closed form then. All else never changes: limits, sizes, the link and the modes are those of a
// real RX 7800 XT (table in series.go).
//
// # Time
//
// A run of the program asks the clock once, in New, and counts on from there by the monotonic clock. So the curve goes on
// where it would have been after a restart, and a clock that is set while the program runs changes nothing: no value
// jumps, and the energy does not fall. Until the next restart the curve then keeps to the time that the clock would show
// had it not been set; a host that was suspended likewise goes on where it was. Only a clock that was set back between
// two runs makes the energy fall, which a rate takes for a reset of the counter. The formulas hold from 1970 to 2262.
package simulation
