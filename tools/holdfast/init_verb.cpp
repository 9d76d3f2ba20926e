// `init`: a folder that `holdfast dev` runs as it is.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <random>

#include "tools/holdfast/command_tree.hpp"

namespace holdfast::cli {

namespace {

namespace fs = std::filesystem;

constexpr const char* agent_yaml =
  R"yaml(# An agent: `holdfast dev` loads this file and loads it again when it changes.
kind: agent
type: support
description: Answers customers of a shop.
behaviour: llm
model:
  use: [primary]        # OPENAI_API_KEY in .env gives a real one; without it, script.yaml answers
instructions: |
  You answer customers of a small shop. Be brief and kind.
on:
  - event: shop.received        # what hook.yaml makes of a delivery
    key: .data.customer         # one agent per customer
limits:
  steps: 20
)yaml";

constexpr const char* script_yaml =
  R"yaml(# The scripted model: the first turn whose `when` fits the last message answers.
turns:
  - when: { contains: refund }
    text: "I am sorry that it did not work out. Your refund is on its way and takes three days."
    chunk_delay: 20ms
    usage: { input_tokens: 42, output_tokens: 17 }
  - text: "Thank you for your message. How can I help?"
    chunk_delay: 20ms
    usage: { input_tokens: 30, output_tokens: 10 }
)yaml";

constexpr const char* hook_yaml =
  R"yaml(# A webhook, POST /v1/hooks/shop, signed with HMAC-SHA256 over the body in X-Signature: sha256=<hex>.
kind: hook
source: shop
preset: hmac
secret: "${secret:shop}"        # HOLDFAST_SECRET_SHOP, in .env
hmac:
  header: X-Signature
  algorithm: sha256
  encoding: hex
  prefix: "sha256="
)yaml";

constexpr const char* readme_md = R"md(# A Holdfast agent

    holdfast dev .

runs it at http://127.0.0.1:7070. Send it an event and wait for the answer:

    holdfast agent send support/ada --data '{"text": "I want a refund"}' --wait 30s
    holdfast agent send support/ada --data '{"text": "hello"}' --follow

The same with curl:

    curl -sS 'http://127.0.0.1:7070/v1/agents/support/ada/events?wait=30s' \
      -H 'Content-Type: application/json' -H "Idempotency-Key: $(date +%s%N)" \
      -d '{"data": {"text": "I want a refund"}}'

As a webhook, signed (the agent's key is the customer in the body):

    . ./.env
    body='{"customer": "ada", "text": "I want a refund"}'
    signature=$(printf %s "$body" | openssl dgst -sha256 -hmac "$HOLDFAST_SECRET_SHOP" -hex | sed 's/^.* //')
    curl -sS http://127.0.0.1:7070/v1/hooks/shop \
      -H 'Content-Type: application/json' -H "X-Signature: sha256=$signature" -d "$body"

Then look around:

    holdfast agent list
    holdfast agent describe support/ada
    holdfast agent history support/ada
    holdfast run list

| file | is |
|---|---|
| `agent.yaml` | the agent: model, instructions, triggers, limits |
| `script.yaml` | what the scripted model says; not used once `.env` has an `OPENAI_API_KEY` |
| `hook.yaml` | the webhook and how it is verified |
| `.env` | secrets; stays out of version control |
)md";

std::string random_secret() {
  static constexpr char digits[] = "0123456789abcdef";
  std::random_device source;
  std::string secret;
  while (secret.size() < 64)
    for (auto bits = source(), i = 0u; i < 8; ++i, bits >>= 4)
      secret += digits[bits & 15u];
  return secret;
}

struct new_file {
  std::string name;
  std::string text;
  mode_t mode = 0644;
};

std::vector<new_file> files_to_write() {
  return {{"agent.yaml", agent_yaml},
          {"script.yaml", script_yaml},
          {"hook.yaml", hook_yaml},
          {"README.md", readme_md},
          {".env", "HOLDFAST_SECRET_SHOP=" + random_secret() + "\n# OPENAI_API_KEY=\n", 0600},
          {".gitignore", ".env\ndata/\n"}};
}

/// Never over a file that is there, not even one made this moment.
void write_new(const fs::path& path, const new_file& file) {
  const int handle = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, file.mode);
  if (handle < 0)
    throw command_failure{errno == EEXIST ? exit_code::refused : exit_code::failed,
                          "cannot write " + path.string() + ": " + std::strerror(errno)};
  std::size_t written = 0;
  while (written < file.text.size()) {
    const auto n = write(handle, file.text.data() + written, file.text.size() - written);
    if (n <= 0)
      break;
    written += static_cast<std::size_t>(n);
  }
  if (close(handle) != 0 || written < file.text.size())
    throw command_failure{exit_code::failed, "cannot write " + path.string()};
}

exit_code init(session& with, const std::string& dir) {
  const auto files = files_to_write();
  std::error_code error;
  for (const auto& file : files)
    if (fs::exists(fs::symlink_status(fs::path{dir} / file.name, error)))
      throw command_failure{exit_code::refused, (fs::path{dir} / file.name).string() +
                                                  " is there already: nothing written"};
  fs::create_directories(dir, error);
  if (error || !fs::is_directory(dir))
    throw command_failure{exit_code::failed, "cannot make the folder " + dir};
  for (const auto& file : files) {
    write_new(fs::path{dir} / file.name, file);
    with.out().line("created " + (fs::path{dir} / file.name).string());
  }
  with.out().say(
    "\nNext:\n  holdfast dev " + dir +
    "\n  holdfast agent send support/ada --data '{\"text\": \"I want a refund\"}' --wait 30s\n"
    "  more in " +
    (fs::path{dir} / "README.md").string());
  return exit_code::done;
}

}  // namespace

void add_init_verb(command_tree& tree) {
  auto dir = std::make_shared<std::string>();
  auto& verb = tree.verb(
    tree.root(), "init", "a runnable agent, a scripted model, a webhook example",
    "holdfast init demo && holdfast dev demo", [dir](session& with) { return init(with, *dir); });
  verb.add_option("dir", *dir, "folder to make, or to add to")->required()->option_text("DIR");
}

}  // namespace holdfast::cli
