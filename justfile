# Recipes for what is done by hand. What every change must pass is .ci/run.

# Lists them.
default:
    @just --list

# Fuzzes one target, or all one after the other: just fuzz jws 600. Needs a nightly toolchain and cargo-fuzz.
fuzz target="all" seconds="60":
    #!/usr/bin/env bash
    set -euo pipefail
    # The same versions as in the product.
    cp Cargo.lock fuzz/Cargo.lock
    targets="{{ target }}"
    if [ "$targets" = all ]; then targets=$(ls fuzz/fuzz_targets | sed 's/\.rs$//'); fi
    for name in $targets; do
      mkdir -p "fuzz/corpus/$name"
      cargo +nightly fuzz run "$name" "fuzz/corpus/$name" "integration-tests/fixtures/corpus/$name" -- \
        -max_total_time={{ seconds }} -timeout=1 -malloc_limit_mb=64 -rss_limit_mb=2048 -max_len=131072 -print_final_stats=1
    done

# Changes the code in small ways and looks for a test that notices: just mutants src/policy. Needs cargo-mutants.
mutants path="src/policy src/oci src/verifier":
    #!/usr/bin/env bash
    set -euo pipefail
    files=()
    for path in {{ path }}; do files+=(--file "$path.rs" --file "$path/**"); done
    cargo mutants --package countersign "${files[@]}" --no-shuffle --timeout 300 -- --lib

# What the hot and the cold path cost, in one process.
bench:
    cargo bench --workspace --locked

# Load, faults and hostile input by hand, against the release build: see integration-tests/README.md. `just load L1 L2`, `just load --list`.
load *ARGUMENTS:
    cargo build --release --workspace --bin countersign --bin load --locked
    "${CARGO_TARGET_DIR:-target}/release/load" {{ARGUMENTS}}

# What .ci/run does of it. The tests' features are those that everything was compiled with.
load-smoke:
    cargo test --workspace --no-run --locked
    "${CARGO_TARGET_DIR:-target}/debug/load" --smoke
