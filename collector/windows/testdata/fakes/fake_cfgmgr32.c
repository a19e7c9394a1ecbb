// The functions of cfgmgr32.dll that tell of devices. Lines of its feed, in C notation, - for what is not told:
//
//   device ID<tab>BUS<tab>ADDRESS<tab>POWER_STATE
#include "fake.h"

typedef DWORD CONFIGRET;
#define CR_SUCCESS 0x00
#define CR_INVALID_POINTER 0x03
#define CR_INVALID_FLAG 0x04
#define CR_NO_SUCH_DEVNODE 0x0D
#define CR_BUFFER_SMALL 0x1A
#define CR_NO_SUCH_VALUE 0x25
#define FILTER_ENUMERATOR 0x001
#define FILTER_PRESENT 0x100

typedef struct {
  GUID fmtid;
  ULONG pid;
} DEVPROPKEY;
SIZE(DEVPROPKEY, 20);

SIZE(CM_POWER_DATA, 56);

static const GUID device_keys = {0xa45c254e, 0xdf1c, 0x4efd, {0x80, 0x20, 0x67, 0xd1, 0x46, 0xa8, 0x50, 0xe0}};

// device reads the n-th device of the feed, from 1 on.
static BOOL device(ULONG n, char *f[4], script *s) {
  char *word, *rest;
  *s = open_script();
  while (n && next(s, &word, &rest)) {
    if (strcmp(word, "device") != 0 || --n) continue;
    for (int i = 0; i < 4; i++) {
      f[i] = rest;
      char *tab = strchr(rest, '\t');
      if (tab) *tab++ = 0;
      rest = tab ? tab : rest + strlen(rest);
    }
    return TRUE;
  }
  free(s->text);
  return FALSE;
}

static BOOL filtered(const WCHAR *filter, ULONG flags) {
  if (flags == (FILTER_ENUMERATOR | FILTER_PRESENT) && filter && wcscmp(filter, L"PCI") == 0) return TRUE;
  is_wrong("a list of other devices than those present on PCI");
  return FALSE;
}

static ULONG list(WCHAR *to, ULONG units) {
  ULONG need = 0;
  char *f[4];
  script s;
  for (ULONG n = 1; device(n, f, &s); n++) {
    if (strncmp(f[0], "PCI\\", 4) == 0) {
      ULONG length = MultiByteToWideChar(CP_UTF8, 0, f[0], -1, NULL, 0);
      if (to && need + length < units) wide(f[0], to + need, length);
      need += length;
    }
    free(s.text);
  }
  if (to && need < units) to[need] = 0;
  return need + 1;
}

EXPORT CONFIGRET WINAPI CM_Get_Device_ID_List_SizeW(ULONG *length, const WCHAR *filter, ULONG flags) {
  DWORD code;
  if (ordered("CM_Get_Device_ID_List_SizeW", &code)) return code;
  if (!filtered(filter, flags)) return CR_INVALID_FLAG;
  *length = list(NULL, 0);
  if (grows()) *length /= 2;
  return CR_SUCCESS;
}

EXPORT CONFIGRET WINAPI CM_Get_Device_ID_ListW(const WCHAR *filter, WCHAR *to, ULONG units, ULONG flags) {
  DWORD code;
  if (ordered("CM_Get_Device_ID_ListW", &code)) return code;
  if (!filtered(filter, flags)) return CR_INVALID_FLAG;
  return list(to, units) > units ? CR_BUFFER_SMALL : CR_SUCCESS;
}

EXPORT CONFIGRET WINAPI CM_Locate_DevNodeW(DWORD *node, const WCHAR *id, ULONG flags) {
  DWORD code;
  char *f[4];
  script s;
  if (ordered("CM_Locate_DevNodeW", &code)) return code;
  if (flags) is_wrong("devices that are not there");
  for (ULONG n = 1; device(n, f, &s); n++) {
    WCHAR name[512];
    wide(f[0], name, 512);
    free(s.text);
    if (_wcsicmp(name, id) != 0) continue;
    *node = n;
    return CR_SUCCESS;
  }
  return CR_NO_SUCH_DEVNODE;
}

EXPORT CONFIGRET WINAPI CM_Get_DevNode_PropertyW(DWORD node, const DEVPROPKEY *key, ULONG *type, BYTE *buffer, ULONG *size, ULONG flags) {
  DWORD code;
  char *f[4];
  script s;
  if (ordered("CM_Get_DevNode_PropertyW", &code)) return code;
  if (memcmp(&key->fmtid, &device_keys, sizeof(GUID)) != 0 || !device(node, f, &s)) return CR_NO_SUCH_VALUE;
  char *text = key->pid == 23 ? f[1] : key->pid == 30 ? f[2] : key->pid == 32 ? f[3] : "-";
  BOOL told = *text && *text != '-';
  ULONG value = told ? strtoul(text, NULL, 0) : 0;
  free(s.text);
  if (!told) return CR_NO_SUCH_VALUE;
  CM_POWER_DATA power = {sizeof power, value};
  void *data = key->pid == 32 ? (void *)&power : (void *)&value;
  ULONG length = key->pid == 32 ? sizeof power : sizeof value, room = *size;
  *type = key->pid == 32 ? 0x1003 : 7; // DEVPROP_TYPE_BINARY, DEVPROP_TYPE_UINT32
  *size = length;
  if (room < length) return CR_BUFFER_SMALL;
  memcpy(buffer, data, length);
  return CR_SUCCESS;
}
