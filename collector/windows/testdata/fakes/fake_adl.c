// The functions of atiadlxx.dll, AMD's library. Lines of its feed: "adapter INDEX BUS DEVICE FUNCTION VENDOR PRESENT"
// begins an entry; those after it are its answers, and what has no line is not supported. All numbers are in C notation.
//
//   version TEXT                         Adrenalin's, of all entries
//   endless                              the number of entries is the largest there is
//   name TEXT                            pnp TEXT
//   family TYPES VALIDS                  memory BYTES
//   bios TEXT                            usage MIB
//   sensor NUMBER SUPPORTED VALUE        one of PMLog; all others are not supported
//
// hang, status and crash may name a function of one entry: FUNCTION#INDEX.
//
// It calls wrong: a context that is none, a size that does not fit, two calls at once (the library has no locks of its
// own), memory of the callback that is none of the process heap. Handles are contexts.
#include "fake.h"

enum { OK = 0, NO = -1, BAD_PARAMETER = -3, BAD_INDEX = -5, NOT_SUPPORTED = -8, NULL_POINTER = -9 };

// The layouts: adl_structures.h.

typedef struct {
  int iSize, iAdapterIndex;
  char strUDID[256];
  int iBusNumber, iDeviceNumber, iFunctionNumber, iVendorID;
  char strAdapterName[256], strDisplayName[256];
  int iPresent, iExist;
  char strDriverPath[256], strDriverPathExt[256], strPNPString[256];
  int iOSDisplayIndex;
} AdapterInfo;
SIZE(AdapterInfo, 1572);
AT(AdapterInfo, iVendorID, 276);
AT(AdapterInfo, iPresent, 792);
AT(AdapterInfo, strPNPString, 1312);

typedef struct {
  long long iMemorySize;
  char strMemoryType[256];
  long long iMemoryBandwidth, iHyperMemorySize, iInvisibleMemorySize, iVisibleMemorySize;
} ADLMemoryInfo2;
SIZE(ADLMemoryInfo2, 296);

typedef struct {
  long long iMemorySize;
  char strMemoryType[256];
  long long iMemoryBandwidth, iHyperMemorySize, iInvisibleMemorySize, iVisibleMemorySize, iVramVendorRevId,
      iMemoryBandwidthX2, iMemoryBitRateX2;
} ADLMemoryInfoX4;
SIZE(ADLMemoryInfoX4, 320);

typedef struct {
  char strDriverVer[256], strCatalystVersion[256], strCrimsonVersion[256], strCatalystWebLink[256];
} ADLVersionsInfoX2;
SIZE(ADLVersionsInfoX2, 1024);
AT(ADLVersionsInfoX2, strCrimsonVersion, 512);

typedef struct {
  char strPartNumber[256], strVersion[256], strDate[256];
} ADLBiosInfo;
SIZE(ADLBiosInfo, 768);

typedef struct {
  int supported, value;
} ADLSingleSensorData;

typedef struct {
  int size;
  ADLSingleSensorData sensors[256];
} ADLPMLogDataOutput;
SIZE(ADLPMLogDataOutput, 2052);

typedef void *(__stdcall *ADL_MAIN_MALLOC_CALLBACK)(int);

// The entries of the feed.

typedef struct {
  int index, bus, device, function, vendor, present;
  char name[256], pnp[256], bios[256];
  BOOL has_family, has_memory, has_bios, has_usage;
  int types, valids, usage;
  long long memory;
  ADLSingleSensorData sensors[256];
} entry;

#define MOST 64

// read_entries parses the feed; the caller frees the list.
static entry *read_entries(int *count, char version[256]) {
  entry *list = calloc(MOST, sizeof *list), *a = NULL;
  script s = open_script();
  char *word, *rest;
  *count = 0;
  version[0] = 0;
  while (next(&s, &word, &rest)) {
    long long n[6] = {0};
    char *at = rest, *end;
    for (int i = 0; i < 6; i++, at = end) {
      n[i] = strtoll(at, &end, 0);
      if (end == at) break;
    }
#define IS(w) (strcmp(word, w) == 0)
    if (IS("version")) strncpy(version, rest, 255);
    if (IS("adapter") && *count < MOST) {
      a = &list[(*count)++];
      a->index = n[0], a->bus = n[1], a->device = n[2], a->function = n[3], a->vendor = n[4], a->present = n[5];
      for (int i = 0; i < 256; i++) a->sensors[i].value = -1; // as a real card has it
    }
    if (!a) continue;
    if (IS("name")) strncpy(a->name, rest, 255);
    if (IS("pnp")) strncpy(a->pnp, rest, 255);
    if (IS("bios")) a->has_bios = TRUE, strncpy(a->bios, rest, 255);
    if (IS("family")) a->has_family = TRUE, a->types = n[0], a->valids = n[1];
    if (IS("memory")) a->has_memory = TRUE, a->memory = n[0];
    if (IS("usage")) a->has_usage = TRUE, a->usage = n[0];
    if (IS("sensor") && n[0] >= 0 && n[0] < 256) a->sensors[n[0]] = (ADLSingleSensorData){n[1], n[2]};
  }
  free(s.text);
  return list;
}

// The contexts that are out, each with memory of the program's.

static struct {
  BOOL open;
  void *memory;
} contexts[64]; // guarded by inside, as all calls are
static LONG inside;

static BOOL is_open(void *context) {
  size_t i = (size_t)context;
  BOOL open = i > 0 && i < 64 && contexts[i].open;
  if (!open) is_wrong("a context that was not given out");
  return open;
}

// SOLE is the body of a function: the call, alone. A child's feed is read anew for each, so that a test can change it.
#define SOLE(call) \
  if (InterlockedIncrement(&inside) != 1) is_wrong("two calls at once"); \
  read_feed(); \
  int result = call; \
  InterlockedDecrement(&inside); \
  return result

static int create(ADL_MAIN_MALLOC_CALLBACK allocate, int connected, void **context) {
  const int size = 333;
  DWORD code;
  if (ordered("ADL2_Main_Control_Create", &code)) return code;
  if (!allocate || !context) return NULL_POINTER;
  if (connected != 1) is_wrong("adapters that are not there are asked for");
  void *memory = allocate(size);
  if (!memory || !HeapValidate(GetProcessHeap(), 0, memory) || HeapSize(GetProcessHeap(), 0, memory) < (SIZE_T)size) {
    is_wrong("memory of the callback that is none of the process heap");
    return NO;
  }
  memset(memory, 0x77, size);
  for (size_t i = 1; i < 64; i++)
    if (!contexts[i].open) {
      contexts[i].open = TRUE, contexts[i].memory = memory;
      *context = (void *)i;
      InterlockedIncrement(&handles);
      return OK;
    }
  return NO;
}

EXPORT int ADL2_Main_Control_Create(ADL_MAIN_MALLOC_CALLBACK allocate, int connected, void **context) {
  SOLE(create(allocate, connected, context));
}

static int destroy(void *context) {
  DWORD code;
  if (ordered("ADL2_Main_Control_Destroy", &code)) return code;
  if (!is_open(context)) return BAD_PARAMETER;
  if (!HeapFree(GetProcessHeap(), 0, contexts[(size_t)context].memory)) is_wrong("memory of the callback that is gone");
  contexts[(size_t)context].open = FALSE;
  InterlockedDecrement(&handles);
  return OK;
}

EXPORT int ADL2_Main_Control_Destroy(void *context) { SOLE(destroy(context)); }

static int number(void *context, int *n) {
  char version[256];
  DWORD code;
  if (ordered("ADL2_Adapter_NumberOfAdapters_Get", &code)) return code;
  if (!is_open(context)) return BAD_PARAMETER;
  free(read_entries(n, version));
  if (says("endless")) *n = 0x7fffffff;
  return OK;
}

EXPORT int ADL2_Adapter_NumberOfAdapters_Get(void *context, int *n) { SOLE(number(context, n)); }

static int adapter_info(void *context, AdapterInfo *info, int size) {
  char version[256];
  DWORD code;
  int count;
  if (ordered("ADL2_Adapter_AdapterInfo_Get", &code)) return code;
  if (!is_open(context)) return BAD_PARAMETER;
  entry *list = read_entries(&count, version);
  BOOL fits = size == count * (int)sizeof *info;
  if (!fits) is_wrong("a size that is not that of all entries");
  for (int i = 0; fits && i < count; i++) {
    entry *a = &list[i];
    info[i] = (AdapterInfo){.iSize = sizeof *info, .iAdapterIndex = a->index, .iBusNumber = a->bus, .iDeviceNumber = a->device,
        .iFunctionNumber = a->function, .iVendorID = a->vendor, .iPresent = a->present, .iExist = 1, .iOSDisplayIndex = i};
    strcpy(info[i].strUDID, "a UDID");
    strcpy(info[i].strDisplayName, "a display");
    strcpy(info[i].strDriverPath, "a path");
    strcpy(info[i].strDriverPathExt, "another path");
    memcpy(info[i].strAdapterName, a->name, 256);
    memcpy(info[i].strPNPString, a->pnp, 256);
  }
  free(list);
  return fits ? OK : BAD_PARAMETER;
}

EXPORT int ADL2_Adapter_AdapterInfo_Get(void *context, AdapterInfo *info, int size) { SOLE(adapter_info(context, info, size)); }

static int versions(void *context, ADLVersionsInfoX2 *v) {
  char version[256];
  DWORD code;
  int count;
  if (ordered("ADL2_Graphics_VersionsX2_Get", &code)) return code;
  if (!is_open(context)) return BAD_PARAMETER;
  free(read_entries(&count, version));
  *v = (ADLVersionsInfoX2){"a package", "a Catalyst", "", "a link"};
  memcpy(v->strCrimsonVersion, version, 256);
  return OK;
}

EXPORT int ADL2_Graphics_VersionsX2_Get(void *context, ADLVersionsInfoX2 *v) { SOLE(versions(context, v)); }

// about finds the entry that a call is about, and follows what the feed says of the function; FALSE: code is the answer.
static BOOL about(const char *function, void *context, int index, entry *found, int *code) {
  char name[128], version[256];
  DWORD told;
  int count;
  snprintf(name, sizeof name, "%s#%d", function, index);
  if (ordered(function, &told) || ordered(name, &told)) {
    *code = told;
    return FALSE;
  }
  *code = BAD_PARAMETER;
  if (!is_open(context)) return FALSE;
  *code = BAD_INDEX;
  entry *list = read_entries(&count, version);
  for (int i = 0; i < count; i++)
    if (list[i].index == index) *found = list[i], *code = OK;
  free(list);
  if (*code) is_wrong("an index that no entry has");
  return *code == OK;
}

static int family(void *context, int index, int *types, int *valids) {
  entry a;
  int code;
  if (!about("ADL2_Adapter_ASICFamilyType_Get", context, index, &a, &code)) return code;
  if (!a.has_family) return NOT_SUPPORTED;
  *types = a.types, *valids = a.valids;
  return OK;
}

EXPORT int ADL2_Adapter_ASICFamilyType_Get(void *context, int index, int *types, int *valids) {
  SOLE(family(context, index, types, valids));
}

static int memory2(void *context, int index, ADLMemoryInfo2 *m) {
  entry a;
  int code;
  if (!about("ADL2_Adapter_MemoryInfo2_Get", context, index, &a, &code)) return code;
  if (!a.has_memory) return NOT_SUPPORTED;
  *m = (ADLMemoryInfo2){a.memory, "a type", 1, 2, 3, 4};
  return OK;
}

EXPORT int ADL2_Adapter_MemoryInfo2_Get(void *context, int index, ADLMemoryInfo2 *m) { SOLE(memory2(context, index, m)); }

static int bios(void *context, int index, ADLBiosInfo *b) {
  entry a;
  int code;
  if (!about("ADL2_Adapter_VideoBiosInfo_Get", context, index, &a, &code)) return code;
  if (!a.has_bios) return NOT_SUPPORTED;
  *b = (ADLBiosInfo){"", "a version", "a date"};
  memcpy(b->strPartNumber, a.bios, 256);
  return OK;
}

EXPORT int ADL2_Adapter_VideoBiosInfo_Get(void *context, int index, ADLBiosInfo *b) { SOLE(bios(context, index, b)); }

static int usage(void *context, int index, int *mib) {
  entry a;
  int code;
  if (!about("ADL2_Adapter_DedicatedVRAMUsage_Get", context, index, &a, &code)) return code;
  if (!a.has_usage) return NOT_SUPPORTED;
  *mib = a.usage;
  return OK;
}

EXPORT int ADL2_Adapter_DedicatedVRAMUsage_Get(void *context, int index, int *mib) { SOLE(usage(context, index, mib)); }

#ifndef OLD // drivers had these later

static int memory4(void *context, int index, ADLMemoryInfoX4 *m) {
  entry a;
  int code;
  if (!about("ADL2_Adapter_MemoryInfoX4_Get", context, index, &a, &code)) return code;
  if (!a.has_memory) return NOT_SUPPORTED;
  *m = (ADLMemoryInfoX4){a.memory, "a type", 1, 2, 3, 4, 5, 6, 7};
  return OK;
}

EXPORT int ADL2_Adapter_MemoryInfoX4_Get(void *context, int index, ADLMemoryInfoX4 *m) { SOLE(memory4(context, index, m)); }

static int sensors(void *context, int index, ADLPMLogDataOutput *out) {
  entry a;
  int code;
  if (!about("ADL2_New_QueryPMLogData_Get", context, index, &a, &code)) return code;
  if (out->size != sizeof *out) is_wrong("sensors without their size");
  memcpy(out->sensors, a.sensors, sizeof a.sensors);
  return OK;
}

EXPORT int ADL2_New_QueryPMLogData_Get(void *context, int index, ADLPMLogDataOutput *out) { SOLE(sensors(context, index, out)); }

#endif
