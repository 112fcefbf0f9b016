# What a reader of the documentation does, as functions: every command of a page runs here for real, but for those
# that need another machine, whose arguments are checked against the checkout instead.
# From outside: CHECKOUT, PYTHON.
set -euo pipefail

# Services go on in the background until the page has been read to its end.
trap 'status=$?; kill $(jobs -p) 2>/dev/null || true; wait; exit $status' EXIT

listener() {
  case $1 in
    run | dev)
      "$PYTHON" -m listener "$@" >service.log 2>&1 </dev/null &
      until grep -q 'service started' service.log; do
        kill -0 $! || { cat service.log; return 1; }
        sleep 0.05
      done
      ;;
    # These take minutes, and have tests of their own.
    bench | demo) "$PYTHON" -m listener "$1" --help ;;
    *) "$PYTHON" -m listener "$@" ;;
  esac
}

python() { "$PYTHON" "$@"; }

pytest() { "$PYTHON" -m pytest -p no:cacheprovider --quiet "$@"; }

make() {
  local target
  for target; do
    grep -q "^$target:" "$CHECKOUT/Makefile" || { echo "the Makefile has no target $target"; return 1; }
  done
}

# Paths of the checkout must exist; the rest is another machine's.
sudo() {
  local word
  for word; do
    case $word in
      deploy/* | docs/* | sql/*) [ -e "$CHECKOUT/$word" ] || { echo "there is no $word"; return 1; } ;;
    esac
  done
}

docker() { sudo "$@"; }
