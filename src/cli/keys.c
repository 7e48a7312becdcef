/* cli/keys.c - key files: made with O_EXCL and mode 0600, refused when others may read them. */
#include "cli/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"

#define KEY_MAX_BYTES 4096

int cli_read_key(struct cli *cli, const struct cli_args *args, enum cli_option_id id, bool signs, struct bv_key **ret_key)
{
    const struct cli_setting *setting = cli_setting_of(args, id);
    *ret_key = NULL;
    if (setting == NULL) {
        return CLI_OK;
    }
    const char *path = setting->value;
    struct stat st;
    if (signs && strcmp(path, "-") != 0 && stat(path, &st) == 0 && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return cli_fail(cli, path, cli_pool_format(&cli->pool, "chmod 600 %s", path), "others may read or write this private key");
    }
    char *text = NULL;
    size_t size = 0;
    int result = cli_read_file(cli, path, KEY_MAX_BYTES, &text, &size);
    if (result != CLI_OK) {
        return result;
    }
    struct bv_error error = { 0 };
    enum bv_status status = bv_key_read(text, size, ret_key, &error);
    explicit_bzero(text, size);
    if (status != BV_OK) {
        return cli_tell_error(cli, path, NULL, &error);
    }
    if (signs && !bv_key_can_sign(*ret_key)) {
        bv_key_free(*ret_key);
        *ret_key = NULL;
        return cli_fail(cli, path, "give the private key", "a public key cannot sign");
    }
    return CLI_OK;
}

/* ---- bvisor key ---- */

static int make_key(struct cli *cli, const char *path)
{
    struct bv_key *key = NULL;
    char *text = NULL;
    struct bv_error error = { 0 };
    if (bv_key_new(&key, &error) != BV_OK || bv_key_pem(key, true, &text, &error) != BV_OK) {
        bv_key_free(key);
        return cli_tell_error(cli, "key", NULL, &error);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int failed = fd < 0 ? errno : cli_write_all(fd, text, strlen(text));
    if (fd >= 0 && failed == 0 && fsync(fd) != 0) {
        failed = errno;
    }
    if (fd >= 0 && close(fd) != 0 && failed == 0) {
        failed = errno;
    }
    explicit_bzero(text, strlen(text));
    bv_free(text);
    if (failed == 0) {
        (void)printf("%s\n", bv_key_id(key));
    } else if (fd >= 0) {
        (void)unlink(path); /* our own, half written */
    }
    bv_key_free(key);
    return failed == 0 ? CLI_OK
                       : cli_fail(cli, path, failed == EEXIST ? "a key is never overwritten: name another file" : NULL, "cannot be made: %s",
                                  strerror(failed));
}

static int print_public(struct cli *cli, const char *path)
{
    char *text = NULL, *pem = NULL;
    size_t size = 0;
    int result = cli_read_file(cli, path, KEY_MAX_BYTES, &text, &size);
    if (result != CLI_OK) {
        return result;
    }
    struct bv_key *key = NULL;
    struct bv_error error = { 0 };
    enum bv_status status = bv_key_read(text, size, &key, &error);
    explicit_bzero(text, size);
    if (status == BV_OK) {
        status = bv_key_pem(key, false, &pem, &error);
    }
    if (status == BV_OK) {
        (void)fputs(pem, stdout);
    }
    bv_free(pem);
    bv_key_free(key);
    return status == BV_OK ? CLI_OK : cli_tell_error(cli, path, NULL, &error);
}

int cli_cmd_key(struct cli *cli, const struct cli_args *args)
{
    const char *action = args->operand_count > 0 ? args->operands[0] : "";
    const bool new = strcmp(action, "new") == 0;
    if (args->operand_count != 2 || (!new && strcmp(action, "public") != 0)) {
        return cli_fail(cli, "key", "write bvisor key new FILE or bvisor key public FILE", "needs new or public, and a file");
    }
    int result = new ? make_key(cli, args->operands[1]) : print_public(cli, args->operands[1]);
    int flushed = cli_flush_stdout(cli);
    return flushed > result ? flushed : result;
}

/* ---- heads ---- */

int cli_put_head(struct cli *cli, const struct cli_args *args, struct bv_journal *journal)
{
    struct bv_key *key = NULL;
    struct bv_journal_head head;
    struct bv_error error = { 0 };
    char *text = NULL;
    int result = cli_read_key(cli, args, CLI_O_SIGN, true, &key);
    if (result == CLI_OK &&
        (bv_journal_head(journal, 0, &head, &error) != BV_OK || bv_head_json(&head, key, &text, &error) != BV_OK)) {
        result = cli_tell_error(cli, "journal", NULL, &error);
    }
    if (result == CLI_OK) {
        (void)puts(text);
    }
    bv_free(text);
    bv_key_free(key);
    return result;
}

int cli_check_head(struct cli *cli, const struct cli_args *args, struct bv_journal *journal, const char *path)
{
    struct bv_key *key = NULL;
    char *text = NULL;
    size_t size = 0;
    int result = cli_read_key(cli, args, CLI_O_KEY, false, &key);
    result = result == CLI_OK ? cli_read_file(cli, path, KEY_MAX_BYTES, &text, &size) : result;
    struct bv_journal_head told, there;
    struct bv_error error = { 0 };
    enum bv_status status = result == CLI_OK ? bv_head_read(text, size, key, &told, &error) : BV_OK;
    bv_key_free(key);
    if (result != CLI_OK || status == BV_E_INVALID || status == BV_E_NOMEM) {
        return result != CLI_OK ? result : cli_tell_error(cli, path, NULL, &error);
    }
    if (status == BV_OK) {
        status = bv_journal_head(journal, told.seq, &there, &error);
    }
    if (status == BV_OK && strcmp(there.hash, told.hash) != 0) {
        cli_note("%s: event %llu of the journal is not the one that this head names", path, (unsigned long long)told.seq);
        return CLI_MISMATCH;
    }
    if (status != BV_OK) {
        cli_note("%s: %s%s%s", path, error.place, error.place[0] == '\0' ? "" : ": ", error.text);
    }
    return status == BV_OK ? CLI_OK : CLI_MISMATCH;
}

int cli_put_dsse(struct cli *cli, const struct cli_args *args, const char *path, const char *text, size_t size)
{
    struct bv_key *key = NULL;
    int result = cli_read_key(cli, args, CLI_O_SIGN, true, &key);
    if (result == CLI_OK && key == NULL) {
        return cli_fail(cli, "--dsse", "give the key with --sign KEYFILE", "an attestation is signed");
    }
    if (result != CLI_OK) {
        return result;
    }
    struct bv_error error = { 0 };
    char *envelope = NULL;
    enum bv_status status = bv_report_dsse(text, size, key, &envelope, &error);
    bv_key_free(key);
    if (status == BV_OK) {
        (void)puts(envelope);
    } else if (status == BV_E_CORRUPT) {
        cli_note("%s: %s", path, error.text);
        result = CLI_MISMATCH;
    } else {
        result = cli_tell_error(cli, path, NULL, &error);
    }
    bv_free(envelope);
    return result;
}
