// atiadlxx.dll of an old driver, which has neither MemoryInfoX4 nor the sensors.
#define OLD
#include "fake_adl.c"
