/* fuzz/replay_main.c - replays the inputs of a directory through a fuzz target, as an ordinary test.
 *
 *     replay_spec fuzz/corpus/spec
 *
 * Every file is given to LLVMFuzzerTestOneInput() in order of its name, in a block of exactly its size, so that a
 * sanitizer sees a read past the end; then once more with each half, which costs nothing and reaches the torn cases. A
 * finding ends the process as it would end the fuzzer. Exits 1 when there was nothing to replay. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX_BYTES ((size_t)16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Noreturn void give_up(const char *what, const char *name)
{
    (void)fprintf(stderr, "replay: %s: %s\n", what, name);
    exit(1);
}

static void give(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) {
        give_up("out of memory", "input");
    }
    memcpy(copy, bytes, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void replay(const char *directory, const char *name)
{
    char path[4096];
    int length = snprintf(path, sizeof(path), "%s/%s", directory, name);
    if (length < 0 || (size_t)length >= sizeof(path)) {
        give_up("name too long", name);
    }
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = malloc(INPUT_MAX_BYTES);
    if (!file || !bytes) {
        give_up("cannot read", path);
    }
    size_t size = fread(bytes, 1, INPUT_MAX_BYTES, file);
    if (ferror(file) || !feof(file)) {
        give_up("cannot read whole", path);
    }
    (void)fclose(file);
    (void)fprintf(stderr, "%s\n", path); /* the last name printed is the finding's */
    give(bytes, size);
    give(bytes, size / 2);
    give(bytes + size / 2, size - size / 2);
    free(bytes);
}

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int main(int count, char **arguments)
{
    if (count != 2) {
        give_up("usage", "replay DIRECTORY");
    }
    struct dirent **entries = NULL;
    int found = scandir(arguments[1], &entries, is_input, alphasort);
    if (found <= 0) {
        give_up("no inputs in", arguments[1]);
    }
    for (int i = 0; i < found; i++) {
        replay(arguments[1], entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    printf("%d inputs\n", found);
    return 0;
}
