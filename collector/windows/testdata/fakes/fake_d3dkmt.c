// The functions of gdi32.dll that are D3DKMT. Lines of its feed: "adapter HIGH LOW" begins an adapter; those after it
// are its answers, and what has no line is not supported. All numbers are in C notation.
//
//   name TEXT                            bios TEXT
//   address BUS DEVICE FUNCTION          ids VENDOR DEVICE SUBVENDOR SUBSYSTEM REVISION
//   type BITS                            wddm VERSION
//   scheduling BITS
//   sizes DEDICATED DEDICATED_SYSTEM SHARED
//   service TEXT                         kmd VERSION (as one number)
//   perf MEMORY_HZ MAX_MEMORY_HZ FAN_RPM POWER DECI_CELSIUS
//   caps MAX_FAN_RPM MAX_DECI_CELSIUS WARNING_DECI_CELSIUS
//   asleep                               who asks for perf, caps or a node's performance is wrong
//   tdr COUNT
//   segment APERTURE LIMIT COMMITTED RESIDENT
//   node TYPE RUNNING HZ MAX_HZ MILLIVOLTS NAME
//   unstable NUMBER                      the statistics of the node of this number fail
//   shut                                 the adapter is listed, but cannot be opened
#include "fake.h"

typedef LONG NTSTATUS;
#define STATUS_SUCCESS 0
#define STATUS_BAD_PARAMETER ((NTSTATUS)0xC000000D)
#define STATUS_TOO_SMALL ((NTSTATUS)0xC0000023)
#define STATUS_UNKNOWN ((NTSTATUS)0xC00000BB) // not supported

// The layouts: System Informer's d3dkmthk.h and d3dkmdt.h.

typedef UINT32 D3DKMT_HANDLE;

typedef struct {
  D3DKMT_HANDLE hAdapter;
  LUID AdapterLuid;
  ULONG NumOfSources;
  BOOL bPrecisePresentRegionsPreferred;
} D3DKMT_ADAPTERINFO;
SIZE(D3DKMT_ADAPTERINFO, 20);

typedef struct {
  ULONG NumAdapters;
  D3DKMT_ADAPTERINFO *pAdapters;
} D3DKMT_ENUMADAPTERS2;
SIZE(D3DKMT_ENUMADAPTERS2, 16);

typedef struct {
  LUID AdapterLuid;
  D3DKMT_HANDLE hAdapter;
} D3DKMT_OPENADAPTERFROMLUID;

typedef struct {
  D3DKMT_HANDLE hAdapter;
} D3DKMT_CLOSEADAPTER;

typedef struct {
  D3DKMT_HANDLE hAdapter;
  UINT Type;
  void *pPrivateDriverData;
  UINT PrivateDriverDataSize;
} D3DKMT_QUERYADAPTERINFO;
SIZE(D3DKMT_QUERYADAPTERINFO, 24);

typedef struct {
  ULONGLONG DedicatedVideoMemorySize, DedicatedSystemMemorySize, SharedSystemMemorySize;
} D3DKMT_SEGMENTSIZEINFO;

typedef struct {
  UINT BusNumber, DeviceNumber, FunctionNumber;
} D3DKMT_ADAPTERADDRESS;

typedef struct {
  WCHAR AdapterString[260], BiosString[260], DacType[260], ChipType[260];
} D3DKMT_ADAPTERREGISTRYINFO;
SIZE(D3DKMT_ADAPTERREGISTRYINFO, 2080);

typedef struct {
  UINT PhysicalAdapterIndex;
  UINT VendorID, DeviceID, SubVendorID, SubSystemID, RevisionID, BusType;
} D3DKMT_QUERY_DEVICE_IDS;
SIZE(D3DKMT_QUERY_DEVICE_IDS, 28);

#pragma pack(push, 1)
typedef struct {
  UINT NodeOrdinalAndAdapterIndex;
  UINT EngineType;
  WCHAR FriendlyName[32];
  UINT Flags;
  BYTE GpuMmuSupported, IoMmuSupported;
} D3DKMT_NODEMETADATA;
#pragma pack(pop)
SIZE(D3DKMT_NODEMETADATA, 78);

typedef struct {
  UINT32 NodeOrdinal, PhysicalAdapterIndex;
  ULONGLONG Frequency, MaxFrequency, MaxFrequencyOC;
  ULONG Voltage, VoltageMax, VoltageMaxOC;
  ULONGLONG MaxTransitionLatency;
} D3DKMT_NODE_PERFDATA;
SIZE(D3DKMT_NODE_PERFDATA, 56);

typedef struct {
  UINT32 PhysicalAdapterIndex;
  ULONGLONG MemoryFrequency, MaxMemoryFrequency, MaxMemoryFrequencyOC, MemoryBandwidth, PCIEBandwidth;
  ULONG FanRPM, Power, Temperature;
  UCHAR PowerStateOverride;
} D3DKMT_ADAPTER_PERFDATA;
SIZE(D3DKMT_ADAPTER_PERFDATA, 64);
AT(D3DKMT_ADAPTER_PERFDATA, Temperature, 56);

typedef struct {
  UINT32 PhysicalAdapterIndex;
  ULONGLONG MaxMemoryBandwidth, MaxPCIEBandwidth;
  ULONG MaxFanRPM, TemperatureMax, TemperatureWarning;
} D3DKMT_ADAPTER_PERFDATACAPS;
SIZE(D3DKMT_ADAPTER_PERFDATACAPS, 40);

typedef struct {
  ULONG NbSegments, NodeCount, VidPnSourceCount, VSyncEnabled, TdrDetectedCount;
} ADAPTER_INFORMATION;

typedef struct {
  ULONGLONG CommitLimit, BytesCommitted, BytesResident;
  BYTE Memory[16];
  ULONG Aperture;
} SEGMENT_INFORMATION;
AT(SEGMENT_INFORMATION, Aperture, 40);

typedef struct {
  LARGE_INTEGER RunningTime;
  ULONG ContextSwitch;
} NODE_INFORMATION;

typedef struct {
  UINT Type;
  LUID AdapterLuid;
  HANDLE hProcess;
  union {
    ADAPTER_INFORMATION Adapter;
    SEGMENT_INFORMATION Segment;
    NODE_INFORMATION Node;
    BYTE All[776];
  } Result;
  union {
    ULONG NodeId, SegmentId;
  } Query;
} D3DKMT_QUERYSTATISTICS;
SIZE(D3DKMT_QUERYSTATISTICS, 808);
AT(D3DKMT_QUERYSTATISTICS, hProcess, 16);
AT(D3DKMT_QUERYSTATISTICS, Result, 24);
AT(D3DKMT_QUERYSTATISTICS, Query, 800);

// The adapters of the feed.

typedef struct {
  UINT type;
  ULONGLONG running, hertz, max_hertz;
  ULONG millivolts;
  BOOL unstable;
  char name[32];
} node;

typedef struct {
  LUID luid;
  char name[260], bios[260], service[260];
  BOOL has_name, has_address, has_ids, has_type, has_wddm, has_scheduling, has_sizes, has_service, has_kmd,
      has_perf, has_caps, asleep, shut;
  UINT address[3], ids[5], type, wddm, scheduling;
  ULONGLONG sizes[3], kmd, memory_hertz, max_memory_hertz;
  ULONG fan, power, deci_celsius, caps[3], tdr, segments, nodes;
  SEGMENT_INFORMATION segment[16];
  node node[64];
} adapter;

#define MOST 16

static ULONG numbers(const char *text, ULONGLONG *to, ULONG most) {
  ULONG n = 0;
  char *end;
  for (; n < most; n++, text = end) {
    to[n] = strtoull(text, &end, 0);
    if (end == text) break;
  }
  return n;
}

// read_adapters parses the feed; the caller frees the list.
static adapter *read_adapters(ULONG *count) {
  adapter *list = calloc(MOST, sizeof *list), *a = NULL;
  script s = open_script();
  char *word, *rest;
  *count = 0;
  while (next(&s, &word, &rest)) {
    ULONGLONG n[5] = {0};
    numbers(rest, n, 5);
#define IS(w) (strcmp(word, w) == 0)
    if (IS("adapter") && *count < MOST) {
      a = &list[(*count)++];
      a->luid.HighPart = (LONG)n[0];
      a->luid.LowPart = (DWORD)n[1];
    }
    if (!a) continue;
    if (IS("name")) a->has_name = TRUE, strncpy(a->name, rest, sizeof a->name - 1);
    if (IS("bios")) strncpy(a->bios, rest, sizeof a->bios - 1);
    if (IS("service")) a->has_service = TRUE, strncpy(a->service, rest, sizeof a->service - 1);
    if (IS("address")) {
      a->has_address = TRUE;
      for (int i = 0; i < 3; i++) a->address[i] = (UINT)n[i];
    }
    if (IS("ids")) {
      a->has_ids = TRUE;
      for (int i = 0; i < 5; i++) a->ids[i] = (UINT)n[i];
    }
    if (IS("type")) a->has_type = TRUE, a->type = (UINT)n[0];
    if (IS("wddm")) a->has_wddm = TRUE, a->wddm = (UINT)n[0];
    if (IS("scheduling")) a->has_scheduling = TRUE, a->scheduling = (UINT)n[0];
    if (IS("kmd")) a->has_kmd = TRUE, a->kmd = n[0];
    if (IS("sizes")) {
      a->has_sizes = TRUE;
      memcpy(a->sizes, n, sizeof a->sizes);
    }
    if (IS("perf")) {
      a->has_perf = TRUE;
      a->memory_hertz = n[0], a->max_memory_hertz = n[1];
      a->fan = (ULONG)n[2], a->power = (ULONG)n[3], a->deci_celsius = (ULONG)n[4];
    }
    if (IS("caps")) {
      a->has_caps = TRUE;
      for (int i = 0; i < 3; i++) a->caps[i] = (ULONG)n[i];
    }
    if (IS("asleep")) a->asleep = TRUE;
    if (IS("shut")) a->shut = TRUE;
    if (IS("tdr")) a->tdr = (ULONG)n[0];
    if (IS("segment") && a->segments < 16) {
      SEGMENT_INFORMATION *g = &a->segment[a->segments++];
      g->Aperture = (ULONG)n[0], g->CommitLimit = n[1], g->BytesCommitted = n[2], g->BytesResident = n[3];
    }
    if (IS("node") && a->nodes < 64) {
      node *d = &a->node[a->nodes++];
      d->type = (UINT)n[0], d->running = n[1], d->hertz = n[2], d->max_hertz = n[3], d->millivolts = (ULONG)n[4];
      char *name = rest;
      for (int i = 0; i < 5 && name; i++) name = strchr(name, ' ') ? strchr(name, ' ') + 1 : NULL;
      if (name) strncpy(d->name, name, sizeof d->name - 1);
    }
    if (IS("unstable") && n[0] < a->nodes) a->node[n[0]].unstable = TRUE;
  }
  free(s.text);
  return list;
}

static adapter *by_luid(adapter *list, ULONG count, LUID luid) {
  for (ULONG i = 0; i < count; i++)
    if (list[i].luid.LowPart == luid.LowPart && list[i].luid.HighPart == luid.HighPart) return &list[i];
  return NULL;
}

// The handles that are out: a handle is a place in the table, from 1 on.

#define TABLE 4096
static struct {
  BOOL open;
  LUID luid;
} table[TABLE];
static SRWLOCK table_lock = SRWLOCK_INIT;

static D3DKMT_HANDLE give(LUID luid) {
  D3DKMT_HANDLE h = 0;
  AcquireSRWLockExclusive(&table_lock);
  for (int i = 1; i < TABLE && !h; i++)
    if (!table[i].open) table[i].open = TRUE, table[i].luid = luid, h = i, InterlockedIncrement(&handles);
  ReleaseSRWLockExclusive(&table_lock);
  return h;
}

static BOOL holder(D3DKMT_HANDLE h, LUID *luid) {
  AcquireSRWLockShared(&table_lock);
  BOOL open = h > 0 && h < TABLE && table[h].open;
  if (open) *luid = table[h].luid;
  ReleaseSRWLockShared(&table_lock);
  if (!open) is_wrong("a handle that was not given out");
  return open;
}

EXPORT NTSTATUS WINAPI D3DKMTCloseAdapter(const D3DKMT_CLOSEADAPTER *c) {
  DWORD code;
  LUID luid;
  if (ordered("D3DKMTCloseAdapter", &code)) return code;
  if (!holder(c->hAdapter, &luid)) return STATUS_BAD_PARAMETER;
  AcquireSRWLockExclusive(&table_lock);
  table[c->hAdapter].open = FALSE;
  ReleaseSRWLockExclusive(&table_lock);
  InterlockedDecrement(&handles);
  return STATUS_SUCCESS;
}

EXPORT NTSTATUS WINAPI D3DKMTEnumAdapters2(D3DKMT_ENUMADAPTERS2 *e) {
  DWORD code;
  if (ordered("D3DKMTEnumAdapters2", &code)) return code;
  ULONG count;
  NTSTATUS result = STATUS_SUCCESS;
  adapter *list = read_adapters(&count);
  if (!e->pAdapters) {
    e->NumAdapters = count > 1 && grows() ? count - 1 : count;
  } else if (e->NumAdapters < count) {
    result = STATUS_TOO_SMALL;
  } else {
    for (ULONG i = 0; i < count; i++) e->pAdapters[i] = (D3DKMT_ADAPTERINFO){give(list[i].luid), list[i].luid, 1, FALSE};
    e->NumAdapters = count;
  }
  free(list);
  return result;
}

EXPORT NTSTATUS WINAPI D3DKMTOpenAdapterFromLuid(D3DKMT_OPENADAPTERFROMLUID *o) {
  DWORD code;
  if (ordered("D3DKMTOpenAdapterFromLuid", &code)) return code;
  ULONG count;
  adapter *list = read_adapters(&count), *a = by_luid(list, count, o->AdapterLuid);
  BOOL there = a && !a->shut;
  free(list);
  if (!there) return STATUS_BAD_PARAMETER;
  o->hAdapter = give(o->AdapterLuid);
  return STATUS_SUCCESS;
}

// answer fills a structure of a type, and returns its size; 0: it is not supported.
static UINT answer(adapter *a, UINT type, void *data, UINT size) {
#define INTO(type) \
  type *to = data; \
  if (size < sizeof *to) return sizeof *to
  switch (type) {
  case 3: {
    INTO(D3DKMT_SEGMENTSIZEINFO);
    if (!a->has_sizes) return 0;
    *to = (D3DKMT_SEGMENTSIZEINFO){a->sizes[0], a->sizes[1], a->sizes[2]};
    return sizeof *to;
  }
  case 6: {
    INTO(D3DKMT_ADAPTERADDRESS);
    if (!a->has_address) return 0;
    *to = (D3DKMT_ADAPTERADDRESS){a->address[0], a->address[1], a->address[2]};
    return sizeof *to;
  }
  case 8: {
    INTO(D3DKMT_ADAPTERREGISTRYINFO);
    if (!a->has_name) return 0;
    wide(a->name, to->AdapterString, 260);
    wide(a->bios, to->BiosString, 260);
    wide("a DAC", to->DacType, 260);
    wide("a chip", to->ChipType, 260);
    return sizeof *to;
  }
  case 13:
  case 15:
  case 70: {
    INTO(UINT);
    switch (type) {
    case 13: *to = a->wddm; return a->has_wddm ? sizeof *to : 0;
    case 15: *to = a->type; return a->has_type ? sizeof *to : 0;
    default: *to = a->scheduling; return a->has_scheduling ? sizeof *to : 0;
    }
  }
  case 25: {
    INTO(D3DKMT_NODEMETADATA);
    UINT n = to->NodeOrdinalAndAdapterIndex;
    if (n >= a->nodes) return 0; // of another physical adapter too
    to->EngineType = a->node[n].type;
    wide(a->node[n].name, to->FriendlyName, 32);
    return sizeof *to;
  }
  case 31: {
    INTO(D3DKMT_QUERY_DEVICE_IDS);
    if (!a->has_ids || to->PhysicalAdapterIndex != 0) return 0;
    *to = (D3DKMT_QUERY_DEVICE_IDS){0, a->ids[0], a->ids[1], a->ids[2], a->ids[3], a->ids[4], 1};
    return sizeof *to;
  }
  case 49: {
    INTO(ULONGLONG);
    *to = a->kmd;
    return a->has_kmd ? sizeof *to : 0;
  }
  case 61: {
    INTO(D3DKMT_NODE_PERFDATA);
    if (to->NodeOrdinal >= a->nodes || to->PhysicalAdapterIndex != 0) return 0;
    node *d = &a->node[to->NodeOrdinal];
    to->Frequency = d->hertz, to->MaxFrequency = d->max_hertz, to->Voltage = d->millivolts;
    to->MaxFrequencyOC = to->VoltageMax = to->VoltageMaxOC = 77777; // nobody is to show these
    return sizeof *to;
  }
  case 62: {
    INTO(D3DKMT_ADAPTER_PERFDATA);
    if (!a->has_perf || to->PhysicalAdapterIndex != 0) return 0;
    to->MemoryFrequency = a->memory_hertz, to->MaxMemoryFrequency = a->max_memory_hertz;
    to->MaxMemoryFrequencyOC = to->MemoryBandwidth = to->PCIEBandwidth = 77777;
    to->FanRPM = a->fan, to->Power = a->power, to->Temperature = a->deci_celsius;
    return sizeof *to;
  }
  case 63: {
    INTO(D3DKMT_ADAPTER_PERFDATACAPS);
    if (!a->has_caps || to->PhysicalAdapterIndex != 0) return 0;
    to->MaxMemoryBandwidth = to->MaxPCIEBandwidth = 77777;
    to->MaxFanRPM = a->caps[0], to->TemperatureMax = a->caps[1], to->TemperatureWarning = a->caps[2];
    return sizeof *to;
  }
  case 69: {
    if (size < 520) return 520;
    wide(a->service, data, 260);
    return a->has_service ? 520 : 0;
  }
  }
  return 0;
}

EXPORT NTSTATUS WINAPI D3DKMTQueryAdapterInfo(const D3DKMT_QUERYADAPTERINFO *q) {
  DWORD code;
  LUID luid;
  if (ordered("D3DKMTQueryAdapterInfo", &code)) return code;
  if (!holder(q->hAdapter, &luid)) return STATUS_BAD_PARAMETER;
  ULONG count;
  NTSTATUS result = STATUS_UNKNOWN;
  adapter *list = read_adapters(&count), *a = by_luid(list, count, luid);
  if (a) {
    if (a->asleep && q->Type >= 61 && q->Type <= 63) is_wrong("sensors of an adapter that sleeps");
    UINT size = answer(a, q->Type, q->pPrivateDriverData, q->PrivateDriverDataSize);
    if (size) result = STATUS_SUCCESS;
    if (size && size != q->PrivateDriverDataSize) {
      is_wrong("a size that does not fit the type");
      result = STATUS_BAD_PARAMETER;
    }
  }
  free(list);
  return result;
}

EXPORT NTSTATUS WINAPI D3DKMTQueryStatistics(D3DKMT_QUERYSTATISTICS *q) {
  DWORD code;
  if (ordered("D3DKMTQueryStatistics", &code)) return code;
  if (q->hProcess) is_wrong("statistics of a process");
  ULONG count;
  NTSTATUS result = STATUS_BAD_PARAMETER;
  adapter *list = read_adapters(&count), *a = by_luid(list, count, q->AdapterLuid);
  memset(&q->Result, 0, sizeof q->Result);
  if (a && q->Type == 0) {
    q->Result.Adapter = (ADAPTER_INFORMATION){a->segments, a->nodes, 4, 1, a->tdr};
    result = STATUS_SUCCESS;
  } else if (a && q->Type == 3 && q->Query.SegmentId < a->segments) {
    q->Result.Segment = a->segment[q->Query.SegmentId];
    result = STATUS_SUCCESS;
  } else if (a && q->Type == 5 && q->Query.NodeId < a->nodes && !a->node[q->Query.NodeId].unstable) {
    q->Result.Node.RunningTime.QuadPart = a->node[q->Query.NodeId].running;
    q->Result.Node.ContextSwitch = 77777;
    result = STATUS_SUCCESS;
  }
  free(list);
  return result;
}
