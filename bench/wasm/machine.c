/* bench/wasm/machine.c - an interpreter inside the interpreter: a stack machine whose loop is a switch. */
#include <stdint.h>
#include <stdio.h>

enum { PUSH, DUP, OVER, SWAP, DROP, ADD, SUB, MUL, AND, XOR, SHR, JUMP, IFZERO, LOAD, STORE, STOP };

/* for (i = 400000; i; i--) { x = x * 1103515245 + 12345; sum ^= x >> 3; if (x & 64) sum += i; } */
static const int32_t program[] = {
    /*  0 */ PUSH,  400000, STORE,  0,
    /*  4 */ LOAD,  0,      IFZERO, 50,    LOAD, 1,      PUSH, 1103515245, MUL, PUSH, 12345, ADD, DUP, STORE, 1,
    /* 19 */ PUSH,  3,      SHR,    LOAD,  2,    XOR,    STORE, 2,
    /* 27 */ LOAD,  1,      PUSH,   64,    AND,  IFZERO, 41,   LOAD, 2,  LOAD, 0,    ADD, STORE, 2,
    /* 41 */ LOAD,  0,      PUSH,   1,     SUB,  STORE,  0,    JUMP, 4,
    /* 50 */ STOP,
};

static uint32_t run(void)
{
    uint32_t stack[16], variables[4] = { 0, 1, 0, 0 };
    uint32_t *top = stack;
    for (const int32_t *at = program;;) {
        switch (*at++) {
        case PUSH: *top++ = (uint32_t)*at++; break;
        case DUP: *top = top[-1], top++; break;
        case OVER: *top = top[-2], top++; break;
        case SWAP: { uint32_t kept = top[-1]; top[-1] = top[-2], top[-2] = kept; break; }
        case DROP: top--; break;
        case ADD: top--, top[-1] += *top; break;
        case SUB: top--, top[-1] -= *top; break;
        case MUL: top--, top[-1] *= *top; break;
        case AND: top--, top[-1] &= *top; break;
        case XOR: top--, top[-1] ^= *top; break;
        case SHR: top--, top[-1] >>= *top & 31; break;
        case JUMP: at = program + *at; break;
        case IFZERO: at = *--top ? at + 1 : program + *at; break;
        case LOAD: *top++ = variables[*at++ & 3]; break;
        case STORE: variables[*at++ & 3] = *--top; break;
        case STOP: return variables[2];
        }
    }
}

int main(void)
{
    uint32_t sum = 0;
    for (int i = 0; i < 3; i++) {
        sum += run();
    }
    printf("%u\n", sum);
    return 0;
}
