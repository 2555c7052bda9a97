/*
 * Internet addresses and the networks they lie in.
 *
 * IPv4 is four decimal numbers without leading zeros, IPv6 what RFC 4291 2.2
 * allows. An IPv4-mapped address (::ffff:10.0.0.1) is an IPv6 address and lies
 * in no IPv4 network. A zone (fe80::1%eth0) is no part of an address.
 *
 * Threads: any; nothing is shared.
 */
#ifndef FV_MODEL_NETWORK_H
#define FV_MODEL_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fv_address {
    uint8_t family;    /* 4 or 6 */
    uint8_t bytes[16]; /* in network order; of IPv4 the first 4, the others are 0 */
};

struct fv_network {
    struct fv_address address; /* the bits behind the prefix are 0 */
    uint8_t prefix;            /* 0 to 32 or 128 bits */
};

bool fv_address_parse(const char *text, size_t length, struct fv_address *ret);

/*
 * `10.0.0.0/8`, the prefix decimal without sign or leading zeros. An address
 * alone is the network of that one host; host bits may be set and are masked.
 */
bool fv_network_parse(const char *text, size_t length, struct fv_network *ret);

bool fv_network_contains(const struct fv_network *network, const struct fv_address *address);

#endif
