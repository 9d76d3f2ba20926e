#include "schemas/ids.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <random>
#include <vector>

using namespace holdfast;

namespace {

sortable_id random_id(std::mt19937_64& random) {
  sortable_id id;
  for (auto& byte : id.bytes)
    byte = static_cast<std::uint8_t>(random());
  return id;
}

struct pinned_group {
  std::uint64_t hash = 0;
  group_id group = 0;
  std::string name;
};

std::vector<pinned_group> pinned_groups() {
  std::ifstream file{HOLDFAST_SOURCE_DIR "/tests/golden/groups.txt"};
  std::vector<pinned_group> out;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.front() == '#')
      continue;
    pinned_group row;
    std::from_chars(line.data(), line.data() + 16, row.hash, 16);
    row.group = static_cast<group_id>(std::stoi(line.substr(17, 2)));
    row.name = line.substr(20);
    out.push_back(std::move(row));
  }
  return out;
}

}  // namespace

TEST_CASE("a name hashes to the group that tests/golden/groups.txt pins") {
  const auto rows = pinned_groups();
  REQUIRE(rows.size() >= 12);
  for (const auto& [hash, group, text] : rows) {
    CAPTURE(text);
    const auto slash = text.find('/');
    const agent_name name{text.substr(0, slash), text.substr(slash + 1)};
    CHECK(hash_of(name) == hash);
    CHECK(group_of(name, partitions_default) == group);
    CHECK(group_of(std::string_view{text}, partitions_default) == group);
    CHECK(group_of(name, 1) == 1);
  }
}

TEST_CASE("a name too long to be valid hashes like its text") {
  const agent_name name{std::string(400, 't'), std::string(4'000, 'k')};
  CHECK(group_of(name, 24) == group_of(std::string_view{to_string(name)}, 24));
}

TEST_CASE("the text of ids sorts like their bytes") {
  std::mt19937_64 random{1};
  std::vector<sortable_id> ids{sortable_id{}};
  for (int i = 0; i < 2'000; ++i) {
    ids.push_back(random_id(random));
    if (i % 2 == 0) {  // differs from the one before in one bit
      auto near = ids.back();
      near.bytes[random() % 16] ^= static_cast<std::uint8_t>(1 << random() % 8);
      ids.push_back(near);
    }
  }
  std::sort(ids.begin(), ids.end());
  for (std::size_t i = 1; i < ids.size(); ++i) {
    CHECK((ids[i - 1] < ids[i]) == (to_text(ids[i - 1]) < to_text(ids[i])));
    CHECK((ids[i - 1] == ids[i]) == (to_text(ids[i - 1]) == to_text(ids[i])));
  }
}

TEST_CASE("a later id sorts after an earlier one, whatever else is in it") {
  const auto earlier = make_id(1'795'000'000'000'000, 65'535, ~std::uint64_t{0}, ~std::uint64_t{0});
  const auto later = make_id(1'795'000'000'000'001, 0, 0, 0);
  CHECK(earlier < later);
  CHECK(to_text(earlier) < to_text(later));
}

TEST_CASE("an id says its time, group and owner") {
  const auto id = make_id(1'795'248'000'123'456, 24, 0x123456789ABCDEF0, 0x1FFFF);
  CHECK(id.time() == 1'795'248'000'123'456);
  CHECK(id.group() == 24);
  CHECK(id.owner() == 0x9ABCDEF0);
  CHECK(id.bytes[14] == 0xFF);
  CHECK(id.bytes[15] == 0xFF);
  CHECK(id_from_bytes(id.view()) == id);
  CHECK(id_from_bytes("too short").empty());
}

TEST_CASE("ids come back from their text") {
  std::mt19937_64 random{2};
  for (int i = 0; i < 500; ++i) {
    const auto id = random_id(random);
    CHECK(to_text(id).size() == 26);
    CHECK(*id_from_text(to_text(id)) == id);
    CHECK(*parse_event_id(to_string(event_id{id})) == event_id{id});
    CHECK(*parse_run_id(to_string(run_id{id})) == run_id{id});
    const effect_id effect{run_id{id}, static_cast<std::uint32_t>(random())};
    CHECK(*parse_effect_id(to_string(effect)) == effect);
  }
}

TEST_CASE("the text of an id is pinned") {
  const run_id run{make_id(1'795'248'000'123'456, 5, 0xABCD, 7)};
  CHECK(to_string(run) == "run_000sgc9ftmr900018002nwt007");
  CHECK(to_string(effect_id{run, 12}) == "eff_000sgc9ftmr900018002nwt007_12");
  CHECK(idempotency_key({"echo", "a/b"}, {run, 12}) ==
        "echo/a/b/run_000sgc9ftmr900018002nwt007/12");
}

TEST_CASE("what is not an id is malformed") {
  const std::string good = to_text(make_id(1, 2, 3, 4));
  for (std::string bad :
       {std::string{}, good.substr(1), good + "0", "8" + good.substr(1), good.substr(0, 25) + "u",
        good.substr(0, 25) + "A", good.substr(0, 25) + "-", good.substr(0, 24) + "\xc3\xa9"}) {
    CAPTURE(bad);
    for (const auto& code :
         {parse_run_id("run_" + bad).error().code, parse_event_id("evt_" + bad).error().code,
          parse_effect_id("eff_" + bad + "_1").error().code})
      CHECK(code == errc::malformed);
  }
  CHECK_FALSE(parse_run_id("evt_" + good));
  CHECK_FALSE(parse_event_id(good));
  for (std::string bad :
       {"eff_" + good, "eff_" + good + "_", "eff_" + good + "_1x", "eff_" + good + "_-1",
        "eff_" + good + "_4294967296", std::string{"eff_"}, std::string{"eff__1"}})
    CHECK_FALSE(parse_effect_id(bad));
}

TEST_CASE("an agent's name is split at the first slash") {
  const auto name = parse_agent_name("payment-recovery/cus/42");
  REQUIRE(name);
  CHECK(name->type == "payment-recovery");
  CHECK(name->key == "cus/42");
  CHECK(to_string(*name) == "payment-recovery/cus/42");
  for (auto bad :
       {"", "payment-recovery", "/key", "Type/key", "9a/key", "a_b/key", "a b/key", "-a/key"})
    CHECK(parse_agent_name(bad).error().code == errc::malformed);
  CHECK(parse_agent_name(std::string(63, 'a') + "/k"));
  CHECK(parse_agent_name(std::string(64, 'a') + "/k").error().code == errc::malformed);
  CHECK(parse_agent_name("echo/").error().code == errc::invalid_key);
}

TEST_CASE("a key is 1 to 256 bytes of UTF-8 without control characters") {
  using namespace std::string_literals;
  for (const auto& good :
       {"k"s, std::string(256, 'k'), "Zoë"s, "日本語"s, "🦀"s, " "s, "a/b?c=d#e%20"s, "\xc2\xa0"s,
        "\xed\x9f\xbf"s, "\xee\x80\x80"s, "\xf4\x8f\xbf\xbf"s})
    CHECK_MESSAGE(check_key(good), good);
  const std::vector<std::string> bad{
    "",  // empty
    std::string(257, 'k'),
    "a\nb",
    "\t",
    "a\0b"s,
    "\x1f",
    "\x7f",  // control characters
    "\xc2\x80",
    "a\xc2\x9f",  // … of the second block
    "\x80",
    "a\xff",
    "\xc3",
    "\xe2\x82",
    "\xf0\x9f\xa6",  // not UTF-8: alone, cut short
    "\xc0\xaf",
    "\xc1\xbf",
    "\xe0\x80\xaf",
    "\xf0\x80\x80\xaf",  // longer than needed
    "\xed\xa0\x80",
    "\xed\xbf\xbf",  // surrogates
    "\xf4\x90\x80\x80",
    "\xf5\x80\x80\x80",  // beyond U+10FFFF
    "\xe2\x28\xa1",
    "\xc3(",
  };
  for (const auto& key : bad) {
    auto checked = check_key(key);
    REQUIRE_FALSE_MESSAGE(checked, key);
    CHECK(checked.error().code == errc::invalid_key);
  }
}

TEST_CASE("a digest depends on where its parts begin") {
  CHECK(digest_of({"ab", "c"}) != digest_of({"a", "bc"}));
  CHECK(digest_of({"abc"}) != digest_of({"abc", ""}));
  CHECK(digest_of({"abc"}) == digest_of({"abc"}));
  const auto digest = digest_of({"abc"});
  CHECK(digest_from_bytes(digest.view()) == digest);
  CHECK(digest_from_bytes("abc").empty());
  CHECK(to_hex(digest).size() == 32);
}
