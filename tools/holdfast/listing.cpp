#include "tools/holdfast/listing.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

namespace holdfast::cli {

namespace {

using json = nlohmann::ordered_json;
constexpr std::uint64_t page_max = 500;

std::uint64_t items_wanted(const list_options& options, list_size without_limit) {
  if (options.all)
    return UINT64_MAX;
  if (options.limit > 0)
    return options.limit;
  return without_limit == list_size::everything ? UINT64_MAX : page_max;
}

/// The rows of an update, without headings after the first.
void print_row(session& with, view what, const json& item, bool first) {
  const auto rows = table_of(what, json::array({item}), with.out().view_for(with.now()));
  auto text = render(rows, {with.out().settings().colour, with.out().settings().columns});
  if (!first)
    text.erase(0, text.find('\n') + 1);
  with.out().raw(text);
}

}  // namespace

void add_list_options(CLI::App& verb, list_options& into, list_size without_limit) {
  const std::string otherwise =
    without_limit == list_size::everything ? "everything" : "the newest 500";
  verb.add_option("--limit", into.limit, "at most so many (default: " + otherwise + ")")
    ->option_text("N")
    ->check(CLI::PositiveNumber);
  verb.add_flag("--all", into.all, "everything");
  verb.add_flag("-w,--watch", into.watch, "go on: a JSON line for whatever is new or changed");
}

json fetch_list(session& with, const api_path& path, const list_options& options,
                list_size without_limit) {
  auto left = items_wanted(options, without_limit);
  auto page = path;
  page.query("limit", std::to_string(std::min(left, page_max)));
  auto all = with.api().get(page);
  if (!all.is_object() || !all.contains("items") || !all["items"].is_array())
    throw command_failure{exit_code::failed, "the answer is no list"};
  for (;;) {
    const auto have = all["items"].size();
    if (!all.contains("next") || !all["next"].is_string() || have >= left)
      break;
    page = path;
    page.query("limit", std::to_string(std::min(left - have, page_max)));
    page.query("cursor", all["next"].get<std::string>());
    auto more = with.api().get(page);
    if (more.value("items", json::array()).empty())
      break;
    for (auto& item : more["items"])
      all["items"].push_back(std::move(item));
    all["next"] = more.value("next", json{});
  }
  return all;
}

exit_code show_list(session& with, const api_path& path, view what, const list_options& options,
                    list_size without_limit) {
  if (options.watch)
    print_changes(with, what, [&] {
      auto page = fetch_list(with, path, options, without_limit);
      std::vector<json> items;
      for (auto& item : page["items"])
        items.push_back(std::move(item));
      return items;
    });
  const auto list = fetch_list(with, path, options, without_limit);
  with.out().list(list, what, with.now());
  if (with.out().is_for_people() && list.contains("next") && list["next"].is_string())
    with.out().say("there are more: --limit N or --all");
  return exit_code::done;
}

exit_code show_document(session& with, const api_path& path, view what, bool watch) {
  if (watch)
    print_changes(with, what, [&] { return std::vector{with.api().get(path)}; });
  with.out().describe(with.api().get(path), with.now());
  return exit_code::done;
}

void print_changes(session& with, view what, const std::function<std::vector<json>()>& fetch) {
  using steady = std::chrono::steady_clock;
  constexpr std::chrono::minutes give_up_after{1};
  const auto& settings = with.out().settings();
  const bool rows = settings.data_is_terminal && with.out().is_for_people();
  std::map<std::string, std::string> printed;
  bool failing = false;
  steady::time_point failing_since;
  for (;;) {
    try {
      for (const auto& item : fetch()) {
        auto& last = printed[id_of(item)];
        auto text = item.dump(-1, ' ', false, json::error_handler_t::replace);
        if (text == last)
          continue;
        if (rows)
          print_row(with, what, item, printed.size() == 1 && last.empty());
        else
          with.out().line(text);
        last = std::move(text);
      }
      failing = false;
    } catch (const command_failure& failure) {
      const auto now = steady::now();
      const bool give_up = failing && now - failing_since > give_up_after;
      if (failure.code != exit_code::unavailable || printed.empty() || give_up)
        throw;
      if (!failing) {
        failing = true;
        failing_since = now;
        with.out().say("trying again: " + failure.message);
      }
    }
    std::this_thread::sleep_for(with.host().poll_interval);
  }
}

}  // namespace holdfast::cli
