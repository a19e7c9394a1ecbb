// What the fakes of Windows' DLLs have in common. A test feeds one with lines of text, which say what it answers; the
// layouts are the fake's own, from the headers of Windows, so that a wrong one in the program shows. It counts the handles
// that are out, and the calls that no sound program makes. Lines that every fake knows:
//
//   hang FUNCTION           the function comes back when the test says Release
//   status FUNCTION CODE    the function does nothing and returns the code (C notation)
//   crash FUNCTION          the function ends the process, as a fault in a driver's DLL does
//   grow                    the first answer to a question "how much is there" is too small
//
// In a program that knows nothing of fakes, the feed is the file that FAKE_FEED in its environment names, or else the one
// beside the DLL whose name has .feed after the DLL's.
#include <windows.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __declspec(dllexport)
#define SIZE(type, size) _Static_assert(sizeof(type) == (size), #type)
#define AT(type, field, offset) _Static_assert(offsetof(type, field) == (offset), #type "." #field)

static SRWLOCK lock = SRWLOCK_INIT;
static char *feed;          // guarded by lock
static HANDLE released;     // an event
static LONG handles, wrong; // handles that are out; calls that are wrong
static LONG grown;          // "grow" was followed

static HINSTANCE self;

// read_feed takes the feed from its file, where there is one.
static void read_feed(void) {
  char beside[MAX_PATH + 8] = "";
  const char *path = getenv("FAKE_FEED");
  if (!path && GetModuleFileNameA(self, beside, MAX_PATH)) path = strcat(beside, ".feed");
  FILE *file = path ? fopen(path, "rb") : NULL;
  if (!file) return;
  const size_t most = 1 << 20;
  char *text = malloc(most + 1);
  text[fread(text, 1, most, file)] = 0;
  fclose(file);
  AcquireSRWLockExclusive(&lock);
  free(feed);
  feed = text;
  ReleaseSRWLockExclusive(&lock);
}

BOOL WINAPI DllMain(HINSTANCE dll, DWORD reason, void *reserved) {
  if (reason != DLL_PROCESS_ATTACH) return TRUE;
  self = dll;
  released = CreateEventW(NULL, TRUE, FALSE, NULL);
  read_feed();
  return TRUE;
}

EXPORT void Feed(const char *text) {
  AcquireSRWLockExclusive(&lock);
  free(feed);
  feed = _strdup(text);
  grown = 0;
  ReleaseSRWLockExclusive(&lock);
  ResetEvent(released);
}

EXPORT void Release(void) { SetEvent(released); }
EXPORT LONG Handles(void) { return handles; }
EXPORT LONG Wrong(void) { return InterlockedExchange(&wrong, 0); }

static inline void is_wrong(const char *why) {
  fprintf(stderr, "fake: %s\n", why);
  InterlockedIncrement(&wrong);
}

// script is a copy of the feed that is read line by line; the caller frees it.
typedef struct {
  char *text, *rest;
} script;

static inline script open_script(void) {
  AcquireSRWLockShared(&lock);
  char *copy = _strdup(feed ? feed : "");
  ReleaseSRWLockShared(&lock);
  return (script){copy, copy};
}

// next cuts the next line into its first word and what follows it.
static inline BOOL next(script *s, char **word, char **rest) {
  if (!s->rest || !*s->rest) return FALSE;
  char *end = strchr(s->rest, '\n');
  *word = s->rest;
  s->rest = end ? end + 1 : NULL;
  if (end) *end = 0;
  char *blank = strchr(*word, ' ');
  if (blank) *blank = 0;
  *rest = blank ? blank + 1 : *word + strlen(*word);
  return TRUE;
}

static inline BOOL says(const char *wanted) {
  script s = open_script();
  char *word, *rest;
  BOOL found = FALSE;
  while (!found && next(&s, &word, &rest)) found = strcmp(word, wanted) == 0;
  free(s.text);
  return found;
}

// grows says, once a feed, that an answer is to be too small.
static inline BOOL grows(void) { return says("grow") && InterlockedExchange(&grown, 1) == 0; }

// ordered follows what the feed says of a function; TRUE: code is to be returned at once.
static inline BOOL ordered(const char *function, DWORD *code) {
  script s = open_script();
  char *word, *rest, name[64];
  BOOL hang = FALSE, found = FALSE, crash = FALSE;
  while (next(&s, &word, &rest)) {
    if (strcmp(word, "hang") == 0 && strcmp(rest, function) == 0) hang = TRUE;
    if (strcmp(word, "crash") == 0 && strcmp(rest, function) == 0) crash = TRUE;
    int n = 0;
    if (strcmp(word, "status") == 0 && sscanf(rest, "%63s %n", name, &n) == 1 && strcmp(name, function) == 0) {
      *code = strtoul(rest + n, NULL, 0);
      found = TRUE;
    }
  }
  free(s.text);
  if (hang) WaitForSingleObject(released, INFINITE);
  if (crash) *(volatile int *)0 = 0;
  return found;
}

static inline void wide(const char *text, WCHAR *to, int units) {
  if (!MultiByteToWideChar(CP_UTF8, 0, text, -1, to, units)) to[0] = 0;
}
