/* fuzz/check.h - the assertion of fuzz targets: ends the process in a way that libFuzzer and a test runner both see. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#define FUZZ_CHECK(condition)                                                                      \
    ((condition)                                                                                   \
         ? (void)0                                                                                 \
         : ((void)fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition),   \
            abort()))
