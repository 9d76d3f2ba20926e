// The durable commit alone, in one process: turn records through the local log, the state machine and RocksDB; and what
// it is compared with. Prints one line of JSON.

#include <fcntl.h>
#include <rocksdb/db.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "persistence/local_log.hpp"
#include "persistence/rocksdb_store.hpp"
#include "runtime/core/apply.hpp"
#include "schemas/codec.hpp"
#include "tools/bench/closed_loop.hpp"
#include "tools/bench/process_meter.hpp"
#include "tools/bench/socket.hpp"

namespace holdfast::bench {
namespace {

constexpr std::uint32_t agent_count = 1'024;

struct settings {
  std::string what = "log";
  std::string dir;
  std::size_t outstanding = 64;
  std::size_t record_bytes = 512;
  std::size_t batch = 64;  ///< append only: records per fdatasync
  double seconds = 5;
  double warmup = 0.5;
};

std::chrono::nanoseconds of_seconds(double seconds) {
  return std::chrono::nanoseconds{static_cast<std::int64_t>(seconds * 1e9)};
}

nlohmann::json describe(const loop_result& result, const process_meter& used) {
  const auto operations = static_cast<double>(std::max<std::uint64_t>(result.operations, 1));
  return {{"rate_per_s", operations / result.seconds},
          {"p50_ms", result.latency.quantile_ms(0.5)},
          {"p99_ms", result.latency.quantile_ms(0.99)},
          {"cpu_us_per_op", used.cpu_us() / operations},
          {"handoffs_per_op", used.handoffs() / operations}};
}

// ---- the log ---------------------------------------------------------------------------------------------------------

/// One agent's turns: an event arrives, its run starts and completes with the event's data, in one record (as `echo`).
struct turn_source {
  std::string key;
  group_id group = 0;
  seq_no seq = 0;
  std::uint64_t mailbox = 0;

  std::shared_ptr<const turn_record> next(time_us at, const std::string& data) {
    auto record = std::make_shared<turn_record>();
    record->at = at;
    record->agent = {"bench", key};
    record->first_seq = seq + 1;
    const event_id id{make_id(at, group, hash_of(record->agent), mailbox + 1)};
    event_received received;
    received.mailbox_no = ++mailbox;
    received.id = id;
    received.run = run_id{id.id};
    received.event.type = "bench.event";
    received.event.data = data;
    received.verified = "none";
    run_started started;
    started.run = received.run;
    started.version = 1;
    started.mailbox_no = mailbox;
    started.event_seq = seq + 1;
    started.event = id;
    started.message_base = 1;
    record->facts.reserve(3);
    record->facts.emplace_back(std::move(received));
    record->facts.emplace_back(std::move(started));
    record->facts.emplace_back(run_completed{run_id{id.id}, data});
    seq += 3;
    return record;
  }
};

time_us wall_now() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
           std::chrono::system_clock::now().time_since_epoch())
    .count();
}

/// Data of such a length that a record has `bytes` bytes.
std::string data_for(std::size_t bytes) {
  turn_source probe{"k0000", 1, 0, 0};
  const std::size_t bare = codec::encode(*probe.next(wall_now(), "")).size();
  if (bytes < bare + 16)
    give_up("a record has at least " + std::to_string(bare + 16) + " bytes");
  std::string data(1, '"');
  data.append((bytes - bare) / 2 - 4, 'x');
  return data + '"';
}

/// Tells the producer which agents have their turn committed.
class reporting_listener final : public commit_listener {
public:
  explicit reporting_listener(completions& done) : done_(done) {}
  void leading(group_id group, std::uint64_t term) override { terms[group] = term; }
  void committed(group_id, std::uint64_t, std::uint64_t,
                 std::vector<std::shared_ptr<const turn_record>> records) override {
    numbers_.clear();
    for (const auto& record : records)
      numbers_.push_back(
        static_cast<std::uint32_t>(std::strtoul(record->agent.key.c_str() + 1, nullptr, 10)));
    done_.add(numbers_);
  }
  void lost(group_id, std::uint64_t, errc) override { give_up("the log was lost"); }
  std::map<group_id, std::uint64_t> terms;

private:
  completions& done_;
  std::vector<std::uint32_t> numbers_;
};

nlohmann::json measure_log(const settings& s) {
  auto opened = open_rocksdb({s.dir, 1ULL << 30, true, false});
  if (!opened)
    give_up(opened.error().context);
  fact_machine machine;
  completions done;
  reporting_listener listener{done};
  local_log log{**opened, machine, listener};
  std::vector<group_id> groups;
  for (group_id group = 0; group <= partitions_default; ++group)
    groups.push_back(group);
  if (auto started = log.start(groups); !started)
    give_up(started.error().context);

  std::vector<turn_source> agents;
  for (std::uint32_t i = 0; i < agent_count; ++i) {
    const agent_name name{"bench", "k" + std::to_string(i)};
    agents.push_back({name.key, group_of(name, partitions_default), 0, 0});
  }
  const auto data = data_for(s.record_bytes);
  std::optional<process_meter> used;
  commit_log::counters from;
  std::uint64_t reads_from = 0;
  const auto result = run_closed_loop(
    agent_count, s.outstanding, of_seconds(s.warmup), of_seconds(s.seconds),
    [&](std::uint32_t slot) {
      auto& agent = agents[slot];
      if (auto taken =
            log.propose(agent.group, listener.terms.at(agent.group), agent.next(wall_now(), data));
          !taken)
        give_up(taken.error().context);
    },
    done,
    [&] {
      used.emplace();
      from = log.count();
      reads_from = machine.reads();
    });
  auto out = describe(result, *used);
  const auto to = log.count();
  const auto records = static_cast<double>(to.records - from.records);
  out["commits_per_op"] = records / static_cast<double>(result.operations);
  out["records_per_sync"] = records / static_cast<double>(to.groups - from.groups);
  out["bytes_per_op"] = static_cast<double>(to.bytes - from.bytes) / records;
  out["reads_per_op"] = static_cast<double>(machine.reads() - reads_from) / records;
  log.stop();
  return out;
}

// ---- references ------------------------------------------------------------------------------------------------------

/// RocksDB as its users would use it for this: one thread that writes what gathered, synced, one put for each record.
nlohmann::json measure_rocksdb(const settings& s) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.max_background_jobs = 2;
  rocksdb::DB* raw = nullptr;
  if (const auto opened = rocksdb::DB::Open(options, s.dir, &raw); !opened.ok())
    give_up(opened.ToString());
  const std::unique_ptr<rocksdb::DB> db{raw};
  completions queue;
  completions done;
  constexpr std::uint32_t stop = UINT32_MAX;
  std::atomic<std::uint64_t> syncs = 0;
  const std::string value(s.record_bytes - 17, 'x');
  std::thread writer{[&] {
    std::vector<std::uint32_t> slots;
    std::uint64_t number = 0;
    rocksdb::WriteBatch batch;
    rocksdb::WriteOptions how;
    how.sync = true;
    for (;;) {
      queue.take(slots);
      if (slots.front() == stop)
        return;
      batch.Clear();
      for (const auto slot : slots) {
        std::string key(17, '\0');
        for (int i = 0; i < 8; ++i) {
          key[static_cast<std::size_t>(i)] =
            static_cast<char>(slot * 0x9E3779B97F4A7C15ULL >> (56 - 8 * i));
          key[static_cast<std::size_t>(9 + i)] = static_cast<char>(number >> (56 - 8 * i));
        }
        ++number;
        batch.Put(key, value);
      }
      if (const auto written = db->Write(how, &batch); !written.ok())
        give_up(written.ToString());
      ++syncs;
      done.add(slots);
    }
  }};
  std::optional<process_meter> used;
  std::uint64_t syncs_from = 0;
  const auto result = run_closed_loop(
    agent_count, s.outstanding, of_seconds(s.warmup), of_seconds(s.seconds),
    [&](std::uint32_t slot) {
      queue.add({&slot, 1});
    },
    done,
    [&] {
      used.emplace();
      syncs_from = syncs;
    });
  auto out = describe(result, *used);
  queue.add({&stop, 1});
  writer.join();
  out["records_per_sync"] =
    static_cast<double>(result.operations) / static_cast<double>(syncs.load() - syncs_from);
  return out;
}

/// The disk alone: records appended to one file, so many at a time, then fdatasync.
nlohmann::json measure_append(const settings& s) {
  const std::string path = s.dir + "/append";
  const descriptor file{::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600)};
  if (file.number() < 0)
    give_up("cannot make " + path);
  const std::string bytes(s.record_bytes * s.batch, 'x');
  loop_result result;
  const auto opens = steady::now() + of_seconds(s.warmup);
  const auto closes = opens + of_seconds(s.seconds);
  std::optional<process_meter> used;
  for (;;) {
    const auto from = steady::now();
    if (::write(file.number(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()) ||
        ::fdatasync(file.number()) != 0)
      give_up("cannot write " + path);
    const auto now = steady::now();
    if (from < opens)
      continue;
    if (!used)
      used.emplace();
    result.latency.add(now - from);
    result.operations += s.batch;
    if (now >= closes) {
      result.seconds = std::chrono::duration<double>(now - opens).count();
      return describe(result, *used);
    }
  }
}

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) {
  using namespace holdfast::bench;
  settings s;
  CLI::App app{"Durable commits in one process"};
  app.add_option("--what", s.what)->check(CLI::IsMember({"log", "rocksdb", "append"}));
  app.add_option("--dir", s.dir, "an empty folder")->required();
  app.add_option("--outstanding", s.outstanding)->check(CLI::Range(1u, agent_count));
  app.add_option("--bytes", s.record_bytes, "of a record");
  app.add_option("--batch", s.batch, "append: records per fdatasync");
  app.add_option("--seconds", s.seconds);
  app.add_option("--warmup", s.warmup);
  CLI11_PARSE(app, argc, argv);
  const auto out = s.what == "log"       ? measure_log(s)
                   : s.what == "rocksdb" ? measure_rocksdb(s)
                                         : measure_append(s);
  std::puts(out.dump().c_str());
  return 0;
}
