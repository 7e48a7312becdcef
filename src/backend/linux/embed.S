/* backend/linux/embed.S - the launcher's image and its digest, inside the library. The build passes BV_LAUNCHER_IMAGE, the
 * path of the stripped launcher, and makes launcher_digest.h from the same bytes: a backend hashes nothing.
 * The section is its own because the command has it at the address that the image is linked for (launcher/early.c). */
#include "launcher_digest.h"

    .section .bv_launcher, "a", @progbits
    .global linux_launcher_image
    .hidden linux_launcher_image
    .type linux_launcher_image, @object
    .balign 4096
linux_launcher_image:
    .incbin BV_LAUNCHER_IMAGE
    .size linux_launcher_image, . - linux_launcher_image

    .global linux_launcher_image_end
    .hidden linux_launcher_image_end
    .type linux_launcher_image_end, @object
linux_launcher_image_end:
    .byte 0
    .size linux_launcher_image_end, 1

    .section .rodata
    .global linux_launcher_digest
    .hidden linux_launcher_digest
    .type linux_launcher_digest, @object
linux_launcher_digest:
    .asciz BV_LAUNCHER_DIGEST
    .size linux_launcher_digest, . - linux_launcher_digest

    .section .note.GNU-stack, "", @progbits
