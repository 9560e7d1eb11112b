/*
 * The functions of Node-API (version 8, Node 18 and later; https://nodejs.org/api/n-api.html) that native-shims.c
 * calls, declared here so that a C compiler alone builds it: Node's own headers are not on every machine. Node-API is
 * ABI-stable, so one binary serves every later Node.
 */
#ifndef KUBE_IPVS_NODE_API_H
#define KUBE_IPVS_NODE_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct napi_env__ *napi_env;
typedef struct napi_value__ *napi_value;
typedef struct napi_callback_info__ *napi_callback_info;
typedef napi_value (*napi_callback)(napi_env env, napi_callback_info info);

typedef int napi_status;
enum { napi_ok = 0 };

typedef int napi_typedarray_type;
enum { napi_uint8_array = 1 };

#define NAPI_AUTO_LENGTH SIZE_MAX

napi_status napi_create_function(napi_env env, const char *name, size_t length, napi_callback callback, void *data,
                                 napi_value *result);
napi_status napi_set_named_property(napi_env env, napi_value object, const char *name, napi_value value);
napi_status napi_get_cb_info(napi_env env, napi_callback_info info, size_t *count, napi_value *values,
                             napi_value *self, void **data);
napi_status napi_get_value_int32(napi_env env, napi_value value, int32_t *result);
napi_status napi_create_int32(napi_env env, int32_t value, napi_value *result);
napi_status napi_create_uint32(napi_env env, uint32_t value, napi_value *result);
napi_status napi_create_string_utf8(napi_env env, const char *text, size_t length, napi_value *result);
napi_status napi_create_error(napi_env env, napi_value code, napi_value message, napi_value *result);
napi_status napi_throw(napi_env env, napi_value error);
napi_status napi_throw_type_error(napi_env env, const char *code, const char *message);
napi_status napi_get_typedarray_info(napi_env env, napi_value array, napi_typedarray_type *type, size_t *length,
                                     void **data, napi_value *buffer, size_t *offset);

#endif
