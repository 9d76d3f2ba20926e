#include "runtime/gateway/stream_feed.hpp"

#include <algorithm>
#include <utility>

#include "runtime/core/stored_records.hpp"
#include "runtime/gateway/fact_walk.hpp"
#include "runtime/net/sse_writer.hpp"

namespace holdfast {

namespace {

constexpr std::size_t tasks_in_a_row_max = 16;

/// The events behind `position`, of one run or of all, as bytes.
std::string text_of(const std::vector<rendered_event>& events, const stream_cursor& position,
                    const run_id& run) {
  std::string out;
  for (const auto& event : events)
    if (event.at > position && (run.empty() || event.run == run))
      out += event.text;
  return out;
}

}  // namespace

stream_feed::stream_feed(backend& node, agent_name name, const executor& offload)
  : node_(node),
    name_(std::move(name)),
    group_(group_of(name_, node.partitions())),
    offload_(offload) {}

stream_feed::~stream_feed() { unsubscribe(); }

void stream_feed::subscribe() {
  std::lock_guard lock{subscription_mutex_};
  if (subscription_)
    return;
  subscription_ =
    node_.subscribe(name_, [weak = weak_from_this()](std::shared_ptr<const turn_record> record) {
      if (const auto self = weak.lock())
        self->post([feed = self.get(), record = std::move(record)] { feed->take(*record); });
    });
}

void stream_feed::unsubscribe() {
  std::lock_guard lock{subscription_mutex_};
  if (!subscription_)
    return;
  node_.unsubscribe(*subscription_);
  subscription_.reset();
}

/// Runs the task, or leaves it to the thread that is running others.
void stream_feed::post(task work) {
  {
    std::lock_guard lock{mutex_};
    tasks_.push_back(std::move(work));
    if (std::exchange(running_, true))
      return;
  }
  run();
}

/// Runs what there is and what comes meanwhile. A thread that commits must not be kept by those who
/// come and go: after some tasks another thread goes on.
void stream_feed::run() {
  const auto self = shared_from_this();
  for (std::size_t done = 0;; ++done) {
    std::unique_lock lock{mutex_};
    if (tasks_.empty()) {
      running_ = false;
      return;
    }
    if (done == tasks_in_a_row_max && offload_) {
      lock.unlock();
      offload_([self] { self->run(); });
      return;
    }
    const task next = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    next();
  }
}

void stream_feed::attach(std::shared_ptr<stream_subscriber> subscriber, stream_context context) {
  auto held = std::make_shared<stream_context>(std::move(context));
  post([this, subscriber = std::move(subscriber), held] {
    if (!subscriber->gone)
      join(subscriber, *held);
  });
}

void stream_feed::join(const std::shared_ptr<stream_subscriber>& subscriber,
                       stream_context& context) {
  subscriber->last_ms = now_ms_;
  if (!context_) {
    context_ = std::move(context);
    subscribers_.push_back(subscriber);
    return refresh();
  }
  refresh();
  if (!context_)
    return drop(subscriber);
  std::vector<rendered_event> missed;
  const bool read = catch_up(context.renderer, context.seq, context_->seq, missed);
  batch what{missed};
  if (!read || !send(*subscriber, what))
    return drop(subscriber);
  subscriber->position = std::max(subscriber->position, stream_cursor{context_->seq});
  subscribers_.push_back(subscriber);
}

/// What was committed before this feed began to listen is on disk.
void stream_feed::refresh() {
  const auto state = load_agent(node_.records(), group_, name_);
  if (!state)
    return drop_all();
  if (!*state || (*state)->seq <= context_->seq)
    return;
  const seq_no present = (*state)->seq;
  std::vector<rendered_event> events;
  if (!catch_up(context_->renderer, context_->seq, present, events))
    return drop_all();
  context_->seq = present;
  deliver(events, present);
}

void stream_feed::detach(const std::shared_ptr<stream_subscriber>& subscriber) {
  if (subscriber->gone.exchange(true))
    return;
  --users;
  post([this, subscriber] { std::erase(subscribers_, subscriber); });
}

void stream_feed::keep_alive(std::int64_t now_ms, std::int64_t silence_ms,
                             const std::function<bool(const principal&)>& valid) {
  post([this, now_ms, silence_ms, &valid] {
    now_ms_ = now_ms;
    static const auto comment = [] {
      std::string text;
      net::append_sse_comment(text, "still here");
      return std::make_shared<const std::string>(std::move(text));
    }();
    const auto listeners = subscribers_;
    for (const auto& one : listeners) {
      if (valid && one->who && !valid(*one->who)) {
        drop(one);
        continue;
      }
      if (one->last_ms == 0)
        one->last_ms = now_ms;
      if (now_ms - one->last_ms < silence_ms)
        continue;
      one->last_ms = now_ms;
      if (!one->out.write(comment))
        drop(one);
    }
  });
}

void stream_feed::close_all() {
  post([this] { drop_all(); });
}

/// Within a task: the subscriber gets nothing more.
void stream_feed::drop(const std::shared_ptr<stream_subscriber>& subscriber) {
  std::erase(subscribers_, subscriber);
  if (!subscriber->gone.exchange(true))
    --users;
  subscriber->out.close();
}

/// Those that are here reconnect, and read the disk anew.
void stream_feed::drop_all() {
  const auto listeners = subscribers_;
  for (const auto& one : listeners)
    drop(one);
  context_.reset();
}

void stream_feed::take(const turn_record& record) {
  if (!context_ || record.agent != name_)
    return;
  seq_no last = record.first_seq - 1;
  std::size_t last_in_journal = record.facts.size();
  bool deleted = false;
  for (std::size_t i = 0; i < record.facts.size(); ++i) {
    if (is_partition_fact(record.facts[i]))
      continue;
    ++last;
    if (is_journal_fact(record.facts[i]))
      last_in_journal = i;
    deleted = deleted || std::holds_alternative<agent_deleted>(record.facts[i]);
  }
  if (last > context_->seq) {
    std::vector<rendered_event> events;
    if (record.first_seq == context_->seq + 1) {
      seq_no seq = record.first_seq;
      for (std::size_t i = 0; i < record.facts.size(); ++i) {
        const auto& f = record.facts[i];
        if (is_partition_fact(f))
          continue;
        if (is_journal_fact(f) || std::holds_alternative<text_streamed>(f) ||
            std::holds_alternative<text_emitted>(f))
          context_->renderer.take(seq, record.at, f, i == last_in_journal, events);
        ++seq;
      }
    } else if (!catch_up(context_->renderer, context_->seq, last,
                         events)) {  // what was not heard of is on disk
      return drop_all();
    }
    context_->seq = last;
    deliver(events, last);
  }
  if (deleted)
    drop_all();  // an agent of that name begins again at 1
}

/// Renders the stored facts in (from, to]. False when they cannot be read.
bool stream_feed::catch_up(stream_renderer& renderer, seq_no from, seq_no to,
                           std::vector<rendered_event>& out) {
  fact_walk walk{node_.records(), group_, name_, family::stream, from + 1, to + 1};
  for (; walk.valid(); walk.next())
    renderer.take(walk.seq(), walk.at(), walk.fact(), walk.ends_record(), out);
  return static_cast<bool>(walk.state());
}

void stream_feed::deliver(const std::vector<rendered_event>& events, seq_no last) {
  batch what{events};
  const auto listeners = subscribers_;
  for (const auto& one : listeners) {
    if (!send(*one, what)) {
      drop(one);
      continue;
    }
    one->position = std::max(one->position, stream_cursor{last});
  }
}

bool stream_feed::send(stream_subscriber& to, batch& what) {
  if (to.gone)
    return false;
  if (what.events.empty())
    return true;
  std::shared_ptr<const std::string> bytes;
  if (to.position >= what.events.front().at) {  // it has some of them already
    bytes = std::make_shared<const std::string>(text_of(what.events, to.position, to.run));
  } else if (to.run.empty()) {
    if (!what.all)
      what.all = std::make_shared<const std::string>(text_of(what.events, {0, 0}, {}));
    bytes = what.all;
  } else {
    for (const auto& [run, text] : what.by_run)
      if (run == to.run)
        bytes = text;
    if (!bytes) {
      bytes = std::make_shared<const std::string>(text_of(what.events, {0, 0}, to.run));
      what.by_run.emplace_back(to.run, bytes);
    }
  }
  if (!bytes->empty()) {
    to.last_ms = now_ms_;
    if (!to.out.write(bytes))
      return false;
  }
  return std::none_of(what.events.begin(), what.events.end(), [&](const rendered_event& e) {
    return e.ends_run && !to.run.empty() && e.run == to.run;
  });
}

}  // namespace holdfast
