#include "cluster/worker_thread.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>

using namespace holdfast;

TEST_CASE("worker_thread: what is queued when it stops is run, and what that posts") {
  std::atomic<int> done{0};
  worker_thread worker;
  worker.post([&] {
    ++done;
    worker.post([&] {
      ++done;
      worker.post([&] { ++done; });
    });
  });
  worker.stop();
  CHECK(done == 3);
}

TEST_CASE(
  "worker_thread: what is posted after it has stopped is not run, and nothing of it is kept") {
  worker_thread worker;
  worker.stop();
  auto held = std::make_shared<int>(0);
  worker.post([held] { ++*held; });
  CHECK(held.use_count() == 1);
  CHECK(*held == 0);
}
