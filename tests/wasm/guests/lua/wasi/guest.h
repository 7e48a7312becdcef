/* guest.h - included before each file of Lua as a guest: what it asks of a C library that WASI has no word for. */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#define LUAI_THROW(L, c)  (fprintf(stderr, "error %d\n", (c)->status), exit(70))
#define LUAI_TRY(L, c, a) { a }
#define luai_jmpbuf       int
#define system(command)   ((void)(command), -1)
#define L_tmpnam          20
#define tmpnam(name)      ((void)(name), (char *)0)
#define tmpfile()         ((FILE *)0)
