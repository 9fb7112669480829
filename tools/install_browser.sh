#!/usr/bin/env bash
# Installs a browser from the system's packages, unless one is present: chromium or firefox.
set -euo pipefail

# Without a user interface: a third of the time. Not every system has it.
SHELL_ONLY=chromium-headless-shell

may_install() {
  [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null
}

update() {
  apt-get update -qq -o Acquire::Retries=0 -o Acquire::http::Timeout=10
}

install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "$1" >/dev/null
}

is_present() {
  local name
  for name in "$@"; do
    if command -v "$name" >/dev/null; then
      return 0
    fi
  done
  return 1
}

install_chromium() {
  if is_present "$SHELL_ONLY"; then
    return
  fi
  if may_install; then
    echo "Installing Chromium"
    if update && install "$SHELL_ONLY" 2>/dev/null; then
      return
    fi
  fi
  if is_present chromium chromium-browser google-chrome; then
    return
  fi
  if ! may_install; then
    echo "The browser tests need Chromium: install it, for example: sudo apt-get install $SHELL_ONLY" >&2
    exit 1
  fi
  install chromium
}

# Where it cannot be installed, the tests name it among the missing toolchains. Debian's package is
# the one that has this name; other systems' `firefox` may be a stub that fetches it from elsewhere.
install_firefox() {
  if is_present firefox || ! may_install; then
    return
  fi
  echo "Installing Firefox"
  update && install firefox-esr 2>/dev/null || echo "There is no firefox-esr here" >&2
}

"install_$1"
