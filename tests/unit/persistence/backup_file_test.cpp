#include "persistence/backup_file.hpp"

#include <xxhash.h>

#include <cstdlib>
#include <fstream>

#include "persistence/memory_store.hpp"
#include "tests/unit/persistence/group_fixture.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

backup_header small_header() {
  return {2, 1, 1'795'248'000'123'456, 1'795'248'000'123'456, "prod", "n1", "0.1.0", {0, 1, 2}};
}

/// Three groups with a few rows, the same every time.
memory_store small_store() {
  memory_store out;
  write_set writes;
  for (group_id group = 0; group <= 2; ++group) {
    writes.put(family::meta, keys::partition_state(group), "state of " + std::to_string(group));
    for (int i = 0; i < group * 3; ++i)
      writes.put(family::snapshot, keys::group(group).lower + "t/" + std::to_string(i),
                 std::string(static_cast<std::size_t>(i), 'v'));
  }
  REQUIRE(out.write(writes, true));
  return out;
}

/// In chunks of at most that many bytes.
std::string written(const reader& from, std::size_t chunk_bytes = 200) {
  backup_writer writer;
  auto out = writer.begin(small_header());
  for (const auto group : small_header().groups) {
    std::string position;
    for (bool more = true; more;) {
      auto chunk = chunk_of(from, group, position, chunk_bytes);
      out += writer.chunk(chunk.bytes);
      position = chunk.next;
      more = !chunk.last;
    }
    out += writer.end_group({group, 40U + group, 7, hash_of_state(from, group)});
  }
  out += writer.end();
  CHECK(writer.bytes() == out.size());
  return out;
}

/// In pieces of that many bytes; `ok` only when it is whole.
errc read_as(std::string_view bytes, std::size_t piece = 1'000'000) {
  backup_reader reader{{}};
  for (std::size_t at = 0; at < bytes.size(); at += piece)
    if (auto fed = reader.feed(bytes.substr(at, piece)); !fed)
      return fed.error().code;
  const auto whole = reader.finish();
  return whole ? errc::ok : whole.error().code;
}

std::string backup_hex(std::string_view bytes) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const unsigned char byte : bytes) {
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  return out;
}

}  // namespace

TEST_CASE("backup file: what is written is read again, however the bytes come") {
  const auto from = small_store();
  const auto bytes = written(from);
  for (const std::size_t piece : {1U, 7U, 100U, 100'000U}) {
    std::optional<backup_header> header;
    std::vector<backup_group> groups;
    std::map<group_id, std::unique_ptr<group_import>> imports;
    memory_store into;
    backup_reader::events on;
    on.header = [&](const backup_header& one) {
      header = one;
      return ok_status();
    };
    on.chunk = [&](std::string_view chunk) {
      const auto group = static_cast<group_id>(groups.size());
      if (!imports.contains(group)) {
        auto begun = into.import_group(group);
        REQUIRE(begun);
        imports.emplace(group, std::move(*begun));
      }
      return imports.at(group)->add(chunk);
    };
    on.group = [&](const backup_group& one) {
      groups.push_back(one);
      REQUIRE(imports.at(one.group)->complete());
      return imports.at(one.group)->install({});
    };
    backup_reader reader{std::move(on)};
    for (std::size_t at = 0; at < bytes.size(); at += piece)
      REQUIRE(reader.feed(std::string_view{bytes}.substr(at, piece)));
    REQUIRE(reader.finish());
    CHECK(reader.bytes() == bytes.size());
    REQUIRE(header);
    CHECK(*header == small_header());
    REQUIRE(groups.size() == 3);
    CHECK(groups[2].applied == 42);
    CHECK(groups[2].term == 7);
    for (const auto& one : groups) {
      CHECK(one.state_hash == hash_of_state(from, one.group));
      CHECK(one.state_hash == hash_of_state(into, one.group));
    }
  }
}

TEST_CASE("backup file: one that was cut short anywhere is refused") {
  const auto bytes = written(small_store());
  for (std::size_t size = 0; size < bytes.size(); ++size)
    if (read_as(std::string_view{bytes}.substr(0, size)) != errc::corrupt)
      FAIL("taken, cut short to ", size, " of ", bytes.size());
  CHECK(read_as(bytes) == errc::ok);
  CHECK(read_as(bytes + "x") == errc::corrupt);
  CHECK(read_as(bytes + bytes) == errc::corrupt);
}

TEST_CASE("backup file: one with a changed byte anywhere is refused") {
  auto bytes = written(small_store());
  for (std::size_t at = 0; at < bytes.size(); ++at)
    for (const char flip : {'\x01', '\x80'}) {
      bytes[at] = static_cast<char>(bytes[at] ^ flip);
      if (read_as(bytes) != errc::corrupt)
        FAIL("taken, with byte ", at, " of ", bytes.size(), " changed");
      bytes[at] = static_cast<char>(bytes[at] ^ flip);
    }
}

TEST_CASE("backup file: one of a newer format, or with parts of one, asks for that version") {
  constexpr std::size_t magic = 16;
  constexpr std::size_t head = 5;
  backup_writer writer;
  const auto begin = writer.begin(small_header());
  const auto part = writer.chunk("what a newer version says");
  // With that byte of the section changed, as somebody would who means it.
  const auto meant = [](std::string section, std::size_t place, char to) {
    section[place] = to;
    const auto summed = section.size() - 8;
    const auto sum = XXH3_64bits(section.data(), summed);
    for (std::size_t i = 0; i < 8; ++i)
      section[summed + i] = static_cast<char>(static_cast<std::uint8_t>(sum >> (56 - 8 * i)));
    return section;
  };
  const auto refusal_of = [](const std::string& bytes) {
    backup_reader reader{{}};
    const auto fed = reader.feed(bytes);
    return fed ? std::string{} : fed.error().context;
  };
  const auto header = begin.substr(magic);
  CHECK(refusal_of(begin.substr(0, magic) + meant(header, head, '\x01')).empty());
  CHECK(refusal_of(begin.substr(0, magic) + meant(header, head, '\x02')).find("newer one") !=
        std::string::npos);
  CHECK(refusal_of(begin + meant(part, 0, 'Z')).find("newer one") != std::string::npos);
}

TEST_CASE("backup file: parts in another order, left out or of another state are refused") {
  const auto from = small_store();
  backup_writer writer;
  const auto begin = writer.begin(small_header());
  std::vector<std::string> parts;
  for (const auto group : small_header().groups) {
    parts.push_back(writer.chunk(chunk_of(from, group).bytes));
    parts.push_back(writer.end_group({group, 1, 1, hash_of_state(from, group)}));
  }
  const auto end = writer.end();
  const auto joined = [&](const std::vector<std::size_t>& order) {
    auto out = begin;
    for (const auto i : order)
      out += parts[i];
    return out + end;
  };
  CHECK(read_as(joined({0, 1, 2, 3, 4, 5})) == errc::ok);
  CHECK(read_as(joined({2, 3, 0, 1, 4, 5})) == errc::corrupt);
  CHECK(read_as(joined({0, 1, 2, 3})) == errc::corrupt);
  CHECK(read_as(joined({0, 1, 3, 4, 5})) == errc::corrupt);
  CHECK(read_as(joined({0, 0, 1, 2, 3, 4, 5})) == errc::corrupt);
  CHECK(read_as(parts[0] + end) == errc::corrupt);
  CHECK(read_as(begin + begin) == errc::corrupt);
  backup_writer other;
  auto lies = other.begin(small_header()) + other.chunk(chunk_of(from, 0).bytes);
  lies += other.end_group({0, 1, 1, hash_of_state(from, 1)});
  CHECK(read_as(lies) == errc::corrupt);
}

TEST_CASE("backup file: its bytes are those in tests/golden/backup.hex") {
  const std::string path = HOLDFAST_SOURCE_DIR "/tests/golden/backup.hex";
  const auto bytes = written(small_store());
  if (const char* write = std::getenv("HOLDFAST_GOLDEN_WRITE"); write && *write == '1')
    std::ofstream{path} << "backup " << backup_hex(bytes) << '\n';
  std::ifstream file{path};
  std::string name;
  std::string pinned;
  file >> name >> pinned;
  CHECK(name == "backup");
  CHECK(pinned == backup_hex(bytes));
}
