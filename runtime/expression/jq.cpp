#include "runtime/expression/jq.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "runtime/expression/jq_meter.hpp"
#include "runtime/expression/jq_translator.hpp"
#include "runtime/expression/json_path.hpp"

namespace holdfast {

namespace {

constexpr std::size_t message_bytes_max = 300;

/// Cut at a character's border.
std::string shortened(std::string text) {
  if (text.size() <= message_bytes_max)
    return text;
  std::size_t size = message_bytes_max;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0U) == 0x80U)
    --size;
  return text.substr(0, size) + "…";
}

std::string text_of(const jv& string) {
  return {jv_string_value(string),
          static_cast<std::size_t>(jv_string_length_bytes(jv_copy(string)))};
}

std::string limit_text(std::size_t bytes) { return std::to_string(bytes / 1024) + "KiB"; }

status check_input(std::string_view json) {
  if (json.size() > jq_limits::input_bytes_max)
    return error{errc::too_large,
                 "the input of an expression is at most " + limit_text(jq_limits::input_bytes_max)};
  const auto brackets =
    std::count_if(json.begin(), json.end(), [](char c) { return c == '{' || c == '['; });
  if (static_cast<std::size_t>(brackets) > jq_limits::input_brackets_max)
    return error{errc::too_large, "the input of an expression has at most " +
                                    std::to_string(jq_limits::input_brackets_max) +
                                    " arrays and objects"};
  return ok_status();
}

error stopped(jq_stop why) {
  if (why == jq_stop::depth)
    return {errc::too_deep, "the expression made a value nested deeper than " +
                              std::to_string(jq_limits::value_depth_max)};
  return {errc::limit_exceeded,
          "the expression does too much work on this input; look at less of it"};
}

/// A program with its own `jq_state`, which one thread at a time may use: libjq's values count references without
/// atomics, and constants of the program end up in results.
class jq_program final : public expression {
public:
  static result<std::shared_ptr<const expression>> compile(const std::string& translated) {
    std::shared_ptr<jq_program> out{new jq_program};
    if (out->state_ == nullptr)
      return error{errc::internal, "libjq has no memory"};
    std::string messages;
    jq_set_error_cb(out->state_, &collect, &messages);
    const int compiled = jq_compile(out->state_, translated.c_str());
    jq_set_error_cb(out->state_, &ignore, nullptr);
    if (compiled == 0)
      return error{errc::schema, "jq: " + shortened(messages)};
    jq_set_debug_cb(out->state_, &tick, out.get());
    return std::shared_ptr<const expression>{std::move(out)};
  }

  ~jq_program() override { jq_teardown(&state_); }
  jq_program(const jq_program&) = delete;
  jq_program& operator=(const jq_program&) = delete;

  result<std::string> evaluate(std::string_view json) const override {
    if (auto checked = check_input(json); !checked)
      return checked.error();
    const jv input = jv_parse_sized(json.data(), static_cast<int>(json.size()));
    if (!jv_is_valid(input))
      return bad_input(input);
    const std::lock_guard lock{mutex_};
    jq_meter meter{jq_limits::work_max};
    meter_ = &meter;
    jq_start(state_, input, 0);
    const jv output = jq_next(state_);
    auto out =
      jq_halted(state_) != 0 ? result<std::string>{stopped(meter.stopped())} : answer(output);
    jv_free(output);
    jq_start(state_, jv_null(), 0);  // lets go of the input
    meter_ = nullptr;
    return out;
  }

private:
  jq_program() : state_(jq_init()) {}

  /// libjq calls this for `debug`.
  static void tick(void* self, jv value) {
    auto& program = *static_cast<const jq_program*>(self);
    program.meter_->charge(value);
    jv_free(value);
    if (program.meter_->stopped() != jq_stop::none && jq_halted(program.state_) == 0)
      jq_halt(program.state_, jv_invalid(), jv_invalid());
  }

  static void collect(void* messages, jv message) {
    message = jq_format_error(message);
    auto& out = *static_cast<std::string*>(messages);
    if (jv_get_kind(message) == JV_KIND_STRING)
      out += (out.empty() ? "" : "; ") + text_of(message);
    jv_free(message);
  }

  static void ignore(void*, jv message) { jv_free(message); }

  static error bad_input(const jv& invalid) {
    const jv message = jv_invalid_get_msg(jv_copy(invalid));
    const bool too_deep = jv_get_kind(message) == JV_KIND_STRING &&
                          text_of(message).find("depth limit") != std::string::npos;
    jv_free(message);
    jv_free(invalid);
    if (too_deep)
      return {errc::too_deep,
              "the JSON is nested deeper than " + std::to_string(jq_limits::value_depth_max)};
    return {errc::malformed, "not JSON"};  // libjq's message would quote the input
  }

  static result<std::string> answer(const jv& output) {
    if (jv_is_valid(output))
      return dumped(output);
    if (jv_invalid_has_msg(jv_copy(output)) == 0)
      return std::string{"null"};
    const jv message = jv_invalid_get_msg(jv_copy(output));
    auto text = jv_get_kind(message) == JV_KIND_STRING ? result<std::string>{text_of(message)}
                                                       : dumped(message);
    jv_free(message);
    return error{errc::schema, text ? shortened(std::move(*text)) : "the expression failed"};
  }

  static result<std::string> dumped(const jv& value) {
    jq_meter meter{jq_limits::output_bytes_max};
    meter.charge(value);
    if (meter.stopped() == jq_stop::depth)
      return stopped(jq_stop::depth);
    if (meter.stopped() == jq_stop::none && meter.text_bytes() <= jq_limits::output_bytes_max) {
      const jv text = jv_dump_string(jv_copy(value), 0);
      auto out = text_of(text);
      jv_free(text);
      if (out.size() <= jq_limits::output_bytes_max)
        return out;
    }
    return error{errc::too_large, "the output of an expression is at most " +
                                    limit_text(jq_limits::output_bytes_max)};
  }

  jq_state* state_;
  mutable std::mutex mutex_;
  mutable jq_meter* meter_ = nullptr;
};

class path_program final : public expression {
public:
  explicit path_program(std::vector<jq_path_step> path) : path_(std::move(path)) {}

  result<std::string> evaluate(std::string_view json) const override {
    if (json.size() > jq_limits::input_bytes_max)
      return check_input(json).error();
    return value_at(json, path_);
  }

private:
  std::vector<jq_path_step> path_;
};

/// Compiling takes libjq some 15 ms, and the same program is compiled when it is checked, applied and loaded: programs
/// in use are found again, and so are the last few.
class program_cache {
public:
  std::shared_ptr<const expression> find(const std::string& text) {
    const std::lock_guard lock{mutex_};
    const auto known = programs_.find(text);
    return known == programs_.end() ? nullptr : known->second.lock();
  }

  void keep(const std::string& text, const std::shared_ptr<const expression>& program) {
    const std::lock_guard lock{mutex_};
    std::erase_if(programs_, [](const auto& entry) { return entry.second.expired(); });
    programs_[text] = program;
    recent_.push_back(program);
    if (recent_.size() > recent_max)
      recent_.pop_front();
  }

private:
  static constexpr std::size_t recent_max = 64;
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<const expression>> programs_;
  std::deque<std::shared_ptr<const expression>> recent_;
};

program_cache& cache() {
  static program_cache programs;
  return programs;
}

}  // namespace

result<std::shared_ptr<const expression>> compile_jq(std::string_view program) {
  auto translated = translate_jq(program);
  if (!translated)
    return translated.error();
  if (translated->path)
    return std::shared_ptr<const expression>{
      std::make_shared<path_program>(std::move(*translated->path))};
  if (auto known = cache().find(translated->text))
    return known;
  auto compiled = jq_program::compile(translated->text);
  if (compiled)
    cache().keep(translated->text, *compiled);
  return compiled;
}

}  // namespace holdfast
