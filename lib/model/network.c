#include "model/network.h"

#include <arpa/inet.h>
#include <string.h>

bool fv_address_parse(const char *text, size_t length, struct fv_address *ret)
{
    struct fv_address address = { 0 };
    char copy[INET6_ADDRSTRLEN];
    bool six;

    /* A NUL would end the copy early, with the start of the text for an address. */
    if (length == 0 || length >= sizeof copy || memchr(text, 0, length))
        return false;
    memcpy(copy, text, length);
    copy[length] = 0;

    six = memchr(text, ':', length) != NULL;
    address.family = six ? 6 : 4;
    if (inet_pton(six ? AF_INET6 : AF_INET, copy, address.bytes) != 1)
        return false;
    *ret = address;
    return true;
}

static bool read_prefix(const char *digits, size_t length, int largest, uint8_t *ret)
{
    int prefix = 0;
    size_t i;

    if (length < 1 || length > 3 || (length > 1 && digits[0] == '0'))
        return false;
    for (i = 0; i < length; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        prefix = prefix * 10 + (digits[i] - '0');
    }
    *ret = (uint8_t)prefix;
    return prefix <= largest;
}

/* The bits of a byte that belong to the prefix when this many of it are left. */
static uint8_t mask(int bits)
{
    return (uint8_t)(0xff00 >> bits);
}

bool fv_network_parse(const char *text, size_t length, struct fv_network *ret)
{
    const char *slash = length ? memchr(text, '/', length) : NULL;
    size_t address_length = slash ? (size_t)(slash - text) : length;
    struct fv_network network;
    int largest, i;

    if (!fv_address_parse(text, address_length, &network.address))
        return false;
    largest = network.address.family == 4 ? 32 : 128;
    network.prefix = (uint8_t)largest;
    if (slash && !read_prefix(slash + 1, length - address_length - 1, largest, &network.prefix))
        return false;

    i = network.prefix / 8;
    if (i < 16) {
        network.address.bytes[i] &= mask(network.prefix % 8);
        memset(network.address.bytes + i + 1, 0, (size_t)(15 - i));
    }
    *ret = network;
    return true;
}

bool fv_network_contains(const struct fv_network *network, const struct fv_address *address)
{
    size_t whole = network->prefix / 8u;
    int left = network->prefix % 8;

    if (network->address.family != address->family ||
        memcmp(network->address.bytes, address->bytes, whole) != 0)
        return false;
    return left == 0 || (address->bytes[whole] & mask(left)) == network->address.bytes[whole];
}
