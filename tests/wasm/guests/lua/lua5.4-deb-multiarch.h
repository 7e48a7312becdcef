/* lua5.4-deb-multiarch.h - Debian's build makes this; it is only part of a path where modules in C are looked for. */
#define DEB_HOST_MULTIARCH "none"
