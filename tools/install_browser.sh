#!/usr/bin/env bash
# Installs a Chromium from the system's packages, unless one is present. That without a user
# interface takes a third of the time; not every system has it.
set -euo pipefail

SHELL_ONLY=chromium-headless-shell

install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "$1" >/dev/null
}

if command -v "$SHELL_ONLY" >/dev/null; then
  exit 0
fi
if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
  echo "Installing Chromium"
  if apt-get update -qq -o Acquire::Retries=0 -o Acquire::http::Timeout=10 && install "$SHELL_ONLY" 2>/dev/null; then
    exit 0
  fi
fi
for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null; then
    exit 0
  fi
done
if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
  echo "The browser tests need Chromium: install it, for example: sudo apt-get install $SHELL_ONLY" >&2
  exit 1
fi
install chromium
