#pragma once

/* The provider: the bank's side of a payment, behind one adapter chosen by PROVIDER. Every call
 * carries a key of ours; a repeat with the same key has the effect and the answer of the first, so
 * a call whose outcome is not known may be made again.
 *
 * 0 done; positive: the bank said no; negative: not known whether it was done (ask again or look
 * up). No call may be made inside of a transaction (asserted). Texts live in the fiber's arena. */

#include "common/base/money.h"
#include "common/fiber/fiber.h"

enum provider_outcome {
    PROVIDER_REFUSED = 1, /* for good; `reason` says why */
    PROVIDER_ABSENT = 2,  /* lookup: the key never arrived */
};

struct provider_charge {
    const char *reference; /* the bank's name of the charge */
    const char *reason;    /* of a refusal: do_not_honor, card_expired, … */
    bool voided;
};

struct provider_capture {
    const char *key, *reference;
    struct money amount;
    int r; /* as any call's */
    struct provider_charge answer;
};

struct provider {
    const char *name;
    int (*start)(void);
    int (*validate)(const char *token, struct provider_charge *ret_answer);
    int (*authorize)(const char *key, const char *token, const struct money *amount,
        struct provider_charge *ret_charge);
    void (*capture)(struct provider_capture *captures, size_t count);
    int (*void_charge)(const char *key, const char *charge_key, struct provider_charge *ret_answer);
    int (*refund)(const char *key, const char *reference, const struct money *amount,
        struct provider_charge *ret_answer);
    int (*lookup)(const char *charge_key, struct provider_charge *ret_charge);
};
extern const struct provider sandbox_provider;

int provider_start(void);
const char *provider_name(void);

/* Whether the bank would take this token at all. */
int provider_validate(const char *token, struct provider_charge *ret_answer) PARKS;
/* Reserves the amount. */
int provider_authorize(const char *key, const char *token, const struct money *amount,
    struct provider_charge *ret_charge) PARKS;
/* Takes each amount, at most what was authorized; what is left is set free. Fills r and answer of
 * each. */
void provider_capture(struct provider_capture *captures, size_t count) PARKS;
/* Gives up the charge that was or will be asked for with `charge_key`: when it never arrived, it
 * can't any more. Refused once it is captured. */
int provider_void(const char *key, const char *charge_key, struct provider_charge *ret_answer)
    PARKS;
int provider_refund(const char *key, const char *reference, const struct money *amount,
    struct provider_charge *ret_answer) PARKS;
/* What became of an authorization: 0 authorized (or voided), refused or absent. */
int provider_lookup(const char *charge_key, struct provider_charge *ret_charge) PARKS;
