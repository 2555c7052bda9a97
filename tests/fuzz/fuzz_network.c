/*
 * Two lines, a network and an address: what is an address is a network of one
 * host, a network contains its own address, and whether it contains the other
 * is what comparing bit by bit says.
 */
#include "model/network.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool is_inside(const struct fv_network *network, const struct fv_address *address)
{
    int bit;

    if (network->address.family != address->family)
        return false;
    for (bit = 0; bit < network->prefix; bit++) {
        if (((network->address.bytes[bit / 8] ^ address->bytes[bit / 8]) & (0x80 >> bit % 8)) != 0)
            return false;
    }
    return true;
}

static void check_address(const char *text, size_t length, const struct fv_address *address)
{
    struct fv_network host;
    int bits = address->family == 4 ? 32 : 128, i;

    must(address->family == 4 || address->family == 6);
    for (i = bits / 8; i < 16; i++)
        must(address->bytes[i] == 0);
    must(fv_network_parse(text, length, &host));
    must(host.prefix == bits);
    must(memcmp(&host.address, address, sizeof *address) == 0);
    must(fv_network_contains(&host, address));
}

static void check_network(const struct fv_network *network)
{
    int bits = network->address.family == 4 ? 32 : 128, bit;

    must(network->prefix <= bits);
    must(fv_network_contains(network, &network->address));
    for (bit = network->prefix; bit < 128; bit++)
        must((network->address.bytes[bit / 8] & (0x80 >> bit % 8)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *newline = size ? memchr(data, '\n', size) : NULL;
    const char *first = (const char *)data, *second = newline ? (const char *)newline + 1 : first;
    size_t first_length = newline ? (size_t)(newline - data) : size;
    size_t second_length = newline ? size - first_length - 1 : size;
    struct fv_network network;
    struct fv_address address;
    bool has_network = fv_network_parse(first, first_length, &network);
    bool has_address = fv_address_parse(second, second_length, &address);

    if (has_network)
        check_network(&network);
    if (has_address)
        check_address(second, second_length, &address);
    if (has_network && has_address)
        must(fv_network_contains(&network, &address) == is_inside(&network, &address));
    return 0;
}
