#include "runtime/definition/url_template.hpp"

#include <doctest/doctest.h>

using namespace holdfast;

TEST_CASE("url_template: braces in path and query are found in order") {
  const auto names = [](std::string_view url) {
    auto out = url_placeholders(url);
    REQUIRE_MESSAGE(out, out.error().context);
    return *out;
  };
  CHECK(names("http://127.0.0.1:9100/invoices/{id}/lines/{line}?expand={what}") ==
        std::vector<std::string>{"id", "line", "what"});
  CHECK(names("https://api.example.com").empty());
  CHECK(names("http://[::1]:8080/x").empty());
  CHECK(names("http://host?x={a.b-c_d}") == std::vector<std::string>{"a.b-c_d"});
  CHECK(names("http://h/{a}{b}%20x").size() == 2);
}

TEST_CASE("url_template: what would let an input choose where the call goes is refused") {
  for (const auto* url : {"{scheme}://host/",
                          "http{s}://host/",
                          "http://{host}/",
                          "http://a.{host}/",
                          "http://host:{port}/",
                          "http://host{x}/",
                          "http://{user}@host/",
                          "http://host@evil/",
                          "http://user:pw@host/",
                          "http://:80/",
                          "http:///x",
                          "http://host:0/",
                          "http://host:99999/",
                          "http://host:80a/",
                          "http://ho st/",
                          "ftp://host/",
                          "host/x",
                          "//host/x",
                          "",
                          "HTTP://host/",
                          "http://host/#f",
                          "http://host/{a",
                          "http://host/a}",
                          "http://host/{}",
                          "http://host/{a{b}}",
                          "http://host/{a b}",
                          "http://host/${secret:x}",
                          "http://host/\\x",
                          "http://host/\n",
                          "http://[::1",
                          "http://[zz]/",
                          "http://[::1]x/",
                          "http://-/",
                          "javascript:alert(1)",
                          "http://ho_st{x}:80/"})
    CHECK_MESSAGE(!url_placeholders(url), url);
  CHECK(!url_placeholders("http://host/" + std::string(3000, 'a')));
}
