# The commands that pages may use: a few tools, and the functions below. Every command is really run, except those that
# need another machine. For these, the files that they name must exist in the checkout.
# The environment sets CHECKOUT and PYTHON.
set -euo pipefail

machine=$PATH
mkdir tools
for tool in cat cp grep ls mkdir sleep; do ln -s "$(type -P $tool)" tools/; done
PATH=$PWD/tools

# Services run in the background until the end of the page.
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
    # These take minutes, and other tests run them.
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

# Another test opens the example's page in a browser.
cd() { [ -d "$CHECKOUT/$1" ]; }

npm() { [ "$1" = install ] || grep -q "\"$1\":" "$CHECKOUT/examples/frontend/package.json"; }
