#include "tests/unit/runtime_gateway/asking.hpp"

#include "runtime/gateway/base64.hpp"
#include "runtime/gateway/signature.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

std::string hex(const std::string& bytes) {
  std::string out;
  for (const char c : bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    out += digits[static_cast<unsigned char>(c) >> 4];
    out += digits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

gateway_options with_secrets() {
  gateway_options opts;
  opts.secret = [](std::string_view name) -> result<std::string> {
    if (name == "shop")
      return std::string{"s3cret"};
    if (name == "old")
      return std::string{"0ld"};
    return error{errc::not_found, "set HOLDFAST_SECRET"};
  };
  return opts;
}

const std::string body = R"({"id":"d1","kind":"paid","n":1.0})";
const std::string signed_hook =
  R"({"kind":"hook","source":"shop","preset":"hmac","secret":["${secret:old}","${secret:shop}"],)"
  R"("type":"\"shop.\" + .kind","id":".id","hmac":{"header":"X-Sig","prefix":"sha256=","timestamp":{"header":"X-Time"},)"
  R"("template":"{timestamp}.{body}","tolerance":"5m"}})";

std::string seconds(time_us at) { return std::to_string(at / 1'000'000); }

net::header_list signed_headers(const std::string& secret, time_us at,
                                const std::string& text = body) {
  return {{"X-Time", seconds(at)},
          {"X-Sig", "sha256=" + hex(hmac_digest("sha256", secret, seconds(at) + "." + text))}};
}

}  // namespace

TEST_CASE("hooks: one without a check takes any JSON under the defaults") {
  asking at;
  at.node.define_hook(R"({"kind":"hook","source":"plain","preset":"none"})");
  const auto got = at.ask("POST", "/v1/hooks/plain", R"( {"a": 1} )");
  REQUIRE(at.node.routes.size() == 1);
  const auto& routed = at.node.routes[0];
  CHECK(routed.what.type == "plain.received");
  CHECK(routed.what.source == "plain");
  CHECK(routed.what.id.size() == 32);
  CHECK(routed.what.data == R"( {"a": 1} )");
  CHECK(routed.verified == "none");
  REQUIRE(routed.once);
  CHECK(routed.once->body.empty());
  routed.tell(routed_event{event_no(at.node, one, 1), {{"support", "a", true, {}, {}}}, false});
  CHECK(got->status() == 202);
  CHECK(got->body()["events"][0]["agents"] == json::array({"support/a"}));
  CHECK(got->header("Location").starts_with("/v1/events/evt_"));
}

TEST_CASE("hooks: a signed delivery is mapped by jq and marked as verified") {
  asking at{with_secrets()};
  at.node.define_hook(signed_hook);
  const auto got =
    at.ask("POST", "/v1/hooks/shop", body, signed_headers("s3cret", test_time - 10'000'000));
  REQUIRE(at.node.routes.size() == 1);
  CHECK(at.node.routes[0].what.type == "shop.paid");
  CHECK(at.node.routes[0].what.id == "d1");
  CHECK(at.node.routes[0].what.data == body);
  CHECK(at.node.routes[0].verified == "hmac");
}

TEST_CASE("hooks: each of several secrets may sign") {
  asking at{with_secrets()};
  at.node.define_hook(signed_hook);
  at.ask("POST", "/v1/hooks/shop", body, signed_headers("0ld", test_time));
  CHECK(at.node.routes.size() == 1);
}

TEST_CASE("hooks: a delivery that came before answers 200 and says so") {
  asking at;
  at.node.define_hook(R"({"kind":"hook","source":"plain","preset":"none"})");
  const auto got = at.ask("POST", "/v1/hooks/plain", "{}");
  at.node.routes[0].tell(routed_event{event_no(at.node, one, 1), {}, true});
  CHECK(got->status() == 200);
  CHECK(got->header("Idempotent-Replayed") == "true");
}

TEST_CASE(
  "hooks: an event with the same source and id, sent by a client, is not the delivery's repeat") {
  asking at;
  at.node.define_hook(R"({"kind":"hook","source":"plain","preset":"none","id":".id"})");
  at.ask("POST", "/v1/hooks/plain", R"({"id":"x"})");
  at.ask("POST", "/v1/events",
         R"({"specversion":"1.0","id":"x","source":"plain","type":"plain.received"})",
         {{"Content-Type", "application/cloudevents+json"}});
  REQUIRE(at.node.routes.size() == 2);
  CHECK(at.node.routes[0].once->scope != at.node.routes[1].once->scope);
}

TEST_CASE("hooks: what is not signed rightly is refused and reaches nobody") {
  asking at{with_secrets()};
  at.node.define_hook(signed_hook);
  const auto refused = [&](net::header_list headers, const std::string& code,
                           const std::string& text = body) {
    const auto got = at.ask("POST", "/v1/hooks/shop", text, std::move(headers));
    check_refused(at, got, 401, code);
    CHECK(got->answer->body.find("s3cret") == std::string::npos);
  };
  const auto good = signed_headers("s3cret", test_time);
  refused({{"X-Nothing", "1"}}, "bad_signature");
  refused({good[0]}, "bad_signature");
  refused({good[1]}, "bad_signature");
  refused(signed_headers("wrong", test_time), "bad_signature");
  refused(signed_headers("", test_time), "bad_signature");
  refused({good[0], {"X-Sig", good[1].second.substr(7)}}, "bad_signature");
  refused({good[0], {"X-Sig", good[1].second + "00"}}, "bad_signature");
  refused({good[0], {"X-Sig", "sha256="}}, "bad_signature");
  refused({good[0], {"X-Sig", "sha256=zz"}}, "bad_signature");
  refused({{"X-Time", seconds(test_time + 1'000'000)}, good[1]}, "bad_signature");
  refused(good, "bad_signature", body + " ");
  refused(signed_headers("s3cret", test_time - 301'000'000), "stale_signature");
  refused(signed_headers("s3cret", test_time + 301'000'000), "stale_signature");
}

TEST_CASE("hooks: a signed timestamp that is none is a bad signature") {
  asking at{with_secrets()};
  at.node.define_hook(signed_hook);
  for (const std::string stamp : {"soon", "-5", "99999999999999999999", "1e9"})
    check_refused(
      at,
      at.ask("POST", "/v1/hooks/shop", body,
             {{"X-Time", stamp},
              {"X-Sig", "sha256=" + hex(hmac_digest("sha256", "s3cret", stamp + "." + body))}}),
      401, "bad_signature");
}

TEST_CASE("hooks: a body that is no JSON, or that jq cannot map, is malformed") {
  asking at;
  at.node.define_hook(
    R"({"kind":"hook","source":"plain","preset":"none","type":".type","id":".id"})");
  for (const std::string text :
       {"", "a=b", "{", R"({"type":null,"id":"x"})", R"({"type":{},"id":"x"})",
        R"({"type":"t","id":""})", R"({"type":"t"})", R"([1])"})
    check_refused(at, at.ask("POST", "/v1/hooks/plain", text), 400, "malformed");
  check_refused(at, at.ask("POST", "/v1/hooks/plain", std::string(70, '[') + std::string(70, ']')),
                400, "too_deep");
  at.ask("POST", "/v1/hooks/plain", R"({"type":"t","id":17})");
  CHECK(at.node.routes[0].what.id == "17");
}

TEST_CASE("hooks: an unknown source is not found") {
  asking at;
  check_refused(at, at.ask("POST", "/v1/hooks/nosuch", "{}"), 404, "not_found");
  check_refused(at, at.ask("GET", "/v1/hooks/nosuch"), 404, "not_found");
}

TEST_CASE("hooks: a hook whose secrets cannot be read takes nothing") {
  asking at;
  at.node.define_hook(signed_hook);
  check_refused(at, at.ask("POST", "/v1/hooks/shop", body, signed_headers("s3cret", test_time)),
                503, "no_quorum");
}

TEST_CASE("hooks: a test says what would happen and stores nothing") {
  asking at{with_secrets()};
  at.node.define_hook(signed_hook);
  const auto got = at.ask("POST", "/v1/hooks/shop/test", body);
  CHECK(got->status() == 200);
  CHECK(got->body()["verified"] == false);
  CHECK(got->body()["refused"]["code"] == "bad_signature");
  CHECK(got->body()["event"]["type"] == "shop.paid");
  CHECK(at.node.untouched());
}

TEST_CASE("hooks: the list names what is taken, without secrets") {
  asking at;
  at.node.define_hook(signed_hook);
  const auto got = at.ask("GET", "/v1/hooks");
  CHECK(got->body()["items"][0]["source"] == "shop");
  CHECK(got->body()["items"][0]["preset"] == "hmac");
  CHECK(at.ask("GET", "/v1/hooks/shop")->body()["path"] == "/v1/hooks/shop");
}

TEST_CASE("signature: each algorithm and encoding checks, with RFC 4231 and RFC 2202 digests") {
  CHECK(hex(hmac_digest("sha256", "Jefe", "what do ya want for nothing?")) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(hex(hmac_digest("sha1", "Jefe", "what do ya want for nothing?")) ==
        "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
  CHECK(hex(hmac_digest("sha512", "Jefe", "what do ya want for nothing?"))
          .starts_with("164b7a7bfcf819e2e395fbe73b56e0a3"));
  CHECK(hmac_digest("md5", "Jefe", "x").empty());
  for (const std::string algorithm : {"sha1", "sha256", "sha512"})
    for (const std::string encoding : {"hex", "base64"}) {
      hmac_definition how;
      how.algorithm = algorithm;
      how.encoding = encoding;
      const auto digest = hmac_digest(algorithm, "k", "b");
      const auto request = net::http_request::make(
        "POST", "/", {{"X-Signature", encoding == "hex" ? hex(digest) : to_base64(digest)}}, "b");
      CHECK(check_signature(how, {"k"}, request, test_time));
      CHECK(!check_signature(how, {"other"}, request, test_time));
      CHECK(!check_signature(how, {}, request, test_time));
      CHECK(!check_signature(how, {""}, request, test_time));
    }
}

TEST_CASE("signature: a body that looks like a template is not one") {
  hmac_definition how;
  how.timestamp_header = "T";
  how.content_template = "{body}{timestamp}{x}{";
  const std::string stamp = seconds(test_time);
  const auto request = net::http_request::make(
    "POST", "/",
    {{"T", stamp},
     {"X-Signature", hex(hmac_digest("sha256", "k", "{timestamp}" + stamp + "{x}{"))}},
    "{timestamp}");
  CHECK(check_signature(how, {"k"}, request, test_time));
}

TEST_CASE("signature: timestamps may be milliseconds or RFC 3339") {
  hmac_definition how;
  how.timestamp_header = "T";
  for (const auto& stamp :
       {std::to_string(test_time / 1'000), std::string{"2026-09-21T16:13:25+02:00"}}) {
    const auto request = net::http_request::make(
      "POST", "/", {{"T", stamp}, {"X-Signature", hex(hmac_digest("sha256", "k", "b"))}}, "b");
    CHECK(check_signature(how, {"k"}, request, test_time));
    const auto late = check_signature(how, {"k"}, request, test_time + 600'000'000);
    REQUIRE(!late);
    CHECK(late.error().code == errc::stale_signature);
  }
}
