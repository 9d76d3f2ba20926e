#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "runtime/host/key_file.hpp"
#include "runtime/host/key_ring.hpp"
#include "runtime/host/sha256.hpp"

using namespace holdfast;
namespace fs = std::filesystem;

namespace {

constexpr time_us now = 1'790'000'000'000'000;

struct key_folder {
  fs::path path;
  key_folder() {
    auto name = (fs::temp_directory_path() / "holdfast-keys-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~key_folder() { fs::remove_all(path); }
  fs::path file() const { return path / "keys.yaml"; }
  std::string text() const {
    std::ifstream in{file()};
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
  }
};

api_key key_for(const std::string& name, const std::string& token, key_role role,
                std::vector<std::string> types = {}) {
  api_key out;
  out.hash = sha256(token);
  out.who.name = name;
  out.who.roles.add(role);
  out.who.scope.types = std::move(types);
  return out;
}

std::string token() {
  auto made = new_token();
  REQUIRE(made);
  return *made;
}

status add(std::vector<api_key>& keys, api_key key) {
  keys.push_back(std::move(key));
  return ok_status();
}

}  // namespace

TEST_CASE("sha256: known values") {
  CHECK(hex_text(sha256("")) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hex_text(sha256("abc")) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(bytes_of_hex("00fF") == std::string("\x00\xff", 2));
  CHECK_FALSE(bytes_of_hex("0"));
  CHECK_FALSE(bytes_of_hex("0g"));
}

TEST_CASE("keys: tokens look alike and are never the same") {
  std::set<std::string> all;
  std::set<char> last;
  for (int i = 0; i < 1'000; ++i) {
    const auto one = token();
    CHECK(looks_like_token(one));
    CHECK(one.size() == 55);
    all.insert(one);
    last.insert(one.back());
  }
  CHECK(all.size() == 1'000);
  CHECK(last == std::set<char>{'0', 'g'});  // of 260 bits the last four are no part of it
  const auto one = token();
  for (const auto& other : {std::string{}, std::string{"hf_"}, one + "0", one.substr(1),
                            "HF_" + one.substr(3), one.substr(0, 54) + "!", "hf-" + one.substr(3)})
    CHECK_FALSE(looks_like_token(other));
}

TEST_CASE("keys: a ring finds whose token it is, and nobody for any other") {
  std::vector<api_key> keys;
  std::vector<std::string> tokens;
  for (int i = 0; i < 100; ++i) {
    tokens.push_back(token());
    keys.push_back(key_for("k" + std::to_string(i), tokens.back(), key_role::viewer));
  }
  const key_ring ring{keys};
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto found = ring.find(tokens[i], now);
    REQUIRE(found);
    CHECK((*found)->name == "k" + std::to_string(i));
  }
  for (const auto& other : {token(), std::string{}, std::string{"hf_x"}, std::string(10'000, 'a'),
                            tokens[0] + " ", hex_text(sha256(tokens[0]))}) {
    const auto none = ring.find(other, now);
    REQUIRE_FALSE(none);
    CHECK(none.error().code == errc::unauthorised);
    CHECK((other.empty() || none.error().context.find(other) == std::string::npos));
  }
  CHECK_FALSE(key_ring{{}}.find(tokens[0], now));
}

TEST_CASE("keys: a key ends when it expires") {
  const auto one = token();
  auto key = key_for("k", one, key_role::viewer);
  key.who.expires = now;
  const key_ring ring{{key}};
  const auto before = ring.find(one, now - 1);
  REQUIRE(before);
  CHECK(ring.holds(**before, now - 1));
  CHECK_FALSE(ring.holds(**before, now));
  CHECK(ring.find(one, now).error().context.find("expired") != std::string::npos);
}

TEST_CASE("keys: what was opened with a key goes on while the key stays as it was") {
  const auto a = token();
  const auto b = token();
  const std::vector<api_key> keys{key_for("a", a, key_role::viewer),
                                  key_for("b", b, key_role::admin)};
  const key_ring first{keys};
  const auto who_a = *first.find(a, now);
  const auto who_b = *first.find(b, now);
  auto changed = keys;
  changed[1].who.scope.types = {"support"};
  const key_ring second{changed, &first};
  CHECK(second.holds(*who_a, now));
  CHECK_FALSE(second.holds(*who_b, now));
  CHECK((*second.find(b, now))->scope.types.size() == 1);
  CHECK_FALSE(key_ring({keys[1]}, &second).holds(*who_a, now));
}

TEST_CASE("keys: what is written reads back the same") {
  std::vector<api_key> keys{key_for("ci", "a", key_role::developer, {"support", "billing-2"}),
                            key_for("ops@example.com", "b", key_role::controller)};
  keys[0].who.expires = 1'790'000'000'123'000;
  keys[1].who.roles.add(key_role::developer);
  const auto text = render_keys(keys);
  const auto back = parse_keys(text);
  REQUIRE(back.problems.empty());
  CHECK(back.keys == keys);
  CHECK(parse_keys(render_keys({})).problems.empty());
  CHECK(parse_keys(render_keys({})).keys.empty());
  CHECK_FALSE(parse_keys("").problems.empty());
  CHECK_FALSE(parse_keys("key: []").problems.empty());
  CHECK_FALSE(parse_keys("keys: []\n---\nkeys: []\n").problems.empty());
}

TEST_CASE("keys: a file is made for its owner only, and replaced whole") {
  const key_folder folder;
  CHECK(read_key_file(folder.file()).error().code == errc::not_found);
  REQUIRE(change_key_file(
    folder.file(), [](auto& keys) { return add(keys, key_for("a", "1", key_role::viewer)); }));
  struct stat made {};
  REQUIRE(::stat(folder.file().c_str(), &made) == 0);
  CHECK((made.st_mode & 0777) == 0600);
  REQUIRE(change_key_file(
    folder.file(), [](auto& keys) { return add(keys, key_for("b", "2", key_role::admin)); }));
  const auto both = read_key_file(folder.file());
  REQUIRE(both);
  CHECK(both->size() == 2);
  struct stat replaced {};
  REQUIRE(::stat(folder.file().c_str(), &replaced) == 0);
  CHECK(replaced.st_ino != made.st_ino);
  const auto before = folder.text();
  CHECK(change_key_file(folder.file(),
                        [](auto& keys) -> status {
                          keys.clear();
                          return error{errc::conflict, "no"};
                        })
          .error()
          .code == errc::conflict);
  CHECK(folder.text() == before);
  CHECK(std::distance(fs::directory_iterator{folder.path}, {}) == 1);
}

TEST_CASE("keys: changes from several sides are all there") {
  const key_folder folder;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 4; ++writer)
    writers.emplace_back([&, writer] {
      for (int i = 0; i < 10; ++i) {
        const auto name = "k" + std::to_string(writer * 10 + i);
        const auto done = change_key_file(folder.file(), [&](auto& keys) {
          return add(keys, key_for(name, name, key_role::viewer));
        });
        CHECK(done);
      }
    });
  for (auto& one : writers)
    one.join();
  CHECK(read_key_file(folder.file())->size() == 40);
}

TEST_CASE("keys: a file that does not read is named with its line") {
  const key_folder folder;
  std::ofstream{folder.file()} << "keys:\n  - name: a\n    roles: [vewer]\n    hash: x\n";
  ::chmod(folder.file().c_str(), 0600);
  const auto refused = read_key_file(folder.file());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::schema);
  CHECK(refused.error().context.starts_with(folder.file().string() + ":"));
  std::ofstream{folder.file()} << "keys: []\n";
  ::chmod(folder.file().c_str(), 0602);
  CHECK(read_key_file(folder.file()).error().context.find("everybody may write") !=
        std::string::npos);
  CHECK_FALSE(read_key_file(folder.path));
}

TEST_CASE("keys: names that the audit log uses itself, or that could steer a terminal, are none") {
  for (const auto* good : {"ci", "a", "A.b_c-d@e", "0"})
    CHECK(is_key_name(good));
  for (const auto& bad : {std::string{}, std::string{"local"}, std::string{"holdfast"},
                          std::string{"a b"}, std::string{"-a"}, std::string{"a\n"},
                          std::string{"ä"}, std::string(65, 'a'), std::string{"a\"b"}})
    CHECK_FALSE(is_key_name(bad));
}
