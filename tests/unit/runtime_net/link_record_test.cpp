#include "runtime/net/link_record.hpp"

#include <doctest/doctest.h>
#include <algorithm>
#include <vector>

using namespace holdfast::net;

namespace {

struct record_stream {
  std::string bytes;
  void add(link_record_kind kind, const std::string& body) {
    append_record_head(bytes, kind, body.size());
    bytes += body;
  }

  /// What a reader makes of it that gets `piece` bytes at a time.
  std::vector<link_record> read(link_record_reader& reader, size_t piece) const {
    std::vector<link_record> out;
    link_record record;
    std::string_view rest = bytes;
    while (!rest.empty() && reader.failure().empty()) {
      const auto room = reader.direct();
      auto input = rest.substr(0, room.empty() ? piece : std::min(piece, room.size()));
      rest.remove_prefix(input.size());
      if (!room.empty()) {
        std::copy(input.begin(), input.end(), room.begin());
        if (reader.filled(input.size(), record))
          out.push_back(record);
      } else {
        while (reader.next(input, record))
          out.push_back(record);
      }
    }
    return out;
  }
};

}  // namespace

TEST_CASE("link_record: what was put in comes out, cut anywhere") {
  const std::string large(100'000, 'l');
  record_stream s;
  s.add(link_record_kind::welcome, "");
  s.add(link_record_kind::frame, "one");
  s.add(link_record_kind::frame, "");
  append_start(s.bytes, 200'000);
  s.add(link_record_kind::part, large);
  append_credit(s.bytes, 0x0102030405060708);
  s.add(link_record_kind::part, std::string(99'999, 'm'));
  s.add(static_cast<link_record_kind>('?'), "from the future");
  s.add(link_record_kind::part, "n");
  s.add(link_record_kind::frame, std::string(50'000, 'o'));
  for (const size_t piece : {1u, 2u, 7u, 1'000u, 16'384u, 70'000u, 1'000'000u}) {
    link_record_reader reader{200'000};
    const auto out = s.read(reader, piece);
    CHECK(reader.failure() == "");
    REQUIRE(out.size() == 7);
    CHECK(out[0].kind == link_record_kind::welcome);
    CHECK(out[1].body == "one");
    CHECK(out[2].body == "");
    CHECK(out[3].credit() == 0x0102030405060708);
    CHECK(out[4].body == "from the future");
    CHECK(out[5].kind == link_record_kind::frame);
    CHECK((out[5].body == large + std::string(99'999, 'm') + "n"));
    CHECK((out[6].body == std::string(50'000, 'o')));
  }
}

TEST_CASE("link_record: what breaks the format or a limit is not read on") {
  record_stream s;
  std::string failure;
  bool too_large = false;
  SUBCASE("a frame over the limit") {
    s.add(link_record_kind::frame, std::string(101, 'x'));
    failure = "a frame of 101 bytes, over the limit of 100";
    too_large = true;
  }
  SUBCASE("a frame in parts over the limit, as soon as it is announced") {
    append_start(s.bytes, 4'000'000'000);
    failure = "a frame of 4000000000 bytes, over the limit of 100";
    too_large = true;
  }
  SUBCASE("a control record over the limit") {
    s.add(link_record_kind::credit, std::string(1'025, 'x'));
    failure = "a control record of 1025 bytes, over the limit of 1024";
    too_large = true;
  }
  SUBCASE("a part without a start") {
    s.add(link_record_kind::part, "x");
    failure = "a part that does not belong to a frame";
  }
  SUBCASE("more parts than were announced") {
    append_start(s.bytes, 3);
    s.add(link_record_kind::part, "xx");
    s.add(link_record_kind::part, "xx");
    failure = "a part that does not belong to a frame";
  }
  SUBCASE("an empty part, of which there could be any number") {
    append_start(s.bytes, 3);
    s.add(link_record_kind::part, "");
    failure = "a part that does not belong to a frame";
  }
  SUBCASE("a frame between parts") {
    append_start(s.bytes, 3);
    s.add(link_record_kind::frame, "x");
    failure = "a frame within another";
  }
  SUBCASE("a start within a start") {
    append_start(s.bytes, 3);
    append_start(s.bytes, 3);
    failure = "a frame within another, or an empty one in parts";
  }
  s.add(link_record_kind::frame, "never seen");
  for (const size_t piece : {1u, 1'000'000u}) {
    link_record_reader reader{100};
    CHECK(s.read(reader, piece).empty());
    CHECK(reader.failure() == failure);
    CHECK(reader.too_large() == too_large);
  }
}
