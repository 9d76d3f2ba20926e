#include "runtime/host/config_models.hpp"

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

namespace holdfast {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view openai_url = "https://api.openai.com/v1";
constexpr std::string_view openai_model = "gpt-4.1-mini";  // for `dev` without OPENAI_MODEL
constexpr std::array<std::pair<std::string_view, model_provider>, 2> providers{
  {{"openai", model_provider::openai}, {"scripted", model_provider::scripted}}};
constexpr std::array<std::string_view, 3> later_providers{"anthropic", "openai-responses",
                                                          "responses"};

bool is_variable_name(std::string_view name) noexcept {
  const auto fits = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !name.empty() && !(name.front() >= '0' && name.front() <= '9') &&
         std::all_of(name.begin(), name.end(), fits);
}

std::string without_slash(std::string url) {
  while (!url.empty() && url.back() == '/')
    url.pop_back();
  return url;
}

void read_price(map_reader in, model_config& out) {
  model_price price;
  const bool has_input = in.money("input", price.input);
  const bool has_output = in.money("output", price.output);
  if (!in.has("input"))
    in.missing("input", "USD per million tokens");
  if (!in.has("output"))
    in.missing("output", "USD per million tokens");
  price.cached_input = price.input;
  in.money("cached_input", price.cached_input);
  in.finish();
  if (has_input && has_output)
    out.price = price;
}

void read_openai(map_reader& in, model_config& out) {
  out.base_url = openai_url;
  if (in.text("base_url", out.base_url)) {
    const bool is_http =
      out.base_url.starts_with("http://") || out.base_url.starts_with("https://");
    if (!is_http || out.base_url.find_first_of("?# \t@") != std::string::npos)
      in.problem(in.node().find("base_url")->value, "/base_url",
                 "`base_url`: expected http:// or https://, a host and a path, without ? # and @");
    out.base_url = without_slash(std::move(out.base_url));
  }
  if (!in.text("model", out.model) && !in.has("model"))
    in.missing("model", "the name that the provider gives it");
  if (const auto* key = in.take("api_key")) {
    auto name = key->value.is_scalar()
                  ? secret_reference(key->value.text)
                  : result<std::string>{error{errc::schema, "expected \"${secret:NAME}\""}};
    if (name)
      out.api_key_secret = std::move(*name);
    else
      in.problem(key->value, "/api_key", "`api_key`: " + name.error().context);
  }
}

void read_scripted(map_reader& in, const fs::path& base, model_config& out) {
  std::string file;
  if (in.text("file", file))
    out.file = (base / file).lexically_normal();
  else if (!in.has("file"))
    in.missing("file", "the script, like script.yaml");
}

model_config read_model(map_reader in, const fs::path& base) {
  model_config out;
  const bool known = in.choice("provider", out.provider, providers, later_providers);
  if (!in.has("provider"))
    in.missing("provider", "`openai` or `scripted`");
  if (!known)
    return out;
  if (out.provider == model_provider::openai)
    read_openai(in, out);
  else
    read_scripted(in, base, out);
  if (const auto* price = in.take("price"))
    read_price(map_reader{price->value, in.pointer_of("price"), in.problems()}, out);
  in.not_available("limits", "`limits` of an agent's definition bound its steps, tokens and cost");
  in.finish();
  return out;
}

std::optional<secret_source> read_secret(map_reader in, const fs::path& base) {
  std::string variable, file;
  const bool from_env = in.text("env", variable);
  const bool from_file = in.text("file", file);
  in.finish();
  if (from_env == from_file) {
    in.problem(in.node(), "", "expected either `env`, a variable's name, or `file`, a path");
    return std::nullopt;
  }
  if (from_file)
    return secret_from_file{(base / file).lexically_normal()};
  if (!is_variable_name(variable)) {
    in.problem(in.node().find("env")->value, "/env",
               "`env`: not the name of a variable; the secret itself does not belong here");
    return std::nullopt;
  }
  return secret_from_env{std::move(variable)};
}

}  // namespace

void read_secrets(map_reader in, const fs::path& base,
                  std::map<std::string, secret_source, std::less<>>& out) {
  for (const auto& entry : in.node().entries) {
    in.take(entry.key);
    if (!is_secret_name(entry.key))
      in.problem(in.node(), pointer_step(entry.key),
                 "a secret's name has lower-case letters, digits, - and _");
    else if (auto source =
               read_secret(map_reader{entry.value, in.pointer_of(entry.key), in.problems()}, base))
      out.emplace(entry.key, std::move(*source));
  }
}

void read_models(map_reader in, const fs::path& base,
                 std::map<std::string, model_config, std::less<>>& out) {
  for (const auto& entry : in.node().entries) {
    in.take(entry.key);
    if (!is_secret_name(entry.key))
      in.problem(in.node(), pointer_step(entry.key),
                 "a model's name has lower-case letters, digits, - and _");
    else
      out.emplace(
        entry.key,
        read_model(map_reader{entry.value, in.pointer_of(entry.key), in.problems()}, base));
  }
}

void add_dev_model(node_config& config, const fs::path& dir, const environment& env) {
  const auto variable = [&env](std::string_view name, std::string_view otherwise) {
    const auto found = env.find(name);
    return found != env.end() && !found->second.empty() ? found->second : std::string{otherwise};
  };
  std::error_code failed;
  model_config model;
  if (!variable("OPENAI_API_KEY", "").empty()) {
    model.provider = model_provider::openai;
    model.base_url = without_slash(variable("OPENAI_BASE_URL", openai_url));
    model.model = variable("OPENAI_MODEL", openai_model);
    model.api_key_secret = "openai";
    config.secrets.emplace("openai", secret_from_env{"OPENAI_API_KEY"});
  } else if (fs::exists(dir / "script.yaml", failed)) {
    model.provider = model_provider::scripted;
    model.file = dir / "script.yaml";
  } else {
    config.no_model_hint =
      "there is no model: set OPENAI_API_KEY, or write " + (dir / "script.yaml").string();
    return;
  }
  config.models.emplace("primary", std::move(model));
}

}  // namespace holdfast
