// pdh.dll, as far as raw counters are asked for. Lines of its feed, with tabs between the fields:
//
//   item PATH<tab>INSTANCE<tab>STATUS<tab>TIME<tab>VALUE
//
// PATH is that of the counter with (*): one that no line has the object of is not there.
#include "fake.h"

typedef LONG PDH_STATUS;
#define MORE_DATA ((PDH_STATUS)0x800007D2)
#define NOTHING ((PDH_STATUS)0x800007D5)
#define NO_OBJECT ((PDH_STATUS)0xC0000BB8)
#define NO_COUNTER ((PDH_STATUS)0xC0000BB9)
#define INVALID_HANDLE ((PDH_STATUS)0xC0000BBC)

// The layouts: pdh.h.

typedef struct {
  DWORD CStatus;
  FILETIME TimeStamp;
  LONGLONG FirstValue, SecondValue;
  DWORD MultiCount;
} PDH_RAW_COUNTER;
SIZE(PDH_RAW_COUNTER, 40);
AT(PDH_RAW_COUNTER, FirstValue, 16);

typedef struct {
  WCHAR *szName;
  PDH_RAW_COUNTER RawValue;
} PDH_RAW_COUNTER_ITEM_W;
SIZE(PDH_RAW_COUNTER_ITEM_W, 48);

typedef struct counter {
  struct query *query;
  char path[256];
  struct counter *next;
} counter;

typedef struct query {
  DWORD magic;
  BOOL collected;
  counter *counters;
} query;

#define MAGIC 0x59524551

static BOOL is_query(query *q) {
  if (q && q->magic == MAGIC) return TRUE;
  is_wrong("a query that is not open");
  return FALSE;
}

EXPORT PDH_STATUS WINAPI PdhOpenQueryW(const WCHAR *source, DWORD_PTR user, HANDLE *out) {
  DWORD code;
  if (ordered("PdhOpenQueryW", &code)) return code;
  if (source) is_wrong("a query of a log file");
  query *q = calloc(1, sizeof *q);
  q->magic = MAGIC;
  InterlockedIncrement(&handles);
  *out = q;
  return ERROR_SUCCESS;
}

EXPORT PDH_STATUS WINAPI PdhCloseQuery(HANDLE handle) {
  DWORD code;
  query *q = handle;
  if (ordered("PdhCloseQuery", &code)) return code;
  if (!is_query(q)) return INVALID_HANDLE;
  q->magic = 0;
  for (counter *c = q->counters, *after; c; c = after) after = c->next, free(c);
  free(q);
  InterlockedDecrement(&handles);
  return ERROR_SUCCESS;
}

// fields cuts the rest of an item line at its tabs.
static BOOL fields(char *rest, char *f[5]) {
  for (int i = 0; i < 5; i++) {
    if (!rest) return FALSE;
    f[i] = rest;
    rest = strchr(rest, '\t');
    if (rest) *rest++ = 0;
  }
  return TRUE;
}

EXPORT PDH_STATUS WINAPI PdhAddEnglishCounterW(HANDLE handle, const WCHAR *path, DWORD_PTR user, HANDLE *out) {
  DWORD code;
  query *q = handle;
  if (ordered("PdhAddEnglishCounterW", &code)) return code;
  if (!is_query(q)) return INVALID_HANDLE;
  counter *c = calloc(1, sizeof *c);
  WideCharToMultiByte(CP_UTF8, 0, path, -1, c->path, sizeof c->path - 1, NULL, NULL);
  PDH_STATUS result = NO_OBJECT;
  const char *end = strchr(c->path, '(');
  size_t object = end ? end - c->path + 1 : 0;
  script s = open_script();
  char *word, *rest, *f[5];
  while (object && next(&s, &word, &rest)) {
    if (strcmp(word, "item") != 0 || !fields(rest, f) || strncmp(f[0], c->path, object) != 0) continue;
    if (result == NO_OBJECT) result = NO_COUNTER;
    if (strcmp(f[0], c->path) == 0) result = ERROR_SUCCESS;
  }
  free(s.text);
  if (result != ERROR_SUCCESS) {
    free(c);
    return result;
  }
  c->query = q;
  c->next = q->counters;
  q->counters = c;
  *out = c;
  return result;
}

EXPORT PDH_STATUS WINAPI PdhCollectQueryData(HANDLE handle) {
  DWORD code;
  query *q = handle;
  if (!is_query(q)) return INVALID_HANDLE;
  q->collected = TRUE;
  if (ordered("PdhCollectQueryData", &code)) return code;
  return says("item") ? ERROR_SUCCESS : NOTHING;
}

EXPORT PDH_STATUS WINAPI PdhGetRawCounterArrayW(HANDLE handle, DWORD *size, DWORD *count, PDH_RAW_COUNTER_ITEM_W *items) {
  DWORD code;
  counter *c = handle;
  if (ordered("PdhGetRawCounterArrayW", &code)) return code;
  if (!is_query(c->query)) return INVALID_HANDLE;
  if (!c->query->collected) is_wrong("counters before a collection");
  DWORD n = 0, units = 0, need;
  char *word, *rest, *f[5];
  script s = open_script();
  while (next(&s, &word, &rest))
    if (strcmp(word, "item") == 0 && fields(rest, f) && strcmp(f[0], c->path) == 0)
      n++, units += MultiByteToWideChar(CP_UTF8, 0, f[1], -1, NULL, 0);
  free(s.text);
  need = n * sizeof *items + units * sizeof(WCHAR);
  if (n && grows()) { // more have come meanwhile
    *size = need;
    return MORE_DATA;
  }
  if (*size < need) {
    *size = need;
    return MORE_DATA;
  }
  *size = need;
  *count = n;
  if (!n) return NOTHING;
  WCHAR *name = (WCHAR *)(items + n), *end = name + units;
  s = open_script();
  for (DWORD i = 0; i < n && next(&s, &word, &rest);) {
    if (strcmp(word, "item") != 0 || !fields(rest, f) || strcmp(f[0], c->path) != 0) continue;
    ULONGLONG time = strtoull(f[3], NULL, 0);
    items[i].szName = name;
    name += MultiByteToWideChar(CP_UTF8, 0, f[1], -1, name, end - name);
    items[i].RawValue = (PDH_RAW_COUNTER){strtoul(f[2], NULL, 0), {(DWORD)time, (DWORD)(time >> 32)},
                                          strtoll(f[4], NULL, 0), 77777, 1};
    i++;
  }
  free(s.text);
  return ERROR_SUCCESS;
}
