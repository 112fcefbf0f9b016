# What a reader of the documentation can do: a few tools, and the functions below. Every command of a page is run for
# real, but for those that need another machine: of these, what they name must be in the checkout.
# From outside: CHECKOUT, PYTHON.
set -euo pipefail

machine=$PATH
mkdir tools
for tool in cat cp grep ls mkdir sleep; do ln -s "$(type -P $tool)" tools/; done
PATH=$PWD/tools

# Services go on in the background until the page has been read to its end.
trap 'status=$?; kill $(jobs -p) 2>/dev/null || true; wait; exit $status' EXIT

python() { PATH=$machine "$PYTHON" "$@"; }

pytest() { python -m pytest -p no:cacheprovider --quiet "$@"; }

listener() {
  case $1 in
    run | dev)
      PATH=$machine "$PYTHON" -m listener "$@" >service.log 2>&1 </dev/null &
      until grep -q 'service started' service.log; do
        kill -0 $! || { cat service.log; return 1; }
        sleep 0.05
      done
      ;;
    # These take minutes, and have tests of their own.
    bench | demo) python -m listener "$1" --help ;;
    *) python -m listener "$@" ;;
  esac
}

make() {
  local target
  for target; do
    grep -q "^$target:" "$CHECKOUT/Makefile" || { echo "the Makefile has no target $target"; return 1; }
  done
}

sudo() {
  local word
  for word; do
    case $word in
      deploy/* | docs/* | sql/*) [ -e "$CHECKOUT/$word" ] || { echo "there is no $word"; return 1; } ;;
    esac
  done
}

docker() { sudo "$@"; }

railway() { sudo "$@"; }

# The example's page is tried by a browser, in a test of its own.
cd() { [ -d "$CHECKOUT/$1" ]; }

npm() { [ "$1" = install ] || grep -q "\"$1\":" "$CHECKOUT/examples/frontend/package.json"; }
