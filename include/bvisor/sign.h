/* bvisor/sign.h - Ed25519 signatures over reports and journal heads, and reports as attestations that other tools verify.
 *
 * Keys are PEM files that openssl reads: PKCS#8 (RFC 8410) private, SubjectPublicKeyInfo public. A signature says who made a document; the seal
 * alone says only that nobody changed it by mistake. */
#ifndef BVISOR_SIGN_H
#define BVISOR_SIGN_H

#include <bvisor/host.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bv_key; /* in locked memory where the system allows it; wiped when freed */

/* A fresh private key. BV_E_NOMEM, BV_E_FAULT: the random generator does not work. */
BV_API BV_MUST_CHECK enum bv_status bv_key_new(struct bv_key **ret_key, struct bv_error *error);
/* Reads one PEM block, private or public. BV_E_INVALID: no Ed25519 key of these two forms. BV_E_NOMEM. */
BV_API BV_MUST_CHECK enum bv_status bv_key_read(const char *text, size_t size, struct bv_key **ret_key, struct bv_error *error);
/* The key, or its public half, as PEM; freed with bv_free(), a private one best wiped before. BV_E_INVALID: no private half is there. BV_E_NOMEM. */
BV_API BV_MUST_CHECK enum bv_status bv_key_pem(const struct bv_key *key, bool private_half, char **ret_text, struct bv_error *error);
/* "sha256:..." of the DER SubjectPublicKeyInfo; lives as long as the key. */
BV_API const char *bv_key_id(const struct bv_key *key);
BV_API bool bv_key_can_sign(const struct bv_key *key);
BV_API void bv_key_free(struct bv_key *key);

/* Signs a report: its document then has the member `signature` over "bvisor.report/1\n" and the body_hash. BV_E_INVALID: the key is public. */
BV_API BV_MUST_CHECK enum bv_status bv_report_sign(struct bv_report *report, const struct bv_key *key, struct bv_error *error);
/* Seal and signature of a report document. BV_E_CORRUPT: the seal does not match, there is no signature, or it is not of this key. Else as
 * bv_report_verify(). */
BV_API BV_MUST_CHECK enum bv_status bv_report_verify_signed(const char *text, size_t size, const struct bv_key *key, struct bv_error *error);
/* A report as an in-toto Statement v1 in a DSSE envelope that this key signs; freed with bv_free(). The seal is checked first. */
BV_API BV_MUST_CHECK enum bv_status bv_report_dsse(const char *text, size_t size, const struct bv_key *key, char **ret_text, struct bv_error *error);

/* A journal's head as a "bvisor.head/1" document {schema, seq, hash, signature}; key NULL: without signature. Freed with bv_free(). */
BV_API BV_MUST_CHECK enum bv_status bv_head_json(const struct bv_journal_head *head, const struct bv_key *key, char **ret_text, struct bv_error *error);
/* Reads such a document; key not NULL: it must be signed by it. BV_E_INVALID: no head; BV_E_CORRUPT: not of this key. */
BV_API BV_MUST_CHECK enum bv_status bv_head_read(const char *text, size_t size, const struct bv_key *key, struct bv_journal_head *ret_head,
                                                 struct bv_error *error);

#ifdef __cplusplus
}
#endif
#endif
