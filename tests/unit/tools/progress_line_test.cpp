// How far long work has come, as it is said on stderr.

#include "tools/holdfast/progress_line.hpp"

#include <doctest/doctest.h>

#include <sstream>

using namespace holdfast::cli;
using namespace std::chrono_literals;

namespace {

struct told_progress {
  std::ostringstream out;
  std::ostringstream err;
  console to;
  progress_line::clock::time_point now{};
  progress_line line{to, [this] { return now; }};

  explicit told_progress(bool terminal, std::size_t columns = 0)
    : to(out, err, {.columns = columns, .talk_is_terminal = terminal}) {}

  /// What is said of that many bytes, that much later.
  std::string after(std::chrono::milliseconds time, std::uint64_t bytes) {
    now += time;
    err.str({});
    line.show({"restored", 0, 0, bytes, 0});
    return err.str();
  }
};

}  // namespace

TEST_CASE("progress_line: sizes have the unit that their rounded number fits") {
  CHECK(size_text(0) == "0 B");
  CHECK(size_text(999) == "999 B");
  CHECK(size_text(1'000) == "1 kB");
  CHECK(size_text(999'499) == "999 kB");
  CHECK(size_text(999'500) == "1 MB");
  CHECK(size_text(310'400'000) == "310 MB");
  CHECK(size_text(999'999'999) == "1.0 GB");
  CHECK(size_text(1'249'999'999) == "1.2 GB");
  CHECK(size_text(1'250'000'000) == "1.3 GB");
  CHECK(size_text(100'000'000'000) == "100.0 GB");
  CHECK(size_text(12'340'000'000'000) == "12.3 TB");
  CHECK(size_text(18'000'000'000'000'000'000U) == "18000000.0 TB");
}

TEST_CASE("progress_line: what is not known is left out") {
  CHECK(progress_text({"restored", 12, 25, 310'000'000, 1'200'000'000}) ==
        "restored 12 of 25 partitions, 310 MB of 1.2 GB");
  CHECK(progress_text({"backed up", 0, 25, 310'000'000, 0}) ==
        "backed up 0 of 25 partitions, 310 MB");
  CHECK(progress_text({"checked", 0, 0, 5'000'000, 1'200'000'000}) == "checked 5 MB of 1.2 GB");
  CHECK(progress_text({"checked", 0, 0, 0, 0}) == "checked 0 B");
}

TEST_CASE("progress_line: without a terminal a line every ten seconds, the first after ten") {
  told_progress told{false};
  CHECK(told.after(0ms, 1'000).empty());
  CHECK(told.after(9'999ms, 2'000).empty());
  CHECK(told.after(1ms, 3'000) == "restored 3 kB\n");
  CHECK(told.after(9'999ms, 4'000).empty());
  CHECK(told.after(60'000ms, 5'000) == "restored 5 kB\n");
  told.err.str({});
  told.line.end();
  CHECK(told.err.str().empty());
  CHECK(told.out.str().empty());
}

TEST_CASE("progress_line: on a terminal one line in its place, twice a second, gone at the end") {
  told_progress told{true};
  CHECK(told.after(499ms, 1'000).empty());
  told.line.end();
  CHECK(told.err.str().empty());  // there was none
  CHECK(told.after(1ms, 999'000) == "\rrestored 999 kB");
  CHECK(told.after(499ms, 2'000'000).empty());
  CHECK(told.after(1ms, 2'000'000) == "\rrestored 2 MB  ");  // over all of the one before
  told.err.str({});
  told.line.end();
  CHECK(told.err.str() == "\r             \r");
  told.err.str({});
  told.line.end();
  CHECK(told.err.str().empty());
}

TEST_CASE("progress_line: a narrow terminal gets what fits, and the line stays one") {
  told_progress told{true, 11};
  CHECK(told.after(500ms, 2'000'000) == "\rrestored …");
}
