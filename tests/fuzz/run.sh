#!/bin/sh
# Runs the fuzz targets that were built into DIR, each for FUZZ_SECONDS (60).
#
#   tests/fuzz/run.sh [DIR [NAME ...]]      DIR: where fuzz_* are (build/fuzz); NAME: only fuzz_NAME
#
# Each starts from the seeds in tests/fuzz/corpus/ and from what earlier runs found, which is kept
# in build/fuzz/corpus/. An input that breaks a target is left in build/fuzz/findings/; give it to
# the target as its only argument to see the failure again. Exit code: 0 when all passed.
set -u

root=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
programs=${1:-$root/build/fuzz}
[ $# -eq 0 ] || shift
seconds=${FUZZ_SECONDS:-60}
findings=$root/build/fuzz/findings
logs=$root/build/fuzz/logs
mkdir -p "$findings" "$logs" || exit 1

# The last "cov:" that libFuzzer printed: edges reached.
coverage_of() {
    sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$1" | tail -n 1
}

executions_of() {
    sed -n 's/^stat::number_of_executed_units: *//p' "$1" | tail -n 1
}

# wanted TARGET [NAME ...]: whether it is one of the names, or there are none
wanted() {
    sought=$1
    shift
    case " $* " in
    "  " | *" $sought "*) return 0 ;;
    esac
    return 1
}

passed=0
failed=0
for source in "$root"/tests/fuzz/fuzz_*.c; do
    target=$(basename "$source" .c)
    wanted "${target#fuzz_}" "$@" || continue
    corpus=$root/build/fuzz/corpus/$target
    log=$logs/$target.log
    mkdir -p "$corpus" "$root/tests/fuzz/corpus/$target" || exit 1
    # freed memory is watched for a while, but not for half of what the target may use
    ASAN_OPTIONS=quarantine_size_mb=32:${ASAN_OPTIONS:-} \
        "$programs/$target" "$corpus" "$root/tests/fuzz/corpus/$target" \
        -max_total_time="$seconds" -rss_limit_mb=512 -timeout=10 -print_final_stats=1 \
        -artifact_prefix="$findings/$target-" >"$log" 2>&1
    code=$?
    if [ "$code" -eq 0 ]; then
        passed=$((passed + 1))
        outcome=passed
    else
        failed=$((failed + 1))
        outcome="FAILED with exit code $code, see $log"
    fi
    echo "$target: $(executions_of "$log") executions, coverage $(coverage_of "$log"): $outcome"
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
