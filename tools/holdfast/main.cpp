#include "tools/holdfast/cli.hpp"

extern "C" {
/// Read by jemalloc before `main`: memory that is free goes back to the system after three seconds,
/// also while nothing runs that could give it back.
extern const char* malloc_conf;
const char* malloc_conf = "background_thread:true,dirty_decay_ms:3000";
}

int main(int argc, char** argv) { return holdfast::run_cli(argc, argv); }
