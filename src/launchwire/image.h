/* launchwire/image.h - the launcher's image inside the library, and the launcher that a program started from it before its own start-up.
 *
 * The image (backend/linux/embed.S) is executed from a sealed memory file by any host. A program that is linked with
 * launcher/early.c as its entry point, with the section .bv_launcher at the address that the image is linked for, forks
 * instead at its first instruction and lets the child run the image in place: LINUX.md 3. */
#pragma once

#include <stdint.h>

extern const unsigned char linux_launcher_image[];
extern const unsigned char linux_launcher_image_end[];
extern const char linux_launcher_digest[];

/* What early.c leaves for backend/linux/ready.c: the supervisor's ends of a launcher that makes namespaces with a network namespace among
 * them. All zero: there is none, or it has been taken over. Descriptors are above 2 and close on exec. */
struct bv_early {
    int32_t pid, launcher_fd; /* the launcher's pid and pidfd */
    int32_t control_fd;
    int32_t mounts_fd; /* mountinfo, opened before the launcher was made */
};

extern struct bv_early bv_early;
