/* The low-level MD5 is deprecated, and the fastest there is: no EVP call, no allocation. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "bare.h"

#include <openssl/md5.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

struct bare_slot {
    uint64_t hash;
    const void *entry; /* a struct bare_flag, or a text; NULL: free */
};

/* ------------------------------------------------------------------------
 * Hashes
 */

static inline uint64_t load64(const void *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof word);
    return word;
}

static inline uint32_t load32(const void *bytes)
{
    uint32_t word;

    memcpy(&word, bytes, sizeof word);
    return word;
}

static inline uint64_t mix(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* A wide multiplication per 16 bytes, overlapping loads at the end, as in Wang Yi's wyhash. */
static inline uint64_t hash(const char *text, size_t length)
{
    uint64_t state = UINT64_C(0x9e3779b97f4a7c15) + length * UINT64_C(0x3c6ef372fe94f82b);
    uint64_t a = 0, b = 0;
    size_t left = length;

    for (; left > 16; left -= 16, text += 16)
        state = mix(load64(text) ^ state, load64(text + 8) ^ UINT64_C(0xbb67ae8584caa73b));
    if (left >= 8) {
        a = load64(text);
        b = load64(text + left - 8);
    } else if (left >= 4) {
        a = load32(text);
        b = load32(text + left - 4);
    } else if (left > 0) {
        a = (uint64_t)(unsigned char)text[0] << 16 | (uint64_t)(unsigned char)text[left / 2] << 8 |
            (unsigned char)text[left - 1];
    }
    return mix(a ^ state, b ^ UINT64_C(0xbb67ae8584caa73b));
}

static inline uint32_t rotate(uint32_t word, int bits)
{
    return word << bits | word >> (32 - bits);
}

/* MurmurHash3_x86_32 by Austin Appleby (public domain), seed 0. */
static inline uint32_t murmur3(const char *bytes, size_t length)
{
    const unsigned char *at = (const unsigned char *)bytes;
    uint32_t state = 0, word = 0;
    size_t left;

    for (left = length; left >= 4; left -= 4, at += 4) {
        state ^= rotate(load32(at) * 0xcc9e2d51u, 15) * 0x1b873593u;
        state = rotate(state, 13) * 5 + 0xe6546b64u;
    }
    if (left > 2)
        word |= (uint32_t)at[2] << 16;
    if (left > 1)
        word |= (uint32_t)at[1] << 8;
    if (left > 0)
        state ^= rotate((word | at[0]) * 0xcc9e2d51u, 15) * 0x1b873593u;

    state ^= (uint32_t)length;
    state = (state ^ state >> 16) * 0x85ebca6bu;
    state = (state ^ state >> 13) * 0xc2b2ae35u;
    return state ^ state >> 16;
}

/* ------------------------------------------------------------------------
 * Tables
 */

static struct bare_slot *make_slots(size_t count, uint64_t *ret_mask)
{
    size_t size = 16;

    while (size < count * 2)
        size *= 2;
    *ret_mask = size - 1;
    return bench_allocate(size, sizeof(struct bare_slot));
}

static void put(struct bare_slot *slots, uint64_t mask, uint64_t key_hash, const void *entry)
{
    uint64_t at = key_hash & mask;

    while (slots[at].entry)
        at = (at + 1) & mask;
    slots[at].hash = key_hash;
    slots[at].entry = entry;
}

void bare_table_init(struct bare_table *table, struct bare_flag *flags, size_t count)
{
    size_t i;

    table->flags = flags;
    table->count = count;
    table->slots = make_slots(count, &table->mask);
    for (i = 0; i < count; i++)
        put(table->slots, table->mask, hash(flags[i].key, flags[i].length), &flags[i]);
}

void bare_table_clear(struct bare_table *table)
{
    free(table->slots);
}

void bare_set_init(struct bare_set *set, const char *const *texts, size_t count)
{
    size_t i, length, total = 0;
    char *next;

    for (i = 0; i < count; i++)
        total += strlen(texts[i]) + 1;
    set->slots = make_slots(count, &set->mask);
    set->texts = next = bench_allocate(total, 1);

    for (i = 0; i < count; i++) {
        length = strlen(texts[i]);
        memcpy(next, texts[i], length + 1);
        put(set->slots, set->mask, hash(next, length), next);
        next += length + 1;
    }
}

void bare_set_clear(struct bare_set *set)
{
    free(set->slots);
    free(set->texts);
}

/* Every key that is asked for is there; NULL would be a mistake of the benchmark. */
static inline const struct bare_flag *find(const struct bare_table *table, const char *key)
{
    const size_t length = strlen(key);
    const uint64_t key_hash = hash(key, length);
    const struct bare_flag *flag;
    uint64_t at;

    for (at = key_hash & table->mask; table->slots[at].entry; at = (at + 1) & table->mask) {
        flag = table->slots[at].entry;
        if (table->slots[at].hash == key_hash && flag->length == length &&
            memcmp(flag->key, key, length) == 0)
            return flag;
    }
    return NULL;
}

static inline bool contains(const struct bare_set *set, const char *text, size_t length)
{
    const uint64_t text_hash = hash(text, length);
    uint64_t at;

    for (at = text_hash & set->mask; set->slots[at].entry; at = (at + 1) & set->mask) {
        if (set->slots[at].hash == text_hash && strcmp(set->slots[at].entry, text) == 0)
            return true;
    }
    return false;
}

/* ------------------------------------------------------------------------
 * The least work of each kind
 */

/* 0 to 99999, of "key:user"; the ':' stands behind the flag's key already. */
static inline uint32_t bucket(const struct bare_flag *flag, const struct bare_user *user)
{
    const size_t prefix = flag->length + 1;
    char text[256];

    if (prefix + user->length > sizeof text)
        return 0;
    memcpy(text, flag->key, prefix);
    memcpy(text + prefix, user->key, user->length);
    return (uint32_t)((uint64_t)murmur3(text, prefix + user->length) * 100000 >> 32);
}

/* The digest as one big-endian number; 2^64 leaves 16 when divided by 100. */
static inline uint32_t md5_bucket(const struct bare_user *user)
{
    unsigned char digest[MD5_DIGEST_LENGTH];
    uint64_t high, low;
    MD5_CTX context;

    MD5_Init(&context);
    MD5_Update(&context, user->key, user->length);
    MD5_Final(digest, &context);

    high = load64(digest);
    low = load64(digest + 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    high = __builtin_bswap64(high);
    low = __builtin_bswap64(low);
#endif
    return (uint32_t)((high % 100 * 16 + low % 100) % 100);
}

static inline const char *split(const struct bare_flag *flag, const struct bare_user *user)
{
    const uint32_t at = bucket(flag, user);
    size_t i = 0;

    while (at >= flag->bounds[i])
        i++;
    return flag->values[i];
}

static inline const struct bare_attribute *attribute(const struct bare_user *user, const char *name,
                                                     size_t length)
{
    const struct bare_attribute *at;

    for (at = user->attributes; at < user->attributes + BARE_ATTRIBUTES; at++) {
        if (at->name_length == length && memcmp(at->name, name, length) == 0)
            return at;
    }
    return NULL;
}

/* Is "major.minor.patch" this version or a later one? */
static inline bool at_least(const char *text, const uint32_t version[3])
{
    uint32_t number;
    int i;

    for (i = 0; i < 3; i++) {
        for (number = 0; *text >= '0' && *text <= '9'; text++)
            number = number * 10 + (uint32_t)(*text - '0');
        if (number != version[i])
            return number > version[i];
        if (*text == '.')
            text++;
    }
    return true;
}

static inline bool rule(const struct bare_flag *flag, const struct bare_user *user)
{
    const struct bare_attribute *country = attribute(user, "country", 7);
    const struct bare_attribute *version;

    if (!country || !contains(flag->list, country->value, country->length))
        return false;
    version = attribute(user, "app_version", 11);
    if (!version || !at_least(version->value, flag->version))
        return false;
    return bucket(flag, user) < flag->threshold;
}

static inline struct bare_value answer(const struct bare_flag *flag, const struct bare_user *user)
{
    struct bare_value value = { false, NULL };

    switch (flag->kind) {
    case BARE_STATIC:
        value.boolean = flag->on;
        break;
    case BARE_BETA:
        value.boolean = contains(flag->list, user->key, user->length);
        break;
    case BARE_PERCENTAGE:
        value.boolean = bucket(flag, user) < flag->threshold;
        break;
    case BARE_MD5:
        value.boolean = md5_bucket(user) * 1000 < flag->threshold;
        break;
    case BARE_SPLIT:
        value.text = split(flag, user);
        break;
    case BARE_RULE:
        value.boolean = rule(flag, user);
        break;
    }
    return value;
}

/* ------------------------------------------------------------------------
 * What is measured. The loops are in another file, so nothing is inlined or
 * hoisted there.
 */

bool bare_static(const struct bare_table *table, const char *key)
{
    const struct bare_flag *flag = find(table, key);

    return flag && flag->on;
}

bool bare_beta(const struct bare_table *table, const char *key, const struct bare_user *user)
{
    const struct bare_flag *flag = find(table, key);

    return flag && contains(flag->list, user->key, user->length);
}

bool bare_percentage(const struct bare_table *table, const char *key, const struct bare_user *user)
{
    const struct bare_flag *flag = find(table, key);

    return flag && bucket(flag, user) < flag->threshold;
}

bool bare_md5(const struct bare_table *table, const char *key, const struct bare_user *user)
{
    const struct bare_flag *flag = find(table, key);

    return flag && md5_bucket(user) * 1000 < flag->threshold;
}

const char *bare_split(const struct bare_table *table, const char *key,
                       const struct bare_user *user)
{
    const struct bare_flag *flag = find(table, key);

    return flag ? split(flag, user) : NULL;
}

bool bare_rule(const struct bare_table *table, const char *key, const struct bare_user *user)
{
    const struct bare_flag *flag = find(table, key);

    return flag && rule(flag, user);
}

uint64_t bare_any(const struct bare_table *table, const char *key, const struct bare_user *user)
{
    const struct bare_flag *flag = find(table, key);
    struct bare_value value;

    if (!flag)
        return 0;
    value = answer(flag, user);
    return value.text ? (uint64_t)(uintptr_t)value.text : value.boolean;
}

void bare_all(const struct bare_table *table, const struct bare_user *user, bare_visit *visit,
              void *data)
{
    struct bare_value value;
    size_t i;

    for (i = 0; i < table->count; i++) {
        value = answer(&table->flags[i], user);
        if (!visit(data, &table->flags[i], &value))
            return;
    }
}
