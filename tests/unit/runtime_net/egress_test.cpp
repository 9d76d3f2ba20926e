#include <doctest/doctest.h>

#include "runtime/net/egress.hpp"

using namespace holdfast::net;

namespace {

ip_address address(std::string_view text) {
  const auto parsed = ip_address::parse(text);
  REQUIRE_MESSAGE(parsed, text);
  return *parsed;
}

address_kind kind(std::string_view text) { return classify(address(text)); }

}  // namespace

TEST_CASE("ip_address: only the strict notations are addresses") {
  CHECK(address("192.0.2.1").to_string() == "192.0.2.1");
  CHECK(address("2001:DB8::1").to_string() == "2001:db8::1");
  for (std::string_view bad : {"", "1", "127.1", "0x7f.0.0.1", "127.0.0.01", "256.0.0.1",
                               "1.2.3.4 ", "::1%lo", "[::1]", ":::", "1.2.3.4:80", "2130706433"})
    CHECK_MESSAGE(!ip_address::parse(bad), bad);
  CHECK_FALSE(ip_address::parse(std::string_view{"1.2.3.4\0x", 9}));
}

TEST_CASE("egress: addresses are classified by what they are for") {
  CHECK(kind("8.8.8.8") == address_kind::global);
  CHECK(kind("2606:4700::1111") == address_kind::global);
  CHECK(kind("127.0.0.1") == address_kind::loopback);
  CHECK(kind("127.255.255.254") == address_kind::loopback);
  CHECK(kind("::1") == address_kind::loopback);
  CHECK(kind("10.0.0.1") == address_kind::private_use);
  CHECK(kind("172.16.0.1") == address_kind::private_use);
  CHECK(kind("172.31.255.255") == address_kind::private_use);
  CHECK(kind("172.32.0.1") == address_kind::global);
  CHECK(kind("192.168.1.1") == address_kind::private_use);
  CHECK(kind("100.64.0.1") == address_kind::private_use);
  CHECK(kind("100.128.0.1") == address_kind::global);
  CHECK(kind("fd00::1") == address_kind::private_use);
  CHECK(kind("fc00::1") == address_kind::private_use);
  CHECK(kind("169.254.169.254") == address_kind::link_local);
  CHECK(kind("fe80::1") == address_kind::link_local);
  CHECK(kind("febf::1") == address_kind::link_local);
  CHECK(kind("224.0.0.1") == address_kind::multicast);
  CHECK(kind("ff02::1") == address_kind::multicast);
  CHECK(kind("0.0.0.0") == address_kind::unspecified);
  CHECK(kind("0.1.2.3") == address_kind::unspecified);
  CHECK(kind("::") == address_kind::unspecified);
  CHECK(kind("255.255.255.255") == address_kind::reserved);
  CHECK(kind("192.0.2.1") == address_kind::reserved);
  CHECK(kind("198.18.0.1") == address_kind::reserved);
  CHECK(kind("2001::1") == address_kind::reserved);
  CHECK(kind("2001:db8::1") == address_kind::reserved);
}

TEST_CASE("egress: an IPv4 address inside an IPv6 one is judged as what it is") {
  CHECK(kind("::ffff:127.0.0.1") == address_kind::loopback);
  CHECK(kind("::ffff:10.0.0.1") == address_kind::private_use);
  CHECK(kind("::ffff:169.254.169.254") == address_kind::link_local);
  CHECK(kind("::ffff:8.8.8.8") == address_kind::global);
  CHECK(kind("::127.0.0.1") == address_kind::loopback);
  CHECK(kind("::10.0.0.1") == address_kind::private_use);
  CHECK(kind("64:ff9b::10.0.0.1") == address_kind::private_use);
  CHECK(kind("64:ff9b::8.8.8.8") == address_kind::global);
  CHECK(kind("64:ff9b:1::8.8.8.8") == address_kind::private_use);
  CHECK(kind("2002:7f00:0001::") == address_kind::loopback);
  CHECK(kind("2002:0a00:0001::") == address_kind::private_use);
}

TEST_CASE("cidr: a network is an address with a length and no host bits") {
  CHECK(cidr::parse("10.1.0.0/16")->contains(address("10.1.255.1")));
  CHECK_FALSE(cidr::parse("10.1.0.0/16")->contains(address("10.2.0.1")));
  CHECK(cidr::parse("10.1.0.0/16")->contains(address("::ffff:10.1.0.7")));
  CHECK_FALSE(cidr::parse("10.1.0.0/16")->contains(address("fd00::1")));
  CHECK(cidr::parse("0.0.0.0/0")->contains(address("8.8.8.8")));
  CHECK(cidr::parse("fd00::/9")->contains(address("fd7f::1")));
  CHECK_FALSE(cidr::parse("fd00::/9")->contains(address("fd80::1")));
  CHECK(cidr::parse("10.1.2.3")->contains(address("10.1.2.3")));
  CHECK_FALSE(cidr::parse("10.1.2.3")->contains(address("10.1.2.4")));
  for (std::string_view bad : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/8x",
                               "10.0.0.0/-1", "fd00::/129", "fd00::1/8", "a/8"})
    CHECK_MESSAGE(!cidr::parse(bad), bad);
}

TEST_CASE("egress: by default only global addresses are permitted") {
  const egress_policy policy;
  CHECK(policy.permits("example.com", 443, address("8.8.8.8")));
  for (std::string_view bad :
       {"127.0.0.1", "::1", "10.0.0.1", "192.168.0.1", "169.254.169.254", "fe80::1", "fd00::1",
        "224.0.0.1", "0.0.0.0", "::ffff:127.0.0.1", "255.255.255.255", "100.64.0.1"})
    CHECK_MESSAGE(!policy.permits("example.com", 443, address(bad)), bad);
}

TEST_CASE("egress: loopback opens by its flag and nothing else does") {
  egress_policy policy;
  policy.allow_loopback = true;
  CHECK(policy.permits("localhost", 80, address("127.0.0.1")));
  CHECK(policy.permits("localhost", 80, address("::1")));
  CHECK(policy.permits("localhost", 80, address("::ffff:127.0.0.1")));
  CHECK_FALSE(policy.permits("localhost", 80, address("10.0.0.1")));
}

TEST_CASE("egress: a rule by network opens that network, on its port if it names one") {
  egress_policy policy;
  REQUIRE(policy.allow("10.1.0.0/16"));
  REQUIRE(policy.allow("10.2.0.1:8080"));
  REQUIRE(policy.allow("10.3.0.0/16:443"));
  REQUIRE(policy.allow("[fd00::]/8:443"));
  REQUIRE(policy.allow("fe80::/10"));
  REQUIRE(policy.allow("[fd01::1]:81"));
  CHECK(policy.permits("a", 1, address("10.1.2.3")));
  CHECK(policy.permits("a", 8080, address("10.2.0.1")));
  CHECK_FALSE(policy.permits("a", 80, address("10.2.0.1")));
  CHECK(policy.permits("a", 443, address("10.3.9.9")));
  CHECK_FALSE(policy.permits("a", 80, address("10.3.9.9")));
  CHECK(policy.permits("a", 443, address("fd12::1")));
  CHECK_FALSE(policy.permits("a", 80, address("fd12::1")));
  CHECK(policy.permits("a", 81, address("fd01::1")));
  CHECK(policy.permits("a", 9, address("fe80::1")));
}

TEST_CASE("egress: a rule by name opens private addresses for that name and port only") {
  egress_policy policy;
  REQUIRE(policy.allow("Models.internal:8000"));
  CHECK(policy.permits("models.internal", 8000, address("10.0.0.5")));
  CHECK(policy.permits("models.internal", 8000, address("127.0.0.1")));
  CHECK_FALSE(policy.permits("models.internal", 80, address("10.0.0.5")));
  CHECK_FALSE(policy.permits("evil.internal", 8000, address("10.0.0.5")));
  // Whoever controls the name must not get at the cloud's metadata with it.
  CHECK_FALSE(policy.permits("models.internal", 8000, address("169.254.169.254")));
  CHECK_FALSE(policy.permits("models.internal", 8000, address("0.0.0.0")));
}

TEST_CASE("egress: what is no rule is refused") {
  egress_policy policy;
  for (std::string_view bad : {"", "host", "host:", "host:0", "host:65536", "10.0.0.1/8", "a b:80",
                               "[::1", "[host]:80", "10.0.0.0/8:x", ":80", "*:80", "http://a:80"})
    CHECK_MESSAGE(!policy.allow(bad), bad);
}

TEST_CASE("egress: unrestricted permits everything") {
  CHECK(egress_policy::unrestricted().permits("a", 1, address("169.254.169.254")));
}
