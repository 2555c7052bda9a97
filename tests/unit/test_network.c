#include "model/network.h"

#include <stdio.h>

#include "support.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof *(table)))
#define TEXT(literal) literal, sizeof(literal) - 1

static const struct {
    const char *text;
    int family;
    uint8_t bytes[16];
} addresses[] = {
    { "0.0.0.0", 4, { 0 } },
    { "10.0.0.1", 4, { 10, 0, 0, 1 } },
    { "255.255.255.255", 4, { 255, 255, 255, 255 } },
    { "192.168.100.200", 4, { 192, 168, 100, 200 } },
    { "::", 6, { 0 } },
    { "::1", 6, { [15] = 1 } },
    { "1::", 6, { 0, 1 } },
    { "2001:db8::8a2e:370:7334",
      6,
      { 0x20, 1, 0xd, 0xb8, [10] = 0x8a, 0x2e, 3, 0x70, 0x73, 0x34 } },
    { "2001:0DB8:0000:0000:0000:8A2E:0370:7334",
      6,
      { 0x20, 1, 0xd, 0xb8, [10] = 0x8a, 0x2e, 3, 0x70, 0x73, 0x34 } },
    { "1:2:3:4:5:6:7:8", 6, { 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8 } },
    { "1:2:3::7:8", 6, { 0, 1, 0, 2, 0, 3, [13] = 7, [15] = 8 } },
    { "::ffff:10.0.0.1", 6, { [10] = 255, 255, 10, 0, 0, 1 } },
    { "::10.0.0.1", 6, { [12] = 10, 0, 0, 1 } },
    { "64:ff9b::192.0.2.33", 6, { 0, 0x64, 0xff, 0x9b, [12] = 192, 0, 2, 33 } },
    { "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
      6,
      { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 } },
    { "fe80::1", 6, { 0xfe, 0x80, [15] = 1 } },
};

START_TEST(an_address_is_its_bytes)
{
    struct fv_address address;
    size_t length = strlen(addresses[_i].text);
    char *exact = malloc(length + 1);

    ck_assert_ptr_nonnull(exact);
    memcpy(exact + 1, addresses[_i].text, length);
    memset(&address, 0xff, sizeof address);
    ck_assert_msg(fv_address_parse(exact + 1, length, &address), "%s", addresses[_i].text);
    ck_assert_int_eq(address.family, addresses[_i].family);
    ck_assert_mem_eq(address.bytes, addresses[_i].bytes, 16);
    free(exact);
}
END_TEST

static const struct {
    const char *text;
    size_t length;
} no_addresses[] = {
    { TEXT("") },
    { TEXT(" ") },
    { TEXT("localhost") },
    { TEXT("10") },
    { TEXT("10.0") },
    { TEXT("10.0.0") },
    { TEXT("10.0.0.") },
    { TEXT(".0.0.1") },
    { TEXT("10..0.1") },
    { TEXT("10.0.0.1.") },
    { TEXT("10.0.0.1.2") },
    { TEXT("10.0.0.256") },
    { TEXT("10.0.0.1000") },
    { TEXT("10.0.0.4294967297") },
    { TEXT("10.0.0.01") },
    { TEXT("010.0.0.1") },
    { TEXT("10.00.0.1") },
    { TEXT("0x0a.0.0.1") },
    { TEXT("0x0a000001") },
    { TEXT("167772161") },
    { TEXT("10.0.0.-1") },
    { TEXT("10.0.0.+1") },
    { TEXT("10.0.0.a") },
    { TEXT(" 10.0.0.1") },
    { TEXT("10.0.0.1 ") },
    { TEXT("10.0.0.1\n") },
    { TEXT("10.0.0.1\0") },
    { TEXT("10.0.0.1\0junk") },
    { TEXT("\00010.0.0.1") },
    { TEXT("10.0.0.1:80") },
    { TEXT("10.0.0.1/32") },
    { TEXT("10,0,0,1") },
    { TEXT("\xEF\xBC\x91.0.0.1") }, /* FULLWIDTH DIGIT ONE */
    { TEXT(":") },
    { TEXT(":::") },
    { TEXT("1") },
    { TEXT("1:") },
    { TEXT(":1") },
    { TEXT("1::2::3") },
    { TEXT("1:2:3:4:5:6:7") },
    { TEXT("1:2:3:4:5:6:7:8:9") },
    { TEXT("1:2:3:4:5:6:7:8:") },
    { TEXT("1:2:3:4::5:6:7:8:9") },
    { TEXT("12345::") },
    { TEXT("00001::") },
    { TEXT("g::") },
    { TEXT("::1%lo") },
    { TEXT("fe80::1%eth0") },
    { TEXT("fe80::1%1") },
    { TEXT("[::1]") },
    { TEXT("::1/128") },
    { TEXT("::1 ") },
    { TEXT("::1\0") },
    { TEXT("::ffff:10.0.0") },
    { TEXT("::ffff:10.0.0.256") },
    { TEXT("::ffff:10.0.0.01") },
    { TEXT("::10.0.0.1:1") },
    { TEXT("10.0.0.1::") },
    { TEXT("1:2:3:4:5:6:7:10.0.0.1") },
    { TEXT("0000:0000:0000:0000:0000:0000:0000:0000:0000:0000") },
    { TEXT("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555") },
};

START_TEST(what_is_no_address_is_refused)
{
    struct fv_address address;

    ck_assert_msg(!fv_address_parse(no_addresses[_i].text, no_addresses[_i].length, &address),
                  "\"%s\"", no_addresses[_i].text);
}
END_TEST

static const struct {
    const char *network;
    int prefix;
    const char *address; /* the lowest of it */
} networks[] = {
    { "10.0.0.0/8", 8, "10.0.0.0" },
    { "10.1.2.3/8", 8, "10.0.0.0" },
    { "10.1.2.3", 32, "10.1.2.3" },
    { "10.1.2.3/32", 32, "10.1.2.3" },
    { "10.1.2.3/31", 31, "10.1.2.2" },
    { "10.1.2.255/25", 25, "10.1.2.128" },
    { "255.255.255.255/1", 1, "128.0.0.0" },
    { "255.255.255.255/9", 9, "255.128.0.0" },
    { "255.255.255.255/0", 0, "0.0.0.0" },
    { "0.0.0.0/0", 0, "0.0.0.0" },
    { "::/0", 0, "::" },
    { "ffff::1/0", 0, "::" },
    { "2001:db8::1/32", 32, "2001:db8::" },
    { "2001:db8:ffff::/33", 33, "2001:db8:8000::" },
    { "fe80::1234/10", 10, "fe80::" },
    { "::ffff:10.1.2.3/104", 104, "::ffff:10.0.0.0" },
    { "::1", 128, "::1" },
    { "::1/128", 128, "::1" },
    { "::1/127", 127, "::" },
    { "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/121", 121,
      "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.128" },
};

START_TEST(a_network_is_an_address_without_its_host_bits)
{
    struct fv_address lowest;
    struct fv_network network;
    const char *text = networks[_i].network;

    memset(&network, 0xff, sizeof network);
    ck_assert_msg(fv_network_parse(text, strlen(text), &network), "%s", text);
    ck_assert(fv_address_parse(networks[_i].address, strlen(networks[_i].address), &lowest));
    ck_assert_int_eq(network.prefix, networks[_i].prefix);
    ck_assert_int_eq(network.address.family, lowest.family);
    ck_assert_mem_eq(network.address.bytes, lowest.bytes, 16);
}
END_TEST

static const struct {
    const char *text;
    size_t length;
} no_networks[] = {
    { TEXT("") },
    { TEXT("/") },
    { TEXT("/8") },
    { TEXT("10.0.0.0/") },
    { TEXT("10.0.0.0//8") },
    { TEXT("10.0.0.0/8/8") },
    { TEXT("10.0.0.0/33") },
    { TEXT("10.0.0.0/128") },
    { TEXT("10.0.0.0/256") },
    { TEXT("10.0.0.0/264") }, /* 8, if one byte of it counted */
    { TEXT("10.0.0.0/4294967304") },
    { TEXT("10.0.0.0/08") },
    { TEXT("10.0.0.0/00") },
    { TEXT("10.0.0.0/+8") },
    { TEXT("10.0.0.0/-8") },
    { TEXT("10.0.0.0/ 8") },
    { TEXT("10.0.0.0/8 ") },
    { TEXT("10.0.0.0 /8") },
    { TEXT("10.0.0.0/8\0") },
    { TEXT("10.0.0.0\0/8") },
    { TEXT("10.0.0.0/0x8") },
    { TEXT("10.0.0.0/8a") },
    { TEXT("10.0.0.0/255.0.0.0") },
    { TEXT("10.0.0/8") },
    { TEXT("10/8") },
    { TEXT("10.0.0.00/8") },
    { TEXT("::/129") },
    { TEXT("::/1000") },
    { TEXT("::1/064") },
    { TEXT("fe80::1%eth0/64") },
    { TEXT("fe80::/64%eth0") },
    { TEXT("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/129") },
};

START_TEST(what_is_no_network_is_refused)
{
    struct fv_network network;

    ck_assert_msg(!fv_network_parse(no_networks[_i].text, no_networks[_i].length, &network),
                  "\"%s\"", no_networks[_i].text);
}
END_TEST

static const struct {
    const char *network, *address;
    bool inside;
} memberships[] = {
    { "10.0.0.0/8", "10.0.0.0", true },
    { "10.0.0.0/8", "10.255.255.255", true },
    { "10.0.0.0/8", "9.255.255.255", false },
    { "10.0.0.0/8", "11.0.0.0", false },
    { "10.77.0.1/8", "10.0.0.1", true },
    { "10.128.0.0/9", "10.127.255.255", false },
    { "10.128.0.0/9", "10.128.0.0", true },
    { "10.0.0.0/31", "10.0.0.1", true },
    { "10.0.0.0/31", "10.0.0.2", false },
    { "10.0.0.1", "10.0.0.1", true },
    { "10.0.0.1", "10.0.0.0", false },
    { "10.0.0.1/32", "10.0.0.1", true },
    { "0.0.0.0/0", "255.255.255.255", true },
    { "128.0.0.0/1", "127.255.255.255", false },
    { "128.0.0.0/1", "128.0.0.0", true },
    { "::/0", "ffff::", true },
    { "2001:db8::/32", "2001:db8:ffff::1", true },
    { "2001:db8::/32", "2001:db9::", false },
    { "2001:db8:8000::/33", "2001:db8:7fff::", false },
    { "2001:db8:8000::/33", "2001:db8:ffff::", true },
    { "fe80::/10", "febf::1", true },
    { "fe80::/10", "fec0::1", false },
    { "::1", "::1", true },
    { "::1", "::2", false },
    { "::1/127", "::", true },
    /* the families never mix */
    { "0.0.0.0/0", "::", false },
    { "::/0", "0.0.0.0", false },
    { "10.0.0.0/8", "::ffff:10.0.0.1", false },
    { "10.0.0.0/8", "::10.0.0.1", false },
    { "::ffff:10.0.0.0/104", "10.0.0.1", false },
    { "::ffff:10.0.0.0/104", "::ffff:10.9.9.9", true },
    { "a00::/8", "10.0.0.1", false },
};

START_TEST(a_network_contains_the_addresses_of_its_prefix)
{
    struct fv_network network;
    struct fv_address address;
    const char *text = memberships[_i].network, *other = memberships[_i].address;

    ck_assert(fv_network_parse(text, strlen(text), &network));
    ck_assert(fv_address_parse(other, strlen(other), &address));
    ck_assert_msg(fv_network_contains(&network, &address) == memberships[_i].inside, "%s in %s",
                  other, text);
}
END_TEST

/* Flipping bit number n leaves the network exactly when n is in the prefix. */
START_TEST(the_prefix_counts_single_bits)
{
    static const char *hosts[] = { "170.85.240.15", "aaaa:5555:f0f0:1234:8001:ff:a5a5:1" };
    int i, prefix, bit;

    for (i = 0; i < COUNT(hosts); i++) {
        int bits = i == 0 ? 32 : 128;

        for (prefix = 0; prefix <= bits; prefix++) {
            struct fv_network network;
            struct fv_address address;
            char text[64];
            int length = snprintf(text, sizeof text, "%s/%d", hosts[i], prefix);

            ck_assert(fv_network_parse(text, (size_t)length, &network));
            ck_assert(fv_address_parse(hosts[i], strlen(hosts[i]), &address));
            ck_assert(fv_network_contains(&network, &address));
            for (bit = 0; bit < bits; bit++) {
                address.bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
                if (fv_network_contains(&network, &address) != (bit >= prefix))
                    ck_abort_msg("%s and bit %d", text, bit);
                address.bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
            }
        }
    }
}
END_TEST

static Suite *network_suite(void)
{
    Suite *suite = suite_create("network");
    TCase *address = tcase_create("address");
    TCase *network = tcase_create("network");

    tcase_add_loop_test(address, an_address_is_its_bytes, 0, COUNT(addresses));
    tcase_add_loop_test(address, what_is_no_address_is_refused, 0, COUNT(no_addresses));
    suite_add_tcase(suite, address);

    tcase_add_loop_test(network, a_network_is_an_address_without_its_host_bits, 0, COUNT(networks));
    tcase_add_loop_test(network, what_is_no_network_is_refused, 0, COUNT(no_networks));
    tcase_add_loop_test(network, a_network_contains_the_addresses_of_its_prefix, 0,
                        COUNT(memberships));
    tcase_add_test(network, the_prefix_counts_single_bits);
    suite_add_tcase(suite, network);
    return suite;
}

int main(void)
{
    return run_suite(network_suite());
}
