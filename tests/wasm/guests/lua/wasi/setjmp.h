/* setjmp.h - for Lua as a guest: WebAssembly has no jump out of a function, so an error that Lua raises ends it (guest.h). */
#pragma once
typedef int jmp_buf;
