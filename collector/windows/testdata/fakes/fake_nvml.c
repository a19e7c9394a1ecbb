// The functions of nvml.dll. Lines of its feed; DEVICE is the number of a device line, or * for all, and the first line that
// fits counts. What has no line is not supported. All numbers are in C notation.
//
//   driver VERSION
//   device BUSID UUID PCIID VBIOS NAME         a GPU
//   answer DEVICE CALL ARGS OUT CODE VALUE     number OUT of a call, whose name lacks nvmlDevice; ARGS with commas, or -
//   field DEVICE ID SCOPE CODE TYPE VALUE      GetFieldValues
//   mig DEVICE GI CI SM TOTAL USED UUID NAME   a MIG device
//   gpm DEVICE                                 it has profiling counters: "answer DEVICE GpmMetricsGet ID 0 CODE PERCENT", of
//                                              an instance "answer DEVICE GpmMigMetricsGet GI,ID 0 CODE PERCENT"
//   struct CALL VERSION                        the newest version of its struct that the library knows
//   many ID                                    a call with a field id above it fails as a whole
//   missing FUNCTION, only FUNCTION            who calls it, or another, is wrong: whoever binds functions must not find it
//
// The verbs of fake.h take "FUNCTION DEVICE" too, of one GPU. In a program that knows nothing of fakes, a wrong call ends
// the process.
#include "fake.h"

typedef enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, VERSION_MISMATCH = 25 } nvmlReturn_t;

// The layouts: nvml.h of API 13.

typedef struct nvmlDevice_st *nvmlDevice_t;
typedef struct sample *nvmlGpmSample_t;

typedef struct {
  char busIdLegacy[16];
  unsigned int domain, bus, device, pciDeviceId, pciSubSystemId;
  char busId[32];
} nvmlPciInfo_t;
SIZE(nvmlPciInfo_t, 68);
AT(nvmlPciInfo_t, pciDeviceId, 28);

typedef struct {
  unsigned int gpu, memory;
} nvmlUtilization_t;

typedef struct {
  unsigned long long total, free, used;
} nvmlMemory_t;
SIZE(nvmlMemory_t, 24);

typedef struct {
  unsigned int version;
  unsigned long long total, reserved, free, used;
} nvmlMemory_v2_t;
SIZE(nvmlMemory_v2_t, 40);

typedef struct {
  unsigned long long bar1Total, bar1Free, bar1Used;
} nvmlBAR1Memory_t;

typedef union {
  double dVal;
  int siVal;
  unsigned int uiVal;
  unsigned long ulVal;
  unsigned long long ullVal;
  signed long long sllVal;
  unsigned short usVal;
} nvmlValue_t;

typedef struct {
  unsigned int fieldId, scopeId;
  long long timestamp, latencyUsec;
  unsigned int valueType; // an enum
  nvmlReturn_t nvmlReturn;
  nvmlValue_t value;
} nvmlFieldValue_t;
SIZE(nvmlFieldValue_t, 40);
AT(nvmlFieldValue_t, nvmlReturn, 28);
AT(nvmlFieldValue_t, value, 32);

typedef struct {
  unsigned int version, sensorType;
  int temperature;
} nvmlTemperature_v1_t;
SIZE(nvmlTemperature_v1_t, 12);

typedef struct {
  unsigned int version;
  int marginTemperature;
} nvmlMarginTemperature_v1_t;

typedef struct {
  unsigned int version, fan, speed;
} nvmlFanSpeedInfo_v1_t;

typedef struct {
  unsigned int version, value;
} nvmlDeviceAddressingMode_v1_t;

typedef struct {
  unsigned long long referenceTime, violationTime;
} nvmlViolationTime_t;

typedef struct {
  unsigned int sessionsCount, averageFPS, averageLatency;
} nvmlFBCStats_t;

typedef struct {
  unsigned int max, high, partial, low, none;
} nvmlRowRemapperHistogramValues_t;
SIZE(nvmlRowRemapperHistogramValues_t, 20);

typedef struct {
  unsigned int multiprocessorCount, sharedCopyEngineCount, sharedDecoderCount, sharedEncoderCount, sharedJpegCount, sharedOfaCount,
      gpuInstanceSliceCount, computeInstanceSliceCount;
  unsigned long long memorySizeMB;
} nvmlDeviceAttributes_t;
SIZE(nvmlDeviceAttributes_t, 40);

typedef struct {
  unsigned char clusterUuid[16];
  nvmlReturn_t status;
  unsigned int cliqueId;
  unsigned char state;
} nvmlGpuFabricInfo_t;
SIZE(nvmlGpuFabricInfo_t, 28);

typedef struct {
  unsigned int version;
  unsigned char clusterUuid[16];
  nvmlReturn_t status;
  unsigned int cliqueId;
  unsigned char state;
  unsigned int healthMask;
} nvmlGpuFabricInfo_v2_t;
SIZE(nvmlGpuFabricInfo_v2_t, 36);
AT(nvmlGpuFabricInfo_v2_t, state, 28);

typedef struct {
  nvmlGpuFabricInfo_v2_t v2;
  unsigned char healthSummary;
} nvmlGpuFabricInfo_v3_t;
SIZE(nvmlGpuFabricInfo_v3_t, 40);
AT(nvmlGpuFabricInfo_v3_t, healthSummary, 36);

typedef struct {
  unsigned int metricId;
  nvmlReturn_t nvmlReturn;
  double value;
  struct {
    char *shortName, *longName, *unit;
  } metricInfo;
} nvmlGpmMetric_t;
SIZE(nvmlGpmMetric_t, 40);

typedef struct {
  unsigned int version, numMetrics;
  nvmlGpmSample_t sample1, sample2;
  nvmlGpmMetric_t metrics[333];
} nvmlGpmMetricsGet_t;
SIZE(nvmlGpmMetricsGet_t, 13344);
AT(nvmlGpmMetricsGet_t, metrics, 24);

typedef struct {
  unsigned int version, isSupportedDevice;
} nvmlGpmSupport_t;

struct sample {
  unsigned long magic;
  int device, instance; // -1: none, the whole GPU
  LONG taken;           // counts all samples; 0: not yet
};

static const unsigned long magic = 0x6d70670a;
static const unsigned int unknown = ~0u;
static LONG started, taken; // nvmlInit less nvmlShutdown; samples

static void wrong_call(const char *function, const char *why) {
  char text[200];
  snprintf(text, sizeof text, "%s: %s", function, why);
  is_wrong(text);
  if (getenv("FAKE_FEED")) {
    fflush(stderr);
    TerminateProcess(GetCurrentProcess(), 70);
  }
}

// count says how many lines a feed has of a word, and copies what follows the one of a number.
static int count(const char *wanted, int number, char *to, size_t size) {
  script s = open_script();
  char *word, *rest;
  int n = 0;
  while (next(&s, &word, &rest))
    if (strcmp(word, wanted) == 0 && n++ == number && to) snprintf(to, size, "%s", rest);
  free(s.text);
  return n;
}

// named says whether the feed has a line of a word with this text.
static BOOL named(const char *wanted, const char *text) {
  script s = open_script();
  char *word, *rest;
  BOOL found = FALSE;
  while (!found && next(&s, &word, &rest)) found = strcmp(word, wanted) == 0 && strcmp(rest, text) == 0;
  free(s.text);
  return found;
}

// Handles are these numbers and that of the line.
enum { DEVICES = 0x1000, INSTANCES = 0x2000 };

static int device_of(nvmlDevice_t d) {
  int n = (int)(INT_PTR)d - DEVICES;
  return n >= 0 && n < count("device", -1, NULL, 0) ? n : -1;
}

// enter begins a function; a code other than SUCCESS is to be returned at once. d NULL: it is about no GPU.
static nvmlReturn_t enter(const char *function, nvmlDevice_t d) {
  DWORD code;
  char of_one[96];
  if (named("missing", function) || (says("only") && !named("only", function))) wrong_call(function, "it is missing");
  if (ordered(function, &code)) return code;
  if (!started) {
    wrong_call(function, "nvmlInit was not called, or failed");
    return UNINITIALIZED;
  }
  if (!d) return SUCCESS;
  int n = device_of(d);
  int instance = (int)(INT_PTR)d - INSTANCES;
  if (n < 0 && (instance < 0 || instance >= count("mig", -1, NULL, 0))) {
    wrong_call(function, "no handle");
    return INVALID_ARGUMENT;
  }
  snprintf(of_one, sizeof of_one, "%s %d", function, n);
  return ordered(of_one, &code) ? code : SUCCESS;
}

// answer is number out of a call, which is text: it may be a whole number or a fraction.
static nvmlReturn_t answer(int device, const char *call, const char *args, unsigned out, char value[64]) {
  script s = open_script();
  char *word, *rest, of[16], name[64], with[64], code[16];
  unsigned number;
  nvmlReturn_t r = NOT_SUPPORTED;
  while (next(&s, &word, &rest)) {
    if (strcmp(word, "answer") != 0) continue;
    if (sscanf(rest, "%15s %63s %63s %u %15s %63s", of, name, with, &number, code, value) != 6) continue;
    if (strcmp(name, call) == 0 && strcmp(with, args) == 0 && number == out && (of[0] == '*' || atoi(of) == device)) {
      r = strtoul(code, NULL, 0);
      break;
    }
  }
  free(s.text);
  return r;
}

// numbers asks for the first numbers of a call; it is answered if one of them is, and the others are not known then.
static nvmlReturn_t numbers(const char *function, nvmlDevice_t d, const char *args, int n, unsigned long long v[]) {
  nvmlReturn_t r = enter(function, d), all = NOT_SUPPORTED;
  char text[64];
  for (int i = 0; r == SUCCESS && i < n; i++) {
    nvmlReturn_t one = answer(device_of(d), function + strlen("nvmlDevice"), args, i, text);
    v[i] = ~0ull;
    if (one == SUCCESS) v[i] = text[0] == '-' ? (unsigned long long)strtoll(text, NULL, 0) : strtoull(text, NULL, 0);
    if (i == 0 || one == SUCCESS) all = one == SUCCESS ? SUCCESS : all == SUCCESS ? all : one;
  }
  return r == SUCCESS ? all : r;
}

// versioned checks the word of a struct, size of newest and its version, unless the library knows only an older one.
static nvmlReturn_t versioned(const char *function, unsigned word, unsigned size, unsigned version) {
  char line[96];
  for (int i = count("struct", -1, NULL, 0); i-- > 0;) {
    unsigned newest;
    char name[64];
    count("struct", i, line, sizeof line);
    if (sscanf(line, "%63s %u", name, &newest) == 2 && strcmp(name, function + strlen("nvmlDevice")) == 0 && version > newest)
      return VERSION_MISMATCH;
  }
  if (word == (size | version << 24)) return SUCCESS;
  wrong_call(function, "a wrong version word");
  return VERSION_MISMATCH;
}

EXPORT nvmlReturn_t nvmlInit_v2(void) {
  DWORD code;
  if (ordered("nvmlInit_v2", &code)) return code;
  InterlockedIncrement(&started);
  InterlockedIncrement(&handles);
  return SUCCESS;
}

EXPORT nvmlReturn_t nvmlShutdown(void) {
  nvmlReturn_t r = enter("nvmlShutdown", NULL);
  if (r != SUCCESS) return r;
  InterlockedDecrement(&started);
  InterlockedDecrement(&handles);
  return SUCCESS;
}

static nvmlReturn_t text_of(const char *function, nvmlDevice_t d, const char *text, char *to, unsigned size, unsigned right) {
  nvmlReturn_t r = enter(function, d);
  if (r != SUCCESS) return r;
  if (size != right) wrong_call(function, "a buffer of another size");
  memset(to, 'x', size); // what is behind the end of the text is anything
  snprintf(to, size, "%s", text);
  return SUCCESS;
}

EXPORT nvmlReturn_t nvmlSystemGetDriverVersion(char *to, unsigned size) {
  char text[80] = "";
  count("driver", 0, text, sizeof text);
  return text_of("nvmlSystemGetDriverVersion", NULL, text, to, size, 80);
}

EXPORT nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *n) {
  nvmlReturn_t r = enter("nvmlDeviceGetCount_v2", NULL);
  if (r == SUCCESS) *n = count("device", -1, NULL, 0);
  return r;
}

// facts are a line of a GPU.
typedef struct {
  char bus[32], uuid[96], pci[32], vbios[32], name[96];
} facts;

static facts facts_of(int n) {
  char line[400] = "";
  facts f = {"", "", "", "", ""};
  count("device", n, line, sizeof line);
  sscanf(line, "%31s %95s %31s %31s %95[^\n]", f.bus, f.uuid, f.pci, f.vbios, f.name);
  return f;
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned n, nvmlDevice_t *d) {
  nvmlReturn_t r = enter("nvmlDeviceGetHandleByIndex_v2", NULL);
  if (r != SUCCESS) return r;
  if (n >= (unsigned)count("device", -1, NULL, 0)) return INVALID_ARGUMENT;
  *d = (nvmlDevice_t)(INT_PTR)(DEVICES + n);
  return enter("nvmlDeviceGetHandleByIndex_v2", *d);
}

static BOOL place(const char *text, unsigned to[3]) { return sscanf(text, "%x:%x:%x", to, to + 1, to + 2) == 3; }

EXPORT nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *id, nvmlDevice_t *d) {
  nvmlReturn_t r = enter("nvmlDeviceGetHandleByPciBusId_v2", NULL);
  if (r != SUCCESS) return r;
  unsigned asked[3], has[3];
  if (!place(id, asked)) return INVALID_ARGUMENT;
  for (int n = count("device", -1, NULL, 0); n-- > 0;) {
    if (!place(facts_of(n).bus, has) || memcmp(asked, has, sizeof has) != 0) continue;
    *d = (nvmlDevice_t)(INT_PTR)(DEVICES + n);
    return enter("nvmlDeviceGetHandleByPciBusId_v2", *d);
  }
  return NOT_FOUND;
}

EXPORT nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t d, nvmlPciInfo_t *to) {
  nvmlReturn_t r = enter("nvmlDeviceGetPciInfo_v3", d);
  if (r != SUCCESS) return r;
  facts f = facts_of(device_of(d));
  unsigned at[3] = {0, 0, 0};
  place(f.bus, at);
  *to = (nvmlPciInfo_t){.domain = at[0], .bus = at[1], .device = at[2], .pciDeviceId = strtoul(f.pci, NULL, 0)};
  snprintf(to->busId, sizeof to->busId, "%s", f.bus);
  return SUCCESS;
}

typedef struct {
  int device, gi, ci;
  unsigned sm;
  unsigned long long total, used;
  char uuid[96], name[96];
} instance;

static instance instance_of(int n) {
  char line[400] = "";
  instance i = {0};
  count("mig", n, line, sizeof line);
  sscanf(line, "%d %d %d %u %llu %llu %95s %95[^\n]", &i.device, &i.gi, &i.ci, &i.sm, &i.total, &i.used, i.uuid, i.name);
  return i;
}

static instance instance_at(nvmlDevice_t d) { return instance_of((int)(INT_PTR)d - INSTANCES); }

EXPORT nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t d, char *to, unsigned size) {
  if (device_of(d) < 0) return text_of("nvmlDeviceGetUUID", d, instance_at(d).uuid, to, size, 96);
  return text_of("nvmlDeviceGetUUID", d, facts_of(device_of(d)).uuid, to, size, 96);
}

EXPORT nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t d, char *to, unsigned size) {
  if (device_of(d) < 0) return text_of("nvmlDeviceGetName", d, instance_at(d).name, to, size, 96);
  return text_of("nvmlDeviceGetName", d, facts_of(device_of(d)).name, to, size, 96);
}

EXPORT nvmlReturn_t nvmlDeviceGetVbiosVersion(nvmlDevice_t d, char *to, unsigned size) {
  return text_of("nvmlDeviceGetVbiosVersion", d, facts_of(device_of(d)).vbios, to, size, 32);
}

// Calls that answer one number, or several by a pointer each.
#define ONE(name)                                                   \
  EXPORT nvmlReturn_t nvmlDevice##name(nvmlDevice_t d, unsigned *v) { \
    unsigned long long n[1];                                        \
    nvmlReturn_t r = numbers("nvmlDevice" #name, d, "-", 1, n);     \
    if (r == SUCCESS) *v = n[0];                                    \
    return r;                                                       \
  }
#define ONE_OF(name)                                                            \
  EXPORT nvmlReturn_t nvmlDevice##name(nvmlDevice_t d, unsigned a, unsigned *v) { \
    unsigned long long n[1];                                                    \
    char args[32];                                                              \
    sprintf(args, "%u", a);                                                     \
    nvmlReturn_t r = numbers("nvmlDevice" #name, d, args, 1, n);                \
    if (r == SUCCESS) *v = n[0];                                                \
    return r;                                                                   \
  }
#define TWO(name)                                                                 \
  EXPORT nvmlReturn_t nvmlDevice##name(nvmlDevice_t d, unsigned *v, unsigned *w) { \
    unsigned long long n[2];                                                      \
    nvmlReturn_t r = numbers("nvmlDevice" #name, d, "-", 2, n);                   \
    if (r == SUCCESS) *v = n[0], *w = n[1];                                       \
    return r;                                                                     \
  }
#define LONG_ONE(name)                                                          \
  EXPORT nvmlReturn_t nvmlDevice##name(nvmlDevice_t d, unsigned long long *v) { \
    return numbers("nvmlDevice" #name, d, "-", 1, v);                           \
  }

ONE(GetEnforcedPowerLimit)
ONE(GetPowerUsage)
ONE(GetPowerManagementDefaultLimit)
ONE(GetFanSpeed)
ONE(GetCurrPcieLinkWidth)
ONE(GetMaxPcieLinkWidth)
ONE(GetCurrPcieLinkGeneration)
ONE(GetMaxPcieLinkGeneration)
ONE(GetPcieReplayCounter)
ONE(GetPersistenceMode)
ONE(GetComputeMode)
ONE(GetDisplayActive)
ONE(GetPerformanceState)
ONE(GetVirtualizationMode)
ONE_OF(GetTemperature)
ONE_OF(GetTemperatureThreshold)
ONE_OF(GetClockInfo)
ONE_OF(GetMaxClockInfo)
ONE_OF(GetMaxCustomerBoostClock)
ONE_OF(GetFanSpeed_v2)
ONE_OF(GetNvLinkState)
ONE_OF(GetPcieThroughput)
TWO(GetEncoderUtilization)
TWO(GetDecoderUtilization)
TWO(GetJpgUtilization)
TWO(GetOfaUtilization)
TWO(GetPowerManagementLimitConstraints)
TWO(GetMigMode)
TWO(GetDriverModel_v2)
TWO(GetEccMode)
LONG_ONE(GetTotalEnergyConsumption)
LONG_ONE(GetSupportedClocksEventReasons)
LONG_ONE(GetSupportedClocksThrottleReasons)
LONG_ONE(GetCurrentClocksEventReasons)
LONG_ONE(GetCurrentClocksThrottleReasons)

EXPORT nvmlReturn_t nvmlDeviceGetEncoderStats(nvmlDevice_t d, unsigned *sessions, unsigned *fps, unsigned *latency) {
  unsigned long long n[3];
  nvmlReturn_t r = numbers("nvmlDeviceGetEncoderStats", d, "-", 3, n);
  if (r == SUCCESS) *sessions = n[0], *fps = n[1], *latency = n[2];
  return r;
}

EXPORT nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t d, unsigned *a, unsigned *b, unsigned *c, unsigned *e) {
  unsigned long long n[4];
  nvmlReturn_t r = numbers("nvmlDeviceGetRemappedRows", d, "-", 4, n);
  if (r == SUCCESS) *a = n[0], *b = n[1], *c = n[2], *e = n[3];
  return r;
}

EXPORT nvmlReturn_t nvmlDeviceGetMemoryErrorCounter(nvmlDevice_t d, unsigned kind, unsigned counter, unsigned at, unsigned long long *v) {
  char args[64];
  sprintf(args, "%u,%u,%u", kind, counter, at);
  return numbers("nvmlDeviceGetMemoryErrorCounter", d, args, 1, v);
}

EXPORT nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t d, unsigned kind, unsigned counter, unsigned long long *v) {
  char args[64];
  sprintf(args, "%u,%u", kind, counter);
  return numbers("nvmlDeviceGetTotalEccErrors", d, args, 1, v);
}

EXPORT nvmlReturn_t nvmlDeviceGetNvLinkErrorCounter(nvmlDevice_t d, unsigned link, unsigned counter, unsigned long long *v) {
  char args[64];
  sprintf(args, "%u,%u", link, counter);
  return numbers("nvmlDeviceGetNvLinkErrorCounter", d, args, 1, v);
}

// Calls that fill a struct.

EXPORT nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t d, nvmlUtilization_t *to) {
  unsigned long long n[2];
  nvmlReturn_t r = numbers("nvmlDeviceGetUtilizationRates", d, "-", 2, n);
  if (r == SUCCESS) *to = (nvmlUtilization_t){n[0], n[1]};
  return r;
}

EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t d, nvmlMemory_t *to) {
  unsigned long long n[3];
  if (device_of(d) < 0) {
    nvmlReturn_t r = enter("nvmlDeviceGetMemoryInfo", d);
    instance i = instance_at(d);
    if (r == SUCCESS) *to = (nvmlMemory_t){i.total, i.total - i.used, i.used};
    return r;
  }
  nvmlReturn_t r = numbers("nvmlDeviceGetMemoryInfo", d, "-", 3, n);
  if (r == SUCCESS) *to = (nvmlMemory_t){n[0], n[1], n[2]};
  return r;
}

EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t d, nvmlMemory_v2_t *to) {
  unsigned long long n[4];
  nvmlReturn_t r = versioned("nvmlDeviceGetMemoryInfo_v2", to->version, sizeof *to, 2);
  if (r == SUCCESS) r = numbers("nvmlDeviceGetMemoryInfo_v2", d, "-", 4, n);
  if (r == SUCCESS) *to = (nvmlMemory_v2_t){to->version, n[0], n[1], n[2], n[3]};
  return r;
}

EXPORT nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t d, nvmlBAR1Memory_t *to) {
  unsigned long long n[3];
  nvmlReturn_t r = numbers("nvmlDeviceGetBAR1MemoryInfo", d, "-", 3, n);
  if (r == SUCCESS) *to = (nvmlBAR1Memory_t){n[0], n[1], n[2]};
  return r;
}

EXPORT nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t d, nvmlTemperature_v1_t *to) {
  unsigned long long n[1];
  nvmlReturn_t r = versioned("nvmlDeviceGetTemperatureV", to->version, sizeof *to, 1);
  if (r == SUCCESS && to->sensorType != 0) r = INVALID_ARGUMENT;
  if (r == SUCCESS) r = numbers("nvmlDeviceGetTemperatureV", d, "-", 1, n);
  if (r == SUCCESS) to->temperature = (int)n[0];
  return r;
}

EXPORT nvmlReturn_t nvmlDeviceGetMarginTemperature(nvmlDevice_t d, nvmlMarginTemperature_v1_t *to) {
  unsigned long long n[1];
  nvmlReturn_t r = versioned("nvmlDeviceGetMarginTemperature", to->version, sizeof *to, 1);
  if (r == SUCCESS) r = numbers("nvmlDeviceGetMarginTemperature", d, "-", 1, n);
  if (r == SUCCESS) to->marginTemperature = (int)n[0];
  return r;
}

EXPORT nvmlReturn_t nvmlDeviceGetFanSpeedRPM(nvmlDevice_t d, nvmlFanSpeedInfo_v1_t *to) {
  unsigned long long n[1];
  char args[32];
  sprintf(args, "%u", to->fan);
  nvmlReturn_t r = versioned("nvmlDeviceGetFanSpeedRPM", to->version, sizeof *to, 1);
  if (r == SUCCESS) r = numbers("nvmlDeviceGetFanSpeedRPM", d, args, 1, n);
  if (r == SUCCESS) to->speed = n[0];
  return r;
}

EXPORT nvmlReturn_t nvmlDeviceGetAddressingMode(nvmlDevice_t d, nvmlDeviceAddressingMode_v1_t *to) {
  unsigned long long n[1];
  nvmlReturn_t r = versioned("nvmlDeviceGetAddressingMode", to->version, sizeof *to, 1);
  if (r == SUCCESS) r = numbers("nvmlDeviceGetAddressingMode", d, "-", 1, n);
  if (r == SUCCESS) to->value = n[0];
  return r;
}

EXPORT nvmlReturn_t nvmlDeviceGetViolationStatus(nvmlDevice_t d, unsigned policy, nvmlViolationTime_t *to) {
  unsigned long long n[2];
  char args[32];
  sprintf(args, "%u", policy);
  nvmlReturn_t r = numbers("nvmlDeviceGetViolationStatus", d, args, 2, n);
  if (r == SUCCESS) *to = (nvmlViolationTime_t){n[0], n[1]};
  return r;
}

EXPORT nvmlReturn_t nvmlDeviceGetFBCStats(nvmlDevice_t d, nvmlFBCStats_t *to) {
  unsigned long long n[3];
  nvmlReturn_t r = numbers("nvmlDeviceGetFBCStats", d, "-", 3, n);
  if (r == SUCCESS) *to = (nvmlFBCStats_t){n[0], n[1], n[2]};
  return r;
}

EXPORT nvmlReturn_t nvmlDeviceGetRowRemapperHistogram(nvmlDevice_t d, nvmlRowRemapperHistogramValues_t *to) {
  unsigned long long n[5];
  nvmlReturn_t r = numbers("nvmlDeviceGetRowRemapperHistogram", d, "-", 5, n);
  if (r == SUCCESS) *to = (nvmlRowRemapperHistogramValues_t){n[0], n[1], n[2], n[3], n[4]};
  return r;
}

// Numbers 3 and 4 of a fabric are the halves of its uuid.
static void uuid_of(const unsigned long long halves[2], unsigned char to[16]) {
  for (int i = 0; i < 16; i++) to[i] = halves[i / 8] >> 8 * (7 - i % 8);
}

EXPORT nvmlReturn_t nvmlDeviceGetGpuFabricInfoV(nvmlDevice_t d, nvmlGpuFabricInfo_v2_t *to) {
  unsigned long long n[5];
  BOOL third = to->version >> 24 == 3;
  nvmlReturn_t r = versioned("nvmlDeviceGetGpuFabricInfoV", to->version, third ? sizeof(nvmlGpuFabricInfo_v3_t) : sizeof *to, third ? 3 : 2);
  if (r == SUCCESS) r = numbers("nvmlDeviceGetGpuFabricInfoV", d, "-", 5, n);
  if (r != SUCCESS) return r;
  to->state = n[0], to->status = n[1], to->cliqueId = n[2], to->healthMask = unknown;
  uuid_of(n + 3, to->clusterUuid);
  if (third) ((nvmlGpuFabricInfo_v3_t *)to)->healthSummary = 0xff;
  return SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetGpuFabricInfo(nvmlDevice_t d, nvmlGpuFabricInfo_t *to) {
  unsigned long long n[5];
  nvmlReturn_t r = numbers("nvmlDeviceGetGpuFabricInfo", d, "-", 5, n);
  if (r != SUCCESS) return r;
  to->state = n[0], to->status = n[1], to->cliqueId = n[2];
  uuid_of(n + 3, to->clusterUuid);
  return SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t d, int n, nvmlFieldValue_t *to) {
  nvmlReturn_t r = enter("nvmlDeviceGetFieldValues", d);
  char newest[32] = "";
  if (r != SUCCESS) return r;
  count("many", 0, newest, sizeof newest);
  for (int i = 0; i < n; i++) {
    static const nvmlFieldValue_t empty;
    if (memcmp((char *)(to + i) + 8, (const char *)&empty + 8, sizeof empty - 8) != 0) wrong_call("nvmlDeviceGetFieldValues", "not zeroed");
    if (newest[0] && to[i].fieldId > strtoul(newest, NULL, 0)) return INVALID_ARGUMENT;
  }
  for (int i = 0; i < n; i++) {
    script s = open_script();
    char *word, *rest, of[16], code[16], type[16], value[64];
    unsigned id, scope;
    to[i].nvmlReturn = NOT_SUPPORTED;
    while (next(&s, &word, &rest)) {
      if (strcmp(word, "field") != 0 || sscanf(rest, "%15s %u %u %15s %15s %63s", of, &id, &scope, code, type, value) != 6) continue;
      if (id != to[i].fieldId || scope != to[i].scopeId || (of[0] != '*' && atoi(of) != device_of(d))) continue;
      to[i].nvmlReturn = strtoul(code, NULL, 0);
      to[i].valueType = strtoul(type, NULL, 0);
      if (to[i].valueType == 0) to[i].value.dVal = strtod(value, NULL);
      else to[i].value.ullVal = strtoull(value, NULL, 0);
      break;
    }
    free(s.text);
  }
  return SUCCESS;
}

// MIG devices.

EXPORT nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t d, unsigned *n) {
  nvmlReturn_t r = enter("nvmlDeviceGetMaxMigDeviceCount", d);
  if (r == SUCCESS) *n = 7;
  return r;
}

// Every second index of a GPU is a gap.
EXPORT nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t d, unsigned index, nvmlDevice_t *to) {
  nvmlReturn_t r = enter("nvmlDeviceGetMigDeviceHandleByIndex", d);
  if (r != SUCCESS) return r;
  if (index >= 7) return INVALID_ARGUMENT;
  unsigned at = 0;
  for (int n = 0; n < count("mig", -1, NULL, 0); n++) {
    if (instance_of(n).device != device_of(d)) continue;
    if (2 * at++ != index) continue;
    *to = (nvmlDevice_t)(INT_PTR)(INSTANCES + n);
    return SUCCESS;
  }
  return NOT_FOUND;
}

EXPORT nvmlReturn_t nvmlDeviceGetGpuInstanceId(nvmlDevice_t d, unsigned *id) {
  nvmlReturn_t r = enter("nvmlDeviceGetGpuInstanceId", d);
  if (r == SUCCESS) *id = instance_at(d).gi;
  return r;
}

EXPORT nvmlReturn_t nvmlDeviceGetComputeInstanceId(nvmlDevice_t d, unsigned *id) {
  nvmlReturn_t r = enter("nvmlDeviceGetComputeInstanceId", d);
  if (r == SUCCESS) *id = instance_at(d).ci;
  return r;
}

EXPORT nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t d, nvmlDeviceAttributes_t *to) {
  nvmlReturn_t r = enter("nvmlDeviceGetAttributes_v2", d);
  if (r == SUCCESS) *to = (nvmlDeviceAttributes_t){.multiprocessorCount = instance_at(d).sm, .memorySizeMB = ~0ull};
  return r;
}

// Profiling counters.

EXPORT nvmlReturn_t nvmlGpmQueryDeviceSupport(nvmlDevice_t d, nvmlGpmSupport_t *to) {
  char n[16];
  nvmlReturn_t r = enter("nvmlGpmQueryDeviceSupport", d);
  if (r != SUCCESS) return r;
  if (to->version != 1) wrong_call("nvmlGpmQueryDeviceSupport", "a wrong version");
  sprintf(n, "%d", device_of(d));
  to->isSupportedDevice = named("gpm", n) || named("gpm", "*");
  return SUCCESS;
}

EXPORT nvmlReturn_t nvmlGpmSampleAlloc(nvmlGpmSample_t *to) {
  nvmlReturn_t r = enter("nvmlGpmSampleAlloc", NULL);
  if (r != SUCCESS) return r;
  *to = malloc(sizeof **to);
  **to = (struct sample){magic, -1, -1, 0};
  InterlockedIncrement(&handles);
  return SUCCESS;
}

static BOOL is_sample(const char *function, nvmlGpmSample_t s) {
  if (s && s->magic == magic) return TRUE;
  wrong_call(function, "no sample");
  return FALSE;
}

EXPORT nvmlReturn_t nvmlGpmSampleFree(nvmlGpmSample_t s) {
  nvmlReturn_t r = enter("nvmlGpmSampleFree", NULL);
  if (r != SUCCESS) return r;
  if (!is_sample("nvmlGpmSampleFree", s)) return INVALID_ARGUMENT;
  s->magic = 0;
  free(s);
  InterlockedDecrement(&handles);
  return SUCCESS;
}

static nvmlReturn_t take(const char *function, nvmlDevice_t d, int instance, nvmlGpmSample_t s) {
  nvmlReturn_t r = enter(function, d);
  if (r != SUCCESS) return r;
  if (!is_sample(function, s)) return INVALID_ARGUMENT;
  s->device = device_of(d), s->instance = instance, s->taken = InterlockedIncrement(&taken);
  return SUCCESS;
}

EXPORT nvmlReturn_t nvmlGpmSampleGet(nvmlDevice_t d, nvmlGpmSample_t s) { return take("nvmlGpmSampleGet", d, -1, s); }

EXPORT nvmlReturn_t nvmlGpmMigSampleGet(nvmlDevice_t d, unsigned instance, nvmlGpmSample_t s) {
  return take("nvmlGpmMigSampleGet", d, instance, s);
}

EXPORT nvmlReturn_t nvmlGpmMetricsGet(nvmlGpmMetricsGet_t *to) {
  nvmlReturn_t r = enter("nvmlGpmMetricsGet", NULL);
  if (r != SUCCESS) return r;
  if (to->version != 1 || to->numMetrics > 333) wrong_call("nvmlGpmMetricsGet", "a wrong version or count");
  if (!is_sample("nvmlGpmMetricsGet", to->sample1) || !is_sample("nvmlGpmMetricsGet", to->sample2)) return INVALID_ARGUMENT;
  nvmlGpmSample_t older = to->sample1, newer = to->sample2;
  if (!older->taken || older->taken >= newer->taken || older->device != newer->device || older->instance != newer->instance)
    wrong_call("nvmlGpmMetricsGet", "samples that are no pair");
  for (unsigned i = 0; i < to->numMetrics; i++) {
    static char name[] = "name";
    char args[32], value[64] = "0";
    nvmlGpmMetric_t *m = to->metrics + i;
    if (newer->instance < 0) sprintf(args, "%u", m->metricId);
    else sprintf(args, "%d,%u", newer->instance, m->metricId);
    m->nvmlReturn = answer(newer->device, newer->instance < 0 ? "GpmMetricsGet" : "GpmMigMetricsGet", args, 0, value);
    m->value = strtod(value, NULL);
    m->metricInfo.shortName = m->metricInfo.longName = m->metricInfo.unit = name;
  }
  return SUCCESS;
}
