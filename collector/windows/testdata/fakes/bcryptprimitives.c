// bcryptprimitives.dll: Go's runtime wants ProcessPrng of it, which Wine 8.0 does not have.
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(BYTE *buffer, SIZE_T length) {
  return RtlGenRandom(buffer, (ULONG)length);
}
