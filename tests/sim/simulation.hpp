#pragma once
// A node of a few partitions whose every step is chosen by a seed: which pending thing happens
// next, and what goes wrong. The same seed does the same things.

#include <map>
#include <memory>
#include <optional>
#include <set>

#include "persistence/memory_log.hpp"
#include "persistence/memory_store.hpp"
#include "runtime/core/apply.hpp"
#include "runtime/core/audit_chain.hpp"
#include "tests/sim/agents.hpp"
#include "tests/sim/clients.hpp"
#include "tests/sim/process.hpp"

namespace holdfast::sim {

struct plan_of_seed {
  std::uint64_t seed = 1;
  std::uint64_t requests = 500;  ///< of clients, before everything heals
  defect planted = defect::none;
  bool trace = false;  ///< says on stderr what happens
};

/// Of the audit log: it need not withstand anybody here.
inline std::string chain_digest_of(std::string_view bytes) { return to_hex(digest_of({bytes})); }

class simulation final : public commit_listener {
public:
  static constexpr std::uint16_t partitions = 4;

  simulation(plan_of_seed plan, coverage& seen);
  ~simulation() override;

  /// Throws `failure_found`.
  void run();

  /// Over everything that was committed, in its order.
  std::uint64_t digest() const noexcept { return past.digest; }

  // ---- for the parts
  process* find(group_id group) noexcept { return groups_[group].get(); }
  status propose(process& by, std::shared_ptr<const turn_record> record);
  bool leads(const process& one) const noexcept { return log_->leads(one.group, one.term); }
  void mail(group_id target, const mail_stamp& stamp, const outbox_message& message);
  void receipt(group_id source, group_id target, std::uint64_t sequence, bool taken,
               std::uint64_t epoch);
  void crash(bool in_handler = false);       ///< of the process, before anything else happens
  void define(std::uint32_t versions);       ///< and now and then changes who is a member
  bool may(unsigned per_mille, fault what);  ///< a fault happens now; it is counted
  template <class... Parts>
  void say(const Parts&... parts) {
    if (plan.trace) [[unlikely]]
      say_line((std::string{} + ... + std::string{parts}));
  }

  class disk_of_node final : public store {
  public:
    explicit disk_of_node(simulation& world) : world_(world) {}
    result<std::optional<std::string>> get(family in, std::string_view key) const override {
      return inner.get(in, key);
    }
    std::unique_ptr<cursor> scan(family in, std::string_view lower, std::string_view upper,
                                 bool descending = false) const override {
      return inner.scan(in, lower, upper, descending);
    }
    status write(const write_set& writes, bool durable) override;
    std::unique_ptr<reader> snapshot() const override { return inner.snapshot(); }
    memory_store inner;
    /// What becomes of the next write.
    enum class fate : std::uint8_t { lands, refused, sync_lost, sync_kept } next = fate::lands;

  private:
    simulation& world_;
  };

  const plan_of_seed plan;
  random_source random;
  coverage& seen;
  time_us now = 1'800'000'000'000'000;
  history past;
  outside sinks;
  clients users;
  handler_world handlers;
  behaviours deciders;
  std::shared_ptr<const catalog> definitions;
  disk_of_node disk;
  std::set<agent_name> suspects;                                 ///< of the present process
  std::optional<std::pair<agent_name, run_id>> handler_running;  ///< when the last one died
  bool healed = false;

private:
  class machine_of_node;
  struct mail_item {
    group_id target;
    mail_stamp stamp;
    outbox_message message;
  };
  struct receipt_item {
    group_id source, target;
    std::uint64_t sequence;
    bool taken;
    std::uint64_t epoch;
  };
  struct rates {  ///< in a thousand, of the occasions for each
    unsigned mail = 0, log = 0, process = 0, clock = 0, handler = 0;
  };

  void leading(group_id group, std::uint64_t term) override;
  void committed(group_id group, std::uint64_t term, std::uint64_t index,
                 std::vector<std::shared_ptr<const turn_record>> records) override;
  void cut(group_id group, std::uint64_t epoch, std::uint64_t index) override;
  void lost(group_id, std::uint64_t, errc) override {}

  enum class happening : std::uint8_t {
    decide,
    hand_over,
    commit,
    call,
    tick,
    mail,
    receipt,
    log_step,
    lead,
    client,
    backup,
    time,
  };
  using chances = std::array<unsigned, 12>;
  chances weigh() const;
  void happen(happening what);
  void step();
  bool step_once();  ///< false: nothing is pending but time
  void bring_down(group_id group, bool apply_queued);
  void reap();
  void lead_one();  ///< of those that nobody leads
  void step_log();
  void deliver_mail();
  void deliver_receipt();
  void turn_clock();
  void break_something();
  bool pass_time();  ///< to the next thing that waits for it; false: nothing does
  void settle();     ///< until nothing is pending
  void calm_down();  ///< trouble ends; what is left without a wake is found
  void drain();
  template <class Has, class Do>
  void on_any(Has has, Do act);
  void change_members(std::uint32_t turn);
  void say_line(const std::string& line) const;

  // cuts.cpp
  void ask_for_cut();
  void check_cut();

  // final_checks.cpp
  void check_rest();
  void check_end();
  void check_agents();
  void check_keys();
  void check_events();
  void check_after_restart();

  rates rates_;
  std::unique_ptr<machine_of_node> machine_;
  std::unique_ptr<memory_log> log_;
  std::array<std::unique_ptr<process>, partitions + 1> groups_;
  std::array<bool, partitions + 1> deposed_apply_{};
  std::array<time_us, partitions + 1> overloaded_until_{};
  std::vector<mail_item> mails_;
  std::vector<receipt_item> receipts_;
  std::uint64_t processes_ = 0;
  std::uint64_t catalog_term_ = 0;
  bool crash_wanted_ = false;
  struct group_at_cut {
    partition_state state;
    std::set<std::pair<group_id, std::uint64_t>> outbox;
  };
  std::uint64_t cut_epoch_ = 0;
  std::map<group_id, group_at_cut> at_cut_;  ///< those that have cut
};

/// The name of a fact as a line of the trace.
std::string describe(group_id group, const turn_record& record);

}  // namespace holdfast::sim
