# The door to everything that is done here. `just` lists it.

_default:
    @just --list --unsorted

# The yard moves in this terminal, chat answers from a second one.
[group('play')]
demo:
    cargo run --release --bin everwake -- demo

# Run module folders and swap them on save, e.g. `just dev samples/chat`.
[group('play')]
dev +dirs:
    cargo run --release --bin everwake -- dev {{dirs}}

# Everything that a fresh machine with Rust can test.
[group('check')]
test:
    cargo test --workspace

# Formatting and lints, as CI runs them.
[group('check')]
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# The probes in C and JavaScript: installs what they need, builds them, holds them against the contract.
[group('check')]
guests *languages:
    tests/guests {{languages}}

# Every fuzz target for a short while (seconds each).
[group('check')]
fuzz seconds="20":
    fuzz/run {{seconds}}

# Exactly what CI runs.
[group('check')]
ci:
    bash .ci/run

# The quick benchmarks, each beside its baseline; writes bench/results/latest.md.
[group('measure')]
bench *ids:
    cargo build --release --bins
    cargo run --release --bin everwake-bench -- --quick {{ids}}

# A cluster of real processes that are killed and held while people play; fails if somebody sees what nobody may see.
[group('measure')]
storm:
    cargo build --release --bin everwake --bin everwake-bench
    target/release/everwake-bench storm

# All benchmarks.
[group('measure')]
bench-all:
    cargo build --release --bins
    cargo run --release --bin everwake-bench --
