#include <doctest/doctest.h>

#include "runtime/net/url.hpp"

using namespace holdfast::net;

TEST_CASE("url: a full URL comes apart and goes together again") {
  const auto u = parse_url("HTTPS://API.Example.com:8443/v1/a%20b?x=1&y=%2F#frag");
  REQUIRE(u);
  CHECK(u->scheme == "https");
  CHECK(u->host == "api.example.com");
  CHECK(u->port == 8443);
  CHECK(u->path == "/v1/a%20b");
  CHECK(u->query == "x=1&y=%2F");
  CHECK(u->target() == "/v1/a%20b?x=1&y=%2F");
  CHECK(u->authority() == "api.example.com:8443");
  CHECK(u->origin() == "https://api.example.com:8443");
}

TEST_CASE("url: defaults are filled in") {
  CHECK(parse_url("http://a")->port == 80);
  CHECK(parse_url("https://a")->port == 443);
  CHECK(parse_url("http://a")->target() == "/");
  CHECK(parse_url("http://a?q")->target() == "/?q");
  CHECK(parse_url("http://a/?")->target() == "/?");
  CHECK(parse_url("https://a:443/")->authority() == "a");
  CHECK(parse_url("http://a:443/")->authority() == "a:443");
  CHECK(parse_url("http://a./")->host == "a");
}

TEST_CASE("url: an IPv6 literal keeps its brackets in the authority only") {
  const auto u = parse_url("http://[::1]:8080/x");
  REQUIRE(u);
  CHECK(u->host == "::1");
  CHECK(u->ipv6);
  CHECK(u->authority() == "[::1]:8080");
  CHECK(u->origin() == "http://[::1]:8080");
}

TEST_CASE("url: every refusal has its reason") {
  const auto why = [](std::string_view text) {
    url_failure failure{};
    CHECK_FALSE(parse_url(text, &failure));
    return failure;
  };
  CHECK(why("") == url_failure::not_absolute);
  CHECK(why("/path") == url_failure::not_absolute);
  CHECK(why("example.com") == url_failure::not_absolute);
  CHECK(why("http:/a") == url_failure::not_absolute);
  CHECK(why("ftp://a/") == url_failure::scheme);
  CHECK(why("file:///etc/passwd") == url_failure::scheme);
  CHECK(why("http://user:secret@a/") == url_failure::user_info);
  CHECK(why("http://a@b/") == url_failure::user_info);
  CHECK(why("http://") == url_failure::host);
  CHECK(why("http:///x") == url_failure::host);
  CHECK(why("http://a b/") == url_failure::host);
  CHECK(why("http://a\r\nb/") == url_failure::host);
  CHECK(why("http://a..b/") == url_failure::host);
  CHECK(why("http://-a/") == url_failure::host);
  CHECK(why("http://[::1/") == url_failure::host);
  CHECK(why("http://[::1]x/") == url_failure::host);
  CHECK(why("http://[1.2.3.4]/") == url_failure::host);
  CHECK(why("http://\xc3\xa4/") == url_failure::host);
  CHECK(why("http://a\\b/") == url_failure::host);
  CHECK(why("http://a:0/") == url_failure::port);
  CHECK(why("http://a:/") == url_failure::port);
  CHECK(why("http://a:65536/") == url_failure::port);
  CHECK(why("http://a:80x/") == url_failure::port);
  CHECK(why("http://a/b c") == url_failure::character);
  CHECK(why("http://a/\r\nX: y") == url_failure::character);
  CHECK(why("http://a/%zz") == url_failure::character);
  CHECK(why("http://a/%2") == url_failure::character);
  CHECK(why("http://a/\xc3\xa4") == url_failure::character);
  CHECK(why("http://a/?q=\"") == url_failure::character);
  CHECK(why(std::string_view{"http://a/\0", 10}) == url_failure::character);
}

TEST_CASE("url: encoding leaves nothing that has a meaning in a path or a query") {
  CHECK(percent_encode_segment("aZ0-._~") == "aZ0-._~");
  CHECK(percent_encode_segment("a/b?c#d%e f\r\n") == "a%2Fb%3Fc%23d%25e%20f%0D%0A");
  CHECK(percent_encode_query("a=b&c+\xc3\xa4") == "a%3Db%26c%2B%C3%A4");
  CHECK(is_dot_segment(".."));
  CHECK(is_dot_segment("."));
  CHECK_FALSE(is_dot_segment("..."));
}

TEST_CASE("url: decoding is the reverse of encoding, and strict") {
  const std::string text = "a/b?c=d&e+f \xc3\xa4";
  CHECK(percent_decode(percent_encode_segment(text)) == text);
  CHECK(percent_decode("a+b") == "a+b");
  CHECK(percent_decode("a+b", plus_sign::space) == "a b");
  CHECK_FALSE(percent_decode("%"));
  CHECK_FALSE(percent_decode("%1"));
  CHECK_FALSE(percent_decode("%g0"));
  CHECK_FALSE(percent_decode("%00"));
}

TEST_CASE("url: a path splits before it is decoded, so an encoded slash stays in its segment") {
  const auto segments = split_path("/v1/agents/t/a%2Fb/");
  REQUIRE(segments);
  CHECK(*segments == std::vector<std::string>{"v1", "agents", "t", "a/b", ""});
  CHECK(*split_path("/") == std::vector<std::string>{""});
  CHECK_FALSE(split_path("v1"));
  CHECK_FALSE(split_path(""));
  CHECK_FALSE(split_path("/a/../b"));
  CHECK_FALSE(split_path("/a/%2e%2E/b"));
  CHECK_FALSE(split_path("/a/./b"));
  CHECK_FALSE(split_path("/%zz"));
}

TEST_CASE("url: a query becomes pairs in order, repeated keys included") {
  const auto pairs = parse_query("a=1&b=two+words&a=%3D&c&&d==");
  REQUIRE(pairs);
  using pair = std::pair<std::string, std::string>;
  CHECK(*pairs ==
        std::vector<pair>{{"a", "1"}, {"b", "two words"}, {"a", "="}, {"c", ""}, {"d", "="}});
  CHECK(parse_query("")->empty());
  CHECK_FALSE(parse_query("a=%"));
}

TEST_CASE("url: a target splits at the first question mark") {
  CHECK(split_target("/a?b?c").path == "/a");
  CHECK(split_target("/a?b?c").query == "b?c");
  CHECK(split_target("/a").query.empty());
}
