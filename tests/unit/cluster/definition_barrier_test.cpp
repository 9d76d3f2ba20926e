#include "cluster/definition_barrier.hpp"

#include <doctest/doctest.h>

using namespace holdfast;

namespace {

link::node_status with_definitions(std::uint64_t index) {
  link::node_status out;
  out.definitions = index;
  return out;
}

}  // namespace

TEST_CASE("definition_barrier: who waits is called back when every node that is heard has them") {
  definition_barrier barrier;
  peers_heard heard;
  heard.take("n2", with_definitions(10), 1'000, 0);
  heard.take("n3", with_definitions(9), 1'000, 0);
  int called = 0;
  barrier.wait(10, 1'000, [&] { ++called; });
  barrier.tick(1'010, heard);
  CHECK(called == 0);
  heard.take("n3", with_definitions(11), 1'020, 0);
  barrier.tick(1'020, heard);
  barrier.tick(1'030, heard);
  CHECK(called == 1);
  CHECK(barrier.late() == 0);
}

TEST_CASE("definition_barrier: nobody waits for longer than two seconds, and that is counted") {
  definition_barrier barrier;
  peers_heard heard;
  heard.take("n2", with_definitions(9), 1'000, 0);
  int called = 0;
  barrier.wait(10, 1'000, [&] { ++called; });
  barrier.tick(1'000 + definition_barrier::wait_ms_max - 1, heard);
  CHECK(called == 0);
  barrier.tick(1'000 + definition_barrier::wait_ms_max, heard);
  CHECK(called == 1);
  CHECK(barrier.late() == 1);
}

TEST_CASE("definition_barrier: whoever is called back may wait again") {
  definition_barrier barrier;
  const peers_heard nobody;
  int called = 0;
  barrier.wait(1, 0, [&] { barrier.wait(2, 0, [&] { ++called; }); });
  barrier.tick(1, nobody);
  CHECK(called == 0);
  barrier.tick(2, nobody);
  CHECK(called == 1);
}

TEST_CASE(
  "definition_barrier: what is applied is said to be read only when nothing is to be read") {
  definition_barrier barrier;
  CHECK(barrier.read_up_to(5) == 5);
  barrier.change();
  barrier.change();
  CHECK(barrier.read_up_to(7) == 0);
  barrier.read(6);
  CHECK(barrier.read_up_to(8) == 6);
  barrier.read(4);  // never back
  CHECK(barrier.read_up_to(8) == 8);
}
