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

may_install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null
}

apt_install() {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}
