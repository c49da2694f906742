#!/usr/bin/env bash
# All that needs a GPU, in one call of less than ten minutes: the build, a program that paints, the tests, the
# benchmarks, the same program under compute-sanitizer. Goes on after a stage that fails, and fails at the end.
#
#   OUT=results benchmarks/gpu_check.sh
#
# Leaves $OUT/GPU.json, the benchmarks, which table.py makes the README's tables from, $OUT/GPU.md, these tables, and
# $OUT/gpu_check.log, all that was printed. Needs nvcc, and a Python, $PYTHON or python3, that has torch with CUDA.
# Installs the library into its virtual environment, or into a new one on top of it.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
OUT=${OUT:-benchmarks/results}
python=${PYTHON:-python3}
mkdir -p "$OUT"
log=$OUT/gpu_check.log
: >"$log"
export NEURAL_PAINT_CUDA=1 PYTHONUNBUFFERED=1 PIP_RETRIES=0 PIP_TIMEOUT=5
# All stages end 10 seconds before ten minutes are over.
readonly TOTAL=590
failed=0

# stage LIMIT NAME COMMAND...: runs it for LIMIT seconds at most, less where little time is left. Then it has $grace
# seconds, 5 by default, to end by itself.
stage() {
  local limit=$1 name=$2 grace=${grace:-5} begun=$SECONDS result=pass
  local left=$((TOTAL - SECONDS - grace)) earlier
  shift 2
  earlier=$(wc -l <"$log")
  printf '\n== %s: %s\n' "$name" "$*" >>"$log"
  if ((left < 10)); then
    result="FAIL, no time left"
  else
    timeout --kill-after="$grace" "$((limit < left ? limit : left))" "$@" >>"$log" 2>&1
    case $? in
      0) ;;
      124 | 137) result="FAIL, out of time" ;;
      *) result=FAIL ;;
    esac
  fi
  [[ $result == pass ]] || tail -n "+$((earlier + 1))" "$log" | tail -n 25 | sed 's/^/    /'
  report "$name" "$result" "$((SECONDS - begun))"
  [[ $result == pass ]]
}

# report NAME RESULT SECONDS: the stage's line.
report() {
  [[ $2 == pass || $2 == skip* ]] || failed=1
  printf '%-28s %-20s %4d s\n' "$1" "$2" "$3" | tee -a "$log"
}

find_sanitizer() {
  command -v compute-sanitizer && return
  local home
  for home in "${CUDA_HOME:-}" "$(dirname "$(dirname "$(readlink -f "$(command -v nvcc)")")")" /usr/local/cuda; do
    [[ -x $home/bin/compute-sanitizer ]] && echo "$home/bin/compute-sanitizer" && return
  done
  return 1
}

# sanitize TOOL: the scenes of the program under a tool of compute-sanitizer, which looks at our kernels alone, and not
# at calls of CUDA that fail, as torch makes some to ask what there is. Every tensor is in memory of its own, so that
# one byte too many is seen.
sanitize() {
  if [[ -z $sanitizer ]]; then
    report "$1" "skip, no sanitizer" 0
    return
  fi
  stage 100 "$1" env PYTORCH_NO_CUDA_MEMORY_CACHING=1 "$sanitizer" --tool "$1" --kernel-name kns=neural_paint \
    --report-api-errors no --error-exitcode 9 "$python" benchmarks/gpu_program.py --checks scenes patches
}

if "$python" -c 'import sys; sys.exit(sys.prefix != sys.base_prefix)'; then
  venv=$(mktemp -d)
  trap 'rm -rf "$venv"' EXIT
  "$python" -m venv --system-site-packages "$venv" && python=$venv/bin/python
fi
pytest=("$python" -m pytest -q --continue-on-collection-errors)
sanitizer=$(find_sanitizer) || sanitizer=

# A package index may be out of reach: then what the machine has must do.
stage 200 "build" bash -c "'$python' -m pip install -q --no-build-isolation -e '.[test]' ||
  '$python' -m pip install -q --no-build-isolation --no-deps -e ."
# What is wrong there is best looked at with nothing else in between, and before time is short.
later=(memcheck racecheck)
if ! stage 90 "program" "$python" benchmarks/gpu_program.py; then
  sanitize memcheck
  later=(racecheck)
fi
stage 120 "tests for a GPU" "${pytest[@]}" -m gpu

gpu=$("$python" -c 'import re, torch; print(re.sub(r"\W+", "-", torch.cuda.get_device_name().lower()))' 2>>"$log") ||
  gpu=gpu
# A run of benchmarks that is told to stop ends its row and writes what it has.
grace=40 stage 180 "benchmarks" "${pytest[@]}" benchmarks/bench_*_gpu.py --benchmark-json "$OUT/$gpu.json"
stage 20 "tables" bash -c "'$python' benchmarks/table.py --clean '$OUT/$gpu.json' >'$OUT/$gpu.md'"
[[ ! -s $OUT/$gpu.md ]] || cat "$OUT/$gpu.md"

for tool in "${later[@]}"; do sanitize "$tool"; done
stage "$TOTAL" "all tests" "${pytest[@]}"
exit "$failed"
