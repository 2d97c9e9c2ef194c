/* Network: what is an address or a network, and what lies in what, for both families. */
#include "shared/base/network.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

static struct network parsed(const char *text)
{
    struct network network;
    int r = network_parse(slice_string(text), &network);

    if (r != 0)
        fail_msg("%s: %d", text, r);
    return network;
}

/* As accept() gives it. */
static struct network peer(int family, const char *text)
{
    struct sockaddr_storage address = {.ss_family = (sa_family_t)family};
    struct network network;

    if (family == AF_INET)
        assert_int_equal(
            inet_pton(family, text, &((struct sockaddr_in *)(void *)&address)->sin_addr), 1);
    else
        assert_int_equal(
            inet_pton(family, text, &((struct sockaddr_in6 *)(void *)&address)->sin6_addr), 1);
    assert_int_equal(network_of_peer(&address, &network), 0);
    return network;
}

static bool holds(const char *outer, int family, const char *address)
{
    struct network o = parsed(outer), p = peer(family, address);

    return network_contains(&o, &p);
}

static void ipv4_networks_hold_their_addresses(void **state)
{
    (void)state;
    assert_true(holds("10.0.0.0/8", AF_INET, "10.0.0.0"));
    assert_true(holds("10.0.0.0/8", AF_INET, "10.255.255.255"));
    assert_false(holds("10.0.0.0/8", AF_INET, "11.0.0.0"));
    assert_false(holds("10.0.0.0/8", AF_INET, "9.255.255.255"));
    assert_true(holds("192.168.4.0/22", AF_INET, "192.168.7.255"));
    assert_false(holds("192.168.4.0/22", AF_INET, "192.168.8.0"));
    assert_true(holds("10.1.2.3/32", AF_INET, "10.1.2.3"));
    assert_false(holds("10.1.2.3/32", AF_INET, "10.1.2.2"));
    assert_true(holds("10.1.2.3", AF_INET, "10.1.2.3"));
    assert_false(holds("10.1.2.3", AF_INET, "10.1.2.4"));
    assert_true(holds("0.0.0.0/0", AF_INET, "255.255.255.255"));
    assert_true(holds("128.0.0.0/1", AF_INET, "128.0.0.0"));
    assert_false(holds("128.0.0.0/1", AF_INET, "127.255.255.255"));
}

static void ipv6_networks_hold_their_addresses(void **state)
{
    (void)state;
    assert_true(holds("2001:db8::/32", AF_INET6, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"));
    assert_false(holds("2001:db8::/32", AF_INET6, "2001:db9::"));
    assert_true(holds("2001:db8::7", AF_INET6, "2001:db8::7"));
    assert_false(holds("2001:db8::7/128", AF_INET6, "2001:db8::6"));
    assert_true(holds("fe80::/10", AF_INET6, "febf::1"));
    assert_false(holds("fe80::/10", AF_INET6, "fec0::1"));
    assert_true(holds("::/0", AF_INET6, "2001:db8::7"));
    assert_true(holds("::1", AF_INET6, "::1"));
    assert_false(holds("::1", AF_INET6, "::2"));
}

static void mapped_addresses_are_ipv4(void **state)
{
    (void)state;
    assert_true(holds("10.0.0.0/8", AF_INET6, "::ffff:10.1.2.3"));
    assert_true(holds("10.1.2.3", AF_INET6, "::ffff:10.1.2.3"));
    assert_true(holds("0.0.0.0/0", AF_INET6, "::ffff:10.1.2.3"));
    assert_false(holds("::/0", AF_INET6, "::ffff:10.1.2.3"));
    assert_false(holds("::/80", AF_INET6, "::ffff:10.1.2.3"));
    assert_true(holds("::ffff:0:0/96", AF_INET6, "::ffff:10.1.2.3"));
    assert_true(holds("::ffff:10.0.0.0/104", AF_INET, "10.1.2.3"));
    assert_false(holds("::ffff:10.0.0.0/104", AF_INET, "11.1.2.3"));
}

static void families_do_not_mix(void **state)
{
    (void)state;
    assert_false(holds("0.0.0.0/0", AF_INET6, "2001:db8::7"));
    assert_false(holds("::/0", AF_INET, "10.1.2.3"));
    assert_false(holds("0.0.0.0/0", AF_INET6, "::10.1.2.3")); /* the old form means nothing */
}

static void networks_lie_in_networks(void **state)
{
    struct network wide = parsed("10.0.0.0/8"), narrow = parsed("10.3.0.0/16");
    struct network host = parsed("10.3.0.0"), same = parsed("10.3.0.0/32");

    (void)state;
    assert_true(network_contains(&wide, &narrow));
    assert_false(network_contains(&narrow, &wide));
    assert_true(network_contains(&wide, &wide));
    assert_true(network_equal(&host, &same));
    assert_false(network_equal(&wide, &narrow));
    assert_true(wide.prefix < narrow.prefix);
}

static void bits_behind_the_prefix_are_cleared_and_told(void **state)
{
    struct network network, clean = parsed("10.0.0.0/8");

    (void)state;
    assert_int_equal(network_parse(SLICE_LITERAL("10.1.2.3/8"), &network), 1);
    assert_true(network_equal(&network, &clean));
    assert_int_equal(network_parse(SLICE_LITERAL("2001:db8::1/127"), &network), 1);
    assert_int_equal(network_parse(SLICE_LITERAL("2001:db8::1/128"), &network), 0);
    assert_int_equal(network_parse(SLICE_LITERAL("0.0.0.1/0"), &network), 1);
    assert_int_equal(network_parse(SLICE_LITERAL("::1/0"), &network), 1);
}

static void what_is_no_network_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "/",
        "/8",
        "host",
        "host.example",
        "10.0.0/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/8/8",
        "10.0.0.0 /8",
        " 10.0.0.0/8",
        "10.0.0.256",
        "10.0.0.0/255.0.0.0",
        "::/129",
        "fe80::1%eth0",
        "[::1]",
        "10.0.0.0/99999999999999999999",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc",
        "*"};
    struct network network;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (network_parse(slice_string(texts[i]), &network) != -EINVAL)
            fail_msg("%s is taken", texts[i]);
    assert_int_equal(network_parse(slice_of("10.0.0.1\0x", 10), &network), -EINVAL);
    assert_int_equal(network_parse(slice_of(NULL, 0), &network), -EINVAL);
}

static void other_peers_have_no_network(void **state)
{
    struct sockaddr_storage address = {.ss_family = AF_UNIX};
    struct network network;

    (void)state;
    assert_int_equal(network_of_peer(&address, &network), -EAFNOSUPPORT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipv4_networks_hold_their_addresses),
        cmocka_unit_test(ipv6_networks_hold_their_addresses),
        cmocka_unit_test(mapped_addresses_are_ipv4),
        cmocka_unit_test(families_do_not_mix),
        cmocka_unit_test(networks_lie_in_networks),
        cmocka_unit_test(bits_behind_the_prefix_are_cleared_and_told),
        cmocka_unit_test(what_is_no_network_is_refused),
        cmocka_unit_test(other_peers_have_no_network),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
