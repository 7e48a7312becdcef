/* support/keep.h - a copy of every document that a test's library hands out; see keep.c. */
#pragma once

#include <bvisor/bvisor.h>

/* Writes text into a new file of the directory BV_TEST_DOCUMENTS; without that, does nothing. */
void bv_keep_document(const char *text);

/* Defines the wrapper of one function that writes a document. */
#define KEPT(function, type)                                                                       \
    enum bv_status __real_##function(type object, char **ret_text, struct bv_error *error);        \
    enum bv_status __wrap_##function(type object, char **ret_text, struct bv_error *error);        \
    enum bv_status __wrap_##function(type object, char **ret_text, struct bv_error *error)         \
    {                                                                                              \
        enum bv_status status = __real_##function(object, ret_text, error);                        \
        if (status == BV_OK) {                                                                     \
            bv_keep_document(*ret_text);                                                                       \
        }                                                                                          \
        return status;                                                                             \
    }
