// wmishim.dll stands before Wine's wbemdisp.dll, as the class of WbemScripting.SWbemLocator. Wine refuses
// IDispatch::Invoke with DISPATCH_PROPERTYGET alone, with which github.com/go-ole/go-ole asks, and wants DISPATCH_METHOD
// beside it: the shim adds that and wraps whatever object comes back.
//
// FAKE_WMI in the environment makes a service that is broken: "hang" does not answer to ExecQuery as long as it is set, "garbage" gives each
// property a value of a type and a content that nobody expects, "refused" fails the connection. FAKE_WMI_ID is the device
// instance id that Wine's own adapter, of vendor 0000, is to have.
#include <initguid.h>
#include <windows.h>
#include <oleauto.h>
#include <stdlib.h>
#include <string.h>

DEFINE_GUID(CLSID_Locator, 0x76a64158, 0xcb41, 0x11d1, 0x8b, 0x02, 0x00, 0x60, 0x08, 0x06, 0xd9, 0xb6);

static BOOL is(const char *mode) {
  char set[16];
  DWORD n = GetEnvironmentVariableA("FAKE_WMI", set, sizeof set);
  return n > 0 && n < sizeof set && strcmp(set, mode) == 0;
}

static void wrap(VARIANT *v);

// An object of ours: the table of its interface comes first, as COM wants it.
typedef struct {
  const void *table;
  LONG refs;
  IUnknown *real;
} object;

static void *new_object(const void *table, void *real) {
  object *o = malloc(sizeof *o);
  *o = (object){table, 1, real};
  return o;
}

static ULONG STDMETHODCALLTYPE add_ref(void *self) { return InterlockedIncrement(&((object *)self)->refs); }

static ULONG STDMETHODCALLTYPE release(void *self) {
  object *o = self;
  ULONG left = InterlockedDecrement(&o->refs);
  if (left == 0) {
    if (o->real) o->real->lpVtbl->Release(o->real);
    free(o);
  }
  return left;
}

static HRESULT query(void *self, REFIID wanted, REFIID ours, void **out) {
  if (!IsEqualIID(wanted, &IID_IUnknown) && !IsEqualIID(wanted, ours)) {
    *out = NULL;
    return E_NOINTERFACE;
  }
  add_ref(self);
  *out = self;
  return S_OK;
}

// The enumerator.

static HRESULT STDMETHODCALLTYPE enum_query(IEnumVARIANT *self, REFIID id, void **out) {
  return query(self, id, &IID_IEnumVARIANT, out);
}

static HRESULT STDMETHODCALLTYPE enum_next(IEnumVARIANT *self, ULONG n, VARIANT *items, ULONG *got) {
  IEnumVARIANT *real = (IEnumVARIANT *)((object *)self)->real;
  ULONG count = 0;
  HRESULT result = real->lpVtbl->Next(real, n, items, &count);
  for (ULONG i = 0; i < count; i++) wrap(&items[i]);
  if (got) *got = count;
  return result;
}

static HRESULT STDMETHODCALLTYPE enum_skip(IEnumVARIANT *self, ULONG n) {
  IEnumVARIANT *real = (IEnumVARIANT *)((object *)self)->real;
  return real->lpVtbl->Skip(real, n);
}

static HRESULT STDMETHODCALLTYPE enum_reset(IEnumVARIANT *self) {
  IEnumVARIANT *real = (IEnumVARIANT *)((object *)self)->real;
  return real->lpVtbl->Reset(real);
}

static HRESULT STDMETHODCALLTYPE enum_clone(IEnumVARIANT *self, IEnumVARIANT **out) {
  *out = NULL;
  return E_NOTIMPL;
}

static const IEnumVARIANTVtbl enum_table = {
    enum_query, (ULONG(STDMETHODCALLTYPE *)(IEnumVARIANT *))add_ref, (ULONG(STDMETHODCALLTYPE *)(IEnumVARIANT *))release,
    enum_next,  enum_skip, enum_reset, enum_clone};

// IDispatch.

static HRESULT STDMETHODCALLTYPE dispatch_query(IDispatch *self, REFIID id, void **out) {
  return query(self, id, &IID_IDispatch, out);
}

static HRESULT STDMETHODCALLTYPE type_info_count(IDispatch *self, UINT *n) {
  *n = 0;
  return S_OK;
}

static HRESULT STDMETHODCALLTYPE type_info(IDispatch *self, UINT i, LCID locale, ITypeInfo **out) {
  *out = NULL;
  return DISP_E_BADINDEX;
}

static HRESULT STDMETHODCALLTYPE names(IDispatch *self, REFIID id, LPOLESTR *list, UINT n, LCID locale, DISPID *ids) {
  IDispatch *real = (IDispatch *)((object *)self)->real;
  HRESULT result = real->lpVtbl->GetIDsOfNames(real, id, list, n, locale, ids);
  if (SUCCEEDED(result) && is("refused") && lstrcmpiW(list[0], L"ConnectServer") == 0) return RPC_E_ACCESS_DENIED;
  while (is("hang") && lstrcmpiW(list[0], L"ExecQuery") == 0) Sleep(20);
  return result;
}

static HRESULT STDMETHODCALLTYPE invoke(IDispatch *self, DISPID member, REFIID id, LCID locale, WORD flags, DISPPARAMS *params,
                                        VARIANT *result, EXCEPINFO *exception, UINT *argument) {
  IDispatch *real = (IDispatch *)((object *)self)->real;
  if (flags == DISPATCH_PROPERTYGET) flags |= DISPATCH_METHOD;
  HRESULT outcome = real->lpVtbl->Invoke(real, member, id, locale, flags, params, result, exception, argument);
  if (FAILED(outcome) || !result) return outcome;
  if (is("garbage") && (result->vt == VT_BSTR || result->vt == VT_I4)) {
    BOOL text = result->vt == VT_BSTR;
    VariantClear(result);
    if (text) { // for a text a number, for a number half of a character
      result->vt = VT_I4;
      result->lVal = -1;
    } else {
      result->vt = VT_BSTR;
      result->bstrVal = SysAllocString(L"\xd800\x0007 not a number");
    }
  }
  WCHAR id_wanted[256];
  if (result->vt == VT_BSTR && result->bstrVal && wcsncmp(result->bstrVal, L"PCI\\VEN_0000", 12) == 0 &&
      GetEnvironmentVariableW(L"FAKE_WMI_ID", id_wanted, 256) - 1 < 255) {
    VariantClear(result);
    result->vt = VT_BSTR;
    result->bstrVal = SysAllocString(id_wanted);
  }
  wrap(result);
  return outcome;
}

static const IDispatchVtbl dispatch_table = {dispatch_query,
                                             (ULONG(STDMETHODCALLTYPE *)(IDispatch *))add_ref,
                                             (ULONG(STDMETHODCALLTYPE *)(IDispatch *))release,
                                             type_info_count,
                                             type_info,
                                             names,
                                             invoke};

// wrap puts an object of ours in place of that in v.
static void wrap(VARIANT *v) {
  if (v->vt == VT_DISPATCH && v->pdispVal) {
    v->pdispVal = new_object(&dispatch_table, v->pdispVal);
  } else if (v->vt == VT_UNKNOWN && v->punkVal) {
    IEnumVARIANT *list;
    if (FAILED(v->punkVal->lpVtbl->QueryInterface(v->punkVal, &IID_IEnumVARIANT, (void **)&list))) return;
    v->punkVal->lpVtbl->Release(v->punkVal);
    v->punkVal = new_object(&enum_table, list);
  }
}

// The class factory, by which COM gets a locator.

static HRESULT STDMETHODCALLTYPE factory_query(IClassFactory *self, REFIID id, void **out) {
  return query(self, id, &IID_IClassFactory, out);
}

static HRESULT STDMETHODCALLTYPE create(IClassFactory *self, IUnknown *outer, REFIID id, void **out) {
  IClassFactory *real = (IClassFactory *)((object *)self)->real;
  IDispatch *locator;
  *out = NULL;
  HRESULT result = real->lpVtbl->CreateInstance(real, outer, &IID_IDispatch, (void **)&locator);
  if (FAILED(result)) return result;
  IDispatch *ours = new_object(&dispatch_table, locator);
  result = ours->lpVtbl->QueryInterface(ours, id, out);
  ours->lpVtbl->Release(ours);
  return result;
}

static HRESULT STDMETHODCALLTYPE lock(IClassFactory *self, BOOL on) { return S_OK; }

static const IClassFactoryVtbl factory_table = {
    factory_query, (ULONG(STDMETHODCALLTYPE *)(IClassFactory *))add_ref, (ULONG(STDMETHODCALLTYPE *)(IClassFactory *))release,
    create, lock};

__declspec(dllexport) HRESULT WINAPI DllGetClassObject(REFCLSID class, REFIID id, void **out) {
  *out = NULL;
  HMODULE wine = LoadLibraryW(L"C:\\windows\\system32\\wbem\\wbemdisp.dll");
  if (!wine) return HRESULT_FROM_WIN32(GetLastError());
  HRESULT(WINAPI * get)(REFCLSID, REFIID, void **) = (void *)GetProcAddress(wine, "DllGetClassObject");
  if (!get) return E_FAIL;
  IClassFactory *real;
  HRESULT result = get(&CLSID_Locator, &IID_IClassFactory, (void **)&real);
  if (FAILED(result)) return result;
  IClassFactory *ours = new_object(&factory_table, real);
  result = ours->lpVtbl->QueryInterface(ours, id, out);
  ours->lpVtbl->Release(ours);
  return result;
}

__declspec(dllexport) HRESULT WINAPI DllCanUnloadNow(void) { return S_FALSE; }
